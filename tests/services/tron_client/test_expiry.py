"""Expiry: said only of what every block that could hold it was searched for (hazard H1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devnet.chain_pb2 import Transaction
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.transactions import Tracked
from services.tron_client.store.schema import TRANSACTION_FEED, TRANSACTIONS
from services.tron_client.tracker.expiry import UNPROVABLE
from shared.models.tron_transactions import BroadcastOutcome
from shared.storage import Unit
from shared.tron.blocks import BlockHeader, block_id, transaction_leaf, transaction_root
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    Wire,
    World,
    benched,
    lost,
    operator_of,
)

_SUCCEEDED = Transaction(ret=[Transaction.Result(contractRet=Transaction.Result.SUCCESS)])

EXPIRY_BLOCKS = 22
"""A minute of blocks and some."""


async def test_h1_a_transaction_that_never_came_is_expired(bench: Bench) -> None:
    taken = await lost(bench)
    await bench.mine(EXPIRY_BLOCKS)
    await bench.tracker.expire()
    assert await bench.fate(taken) == "pending"  # its time is over, but not yet in a solid block

    await bench.mine(BLOCKS_TO_SOLID)
    await bench.tracker.expire()
    assert await bench.fate(taken) == "expired"
    assert await bench.verdict_events() == ["transaction.expired"]
    assert bytes.fromhex(taken) in bench.sight.txids


async def test_h1_a_lagging_solid_tree_proves_nothing(world: World, tmp_path: Path) -> None:
    def lagging(path: str, _asked: Any, answer: Any) -> Any:
        return earlier if path == "/walletsolidity/getnowblock" else answer

    wire = SpoiledWire(world.devnet, lagging)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        taken = await lost(bench)
        earlier = await bench.node.read_raw("/walletsolidity/getnowblock", {})
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        wire.is_spoiled = True
        await bench.tracker.expire()
        assert await bench.fate(taken) == "pending"


@pytest.mark.parametrize("receipt_is_denied", [False, True])
async def test_h1_blocks_before_the_submission_are_searched(
    world: World, tmp_path: Path, *, receipt_is_denied: bool
) -> None:
    """It was in a block before it came here, as after a restore."""

    def deny(path: str, _asked: Any, answer: Any) -> Any:
        return {} if path == "/walletsolidity/gettransactioninfobyid" else answer

    wire = SpoiledWire(world.devnet, deny)
    wire.is_spoiled = receipt_is_denied
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        transaction = world.transfer(5)
        world.devnet.node.broadcast(transaction)
        await bench.mine(2)
        taken = await bench.submit(transaction)
        assert taken.outcome is BroadcastOutcome.UNKNOWN
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        assert await bench.fate(taken.id) == "pending"
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "confirmed"


async def test_h1_a_search_with_holes_proves_nothing(world: World, tmp_path: Path) -> None:
    def holed(path: str, _asked: Any, answer: Any) -> Any:
        return {} if path == "/walletsolidity/getblockbylimitnext" else answer

    async with benched(world, tmp_path, transport=SpoiledWire(world.devnet, holed)) as bench:
        await bench.scan()
        taken = await lost(bench)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        with pytest.raises(InconsistentBlock):
            await bench.tracker.expire()
        assert await bench.fate(taken) == "pending"


async def test_h1_an_expired_transaction_that_comes_after_all_raises_an_alarm(
    bench: Bench,
) -> None:
    """No honest chain does this; a verdict given too early would look like it."""
    transaction = bench.world.transfer(5)
    taken = await bench.submit(transaction)
    known = await bench.store.transaction(taken.id)
    assert known is not None
    await bench.store.storage.commit(Unit().update(TRANSACTIONS, known.expired()))
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.verdict_events() == ["alarm.expired_transaction_on_chain"]
    assert await bench.fate(taken.id) == "expired"
    await bench.service.announcer.announce()
    assert "although it had expired" in (bench.service.alarms.reason() or "")


async def test_h1_blocks_from_before_the_scan_are_searched_before_anything_is_expired(
    world: World, tmp_path: Path
) -> None:
    transaction = world.transfer(5)
    world.mine(BLOCKS_TO_SOLID + 2)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        world.drop()
        taken = await bench.submit(transaction)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "expired"


@pytest.mark.parametrize("receipt_is_denied", [False, True])
async def test_h1_a_transaction_from_before_the_scan_is_found(
    world: World, tmp_path: Path, *, receipt_is_denied: bool
) -> None:
    def deny(path: str, _asked: Any, answer: Any) -> Any:
        return {} if path == "/walletsolidity/gettransactioninfobyid" else answer

    wire = SpoiledWire(world.devnet, deny)
    wire.is_spoiled = receipt_is_denied
    transaction = world.transfer(5)
    world.devnet.node.broadcast(transaction)
    world.mine(BLOCKS_TO_SOLID + 2)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        taken = await bench.submit(transaction)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "confirmed"


async def test_h1_blocks_from_before_the_scan_must_lead_to_those_that_are_held(
    world: World, tmp_path: Path
) -> None:
    """A node that leaves the block of a transaction out of its past is caught by the parent hashes."""

    def another_past(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/walletsolidity/getblockbylimitnext":
            blocks = answer["block"]
            is_past = [_height(each) == hidden for each in blocks]
            if any(is_past):
                return {"block": [each for each in blocks if _height(each) != hidden]}
        return {} if path == "/walletsolidity/gettransactioninfobyid" else answer

    transaction = world.transfer(5)
    world.devnet.node.broadcast(transaction)
    world.mine()
    hidden = world.devnet.node.chain.head.number
    world.mine(BLOCKS_TO_SOLID + 2)
    wire = SpoiledWire(world.devnet, another_past)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        taken = await bench.submit(transaction)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        wire.is_spoiled = True
        with pytest.raises(InconsistentBlock):
            await bench.tracker.expire()
        assert await bench.fate(taken.id) == "pending"


async def test_h5_a_transaction_that_is_ahead_of_a_restored_scan_is_judged(bench: Bench) -> None:
    """It refers to a block that was not scanned again yet when it was handed over once more."""
    bench.world.mine(BLOCKS_TO_SOLID + 5)
    taken = await lost(bench)
    await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
    await bench.tracker.expire()
    assert await bench.fate(taken) == "expired"


async def test_h1_a_transaction_of_another_fork_waits_for_a_person(bench: Bench) -> None:
    """Its reference block is on no chain that was scanned: nothing about it can be shown."""
    bench.world.drop()
    transaction = bench.world.transfer(5)
    transaction.raw_data.ref_block_hash = bytes(8)
    taken = await bench.submit(bench.world.signed(transaction))
    await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
    await bench.tracker.expire()
    assert await bench.fate(taken.id) == "pending"
    assert (UNPROVABLE, taken.id) in bench.alarms.open


async def test_h1_two_operators_bear_an_expiry_out(world: World, tmp_path: Path) -> None:
    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        await bench.scan()
        await lost(bench)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        await bench.tracker.expire()
        (expired,) = await bench.told(TRANSACTION_FEED)
        assert (expired.type, expired.object["operators"]) == ("transaction.expired", 2)


@pytest.mark.parametrize("silence", [{}, {"Error": "lack of computing resources"}])
async def test_h1_without_a_second_operators_word_nothing_is_expired(
    world: World, tmp_path: Path, silence: dict[str, str]
) -> None:
    def silent(_path: str, _asked: Any, answer: Any) -> Any:
        return silence if _path.startswith("/walletsolidity") else answer

    wire = SpoiledWire(world.devnet, silent)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        await bench.scan()
        taken = await lost(bench)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        await bench.tracker.expire()
        assert await bench.fate(taken) == "pending"
        wire.is_spoiled = False
        await bench.mine(2)
        await bench.tracker.expire()
        assert await bench.fate(taken) == "expired"


async def test_h1_a_second_operator_that_is_away_for_days_wedges_nothing(
    world: World, tmp_path: Path
) -> None:
    """Blocks that are let go of meanwhile are those that no verdict waits for."""

    def silent(path: str, _asked: Any, answer: Any) -> Any:
        return {} if path.startswith("/walletsolidity") else answer

    wire = SpoiledWire(world.devnet, silent)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}, held_blocks=20) as bench,
    ):
        await bench.scan()
        taken = await lost(bench)
        await bench.mine(150)
        await bench.tracker.expire()
        assert await bench.fate(taken) == "pending"
        wire.is_spoiled = False
        await bench.mine(2)
        await bench.tracker.expire()
        assert await bench.fate(taken) == "expired"
        await bench.mine(60)
        assert await bench.store.block_at(bench.sight.current().start.height) is None


async def test_h1_a_second_operator_that_lags_is_waited_for(world: World, tmp_path: Path) -> None:
    def lagging(path: str, _asked: Any, answer: Any) -> Any:
        return earlier if path == "/walletsolidity/getnowblock" else answer

    wire = SpoiledWire(world.devnet, lagging)
    wire.is_spoiled = False
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        await bench.scan()
        taken = await lost(bench)
        earlier = await other.read_raw("/walletsolidity/getnowblock", {})
        wire.is_spoiled = True
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        await bench.tracker.expire()
        assert await bench.fate(taken) == "pending"


async def test_h1_what_one_operator_hides_another_tells(world: World, tmp_path: Path) -> None:
    """The followed node leaves the transaction out of what it says of single transactions."""

    def deny(path: str, _asked: Any, answer: Any) -> Any:
        return {} if path == "/walletsolidity/gettransactioninfobyid" else answer

    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(
            world, tmp_path, transport=SpoiledWire(world.devnet, deny), others={"other": other}
        ) as bench,
    ):
        await bench.scan()
        transaction = world.transfer(5)
        world.devnet.node.broadcast(transaction)
        await bench.mine(2)
        taken = await bench.submit(transaction)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "confirmed"


@pytest.mark.parametrize("height", [5, 40])
async def test_h9_a_block_that_one_operator_invents_holds_nothing(
    world: World, tmp_path: Path, height: int
) -> None:
    """Below the scan nobody holds a block to compare with, above its start the held one is right."""
    world.mine(30)
    wire = WireToAnInventedBlock(world, height)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        await bench.scan()
        taken = await lost(bench)
        apart = await bench.submit(world.transfer(6), send_key="test:two:0")
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        wire.held = await bench.store.transaction(taken)
        await bench.tracker.expire()
        assert await bench.fate(taken) == "pending"
        assert (UNPROVABLE, taken) in bench.alarms.open
        assert await bench.fate(apart.id) == "expired"


async def test_h1_operators_of_two_chains_prove_nothing(
    world: World, stranger: World, tmp_path: Path
) -> None:
    async with (
        operator_of(Wire(stranger.devnet)) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        await bench.scan()
        taken = await lost(bench)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        with pytest.raises(InconsistentBlock):
            await bench.tracker.expire()
        assert await bench.fate(taken) == "pending"


class WireToAnInventedBlock(Wire):
    """Has a solid block of its own at a height, with a transaction that is nowhere else."""

    def __init__(self, world: World, height: int) -> None:
        super().__init__(world.devnet)
        self.held: Tracked | None = None
        self._asked = {"num": height}
        self._time_ms = 0

    def change(self, path: str, asked: Any, answer: Any) -> Any:
        if self.held is None:
            return answer
        receipt = {
            "id": self.held.id,
            "blockNumber": self._asked["num"],
            "blockTimeStamp": self._time_ms,
            "receipt": {},
        }
        match path.removeprefix("/walletsolidity/"):
            case "gettransactioninfobyid" if asked == {"value": self.held.id}:
                return receipt
            case "gettransactioninfobyblocknum" if asked == self._asked:
                return [receipt]
            case "getblockbynum" if asked == self._asked:
                return self._invented(answer, self.held)
        return answer

    def _invented(self, block: dict[str, Any], held: Tracked) -> dict[str, Any]:
        header = block["block_header"]["raw_data"]
        self._time_ms = header["timestamp"]
        leaf = transaction_leaf(held.signed_bytes() + _SUCCEEDED.SerializeToString())
        header["txTrieRoot"] = transaction_root([leaf]).hex()
        held_there = {
            "txID": held.id,
            "raw_data_hex": held.raw_data,
            "signature": list(held.signatures),
            "ret": [{"contractRet": "SUCCESS"}],
        }
        id_ = block_id(BlockHeader.from_json(header))
        return {**block, "blockID": id_, "transactions": [held_there]}


def _height(block: dict[str, Any]) -> int:
    return int(block["block_header"]["raw_data"].get("number", 0))
