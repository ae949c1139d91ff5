"""Making one block on top of a chain, and making it again from its record."""

from __future__ import annotations

from dataclasses import dataclass, field

from devnet import admission, execution, maintenance, schedule
from devnet.blocks import block_id_of, sealed, slot_of
from devnet.chain import Chain, Tip
from devnet.chain_pb2 import AccountPermissionUpdateContract, BlockRecord, TransactionInfo
from devnet.genesis import GENESIS_TIME_MS
from devnet.items import Item, opened
from devnet.permissions import check_signatures
from devnet.rejection import RejectedError
from devnet.state import Changes, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A block, what it changes, and the transactions that are not in it.

    Attributes:
        refused: Those that can no longer be included, and why.
        postponed: Those that have to wait because their owner's permissions change in this block.
    """

    record: BlockRecord
    tip: Tip
    changes: Changes
    refused: list[tuple[Item, RejectedError]] = field(default_factory=list)
    postponed: list[Item] = field(default_factory=list)


def made(chain: Chain, time_ms: int, items: list[Item]) -> Made:
    """Make the block of a slot from what can be included.

    Raises:
        ValueError: Nobody can sign a block in this slot.
    """
    signer = schedule.signer_of(chain.ledger.head, slot_of(time_ms, GENESIS_TIME_MS))
    if signer is None:
        raise ValueError(f"the witness at {time_ms} has another key")
    state = chain.ledger.overlay()
    included: dict[bytes, tuple[Item, TransactionInfo]] = {}
    refused: list[tuple[Item, RejectedError]] = []
    postponed: list[Item] = []
    changing: set[bytes] = set()
    for item in items:
        if item.owner in changing:
            postponed.append(item)
            continue
        try:
            if item.txid in included:
                raise admission.duplicate()
            included[item.txid] = item, _included(chain, state, item)
        except RejectedError as error:
            refused.append((item, error))
            continue
        if isinstance(item.contract, AccountPermissionUpdateContract):
            changing.add(item.owner)

    block = sealed(
        witness=signer.witness,
        key=signer.key,
        parent_id=chain.head.block_id,
        timestamp_ms=time_ms,
        included=[execution.with_ret(item.transaction, info) for item, info in included.values()],
    )
    record = BlockRecord(block=block, infos=[info for _, info in included.values()])
    return _finished(chain, record, state, refused, postponed)


def made_again(chain: Chain, record: BlockRecord) -> Made:
    """Execute a recorded block once more; the receipts are those of this execution.

    Signatures are taken for good: a state file is as trusted as the program that wrote it.
    """
    state = chain.ledger.overlay()
    again = BlockRecord(block=record.block)
    for transaction in record.block.transactions:
        again.infos.append(execution.execute(state, opened(transaction), chain.moment))
    return _finished(chain, again, state, [], [])


def _included(chain: Chain, state: State, item: Item) -> TransactionInfo:
    admission.check_life(chain, item)
    admission.check(chain, item)
    check_signatures(state, item)
    return execution.execute(state, item, chain.moment)


def _finished(
    chain: Chain,
    record: BlockRecord,
    state: State,
    refused: list[tuple[Item, RejectedError]],
    postponed: list[Item],
) -> Made:
    """Write the block's place into its receipts, and do what a block does besides."""
    raw = record.block.block_header.raw_data
    for info in record.infos:
        info.blockNumber = raw.number
        info.blockTimeStamp = raw.timestamp
    maintenance.apply_block(state, raw, chain.moment)
    tip = Tip(
        number=raw.number,
        block_id=block_id_of(record.block.block_header),
        time_ms=raw.timestamp,
    )
    return Made(record=record, tip=tip, changes=state.changes, refused=refused, postponed=postponed)
