"""How the chain is followed, as the operator set it."""

from dataclasses import dataclass

from services.tron_client.domain.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPolicy:
    """How the chain is followed.

    Attributes:
        tokens: those whose Transfer logs count.
        genesis: id of the genesis block.
        start_height: first block to scan on an empty database; None for the next one to come.
        batch_blocks: blocks in one bulk call, and the most of one round.
        solid_poll_blocks: the solid head is asked for when so many blocks came.
        slot_ms: no block is asked for earlier than this after the one before; 0 asks in each round.
        held_blocks: how many are kept below the solid one.
    """

    tokens: Tokens
    genesis: str
    start_height: int | None
    batch_blocks: int
    solid_poll_blocks: int
    slot_ms: int
    held_blocks: int
