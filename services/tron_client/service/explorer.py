"""Look up blocks and transactions of anybody, and say how far they are proved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.tron_client.domain.blocks import (
    SUCCESS,
    Anchor,
    Body,
    InconsistentBlock,
)
from services.tron_client.domain.contracts import said
from services.tron_client.domain.effects import Effect, effect_of
from services.tron_client.node import reading
from services.tron_client.node.blocks import Tree
from services.tron_client.store import ChainStore
from services.tron_client.store.sight import Sight
from shared.errors import NotFound
from shared.tron.address import Address

_HEIGHT_DIGITS: Final = 16
"""A block id begins with the height, as eight bytes (java-tron BlockCapsule)."""


class UnknownBlock(NotFound):
    """The node's chain has no such block."""

    code = "LUCID_ERR_9151"
    title = "No such block"


class NotOnChain(NotFound):
    """The node knows of no block that holds the transaction; that does not prove that there is none."""

    code = "LUCID_ERR_9152"
    title = "Not found in a block"


class Node(Protocol):
    """A node, as far as looking things up needs it."""

    async def block(self, height: int, *, tree: str = Tree.HEAD) -> Body | None:
        """Return a body whose transactions are those of its root."""
        ...

    async def read_raw(self, path: str, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Return a node's answer to a read as it came."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlock:
    """A block and how far it is proved."""

    body: Body
    is_verified: bool
    is_solid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTransaction:
    """A transaction in a block and how far that is proved."""

    txid: str
    block: Anchor
    is_verified: bool
    is_solid: bool
    contract_type: str
    owner: Address | None
    raw_data: bytes
    effect: Effect


class Explorer:
    """Asks the node, and compares with the blocks that are held."""

    def __init__(self, *, node: Node, store: ChainStore, sight: Sight) -> None:
        self._node = node
        self._store = store
        self._sight = sight

    async def block_at(self, height: int) -> FoundBlock:
        """Return the block at a height; raises UnknownBlock."""
        body = await self._node.block(height)
        if body is None:
            raise UnknownBlock(f"the node has no block {height}")
        return await self._found(body)

    async def block(self, block_id: str) -> FoundBlock:
        """Return the block of that id if it is on the node's main chain; raises UnknownBlock."""
        found = await self.block_at(int(block_id[:_HEIGHT_DIGITS], 16))
        if found.body.anchor.block_id != block_id:
            raise UnknownBlock(f"block {block_id} is not on the main chain")
        return found

    async def transaction(self, txid: str) -> FoundTransaction:
        """Return a transaction of anybody with its receipt.

        Raises:
            NotOnChain: the node has no receipt of it.
            InconsistentBlock: the receipt and the block it names do not fit.
        """
        answer = await self._node.read_raw(f"{Tree.HEAD}/gettransactioninfobyid", {"value": txid})
        receipt = reading.read_receipt(answer)
        if receipt is None:
            raise NotOnChain(f"the node knows of no block with transaction {txid}")
        found = await self.block_at(receipt.height)
        held = [each for each in found.body.transactions if each.txid == txid]
        if receipt.txid != txid or len(held) != 1:
            raise InconsistentBlock(f"block {receipt.height} does not hold transaction {txid}")
        effect = effect_of(receipt)
        if held[0].result and (held[0].result == SUCCESS) != effect.succeeded:
            raise InconsistentBlock(f"the receipt of {txid} says other than its block")
        contract = said(held[0].raw_data)
        return FoundTransaction(
            txid=txid,
            block=found.body.anchor,
            is_verified=found.is_verified,
            is_solid=found.is_solid,
            contract_type=contract.kind,
            owner=contract.owner,
            raw_data=held[0].raw_data,
            effect=effect,
        )

    async def _found(self, body: Body) -> FoundBlock:
        progress = self._sight.progress
        known = await self._store.block_at(body.anchor.height)
        is_verified = known is not None and known.id == body.anchor.block_id
        is_solid = (
            is_verified and progress is not None and body.anchor.height <= progress.solid.height
        )
        return FoundBlock(body=body, is_verified=is_verified, is_solid=is_solid)
