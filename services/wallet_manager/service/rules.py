"""What limits every signature, as the operator set it."""

from dataclasses import dataclass

from shared.tron.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRules:
    """What limits every signature.

    Attributes:
        genesis_block_id: of the one chain that is signed for.
        usdt_contract: the one token contract that is signed for.
        enabled: False on mainnet until the operator's second switch is on.
        lifetime_ms: from the head block's time to the expiration.
        max_skew_ms: largest difference between any two of head time, another operator's and the clock.
        max_attempts: signed transactions for one send.
        batch: sends signed and submitted together.
        retry_ms: pause before a waiting send is looked at again.
        margin_percent: what a fee limit adds to the simulated energy.
        offline_lifetime_ms: the same as ``lifetime_ms`` for what is signed elsewhere (hazard H7).
    """

    genesis_block_id: str
    usdt_contract: Address
    enabled: bool
    lifetime_ms: int
    max_skew_ms: int
    max_attempts: int
    batch: int
    retry_ms: int
    margin_percent: int
    offline_lifetime_ms: int
