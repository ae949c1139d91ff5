"""Reads the devnet's clock, which the services follow on the devnet alone."""

import httpx
import msgspec

from shared.clock import ClockReading
from shared.errors import Unavailable


class _Reading(msgspec.Struct):
    now_ms: int
    speed: float


class DevnetClock:
    """Asks the devnet's control port what time it is."""

    def __init__(self, *, control_url: str, client: httpx.AsyncClient) -> None:
        self._url = control_url.rstrip("/") + "/devnet/clock"
        self._client = client

    async def read(self) -> ClockReading:
        """Return the devnet's time; raises Unavailable."""
        try:
            response = await self._client.get(self._url, timeout=3)
            response.raise_for_status()
            reading = msgspec.json.decode(response.content, type=_Reading)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise Unavailable(
                f"the devnet does not tell the time ({type(error).__name__}): {self._url}"
            ) from None
        return ClockReading(now_ms=reading.now_ms, speed=reading.speed)
