"""Submitted transactions: brought to the chain whatever gets lost, and judged by the chain alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.chain_pb2 import Transaction
from devnet.forks import Fate
from services.tron_client.domain.progress import NothingScanned
from services.tron_client.domain.submissions import (
    NotATransaction,
    SentAlready,
    TransactionOfAnother,
)
from services.tron_client.domain.transactions import Outcome, UnknownTransaction
from services.tron_client.store.schema import TRANSACTION_FEED
from shared.models.tron_transactions import BroadcastOutcome
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    Wire,
    World,
    benched,
    lost,
    request_for,
)

EXPIRY_BLOCKS = 22
"""A minute of blocks and some."""


async def test_a_transaction_is_accepted_included_and_confirmed(bench: Bench) -> None:
    taken = await bench.submit(bench.world.transfer(5))
    assert taken.outcome is BroadcastOutcome.ACCEPTED
    await bench.mine()
    assert await bench.fate(taken.id) == "included"
    await bench.mine(BLOCKS_TO_SOLID)
    assert await bench.verdict_events() == ["transaction.included", "transaction.confirmed"]
    (_, confirmed) = await bench.told(TRANSACTION_FEED)
    assert confirmed.object["receipt"]["result"] == "SUCCESS"
    assert confirmed.object["send_key"] == "test:one:0"
    assert bytes.fromhex(taken.id) not in bench.sight.txids


async def test_a_reverted_call_is_failed_with_its_reason_and_cost(bench: Bench) -> None:
    taken = await bench.submit(bench.world.failing_call())
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.fate(taken.id) == "failed"
    receipt = (await bench.told(TRANSACTION_FEED))[-1].object["receipt"]
    assert receipt["result"] == "REVERT"
    assert int(receipt["fee_sun"]) > 0
    assert receipt["transfers"] == []


async def test_the_receipt_of_a_token_transfer_holds_its_log(bench: Bench) -> None:
    transaction = bench.world.called("transfer", bench.world.payee.address, 77)
    await bench.submit(transaction)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    (log,) = (await bench.told(TRANSACTION_FEED))[-1].object["receipt"]["transfers"]
    assert (log["recipient"], log["amount_base_units"]) == (bench.world.to, "77")


async def test_a_lost_broadcast_reply_never_pays_twice(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path, transport=WireThatLosesBroadcastReplies(world)) as bench:
        await bench.scan()
        taken = await bench.submit(world.transfer(5))
        assert taken.outcome is BroadcastOutcome.UNKNOWN
        await bench.mine(2)
        await bench.tracker.rebroadcast()
        await bench.mine(BLOCKS_TO_SOLID)
        assert await bench.fate(taken.id) == "confirmed"
        assert (await bench.verdict_events()).count("transaction.confirmed") == 1


class WireThatLosesBroadcastReplies(Wire):
    """Carries broadcasts out and loses what the node says."""

    def __init__(self, world: World) -> None:
        super().__init__(world.devnet)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.url.path == "/wallet/broadcasthex":
            raise httpx.ReadError("lost", request=request)
        return response


async def test_a_dropped_transaction_is_sent_again_and_lands(bench: Bench) -> None:
    bench.world.drop(1)
    taken = await bench.submit(bench.world.transfer(5))
    await bench.mine()
    assert await bench.fate(taken.id) == "pending"
    await bench.mine()
    assert not await bench.tracker.rebroadcast()
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.fate(taken.id) == "confirmed"
    found = await bench.store.transaction(taken.id)
    assert found is not None
    assert found.broadcasts == 2


async def test_a_fork_takes_an_inclusion_back(bench: Bench) -> None:
    taken = await bench.submit(bench.world.transfer(5))
    await bench.mine(2)
    bench.world.devnet.node.reorganise(2, fate=Fate.DROP)
    await bench.mine()
    assert await bench.fate(taken.id) == "pending"
    await bench.tracker.rebroadcast()
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.verdict_events() == [
        "transaction.included",
        "transaction.retracted",
        "transaction.included",
        "transaction.confirmed",
    ]


async def test_a_repeated_submission_is_the_same_one(bench: Bench) -> None:
    transaction = bench.world.transfer(5)
    first = await bench.submit(transaction)
    again = await bench.submit(transaction)
    assert again.id == first.id
    assert again.outcome is BroadcastOutcome.ACCEPTED
    assert await bench.store.transaction_count() == 1
    with pytest.raises(TransactionOfAnother):
        await bench.submit(transaction, send_key="test:two:0")


async def test_h5_a_second_transaction_of_a_send_is_refused_until_the_first_is_proved_absent(
    bench: Bench,
) -> None:
    second = bench.world.transfer(6)
    await lost(bench)
    with pytest.raises(SentAlready):
        await bench.submit(second)
    await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
    await bench.tracker.expire()
    assert await bench.verdict_events() == ["transaction.expired"]
    assert (await bench.submit(bench.world.transfer(7))).outcome is BroadcastOutcome.ACCEPTED


async def test_h5_two_transactions_of_a_send_are_not_taken_together(bench: Bench) -> None:
    requests = [request_for(bench.world.transfer(amount)) for amount in (5, 6)]
    with pytest.raises(SentAlready):
        await bench.tracker.submit(requests)
    assert await bench.store.transaction_count() == 0


async def test_what_is_stored_comes_back_after_a_restart(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        taken = await bench.submit(world.transfer(5))
    async with benched(world, tmp_path) as bench:
        await bench.mine(BLOCKS_TO_SOLID + 1)
        assert await bench.fate(taken.id) == "confirmed"


def other_expiry(transaction: Transaction) -> dict[str, Any]:
    return {"expires_at_ms": transaction.raw_data.expiration + 1}


def foreign_signature(transaction: Transaction) -> dict[str, Any]:
    signature = bytearray(transaction.signature[0])
    signature[10] ^= 1
    return {"signatures": [signature.hex()]}


def short_signature(_: Transaction) -> dict[str, Any]:
    return {"signatures": ["ab" * 64]}


def other_bytes(transaction: Transaction) -> dict[str, Any]:
    return {"raw_data": transaction.raw_data.SerializeToString().hex() + "00"}


@pytest.mark.parametrize("spoil", [other_expiry, foreign_signature, short_signature, other_bytes])
async def test_malformed_submissions_are_refused_and_not_stored(
    bench: Bench, spoil: Callable[[Transaction], dict[str, Any]]
) -> None:
    good, bad = bench.world.transfer(1), bench.world.transfer(2)
    requests = [request_for(good), request_for(bad).model_copy(update=spoil(bad))]
    with pytest.raises(NotATransaction):
        await bench.tracker.submit(requests)
    assert await bench.store.transaction_count() == 0


async def test_nothing_is_taken_before_the_chain_is_in_sight(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        with pytest.raises(NothingScanned):
            await bench.submit(world.transfer(1))


async def test_what_no_repeat_can_help_is_not_repeated(world: World, tmp_path: Path) -> None:
    def refuses(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/wallet/broadcasthex":
            return {**answer, "result": False, "code": "SIGERROR", "message": "no"}
        return answer

    async with benched(world, tmp_path, transport=SpoiledWire(world.devnet, refuses)) as bench:
        await bench.scan()
        taken = await bench.submit(world.transfer(5))
        assert taken.outcome is BroadcastOutcome.REJECTED
        assert taken.next_broadcast_ms is None


async def test_a_verdict_can_be_waited_for(bench: Bench) -> None:
    taken = await bench.submit(bench.world.transfer(5))
    await bench.mine()
    waiting = asyncio.create_task(bench.service.transactions.transaction(taken.id, wait_s=5))
    await bench.mine(BLOCKS_TO_SOLID)
    assert (await waiting).state == "confirmed"
    with pytest.raises(UnknownTransaction):
        await bench.service.transactions.transaction("ab" * 32, wait_s=0)
    assert [each.id for each in await bench.service.transactions.lookup(["ab" * 32, taken.id])] == [
        taken.id
    ]


async def test_a_rejection_after_an_unknown_stays_unknown(bench: Bench) -> None:
    """The first try may have been taken, whatever the second one is told."""
    taken = await bench.submit(bench.world.transfer(5))
    unknown = replace(taken, outcome=BroadcastOutcome.UNKNOWN)
    rejected = Outcome(outcome=BroadcastOutcome.REJECTED, code="TAPOS_ERROR")
    again = unknown.broadcast(rejected, now_ms=1, interval_ms=1)
    assert again.outcome is BroadcastOutcome.UNKNOWN
    accepted = taken.broadcast(rejected, now_ms=1, interval_ms=1)
    assert accepted.outcome is BroadcastOutcome.ACCEPTED
