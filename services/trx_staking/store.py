"""What trx-staking keeps: stake orders, and how far it has heard."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.trx_staking.domain import OPEN, Stake
from shared.clock import rfc3339
from shared.ids import NewId
from shared.models.trx_staking import StakeState, StakeView
from shared.money import format_base_units
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


_OPEN: Final = (("state", tuple(sorted(state.value for state in OPEN))),)

STAKES: Final = Collection(
    name="stakes",
    record=Stake,
    leased=True,
    indexes=(
        Index("identity", ("identity",), unique=True),
        Index("newest", ("created_at_ms",)),
        Index("state", ("state", "created_at_ms")),
        Index("due", ("due_at_ms",), where=_OPEN),
        Index("silent", ("checked_at_ms",), where=(("state", (StakeState.PROCESSING.value,)),)),
    ),
)
CURSORS: Final = Collection(name="cursors", record=Cursor)
FEED: Final = Feed("stakes")

SCHEMA: Final = Schema(
    service="trx-staking", version=1, collections=(STAKES, CURSORS), feeds=(FEED,)
)

SENDS: Final = "sends"
CHANGE_TRIES: Final = 20

Step = Callable[[Stake], Stake]
"""A decision about one order; taken again when the order changed meanwhile."""


class StakeStore:
    """trx-staking's records; whatever changes them tells the feed in the same unit."""

    def __init__(self, storage: Storage, *, new_id: NewId) -> None:
        self._storage = storage
        self._new_id = new_id

    async def stake(self, stake_id: str) -> Stake | None:
        """Return an order."""
        return await self._storage.get(STAKES, stake_id)

    async def stake_under(self, identity: str) -> Stake | None:
        """Return the order that was taken on under an identity."""
        return await self._storage.find(STAKES, "identity", identity)

    async def page(self, *, cursor: str | None, limit: int) -> Page[Stake]:
        """Return orders, newest first."""
        return await self._storage.list(
            STAKES, "newest", limit=limit, cursor=cursor, descending=True
        )

    async def in_state(self, state: StakeState, *, cursor: str | None) -> Page[Stake]:
        """Return a page of the orders in one state, oldest first."""
        return await self._storage.list(STAKES, "state", state, limit=500, cursor=cursor)

    async def silent(self, *, until_ms: int, limit: int) -> list[Stake]:
        """Return processing orders of which nothing was made sure since a time."""
        page = await self._storage.list(STAKES, "silent", at_most=until_ms, limit=limit)
        return page.items

    async def counts(self) -> dict[str, int]:
        """Count orders by state."""
        return {
            state.value: await self._storage.count(STAKES, "state", state) for state in StakeState
        }

    async def claim_due(
        self, *, owner: str, now_ms: int, lease_ms: int, limit: int
    ) -> list[Leased[Stake]]:
        """Claim orders that have to be handed over now."""
        return await self._storage.claim(
            STAKES,
            "due",
            at_most=now_ms,
            limit=limit,
            owner=owner,
            now_ms=now_ms,
            lease_ms=lease_ms,
        )

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give claims up."""
        await self._storage.release(STAKES, leases)

    async def cursor(self) -> str:
        """Return how far wallet-manager's sends have been heard, empty before the first."""
        known = await self._storage.get(CURSORS, SENDS)
        return known.value if known else ""

    async def add(self, stake: Stake) -> None:
        """Store a new order; raises DuplicateRecord where its identity is taken."""
        unit = Unit().insert(STAKES, stake)
        self._tell(unit, "stake.created", stake, stake.created_at_ms)
        await self._storage.commit(unit)

    async def change(
        self,
        steps: Mapping[str, Step],
        *,
        at_ms: int,
        cursor: str | None = None,
        leases: Sequence[Lease] = (),
    ) -> dict[str, Stake]:
        """Take a step with each order in one unit, and return the orders as they are stored now.

        Args:
            steps: by order id; ids that do not exist are passed over.
            at_ms: the time.
            cursor: the position in the feed of sends that these steps bring us to.
            leases: claims that must still be ours.

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
    ) -> dict[str, Stake]:
        known = await self._storage.get_many(STAKES, list(steps))
        changes = [(before, steps[id_](before)) for id_, before in known.items()]
        changed = [(before, after) for before, after in changes if after != before]

        unit = Unit()
        for lease in leases:
            unit.fence(STAKES, lease)
        for before, after in changed:
            unit.update(STAKES, after)
            if after.state is not before.state:
                self._tell(unit, f"stake.{after.state}", after, at_ms)
        if cursor is not None:
            await self._move_cursor(unit, cursor)
        if unit.operations:
            await self._storage.commit(unit)
        return known | {after.id: written(after) for _, after in changed}

    async def _move_cursor(self, unit: Unit, value: str) -> None:
        known = await self._storage.get(CURSORS, SENDS)
        if known is None:
            unit.insert(CURSORS, Cursor(id=SENDS, value=value))
        elif known.value != value:
            unit.update(CURSORS, replace(known, value=value))

    def _tell(self, unit: Unit, event: str, stake: Stake, at_ms: int) -> None:
        unit.publish(
            FEED,
            id=self._new_id("evt"),
            type=event,
            at_ms=at_ms,
            object=stake_view(stake).model_dump(mode="json"),
        )


def stake_view(stake: Stake) -> StakeView:
    """Write an order for the wire."""
    return StakeView(
        stake_id=stake.id,
        action=stake.action,
        state=stake.state,
        detail_state=stake.detail_state,
        wallet_id=stake.wallet_id,
        resource=stake.resource,
        amount=format_base_units(stake.amount_sun),
        amount_sun=str(stake.amount_sun),
        txid=stake.txid,
        detail=stake.detail,
        created_at=rfc3339(stake.created_at_ms),
        updated_at=rfc3339(stake.updated_at_ms),
    )
