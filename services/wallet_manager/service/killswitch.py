"""The kill switch: in memory, in a file, in the database; any one of them stops the signing (H23).

It has to work while everything else is on fire. Memory comes first and cannot fail; the rest is
tried, told about, and tried again until it took: the file, the database, and tron-client, which
stops to bring signed bytes to the chain.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from services.wallet_manager.domain.approvals import ApprovalKind
from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.domain.stops import ALL, SigningStopped, Stop, StopPlace
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guard import Objection
from services.wallet_manager.service.stop_files import StopFiles
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import STOPS
from shared.clock import Clock
from shared.errors import Problem
from shared.ids import fingerprint
from shared.logs import get_logger
from shared.models.tron_transactions import BroadcastingView, MayLandView
from shared.models.wallet_sends import SendState
from shared.storage import MAX_ROWS, StorageError, Unit
from shared.tron.address import Address

log = get_logger(__name__)

"""The file that stops everything; ``stop-<wallet id>`` stops one wallet. ``touch`` is enough."""

PATIENCE_S: Final = 5.0
"""How long a stop waits for a round under way to end before it says so, and then for each of the
other places before it leaves them to the loop."""

UNDER_WAY: Final = (
    SendState.AWAITING_SIGNATURE,
    SendState.SIGNED,
    SendState.SUBMITTED,
    SendState.UNKNOWN,
    SendState.SEEN,
)


class Broadcaster(Protocol):
    """Brings signed bytes to the chain, or holds them back: tron-client."""

    async def set_broadcasting(
        self, *, stopped: bool, reason: str, owners: Sequence[Address] = ()
    ) -> BroadcastingView:
        """Hold back signed bytes, or let them go again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReport:
    """What a stop achieved at once; what it did not is tried again.

    Attributes:
        scope: the wallet, or all.
        places: where it is kept now.
        quiet: whether every round under way has ended; if not, it ends without a signature more.
        broadcasting_stopped: whether tron-client holds signed bytes back.
        may_land: what was signed and may still get into a block, with the time until which.
        troubles: what did not work.
    """

    scope: str
    places: tuple[StopPlace, ...]
    quiet: bool
    broadcasting_stopped: bool
    may_land: tuple[MayLandView, ...]
    troubles: tuple[str, ...]


class KillSwitch:
    """Stops signing for one wallet or for all.

    Args:
        patience_s: how long it waits for what may be stuck; memory never waits.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        audit: Audit,
        approvals: Approvals,
        broadcaster: Broadcaster,
        clock: Clock,
        folder: Path,
        books_lock: asyncio.Lock,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._store = store
        self._audit = audit
        self._approvals = approvals
        self._broadcaster = broadcaster
        self._patience_s = patience_s
        self._clock = clock
        self._files = StopFiles(folder)
        self._books_lock = books_lock
        self._memory: dict[str, Stop] = {}
        self._database: dict[str, Stop] = {}
        self._told: set[str] = set()
        self._released: set[str] = set()
        self._turning = asyncio.Lock()

    async def load(self) -> None:
        """Read the stops in the database, every one: lifted ones stay there too."""
        found: dict[str, Stop] = {}
        cursor: str | None = None
        while True:
            page = await self._store.storage.list(STOPS, "made", limit=MAX_ROWS, cursor=cursor)
            found |= {stop.id: stop for stop in page.items}
            cursor = page.next
            if cursor is None:
                break
        self._database = found

    def reason(self) -> str | None:
        """Say who stopped everything, or None; never fails."""
        places = self.places(ALL)
        return f"signing is stopped ({', '.join(places)}): {self.why(ALL)}" if places else None

    def reason_for(self, wallet_id: str) -> str | None:
        """Say why nothing is signed for a wallet, or None; never fails."""
        if (everything := self.reason()) is not None:
            return everything
        places = self.places(wallet_id)
        if not places:
            return None
        return f"signing for {wallet_id} is stopped ({', '.join(places)}): {self.why(wallet_id)}"

    def places(self, scope: str) -> tuple[StopPlace, ...]:
        """Return where a stop of just this scope is kept."""
        database = self._database.get(scope)
        kept = {
            StopPlace.MEMORY: scope in self._memory,
            StopPlace.FILE: self._files.says(scope),
            StopPlace.DATABASE: database is not None and not database.lifted,
        }
        return tuple(place for place, is_there in kept.items() if is_there)

    def scopes(self) -> tuple[str, ...]:
        """Return every scope that is stopped anywhere."""
        known = {*self._memory, *self._database, *self._files.scopes(), ALL}
        return tuple(sorted(scope for scope in known if self.places(scope)))

    async def stop(self, scope: str, *, reason: str, by: str) -> StopReport:
        """Stop the signing; from the first moment on nothing new is signed in this process.

        Returns once a round that was under way is over, or after ``patience_s``.
        """
        stop = Stop(id=scope, reason=reason, by=by, at_ms=self._clock.now_ms())
        self._memory[scope] = stop
        log.critical("signing.stopped", scope=scope, by=by, reason=reason)
        troubles: list[str] = []
        await self._try("the file", self._write_file(scope), troubles)
        quiet = await self._try("the round under way", self._until_quiet(), troubles)
        await self._try("the database", self._keep(stop), troubles)
        may_land: list[MayLandView] = []
        await self._try("what is under way", self._own_under_way(scope, may_land), troubles)
        told = await self._try("tron-client", self._hold_back(scope, may_land), troubles)
        return StopReport(
            scope=scope,
            places=self.places(scope),
            quiet=quiet,
            broadcasting_stopped=told,
            may_land=_soonest_last(may_land),
            troubles=tuple(troubles),
        )

    async def lift(self, scope: str, *, reason: str, by: str) -> StopReport:
        """Let it sign again; the report says where it is stopped still.

        Only the stop that was there when it was asked for ends: one that comes meanwhile stays.

        Raises:
            ApprovalNeeded: people have to agree first.
            StorageError: it cannot be written down, so the stop stays.
        """
        async with self._turning:
            meant, change = self._memory.get(scope), Change()
            await self._approvals.require(
                change,
                ApprovalKind.LIFT_STOP,
                scope,
                content=fingerprint({"lift": scope, "of": self._moment(scope)}),
                reason=reason,
                by=by,
            )
            change.decide(self._audit.decision(Act.STOP_LIFTED, scope, who=by, why=reason))
            unit = change.unit()
            known = await self._store.storage.get(STOPS, scope)
            if known is not None:
                unit.update(STOPS, replace(known, lifted=True))
            await self._store.record(unit, change.decisions)
            await asyncio.to_thread(self._files.remove, scope)
            if self._memory.get(scope) is meant:
                self._memory.pop(scope, None)
                log.warning("signing.resumed", scope=scope, by=by, reason=reason)
            else:  # memory brings it back into the database, and tells tron-client
                await self._write_file(scope)
            await self.load()
            return StopReport(
                scope=scope,
                places=self.places(scope),
                quiet=False,
                broadcasting_stopped=scope in self._told,
                may_land=(),
                troubles=(),
            )

    async def keep_up(self) -> bool:
        """Bring every place to what is decided: the database, and tron-client.

        Raises:
            Problem: tron-client could not be told of a scope, or there is no such wallet; the others
                were told all the same.
        """
        troubles: list[Problem | TimeoutError] = []
        async with self._turning:
            await self.load()
            for scope, stop in self._memory.items():
                if StopPlace.DATABASE not in self.places(scope):
                    await self._keep(stop)
            wanted = set(self.scopes())
            for scope in sorted(wanted):
                await self._remember(scope)
                try:
                    await self._hold_back(scope, [])
                except (Problem, TimeoutError) as trouble:
                    troubles.append(trouble)
            for scope in sorted((self._told | set(self._database)) - wanted - self._released):
                try:
                    await self._release(scope)
                    if self.places(
                        scope
                    ):  # stopped meanwhile: whichever word came last, this is later
                        self._told.discard(scope)
                        await self._hold_back(scope, [])
                        continue
                except SigningStopped:  # of no wallet nothing was held back
                    log.warning("stop.of_no_wallet", scope=scope)
                except (Problem, TimeoutError) as trouble:
                    troubles.append(trouble)
                    continue
                self._told.discard(scope)
                self._released.add(scope)
        away = [one for one in troubles if not isinstance(one, SigningStopped)]
        if troubles:
            raise (away or troubles)[0]
        return False

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> "StopDesk":
        """Read the stops as they are now, for one signing round."""
        del sends, now_ms
        await self.load()
        return StopDesk(self.reason_for)

    async def tell_again(self) -> None:
        """Tell tron-client anew: it lost what it knew, its stops maybe too.

        Once this returns it may be given again what was signed; what is stopped it holds back.

        Raises:
            Problem: it could not be told.
        """
        self._told.clear()
        self._released.clear()
        with contextlib.suppress(SigningStopped):  # of no wallet there is nothing to give
            await self.keep_up()

    def requires_going(self, wallet_id: str) -> None:
        """Raise SigningStopped if nothing may be signed for a wallet."""
        if (reason := self.reason_for(wallet_id)) is not None:
            raise SigningStopped(reason, scope=wallet_id)

    def why(self, scope: str) -> str:
        """Return the reason that was given for a stop."""
        stop = self._memory.get(scope) or self._database.get(scope)
        return stop.reason if stop is not None and not stop.lifted else "a file says so"

    def _moment(self, scope: str) -> int:
        """Return when a stop began, so that an agreement to lift an earlier one does not lift it."""
        stop = self._memory.get(scope) or self._database.get(scope)
        if stop is not None and not stop.lifted:
            return stop.at_ms
        return self._files.touched_ms(scope)

    async def _write_file(self, scope: str) -> None:
        async with asyncio.timeout(self._patience_s):
            await asyncio.to_thread(self._files.make, scope)

    async def _until_quiet(self) -> None:
        async with asyncio.timeout(self._patience_s), self._books_lock:
            pass

    async def _keep(self, stop: Stop) -> None:
        async with asyncio.timeout(self._patience_s):
            known = await self._store.storage.get(STOPS, stop.id)
            kept = stop if known is None else replace(stop, version=known.version)
            unit = Unit()
            (unit.update if kept.version else unit.insert)(STOPS, kept)
            decision = self._audit.decision(Act.STOP_SET, stop.id, who=stop.by, why=stop.reason)
            await self._store.record(unit, [decision])
            await self.load()

    async def _remember(self, scope: str) -> None:
        """Leave a record of a stop by a file alone, so that tron-client hears when it is gone."""
        if scope not in self._database:
            mark = Stop(id=scope, reason="a file", by="", at_ms=self._clock.now_ms(), lifted=True)
            decision = self._audit.decision(Act.STOP_SET, scope, why="a file says so")
            await self._store.record(Unit().insert(STOPS, mark), [decision])
            await self.load()

    async def _own_under_way(self, scope: str, found: list[MayLandView]) -> None:
        async with asyncio.timeout(self._patience_s):
            found += [
                MayLandView(
                    txid=send.txid,
                    send_key=send.send_key,
                    owner=send.owner,
                    expires_at_ms=send.expires_at_ms,
                )
                async for send in self._under_way()
                if send.txid and send.expires_at_ms and scope in {ALL, send.wallet_id}
            ]

    async def _hold_back(self, scope: str, may_land: list[MayLandView]) -> None:
        if scope in self._told and not may_land:
            return
        async with asyncio.timeout(self._patience_s):
            owners = await self._owners(scope)
            told = await self._tell(scope, owners, stopped=True)
            self._told.add(scope)
            self._released.discard(scope)
        known = {one.txid for one in may_land}
        ours = [one for one in told.may_land if scope == ALL or one.owner in owners]
        may_land += [one for one in ours if one.txid not in known]

    async def _release(self, scope: str) -> None:
        """Let the bytes of a scope go again, those of every deposit address that was named."""
        owners = await self._owners(scope)
        told = await self._tell(scope, owners, stopped=False)
        left = [one for one in told.stopped_owners if await self._store.wallet_id_of(one) == scope]
        if scope != ALL and left:
            await self._tell(scope, left, stopped=False)

    async def _tell(
        self, scope: str, owners: Sequence[Address], *, stopped: bool
    ) -> BroadcastingView:
        return await self._broadcaster.set_broadcasting(
            stopped=stopped, reason=self.why(scope), owners=owners
        )

    async def _owners(self, scope: str) -> list[Address]:
        """Return whose bytes a stop holds back: the wallet's, and its addresses' with any under way.

        Nothing new is signed for the others, so that tron-client has no bytes of theirs to send.
        """
        if scope == ALL:
            return []
        wallet = await self._store.wallet(scope)
        if wallet is None:
            raise SigningStopped("there is no such wallet; nothing is signed for it", scope=scope)
        return [wallet.address, *sorted(await self._paying(scope) - {wallet.address})]

    async def _paying(self, wallet_id: str) -> set[Address]:
        return {send.owner async for send in self._under_way() if send.wallet_id == wallet_id}

    async def _under_way(self) -> AsyncIterator[Send]:
        for state in UNDER_WAY:
            cursor: str | None = None
            while True:
                page = await self._store.in_state(state, limit=MAX_ROWS, cursor=cursor)
                for send in page.items:
                    yield send
                cursor = page.next
                if cursor is None:
                    break

    async def _try(self, what: str, work: Awaitable[None], troubles: list[str]) -> bool:
        try:
            await work
        except TimeoutError:
            log.warning("stop.incomplete", what=what, error="no answer in time")
            troubles.append(f"{what}: no answer in time")
            return False
        except (OSError, StorageError, Problem) as trouble:
            log.warning("stop.incomplete", what=what, error=repr(trouble))
            troubles.append(f"{what}: {trouble}")
            return False
        return True


class StopDesk:
    """One signing round under the kill switch: asked for each attempt, and again before the commit."""

    def __init__(self, reason_for: Callable[[str], str | None]) -> None:
        self._reason_for = reason_for
        self._taken: set[str] = set()

    def objection(self, send: Send, hold: Hold) -> Objection | None:
        """Say that the kill switch is on, or None."""
        del hold
        reason = self._reason_for(send.wallet_id)
        return None if reason is None else Objection(rule="kill_switch", detail=reason)

    def take(self, send: Send, hold: Hold) -> None:
        """Remember whose attempt is being signed."""
        del hold
        self._taken.add(send.wallet_id)

    def write(self, change: Change) -> None:
        """Throw the whole round away if a stop came meanwhile: nothing of it was stored or sent.

        Raises:
            SigningStopped: a wallet of the round is stopped.
        """
        del change
        for wallet_id in sorted(self._taken):
            if (reason := self._reason_for(wallet_id)) is not None:
                raise SigningStopped(reason, scope=wallet_id)


def _soonest_last(found: Sequence[MayLandView]) -> tuple[MayLandView, ...]:
    return tuple(sorted(found, key=lambda one: (-one.expires_at_ms, one.txid)))
