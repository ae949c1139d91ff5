"""wallet-manager dies at any await, on a chain that loses, drops, fails and expires: paid at most once."""

import asyncio
import itertools
import random
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.wallet_manager.domain.sends import Send
from services.wallet_manager.service.books import TRANSFERS, VERDICTS
from services.wallet_manager.service.recompute import Recompute
from services.wallet_manager.store import SENDS
from shared.clock import HeldClock
from shared.models.tron_client import (
    OutgoingView,
    SignedTransaction,
    StoredTransactionsView,
    StoredTransactionView,
    SubmittedView,
    TransactionState,
    TransactionView,
    TransferView,
)
from shared.models.wallet_manager import Intent, SendKind, SendState
from shared.models.wire import FeedView
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.storage import SqliteStorage, Storage
from shared.storage.sqlite.snapshot import renew
from shared.tron.address import Address
from shared.tron.decoding import decode_raw_data
from shared.tron.operation import TransferTrc20, TransferTrx
from tests.services.wallet_manager.till import (
    LIFETIME_MS,
    TRX,
    Chain,
    Till,
    fate,
    intent,
    open_storage,
    page,
    rules,
    stored_view,
    till_on,
    transfer,
    txid_of,
    vault,
)
from tests.support import START_MS

T = TypeVar("T")

VAULT = vault()
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
WORST_FEES_SUN = {SendKind.TRC20_TRANSFER: 8 * TRX, SendKind.TRX_TRANSFER: 1_400_000}
START_FUNDS = 30 * TRX
NEVER = 10_000

Fuse = tuple[int, bool] | None
FUSES = st.none() | st.none() | st.none() | st.tuples(st.integers(1, 12), st.booleans())
KINDS = st.sampled_from([SendKind.TRC20_TRANSFER, SendKind.TRX_TRANSFER])
MOODS = st.sampled_from(["taken", "taken", "lost", "dropped", "died before", "died after"])
ENDS = st.lists(
    st.sampled_from(["paid", "paid", "failed", "forked", "lost"]), min_size=1, max_size=4
)


class Crash(BaseException):
    """The process ended here."""


class StorageThatDies:
    """Passes calls on until its fuse is burnt; then the process is gone, before or after a write."""

    def __init__(self, inner: SqliteStorage) -> None:
        self._inner = inner
        self.calls_left = NEVER
        self.after_the_write = False

    @property
    def incarnation(self) -> str:
        return self._inner.incarnation

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        async def mortal(*given: Any, **named: Any) -> Any:
            if self.calls_left <= 0:
                raise Crash
            self.calls_left -= 1
            if self.calls_left == 0 and not self.after_the_write:
                raise Crash
            result = await call(*given, **named)
            if self.calls_left == 0:
                raise Crash
            return result

        return mortal


@dataclass(slots=True)
class OnChain:
    """A transaction as the chain and tron-client have it."""

    send: Send
    given: SignedTransaction
    state: TransactionState = TransactionState.PENDING
    height: int = 0
    is_forgotten: bool = False

    def view(self) -> StoredTransactionView:
        """Return what tron-client remembers of it."""
        fee_sun = WORST_FEES_SUN[self.send.kind]
        txid = txid_of(self.given)
        told = fate(self.send, self.state, txid=txid, fee_sun=fee_sun, height=self.height or 120)
        return stored_view(self.given, state=told.state, block=told.block, receipt=told.receipt)


class ChainWithAFate(Chain):
    """Plays tron-client and the chain behind it: what arrives is moved on by the machine's rules.

    Attributes:
        mood: what happens to the next submission.
        known: every transaction that ever arrived, whatever tron-client forgot of it since.
        verdicts: its feed of transactions; ``transfers`` the one of transfers.
        paid: how often money moved for each send key.
        balances: what the chain says the treasury has.
    """

    def __init__(self, clock: HeldClock) -> None:
        super().__init__(clock)
        self.mood = "taken"
        self.known: dict[str, OnChain] = {}
        self.told: list[TransactionView] = []
        self.transfers: list[TransferView] = []
        self.paid: dict[str, int] = {}
        self.balances = dict.fromkeys(Currency, 0)
        self.till: Till | None = None
        self.incarnation = 0
        self.solid_height = 200

    async def stored_transactions(
        self, owner: Address, *, cursor: str | None, limit: int
    ) -> StoredTransactionsView:
        assert cursor is None
        found = [
            one.view()
            for one in self.known.values()
            if one.send.owner == owner and not one.is_forgotten
        ]
        assert len(found) <= limit
        return StoredTransactionsView(transactions=found)

    async def outgoing(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingView:
        self.on_chain = []
        for one in self.known.values():
            if one.state in {TransactionState.CONFIRMED, TransactionState.FAILED}:
                paid = one.state is TransactionState.CONFIRMED
                self.lands(one.given, height=one.height, succeeded=paid)
        return await super().outgoing(owners, first_height=first_height, last_height=last_height)

    def forgets(self) -> None:
        """Set tron-client back to before all transactions; it begins to tell anew."""
        self.told = []
        self.incarnation += 1
        for one in self.known.values():
            one.is_forgotten = True

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        mood, self.mood = self.mood, "taken"
        if mood == "dropped":
            raise PeerUnavailable("tron-client did not hear of it")
        if mood == "died before":
            raise Crash
        assert self.till is not None
        for one in transactions:
            send = (await self.till.store.sends_by_key([one.send_key]))[one.send_key]
            self._check(send, one)
            known = self.known.setdefault(txid_of(one), OnChain(send, one))
            if known.is_forgotten:
                known.is_forgotten = False
                self._tell(txid_of(one), known.state)
        if mood == "lost":
            raise PeerUnavailable("the reply was lost")
        if mood == "died after":
            raise Crash
        return await super().submit(transactions)

    def _check(self, send: Send, given: SignedTransaction) -> None:
        operation = decode_raw_data(bytes.fromhex(given.raw_data)).operation
        assert isinstance(operation, TransferTrc20 | TransferTrx)
        assert operation == send.operation()

    def moves(self, txid: str, end: str) -> None:
        """Take a transaction one step towards an end, if it can go there now."""
        one = self.known[txid]
        over = self.clock.now_ms() > one.given.expires_at_ms
        match one.state, end:
            case TransactionState.PENDING, "lost" if over:
                self._tell(txid, TransactionState.EXPIRED)
            case TransactionState.PENDING, "paid" | "failed" | "forked" if not over:
                self._tell(txid, TransactionState.INCLUDED)
            case TransactionState.INCLUDED, "forked":
                self._tell(txid, TransactionState.PENDING)
            case TransactionState.INCLUDED, "paid" | "failed":
                self.settles(txid, executed=end == "paid")
            case _:
                pass

    def settles(self, txid: str, *, executed: bool) -> None:
        send = self.known[txid].send
        if executed:
            self.paid[send.send_key] = self.paid.get(send.send_key, 0) + 1
            token = send.kind is SendKind.TRC20_TRANSFER
            currency = Currency.USDT if token else Currency.TRX
            self.balances[currency] -= send.amount
            assert send.recipient is not None
            self.transfers.append(
                transfer(
                    send.amount,
                    currency,
                    sender=send.owner,
                    recipient=send.recipient,
                    txid=txid,
                )
            )
        self.balances[Currency.TRX] -= WORST_FEES_SUN[send.kind]
        self._tell(txid, TransactionState.CONFIRMED if executed else TransactionState.FAILED)
        assert min(self.balances.values()) >= 0, "the holds did not cover what was taken"

    def makes_solid(self) -> None:
        """Settle what is in a block: the solid head comes past every block in minutes."""
        for txid, one in self.known.items():
            if one.state is TransactionState.INCLUDED:
                self.settles(txid, executed=True)

    def _tell(self, txid: str, state: TransactionState) -> None:
        one = self.known[txid]
        if one.state is not state:
            self.solid_height += 1
            one.state, one.height = state, self.solid_height
        if one.is_forgotten:
            return
        fee_sun = WORST_FEES_SUN[one.send.kind]
        self.told.append(fate(one.send, state, txid=txid, fee_sun=fee_sun))


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = HeldClock(START_MS)
        self.chain = ChainWithAFate(self.clock)
        self.ids = itertools.count(1)
        self.was_restored = False
        self.confirmed: dict[str, Send] = {}
        self.copies: list[Path] = []
        self.path = Path(self.folder.name) / "live"
        self.path.mkdir()
        self.intents: dict[str, Intent] = {}
        self.run(self._open())
        wallet = self.run(self.till.treasury(trx=0, usdt=0))
        self.owner = wallet.address
        for currency in Currency:
            self._deposit(START_FUNDS, currency)
        self.run(self._follow_transfers(10))
        for name, kind in zip("abc", itertools.cycle(WORST_FEES_SUN), strict=False):
            self.ask({name}, kind, None)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> None:
        self.disk = await open_storage(self.path)
        self.storage = StorageThatDies(self.disk)
        self.till = till_on(
            cast("Storage", self.storage),
            clock=self.clock,
            chain=self.chain,
            vault=VAULT,
            ids=self.ids,
            rules=rules(batch=3),
        )
        self.chain.till = self.till
        await self.till.begins()

    async def _restart(self) -> None:
        await self.disk.close()
        await self._open()

    @rule(notes=st.booleans())
    def back_up(self, *, notes: bool) -> None:
        """Make a copy at this very moment, maybe just after the solid height was noted."""
        if notes:
            self.run(self.till.recovery.note_height())
        path = Path(self.folder.name) / f"copy-{len(self.copies)}"
        self.run(self.disk.backup(path))
        self.copies.append(path)

    @precondition(lambda self: self.copies)
    @rule(which=st.integers(0, 100), forgets=st.booleans(), ends=ENDS, asks=st.booleans())
    def restore(self, which: int, ends: list[str], *, forgets: bool, asks: bool) -> None:
        """Put a copy in the place of the database, of tron-client's too if it forgets (H5)."""
        self.run(self.disk.close())
        self.path = Path(self.folder.name) / f"restored-{next(self.ids)}"
        self.path.mkdir()
        shutil.copy(self.copies[which % len(self.copies)], self.path / "wallets.sqlite3")
        renew(self.path / "wallets.sqlite3", {})
        self.confirmed.clear()
        self.was_restored, self.chain.mood = True, "taken"
        if forgets:
            self.chain.forgets()
        self.run(self._open())
        if asks:
            self.ask_again()
        self.leave_quarantine(ends)

    def leave_quarantine(self, ends: list[str]) -> None:
        for _ in range(10):
            self.run(self._work())
            if self.till.recovery.reason() is None:
                return
            self.time_passes(330, ends)
            self.chain.makes_solid()
        raise AssertionError(self.till.recovery.reason())

    async def _work(self) -> None:
        while await self.till.recovery.work():
            pass

    def ask_again(self) -> None:
        """Ask for everything that was asked for, as whoever kept a record of it does."""
        if self.intents:
            asked = list(self.intents.values())
            self.run(self.till.sender.accept(asked, caller="payout-router"))

    def live(self, work: Coroutine[Any, Any, object], fuse: Fuse = None) -> None:
        """Do something that may fail as calls do, or be the last thing the process does."""
        if fuse is not None:
            self.storage.calls_left, self.storage.after_the_write = fuse

        async def lived() -> bool:
            try:
                await work
            except PeerUnavailable:
                return True
            except Crash:
                return False
            return True

        if not self.run(lived()):
            self.run(self._restart())
        self.storage.calls_left = NEVER

    @rule(names=st.sets(NAMES, min_size=1), kind=KINDS, fuse=FUSES)
    def ask(self, names: set[str], kind: SendKind, fuse: Fuse) -> None:
        for name in names:
            wanted = intent(name, amount=8 * TRX, kind=kind, not_after=START_MS + 5 * LIFETIME_MS)
            self.intents.setdefault(name, wanted)
        wanted_ = [self.intents[name] for name in names]
        self.live(self.till.sender.accept(wanted_ * 2, caller="payout-router"), fuse)

    @rule(mood=MOODS, fuse=FUSES)
    def sign_and_submit(self, mood: str, fuse: Fuse) -> None:
        self.chain.mood = mood
        self.live(self._sign_and_submit(), fuse)

    async def _sign_and_submit(self) -> None:
        await self.till.sender.sign_due()
        await self.till.sender.submit_signed()

    @rule(seconds=st.sampled_from([3, 301]), ends=ENDS, mood=MOODS)
    def a_while_passes(self, seconds: int, ends: list[str], mood: str) -> None:
        self.clock.advance(seconds=70)
        self.sign_and_submit(mood, None)
        self.time_passes(seconds, ends)
        self.time_passes(3, ends)
        self.hear(6, None)

    @rule(currency=st.sampled_from(list(Currency)))
    def pay_in(self, currency: Currency) -> None:
        self._deposit(20 * TRX, currency)

    def _deposit(self, amount: int, currency: Currency) -> None:
        self.chain.balances[currency] += amount
        self.chain.transfers.append(transfer(amount, currency, recipient=self.owner))

    @rule(seconds=st.sampled_from([3, 301]), ends=ENDS)
    def time_passes(self, seconds: int, ends: list[str]) -> None:
        for end, txid in zip(itertools.cycle(ends), list(self.chain.known), strict=False):
            self.chain.moves(txid, end)
        self.clock.advance(seconds=seconds)

    @rule(limit=st.integers(1, 6), fuse=FUSES)
    def hear(self, limit: int, fuse: Fuse) -> None:
        self.live(self._hear(limit), fuse)

    async def _hear(self, limit: int) -> None:
        await self._follow_transfers(limit)
        await self._follow_verdicts(limit)

    @rule(feed=st.sampled_from([VERDICTS, TRANSFERS]))
    def begin_again(self, feed: str) -> None:
        self.live(self.till.books.restart(feed))

    async def _follow_verdicts(self, limit: int) -> None:
        if self.till.recovery.follows_verdicts():
            cursor = await self.till.books.cursor(VERDICTS)
            if cursor and not cursor.startswith(f"{self.chain.incarnation}."):
                await self.till.sender.hand_over_again()
                await self.till.books.restart(VERDICTS)
            told = await self._page(VERDICTS, self.chain.told, limit)
            await self.till.recovery.hear_verdicts(told)

    async def _follow_transfers(self, limit: int) -> None:
        if self.till.recovery.follows_transfers():
            told = await self._page(TRANSFERS, self.chain.transfers, limit)
            await self.till.books.apply_transfers(told)

    async def _page(self, feed: str, events: Sequence[Any], limit: int) -> FeedView[Any]:
        _, _, number = (await self.till.books.cursor(feed)).rpartition(".")
        start = int(number or 0)
        items = events[start : start + limit]
        return page(items, next_=f"{self.chain.incarnation}.{start + len(items)}")

    async def _sends(self) -> list[Send]:
        return (await self.disk.list(SENDS, "send_key", limit=1_000)).items

    @invariant()
    def money_moves_at_most_once_for_a_key(self) -> None:
        assert max(self.chain.paid.values(), default=0) <= 1

    @invariant()
    def the_books_hold_together(self) -> None:
        self.run(self._check_books())

    async def _check_books(self) -> None:
        calls_left, self.storage.calls_left = self.storage.calls_left, NEVER
        sends, lines = await self._sends(), await self.till.journal()
        claims = await self.till.store.open_claims_of(self.owner)
        holds = [*(send.hold for send in sends), *(claim.hold for claim in claims)]
        for currency in Currency:
            position = await self.till.position(self.owner, currency)
            booked = [
                one.amount for one in lines if (one.account, one.currency) == (self.owner, currency)
            ]
            assert position.settled == sum(booked)
            assert position.held == sum(hold.of(currency) for hold in holds)
            assert position.available >= 0 or self.was_restored
            assert not sum(one.amount for one in lines if one.currency is currency)
        for send in sends:
            await self._check_send(send)
        self.storage.calls_left = calls_left

    async def _check_send(self, send: Send) -> None:
        under_way = {SendState.SIGNED, SendState.SUBMITTED, SendState.SEEN, SendState.UNKNOWN}
        assert (send.hold.trx_sun > 0) == (send.state in under_way)
        if send.state is SendState.CONFIRMED:
            assert self.confirmed.setdefault(send.send_key, send) == send
        elif send.state in {SendState.FAILED, SendState.EXPIRED, SendState.REFUSED}:
            assert not self.chain.paid.get(send.send_key)
        attempts = await self.till.attempts(send)
        numbers = [one.number for one in attempts]
        assert numbers == sorted(set(numbers))
        assert numbers[-1:] == ([send.attempt] if send.attempt else [])
        if not self.was_restored:
            assert numbers == list(range(1, send.attempt + 1))
        for earlier in attempts[:-1]:
            assert self.chain.known[earlier.id].state is TransactionState.EXPIRED

    def teardown(self) -> None:
        try:
            self.storage.calls_left = NEVER
            self.chain.mood = "taken"
            self.leave_quarantine(["paid"])
            if self.was_restored:
                self.ask_again()
            for _ in range(30):
                self.time_passes(3, ["lost"])
                self.time_passes(0, ["paid"])
                self.run(self._sign_and_submit())
                self.run(self._follow_verdicts(50))
                self.run(self._follow_transfers(50))
            self.run(self._check_books())
            self.run(self._check_against_the_chain())
        finally:
            self.run(self.disk.close())
            self.runner.close()
            self.folder.cleanup()

    async def _check_against_the_chain(self) -> None:
        assert self.till.alarm_kinds() <= {"transaction_unclaimed"}
        assert self.till.claims.open() == 0
        assert (await Recompute(self.till.store).all()).wrong == ()
        for currency in Currency:
            position = await self.till.position(self.owner, currency)
            assert position.settled == self.chain.balances[currency]
        for send in await self._sends():
            paid = self.chain.paid.get(send.send_key, 0)
            assert (send.state is SendState.CONFIRMED) == bool(paid)


TestCrashes = pytest.mark.property(Machine.TestCase)
TestCrashes.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


SEEDS = 500
SEEDS_AT_ONCE = 50
STEPS = 8


@pytest.mark.property
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_AT_ONCE))
def test_h5_killed_at_each_step_of_the_engine_every_send_is_paid_once_or_dead(first: int) -> None:
    for seed in range(first, first + SEEDS_AT_ONCE):
        lives(random.Random(seed))  # noqa: S311 - chooses when to die, guards nothing


def lives(chance: random.Random) -> None:
    """Die at a storage call of every step that is chosen, and come back each time."""
    machine = Machine()
    try:
        for _ in range(STEPS):
            fuse = (chance.randint(1, 12), chance.random() < 0.5)
            mood = chance.choice(["taken", "lost", "dropped", "died before", "died after"])
            ends = chance.choices(["paid", "failed", "forked", "lost"], k=2)
            match chance.choice(["ask", "sign", "sign", "pass", "hear", "back up", "restore"]):
                case "ask":
                    names = set(chance.choices("abcdef", k=2))
                    machine.ask(names, chance.choice(list(WORST_FEES_SUN)), fuse)
                case "sign":
                    machine.clock.advance(seconds=70)
                    machine.sign_and_submit(mood, fuse)
                case "pass":
                    machine.time_passes(chance.choice([3, 301]), ends)
                case "hear":
                    machine.hear(6, fuse)
                case "back up":
                    machine.back_up(notes=chance.random() < 0.5)
                case _ if machine.copies:
                    machine.restore(chance.randrange(9), ends, forgets=False, asks=True)
            machine.money_moves_at_most_once_for_a_key()
            machine.the_books_hold_together()
    finally:
        machine.teardown()
