"""The chain as one tree of paths shows it: at the head with the pool, or at the solid height."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from devnet.chain import Chain, Tip
from devnet.chain_pb2 import Block, BlockRecord, Transaction, TransactionInfo
from devnet.execution import with_ret
from devnet.json_format import printed, printed_block
from devnet.moment import Moment
from devnet.node import Node
from devnet.state import State

_PRINTED_BLOCKS = 32


class BlockPrinter:
    """Prints blocks and their receipts, and remembers the latest printed ones."""

    def __init__(self) -> None:
        self._printed: OrderedDict[tuple[str, bytes, bool], msgspec.Raw] = OrderedDict()

    def block(self, block_id: bytes, block: Block, *, visible: bool) -> Any:
        """A block as JSON."""
        if not block.transactions:
            return printed_block(block, visible=visible)
        key = ("block", block_id, visible)
        return self._printed.get(key) or self._keep(key, printed_block(block, visible=visible))

    def infos(
        self, block_id: bytes, record: BlockRecord, *, visible: bool, saves_internal: bool
    ) -> Any:
        """A block's receipts as a JSON array."""
        if not record.infos:
            return []
        key = ("saved infos" if saves_internal else "infos", block_id, visible)
        shown = (shown_info(info, saves_internal=saves_internal) for info in record.infos)
        return self._printed.get(key) or self._keep(
            key, [printed(info, visible=visible) for info in shown]
        )

    def _keep(self, key: tuple[str, bytes, bool], document: Any) -> msgspec.Raw:
        raw = self._printed[key] = msgspec.Raw(msgspec.json.encode(document))
        if len(self._printed) > _PRINTED_BLOCKS:
            self._printed.popitem(last=False)
        return raw


class View:
    """What a handler may look at; nothing above its height exists for it."""

    def __init__(self, *, node: Node, printer: BlockPrinter, solid: bool) -> None:
        self.node = node
        self.printer = printer
        self._solid = solid

    @property
    def chain(self) -> Chain:
        """The chain behind the view."""
        return self.node.chain

    @property
    def tip(self) -> Tip:
        """The newest block of the view."""
        return self.chain.solid if self._solid else self.chain.head

    @property
    def number(self) -> int:
        """The height of the view."""
        return self.chain.solid_number if self._solid else self.chain.head.number

    @property
    def moment(self) -> Moment:
        """Now, as seen from the newest block."""
        return Moment(head_ms=self.tip.time_ms)

    @property
    def state(self) -> State:
        """The state at the solid height, or at the head with the pool on top."""
        return self.chain.ledger.solid if self._solid else self.node.pending_state

    def record(self, number: int) -> BlockRecord | None:
        """A block with its receipts."""
        return self.chain.record(number) if 0 <= number <= self.number else None

    def transaction(self, txid: bytes) -> Transaction | None:
        """A transaction in a block or, at the head, in the pool; with its ret."""
        found = self._included(txid)
        if found is not None:
            record, index = found
            return record.block.transactions[index]
        return self.pending(txid)

    def pending(self, txid: bytes) -> Transaction | None:
        """A transaction in the pool, with its ret; nothing waits at the solid height."""
        pending = None if self._solid else self.node.pool.get(txid)
        return with_ret(pending.item.transaction, pending.info) if pending else None

    def info(self, txid: bytes) -> TransactionInfo | None:
        """The receipt of a transaction in a block."""
        found = self._included(txid)
        if found is None:
            return None
        record, index = found
        return shown_info(record.infos[index], saves_internal=self.node.saves_internal)

    def _included(self, txid: bytes) -> tuple[BlockRecord, int] | None:
        height = self.chain.height_of(txid)
        record = None if height is None else self.record(height)
        if record is None:
            return None
        return record, next(at for at, info in enumerate(record.infos) if info.id == txid)


def shown_info(info: TransactionInfo, *, saves_internal: bool) -> TransactionInfo:
    """A receipt as a node keeps it: with the calls within the call only where it saves them."""
    if saves_internal or not info.internal_transactions:
        return info
    shown = TransactionInfo()
    shown.CopyFrom(info)
    del shown.internal_transactions[:]
    return shown
