"""Read blocks together with the receipts that belong to them."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from services.tron_client.domain.blocks import Anchor, Block, Body, Receipt, paired


class Tree:
    """The two views of a node: everything, or only what is solid."""

    HEAD = "/wallet"
    SOLID = "/walletsolidity"


class Chain(Protocol):
    """A node, as far as following the chain asks it."""

    async def block(self, height: int, *, tree: str = Tree.HEAD) -> Body | None:
        """Return a body, None when there is none yet."""
        ...

    async def blocks(self, first: int, count: int, *, tree: str = Tree.HEAD) -> list[Body]:
        """Return consecutive bodies."""
        ...

    async def receipts(self, height: int, *, tree: str = Tree.HEAD) -> list[Receipt]:
        """Return the receipts of a block."""
        ...

    async def solid_head(self) -> Anchor | None:
        """Return the newest solid block."""
        ...

    async def solid_receipt(self, txid: str) -> Receipt | None:
        """Return the receipt of a solid transaction."""
        ...


class FollowedChain(Chain, Protocol):
    """A node, as far as following the chain without losing it asks it."""

    def for_catching_up(self) -> Chain:
        """Return the same node for reading many blocks behind everything else."""
        ...


async def with_receipts(chain: Chain, body: Body, *, tree: str = Tree.HEAD) -> Block:
    """Return a body with its receipts; one without transactions needs no call.

    Raises:
        InconsistentBlock: the receipts are not all there, or are of something else.
    """
    receipts = []
    if body.transactions:
        receipts = await chain.receipts(body.anchor.height, tree=tree)
    return paired(body, receipts)


async def all_with_receipts(chain: Chain, bodies: Sequence[Body]) -> list[Block]:
    """Return bodies with their receipts, asked for at once."""
    return await asyncio.gather(*(with_receipts(chain, body) for body in bodies))


async def solid_block(chain: Chain, height: int) -> Block | None:
    """Return a block as the solid tree has it; None when it does not have it (yet)."""
    body = await chain.block(height, tree=Tree.SOLID)
    return None if body is None else await with_receipts(chain, body, tree=Tree.SOLID)
