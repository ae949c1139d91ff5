"""The books against the chain, and balances against the journal they are made of."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.wallet_manager.domain.reconciliation import (
    PATIENCE,
    Finding,
    Measured,
    NotBookable,
    compare,
)
from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.exports import COLUMNS, Exports
from services.wallet_manager.service.recompute import Recompute
from services.wallet_manager.service.reconciliation import ALARM, Reconciliation
from services.wallet_manager.store.schema import POSITIONS
from shared.clock import rfc3339
from shared.models.tron_client import TransferView
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_manager import WalletRequest
from shared.models.wallet_sends import Purpose, SendKind, SendState
from shared.money import Currency
from shared.storage import Unit
from tests.services.wallet_manager.till import (
    STRANGER,
    TRX,
    USDT,
    Till,
    block,
    fate,
    intent,
    page,
    transfer,
)
from tests.support import START_MS

FEE_SUN = 345_000
HEAD = 120
STAKE = intent("stake", origin="trx-staking", purpose=Purpose.STAKE, kind=SendKind.FREEZE_BALANCE)


@pytest.fixture
def watch(till: Till) -> Reconciliation:
    return Reconciliation(
        store=till.store,
        chain=till.chain,
        books=till.books,
        audit=Audit(store=till.store, clock=till.clock),
        alarms=till.alarms,
        usdt_contract=USDT,
        books_lock=asyncio.Lock(),
        accounts_per_round=20,
    )


@pytest.fixture
async def treasury(till: Till) -> Wallet:
    """Fund a treasury whose books and chain agree, and let the head come past its deposits."""
    wallet = await till.treasury()
    till.chain.head_height = HEAD
    till.clock.advance(seconds=60)
    till.chain.holdings = {
        (wallet.address, Currency.TRX): 1_000 * TRX,
        (wallet.address, Currency.USDT): 1_000 * TRX,
    }
    return wallet


async def solid_at(till: Till, height: int) -> None:
    """Bring the books to a solid block without any transfer in it."""
    empty = page(list[TransferView](), next_=f"a.{height}")
    await till.books.apply_transfers(empty.model_copy(update={"as_of": block(height)}))


async def look(till: Till, watch: Reconciliation, *, times: int = 1) -> None:
    """Judge what was measured before, measure, and let the books come to the head."""
    for _ in range(times):
        await watch.work()
        await solid_at(till, till.chain.head_height)
        till.chain.head_height += 10
        till.clock.advance(seconds=30)


async def finding(till: Till, wallet: Wallet, account: str = "", currency: str = "USDT") -> Finding:
    id_ = f"{account}{wallet.address}:{currency}"
    return (await till.store.findings([id_]))[id_]


async def test_books_that_agree_are_found_in_order(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    await look(till, watch, times=2)

    for currency in ("TRX", "USDT"):
        found = await finding(till, treasury, currency=currency)
        assert (found.books, found.chain, found.looks) == (1_000 * TRX, 1_000 * TRX, 0)
    assert [one.currency for one in await watch.report(treasury.address)][:2] == ["TRX", "USDT"]
    assert not till.alarm_kinds()


async def test_a_difference_that_stays_calls_a_person_and_says_since_when(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    till.chain.holdings[treasury.address, Currency.USDT] += 5 * TRX
    await look(till, watch, times=PATIENCE)
    first = (await finding(till, treasury)).since_height
    assert not till.alarm_kinds()
    await look(till, watch)

    found = await finding(till, treasury)
    assert (found.difference, found.since_height) == (5 * TRX, first)
    assert found.looks >= PATIENCE
    assert "not told of" in found.causes()[0]
    assert till.alarm_kinds() == {ALARM}

    till.chain.holdings[treasury.address, Currency.USDT] -= 5 * TRX
    await look(till, watch, times=2)
    assert not till.alarm_kinds()


async def test_h15_what_a_node_misses_is_not_spent_from_that_moment_on(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    till.chain.holdings[treasury.address, Currency.USDT] = 10 * TRX
    await watch.work()
    send = await till.signed(intent())

    position = await till.position(treasury.address, Currency.USDT)
    assert (position.settled, position.available) == (1_000 * TRX, 10 * TRX)
    assert send.state is SendState.QUEUED
    assert "insufficient funds" in (send.waiting_for or "")


async def test_h15_what_a_node_has_more_is_not_spent(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    till.chain.holdings[treasury.address, Currency.USDT] = 9_000 * TRX
    await watch.work()

    assert (await till.position(treasury.address, Currency.USDT)).available == 1_000 * TRX


async def test_a_send_on_its_way_explains_what_it_may_have_taken(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    await till.submitted(intent())
    till.chain.holdings[treasury.address, Currency.USDT] -= 25 * TRX
    await look(till, watch, times=2)

    found = await finding(till, treasury)
    assert (found.difference, found.in_flight, found.is_explained) == (-25 * TRX, 25 * TRX, True)
    position = await till.position(treasury.address, Currency.USDT)
    assert (position.short, position.available) == (0, 975 * TRX)


async def test_a_send_on_its_way_explains_no_more_than_that(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    await till.submitted(intent())
    till.chain.holdings[treasury.address, Currency.USDT] -= 25 * TRX + 1
    await look(till, watch, times=2)

    assert not (await finding(till, treasury)).is_explained
    assert (await till.position(treasury.address, Currency.USDT)).short == 1


async def test_a_send_that_was_seen_in_a_later_block_explains_nothing(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    till.chain.holdings[treasury.address, Currency.USDT] -= 20 * TRX  # gone without an order
    for number in range(PATIENCE + 1):
        send = await till.submitted(intent(str(number)))
        await watch.work()
        landed = till.chain.head_height + 1
        await till.verdicts(fate(send, TransactionState.INCLUDED, height=landed))
        await solid_at(till, till.chain.head_height)
        await watch.work()
        await till.verdicts(fate(send, TransactionState.CONFIRMED, height=landed))
        till.chain.holdings[treasury.address, Currency.USDT] -= 25 * TRX
        till.chain.holdings[treasury.address, Currency.TRX] -= FEE_SUN
        till.chain.head_height += 10
        till.clock.advance(seconds=30)
        await solid_at(till, till.chain.head_height)

    assert till.alarm_kinds() == {ALARM}


async def test_a_head_that_moves_on_within_a_round_makes_it_smaller(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    wallets = [
        (await till.wallets.create(_plain(), principal="p", key=str(number)))[0]
        for number in range(8)
    ]
    for wallet in wallets:
        await till.deposit(wallet.address, TRX, Currency.USDT)
        till.chain.holdings[wallet.address, Currency.USDT] = TRX
    till.chain.tells_at_once = 4
    for _ in range(40):
        await watch.work()
        await solid_at(till, till.chain.head_height)

    assert await watch.report(treasury.address)
    assert all([await watch.report(wallet.address) for wallet in wallets])


@pytest.mark.usefixtures("treasury")
async def test_money_that_a_wallet_had_before_it_was_brought_in_calls_a_person(
    till: Till, watch: Reconciliation
) -> None:
    wallet, _ = await till.wallets.create(_plain(), principal="p", key="brought in")
    till.chain.holdings[wallet.address, Currency.USDT] = 7 * TRX
    await look(till, watch, times=8)

    found = await finding(till, wallet)
    assert (found.books, found.chain) == (0, 7 * TRX)
    assert till.alarm_kinds() == {ALARM}

    said = (wallet.address, wallet.address, Currency.USDT)
    with pytest.raises(NotBookable):
        await watch.book(*said, 8 * TRX, by="ada", why="it was there before")
    await watch.book(*said, 7 * TRX, by="ada", why="it was there before")
    with pytest.raises(NotBookable):
        await watch.book(*said, 7 * TRX, by="ada", why="it was there before")
    assert (await till.position(wallet.address, Currency.USDT)).available == 7 * TRX
    assert not till.alarm_kinds()
    await look(till, watch, times=8)
    assert (await finding(till, wallet)).is_explained
    assert (await Recompute(till.store).all()).wrong == ()


async def test_what_is_booked_of_later_blocks_is_no_difference(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    await watch.work()
    later = transfer(7 * TRX, Currency.USDT, recipient=treasury.address).model_copy(
        update={"block": block(HEAD + 5, START_MS + 75_000)}
    )
    await till.transfers(later)
    await solid_at(till, HEAD + 10)
    await watch.work()

    found = await finding(till, treasury)
    assert (found.books, found.chain, found.is_explained) == (1_000 * TRX, 1_000 * TRX, True)


async def test_nothing_is_judged_before_the_books_have_come_there(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    await watch.work()
    await solid_at(till, HEAD - 1)
    await watch.work()
    assert await watch.report(treasury.address) == []

    await solid_at(till, HEAD)
    await watch.work()
    assert await watch.report(treasury.address)


async def test_stakes_are_compared_with_what_is_frozen(
    till: Till, watch: Reconciliation, treasury: Wallet
) -> None:
    await till.verdicts(fate(await till.submitted(STAKE), TransactionState.CONFIRMED))
    till.chain.holdings[treasury.address, Currency.TRX] -= 25 * TRX + FEE_SUN
    till.chain.holdings[f"staked:{treasury.address}", Currency.TRX] = 25 * TRX
    till.chain.head_height = 130
    till.clock.advance(seconds=200)
    await look(till, watch, times=4)

    found = await finding(till, treasury, "staked:", "TRX")
    assert (found.books, found.chain) == (25 * TRX, 25 * TRX)
    assert not till.alarm_kinds()


@pytest.mark.usefixtures("treasury")
async def test_a_round_asks_about_a_few_and_goes_on_where_it_stopped(
    till: Till, watch: Reconciliation
) -> None:
    others = [
        (await till.wallets.create(wanted, principal="p", key=str(number)))[0]
        for number, wanted in enumerate([_plain()] * 30)
    ]
    for wallet in others:
        await till.deposit(wallet.address, TRX, Currency.USDT)
        till.chain.holdings[wallet.address, Currency.USDT] = TRX
    rounds = []
    for _ in range(4):
        till.chain.asked_accounts.clear()
        await watch.work()
        rounds.append(len(till.chain.asked_accounts))
        await solid_at(till, till.chain.head_height)

    assert max(rounds) <= 20
    assert sum(rounds) >= len(others) + 1


def test_an_explained_look_starts_the_count_again() -> None:
    measured = Measured(account="a", currency=Currency.TRX, amount=5, height=9, at_ms=1)
    owner = STRANGER
    first = compare(None, measured, owner=owner, books=4, in_flight=0)
    second = compare(first, replace(measured, height=12), owner=owner, books=4, in_flight=0)
    explained = compare(second, measured, owner=owner, books=5, in_flight=0)

    assert [(one.looks, one.since_height) for one in (first, second, explained)] == [
        (1, 9),
        (2, 9),
        (0, None),
    ]


# balances computed again


@pytest.mark.usefixtures("treasury")
async def test_every_balance_can_be_computed_again(till: Till) -> None:
    await till.submitted(intent("one"))
    await till.verdicts(fate(await till.submitted(intent("two")), TransactionState.CONFIRMED))
    await till.verdicts(fate(await till.submitted(STAKE), TransactionState.CONFIRMED))
    done = await Recompute(till.store).all()

    assert done.positions == 3
    assert done.wrong == ()


@pytest.mark.parametrize("field", ["settled", "held"])
async def test_a_balance_that_is_not_its_journal_is_found(
    till: Till, treasury: Wallet, field: str
) -> None:
    position = await till.position(treasury.address, Currency.USDT)
    wrongly = replace(position, settled=1) if field == "settled" else replace(position, held=1)
    await till.storage.commit(Unit().update(POSITIONS, wrongly))
    (wrong,) = (await Recompute(till.store).all()).wrong

    assert (wrong.settled, wrong.held) == (1_000 * TRX, 0)
    assert wrong.position.id == position.id


# the journal as a file


async def rows(text: AsyncIterator[str]) -> list[dict[str, str]]:
    whole = "".join([part async for part in text])
    return list(csv.DictReader(io.StringIO(whole)))


async def test_the_journal_is_written_down_in_order(till: Till, treasury: Wallet) -> None:
    await till.verdicts(fate(await till.submitted(intent()), TransactionState.CONFIRMED))
    await till.verdicts(fate(await till.submitted(STAKE), TransactionState.CONFIRMED))
    written = await rows(Exports(till.store).journal(treasury.address))

    assert tuple(written[0]) == COLUMNS
    of_usdt = [row for row in written if row["currency"] == "USDT"]
    assert [row["amount"] for row in of_usdt] == ["1000", "-25"]
    assert of_usdt[1]["amount_base_units"] == str(-25 * TRX)
    assert of_usdt[1]["at"] == rfc3339(block(120).timestamp_ms)
    assert sum(int(row["amount_base_units"]) for row in written if "staked" in row["account"]) > 0


async def test_the_journal_of_a_period_begins_with_its_first_moment_and_leaves_out_its_end(
    till: Till, treasury: Wallet
) -> None:
    at_ms = block(110).timestamp_ms
    exports = Exports(till.store)

    assert len(await rows(exports.journal(treasury.address, since_ms=at_ms))) == 2
    assert await rows(exports.journal(treasury.address, since_ms=at_ms + 1)) == []
    assert await rows(exports.journal(treasury.address, until_ms=at_ms)) == []


def _plain() -> WalletRequest:
    return WalletRequest(user_id="ada")
