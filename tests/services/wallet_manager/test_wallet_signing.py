"""From queued to signed: fees, holds, marks and the gates before a signature."""

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from services.wallet_manager.domain.sends import STAMP_FLOOR_MS
from services.wallet_manager.store.changes import Change
from shared.clock import HeldClock
from shared.errors import Unavailable
from shared.models.tron_client import SigningContextView
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_sends import Purpose, SendKind, SendState
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.tron.decoding import decode_raw_data
from shared.tron.operation import FreezeBalance, Resource, TransferTrc20, TransferTrx
from shared.tron.transaction import bandwidth_points
from tests.services.wallet_manager.till import (
    CUSTOMER,
    FEE_LIMIT_SUN,
    LIFETIME_MS,
    RETRY_MS,
    TOKEN_POINTS,
    TRX,
    USDT,
    WORST_TOKEN_FEE_SUN,
    WORST_TRX_FEE_SUN,
    Chain,
    Till,
    fate,
    intent,
    open_storage,
    rules,
    till_on,
    vault,
)
from tests.support import START_MS

STAKE = intent("stake", origin="trx-staking", purpose=Purpose.STAKE, kind=SendKind.FREEZE_BALANCE)


async def test_a_token_send_is_signed_as_it_was_meant(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.signed(intent())
    (attempt,) = await till.attempts(send)
    decoded = decode_raw_data(bytes.fromhex(attempt.raw_data))

    assert decoded.operation == TransferTrc20(
        owner=treasury.address, contract=USDT, to=CUSTOMER, amount=25 * TRX
    )
    assert decoded.fee_limit_sun == FEE_LIMIT_SUN
    assert decoded.expiration_ms == START_MS + LIFETIME_MS == send.expires_at_ms
    assert send.state is SendState.SIGNED
    assert (send.txid, send.attempt) == (attempt.id, 1)
    assert bandwidth_points(len(attempt.raw_data) // 2) <= TOKEN_POINTS


async def test_coins_and_stakes_are_signed_as_they_were_meant(till: Till) -> None:
    treasury = await till.treasury()
    coins = await till.signed(intent("coins", kind=SendKind.TRX_TRANSFER))
    stake = await till.signed(STAKE)

    operations = {
        send.id: decode_raw_data(bytes.fromhex((await till.attempts(send))[0].raw_data)).operation
        for send in (coins, stake)
    }
    owner = treasury.address
    assert operations[coins.id] == TransferTrx(owner=owner, to=CUSTOMER, amount_sun=25 * TRX)
    assert operations[stake.id] == FreezeBalance(
        owner=owner, amount_sun=25 * TRX, resource=Resource.ENERGY
    )


async def test_h15_a_hold_is_amount_fee_limit_bandwidth_and_activation(till: Till) -> None:
    treasury = await till.treasury()
    token = await till.signed(intent("token"))
    assert (token.hold.trx_sun, token.hold.usdt_micro) == (WORST_TOKEN_FEE_SUN, 25 * TRX)
    coins = await till.signed(intent("coins", kind=SendKind.TRX_TRANSFER))
    assert coins.hold.trx_sun == WORST_TRX_FEE_SUN + 25 * TRX

    trx = await till.position(treasury.address, Currency.TRX)
    usdt = await till.position(treasury.address, Currency.USDT)
    assert trx.held == token.hold.trx_sun + coins.hold.trx_sun
    assert usdt.held == 25 * TRX
    assert trx.settled == usdt.settled == 1_000 * TRX


async def test_h15_a_hundred_sends_do_not_overdraw(till: Till) -> None:
    treasury = await till.treasury(usdt=10 * 25 * TRX + 1)
    await till.accept(*(intent(f"n{n}") for n in range(100)))

    while await till.sender.sign_due():
        pass

    signed = (await till.store.in_state(SendState.SIGNED, limit=200)).items
    usdt = await till.position(treasury.address, Currency.USDT)
    assert len(signed) == 10
    assert usdt.available == 1
    assert await till.store.count(SendState.QUEUED) == 90


async def test_h15_fees_of_many_sends_do_not_overdraw_either(till: Till) -> None:
    treasury = await till.treasury(trx=3 * WORST_TOKEN_FEE_SUN + 7)
    await till.accept(*(intent(f"n{n}", amount=1) for n in range(20)))
    await till.sender.sign_due()

    assert await till.store.count(SendState.SIGNED) == 3
    assert (await till.position(treasury.address, Currency.TRX)).available == 7


async def test_h14_rounds_and_books_at_once_do_not_overdraw(till: Till) -> None:
    treasury = await till.treasury(usdt=5 * 25 * TRX)
    await till.accept(*(intent(f"n{n}") for n in range(40)))

    await asyncio.gather(
        till.sender.sign_due(),
        till.deposit(treasury.address, 2 * 25 * TRX, Currency.USDT),
        till.sender.sign_due(),
        till.deposit(treasury.address, 25 * TRX, Currency.USDT),
    )

    usdt = await till.position(treasury.address, Currency.USDT)
    assert usdt.settled == 8 * 25 * TRX
    assert usdt.held == 25 * TRX * await till.store.count(SendState.SIGNED)
    assert usdt.available >= 0


async def test_a_send_without_funds_waits_until_a_deposit_is_booked(till: Till) -> None:
    treasury = await till.treasury(usdt=0)
    send = await till.signed(intent())
    assert send.state is SendState.QUEUED
    assert send.waiting_for is not None
    assert send.waiting_for.startswith("insufficient funds: 25 USDT needed, 0 USDT available")

    await till.deposit(treasury.address, 25 * TRX, Currency.USDT)
    await till.sender.sign_due()
    assert (await till.read(send.send_key)).state is SendState.QUEUED  # not due yet
    till.clock.advance(milliseconds=RETRY_MS)
    await till.sender.sign_due()

    after = await till.read(send.send_key)
    assert (after.state, after.waiting_for) == (SendState.SIGNED, None)


async def test_what_a_send_waits_for_is_told_once(till: Till) -> None:
    await till.treasury(usdt=0)
    await till.signed(intent())
    for _ in range(3):
        till.clock.advance(milliseconds=RETRY_MS)
        await till.sender.sign_due()

    assert await till.events() == ["send.queued", "send.queued"]


async def test_a_send_whose_time_is_over_is_refused(till: Till) -> None:
    await till.treasury(usdt=0)
    send = await till.signed(intent(not_after=START_MS + RETRY_MS))
    till.clock.advance(milliseconds=RETRY_MS + 1)
    await till.sender.sign_due()

    after = await till.read(send.send_key)
    assert (after.state, after.refusal_rule) == (SendState.REFUSED, "not_after")
    assert after.refusal_detail is not None
    assert "insufficient funds" in after.refusal_detail
    assert await till.attempts(after) == []


async def test_a_fee_above_the_ceiling_waits(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.signed(intent(max_fee_sun=WORST_TOKEN_FEE_SUN - 1))
    assert send.state is SendState.QUEUED
    assert "ceiling" in (send.waiting_for or "")
    assert (await till.position(treasury.address, Currency.TRX)).held == 0

    till.chain.energy -= 1_000
    till.clock.advance(milliseconds=RETRY_MS)
    await till.sender.sign_due()
    assert (await till.read(send.send_key)).state is SendState.SIGNED


async def test_a_call_that_would_revert_waits(till: Till) -> None:
    await till.treasury()
    till.chain.reverts = True
    send = await till.signed(intent())

    assert send.state is SendState.QUEUED
    assert send.waiting_for == "the contract would revert: blacklisted"


async def test_a_simulation_without_energy_signs_nothing(till: Till) -> None:
    await till.treasury()
    till.chain.energy = 0
    send = await till.signed(intent())

    assert send.state is SendState.QUEUED
    assert "0 energy is not believed" in (send.waiting_for or "")


async def test_a_locked_wallet_pays_nothing(till: Till) -> None:
    treasury = await till.treasury()
    await till.store.save_wallet(treasury.locked())
    send = await till.signed(intent())

    assert send.state is SendState.QUEUED
    assert send.waiting_for == "its wallet, which is locked"


async def test_h17_a_chain_with_another_genesis_signs_nothing(till: Till) -> None:
    await till.treasury()
    till.chain.genesis = "0" * 64
    await till.taken(intent())

    with pytest.raises(Unavailable):
        await till.sender.sign_due()

    till.chain.genesis = rules().genesis_block_id
    await till.sender.sign_due()  # the lease was given back
    assert await till.store.count(SendState.SIGNED) == 1


@pytest.mark.parametrize("lag_ms", [60_001, -60_001])
async def test_h2_nothing_is_signed_while_head_and_clock_differ(till: Till, lag_ms: int) -> None:
    await till.treasury()
    till.chain.head_lag_ms = lag_ms
    await till.taken(intent())

    with pytest.raises(Unavailable, match="60 s"):
        await till.sender.sign_due()

    assert await till.store.count(SendState.QUEUED) == 1


async def test_a_chain_that_is_away_leaves_the_send_queued(till: Till) -> None:
    await till.treasury()
    await till.taken(intent())
    till.chain.away = True
    with pytest.raises(PeerUnavailable):
        await till.sender.sign_due()

    till.chain.away = False
    await till.sender.sign_due()
    assert await till.store.count(SendState.SIGNED) == 1


class ChainThatHangs(Chain):
    """Plays a tron-client that never answers."""

    def __init__(self, clock: HeldClock) -> None:
        super().__init__(clock)
        self.asked = asyncio.Event()

    async def signing_context(self) -> SigningContextView:
        self.asked.set()
        await asyncio.Event().wait()
        return await super().signing_context()


async def test_a_cancelled_round_gives_its_sends_back(till: Till) -> None:
    await till.treasury()
    await till.taken(intent())
    hanging = ChainThatHangs(till.clock)
    stopped = till_on(
        till.storage,
        clock=till.clock,
        chain=hanging,
        vault=till.vault,
        ids=itertools.count(100),
        rules=rules(),
    )
    await stopped.begins()
    task = asyncio.create_task(stopped.sender.sign_due())
    await hanging.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await till.sender.sign_due()
    assert await till.store.count(SendState.SIGNED) == 1


async def test_h17_mainnet_signs_nothing_without_the_second_switch(tmp_path: Path) -> None:
    storage, clock = await open_storage(tmp_path), HeldClock(START_MS)
    off = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(enabled=False),
    )
    await off.begins()
    await off.treasury()
    send = await off.signed(intent())

    assert send.state is SendState.QUEUED
    assert "MAINNET_SIGNING_ENABLED" in (off.sender.unready_reason() or "")
    await storage.close()


async def test_h6_equal_sends_of_one_millisecond_have_different_transactions(till: Till) -> None:
    await till.treasury()
    await till.accept(*(intent(f"n{n}") for n in range(30)))
    await till.sender.sign_due()

    signed = (await till.store.in_state(SendState.SIGNED, limit=100)).items
    attempts = [one for send in signed for one in await till.attempts(send)]
    assert len(signed) == 30
    assert len({attempt.id for attempt in attempts}) == 30
    assert len({attempt.stamp_ms for attempt in attempts}) == 30


async def test_h6_the_mark_says_which_send_it_was(till: Till) -> None:
    await till.treasury()
    send = await till.signed(intent())
    (attempt,) = await till.attempts(send)
    stamp_ms = decode_raw_data(bytes.fromhex(attempt.raw_data)).timestamp_ms

    assert stamp_ms == attempt.stamp_ms
    assert stamp_ms == till.vault.stamp_ms(send.send_key, 1, floor_of_ms=stamp_ms)
    assert stamp_ms < START_MS


async def test_h6_a_taken_mark_moves_on(till: Till) -> None:
    treasury = await till.treasury()
    wanted = till.vault.stamp_ms(intent("b").send_key, 1, floor_of_ms=START_MS - STAMP_FLOOR_MS)
    first = await till.signed(intent("a"))
    (attempt,) = await till.attempts(first)
    squatter = replace(
        attempt, id="0" * 64, version=0, number=9, stamp_ms=wanted, owner=treasury.address
    )
    change = Change()
    change.attempt(squatter)
    await till.store.commit(change)

    second = await till.signed(intent("b"))

    assert (await till.attempts(second))[0].stamp_ms == wanted + 1


async def test_an_expired_attempt_makes_way_for_another_transaction(till: Till) -> None:
    treasury = await till.treasury()
    first = await till.submitted(intent())
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    waiting = await till.read(first.send_key)
    assert (waiting.state, waiting.attempt) == (SendState.QUEUED, 1)
    assert (await till.position(treasury.address, Currency.TRX)).held == 0

    await till.sender.sign_due()
    second = await till.read(first.send_key)
    assert (second.state, second.attempt) == (SendState.SIGNED, 2)
    assert second.txid != first.txid
    assert (await till.position(treasury.address, Currency.USDT)).held == 25 * TRX


async def test_the_last_allowed_attempt_that_expires_is_final(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    for _ in range(2):
        await till.verdicts(fate(send, TransactionState.EXPIRED))
        await till.sender.sign_due()
        send = await till.read(send.send_key)
    assert send.attempt == 3
    await till.verdicts(fate(send, TransactionState.EXPIRED))

    ended = await till.read(send.send_key)
    assert (ended.state, ended.refusal_rule) == (SendState.EXPIRED, "expired")
    assert (await till.position(treasury.address, Currency.TRX)).held == 0
    assert await till.sender.sign_due() is False
    assert len(await till.attempts(send)) == 3


async def test_an_attempt_that_expires_after_the_time_is_over_is_final(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent(not_after=START_MS + 1))
    till.clock.advance(milliseconds=LIFETIME_MS)
    await till.verdicts(fate(send, TransactionState.EXPIRED))

    assert (await till.read(send.send_key)).state is SendState.EXPIRED


async def test_tokens_that_are_short_keep_no_coins_back(till: Till) -> None:
    treasury = await till.treasury()
    tokens = await till.position(treasury.address, Currency.USDT)
    await till.store.save_position(replace(tokens, held=tokens.settled + 1))
    send = await till.signed(intent(kind=SendKind.TRX_TRANSFER))
    assert send.state is SendState.SIGNED


async def test_an_expired_send_whose_time_ends_in_the_queue_ends_as_expired(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent(not_after=START_MS + LIFETIME_MS + 10))
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    till.clock.advance(milliseconds=11)
    await till.sender.sign_due()

    ended = await till.read(send.send_key)
    assert (ended.state, ended.refusal_rule) == (SendState.EXPIRED, "not_after")
