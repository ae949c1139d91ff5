"""What blocks say of USDT and of watched addresses, as notices.

Read from the logs and transactions of blocks that are scanned anyway, so that the cost does not grow
with the number of watched addresses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from services.tron_client.domain.blocks import Block, Executed, Log
from services.tron_client.domain.movements import IsWatched
from services.tron_client.domain.notices import USDT, Notice, NoticeKind
from shared.tron import protocol_pb2 as pb
from shared.tron.address import Address, address_from_bytes, evm_bytes
from shared.tron.keccak import keccak256

_PERMISSION_UPDATE: Final = b"protocol.AccountPermissionUpdateContract"
"""In the type URL of contract type 46, which nodes compare with it (java-tron Any.is)."""

_EVM_DIGITS: Final = 40
_WORD_DIGITS: Final = 64


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
