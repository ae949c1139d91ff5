"""A transaction that waits for signatures from elsewhere (hazard H7)."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.wallet_manager.domain.sends import Attempt, Send
from shared.tron.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A transaction that waits for signatures, whose keys may sign it and who has."""

    send: Send
    attempt: Attempt
    threshold: int
    weights: Mapping[Address, int]
    signers: tuple[Address, ...]

    @property
    def weight(self) -> int:
        """What the signatures that are there weigh."""
        return sum(self.weights.get(signer, 0) for signer in self.signers)

    @property
    def is_complete(self) -> bool:
        """True when the chain will take it."""
        return self.weight >= self.threshold
