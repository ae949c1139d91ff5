"""Real answers of a node with one thing changed: refused, or read as what they say, never a crash."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devnet.contracts.abi import address_word
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import CUSTOMERS
from services.tron_client.domain.accounts import account_view, read_account
from services.tron_client.domain.balances import read_balance
from services.tron_client.domain.blocks import Body, Receipt, paired
from services.tron_client.domain.effects import effect_of, receipt_view
from services.tron_client.domain.movements import transfer_logs
from services.tron_client.domain.parameters import Parameters
from services.tron_client.domain.parameters import read_parameters as pick_parameters
from services.tron_client.domain.witnesses import Roll, signer_of
from services.tron_client.node import client, reading
from services.tron_client.node.client import CallAnswer
from services.tron_client.node.outcomes import Accepted, BroadcastResult, Rejected, read_outcome
from services.tron_client.node.witnesses import read_roll
from shared.errors import Unavailable
from shared.tron.address import Address, address_bytes
from tests.services.tron_client import staking
from tests.services.tron_client.bench import World, new_world, text
from tests.services.tron_client.spoiling import INT64_MAX, Pick, Spoiled, one_of, spoil
from tests.services.tron_client.test_scanning_transfers import pay_internally

pytestmark = pytest.mark.property

T = TypeVar("T")

EXAMPLES = settings(
    max_examples=600,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
UINT256_MAX = 2**256 - 1


@dataclass
class Recorded:
    """What a devnet's node has answered.

    Attributes:
        bodies: of blocks with every kind of transaction that moves money, with their receipts.
        account: of somebody with stakes, votes and permissions, with its resources.
    """

    bodies: list[tuple[dict[str, Any], list[dict[str, Any]]]]
    headers: list[dict[str, Any]]
    account: tuple[dict[str, Any], dict[str, Any]]
    parameters: dict[str, Any]
    balance: dict[str, Any]
    witnesses: dict[str, Any]
    witness_accounts: dict[str, dict[str, Any]]
    maintenance: dict[str, Any]
    accepted: dict[str, Any]
    rejected: dict[str, Any]


@dataclass
class _Recorder:
    world: World
    http: httpx.AsyncClient

    async def ask(self, path: str, **payload: Any) -> Any:
        return (await self.http.post(path, json=payload)).json()

    async def block(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        height = self.world.devnet.node.chain.head.number
        return (
            await self.ask("/wallet/getblockbynum", num=height),
            await self.ask("/wallet/gettransactioninfobyblocknum", num=height),
        )

    async def broadcast(self, transaction: Any) -> Any:
        return await self.ask(
            "/wallet/broadcasthex", transaction=transaction.SerializeToString().hex()
        )

    async def record(self) -> Recorded:
        world, bodies = self.world, []
        payer = {"address": world.payer.address.hex()}
        world.devnet.node.saves_internal = True
        staking.earn(world)
        accepted = await self.broadcast(staking.claim(world))
        rejected = await self.broadcast(staking.withdraw(world))
        world.mine()
        bodies.append(await self.block())
        world.pay_trx(5)
        world.pay_usdt(7)
        world.devnet.node.broadcast(world.failing_call())
        pay_internally(world, 11)
        world.mine()
        bodies.append(await self.block())
        staking.carry_out(world, staking.unfreeze(world, 5))
        staking.carry_out(world, staking.cancel(world))
        bodies.append(await self.block())
        staking.carry_out(world, staking.unfreeze(world, 5))
        witnesses = await self.ask("/wallet/listwitnesses")
        return Recorded(
            bodies=bodies,
            headers=[await self.ask("/walletsolidity/getnowblock"), bodies[0][0]],
            account=(
                await self.ask("/wallet/getaccount", **payer),
                await self.ask("/wallet/getaccountresource", **payer),
            ),
            parameters=await self.ask("/wallet/getchainparameters"),
            balance=await self.ask(
                "/wallet/triggerconstantcontract",
                owner_address=payer["address"],
                contract_address=USDT_CONTRACT_ADDRESS.hex(),
                data="70a08231" + address_word(world.payer.address).hex(),
            ),
            witnesses=witnesses,
            witness_accounts={
                each["address"]: await self.ask("/wallet/getaccount", address=each["address"])
                for each in witnesses["witnesses"]
            },
            maintenance=await self.ask("/wallet/getnextmaintenancetime"),
            accepted=accepted,
            rejected=rejected,
        )


async def _record() -> Recorded:
    world = new_world()
    try:
        transport = httpx.ASGITransport(app=world.devnet.node_app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
            return await _Recorder(world, http).record()
    finally:
        world.devnet.node.chain.close()


@functools.cache
def told() -> Recorded:
    """Return the same answers to every test; none changes them."""
    return asyncio.run(_record())


def by(data: st.DataObject) -> Pick:
    return lambda below: data.draw(st.integers(0, below - 1))


def read_or_refuse(read: Callable[[], T]) -> T | None:
    """Return what is read, None when it is refused as it should be; everything else is a crash."""
    try:
        return read()
    except Unavailable:
        return None


def note_of(change: Spoiled) -> str:
    return f"{change.path}: {change.before!r} -> {change.after!r}"


def whole_body(answer: Any, height: int) -> Body | None:
    """Read a body as the scan does: every id recomputed, every transaction under the root."""
    body = reading.read_block(answer, height=height)
    if body is not None:
        reading.check_root(answer)
    return body


@EXAMPLES
@given(data=st.data())
def test_h8_h9_nothing_in_a_body_can_be_changed_but_by_a_signature_of_nobody(
    data: st.DataObject,
) -> None:
    """Ids name the header, the root names the transactions, and a signature names its signer."""
    answer, _ = one_of(by(data), told().bodies)
    height = answer["block_header"]["raw_data"]["number"]
    honest = whole_body(answer, height)
    assert honest is not None
    change = spoil(by(data), answer)
    body = read_or_refuse(lambda: whole_body(change.answer, height))
    if body is None:
        return
    assert replace(body, seal=honest.seal) == honest, note_of(change)
    assert body.seal.header == honest.seal.header
    signer = read_or_refuse(lambda: signer_of(body.seal))
    if signer == signer_of(honest.seal):
        assert body.seal.signature[:64] == honest.seal.signature[:64]


@EXAMPLES
@given(data=st.data())
def test_h8_a_header_is_read_as_it_was_or_not_at_all(data: st.DataObject) -> None:
    answer = one_of(by(data), told().headers)
    change = spoil(by(data), answer)
    anchor = read_or_refuse(lambda: reading.read_anchor(change.answer))
    assert anchor in {None, reading.read_anchor(answer)}, note_of(change)


def amounts_of(receipt: Receipt) -> list[int]:
    return [
        receipt.fee_sun,
        receipt.energy_used,
        receipt.energy_fee_sun,
        receipt.bandwidth_used,
        receipt.bandwidth_fee_sun,
        receipt.claimed_sun,
        receipt.withdrawn_sun,
        receipt.restaked_sun,
        *(each.amount_sun for each in receipt.internal),
    ]


def require_possible(receipt: Receipt, why: str) -> None:
    """Whatever a receipt says could have happened, and can be told."""
    assert all(type(each) is int and 0 <= each <= INT64_MAX for each in amounts_of(receipt)), why
    assert all(0 <= log.value <= UINT256_MAX for _, log in transfer_logs(receipt)), why
    assert receipt_view(effect_of(receipt)).result, why


@EXAMPLES
@given(data=st.data())
def test_h8_receipts_say_what_is_possible_or_are_refused(data: st.DataObject) -> None:
    """A number that turned into something else is no zero, and another block's receipt is none."""
    body_answer, answer = one_of(by(data), told().bodies)
    body = reading.read_block(body_answer)
    assert body is not None
    honest = paired(body, reading.read_receipts(answer))
    change = spoil(by(data), answer)
    found = read_or_refuse(lambda: paired(body, reading.read_receipts(change.answer)))
    if found is None:
        return
    for executed in found.executed:
        require_possible(executed.receipt, note_of(change))
    if change.after is not None and not change.keeps_type:
        assert found == honest, note_of(change)


@EXAMPLES
@given(data=st.data())
def test_one_receipt_says_what_is_possible_or_is_refused(data: st.DataObject) -> None:
    answer = one_of(by(data), [each for _, all_ in told().bodies for each in all_])
    change = spoil(by(data), answer)
    found = read_or_refuse(lambda: reading.read_receipt(change.answer))
    if found is None:
        return
    require_possible(found, note_of(change))
    if change.after is not None and not change.keeps_type:
        assert found == reading.read_receipt(answer), note_of(change)


@EXAMPLES
@given(data=st.data())
def test_an_account_is_read_as_what_it_says_or_refused(data: st.DataObject) -> None:
    owner = CUSTOMERS[0].key
    which = one_of(by(data), [0, 1])
    answers = list(told().account)
    honest = read_account(text(owner.address), *answers)
    change = spoil(by(data), answers[which])
    answers[which] = change.answer
    found = read_or_refuse(lambda: read_account(text(owner.address), answers[0], answers[1]))
    if found is None:
        return
    assert account_view(found).address == text(owner.address)
    stakes = (*found.frozen, *found.unfreezing, *found.delegated, *found.received)
    amounts: list[int] = [found.balance_sun, *(each.amount_sun for each in stakes)]
    amounts += [found.energy_limit, found.energy_used]
    assert all(0 <= each <= INT64_MAX for each in amounts), note_of(change)
    if change.after is not None and not change.keeps_type:
        assert found == honest, note_of(change)


@EXAMPLES
@given(data=st.data())
def test_a_balance_is_read_as_what_it_says_or_refused(data: st.DataObject) -> None:
    owner = text(CUSTOMERS[0].key.address)
    answer, _ = told().account
    change = spoil(by(data), {"balance": answer["balance"]})
    if not change.path:
        return
    found = read_or_refuse(lambda: read_balance(owner, change.answer, usdt_micro=7, height=5))
    if found is None:
        return
    expected = 0 if change.after is None else change.after
    assert (type(expected), found.trx_sun) == (int, expected), note_of(change)
    assert 0 <= found.trx_sun <= INT64_MAX


@EXAMPLES
@given(data=st.data())
def test_a_parameter_that_is_no_number_is_not_a_price_of_nothing(data: st.DataObject) -> None:
    def read(answer: Any) -> tuple[dict[str, int], Parameters]:
        values = reading.read_parameters(answer)
        return dict(values), pick_parameters(values, now_ms=0)

    honest = read(told().parameters)
    change = spoil(by(data), told().parameters)
    found = read_or_refuse(lambda: read(change.answer))
    if found is None:
        return
    assert all(abs(each) <= INT64_MAX for each in found[0].values()), note_of(change)
    if change.after is not None and not change.keeps_type:
        assert found == honest, note_of(change)


def answered(answer: Any) -> CallAnswer | None:
    return read_or_refuse(
        lambda: client.read_call(reading.convert(answer, dict[str, Any], what=""))
    )


@EXAMPLES
@given(data=st.data())
def test_a_call_gives_bytes_or_nothing(data: st.DataObject) -> None:
    change = spoil(by(data), told().balance)
    found = answered(change.answer)
    if found is None:
        return
    assert bytes.fromhex(found.output) is not None
    assert 0 <= found.energy_used <= INT64_MAX, note_of(change)
    assert found.reason() is None or found.is_reverted
    if change.after is not None and not change.keeps_type:
        honest = answered(told().balance)
        assert honest is not None
        is_same = (found.output, found.energy_used) == (honest.output, honest.energy_used)
        assert is_same or found.is_reverted, note_of(change)


class ToldWitnesses:
    """A node that tells of witnesses as it was told to."""

    def __init__(self, recorded: Recorded, **spoiled_answers: Any) -> None:
        self._recorded = recorded
        self._spoiled = spoiled_answers

    async def account(self, address: str) -> Any:
        raw = address_bytes(Address(address)).hex()
        return self._spoiled.get(raw, self._recorded.witness_accounts.get(raw, {}))

    async def read_raw(self, path: str, _: Any) -> Any:
        name = path.rpartition("/")[2]
        honest = {
            "listwitnesses": self._recorded.witnesses,
            "getnextmaintenancetime": self._recorded.maintenance,
        }
        return self._spoiled.get(name, honest[name])


def roll_of(node: ToldWitnesses) -> Roll | None:
    return read_or_refuse(lambda: asyncio.run(read_roll(node)))


@EXAMPLES
@given(data=st.data())
def test_h9_a_roll_of_witnesses_is_read_or_refused(data: st.DataObject) -> None:
    first = next(iter(told().witness_accounts))
    honest = {
        "listwitnesses": told().witnesses,
        "getnextmaintenancetime": told().maintenance,
        first: told().witness_accounts[first],
    }
    name = one_of(by(data), list(honest))
    change = spoil(by(data), honest[name])
    found = roll_of(ToldWitnesses(told(), **{name: change.answer}))
    expected = roll_of(ToldWitnesses(told()))
    if found is None or found == expected:
        return
    assert expected is not None
    assert len(found.active ^ expected.active) <= 2, note_of(change)
    assert abs(found.next_maintenance_ms) <= INT64_MAX, note_of(change)


@EXAMPLES
@given(data=st.data())
def test_no_answer_to_a_broadcast_becomes_a_certainty_by_a_slip(data: st.DataObject) -> None:
    """What was taken is not refused for one wrong value, and the other way round."""
    honest = one_of(by(data), [told().accepted, told().rejected])
    txid, change = honest["txid"], spoil(by(data), honest)
    if not isinstance(change.answer, dict):
        return
    before: BroadcastResult = read_outcome(honest, txid=txid)
    after = read_outcome(change.answer, txid=txid)
    if isinstance(before, Accepted):
        assert not isinstance(after, Rejected), note_of(change)
    else:
        assert isinstance(before, Rejected)
        assert not isinstance(after, Accepted), note_of(change)
