"""Who may ask a public gateway how often, and what it says to those who ask too much."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devnet.api.exchange import Answer, HttpRequest, Lost, Reply
from devnet.api.replies import json_reply

KEY_HEADER = "tron-pro-api-key"
NS_PER_S = 1_000_000_000
_KEYLESS = ""
_CLIENTS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a gateway grants; None grants everything.

    Attributes:
        keys: The keys that exist; with None every key does.
        keyed_rps: Requests in any one second of a client with a key.
        keyless_rps: The same for all clients without a key together.
        daily: Requests of a key between two resets.
        suspension_s: Seconds for which a client that asked too much is shut out; 0 refuses the
            one request with 429 and no more.
    """

    keys: frozenset[str] | None = None
    keyed_rps: int | None = None
    keyless_rps: int | None = None
    daily: int | None = None
    suspension_s: int = 5


class _Client:
    """What one key asked lately."""

    def __init__(self) -> None:
        self.asked_ns: deque[int] = deque()
        self.total = 0
        self.suspended_until_ns = 0


class Gate:
    """Counts requests by key and refuses what is beyond the limits; at first there are none.

    Args:
        monotonic_ns: A source of real nanoseconds that never goes back.
    """

    def __init__(self, *, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._limits = Limits()
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._all_suspended_until_ns = 0

    def set_limits(self, limits: Limits) -> None:
        """Grant so much from now on, and forget what was asked before."""
        self._limits = limits
        self.reset()

    def suspend(self, seconds: int) -> None:
        """Shut everybody out for some real seconds."""
        self._all_suspended_until_ns = self._monotonic_ns() + seconds * NS_PER_S

    def reset(self) -> None:
        """Forget what was asked and who was shut out."""
        self._clients.clear()
        self._all_suspended_until_ns = 0

    async def __call__(self, request: HttpRequest, answer: Answer) -> Reply | Lost:
        """Let a request through, or refuse it."""
        return self._refusal(request) or await answer(request)

    def _refusal(self, request: HttpRequest) -> Reply | None:
        now_ns = self._monotonic_ns()
        if now_ns < self._all_suspended_until_ns:
            return suspended(_seconds_left(self._all_suspended_until_ns - now_ns))
        if self._limits == Limits():
            return None
        key = request.headers.get(KEY_HEADER, _KEYLESS)
        keys = self._limits.keys
        if key != _KEYLESS and keys is not None and key not in keys:
            return unknown_key()
        return self._counted(key, now_ns)

    def _counted(self, key: str, now_ns: int) -> Reply | None:
        limits, client = self._limits, self._client(key)
        if now_ns < client.suspended_until_ns:
            return suspended(_seconds_left(client.suspended_until_ns - now_ns))
        client.total += 1
        if limits.daily is not None and client.total > limits.daily:
            return exhausted(limits.daily)
        allowed = limits.keyless_rps if key == _KEYLESS else limits.keyed_rps
        if allowed is None:
            return None

        while client.asked_ns and client.asked_ns[0] <= now_ns - NS_PER_S:
            client.asked_ns.popleft()
        if len(client.asked_ns) < allowed:
            client.asked_ns.append(now_ns)
            return None
        if limits.suspension_s == 0:
            return too_frequent(allowed)
        client.suspended_until_ns = now_ns + limits.suspension_s * NS_PER_S
        return suspended(limits.suspension_s, allowed_rps=allowed)

    def _client(self, key: str) -> _Client:
        client = self._clients.setdefault(key, _Client())
        self._clients.move_to_end(key)
        if len(self._clients) > _CLIENTS_MAX:
            self._clients.popitem(last=False)
        return client


def unknown_key() -> Reply:
    """The key does not exist."""
    return json_reply({"Error": "ApiKey not exists"}, status=401)


def too_frequent(limit: int) -> Reply:
    """One request too many, with nothing else to fear."""
    return json_reply({"Error": f"The key exceeds the frequency limit({limit})"}, status=429)


def suspended(seconds: int, *, allowed_rps: int | None = None) -> Reply:
    """Too many requests, and silence for some seconds."""
    error = (
        f"request rate exceeded the allowed_rps({allowed_rps or 10}), "
        f"and the query server is suspended for {seconds} s"
    )
    return json_reply({"Error": error}, status=403)


def suspended_key(seconds: int, *, limit: int) -> Reply:
    """The same in the other form that the gateway is known for."""
    document: dict[str, Any] = {
        "success": False,
        "error": f"The key exceeds the frequency limit({limit}), "
        f"and the query server is suspended for {seconds}s",
        "statusCode": 403,
    }
    return json_reply(document, status=403)


def exhausted(daily: int) -> Reply:
    """The day's requests are used up; what the gateway says is a text in quotes."""
    error = (
        f"Exceed the user daily usage ({daily}), the maximum query frequency is 1 time per second"
    )
    return json_reply(error, status=403)


def _seconds_left(nanoseconds: int) -> int:
    return -(-nanoseconds // NS_PER_S)
