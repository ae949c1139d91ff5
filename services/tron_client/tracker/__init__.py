"""Bring submitted transactions to the chain, the same bytes again and again, and prove those absent.

Stored before broadcast; included, confirmed and failed are learned from the scan alone; ``expiry``
says when a transaction is proved absent, ``gate`` when nothing may go out.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, assert_never

from services.tron_client.domain.accounts import read_account
from services.tron_client.domain.broadcasting import Broadcasting
from services.tron_client.domain.permissions import Permissions
from services.tron_client.domain.progress import HeldBlock, Progress
from services.tron_client.domain.submissions import (
    Checked,
    SentAlready,
    TransactionOfAnother,
    checked,
    received,
    reference_of,
    require_permission,
)
from services.tron_client.domain.transactions import Outcome, Tracked
from services.tron_client.node.blocks import Chain
from services.tron_client.node.outcomes import Accepted, BroadcastResult, Rejected, Unknown
from services.tron_client.store import ChainStore
from services.tron_client.store.sight import Sight
from services.tron_client.tracker.expiry import Alarms, Expiry, Judges
from services.tron_client.tracker.gate import BroadcastGate
from services.tron_client.tracker.search import HASH_IN_ID
from shared.clock import MS_PER_S, Clock
from shared.logs import get_logger
from shared.models.tron_transactions import BroadcastOutcome, SignedTransaction, TransactionState
from shared.tron.address import Address

log = get_logger(__name__)

_AT_ONCE: Final = 100
_MOST_TOLD: Final = 10_000
"""Transactions that may still land, told of at once."""


class Broadcaster(Chain, Protocol):
    """A node, as far as transactions need it."""

    async def broadcast(self, signed: bytes, *, txid: str) -> BroadcastResult:
        """Hand over a transaction, once."""
        ...

    async def account(self, address: Address) -> Mapping[str, Any]:
        """Return an account as printed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPolicy:
    """How transactions are brought to the chain.

    Attributes:
        rebroadcast_interval_s: chain seconds between two broadcasts of the same bytes.
        submit_timeout_s: real seconds after which a broadcast's outcome is unknown.
    """

    rebroadcast_interval_s: int
    submit_timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """The switch as it stands.

    Attributes:
        state: whose bytes are held back by name.
        is_shut: True when everybody's are, be it by a file.
        may_land: transactions that are held back and may be in a node's pool already.
    """

    state: Broadcasting
    is_shut: bool
    may_land: tuple[Tracked, ...]


class Tracker:
    """Submitted transactions on their way."""

    def __init__(
        self,
        *,
        node: Broadcaster,
        store: ChainStore,
        sight: Sight,
        clock: Clock,
        policy: TrackPolicy,
        gate: BroadcastGate,
        judges: Judges,
        alarms: Alarms,
    ) -> None:
        self._node = node
        self._store = store
        self._sight = sight
        self._clock = clock
        self._policy = policy
        self._gate = gate
        self._expiry = Expiry(
            node=node, store=store, sight=sight, clock=clock, judges=judges, alarms=alarms
        )
        self._under_way: set[asyncio.Task[BroadcastResult]] = set()

    async def submit(self, requests: Sequence[SignedTransaction]) -> list[Tracked]:
        """Store transactions, then broadcast those that are not in a block yet.

        Raises:
            NotATransaction: one is not what it is said to be, or its signers may not sign it; none
                was stored.
            NodeUnavailable: no node says who may sign for an owner of several keys; none was stored.
            TransactionOfAnother: one was submitted before for another send; none was stored.
            SentAlready: another one of its send is not proved absent; none was stored.
            NothingScanned: nothing could be followed yet.
        """
        looked = [checked(request) for request in requests]
        await self._require_permissions(requests, looked)
        async with self._sight.lock:
            given = await self._received(requests, looked, self._sight.current())
            stored = await self._kept(given)
        pending = [each for each in stored.values() if each.state is TransactionState.PENDING]
        stored |= {each.id: each for each in await self._broadcast(pending)}
        return [stored[each.id] for each in given]

    async def rebroadcast(self) -> bool:
        """Send what is due again; returns True when there is more."""
        progress = self._sight.progress
        if progress is None:
            return False
        now_ms = self._clock.now_ms()
        due = await self._store.to_broadcast(now_ms=now_ms, limit=_AT_ONCE)
        late = [each for each in due if each.expires_at_ms <= progress.head.timestamp_ms]
        await self._give_up(late)
        await self._broadcast([each for each in due if each not in late])
        return len(due) == _AT_ONCE

    async def expire(self) -> bool:
        """Say of what can no longer come that it is expired, as far as that is proved (H1)."""
        return await self._expiry.run()

    async def stop(self, owners: Sequence[Address], *, reason: str, by: str) -> HeldBack:
        """Hold bytes back; once this returns none of theirs goes out any more (H23)."""
        await self._gate.stop(owners, reason=reason, by=by)
        if self._under_way:
            await asyncio.wait(set(self._under_way))
        return await self.held_back()

    async def release(self, owners: Sequence[Address], *, reason: str, by: str) -> HeldBack:
        """Let bytes go again: they are sent with the next round."""
        await self._gate.release(owners, reason=reason, by=by)
        return await self.held_back()

    def reason_for(self, owner: Address) -> str | None:
        """Say why the bytes of an owner are held back, or None."""
        return self._gate.reason_for(owner)

    async def held_back(self) -> HeldBack:
        """Return the switch as it stands, with what may still land although it is held back."""
        may_land = [
            each
            for each in await self._store.pending(limit=_MOST_TOLD)
            if self._gate.reason_for(each.owner) is not None
        ]
        return HeldBack(
            state=self._gate.state, is_shut=self._gate.is_shut(), may_land=tuple(may_land)
        )

    async def _require_permissions(
        self, requests: Sequence[SignedTransaction], looked: Sequence[Checked]
    ) -> None:
        """Ask the chain who may sign for owners that did not sign alone.

        What is stored was asked about before. What is over is taken for its verdict alone, whoever may
        sign by now: without one, whoever submits it would keep its money aside for ever.
        """
        stored = await self._store.transactions([given.decoded.txid for given in looked])
        progress = self._sight.progress
        head_ms = progress.head.timestamp_ms if progress is not None else 0
        known: dict[Address, Permissions | None] = {}
        for request, given in zip(requests, looked, strict=True):
            owner = given.decoded.owner
            is_over = given.decoded.expiration_ms <= head_ms
            if given.is_the_owners or is_over or given.decoded.txid in stored:
                continue
            if owner not in known:
                printed = await self._node.account(owner)
                known[owner] = read_account(owner, printed, {}).permissions
            require_permission(request, given, known[owner])

    async def _received(
        self,
        requests: Sequence[SignedTransaction],
        looked: Sequence[Checked],
        progress: Progress,
    ) -> list[Tracked]:
        now_ms = self._clock.now_ms()
        references = [
            reference_of(request.raw_data, head_height=progress.head.height) for request in requests
        ]
        held = {
            height: await self._store.block_at(height)
            for height in {each[0] for each in references if each is not None}
        }
        return [
            received(
                request,
                given,
                head=progress.head,
                reference_height=_height_on(held, reference),
                now_ms=now_ms,
                next_broadcast_ms=self._next_ms(now_ms),
            )
            for request, given, reference in zip(requests, looked, references, strict=True)
        ]

    async def _kept(self, given: Sequence[Tracked]) -> dict[str, Tracked]:
        """Store those that are new and return all as stored, by txid.

        The scanner knows them before they are stored: when storing them fails nobody can tell
        whether they are stored after all, and a block that holds one of them is not to be passed.
        """
        known = await self._store.transactions([each.id for each in given])
        fresh: dict[str, Tracked] = {}
        for each in given:
            before = known.get(each.id) or fresh.setdefault(each.id, each)
            if before.send_key != each.send_key:
                raise TransactionOfAnother(
                    f"{each.id} was submitted for {before.send_key}", txid=each.id
                )
        for each in fresh.values():
            await self._check_first(each, fresh)
        self._sight.txids |= {bytes.fromhex(txid) for txid in fresh}
        await self._store.save(fresh.values())
        return known | {txid: replace(each, version=1) for txid, each in fresh.items()}

    async def _check_first(self, new: Tracked, fresh: Mapping[str, Tracked]) -> None:
        """Refuse a second transaction of a send whose first may still pay, whoever forgot that one."""
        others = [*await self._store.transactions_for(new.send_key), *fresh.values()]
        for other in others:
            if other.send_key == new.send_key and other.id != new.id and not other.is_absent:
                log.error("transaction.second", txid=new.id, first=other.id, send_key=new.send_key)
                raise SentAlready(
                    f"{other.id} was submitted for {new.send_key} and is not proved absent",
                    txid=new.id,
                )

    async def _broadcast(self, transactions: Sequence[Tracked]) -> list[Tracked]:
        """Send bytes to the nodes, at once but in bounds, and store what came of it.

        Nothing is waited for between the look at the switch and the hand-over: a stop that comes
        after the look finds the bytes under way.
        """
        free = [each for each in transactions if self._gate.reason_for(each.owner) is None]
        stopped = [each for each in transactions if each not in free]
        return await self._send(free) + await self._hold_back(stopped)

    async def _hold_back(self, transactions: Sequence[Tracked]) -> list[Tracked]:
        """Put off what may not go out, with the reason."""
        if not transactions:
            return []
        next_ms = self._next_ms(self._clock.now_ms())
        async with self._sight.lock:
            current = await self._store.transactions([each.id for each in transactions])
            held = [
                each.held_back(self._gate.reason_for(each.owner) or "", next_broadcast_ms=next_ms)
                for each in current.values()
                if each.state is TransactionState.PENDING
            ]
            await self._store.save(held)
        return [replace(each, version=each.version + 1) for each in held]

    async def _send(self, transactions: Sequence[Tracked]) -> list[Tracked]:
        if not transactions:
            return []
        tasks = {
            each.id: asyncio.create_task(self._node.broadcast(each.signed_bytes(), txid=each.id))
            for each in transactions
        }
        self._under_way.update(tasks.values())
        try:
            await asyncio.wait(tasks.values(), timeout=self._policy.submit_timeout_s)
        finally:
            for task in tasks.values():
                task.cancel()
                task.add_done_callback(self._under_way.discard)
        outcomes = {txid: _outcome(task) for txid, task in tasks.items()}
        now_ms = self._clock.now_ms()
        async with self._sight.lock:
            current = await self._store.transactions(list(tasks))
            sent = [
                each.broadcast(outcomes[each.id], now_ms=now_ms, interval_ms=self._interval_ms())
                for each in current.values()
            ]
            await self._store.save(sent)
        return [replace(each, version=each.version + 1) for each in sent]

    def _interval_ms(self) -> int:
        return self._policy.rebroadcast_interval_s * MS_PER_S

    def _next_ms(self, now_ms: int) -> int:
        return now_ms + self._interval_ms()

    async def _give_up(self, late: Sequence[Tracked]) -> None:
        async with self._sight.lock:
            current = await self._store.transactions([each.id for each in late])
            await self._store.save(
                replace(each, next_broadcast_ms=None) for each in current.values()
            )


def _height_on(
    held: Mapping[int, HeldBlock | None], reference: tuple[int, str] | None
) -> int | None:
    """Return where a reference block is, if it is one that is held."""
    if reference is None:
        return None
    height, block_hash = reference
    block = held[height]
    return height if block is not None and block.id[HASH_IN_ID] == block_hash else None


def _outcome(task: "asyncio.Task[BroadcastResult]") -> Outcome:
    if not task.done() or task.cancelled():
        return Outcome(outcome=BroadcastOutcome.UNKNOWN, message="the node took too long")
    result = task.result()
    match result:
        case Accepted():
            return Outcome(outcome=BroadcastOutcome.ACCEPTED)
        case Rejected(code=code, message=message):
            return Outcome(outcome=BroadcastOutcome.REJECTED, code=code, message=message)
        case Unknown(code=code, message=message):
            return Outcome(outcome=BroadcastOutcome.UNKNOWN, code=code, message=message)
        case _:
            assert_never(result)
