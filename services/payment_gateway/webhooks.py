"""Signs events as Standard Webhooks asks for and brings them to their endpoints.

Secrets are derived from a key file and the endpoint's id, so that the database holds none. The
signature's timestamp is the machine's own time, because receivers compare it with theirs.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from standardwebhooks.webhooks import Webhook as Signer

from services.payment_gateway.domain.deliveries import (
    Delivered,
    Delivery,
    Gone,
    Missed,
    Outcome,
    Webhook,
)
from shared.clock import MS_PER_S, Clock
from shared.outbound import Answer, Outbound, OutboundFailed, OutboundRefused

KEY_FILE: Final = "webhook.key"
MIN_KEY_BYTES: Final = 32
MAX_DIGITS: Final = 10


def parse_key(content: bytes) -> bytes:
    """Read the key that secrets derive from, as hexadecimal digits; raises ValueError."""
    try:
        key = binascii.unhexlify(content.strip())
    except binascii.Error:
        raise ValueError(f"{KEY_FILE} must hold hexadecimal digits") from None
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"{KEY_FILE} must hold at least {MIN_KEY_BYTES} bytes")
    return key


class WebhookSender:
    """Delivers events to endpoints, once per call.

    Args:
        outbound: the way outside.
        key: what secrets derive from.
        wall: the time that receivers have too.
    """

    def __init__(self, *, outbound: Outbound, key: bytes, wall: Clock) -> None:
        self._outbound = outbound
        self._key = key
        self._wall = wall

    def secret(self, webhook_id: str) -> str:
        """Return an endpoint's secret as it is told once."""
        derived = hmac.digest(self._key, b"webhook:" + webhook_id.encode(), hashlib.sha256)
        return "whsec_" + base64.b64encode(derived).decode()

    async def check(self, url: str) -> None:
        """Raise OutboundRefused or OutboundFailed if a URL cannot be called."""
        await self._outbound.check(url)

    async def deliver(self, webhook: Webhook, delivery: Delivery) -> Outcome:
        """Send one event and say what came of it."""
        try:
            answer = await self._outbound.post(
                webhook.url,
                content=delivery.body.encode(),
                headers=self._headers(webhook, delivery),
            )
        except (OutboundRefused, OutboundFailed) as error:
            return Missed(error=error.reason)
        return _judged(answer)

    def _headers(self, webhook: Webhook, delivery: Delivery) -> dict[str, str]:
        now_s = self._wall.now_ms() // MS_PER_S
        signature = Signer(self.secret(webhook.id)).sign(
            delivery.event_id, datetime.fromtimestamp(now_s, tz=UTC), delivery.body
        )
        return {
            "Content-Type": "application/json",
            "User-Agent": "lucid-payment-gateway",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature,
        }


def _judged(answer: Answer) -> Outcome:
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Delivered(status=status)
    if status == HTTPStatus.GONE:
        return Gone(status=status)
    wished = answer.headers.get("retry-after", "")
    retry_after_s = (
        int(wished) if wished.isascii() and wished.isdigit() and len(wished) < MAX_DIGITS else 0
    )
    return Missed(
        error=f"the endpoint answered {status}", status=status, retry_after_s=retry_after_s
    )
