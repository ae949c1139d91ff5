"""What payout-router keeps: payouts, batches, the totals of each day, and how far it has heard."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.payout_router.domain import (
    OPEN,
    Batch,
    Payout,
    PayoutState,
    Total,
    count_end,
    events_of,
    gives_back,
)
from shared.clock import rfc3339
from shared.ids import NewId
from shared.models.payout_router import BatchView, PayoutStatus, PayoutView
from shared.money import Currency, format_base_units
from shared.storage import (
    Collection,
    DuplicateRecord,
    Feed,
    Index,
    Lease,
    Leased,
    Page,
    Schema,
    StaleRecord,
    Storage,
    Unit,
    written,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a sibling's feed has been taken in."""

    id: str
    version: int = 0
    value: str


_PROCESSING: Final = (("state", (PayoutState.PROCESSING.value,)),)
_OPEN: Final = (("state", tuple(sorted(state.value for state in OPEN))),)

PAYOUTS: Final = Collection(
    name="payouts",
    record=Payout,
    leased=True,
    indexes=(
        Index("identity", ("identity",), unique=True),
        Index("newest", ("created_at_ms",)),
        Index("state", ("state", "created_at_ms")),
        Index("principal", ("principal", "created_at_ms")),
        Index("principal_state", ("principal", "state", "created_at_ms")),
        Index("due", ("currency", "due_at_ms"), where=_OPEN),
        Index("silent", ("checked_at_ms",), where=_PROCESSING),
    ),
)
BATCHES: Final = Collection(
    name="payout_batches",
    record=Batch,
    indexes=(Index("identity", ("identity",), unique=True),),
)
TOTALS: Final = Collection(name="totals", record=Total)
CURSORS: Final = Collection(name="cursors", record=Cursor)
FEED: Final = Feed("payouts")

SCHEMA: Final = Schema(
    service="payout-router",
    version=1,
    collections=(PAYOUTS, BATCHES, TOTALS, CURSORS),
    feeds=(FEED,),
)

SENDS: Final = "sends"
CHANGE_TRIES: Final = 50

Step = Callable[[Payout], Payout]
"""A decision about one payout; taken again when the payout changed meanwhile."""


class PayoutStore:
    """payout-router's records; whatever changes them tells the feed in the same unit."""

    def __init__(self, storage: Storage, *, new_id: NewId) -> None:
        self.storage = storage
        self._new_id = new_id

    async def payout(self, payout_id: str) -> Payout | None:
        """Return a payout."""
        return await self.storage.get(PAYOUTS, payout_id)

    async def payouts(self, payout_ids: Sequence[str]) -> dict[str, Payout]:
        """Return the payouts that exist among these, by id."""
        return await self.storage.get_many(PAYOUTS, payout_ids)

    async def payout_under(self, identity: str) -> Payout | None:
        """Return the payout that was promised under an identity."""
        return await self.storage.find(PAYOUTS, "identity", identity)

    async def batch(self, batch_id: str) -> Batch | None:
        """Return a batch."""
        return await self.storage.get(BATCHES, batch_id)

    async def batch_under(self, identity: str) -> Batch | None:
        """Return the batch that was taken on under an identity."""
        return await self.storage.find(BATCHES, "identity", identity)

    async def totals(self, total_ids: Iterable[str]) -> dict[str, Total]:
        """Return the totals that exist among these, by id."""
        wanted = sorted(set(total_ids))
        found: dict[str, Total] = {}
        for start in range(0, len(wanted), 1_000):
            found |= await self.storage.get_many(TOTALS, wanted[start : start + 1_000])
        return found

    async def page(
        self,
        *,
        principal: str | None,
        state: PayoutState | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Payout]:
        """Return payouts, newest first, of one principal or of all, in one state or in any."""
        equals = [value for value in (principal, state) if value is not None]
        names = [name for name, value in (("principal", principal), ("state", state)) if value]
        index = "_".join(names) or "newest"
        return await self.storage.list(
            PAYOUTS, index, *equals, limit=limit, cursor=cursor, descending=True
        )

    async def silent(self, *, until_ms: int, limit: int) -> list[Payout]:
        """Return processing payouts of which nothing was made sure since a time."""
        page = await self.storage.list(PAYOUTS, "silent", at_most=until_ms, limit=limit)
        return page.items

    async def in_state(self, state: PayoutState, *, cursor: str | None) -> Page[Payout]:
        """Return a page of the payouts in one state, oldest first."""
        return await self.storage.list(PAYOUTS, "state", state, limit=500, cursor=cursor)

    async def counts(self) -> dict[str, int]:
        """Count payouts by state."""
        return {
            state.value: await self.storage.count(PAYOUTS, "state", state) for state in PayoutState
        }

    async def claim_due(
        self, currency: Currency, *, owner: str, now_ms: int, lease_ms: int, limit: int
    ) -> list[Leased[Payout]]:
        """Claim payouts of one currency that have to be looked at now."""
        return await self.storage.claim(
            PAYOUTS,
            "due",
            currency,
            at_most=now_ms,
            limit=limit,
            owner=owner,
            now_ms=now_ms,
            lease_ms=lease_ms,
        )

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give claims up."""
        await self.storage.release(PAYOUTS, leases)

    async def cursor(self) -> str:
        """Return how far wallet-manager's sends have been heard, empty before the first."""
        known = await self.storage.get(CURSORS, SENDS)
        return known.value if known else ""

    async def add(
        self,
        payouts: Sequence[Payout],
        *,
        totals: Iterable[Total],
        at_ms: int,
        batch: Batch | None = None,
    ) -> None:
        """Store new payouts with the totals that they were added to, and their batch, all or none.

        Raises:
            DuplicateRecord: an identity is taken, or a total came to be meanwhile.
            StaleRecord: a total changed meanwhile.
        """
        unit = Unit()
        for payout in payouts:
            unit.insert(PAYOUTS, payout)
            self._tell(unit, "payout.created", payout_view(payout), at_ms)
        for total in totals:
            if total.version:
                unit.update(TOTALS, total)
            else:
                unit.insert(TOTALS, total)
        if batch is not None:
            unit.insert(BATCHES, batch)
            self._tell(unit, "batch.created", batch_view(batch), at_ms)
            if batch.is_done:
                self._tell(unit, "batch.completed", batch_view(batch), at_ms)
        await self.storage.commit(unit)

    async def change(
        self,
        steps: Mapping[str, Step],
        *,
        at_ms: int,
        cursor: str | None = None,
        leases: Sequence[Lease] = (),
    ) -> dict[str, Payout]:
        """Take a step with each payout, together with what follows from it, in one unit.

        What a payout that failed gives back goes back to its day's totals, batches count their
        ends, and the feed is told, all in the same commit.

        Args:
            steps: by payout id; ids that do not exist are passed over.
            at_ms: the time.
            cursor: the position in the feed of sends that these steps bring us to.
            leases: claims that must still be ours.

        Returns:
            The payouts as they are stored now, by id.

        Raises:
            StaleRecord: others changed the same records at every try.
            LeaseLost: a claim is not ours any more.
        """
        for left in reversed(range(CHANGE_TRIES)):
            try:
                return await self._change_once(steps, at_ms=at_ms, cursor=cursor, leases=leases)
            except (StaleRecord, DuplicateRecord):
                if not left:
                    raise
        raise AssertionError("a change is tried at least once")

    async def _change_once(
        self,
        steps: Mapping[str, Step],
        *,
        at_ms: int,
        cursor: str | None,
        leases: Sequence[Lease],
    ) -> dict[str, Payout]:
        known = await self.payouts(list(steps))
        changes = [(before, steps[id_](before)) for id_, before in known.items()]
        changed = [(before, after) for before, after in changes if after != before]

        unit = Unit()
        for lease in leases:
            unit.fence(PAYOUTS, lease)
        for before, after in changed:
            unit.update(PAYOUTS, after)
            for event in events_of(before, after):
                self._tell(unit, event, payout_view(after), at_ms)
        await self._give_back(unit, changed)
        await self._count_ends(unit, changed, at_ms)
        if cursor is not None:
            await self._move_cursor(unit, cursor)
        if unit.operations:
            await self.storage.commit(unit)
        return known | {after.id: written(after) for _, after in changed}

    async def _give_back(self, unit: Unit, changed: Sequence[tuple[Payout, Payout]]) -> None:
        back: dict[str, int] = {}
        for before, after in changed:
            if gives_back(before, after):
                for total_id in after.charges:
                    back[total_id] = back.get(total_id, 0) + after.amount
        for total in (await self.totals(back)).values():
            unit.update(TOTALS, replace(total, spent=max(0, total.spent - back[total.id])))

    async def _count_ends(
        self, unit: Unit, changed: Sequence[tuple[Payout, Payout]], at_ms: int
    ) -> None:
        ended = [
            after
            for before, after in changed
            if after.batch_id and before.state in OPEN and after.state not in OPEN
        ]
        batch_ids = sorted({after.batch_id for after in ended if after.batch_id})
        if not batch_ids:
            return
        batches = await self.storage.get_many(BATCHES, batch_ids)
        for after in ended:
            if after.batch_id in batches:
                batches[after.batch_id] = count_end(batches[after.batch_id], after)
        for batch in batches.values():
            unit.update(BATCHES, batch)
            if batch.is_done:
                self._tell(unit, "batch.completed", batch_view(batch), at_ms)

    async def _move_cursor(self, unit: Unit, value: str) -> None:
        known = await self.storage.get(CURSORS, SENDS)
        if known is None:
            unit.insert(CURSORS, Cursor(id=SENDS, value=value))
        elif known.value != value:
            unit.update(CURSORS, replace(known, value=value))

    def _tell(self, unit: Unit, event: str, view: PayoutView | BatchView, at_ms: int) -> None:
        unit.publish(
            FEED,
            id=self._new_id("evt"),
            type=event,
            at_ms=at_ms,
            object=view.model_dump(mode="json"),
        )


def payout_view(payout: Payout) -> PayoutView:
    """Write a payout for the wire."""
    return PayoutView(
        payout_id=payout.id,
        batch_id=payout.batch_id,
        status=PayoutStatus(payout.state.value),
        detail_state=payout.detail_state,
        detail=payout.detail,
        needs_attention=payout.needs_attention,
        user_id=payout.user_id,
        amount=format_base_units(payout.amount),
        amount_base_units=str(payout.amount),
        currency=payout.currency,
        recipient_address=payout.recipient,
        description=payout.description,
        router=payout.router,
        wallet_id=payout.wallet_id,
        send_key=payout.send_key,
        txid=payout.txid,
        fee_sun=None if payout.fee_sun is None else str(payout.fee_sun),
        block_height=payout.block_height,
        request_id=payout.request_id,
        created_at=rfc3339(payout.created_at_ms),
        updated_at=rfc3339(payout.updated_at_ms),
    )


def batch_view(batch: Batch) -> BatchView:
    """Write a batch for the wire without its payouts, which have events of their own."""
    status = PayoutStatus.PROCESSING
    if batch.is_done:
        status = PayoutStatus.COMPLETED if batch.completed else PayoutStatus.FAILED
    return BatchView(
        batch_id=batch.id,
        status=status,
        accepted=batch.accepted,
        refused=len(batch.entries) - batch.accepted,
        payouts=[],
        created_at=rfc3339(batch.created_at_ms),
    )
