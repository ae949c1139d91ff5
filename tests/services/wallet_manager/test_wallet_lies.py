"""H2, H9: a tron-client that lies gets no signature on anything but the intent, whatever the lie."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.clock import HeldClock
from shared.errors import Unavailable
from shared.models.tron_client import (
    CallRequest,
    CallView,
    PermissionKeyView,
    PermissionsView,
    PermissionView,
    SigningContextView,
    TransferView,
)
from shared.models.tron_transactions import (
    BroadcastOutcome,
    SignedTransaction,
    SubmittedView,
    TransactionState,
)
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.tron.address import Address
from shared.tron.decoding import decode_raw_data
from shared.tron.operation import TransferTrc20
from shared.tron.signing import recover_address
from tests.services.wallet_manager.till import (
    CUSTOMER,
    FACTS_HERE,
    LIFETIME_MS,
    STRANGER,
    TRX,
    USDT,
    Chain,
    Till,
    block,
    fate,
    intent,
    open_storage,
    page,
    rules,
    till_on,
    transfer,
    vault,
)
from tests.support import START_MS

Context = SigningContextView


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """One lie, told by changing what an honest tron-client would say."""

    name: str
    context: Callable[[Context], dict[str, Any]] = lambda _: {}
    prices: tuple[tuple[str, int], ...] = ()
    call: tuple[tuple[str, Any], ...] = ()


def later(context: Context, field: str, by_ms: int) -> dict[str, Any]:
    told = getattr(context, field)
    return {field: told.model_copy(update={"timestamp_ms": told.timestamp_ms + by_ms})}


def named(height: int, block_id: str) -> Callable[[Context], dict[str, Any]]:
    told = block(height).model_copy(update={"block_id": block_id})
    return lambda _: {"reference": told}


REFUSED = [
    Lie(name="another chain", context=lambda _: {"genesis_block_id": "0" * 64}),
    Lie(
        name="mainnet's genesis",
        context=lambda _: {"genesis_block_id": FACTS_HERE.genesis_block_id[::-1]},
    ),
    Lie(name="a head of the future", context=lambda one: later(one, "head", 20 * 3_600_000)),
    Lie(name="a head of the past", context=lambda one: later(one, "head", -61_000)),
    Lie(name="a negative head time", context=lambda one: later(one, "head", -2 * START_MS)),
    Lie(
        name="a second operator far ahead",
        context=lambda _: {"second_head_timestamp_ms": START_MS + 60_001},
    ),
    Lie(name="paused", context=lambda _: {"paused": "no verdict could be paid for"}),
    Lie(name="a reference above the head", context=lambda _: {"reference": block(10**9)}),
    Lie(name="a reference above what is solid", context=lambda _: {"reference": block(90)}),
    Lie(name="a reference long forgotten", context=lambda _: {"head": block(80 + 65_536)}),
    Lie(name="a reference below zero", context=lambda _: {"reference": block(-1)}),
    Lie(name="a reference without an id", context=named(80, "")),
    Lie(name="a reference of other digits", context=named(80, "zz" * 32)),
    Lie(name="a reference of another height", context=named(80, f"{79:016x}" + "ab" * 24)),
    Lie(name="energy for nothing", prices=(("energy_fee_sun", 0),)),
    Lie(name="energy at a negative price", prices=(("energy_fee_sun", -100),)),
    Lie(name="energy at a fortune", prices=(("energy_fee_sun", 10**9),)),
    Lie(name="bandwidth for nothing", prices=(("bandwidth_fee_sun", 0),)),
    Lie(name="bandwidth at a fortune", prices=(("bandwidth_fee_sun", 10**9),)),
    Lie(name="activation at a negative price", prices=(("activation_fee_sun", -1),)),
    Lie(name="activation at a fortune", prices=(("activation_fee_sun", 10**12),)),
    Lie(name="its bandwidth at a fortune", prices=(("activation_bandwidth_fee_sun", 10**12),)),
    Lie(name="a memo at a negative price", prices=(("memo_fee_sun", -1),)),
    Lie(name="signatures at a fortune", prices=(("multi_sign_fee_sun", 10**9),)),
    Lie(name="signatures at a negative price", prices=(("multi_sign_fee_sun", -1),)),
    Lie(name="permissions at a fortune", prices=(("permission_update_fee_sun", 10**12),)),
    Lie(name="no fee limit allowed", prices=(("max_fee_limit_sun", 0),)),
    Lie(name="any fee limit allowed", prices=(("max_fee_limit_sun", 2**63),)),
    Lie(name="no energy used", call=(("energy_used", 0),)),
    Lie(name="energy below any transfer's", call=(("energy_used", 4_999),)),
    Lie(name="negative energy", call=(("energy_used", -65_000),)),
    Lie(name="energy without end", call=(("energy_used", 2**62),)),
    Lie(name="energy above the ceiling", call=(("energy_used", 9_999_999),)),
    Lie(name="a revert", call=(("reverted", True),)),
]


class Liar(Chain):
    """Tells lies for as long as it has one.

    Attributes:
        lie: the one that is told.
        missing: how many answers to simulations are missing, or too many if below zero.
        submitted: what it says of submissions instead of the truth.
    """

    def __init__(self, clock: HeldClock) -> None:
        super().__init__(clock)
        self.lie: Lie | None = None
        self.missing = 0
        self.submitted: list[SubmittedView] | None = None

    async def signing_context(self) -> SigningContextView:
        told = await super().signing_context()
        if self.lie is None:
            return told
        prices = told.parameters.model_copy(update=dict(self.lie.prices))
        return told.model_copy(update={"parameters": prices} | self.lie.context(told))

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        answers = await super().call_contracts(calls)
        changes = dict(self.lie.call) if self.lie else {}
        told = [one.model_copy(update=changes) for one in answers]
        return told[self.missing :] if self.missing >= 0 else told * 2

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        answers = await super().submit(transactions)
        return answers if self.submitted is None else self.submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    till: Till
    liar: Liar

    async def signs(self) -> bool:
        """Let a round run; True when it signed something."""
        with contextlib.suppress(Unavailable):
            await self.till.sender.sign_due()
        return await self.till.store.count(SendState.QUEUED) == 0


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    storage = await open_storage(tmp_path)
    clock = HeldClock(START_MS)
    liar = Liar(clock)
    till = till_on(
        storage, clock=clock, chain=liar, vault=vault(), ids=itertools.count(1), rules=rules()
    )
    await till.begins()
    await till.treasury()
    yield Desk(till=till, liar=liar)
    await storage.close()


@pytest.mark.parametrize("lie", REFUSED, ids=lambda one: one.name)
async def test_h9_a_lie_gets_no_signature_and_the_truth_does(desk: Desk, lie: Lie) -> None:
    await desk.till.taken(intent())
    desk.liar.lie = lie
    assert not await desk.signs()
    assert (await desk.till.position(treasury_of(desk), Currency.USDT)).held == 0
    desk.liar.lie = None
    desk.till.clock.advance(seconds=4)
    assert await desk.signs()


@pytest.mark.parametrize("missing", [1, -1])
async def test_h9_answers_that_do_not_match_their_questions_get_no_signature(
    desk: Desk, missing: int
) -> None:
    await desk.till.taken(intent())
    desk.liar.missing = missing
    with pytest.raises(ValueError, match="zip"):
        await desk.till.sender.sign_due()
    assert await desk.till.store.count(SendState.QUEUED) == 1


BELIEVED = [
    Lie(name="a reference nobody has", context=named(80, f"{80:016x}" + "ab" * 24)),
    Lie(name="dear energy", prices=(("energy_fee_sun", 900),)),
    Lie(name="much energy", call=(("energy_used", 500_000),)),
    Lie(name="a penalty below zero", call=(("energy_penalty", -(10**9)),)),
    Lie(name="a result that promises a fortune", call=(("result", "ff" * 32),)),
]


@pytest.mark.parametrize("lie", BELIEVED, ids=lambda one: one.name)
async def test_h9_what_cannot_be_seen_through_costs_no_more_than_the_ceiling_and_pays_nobody_else(
    desk: Desk, lie: Lie
) -> None:
    desk.liar.lie = lie
    send = await desk.till.signed(intent(max_fee_sun=100 * TRX))
    (attempt,) = await desk.till.attempts(send)
    said = decode_raw_data(bytes.fromhex(attempt.raw_data))
    assert said.operation == TransferTrc20(
        owner=send.owner, contract=USDT, to=CUSTOMER, amount=25 * TRX
    )
    assert 0 < said.fee_limit_sun <= send.hold.trx_sun <= 100 * TRX
    assert said.expiration_ms <= START_MS + 600_000


async def test_h15_a_node_that_promises_money_opens_no_purse(desk: Desk) -> None:
    owner = treasury_of(desk)
    for currency in Currency:
        desk.liar.holdings[owner, currency] = 10**15
    send = await desk.till.signed(intent(amount=1_001 * TRX))
    assert send.waiting_for is not None
    assert send.waiting_for.startswith("insufficient funds: 1001 USDT needed, 1000 USDT")


async def test_h9_an_account_whose_permissions_are_forged_is_still_signed_for_by_its_own_key_alone(
    desk: Desk,
) -> None:
    forged = PermissionView(
        permission_id=0,
        name="owner",
        threshold=1,
        operations=None,
        keys=[PermissionKeyView(address=STRANGER, weight=1)],
    )
    desk.liar.permissions = PermissionsView(owner=forged, witness=None, active=[])
    send = await desk.till.signed(intent())
    (attempt,) = await desk.till.attempts(send)
    signature = bytes.fromhex(attempt.signature)
    assert recover_address(bytes.fromhex(attempt.id), signature) == send.owner


async def test_h18_a_token_that_is_not_the_configured_one_is_never_signed_for(desk: Desk) -> None:
    (result,) = await desk.till.accept(intent(contract=STRANGER))
    assert result.problem is not None
    assert result.problem.facts["rule"] == "contract"


async def test_h1_what_is_told_to_have_expired_before_its_time_keeps_its_hold_and_is_not_signed_anew(
    desk: Desk,
) -> None:
    till = desk.till
    send = await till.submitted(intent())
    till.clock.advance(milliseconds=LIFETIME_MS - 1)
    told = page([fate(send, TransactionState.EXPIRED)], next_="a.9")
    with pytest.raises(Unavailable):
        await till.books.apply_verdicts(told)
    await till.sender.sign_due()
    assert await till.read(send.send_key) == send
    assert (await till.position(send.owner, Currency.USDT)).held == 25 * TRX

    till.clock.advance(milliseconds=1)
    await till.books.apply_verdicts(told)
    await till.sender.sign_due()
    assert (await till.read(send.send_key)).attempt == 2


async def test_an_answer_about_what_was_never_handed_over_settles_nothing(desk: Desk) -> None:
    foreign = SubmittedView(txid="ab" * 32, outcome=BroadcastOutcome.ACCEPTED)
    desk.liar.submitted = [foreign]
    send = await desk.till.submitted(intent())
    assert send.state is SendState.SIGNED
    desk.liar.submitted = None
    await desk.till.sender.submit_signed()
    assert (await desk.till.read(send.send_key)).state is SendState.SUBMITTED


@pytest.mark.parametrize("amount", ["-5", "\u0665", "\uff15", "5.0", "1e6", " 5", "0x5", "", "5\n"])
def test_amounts_that_are_no_plain_digits_are_not_read_from_any_sibling(amount: str) -> None:
    good = transfer(5, Currency.USDT, recipient=CUSTOMER).model_dump(mode="json")
    TransferView.model_validate(good)
    with pytest.raises(ValidationError):
        TransferView.model_validate(good | {"amount_base_units": amount})


def treasury_of(desk: Desk) -> Address:
    return next(iter(desk.liar.watched))
