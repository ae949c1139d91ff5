"""One node, asked carefully: every way of not answering has its own consequence."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.tron_client.domain.accounts import read_account
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.parameters import read_parameters
from services.tron_client.node import (
    Endpoint,
    NodeCounters,
    NodeHttp,
    NodePool,
    Treatment,
    reading,
)
from services.tron_client.node.client import Node
from services.tron_client.node.errors import NodeRefused, NodeUnavailable
from services.tron_client.node.outcomes import (
    Accepted,
    BroadcastResult,
    Rejected,
    Unknown,
    read_outcome,
)
from shared.clock import SystemClock
from shared.metrics import Metrics
from shared.tron.address import address_from_bytes

GENESIS = "ab" * 32
TXID = "cd" * 32
OWNER = address_from_bytes(bytes(19) + b"\x01")


class NodeThatAnswers:
    """Gives its answers in turn, the last one for ever; the genesis block it always knows."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/base/wallet/getblockbynum":
            return httpx.Response(200, json={"blockID": GENESIS})
        self.asked.append(request.url.path)
        self.headers.append(request.headers)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)


@asynccontextmanager
async def asking(
    play: Callable[[httpx.Request], httpx.Response], *, attempts: int = 3, calls_per_s: int = 0
) -> AsyncIterator[Node]:
    clock = SystemClock()
    http = NodeHttp(
        Endpoint(
            name="node",
            operator="somebody",
            url="http://user:secret@node.example/base?api_key=secret",
            api_key="a-key",
            concurrency=4,
            calls_per_s=calls_per_s,
        ),
        Treatment(genesis_block_id=GENESIS, timeout_s=20, connect_timeout_s=20, attempts=attempts),
        counters=NodeCounters(Metrics()),
        transport=httpx.MockTransport(play),
        now_ms=clock.now_ms,
    )
    pool = NodePool([http], attempts=attempts, now_ms=clock.now_ms)
    try:
        yield Node(pool, checks_root=True)
    finally:
        await http.close()


PARAMETERS = {"chainParameter": [{"key": "getEnergyFee", "value": 100}, {"key": "getMemoFee"}]}


@pytest.mark.parametrize(
    "bad",
    [
        httpx.ReadTimeout("late"),
        httpx.Response(502, text="<html>"),
        httpx.Response(200, text="this API is closed because this node is a lite fullnode"),
        {"Error": "class java.lang.IllegalAccessException : lack of computing resources"},
    ],
)
async def test_what_may_pass_is_asked_again(bad: Any) -> None:
    play = NodeThatAnswers(bad, PARAMETERS)
    async with asking(play) as node:
        assert await node.parameters() == {"getEnergyFee": 100, "getMemoFee": 0}
        assert node.reason() is None
        assert play.headers[0]["tron-pro-api-key"] == "a-key"


@pytest.mark.parametrize(("times", "packing"), [(1, "gzip"), (2, "gzip, gzip"), (2, "gzip,gzip")])
async def test_an_answer_packed_twice_is_not_unpacked(times: int, packing: str) -> None:
    """A kilobyte could become gigabytes, more than there is memory for."""
    content = json.dumps(PARAMETERS).encode()
    for _ in range(times):
        content = gzip.compress(content)
    answer = httpx.Response(200, headers={"Content-Encoding": packing}, content=content)
    async with asking(NodeThatAnswers(answer), attempts=1) as node:
        if times == 1:
            assert await node.parameters()
            return
        with pytest.raises(NodeUnavailable):
            await node.parameters()


async def test_an_error_that_stays_is_not_asked_again() -> None:
    play = NodeThatAnswers({"Error": "class org.tron.core.exception.Foo : no"})
    async with asking(play) as node:
        with pytest.raises(NodeRefused):
            await node.parameters()
        assert len(play.asked) == 1


@pytest.mark.parametrize(
    "told",
    [
        httpx.Response(
            429,
            json={
                "Error": "request rate exceeded the allowed_rps(10), and the query server"
                " is suspended for 7 s"
            },
        ),
        httpx.Response(
            403,
            json={
                "success": False,
                "error": "The key exceeds the frequency limit(15), and the query server"
                " is suspended for 7s",
                "statusCode": 403,
            },
        ),
        {"success": False, "error": "suspended for 7s", "statusCode": 403},
    ],
)
async def test_a_suspension_is_a_hard_pause_of_that_length(told: Any) -> None:
    play = NodeThatAnswers(told)
    async with asking(play) as node:
        for _ in range(5):
            with pytest.raises(NodeUnavailable) as caught:
                await node.parameters()
            assert 1 <= (caught.value.retry_after_s or 0) <= 7
        assert len(play.asked) == 1
        outcome = await node.broadcast(b"\x01", txid=TXID)
        assert isinstance(outcome, Unknown)
        assert len(play.asked) == 1


@pytest.mark.parametrize(
    "answer", [[], {}, {"chainParameter": []}, {"chainParameter": "none"}, "text"]
)
async def test_parameters_of_another_shape_are_no_parameters(answer: Any) -> None:
    async with asking(NodeThatAnswers(answer)) as node:
        with pytest.raises(InconsistentBlock):
            await node.parameters()


async def test_the_url_is_shown_without_its_secrets() -> None:
    async with asking(NodeThatAnswers({})) as node:
        assert "secret" not in node.url
        assert "node.example" in node.url


def said(code: str, message: str = "why", **more: Any) -> dict[str, Any]:
    return {"result": False, "code": code, "message": message, "txid": TXID, **more}


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ({"result": True, "code": "SUCCESS", "txid": TXID}, Accepted),
        ({"result": True, "txid": TXID}, Accepted),
        ({"result": True, "txid": "ee" * 32}, Unknown),
        (said("SIGERROR"), Rejected),
        (said("CONTRACT_VALIDATE_ERROR"), Rejected),
        (said("CONTRACT_EXE_ERROR"), Rejected),
        (said("BANDWITH_ERROR"), Rejected),
        (said("DUP_TRANSACTION_ERROR"), Unknown),
        (said("TAPOS_ERROR"), Rejected),
        (said("TOO_BIG_TRANSACTION_ERROR"), Rejected),
        (said("TRANSACTION_EXPIRATION_ERROR"), Unknown),
        (said("SERVER_BUSY"), Rejected),
        (said("NO_CONNECTION"), Rejected),
        (said("NOT_ENOUGH_EFFECTIVE_CONNECTION", "Effective connection:0"), Rejected),
        (said("NOT_ENOUGH_EFFECTIVE_CONNECTION", "P2P broadcast failed."), Unknown),
        (said("BLOCK_UNSOLIDIFIED"), Rejected),
        (said("OTHER_ERROR"), Unknown),
        (said("A_CODE_OF_TOMORROW"), Unknown),
        ({}, Unknown),
    ],
)
def test_what_a_node_makes_of_a_broadcast(
    answer: dict[str, Any], meaning: type[BroadcastResult]
) -> None:
    assert isinstance(read_outcome(answer, txid=TXID), meaning)


def test_a_message_in_hexadecimal_is_read() -> None:
    result = read_outcome(said("SIGERROR", b"no signature".hex()), txid=TXID)
    assert result == Rejected(code="SIGERROR", message="no signature")


@pytest.mark.parametrize(
    "bad",
    [
        httpx.ReadTimeout("late"),
        httpx.Response(500, text="oops"),
        httpx.Response(429, text="slow down"),
        httpx.Response(200, text="no json"),
        {"Error": "class java.lang.NullPointerException : null"},
        [],
    ],
)
async def test_a_broadcast_without_a_plain_answer_is_unknown_and_tried_once(bad: Any) -> None:
    play = NodeThatAnswers(bad)
    async with asking(play) as node:
        assert isinstance(await node.broadcast(b"\x01", txid=TXID), Unknown)
        assert len(play.asked) == 1


async def test_a_revert_is_a_result_with_its_reason() -> None:
    reason = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + (3).to_bytes(32, "big")
    answer = {
        "result": {"result": True, "message": b"REVERT opcode executed".hex()},
        "energy_used": 541,
        "constant_result": [(reason + b"bad".ljust(32, b"\0")).hex()],
        "transaction": {"ret": [{"ret": "FAILED"}]},
    }
    async with asking(NodeThatAnswers(answer)) as node:
        called = await node.call(owner=OWNER, contract=OWNER, data="00")
        assert called.is_reverted
        assert called.reason() == "bad"
        assert called.energy_used == 541


async def test_a_call_that_runs_out_of_energy_is_reverted() -> None:
    message = "class org.tron.core.vm.program.Program$OutOfEnergyException : Not enough energy"
    answer = {"result": {"code": "OTHER_ERROR", "message": message.encode().hex()}}
    async with asking(NodeThatAnswers(answer)) as node:
        called = await node.call(owner=OWNER, contract=OWNER, data="00")
        assert called.is_reverted
        assert "Not enough energy" in (called.reason() or "")


@pytest.mark.parametrize("code", [[], {}, [[]], 1.5, True])
async def test_a_call_whose_code_is_no_word_is_refused(code: Any) -> None:
    async with asking(NodeThatAnswers({"result": {"code": code, "result": True}})) as node:
        with pytest.raises(NodeRefused):
            await node.call(owner=OWNER, contract=OWNER, data="00")


async def test_a_call_of_what_is_no_contract_is_refused() -> None:
    answer = {"result": {"code": "CONTRACT_VALIDATE_ERROR", "message": b"not exist".hex()}}
    async with asking(NodeThatAnswers(answer)) as node:
        with pytest.raises(NodeRefused):
            await node.call(owner=OWNER, contract=OWNER, data="00")


@pytest.mark.parametrize(
    "bad",
    [
        {"transaction": None},
        {"transaction": []},
        {"constant_result": ["zz"]},
        {"constant_result": ["1"]},
        {"energy_used": -1},
        {"energy_penalty": 1.5},
    ],
)
async def test_a_call_answered_with_something_else_has_no_answer(bad: dict[str, Any]) -> None:
    answer = {"result": {"result": True}, "constant_result": ["00"], "energy_used": 1, **bad}
    async with asking(NodeThatAnswers(answer)) as node:
        with pytest.raises(NodeUnavailable):
            await node.call(owner=OWNER, contract=OWNER, data="00")


@pytest.mark.parametrize("signature", [None, 7, "00", [None], [{}]])
def test_a_block_with_malformed_signatures_is_no_block(signature: object) -> None:
    transaction = {"txID": TXID, "raw_data_hex": "", "signature": signature}
    block = {
        "blockID": GENESIS,
        "block_header": {"raw_data": {}},
        "transactions": [transaction],
    }
    with pytest.raises(InconsistentBlock, match="a block is malformed"):
        reading.read_block(block)


def test_an_empty_block_among_blocks_is_no_block() -> None:
    with pytest.raises(InconsistentBlock):
        reading.read_blocks({"block": [{}]}, first=1)


@pytest.mark.parametrize(
    "account",
    [
        {"balance": -1},
        {"unfrozenV2": [{"unfreeze_amount": 1, "unfreeze_expire_time": 2**62}]},
    ],
)
def test_an_account_that_cannot_be_is_none(account: dict[str, Any]) -> None:
    with pytest.raises(InconsistentBlock):
        read_account(OWNER, account, {})


def test_a_fee_below_zero_is_no_fee() -> None:
    fees = {"getEnergyFee": 100, "getTransactionFee": 1_000, "getRemoveThePowerOfTheGr": -1}
    assert read_parameters(fees, now_ms=0).energy_fee_sun == 100
    with pytest.raises(InconsistentBlock):
        read_parameters({**fees, "getMemoFee": -1}, now_ms=0)


async def test_reads_start_evenly_spread() -> None:
    loop = asyncio.get_running_loop()
    async with asking(NodeThatAnswers(PARAMETERS), calls_per_s=200) as node:
        began_s = loop.time()
        await asyncio.gather(*(node.parameters() for _ in range(11)))
        assert loop.time() - began_s >= 10 * 2 / 200
