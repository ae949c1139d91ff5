"""What happened on chain that somebody must know of: to our accounts, to USDT, to the fees.

Read from the logs and transactions of blocks that are scanned anyway, so that the cost does not grow
with the number of watched addresses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from google.protobuf.message import DecodeError

from services.tron_client.domain.blocks import Block, Executed, IsWatched, Log
from services.tron_client.domain.parameters import FEES, FIGURES
from services.tron_client.domain.transactions import Tracked
from shared.clock import rfc3339
from shared.models.alarms import Severity
from shared.models.tron_client import NoticeChangeView, NoticeView
from shared.models.wire import BlockRef
from shared.tron import protocol_pb2 as pb
from shared.tron.address import Address, address_from_bytes, evm_bytes
from shared.tron.keccak import keccak256

USDT: Final = "usdt"
CHAIN: Final = "chain"

_PERMISSION_UPDATE: Final = b"protocol.AccountPermissionUpdateContract"
"""In the type URL of contract type 46, which nodes compare with it (java-tron Any.is)."""

_EVM_DIGITS: Final = 40
_WORD_DIGITS: Final = 64


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


@dataclass(frozen=True, slots=True)
class _Event:
    """A log event of USDT; the address it is about is its first topic, if it has one."""

    kind: NoticeKind
    has_subject: bool = False


_EVENTS: Final = {
    keccak256(signature.encode()).hex(): event
    for signature, event in {
        "AddedBlackList(address)": _Event(NoticeKind.BLACKLISTED, has_subject=True),
        "RemovedBlackList(address)": _Event(NoticeKind.UNBLACKLISTED, has_subject=True),
        "DestroyedBlackFunds(address,uint256)": _Event(
            NoticeKind.FUNDS_DESTROYED, has_subject=True
        ),
        "Pause()": _Event(NoticeKind.PAUSED),
        "Unpause()": _Event(NoticeKind.RESUMED),
        "Deprecate(address)": _Event(NoticeKind.DEPRECATED),
        "OwnershipTransferred(address,address)": _Event(NoticeKind.OWNER_CHANGED),
        "Params(uint256,uint256)": _Event(NoticeKind.FEE_CHANGED),
    }.items()
}
"""Events of USDT by their first topic (TetherToken.sol, BlackList.sol, Pausable.sol, Ownable.sol)."""


def notices(block: Block, *, usdt: Address, is_watched: IsWatched) -> list[Notice]:
    """Return what a block says of USDT and of watched addresses, in its order."""
    contract = evm_bytes(usdt).hex()
    return [
        notice
        for executed in block.executed
        if executed.receipt.succeeded
        for notice in (
            *_permissions(block, executed, is_watched),
            *_logged(block, executed, contract, is_watched),
        )
    ]


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
    before: Mapping[str, int], after: Mapping[str, int], *, now_ms: int
) -> list[Notice]:
    """Return what changed among the chain parameters: fees in one notice, the rest in another."""
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
            id=f"{kind.value}-{now_ms}",
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


def _permissions(block: Block, executed: Executed, is_watched: IsWatched) -> Iterator[Notice]:
    raw_data = executed.transaction.raw_data
    if _PERMISSION_UPDATE not in raw_data:
        return
    for owner in _owners(raw_data):
        if is_watched(owner):
            yield _notice(
                block,
                executed,
                position="permissions",
                kind=NoticeKind.PERMISSIONS_CHANGED,
                subject=address_from_bytes(owner),
                detail="the permissions of a watched address were changed: other keys may sign",
            )


def _owners(raw_data: bytes) -> Iterator[bytes]:
    """Return whose permissions are replaced, as 20 bytes; the owner is the contract's first field."""
    try:
        for contract in pb.Transaction.raw.FromString(raw_data).contract:
            if contract.type == pb.Transaction.Contract.AccountPermissionUpdateContract:
                yield pb.WithdrawBalanceContract.FromString(contract.parameter.value).owner_address[
                    1:
                ]
    except DecodeError:
        return


def _logged(
    block: Block, executed: Executed, contract: str, is_watched: IsWatched
) -> Iterator[Notice]:
    for position, log in enumerate(executed.receipt.logs):
        event = _EVENTS.get(log.topics[0].lower()) if log.topics else None
        if event is None or log.address.lower() != contract:
            continue
        subject = _subject(event, log, is_watched)
        if subject is not None:
            yield _notice(
                block,
                executed,
                position=str(position),
                kind=event.kind,
                subject=subject,
                detail=_detail(event.kind, log),
            )


def _subject(event: _Event, log: Log, is_watched: IsWatched) -> str | None:
    """Return what it is about; None when that is an address which nobody watches."""
    if not event.has_subject:
        return USDT
    word = log.topics[1] if len(log.topics) > 1 else log.data[:_WORD_DIGITS]
    if len(word) != _WORD_DIGITS:
        return None
    address = bytes.fromhex(word[-_EVM_DIGITS:])
    return address_from_bytes(address) if is_watched(address) else None


def _detail(kind: NoticeKind, log: Log) -> str:
    words = [*log.topics[1:], *_words(log.data)]
    match kind:
        case NoticeKind.FEE_CHANGED if len(words) > 1:
            rate, most = (int(word, 16) for word in words[:2])
            return f"USDT takes {rate} basis points of a transfer, at most {most} base units"
        case NoticeKind.OWNER_CHANGED if len(words) > 1:
            return f"USDT has another owner: {_address(words[1])}"
        case NoticeKind.DEPRECATED if words:
            return f"USDT hands its calls on to {_address(words[0])}"
        case NoticeKind.FUNDS_DESTROYED:
            return "the USDT of a watched address was destroyed, without a transfer"
        case _:
            return _WORDS.get(kind, kind.value)


_WORDS: Final = {
    NoticeKind.BLACKLISTED: "a watched address is black-listed: its USDT cannot be moved",
    NoticeKind.UNBLACKLISTED: "a watched address is no longer black-listed",
    NoticeKind.PAUSED: "USDT is paused: nobody can transfer it",
    NoticeKind.RESUMED: "USDT can be transferred again",
}


def _words(data: str) -> Sequence[str]:
    return [data[at : at + _WORD_DIGITS] for at in range(0, len(data), _WORD_DIGITS)]


def _address(word: str) -> str:
    return address_from_bytes(bytes.fromhex(word[-_EVM_DIGITS:].rjust(_EVM_DIGITS, "0")))


def _notice(
    block: Block, executed: Executed, *, position: str, kind: NoticeKind, subject: str, detail: str
) -> Notice:
    anchor, txid = block.anchor, executed.receipt.txid
    return Notice(
        id=f"{anchor.height:012d}-{txid}-{position}",
        kind=kind,
        subject=subject,
        detail=f"{detail} (block {anchor.height}, transaction {txid})",
        at_ms=anchor.timestamp_ms,
        height=anchor.height,
        block_id=anchor.block_id,
        txid=txid,
    )


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
