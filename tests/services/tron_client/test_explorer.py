"""Reads of anybody's accounts, blocks and transactions: exact, bounded, and honest about their proof."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devnet.control.contract_orders import ContractOrders
from devnet.genesis import CUSTOMERS
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.service.explorer import NotOnChain, UnknownBlock
from services.tron_client.service.reads import Reads
from shared.access import Scope
from shared.errors import Unavailable
from shared.models.tron_client import CallRequest
from shared.tron.address import address_bytes, address_from_bytes
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    TOKEN,
    Bench,
    SpoiledWire,
    World,
    benched,
    text,
)
from tests.services.tron_client.calling import Caller, called


@pytest.fixture
async def caller(world: World, tmp_path: Path) -> AsyncIterator[Caller]:
    async with called(world, tmp_path) as caller:
        yield caller


async def test_a_block_is_found_by_height_and_by_id_and_says_how_far_it_is_proved(
    bench: Bench,
) -> None:
    txid = bench.world.pay_trx(5)
    await bench.mine(1)
    head = bench.sight.current().head
    found = await bench.service.explorer.block_at(head.height)
    assert found.body.anchor == head
    assert (found.is_verified, found.is_solid) == (True, False)
    assert [each.txid for each in found.body.transactions] == [txid]

    await bench.mine(BLOCKS_TO_SOLID + 1)
    same = await bench.service.explorer.block(head.block_id)
    assert (same.is_verified, same.is_solid) == (True, True)
    early = await bench.service.explorer.block_at(1)
    assert (early.is_verified, early.is_solid) == (False, False)


async def test_a_block_that_is_not_there_or_not_on_the_main_chain_is_unknown(
    bench: Bench, stranger: World
) -> None:
    with pytest.raises(UnknownBlock):
        await bench.service.explorer.block_at(10**9)
    other = stranger.devnet.node.chain.head
    for block_id in (other.block_id.hex(), "0" * 64, f"{1:016x}" + "ab" * 24):
        with pytest.raises(UnknownBlock):
            await bench.service.explorer.block(block_id)


async def test_a_transaction_of_anybody_is_decoded_with_its_receipt(bench: Bench) -> None:
    txid = bench.world.call("transfer", CUSTOMERS[5].key.address, 7)
    await bench.mine(1)
    found = await bench.service.explorer.transaction(txid)
    assert found.contract_type == "TriggerSmartContract"
    assert found.owner == bench.payer
    assert [each.amount_base_units for each in found.effect.transfers] == ["7"]
    assert (found.is_verified, found.is_solid) == (True, False)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert (await bench.service.explorer.transaction(txid)).is_solid
    with pytest.raises(NotOnChain):
        await bench.service.explorer.transaction("ab" * 32)


async def test_a_failed_transaction_says_why(bench: Bench) -> None:
    transaction = bench.world.failing_call()
    txid = bench.world.devnet.node.broadcast(transaction).txid.hex()
    await bench.mine(1)
    effect = (await bench.service.explorer.transaction(txid)).effect
    assert not effect.succeeded
    assert effect.result == "REVERT"


def _moved_up(answer: Any) -> Any:
    return answer and answer | {"blockNumber": answer["blockNumber"] - 1}


def _made_to_fail(answer: Any) -> Any:
    return answer and answer | {"receipt": answer["receipt"] | {"result": "REVERT"}}


def _renamed(answer: Any) -> Any:
    return answer and answer | {"id": "cd" * 32}


@pytest.mark.parametrize("lie", [_moved_up, _made_to_fail, _renamed])
async def test_a_receipt_that_does_not_fit_its_block_is_refused(
    world: World, tmp_path: Path, lie: Any
) -> None:
    wire = SpoiledWire(
        world.devnet,
        lambda path, _, answer: lie(answer) if path.endswith("infobyid") else answer,
    )
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        txid = world.call("transfer", CUSTOMERS[5].key.address, 7)
        await bench.mine(1)
        with pytest.raises(InconsistentBlock):
            await bench.service.explorer.transaction(txid)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "length"),
        ("nobody", "length"),
        ("TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdJ", "checksum"),
        ("TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYd0", "character"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "prefix"),
        ("0x" + "ab" * 20, "character"),
        ("42" + "ab" * 20, "character"),
        ("T" * 10_000, "length"),
    ],
)
async def test_what_is_no_address_is_told_why(bench: Bench, written: str, reason: str) -> None:
    check = await bench.service.reads.check(written)
    assert (check.address, check.reason) == (None, reason)


async def test_what_is_at_an_address_is_told(bench: Bench) -> None:
    payee = bench.world.to
    check = await bench.service.reads.check(payee)
    assert check.holder is not None
    assert check.is_watched
    assert (check.holder.is_activated, check.holder.is_contract) == (True, False)
    assert not check.holder.is_blacklisted

    ContractOrders(bench.world.devnet.teller).set_black_listed(
        bench.world.payee.address, listed=True
    )
    await bench.mine(1)
    check = await bench.service.reads.check(address_bytes(payee).hex())
    assert check.address == payee
    assert check.written_as == "hex"
    assert check.holder is not None
    assert check.holder.is_blacklisted

    contract = await bench.service.reads.check(TOKEN)
    assert contract.holder is not None
    assert contract.holder.is_contract
    zero = await bench.service.reads.check(address_from_bytes(bytes(20)))
    assert zero.is_zero
    assert zero.holder is not None
    assert not zero.holder.is_activated


async def test_an_address_is_checked_even_while_no_node_answers(
    world: World, tmp_path: Path
) -> None:
    wire = SpoiledWire(world.devnet, lambda *_: [])
    async with benched(world, tmp_path, transport=wire) as bench:
        check = await bench.service.reads.check(world.to)
        assert (check.address, check.holder) == (world.to, None)


async def test_several_accounts_come_with_their_usdt_in_the_order_asked_for(
    bench: Bench,
) -> None:
    nobody = address_from_bytes(bytes(19) + b"\x01")
    bench.world.pay_usdt(5)
    await bench.mine(1)
    rich, poor = await bench.service.reads.holdings([bench.world.to, nobody])
    assert (rich.account.address, rich.usdt) == (bench.world.to, 10_000_000_005)
    assert (poor.account.is_activated, poor.usdt) == (False, 0)


async def test_an_estimate_has_the_penalty_and_what_the_caller_has(bench: Bench) -> None:
    call = CallRequest(
        owner_address=bench.payer,
        contract_address=TOKEN,
        data="a9059cbb" + bench.world.payee.address[1:].hex().rjust(64, "0") + f"{5:064x}",
    )
    plain = await bench.service.reads.estimate(call)
    ContractOrders(bench.world.devnet.teller).set_energy_factor(10_000)
    await bench.mine(1)
    dear = await bench.service.reads.estimate(call)
    assert (plain.energy_factor, dear.energy_factor) == (34_000, 10_000)
    base = dear.answer.energy_used - dear.answer.energy_penalty
    assert base == plain.answer.energy_used - plain.answer.energy_penalty
    assert (plain.answer.energy_used, dear.answer.energy_used) == (64_285, 29_300)
    assert not dear.answer.is_reverted


@pytest.mark.parametrize("nonsense", [-1, True, "many", 1.5])
async def test_an_energy_factor_that_is_no_number_is_refused(
    world: World, tmp_path: Path, nonsense: Any
) -> None:
    def change(path: str, _: Any, answer: Any) -> Any:
        if path.endswith("getcontractinfo"):
            return answer | {"contract_state": {"energy_factor": nonsense}}
        return answer

    async with benched(world, tmp_path, transport=SpoiledWire(world.devnet, change)) as bench:
        call = CallRequest(owner_address=world.to, contract_address=TOKEN, data="313ce567")
        with pytest.raises(InconsistentBlock):
            await bench.service.reads.estimate(call)


class SilentUsdt:
    """A node whose USDT answers with nothing."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bench.node, name)

    async def call(self, **_: Any) -> Any:
        answer = await self._bench.node.call(
            owner=self._bench.payer, contract=TOKEN, data="00000000"
        )
        assert answer.is_reverted
        return answer


async def test_a_balance_that_usdt_does_not_tell_is_an_error_and_not_nothing(
    bench: Bench,
) -> None:
    silent: Any = SilentUsdt(bench)
    reads = Reads(node=silent, abi_reader=silent, usdt=TOKEN, is_watched=lambda _: False)
    with pytest.raises(Unavailable):
        await reads.holdings([bench.payer])


async def test_reads_over_http(caller: Caller) -> None:
    world = caller.world
    txid = world.pay_trx(5)
    world.mine()
    await caller.until_ready()
    found = await caller.read(f"/chain/transactions/{txid}")
    assert (found["contract_type"], found["verified"], found["solid"]) == (
        "TransferContract",
        True,
        False,
    )
    height, block_id = found["block"]["height"], found["block"]["block_id"]
    for path in (f"/chain/blocks/{height}", f"/chain/blocks/by-id/{block_id}"):
        block = await caller.read(path)
        assert (block["txids"], block["transaction_count"]) == ([txid], 1)
    parameters = await caller.read("/tron/network/parameters")
    values = {each["name"]: each["value"] for each in parameters["parameters"]}
    assert values["getEnergyFee"] == "100"
    assert parameters["age_ms"] >= 0

    check = await caller.read("/addresses/nobody")
    assert (check["valid"], check["reason"]) == (False, "length")
    check = await caller.read(f"/addresses/{world.to}")
    assert (check["activated"], check["usdt_blacklisted"]) == (True, False)

    body: dict[str, Any] = {"addresses": [world.to, text(world.payer.address)]}
    answer = await caller.ask("POST", "/accounts/lookup", Scope.CHAIN_READ, json=body)
    first = answer.json()["accounts"][0]
    assert (first["account"]["address"], first["usdt_base_units"]) == (world.to, "10000000000")
    assert first["account"]["permissions"]["owner"]["threshold"] == 1

    body = {"owner_address": world.to, "contract_address": TOKEN, "data": "313ce567"}
    answer = await caller.ask("POST", "/contracts/estimate", Scope.CHAIN_READ, json=body)
    estimate = answer.json()
    assert int(estimate["burned_sun"]) == 100 * estimate["energy_used"]
    assert estimate["prices_age_ms"] >= 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/chain/blocks/-1", None, 400),
        ("GET", "/chain/blocks/999999999", None, 404),
        ("GET", "/chain/blocks/by-id/short", None, 400),
        ("GET", "/chain/transactions/short", None, 400),
        ("GET", "/chain/transactions/" + "ab" * 32, None, 404),
        ("GET", "/addresses/" + "T" * 129, None, 400),
        ("POST", "/accounts/lookup", {"addresses": []}, 400),
        ("POST", "/accounts/lookup", {"addresses": [TOKEN] * 51}, 400),
        ("POST", "/contracts/estimate", {"data": "zz"}, 400),
    ],
)
async def test_reads_that_are_refused(
    caller: Caller, method: str, path: str, body: Any, status: int
) -> None:
    response = await caller.ask(method, path, Scope.CHAIN_READ, json=body)
    assert response.status_code == status, response.text
