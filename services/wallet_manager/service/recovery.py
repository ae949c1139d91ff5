"""Quarantine: after a restore or a kill nothing is signed or derived until nothing can be missing (H5)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, assert_never

from services.wallet_manager.domain.recovery import (
    INDEX_GAP,
    Quarantined,
    Run,
    Stage,
    boot,
)
from services.wallet_manager.domain.sends import Send
from services.wallet_manager.service.books import Books
from services.wallet_manager.service.claims import Claims
from services.wallet_manager.service.imports import Imports
from services.wallet_manager.service.indexes import Indexes
from services.wallet_manager.store import WalletStore
from shared.alarms import Alarms
from shared.logs import get_logger
from shared.models.tron_client import SigningContextView
from shared.models.tron_transactions import OutgoingView, TransactionView
from shared.models.wire import FeedView, time_or_none
from shared.storage import Leased, StaleRecord
from shared.tron.address import Address

log = get_logger(__name__)

OWNERS: Final = 10_000
BLOCKS: Final = 1_000
PAGE: Final = 500
STRANGERS: Final = "watch_strangers"
UNKNOWN: Final = "transaction_unknown"
RESTORED: Final = "decisions_restored"

MOST_TOLD: Final = 10_000
"""Unknown transactions of one page of a feed that are remembered."""


class SolidChain(Protocol):
    """Reads solid blocks: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return the solid head, among others."""
        ...

    async def outgoing(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingView:
        """Return transactions of owners in solid blocks, maybe of fewer blocks than asked for."""
        ...


class Clocks(Protocol):
    """The local clock, and what the chain says of it (hazard H2)."""

    def now_ms(self) -> int:
        """Return the local time."""
        ...

    async def agreed_ms(self) -> int:
        """Return the latest of the clocks; raises Unavailable while they differ."""
        ...


class Decisions(Protocol):
    """What people decided: the guards."""

    async def end_agreements(self) -> int:
        """End what people agreed to and has not happened; it may have after the copy was made."""
        ...

    async def in_force(self) -> str:
        """Say what is in force."""
        ...


class Recovery:
    """Keeps the mark of the running process, and leads the service out of quarantine."""

    def __init__(
        self,
        *,
        store: WalletStore,
        chain: SolidChain,
        imports: Imports,
        claims: Claims,
        indexes: Indexes,
        books: Books,
        clocks: Clocks,
        alarms: Alarms,
    ) -> None:
        self._hand_over: Callable[[], Awaitable[None]] | None = None
        self._decisions: Decisions | None = None
        self._store = store
        self._chain = chain
        self._imports = imports
        self._claims = claims
        self._indexes = indexes
        self._books = books
        self._clocks = clocks
        self._alarms = alarms
        self._lock = asyncio.Lock()
        self._told_of: set[str] = set()
        self._run = Run(incarnation="", stage=Stage.COMPARING, why="starting")

    def before_clear(self, hand_over: Callable[[], Awaitable[None]]) -> None:
        """Say how tron-client is given all transactions under way once more."""
        self._hand_over = hand_over

    def after_restore(self, decisions: Decisions) -> None:
        """Name what people decided, of which a copy may have forgotten the latest."""
        self._decisions = decisions

    @property
    def run(self) -> Run:
        """How the database was left, and what is still to be done."""
        return self._run

    def reason(self) -> str | None:
        """Say why nothing is signed and nothing derived, or None."""
        return self._run.reason()

    def forgot_ms(self) -> int:
        """Return up to when bytes may have left for a signature of which no record is here; 0 for never."""
        return self._run.forgot_ms

    def is_asked_for(self, send: Send) -> bool:
        """False while only a copy says that it is wanted, and nobody has asked for it since."""
        return send.was_asked_in(self._run.incarnation)

    def require_clear(self) -> None:
        """Raise Quarantined while keys must not be used."""
        reason = self._run.reason()
        if reason is not None:
            raise Quarantined(reason, retry_after_s=5, stage=self._run.stage.value)

    async def settle(self, leased: Sequence[Leased[Send]]) -> list[Leased[Send]]:
        """Give sends the transactions that turn out to be theirs; return those that may be signed."""
        return await self._claims.settle(leased)

    def follows_verdicts(self) -> bool:
        """False while the records that verdicts are about may be missing."""
        return self._run.stage in {Stage.CLEAR, Stage.MATCHING}

    def follows_transfers(self) -> bool:
        """False while an own transfer might look like one that nobody ordered."""
        return self._run.is_clear

    async def hear_verdicts(self, page: FeedView[TransactionView]) -> None:
        """Apply what became of our transactions; one that is not recorded here is a lost record (H5).

        The quarantine that it begins is stored first and the page heard again in it, for the cursor
        moves with the page.

        Raises:
            Quarantined: a record may be missing.
        """
        self._require_records()
        txids = list(dict.fromkeys(item.object.txid for item in page.items))
        known = await self._store.attempts(txids) if txids else {}
        unknown = [txid for txid in txids if txid not in known]
        fresh = [txid for txid in unknown if txid not in self._told_of]
        if fresh:
            self._told_of |= set(fresh[:MOST_TOLD])
            await self.suspect(f"tron-client told of {fresh[0]}, which is not recorded here")
            self._require_records()
        for txid in unknown:  # the quarantine could not explain it
            told = f"tron-client tells of {txid}, which no send here made"
            await self._alarms.raise_alarm(UNKNOWN, txid, detail=told)
        await self._books.apply_verdicts(page)

    def _require_records(self) -> None:
        """Refuse a page that was asked for before the quarantine began; it is asked for again."""
        if not self.follows_verdicts():
            raise Quarantined(self.reason() or "", retry_after_s=5)

    def standing(self) -> dict[str, Any]:
        """Say how far the quarantine is, for ``/status``."""
        run = self._run
        return {
            "stage": run.stage.value,
            "why": run.why or None,
            "since": time_or_none(run.began_ms or None),
            "next_height": run.next_height,
            "until": time_or_none(run.until_ms),
            "noted_height": run.height,
            "unclaimed": self._claims.open(),
        }

    async def begin(self) -> None:
        """Mark the database as open; raises StorageError."""
        async with self._lock:
            before = await self._store.run()
            is_used = bool((await self._store.wallets(cursor=None, limit=1)).items)
            run = boot(
                before,
                incarnation=self._store.storage.incarnation,
                is_used=is_used,
                at_ms=self._clocks.now_ms(),
            )
            if self._decisions is not None and run.from_copy and run.stage is Stage.INDEXING:
                await self._decisions.end_agreements()
            await self._keep(run)
        await self._claims.load()
        if not run.is_clear:
            log.critical("recovery.quarantine", stage=run.stage.value, why=run.why)

    async def end(self) -> None:
        """Mark the database as closed as it should be; the last thing that is stored."""
        async with self._lock:
            try:
                await self._keep(self._run.stopped())
            except StaleRecord:  # a loop was ended while it stored, and never heard of it
                stored = await self._store.run()
                await self._keep((stored or self._run).stopped())

    async def suspect(self, why: str) -> None:
        """Begin a quarantine at run time: something is known elsewhere that is not known here."""
        async with self._lock:
            if self._run.is_clear:
                log.critical("recovery.quarantine", stage=Stage.INDEXING.value, why=why)
                await self._keep(
                    self._run.quarantined(Stage.INDEXING, why=why, at_ms=self._clocks.now_ms())
                )

    async def note_height(self) -> bool:
        """Note the solid height, from which a copy made from now on has to be matched."""
        if self._run.is_clear:
            context = await self._chain.signing_context()
            async with self._lock:
                run = self._run.noted(context.solid.height)
                if run != self._run:
                    await self._keep(run)
        return False

    async def work(self) -> bool:
        """Do the next part of what the quarantine asks for; True when there is more to do at once."""
        run = self._run
        match run.stage:
            case Stage.CLEAR:
                return False
            case Stage.COMPARING:
                await self._compare(run)
            case Stage.INDEXING:
                await self._index(run)
            case Stage.IMPORTING:
                await self._import(run)
            case Stage.MATCHING:
                return await self._match(run)
            case _:
                assert_never(run.stage)
        return not self._run.is_clear

    async def _compare(self, run: Run) -> None:
        if not await self._imports.is_complete(await self._senders()):
            why = "tron-client was given transactions that are not recorded here"
        elif len(await self._indexes.strangers()) > run.strangers:
            why = "tron-client watches addresses that are not recorded here"
        else:
            await self._become(run.cleared())
            return
        await self._become(run.quarantined(Stage.INDEXING, why=why, at_ms=self._clocks.now_ms()))

    async def _index(self, run: Run) -> None:
        found = await self._indexes.move_on()
        if found.wallets:
            told = (
                f"{len(found.wallets)} wallets were forgotten and are back, inactive and nobody's:"
                f" {found.wallets[0].id} …"
            )
            await self._alarms.raise_alarm(STRANGERS, "wallets", detail=told)
        if found.strangers:
            told = (
                f"{len(found.strangers)} addresses are watched that no wallet here has:"
                f" {found.strangers[0]} …"
            )
            await self._alarms.raise_alarm(STRANGERS, "all", detail=told)
        next_account = await self._store.next_account() + INDEX_GAP
        await self._become(run.importing(strangers=len(found.strangers), next_account=next_account))

    async def _import(self, run: Run) -> None:
        await self._clocks.agreed_ms()
        async for owners in self._owners():
            for owner in owners:
                await self._imports.take_back(owner)
        await self._become(await self._matching(run))

    async def _matching(self, run: Run) -> Run:
        """Begin to match where the copy was made; one without a height begins with the first wallet."""
        begun = run.matching(at_ms=await self._clocks.agreed_ms())
        if run.height:
            return begun
        page = await self._store.wallets(cursor=None, limit=1)
        births = [wallet.birth_height or 0 for wallet in page.items]
        return begun.looked_through(max(births, default=0))

    async def _match(self, run: Run) -> bool:
        """Look through the next blocks; True when there are more of them already."""
        solid = (await self._chain.signing_context()).solid
        first = run.next_height or 1
        last = min(solid.height, first + BLOCKS - 1)
        if first <= last:
            await self._clocks.agreed_ms()
            async for owners in self._owners():
                answer = await self._chain.outgoing(owners, first_height=first, last_height=last)
                last = min(last, answer.last_height)
                await self._claims.find(
                    [one for one in answer.transactions if one.block.height <= last]
                )
            await self._become(run.looked_through(last))
        if last < solid.height:
            return True
        if solid.timestamp_ms >= (run.until_ms or 0):
            if self._hand_over is not None:  # tron-client may have been set back too
                await self._hand_over()
            if run.from_copy and self._decisions is not None:
                told = (
                    f"restored as of about block {run.height}: {await self._decisions.in_force()}"
                )
                await self._alarms.raise_alarm(RESTORED, "all", detail=told)
            await self._become(self._run.cleared())
        return False

    async def _become(self, run: Run) -> None:
        async with self._lock:
            await self._keep(run)
        if run.is_clear:
            log.warning("recovery.clear", height=run.height)

    async def _keep(self, run: Run) -> None:
        self._run = await self._store.save_run(run)

    async def _senders(self) -> list[Address]:
        """Return the addresses that pay as a rule, and those with a send under way."""
        found: set[Address] = set(await self._store.owners_under_way())
        async for wallets in self._wallets():
            found |= set(wallets)
        return sorted(found)

    async def _owners(self) -> AsyncIterator[list[Address]]:
        """Go through every address of ours, so many at once."""
        async for chunk in self._wallets():
            yield chunk
        cursor: str | None = None
        chunk = []
        while True:
            page = await self._store.addresses(cursor=cursor, limit=PAGE)
            chunk += [one.id for one in page.items]
            cursor = page.next
            if chunk and (cursor is None or len(chunk) + PAGE > OWNERS):
                yield chunk
                chunk = []
            if cursor is None:
                return

    async def _wallets(self) -> AsyncIterator[list[Address]]:
        cursor: str | None = None
        while True:
            page = await self._store.wallets(cursor=cursor, limit=PAGE)
            if page.items:
                yield [one.address for one in page.items]
            cursor = page.next
            if cursor is None:
                return
