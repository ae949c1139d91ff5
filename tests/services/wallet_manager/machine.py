"""wallet-manager on a chain that loses, drops, fails and expires, under everything that can befall it."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from services.wallet_manager.domain.sends import Send
from services.wallet_manager.domain.stops import ALL
from services.wallet_manager.service.books import TRANSFERS, VERDICTS
from services.wallet_manager.service.guard import Gate, Guard
from services.wallet_manager.service.policy import approval_id
from services.wallet_manager.vault import Vault, new_seed
from shared.clock import HeldClock
from shared.errors import Problem
from shared.ledger_clock import LedgerClock
from shared.models.wallet_sends import Intent, SendKind
from shared.models.wire import FeedView
from shared.money import Currency
from shared.storage import Storage, StorageError
from shared.storage.sqlite.snapshot import renew
from tests.services.wallet_manager.fates import (
    NEVER,
    ChainWithAFate,
    ClockThatJumps,
    Crash,
    StorageThatDies,
)
from tests.services.wallet_manager.guards import USDT_CAPS, Guards, guarded, rulebook
from tests.services.wallet_manager.till import (
    FACTS_HERE,
    LIFETIME_MS,
    MASTER_KEY,
    TRX,
    intent,
    open_storage,
    page,
    rules,
    till_on,
    transfer,
)
from tests.support import START_MS, address

T = TypeVar("T")

DAY_S: Final = 86_400
START_FUNDS: Final = 30 * TRX
NAMES: Final = "abcdefghij"
LARGE: Final = "f"
"""The one whose amount people have to agree to."""

SHORT_LIVED: Final = "abc"
"""Those whose time is over after a few attempts; the others have days."""

CAPS: Final = replace(
    USDT_CAPS,
    per_send=10 * TRX,
    per_hour=24 * TRX,
    per_day=40 * TRX,
    per_destination=32 * TRX,
    unproved_per_day=16 * TRX,
    agreed_above=8 * TRX,
)
FEES_PER_HOUR: Final = 60 * TRX
FOUNDING, _ = new_seed(MASTER_KEY, network="devnet", at_ms=START_MS)

Fuse = tuple[int, bool] | None
"""After how many storage calls the process ends, and whether the last of them still took effect."""


def wanted(name: str, kind: SendKind) -> Intent:
    """Return the intent of a name; two recipients share them."""
    days = 0 if name in SHORT_LIVED else 3
    return intent(
        name,
        amount=(9 if name == LARGE else 8) * TRX,
        kind=kind,
        recipient=address(0xC0 + NAMES.index(name) % 2),
        not_after=START_MS + 5 * LIFETIME_MS + days * DAY_S * 1_000,
    )


class Engine:
    """The service on one database after another, and what is known of it from outside.

    Attributes:
        clock: the chain's time; ``local`` is the machine's own.
        chain: plays tron-client, and keeps what happened for good.
        voices: who may have agreed to which send.
        cancelled: sends that ended without being paid, as somebody was told.
        turned_down: sends that people ended, which another copy may not know of.
    """

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = HeldClock(START_MS)
        self.local = ClockThatJumps(self.clock)
        self.chain = ChainWithAFate(self.clock)
        self.vault = Vault(network="devnet", coin_type=FACTS_HERE.coin_type)
        self.vault.open(MASTER_KEY, FOUNDING.secrets)
        self.ids = itertools.count(1)
        self.was_restored = False
        self.intents: dict[str, Intent] = {}
        self.copies: list[Path] = []
        self.voices: dict[str, set[str]] = {}
        self.cancelled: set[str] = set()
        self.turned_down: set[str] = set()
        self.path = Path(self.folder.name) / "live"
        self.path.mkdir()
        self.run(self._open())
        wallet = self.run(self.till.treasury(trx=0, usdt=0))
        self.owner = wallet.address
        for currency in Currency:
            self.pay_in(currency, START_FUNDS)
        self.run(self._follow_transfers(10))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> None:
        self.disk = await open_storage(self.path)
        self.storage = StorageThatDies(self.disk)
        storage = cast("Storage", self.storage)
        ledger = LedgerClock(storage, self.local)
        gates: list[Gate] = []
        guards: list[Guard] = []
        self.till = till_on(
            storage,
            clock=self.local,
            chain=self.chain,
            vault=self.vault,
            ids=self.ids,
            rules=rules(batch=3),
            gates=gates,
            guards=guards,
            ledger=ledger,
            held_back=self._held_back,
        )
        self.chain.till = self.till
        await ledger.load()
        caps = tuple(replace(CAPS, currency=currency) for currency in Currency)
        self.guards: Guards = await guarded(
            self.till,
            Path(self.folder.name),
            gates=gates,
            guards=guards,
            rules=rulebook(caps=caps, fees_per_hour_sun=FEES_PER_HOUR),
            ledger=ledger,
        )
        await self._look()
        await self._begin()

    def _held_back(self, wallet_id: str) -> str | None:
        return self.guards.switch.reason_for(wallet_id)

    async def _begin(self) -> None:
        """Open the database as a process does that comes after another."""
        await self.till.recovery.begin()
        await self._recover()

    async def _recover(self) -> None:
        try:
            while await self.till.recovery.work():
                pass
        except Problem:
            return  # a locked vault, or clocks that differ; its loop tries again

    async def _look(self) -> None:
        await self.till.timekeeper.look()
        self.guards.operators[0] = self.till.timekeeper.operators

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
            except (Problem, StorageError):
                return True
            except Crash:
                return False
            return True

        if not self.run(lived()):
            self.run(self._restart())
        self.storage.calls_left = NEVER

    # what callers and people do

    def ask(self, names: Sequence[str], kind: SendKind, fuse: Fuse = None) -> None:
        self.live(self._ask(names, kind), fuse)

    async def _ask(self, names: Sequence[str], kind: SendKind) -> None:
        for name in names:
            self.intents.setdefault(name, wanted(name, kind))
        asked = [self.intents[name] for name in names]
        await self.till.sender.accept(asked * 2, caller="payout-router")

    def ask_again(self) -> None:
        """Ask for everything that was asked for, as whoever kept a record of it does."""
        if self.intents:
            asked = list(self.intents.values())
            self.run(self.till.sender.accept(asked, caller="payout-router"))

    def sign_and_submit(self, mood: str = "taken", fuse: Fuse = None) -> None:
        self.chain.mood = mood
        self.live(self._sign_and_submit(), fuse)

    async def _sign_and_submit(self) -> None:
        await self._look()
        await self._recover()
        await self.till.sender.sign_due()
        await self.till.sender.submit_signed()

    def all_at_once(self, names: Sequence[str], mood: str, fuse: Fuse = None) -> None:
        """Let everything happen at the same time, as loops and requests do."""
        self.chain.mood = mood
        self.live(self._all_at_once(names), fuse)

    async def _all_at_once(self, names: Sequence[str]) -> None:
        results = await asyncio.gather(
            self._ask(names, SendKind.TRX_TRANSFER),
            self._sign_and_submit(),
            self._cancel(names[0]),
            self._hear(6),
            self.till.sender.sign_due(),
            self.till.sender.submit_signed(),
            return_exceptions=True,
        )
        failures = [one for one in results if isinstance(one, BaseException)]
        for failure in sorted(failures, key=lambda one: not isinstance(one, Crash)):
            if not isinstance(failure, Problem | StorageError):
                raise failure

    def answer(self, who: str, *, agrees: bool, fuse: Fuse = None) -> None:
        """Have somebody answer to the large send."""
        self.live(self._answer(who, agrees=agrees), fuse)

    async def _answer(self, who: str, *, agrees: bool) -> None:
        send = await self._sent(LARGE)
        if send is not None and agrees:
            self.voices.setdefault(send.send_key, set()).add(who)
            await self.guards.approvals.agree(approval_id(send), who=who, note="")
        elif send is not None:
            self.turned_down.add(send.send_key)
            await self.guards.approvals.deny(approval_id(send), who=who, note="")

    def cancel(self, name: str, fuse: Fuse = None) -> None:
        self.live(self._cancel(name), fuse)

    async def _cancel(self, name: str) -> None:
        send = await self._sent(name)
        if send is not None:
            self.turned_down.add(send.send_key)
            ended = await self.till.oversight.cancel(send.id, reason="not wanted", by="ada")
            self.cancelled.add(ended.send_key)

    async def _sent(self, name: str) -> Send | None:
        known = self.intents.get(name)
        if known is None:
            return None
        return (await self.till.store.sends_by_key([known.send_key])).get(known.send_key)

    def stop(self) -> None:
        self.live(self.guards.switch.stop(ALL, reason="fire", by="ada"))
        self.chain.is_held_back = True

    def lift(self) -> None:
        self.chain.is_held_back = False
        self.live(self.guards.switch.lift(ALL, reason="out", by="ada"))

    def lock(self) -> None:
        self.vault.lock()

    def unlock(self) -> None:
        self.vault.open(MASTER_KEY, FOUNDING.secrets)

    # what happens to the machine and to the chain

    def back_up(self, *, notes: bool = False) -> None:
        """Make a copy at this very moment, maybe just after the solid height was noted."""
        if notes:
            self.live(self.till.recovery.note_height())
        self.run(self.copy())

    async def copy(self) -> None:
        path = Path(self.folder.name) / f"copy-{len(self.copies)}"
        await self.disk.backup(path)
        self.copies.append(path)

    def restore(self, copy: Path, *, forgets: bool) -> None:
        """Put a copy in the place of the database, of tron-client's too if it forgets (H5)."""
        self.run(self.disk.close())
        self.path = Path(self.folder.name) / f"restored-{next(self.ids)}"
        self.path.mkdir()
        shutil.copy(copy, self.path / "wallets.sqlite3")
        renew(self.path / "wallets.sqlite3", {})
        self.cancelled.clear()
        self.was_restored, self.chain.mood = True, "taken"
        if forgets:
            self.chain.forgets()
        self.run(self._open())

    def leave_quarantine(self, ends: list[str]) -> None:
        self.local.off_ms = 0
        self.unlock()
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

    def pay_in(self, currency: Currency, amount: int = 20 * TRX) -> None:
        self.chain.balances[currency] += amount
        self.chain.transfers.append(transfer(amount, currency, recipient=self.owner))

    def time_passes(self, seconds: int, ends: list[str]) -> None:
        for end, txid in zip(itertools.cycle(ends), list(self.chain.known), strict=False):
            self.chain.moves(txid, end)
        self.clock.advance(seconds=seconds)

    def hours_pass(self, hours: int) -> None:
        """Let every transaction meet its end, and windows of caps go by."""
        self.time_passes(LIFETIME_MS // 1_000 + 1, ["paid"])
        self.time_passes(3_600 * hours, ["lost", "paid"])
        self.chain.makes_solid()

    def clock_jumps(self, hours: int) -> None:
        """Set the machine's clock off that of the chain, and let it be looked at (H2)."""
        self.local.off_ms = hours * 3_600_000
        self.live(self._look())

    def operators_are(self, count: int) -> None:
        self.chain.context_says = {"operators": count}
        self.chain.operators = count
        self.live(self._look())

    def hear(self, limit: int, fuse: Fuse = None) -> None:
        self.live(self._hear(limit), fuse)

    async def _hear(self, limit: int) -> None:
        await self._follow_transfers(limit)
        await self._follow_verdicts(limit)

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

    def close(self) -> None:
        self.run(self.disk.close())
        self.runner.close()
        self.folder.cleanup()
