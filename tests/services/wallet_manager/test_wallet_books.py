"""Verdicts and transfers become movements, once each, and the journal balances."""

from dataclasses import replace

import pytest

from services.wallet_manager.domain.books import (
    CHAIN,
    FEES,
    Overdrawn,
    Posting,
    empty_position,
    entry,
)
from services.wallet_manager.domain.sends import (
    ALLOWED,
    IllegalTransition,
    OrdinalTooEarly,
    Send,
)
from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.service.books import TRANSFERS, VERDICTS
from services.wallet_manager.service.views import balance_view
from services.wallet_manager.store.schema import SENDS
from shared.models.tron_client import TransferState
from shared.models.tron_transactions import TransactionState, TransactionView
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletStatus
from shared.models.wallet_sends import Purpose, SendKind, SendState
from shared.money import Currency
from shared.storage import StorageError, Unit
from shared.tron.address import Address
from tests.services.wallet_manager.test_wallet_kinds import asked
from tests.services.wallet_manager.till import (
    CUSTOMER,
    LIFETIME_MS,
    STRANGER,
    TRX,
    Till,
    fate,
    intent,
    log_of,
    page,
    transfer,
)
from tests.support import address

FEE_SUN = 345_000
ADDRESS_CHARACTERS = 34


async def held_and_settled(till: Till, wallet: Wallet) -> dict[str, tuple[int, int]]:
    found = {}
    for currency in Currency:
        position = await till.position(wallet.address, currency)
        found[currency.value] = (position.held, position.settled)
    return found


async def assert_journal_tells_the_positions(till: Till) -> None:
    lines = await till.journal()
    for entry_id in {line.entry_id for line in lines}:
        for currency in Currency:
            amounts = [
                line.amount
                for line in lines
                if (line.entry_id, line.currency) == (entry_id, currency)
            ]
            assert sum(amounts) == 0
    owned = await till.store.owned(
        Address(line.account) for line in lines if len(line.account) == ADDRESS_CHARACTERS
    )
    for owner in owned:
        for currency in Currency:
            booked = sum(
                line.amount for line in lines if (line.account, line.currency) == (owner, currency)
            )
            assert (await till.position(owner, currency)).settled == booked


async def test_a_confirmed_send_turns_its_hold_into_the_movement(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.CONFIRMED))

    after = await till.read(send.send_key)
    assert (after.state, after.fee_sun, after.block_height) == (SendState.CONFIRMED, FEE_SUN, 120)
    assert await held_and_settled(till, treasury) == {
        "TRX": (0, 1_000 * TRX - FEE_SUN),
        "USDT": (0, 975 * TRX),
    }
    await assert_journal_tells_the_positions(till)


@pytest.mark.parametrize("kind", [SendKind.TRX_TRANSFER, SendKind.FREEZE_BALANCE])
async def test_confirmed_coins_leave_the_wallet(till: Till, kind: SendKind) -> None:
    treasury = await till.treasury()
    stakes = kind is SendKind.FREEZE_BALANCE
    wanted = intent(
        kind=kind,
        origin="trx-staking" if stakes else "payout-router",
        purpose=Purpose.STAKE if stakes else Purpose.PAYOUT,
    )
    send = await till.submitted(wanted)
    await till.verdicts(fate(send, TransactionState.CONFIRMED))

    assert (await held_and_settled(till, treasury))["TRX"] == (0, 975 * TRX - FEE_SUN)
    counter = {line.account for line in await till.journal() if line.entry_id.startswith("send:")}
    to = f"staked:{treasury.address}" if stakes else CHAIN
    assert counter == {treasury.address, FEES, to}
    await assert_journal_tells_the_positions(till)


async def test_unstaking_moves_between_the_accounts_of_the_stake(till: Till) -> None:
    treasury = await till.treasury()
    wanted = intent(kind=SendKind.UNFREEZE_BALANCE, origin="trx-staking", purpose=Purpose.STAKE)
    await till.verdicts(fate(await till.submitted(wanted), TransactionState.CONFIRMED))

    moved = {
        line.account: line.amount
        for line in await till.journal()
        if line.account.startswith(("staked:", "unfreezing:"))
    }
    assert moved == {
        f"staked:{treasury.address}": -25 * TRX,
        f"unfreezing:{treasury.address}": 25 * TRX,
    }
    await assert_journal_tells_the_positions(till)


async def test_a_failed_send_costs_its_fee_and_nothing_else(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.FAILED, fee_sun=7 * TRX))

    assert (await till.read(send.send_key)).state is SendState.FAILED
    assert await held_and_settled(till, treasury) == {
        "TRX": (0, 993 * TRX),
        "USDT": (0, 1_000 * TRX),
    }
    await assert_journal_tells_the_positions(till)


async def settled_by(till: Till, *changes: dict[str, object]) -> Send:
    send = await till.submitted(intent())
    logs = [log_of(send, position=number, **change) for number, change in enumerate(changes)]
    await till.verdicts(fate(send, TransactionState.CONFIRMED, logs=logs))
    return await till.read(send.send_key)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ((), 0),
        (({"amount_base_units": str(25 * TRX - 1)},), 25 * TRX - 1),
        (({"recipient": STRANGER},), 25 * TRX),
        (({"sender": STRANGER},), 0),
        (({"contract_address": STRANGER},), 0),
        (
            (
                {"amount_base_units": str(24 * TRX)},
                {"amount_base_units": str(1 * TRX), "recipient": STRANGER},
            ),
            25 * TRX,
        ),
    ],
    ids=["no log", "less", "to another", "from another", "other token", "a fee hook"],
)
async def test_h10_success_without_the_exact_log_is_settled_differently(
    till: Till, changes: tuple[dict[str, object], ...], left: int
) -> None:
    treasury = await till.treasury()
    send = await settled_by(till, *changes)

    assert send.state is SendState.SETTLED_DIFFERENTLY
    assert await held_and_settled(till, treasury) == {
        "TRX": (0, 1_000 * TRX - FEE_SUN),
        "USDT": (0, 1_000 * TRX - left),
    }
    assert "settled_differently" in str(till.alarms.open())
    await till.sender.sign_due()
    assert (await till.read(send.send_key)).attempt == 1
    await assert_journal_tells_the_positions(till)


async def test_h10_the_books_follow_every_log_of_a_payment_that_was_made(till: Till) -> None:
    treasury = await till.treasury()
    hooked: dict[str, object] = {"amount_base_units": str(3 * TRX), "recipient": STRANGER}
    send = await settled_by(till, {}, hooked)

    assert send.state is SendState.CONFIRMED
    assert (await held_and_settled(till, treasury))["USDT"] == (0, 972 * TRX)
    await assert_journal_tells_the_positions(till)


async def test_a_retracted_block_is_no_verdict(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.INCLUDED, height=120))
    seen = await till.read(send.send_key)
    await till.verdicts(fate(send, TransactionState.PENDING))
    back = await till.read(send.send_key)
    await till.verdicts(fate(send, TransactionState.INCLUDED, height=122))
    again = await till.read(send.send_key)

    assert (seen.state, seen.block_height) == (SendState.SEEN, 120)
    assert (back.state, back.block_height) == (SendState.SUBMITTED, None)
    assert (again.state, again.block_height) == (SendState.SEEN, 122)
    assert (await held_and_settled(till, treasury))["USDT"][0] == 25 * TRX


def life(send: Send) -> list[TransactionView]:
    return [
        fate(send, TransactionState.INCLUDED, height=119),
        fate(send, TransactionState.PENDING),
        fate(send, TransactionState.INCLUDED),
        fate(send, TransactionState.CONFIRMED),
    ]


async def test_a_whole_life_in_one_page_is_told_by_its_end(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(*life(send))

    assert (await till.read(send.send_key)).state is SendState.CONFIRMED
    assert await till.events() == [
        "send.queued",
        "send.signed",
        "send.submitted",
        "send.confirmed",
    ]


async def test_h13_a_page_that_comes_again_changes_nothing(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(*life(send))
    before = (await till.read(send.send_key), await held_and_settled(till, treasury))
    events, lines = await till.events(), await till.journal()

    for one in life(send):
        await till.verdicts(one)
    await till.verdicts(*life(send), *life(send))

    assert (await till.read(send.send_key), await held_and_settled(till, treasury)) == before
    assert await till.events() == events
    assert await till.journal() == lines
    assert not till.alarm_kinds()


async def test_h5_a_feed_from_its_beginning_changes_nothing(till: Till) -> None:
    treasury = await till.treasury()
    first = await till.submitted(intent())
    told = [
        fate(first, TransactionState.INCLUDED),
        fate(first, TransactionState.PENDING),
        fate(first, TransactionState.EXPIRED),
    ]
    await till.verdicts(*told)
    await till.sender.sign_due()
    await till.sender.submit_signed()
    second = await till.read(first.send_key)
    before = (second, await held_and_settled(till, treasury), await till.events())

    await till.books.restart(VERDICTS)
    assert await till.books.cursor(VERDICTS) == ""
    await till.books.restart(VERDICTS)
    for one in told:
        await till.verdicts(one)

    after = await till.read(first.send_key)
    assert (after, await held_and_settled(till, treasury), await till.events()) == before
    assert not till.alarm_kinds()


async def test_the_cursor_moves_with_what_it_stands_for(till: Till) -> None:
    treasury = await till.treasury()
    await till.books.apply_verdicts(page(list[TransactionView](), next_="a.9"))
    assert await till.books.cursor(VERDICTS) == "a.9"
    deposit = transfer(5, Currency.USDT, recipient=treasury.address)
    await till.books.apply_transfers(page([deposit], next_="a.7"))
    assert await till.books.cursor(TRANSFERS) == "a.7"


async def test_a_transaction_of_nobody_is_passed_over(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.CONFIRMED, txid="0" * 64))

    assert (await till.read(send.send_key)).state is SendState.SUBMITTED


async def test_a_verdict_without_a_receipt_is_not_applied(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent())
    cursor = await till.books.cursor(VERDICTS)
    bare = fate(send, TransactionState.CONFIRMED).model_copy(update={"receipt": None})

    with pytest.raises(ValueError, match="without a receipt"):
        await till.verdicts(bare)
    assert await till.books.cursor(VERDICTS) == cursor


@pytest.mark.parametrize(
    "news",
    [
        {"state": TransactionState.EXPIRED, "in_block": True},
        {"state": TransactionState.CONFIRMED},
        {"state": TransactionState.FAILED},
    ],
    ids=["haunting", "confirmed", "failed"],
)
async def test_h1_an_attempt_that_comes_back_freezes_its_wallet(
    till: Till, news: dict[str, TransactionState]
) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    await till.taken(intent("other"))
    await till.verdicts(fate(send, **news))  # type: ignore[arg-type]
    await till.sender.sign_due()

    after = await till.read(send.send_key)
    other = await till.read(intent("other").send_key)
    wallet = await till.wallets.find(treasury.id)
    assert (after.state, after.attempt) == (SendState.UNKNOWN, 1)
    assert (after.waiting_for or "").startswith("a person")
    assert wallet.status is WalletStatus.LOCKED
    assert (other.state, other.waiting_for) == (SendState.QUEUED, "its wallet, which is locked")
    assert "came_back" in str(till.alarms.open())


@pytest.mark.parametrize("is_final", [False, True], ids=["followed by another", "final"])
async def test_h1_an_attempt_whose_transfer_is_told_after_it_was_given_up_freezes_its_wallet(
    till: Till, *, is_final: bool
) -> None:
    """A tron-client that was set back may follow that attempt no more, and tells of the money alone."""
    treasury = await till.treasury()
    wanted = intent(not_after=till.clock.now_ms() + (0 if is_final else 86_400_000))
    first = await till.submitted(wanted)
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    await till.sender.sign_due()
    paid = transfer(
        25 * TRX, Currency.USDT, sender=treasury.address, recipient=CUSTOMER, txid=first.txid
    )
    await till.transfers(paid)

    after = await till.read(first.send_key)
    assert after.state is (SendState.EXPIRED if is_final else SendState.UNKNOWN)
    assert after.is_haunted
    assert (await till.wallets.find(treasury.id)).status is WalletStatus.LOCKED
    assert "attempt_came_back" in till.alarm_kinds()
    (again,) = await till.accept(intent(ordinal=1))
    assert again.problem is not None


async def test_h1_the_transfer_of_an_attempt_that_stands_freezes_nothing(till: Till) -> None:
    treasury = await till.treasury()
    first = await till.submitted(intent())
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    await till.sender.sign_due()
    second = await till.read(first.send_key)
    paid = transfer(
        25 * TRX, Currency.USDT, sender=treasury.address, recipient=CUSTOMER, txid=second.txid
    )
    await till.transfers(paid)
    assert (await till.wallets.find(treasury.id)).status is WalletStatus.ACTIVE
    assert not till.alarm_kinds()


async def test_h1_a_frozen_send_stays_frozen_when_its_expiry_is_told_once_more(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent())
    expired = fate(send, TransactionState.EXPIRED)
    await till.verdicts(expired)
    await till.verdicts(fate(send, TransactionState.EXPIRED, in_block=True))
    frozen = await till.read(send.send_key)

    await till.verdicts(expired)
    assert await till.read(send.send_key) == frozen
    till.clock.advance(milliseconds=send.not_after_ms)
    await till.verdicts(expired)
    assert await till.read(send.send_key) == frozen


async def test_h1_an_attempt_that_comes_back_stops_the_bytes_of_the_next(till: Till) -> None:
    await till.treasury()
    first = await till.submitted(intent())
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    await till.sender.sign_due()
    second = await till.read(first.send_key)
    assert second.state is SendState.SIGNED
    await till.verdicts(fate(second, TransactionState.EXPIRED, txid=first.txid, in_block=True))
    await till.sender.submit_signed()

    held = await till.read(first.send_key)
    assert held.state is SendState.UNKNOWN
    assert held.hold == second.hold
    assert len(till.chain.received) == 1


@pytest.mark.parametrize("last", [TransactionState.EXPIRED, TransactionState.FAILED])
@pytest.mark.parametrize(
    "max_age_ms", [2 * LIFETIME_MS - 1, 86_400_000], ids=["no time left", "time left"]
)
async def test_h1_a_send_that_an_earlier_attempt_paid_has_no_negative_end(
    till: Till, last: TransactionState, max_age_ms: int
) -> None:
    await till.treasury()
    wanted = intent(not_after=till.clock.now_ms() + max_age_ms)
    first = await till.submitted(wanted)
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    await till.sender.sign_due()
    await till.sender.submit_signed()
    second = await till.read(first.send_key)
    assert (second.attempt, second.state) == (2, SendState.SUBMITTED)

    till.clock.advance(milliseconds=LIFETIME_MS)
    await till.verdicts(fate(second, TransactionState.CONFIRMED, txid=first.txid))
    await till.verdicts(fate(second, last))

    ended = await till.read(first.send_key)
    assert ended.state is SendState.SETTLED_DIFFERENTLY
    assert (await till.position(first.owner, Currency.USDT)).held == 0
    (again,) = await till.accept(intent(ordinal=1))
    assert again.problem is not None
    assert again.problem.code == OrdinalTooEarly.code


async def test_h1_a_final_send_whose_attempt_comes_back_has_no_successor(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent(not_after=till.clock.now_ms()))
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    await till.verdicts(fate(send, TransactionState.CONFIRMED))

    (again,) = await till.accept(intent(ordinal=1))
    assert again.problem is not None
    assert again.problem.code == OrdinalTooEarly.code


async def test_h1_a_final_send_whose_attempt_comes_back_stays_final(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent(not_after=till.clock.now_ms()))
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    await till.verdicts(fate(send, TransactionState.EXPIRED, in_block=True))

    assert (await till.read(send.send_key)).state is SendState.EXPIRED
    assert (await till.wallets.treasury()).status is WalletStatus.LOCKED


async def test_deposits_are_booked_once(till: Till) -> None:
    treasury = await till.treasury(usdt=0)
    deposit = transfer(9 * TRX, Currency.USDT, recipient=treasury.address)
    await till.transfers(deposit, deposit)
    await till.transfers(deposit)
    await till.books.restart(TRANSFERS)
    await till.transfers(deposit)

    assert (await held_and_settled(till, treasury))["USDT"] == (0, 9 * TRX)
    await assert_journal_tells_the_positions(till)


@pytest.mark.parametrize("feed", [TRANSFERS, VERDICTS])
async def test_h5_a_publisher_that_was_set_back_is_an_alarm_and_nothing_is_booked_twice(
    till: Till, feed: str
) -> None:
    treasury = await till.treasury(usdt=0)
    deposit = transfer(900 * TRX, Currency.USDT, recipient=treasury.address)
    await till.transfers(deposit)
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.CONFIRMED))
    booked, journal = await held_and_settled(till, treasury), await till.journal()

    await till.books.restart_after_loss(feed)
    assert await till.books.cursor(feed) == ""
    assert feed in str(till.alarms.open())
    await till.transfers(deposit)
    await till.verdicts(fate(send, TransactionState.CONFIRMED))
    assert await held_and_settled(till, treasury) == booked
    assert await till.journal() == journal
    await assert_journal_tells_the_positions(till)


@pytest.mark.parametrize("state", [TransferState.SEEN, TransferState.RETRACTED])
async def test_only_solid_transfers_are_booked(till: Till, state: TransferState) -> None:
    treasury = await till.treasury(usdt=0)
    await till.transfers(transfer(9 * TRX, Currency.USDT, recipient=treasury.address, state=state))

    assert (await held_and_settled(till, treasury))["USDT"] == (0, 0)


async def test_transfers_of_others_are_not_ours(till: Till) -> None:
    await till.treasury(usdt=0)
    before = await till.journal()
    await till.transfers(transfer(9, Currency.USDT, recipient=CUSTOMER))

    assert await till.journal() == before
    assert not till.alarm_kinds()


async def test_h12_our_own_move_is_booked_on_both_sides_and_is_no_deposit(till: Till) -> None:
    treasury = await till.treasury()
    leaf, _ = await till.wallets.derive(
        treasury.id, AddressRequest(request_id="r", purpose="invoice")
    )
    send = await till.submitted(intent(recipient=leaf.id))
    own = transfer(
        25 * TRX,
        Currency.USDT,
        sender=treasury.address,
        recipient=leaf.id,
        txid=send.txid,
    )
    await till.transfers(own)
    await till.verdicts(fate(send, TransactionState.CONFIRMED))

    assert (await held_and_settled(till, treasury))["USDT"] == (0, 975 * TRX)
    assert (await till.position(leaf.id, Currency.USDT)).settled == 25 * TRX
    kinds = {line.kind for line in await till.journal() if line.account == leaf.id}
    assert kinds == {"internal"}
    assert not till.alarm_kinds()
    await assert_journal_tells_the_positions(till)


async def test_what_a_call_of_a_contract_paid_is_booked(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    call = replace(send, kind=SendKind.CONTRACT_CALL, contract=STRANGER, amount=0)
    await till.storage.commit(Unit().update(SENDS, call))
    own = transfer(
        25 * TRX, Currency.USDT, sender=treasury.address, recipient=STRANGER, txid=send.txid
    )
    await till.transfers(own)
    await till.verdicts(fate(call, TransactionState.CONFIRMED))

    assert (await held_and_settled(till, treasury))["USDT"] == (0, 975 * TRX)
    assert not till.alarm_kinds()
    await assert_journal_tells_the_positions(till)


async def test_our_payment_seen_from_outside_is_not_booked_twice(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.CONFIRMED))
    await till.transfers(
        transfer(
            25 * TRX,
            Currency.USDT,
            sender=treasury.address,
            recipient=CUSTOMER,
            txid=send.txid,
        )
    )

    assert (await held_and_settled(till, treasury))["USDT"] == (0, 975 * TRX)
    assert not till.alarm_kinds()


@pytest.mark.parametrize("verdict_first", [True, False])
async def test_h10_tokens_that_a_call_took_are_booked(till: Till, *, verdict_first: bool) -> None:
    treasury = await till.treasury()
    send = await till.submitted(asked(SendKind.CONTRACT_CALL))
    taken = transfer(
        25 * TRX,
        Currency.USDT,
        sender=treasury.address,
        recipient=STRANGER,
        txid=send.txid,
    )
    verdict = fate(send, TransactionState.CONFIRMED)
    if verdict_first:
        await till.verdicts(verdict)
    await till.transfers(taken)
    if not verdict_first:
        await till.verdicts(verdict)

    assert (await held_and_settled(till, treasury))["USDT"] == (0, 975 * TRX)
    assert not till.alarm_kinds()
    await assert_journal_tells_the_positions(till)


async def test_h1_what_an_earlier_attempt_paid_is_booked_besides(till: Till) -> None:
    treasury = await till.treasury()
    first = await till.submitted(intent())
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    await till.sender.sign_due()
    second = await till.read(first.send_key)
    await till.verdicts(
        fate(second, TransactionState.CONFIRMED),
        fate(second, TransactionState.CONFIRMED, txid=first.txid),
    )
    for txid in (first.txid, second.txid):
        await till.transfers(
            transfer(
                25 * TRX,
                Currency.USDT,
                sender=treasury.address,
                recipient=CUSTOMER,
                txid=txid,
            )
        )

    assert (await held_and_settled(till, treasury))["USDT"] == (0, 950 * TRX)
    await assert_journal_tells_the_positions(till)


async def test_money_that_leaves_without_a_send_raises_an_alarm(till: Till) -> None:
    treasury = await till.treasury()
    await till.transfers(transfer(TRX, Currency.TRX, sender=treasury.address, recipient=STRANGER))

    assert "unexplained" in str(till.alarms.open())
    assert (await till.wallets.treasury()).status is WalletStatus.LOCKED
    assert (await held_and_settled(till, treasury))["TRX"] == (0, 999 * TRX)
    await assert_journal_tells_the_positions(till)


async def test_a_balance_below_zero_is_shown_as_nothing(till: Till) -> None:
    treasury = await till.treasury(trx=0)
    await till.transfers(transfer(TRX, Currency.TRX, sender=treasury.address, recipient=STRANGER))
    view = balance_view(*await till.wallets.balance(treasury.id, Currency.TRX))

    assert (view.balance, view.available, view.held) == ("0", "0", "0")


async def test_two_wallets_of_ours_pay_each_other(till: Till) -> None:
    treasury = await till.treasury()
    plain, _ = await till.wallets.create(WalletRequest(user_id="ada"), principal="p", key="plain")
    send = await till.submitted(intent(recipient=plain.address, kind=SendKind.TRX_TRANSFER))
    await till.verdicts(fate(send, TransactionState.CONFIRMED))
    await till.transfers(
        transfer(
            25 * TRX,
            Currency.TRX,
            sender=treasury.address,
            recipient=plain.address,
            txid=send.txid,
        )
    )

    assert (await till.position(plain.address, Currency.TRX)).settled == 25 * TRX
    assert (await held_and_settled(till, treasury))["TRX"] == (0, 975 * TRX - FEE_SUN)
    await assert_journal_tells_the_positions(till)


async def test_the_journal_lists_an_address_newest_first(till: Till) -> None:
    treasury = await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.CONFIRMED))

    found, lines = await till.wallets.journal(treasury.id, cursor=None, limit=10)

    assert found == treasury.address
    assert len(lines.items) == 4
    assert {line.txid for line in lines.items[:2]} == {send.txid}
    with pytest.raises(StorageError):
        await till.wallets.journal(treasury.id, cursor="nonsense", limit=10)


def test_an_entry_that_does_not_balance_is_refused() -> None:
    lopsided = [Posting(account="a", currency=Currency.TRX, amount=1)]
    crossed = [*lopsided, Posting(account="b", currency=Currency.USDT, amount=-1)]

    for postings in (lopsided, crossed):
        with pytest.raises(ValueError, match="does not balance"):
            entry("x", postings, kind="k", at_ms=1, txid=None)


def test_a_position_holds_no_more_than_it_has() -> None:
    position = empty_position(address(1), Currency.TRX).book(10)

    with pytest.raises(Overdrawn):
        position.hold(11)
    with pytest.raises(Overdrawn):
        position.hold(10).release(11)
    assert position.hold(4).available == 6


def test_final_states_lead_nowhere() -> None:
    ends = {state for state, onward in ALLOWED.items() if not onward}

    assert ends == {
        SendState.CONFIRMED,
        SendState.FAILED,
        SendState.EXPIRED,
        SendState.SETTLED_DIFFERENTLY,
        SendState.REFUSED,
    }
    assert set(ALLOWED) == set(SendState)


async def test_a_final_send_does_not_move(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent())
    await till.verdicts(fate(send, TransactionState.CONFIRMED))
    confirmed = await till.read(send.send_key)

    for state in SendState:
        with pytest.raises(IllegalTransition):
            confirmed.moved(state, at_ms=1)
