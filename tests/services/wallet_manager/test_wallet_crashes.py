"""wallet-manager dies at any await, on a chain that loses, drops, fails and expires: paid at most once."""

import asyncio
import itertools
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.wallet_manager.domain.sends import Send
from services.wallet_manager.service.books import TRANSFERS, VERDICTS
from services.wallet_manager.store import SENDS
from shared.clock import HeldClock
from shared.models.tron_client import (
    SignedTransaction,
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


class ChainWithAFate(Chain):
    """Plays tron-client and the chain behind it: what arrives is moved on by the machine's rules.

    Attributes:
        mood: what happens to the next submission.
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
            self.known.setdefault(txid_of(one), OnChain(send, one))
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
            self.balances[Currency.USDT if token else Currency.TRX] -= send.amount
        self.balances[Currency.TRX] -= WORST_FEES_SUN[send.kind]
        self._tell(txid, TransactionState.CONFIRMED if executed else TransactionState.FAILED)
        assert min(self.balances.values()) >= 0, "the holds did not cover what was taken"

    def _tell(self, txid: str, state: TransactionState) -> None:
        one = self.known[txid]
        one.state = state
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
        self.confirmed: dict[str, Send] = {}
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
        self.disk = await open_storage(Path(self.folder.name))
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

    async def _restart(self) -> None:
        await self.disk.close()
        await self._open()

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
        told = await self._page(VERDICTS, self.chain.told, limit)
        await self.till.books.apply_verdicts(told)

    async def _follow_transfers(self, limit: int) -> None:
        told = await self._page(TRANSFERS, self.chain.transfers, limit)
        await self.till.books.apply_transfers(told)

    async def _page(self, feed: str, events: Sequence[Any], limit: int) -> FeedView[Any]:
        _, _, number = (await self.till.books.cursor(feed)).rpartition(".")
        start = int(number or 0)
        items = events[start : start + limit]
        return page(items, next_=f"a.{start + len(items)}")

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
        for currency in Currency:
            position = await self.till.position(self.owner, currency)
            booked = [
                one.amount for one in lines if (one.account, one.currency) == (self.owner, currency)
            ]
            assert position.settled == sum(booked)
            assert position.held == sum(send.hold.of(currency) for send in sends)
            assert position.available >= 0
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
        assert [one.number for one in attempts] == list(range(1, send.attempt + 1))
        for earlier in attempts[:-1]:
            assert self.chain.known[earlier.id].state is TransactionState.EXPIRED

    def teardown(self) -> None:
        try:
            self.storage.calls_left = NEVER
            for _ in range(30):
                self.run(self._follow_verdicts(50))
                self.run(self._follow_transfers(50))
            self.run(self._check_books())
            self.run(self._check_against_the_chain())
        finally:
            self.run(self.disk.close())
            self.runner.close()
            self.folder.cleanup()

    async def _check_against_the_chain(self) -> None:
        assert self.till.books.alarm() is None
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
