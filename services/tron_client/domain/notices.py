"""What happened on chain that somebody must know of: to our accounts, to USDT, to the fees."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from services.tron_client.domain.parameters import FEES, FIGURES
from services.tron_client.domain.transactions import Tracked
from shared.clock import rfc3339
from shared.models.alarms import Severity
from shared.models.tron_client import NoticeChangeView, NoticeView
from shared.models.wire import BlockRef

USDT: Final = "usdt"
CHAIN: Final = "chain"


class NoticeKind(StrEnum):
    """What happened."""

    EXPIRED_ON_CHAIN = "expired_transaction_on_chain"
    PERMISSIONS_CHANGED = "permissions_changed"
    BLACKLISTED = "usdt_blacklisted"
    UNBLACKLISTED = "usdt_unblacklisted"
    FUNDS_DESTROYED = "usdt_funds_destroyed"
    PAUSED = "usdt_paused"
    RESUMED = "usdt_resumed"
    DEPRECATED = "usdt_deprecated"
    OWNER_CHANGED = "usdt_owner_changed"
    FEE_CHANGED = "usdt_fee_changed"
    FEE_PARAMETERS_CHANGED = "fee_parameters_changed"
    PARAMETERS_CHANGED = "chain_parameters_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """That a notice calls a person, under an alarm kind."""

    alarm: NoticeKind
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """That a notice ends an alarm."""

    alarm: NoticeKind


EFFECTS: Final[Mapping[NoticeKind, Calls | Ends]] = {
    **{
        kind: Calls(alarm=kind, severity=Severity.CRITICAL)
        for kind in (
            NoticeKind.EXPIRED_ON_CHAIN,
            NoticeKind.PERMISSIONS_CHANGED,
            NoticeKind.BLACKLISTED,
            NoticeKind.FUNDS_DESTROYED,
            NoticeKind.PAUSED,
            NoticeKind.DEPRECATED,
            NoticeKind.OWNER_CHANGED,
            NoticeKind.FEE_CHANGED,
        )
    },
    NoticeKind.FEE_PARAMETERS_CHANGED: Calls(
        alarm=NoticeKind.FEE_PARAMETERS_CHANGED, severity=Severity.WARNING
    ),
    NoticeKind.PARAMETERS_CHANGED: Calls(
        alarm=NoticeKind.PARAMETERS_CHANGED, severity=Severity.WARNING
    ),
    NoticeKind.UNBLACKLISTED: Ends(alarm=NoticeKind.BLACKLISTED),
    NoticeKind.RESUMED: Ends(alarm=NoticeKind.PAUSED),
}
"""What each notice means for the alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A value before and after; before is None where there was none."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened.

    Attributes:
        id: by height, transaction and position, so that it is stored once.
        version: of the record.
        subject: the address it happened to, or what else.
        detail: for people.
        is_announced: 1 once the alarms have heard of it.
    """

    id: str
    version: int = 0
    kind: NoticeKind
    subject: str
    detail: str
    at_ms: int
    height: int | None = None
    block_id: str | None = None
    txid: str | None = None
    changes: tuple[Change, ...] = ()
    is_announced: int = 0

    def announced(self) -> "Notice":
        """Return it heard."""
        return replace(self, is_announced=1)


def haunting_notice(transaction: Tracked) -> Notice:
    """Tell of a transaction that is on chain although it had been found expired (H1)."""
    height, block_id = transaction.height or 0, transaction.block_id or ""
    return Notice(
        id=f"{height:012d}-{transaction.id}-{block_id}",
        kind=NoticeKind.EXPIRED_ON_CHAIN,
        subject=transaction.id,
        detail=f"transaction {transaction.id} of {transaction.send_key} is in block {height}"
        " although it had expired: what was sent in its place may have paid twice",
        at_ms=transaction.block_timestamp_ms or 0,
        height=height,
        block_id=block_id,
        txid=transaction.id,
    )


def parameter_notices(
    before: Mapping[str, int], after: Mapping[str, int], *, reading: int, now_ms: int
) -> list[Notice]:
    """Return what changed among the chain parameters: fees in one notice, the rest in another.

    Args:
        before: as they were read last.
        after: as they are now.
        reading: number of the reading they were last stored with, each of which names its own.
        now_ms: the time.
    """
    changed = [
        Change(name=name, before=before.get(name), after=after.get(name))
        for name in sorted((before.keys() | after.keys()) - FIGURES)
        if before.get(name) != after.get(name)
    ]
    fees = tuple(each for each in changed if each.name in FEES)
    others = tuple(each for each in changed if each.name not in FEES)
    kinds = (
        (NoticeKind.FEE_PARAMETERS_CHANGED, fees),
        (NoticeKind.PARAMETERS_CHANGED, others),
    )
    return [
        Notice(
            id=f"{kind.value}-{now_ms}-{reading}",
            kind=kind,
            subject=CHAIN,
            detail=", ".join(f"{each.name} {each.before} -> {each.after}" for each in changes),
            at_ms=now_ms,
            changes=changes,
        )
        for kind, changes in kinds
        if changes
    ]


def notice_view(notice: Notice) -> NoticeView:
    """Write a notice for the wire."""
    block = None
    if notice.height is not None and notice.block_id is not None:
        block = BlockRef(height=notice.height, block_id=notice.block_id, timestamp_ms=notice.at_ms)
    return NoticeView(
        notice_id=notice.id,
        kind=notice.kind.value,
        subject=notice.subject,
        detail=notice.detail,
        at=rfc3339(notice.at_ms),
        block=block,
        txid=notice.txid,
        changes=[
            NoticeChangeView(name=each.name, before=_text(each.before), after=_text(each.after))
            for each in notice.changes
        ],
    )


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
