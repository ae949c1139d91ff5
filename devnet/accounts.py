"""What the chain knows of one account."""

from __future__ import annotations

from dataclasses import dataclass, replace

from devnet.resources import UNUSED, Usage

UNFREEZE_MAX_COUNT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfreezing:
    """Stake on its way back to the balance, free from `expires_ms` on."""

    resource: int
    amount_sun: int
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An activated account. Balances and stakes in sun, times in chain milliseconds."""

    address: bytes
    balance_sun: int = 0
    created_ms: int = 0
    last_operation_ms: int = 0
    net: Usage = UNUSED
    free_net: Usage = UNUSED
    energy: Usage = UNUSED
    frozen_net_sun: int = 0
    frozen_energy_sun: int = 0
    unfreezing: tuple[Unfreezing, ...] = ()
    is_contract: bool = False

    def __post_init__(self) -> None:
        if min(self.balance_sun, self.frozen_net_sun, self.frozen_energy_sun) < 0:
            raise ValueError(f"no account can owe: {self}")

    def with_balance(self, change_sun: int) -> Account:
        """The account after so much more or less balance."""
        return replace(self, balance_sun=self.balance_sun + change_sun)
