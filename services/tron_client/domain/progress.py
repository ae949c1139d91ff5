"""How far the chain has been followed, and the blocks that are held for forks and proofs."""

from dataclasses import dataclass, replace
from typing import Final

from services.tron_client.domain.blocks import Anchor, Block
from shared.errors import Unavailable
from shared.tron.address import Address

PROGRESS_ID: Final = "progress"


class NothingScanned(Unavailable):
    """No block has been scanned yet."""

    code = "LUCID_ERR_9109"
    title = "The chain is not in sight yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The durable cursor.

    Attributes:
        id: always the same.
        version: of the record.
        start: the block after which scanning began; every later one up to the head was scanned.
        head: the last block scanned.
        solid: the last block found solid, with all that follows from that stored.
    """

    id: str = PROGRESS_ID
    version: int = 0
    start: Anchor
    head: Anchor
    solid: Anchor

    def advanced(self, head: Anchor) -> "Progress":
        """Return it with another head."""
        return replace(self, head=head)

    def solidified(self, solid: Anchor) -> "Progress":
        """Return it with another solid block."""
        return replace(self, solid=solid)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBlock:
    """A scanned block.

    Attributes:
        id: the block id.
        version: of the record.
        touches: 1 when it may concern a watched address or a transaction of ours.
        witness: address of the witness that made it, empty for the one that scanning began after.
        signer: address of the key that signed it.
    """

    id: str
    version: int = 0
    height: int
    parent_id: str
    timestamp_ms: int
    touches: int
    witness: str = ""
    signer: str = ""

    @property
    def anchor(self) -> Anchor:
        """What names it."""
        return Anchor(height=self.height, block_id=self.id, timestamp_ms=self.timestamp_ms)


def held(block: Block, *, touches: bool, witness: Address, signer: Address) -> HeldBlock:
    """Return a block as it is held."""
    return HeldBlock(
        id=block.anchor.block_id,
        height=block.anchor.height,
        parent_id=block.parent_id,
        timestamp_ms=block.anchor.timestamp_ms,
        touches=int(touches),
        witness=witness,
        signer=signer,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """An address and the height above which every transfer of it is told (H11)."""

    id: str
    version: int = 0
    birth_height: int
