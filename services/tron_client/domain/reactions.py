"""What to do after each thing a node can say of a broadcast (java-tron Wallet.broadcastTransaction).

The same signed bytes may always be sent again: one txid, taken once. Whether another transaction may
be made is never decided here; that takes a verdict of the chain.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from shared.models.tron_transactions import BroadcastOutcome


class Reaction(StrEnum):
    """How the same bytes go on."""

    AGAIN = "again"
    LATER = "later"
    NEVER = "never"


REACTIONS: Final[Mapping[str, Reaction]] = {
    "SUCCESS": Reaction.AGAIN,  # a pool forgets after 60 s (node.pendingTransactionTimeout)
    "DUP_TRANSACTION_ERROR": Reaction.AGAIN,  # taken before, or remembered from a try that failed
    "CONTRACT_VALIDATE_ERROR": Reaction.AGAIN,  # funds may still be on their way
    "CONTRACT_EXE_ERROR": Reaction.AGAIN,
    "BANDWITH_ERROR": Reaction.AGAIN,
    "TAPOS_ERROR": Reaction.AGAIN,  # another node may be on the right fork
    "TRANSACTION_EXPIRATION_ERROR": Reaction.AGAIN,  # ends with the expiration as the chain has it
    "NOT_ENOUGH_EFFECTIVE_CONNECTION": Reaction.AGAIN,
    "NO_CONNECTION": Reaction.AGAIN,
    "OTHER_ERROR": Reaction.AGAIN,
    "SERVER_BUSY": Reaction.LATER,
    "BLOCK_UNSOLIDIFIED": Reaction.LATER,
    "SIGERROR": Reaction.NEVER,
    "TOO_BIG_TRANSACTION_ERROR": Reaction.NEVER,
}
"""Every code a node knows; one that it does not is treated like OTHER_ERROR."""

LATER_FACTOR: Final = 3
"""How many intervals ``LATER`` is."""


def reaction_to(outcome: BroadcastOutcome, code: str | None) -> Reaction:
    """Return how bytes go on after a broadcast; without an answer they are sent again."""
    if outcome is BroadcastOutcome.ACCEPTED or code is None:
        return Reaction.AGAIN
    return REACTIONS.get(code, Reaction.AGAIN)
