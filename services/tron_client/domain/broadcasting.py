"""The switch that holds signed bytes back: for everybody, or for single owners (H23)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.models.tron_transactions import BroadcastingView, MayLandView
from shared.tron.address import Address

BROADCASTING_ID: Final = "broadcasting"
STOP_FILE: Final = "stop-broadcasting"
"""A file of this name in the data directory holds everything back as long as it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedOwner:
    """An owner whose bytes are held back."""

    address: Address
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcasting:
    """Whose bytes are held back, as it is stored.

    Attributes:
        id: always the same.
        version: of the record.
        reason: why everybody's are; None when they are not.
        owners: whose are besides.
        changed_by: who said so last, and when.
    """

    id: str = BROADCASTING_ID
    version: int = 0
    reason: str | None = None
    owners: tuple[StoppedOwner, ...] = ()
    changed_by: str = ""
    changed_at_ms: int = 0

    def stopped(
        self, owners: Sequence[Address], *, reason: str, by: str, at_ms: int
    ) -> "Broadcasting":
        """Return it with these owners held back, or everybody when none is named."""
        told = replace(self, changed_by=by, changed_at_ms=at_ms)
        if not owners:
            return replace(told, reason=reason)
        named = {each.address: each for each in self.owners}
        named |= {owner: StoppedOwner(address=owner, reason=reason) for owner in owners}
        return replace(told, owners=tuple(named.values()))

    def released(self, owners: Sequence[Address], *, by: str, at_ms: int) -> "Broadcasting":
        """Return it with these owners free again; with none named the stop for everybody ends.

        Owners that were stopped by name stay so until they are named.
        """
        told = replace(self, changed_by=by, changed_at_ms=at_ms)
        if not owners:
            return replace(told, reason=None)
        left = tuple(each for each in self.owners if each.address not in set(owners))
        return replace(told, owners=left)

    def reason_for(self, owner: Address) -> str | None:
        """Say why the bytes of an owner are held back, or None."""
        if self.reason is not None:
            return self.reason
        return next((each.reason for each in self.owners if each.address == owner), None)


def broadcasting_view(
    state: Broadcasting, *, stopped_for_all: bool, may_land: Iterable[MayLandView]
) -> BroadcastingView:
    """Write the switch for the wire."""
    return BroadcastingView(
        stopped_for_all=stopped_for_all,
        stopped_owners=[each.address for each in state.owners],
        may_land=list(may_land),
    )
