"""Events on their way out: signed, repeated until taken, and never to a place inside."""

import asyncio
import base64
import json

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from services.payment_gateway.domain.deliveries import (
    EVENT_TYPES,
    MAX_ENDPOINTS,
    BadTarget,
    DeliveryState,
    TooManyWebhooks,
    UnknownDelivery,
    UnknownEvent,
    UnknownWebhook,
    WebhookInactive,
)
from services.payment_gateway.webhooks import parse_key
from shared.errors import KeyReused
from shared.models.payment_gateway import DeliveryView, WebhookRequest
from shared.models.tron_client import TransferState
from shared.storage import GuardFailed
from tests.services.payment_gateway.doubles import ADA, COIN, LADDER_S, Gateway, transfer

HOOK = {"url": "https://shop.example/hook", "events": ["*"]}


async def deliveries(gateway: Gateway, webhook_id: str) -> list[DeliveryView]:
    page = await gateway.webhooks.deliveries(webhook_id, limit=100, cursor=None)
    return page.deliveries


async def test_a_delivery_verifies_with_the_standard_library(gateway: Gateway) -> None:
    hook = await gateway.webhook()
    invoice = await gateway.invoice()
    await gateway.webhooks.deliver_due()
    (request,) = gateway.endpoint.requests
    assert hook.secret is not None
    document = Verifier(hook.secret).verify(request.content, dict(request.headers))
    assert document["type"] == "invoice.created"
    assert document["data"] == invoice.model_dump(mode="json")
    (delivery,) = await deliveries(gateway, hook.webhook_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    assert request.headers["webhook-id"] == delivery.event_id
    with pytest.raises(WebhookVerificationError):
        Verifier(hook.secret).verify(request.content + b" ", dict(request.headers))


async def test_the_request_goes_to_the_checked_address_under_the_right_name(
    gateway: Gateway,
) -> None:
    await gateway.webhook()
    await gateway.invoice()
    await gateway.webhooks.deliver_due()
    (request,) = gateway.endpoint.requests
    assert str(request.url) == "https://203.0.114.7/hook?x=1"
    assert request.headers["host"] == "shop.example"
    assert request.extensions["sni_hostname"] == "shop.example"


async def test_every_change_of_state_is_told_as_it_was_then(gateway: Gateway) -> None:
    await gateway.webhook()
    invoice = await gateway.invoice()
    for state in (TransferState.SEEN, TransferState.CONFIRMED):
        gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, state=state))
    await gateway.catch_up()
    await gateway.webhooks.deliver_due()
    told = sorted(
        (json.loads(request.content) for request in gateway.endpoint.requests),
        key=lambda document: ["created", "seen", "paid"].index(document["type"][8:]),
    )
    assert [(one["data"]["state"], one["data"]["paid"]) for one in told] == [
        ("pending", "0"),
        ("seen", "0"),
        ("paid", "10"),
    ]


async def test_an_endpoint_gets_only_what_it_asked_for(gateway: Gateway) -> None:
    hook = await gateway.webhook("invoice.paid", "alarm.*")
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN))
    await gateway.catch_up()
    assert [one.event_type for one in await deliveries(gateway, hook.webhook_id)] == [
        "invoice.paid"
    ]


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (httpx.Response(500), 500, "the endpoint answered 500"),
        (httpx.Response(302, headers={"location": "http://10.0.0.1/"}), 302, "answered 302"),
        (httpx.ReadTimeout("slow"), None, "no answer (ReadTimeout)"),
    ],
)
async def test_a_miss_is_tried_again_after_the_ladder(
    gateway: Gateway, answer: httpx.Response | Exception, status: int | None, error: str
) -> None:
    hook = await gateway.webhook()
    await gateway.invoice()
    gateway.endpoint.answers = [answer]
    await gateway.webhooks.deliver_due()
    (missed,) = await deliveries(gateway, hook.webhook_id)
    assert (missed.state, missed.last_status) == ("pending", status)
    assert error in str(missed.last_error)

    gateway.clock.advance(seconds=LADDER_S[0] - 1)
    await gateway.webhooks.deliver_due()
    assert len(gateway.endpoint.requests) == 1
    gateway.clock.advance(seconds=1)
    await gateway.webhooks.deliver_due()
    first, second = gateway.endpoint.requests
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    (done,) = await deliveries(gateway, hook.webhook_id)
    assert (done.state, done.attempts, done.last_error) == ("delivered", 2, None)


async def test_the_ladder_ends(gateway: Gateway) -> None:
    hook = await gateway.webhook()
    await gateway.invoice()
    gateway.endpoint.answers = [httpx.Response(500) for _ in range(9)]
    for pause_s in (0, *LADDER_S, 100_000):
        gateway.clock.advance(seconds=pause_s)
        await gateway.webhooks.deliver_due()
    assert len(gateway.endpoint.requests) == 1 + len(LADDER_S)
    (given_up,) = await deliveries(gateway, hook.webhook_id)
    assert (given_up.state, given_up.next_attempt_at) == ("failed", None)

    again = await gateway.webhooks.redeliver(hook.webhook_id, given_up.delivery_id)
    assert again.state == "pending"
    gateway.endpoint.answers = []
    await gateway.webhooks.deliver_due()
    assert (await deliveries(gateway, hook.webhook_id))[0].state == "delivered"


async def test_retry_after_is_honoured(gateway: Gateway) -> None:
    await gateway.webhook()
    await gateway.invoice()
    gateway.endpoint.answers = [httpx.Response(429, headers={"retry-after": "90"})]
    await gateway.webhooks.deliver_due()
    gateway.clock.advance(seconds=89)
    await gateway.webhooks.deliver_due()
    assert len(gateway.endpoint.requests) == 1
    gateway.clock.advance(seconds=1)
    await gateway.webhooks.deliver_due()
    assert len(gateway.endpoint.requests) == 2


async def test_gone_switches_the_endpoint_off(gateway: Gateway) -> None:
    hook = await gateway.webhook()
    await gateway.invoice(key="1")
    gateway.endpoint.answers = [httpx.Response(410)]
    await gateway.webhooks.deliver_due()
    (listed,) = (await gateway.webhooks.all()).webhooks
    assert not listed.active
    await gateway.invoice(key="2")
    assert [one.state for one in await deliveries(gateway, hook.webhook_id)] == ["failed"]


async def test_what_waits_for_a_deactivated_endpoint_is_cancelled(gateway: Gateway) -> None:
    hook = await gateway.webhook()
    await gateway.invoice()
    await gateway.webhooks.deactivate(hook.webhook_id)
    await gateway.webhooks.deliver_due()
    assert gateway.endpoint.requests == []
    (delivery,) = await deliveries(gateway, hook.webhook_id)
    assert delivery.state == DeliveryState.CANCELLED
    with pytest.raises(WebhookInactive):
        await gateway.webhooks.redeliver(hook.webhook_id, delivery.delivery_id)


async def test_the_secret_is_told_once_and_kept_nowhere(gateway: Gateway) -> None:
    request = WebhookRequest.model_validate(HOOK)
    first, _ = await gateway.webhooks.create(request, caller=ADA, key="k")
    again, replayed = await gateway.webhooks.create(request, caller=ADA, key="k")
    assert first.secret is not None
    assert len(base64.b64decode(first.secret.removeprefix("whsec_"))) == 32
    assert (again.webhook_id, again.secret, replayed) == (first.webhook_id, None, True)
    assert (await gateway.webhooks.all()).webhooks[0].secret is None
    stored = await gateway.store.webhook(first.webhook_id)
    assert first.secret.removeprefix("whsec_") not in repr(stored)
    other, _ = await gateway.webhooks.create(request, caller=ADA, key="k2")
    assert other.secret != first.secret
    with pytest.raises(KeyReused):
        await gateway.webhooks.create(
            WebhookRequest.model_validate({**HOOK, "events": ["invoice.paid"]}),
            caller=ADA,
            key="k",
        )


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/",
        "http://shop.example/hook",
        "https://user:pass@shop.example/",
    ],
)
async def test_targets_inside_are_refused(gateway: Gateway, url: str) -> None:
    with pytest.raises(BadTarget):
        await gateway.webhooks.create(
            WebhookRequest.model_validate({"url": url}), caller=ADA, key=None
        )


@pytest.mark.parametrize("events", [[], ["invoice.pade"], ["inv*"], ["*.paid"]])
async def test_unknown_events_are_refused(gateway: Gateway, events: list[str]) -> None:
    with pytest.raises(UnknownEvent):
        await gateway.webhooks.create(
            WebhookRequest.model_validate({**HOOK, "events": events}), caller=ADA, key=None
        )


async def test_what_is_unknown_is_said_to_be(gateway: Gateway) -> None:
    hook = await gateway.webhook()
    with pytest.raises(UnknownWebhook):
        await gateway.webhooks.deactivate("whk_none")
    with pytest.raises(UnknownDelivery):
        await gateway.webhooks.redeliver(hook.webhook_id, "dlv_none")


def test_the_events_are_the_ones_that_are_documented() -> None:
    assert {f"invoice.{word}" for word in ("created", "seen", "paid", "underpaid")} < set(
        EVENT_TYPES
    )


@pytest.mark.parametrize("content", [b"zz", b"00" * 31, b""])
def test_a_bad_key_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"webhook\.key"):
        parse_key(content)


async def test_equal_requests_at_once_make_one_webhook(gateway: Gateway) -> None:
    request = WebhookRequest.model_validate(HOOK)
    made = await asyncio.gather(
        *(gateway.webhooks.create(request, caller=ADA, key="k") for _ in range(5))
    )
    assert len({view.webhook_id for view, _ in made}) == 1
    assert sum(view.secret is not None for view, _ in made) == 1


async def test_there_are_only_so_many_webhooks(gateway: Gateway) -> None:
    for _ in range(MAX_ENDPOINTS):
        await gateway.webhook()
    with pytest.raises(TooManyWebhooks):
        await gateway.webhook()


async def test_a_delivery_changed_during_its_try_is_left_to_the_next(gateway: Gateway) -> None:
    hook = await gateway.webhook()
    await gateway.invoice()
    (waiting,) = await deliveries(gateway, hook.webhook_id)
    (leased,) = await gateway.store.claim_due(
        owner="other", now_ms=gateway.clock.now_ms(), lease_ms=1_000, limit=5
    )
    assert not await gateway.webhooks.deliver_due()
    assert gateway.endpoint.requests == []
    gateway.clock.advance(seconds=1)
    await gateway.webhooks.deliver_due()
    assert len(gateway.endpoint.requests) == 1
    with pytest.raises(GuardFailed):
        await gateway.store.settle_delivery(leased.record.cancelled(), leased.lease)
    (done,) = await deliveries(gateway, hook.webhook_id)
    assert (done.delivery_id, done.state) == (waiting.delivery_id, "delivered")
