"""Keys, rates and suspensions, on a clock that the test moves."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from devnet.api.exchange import HttpRequest, Lost, Reply
from devnet.trongrid.gate import Gate, Limits, suspended_key

SECOND_NS = 1_000_000_000


class Bench:
    """A gate before a node that always answers."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.gate = Gate(monotonic_ns=lambda: self.now_ns)

    async def status(self, key: str | None = None) -> int:
        return (await self.asked(key)).status

    async def asked(self, key: str | None = None) -> Reply:
        async def answer(_request: HttpRequest) -> Reply | Lost:
            return Reply(body=b"ok")

        headers = {} if key is None else {"tron-pro-api-key": key}
        reply = await self.gate(HttpRequest(method="GET", path="/v1/x", headers=headers), answer)
        assert isinstance(reply, Reply)
        return reply


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_at_first_nothing_is_limited(bench: Bench) -> None:
    assert {await bench.status(key) for key in (None, "any") for _ in range(500)} == {200}


async def test_only_keys_that_exist_pass_and_no_key_does_too(bench: Bench) -> None:
    bench.gate.set_limits(Limits(keys=frozenset({"good"})))
    refused = await bench.asked("bad")

    assert (refused.status, refused.body) == (401, b'{"Error":"ApiKey not exists"}')
    assert await bench.status("good") == 200
    assert await bench.status() == 200


async def test_too_many_requests_shut_a_client_out_for_some_seconds(bench: Bench) -> None:
    bench.gate.set_limits(Limits(keyed_rps=3, suspension_s=5))
    assert [await bench.status("a") for _ in range(3)] == [200] * 3
    refused = await bench.asked("a")

    assert (refused.status, refused.body) == (
        403,
        (
            b'{"Error":"request rate exceeded the allowed_rps(3), '
            b'and the query server is suspended for 5 s"}'
        ),
    )
    bench.now_ns += 4 * SECOND_NS
    assert b"suspended for 1 s" in (await bench.asked("a")).body
    assert await bench.status("b") == 200
    bench.now_ns += SECOND_NS
    assert await bench.status("a") == 200


async def test_a_rate_is_of_any_one_second(bench: Bench) -> None:
    bench.gate.set_limits(Limits(keyless_rps=2, suspension_s=0))
    assert [await bench.status() for _ in range(2)] == [200, 200]
    bench.now_ns += SECOND_NS - 1
    refused = await bench.asked()
    assert (refused.status, refused.body) == (
        429,
        b'{"Error":"The key exceeds the frequency limit(2)"}',
    )
    bench.now_ns += 1
    assert await bench.status() == 200


async def test_a_day_has_an_end(bench: Bench) -> None:
    bench.gate.set_limits(Limits(daily=2))
    assert [await bench.status("a") for _ in range(2)] == [200, 200]
    refused = await bench.asked("a")
    assert (refused.status, refused.body) == (
        403,
        b'"Exceed the user daily usage (2), the maximum query frequency is 1 time per second"',
    )
    bench.gate.reset()
    assert await bench.status("a") == 200


async def test_everybody_can_be_shut_out_by_hand(bench: Bench) -> None:
    bench.gate.suspend(30)
    assert b"suspended for 30 s" in (await bench.asked("a")).body
    bench.now_ns += 30 * SECOND_NS
    assert await bench.status() == 200


async def test_a_thousand_keys_are_remembered_and_no_more(bench: Bench) -> None:
    bench.gate.set_limits(Limits(daily=1))
    for number in range(1_001):
        assert await bench.status(str(number)) == 200

    assert await bench.status("1000") == 403
    assert await bench.status("0") == 200


async def test_the_gate_stands_before_every_path(world: Any, client: Any) -> None:
    world.devnet.node_app.gate.set_limits(Limits(keys=frozenset({"k"})))

    async def answered(path: str, key: str) -> int:
        headers = {"TRON-PRO-API-KEY": key}
        response: httpx.Response = await client.http.get(path, headers=headers)
        return response.status_code

    for path in ("/wallet/getnowblock", "/walletsolidity/getnowblock", "/v1/blocks/latest/events"):
        assert await answered(path, "k") == 200
        assert await answered(path, "x") == 401


def test_the_other_form_of_a_suspension_names_its_status() -> None:
    reply = suspended_key(30, limit=15)

    assert (reply.status, reply.body) == (
        403,
        (
            b'{"success":false,"error":"The key exceeds the frequency limit(15), '
            b'and the query server is suspended for 30s","statusCode":403}'
        ),
    )
