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
class Vote:
    """So many votes for one witness; a vote is one whole staked TRX."""

    witness: bytes
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An activated account. Balances and stakes in sun, times in chain milliseconds.

    Attributes:
        frozen_net_sun: Own stake for bandwidth that is not lent out; the same for energy.
        delegated_net_sun: Own stake for bandwidth that is lent out; the same for energy.
        acquired_net_sun: Others' stake for bandwidth that is lent to it; the same for energy.
        allowance_sun: Rewards that are settled but not withdrawn.
    """

    address: bytes
    balance_sun: int = 0
    created_ms: int = 0
    last_operation_ms: int = 0
    net: Usage = UNUSED
    free_net: Usage = UNUSED
    energy: Usage = UNUSED
    frozen_net_sun: int = 0
    frozen_energy_sun: int = 0
    delegated_net_sun: int = 0
    delegated_energy_sun: int = 0
    acquired_net_sun: int = 0
    acquired_energy_sun: int = 0
    unfreezing: tuple[Unfreezing, ...] = ()
    votes: tuple[Vote, ...] = ()
    allowance_sun: int = 0
    last_withdrawal_ms: int = 0
    is_contract: bool = False

    def __post_init__(self) -> None:
        if (
            self.balance_sun < 0
            or self.frozen_net_sun < 0
            or self.frozen_energy_sun < 0
            or self.delegated_net_sun < 0
            or self.delegated_energy_sun < 0
            or self.acquired_net_sun < 0
            or self.acquired_energy_sun < 0
            or self.allowance_sun < 0
        ):
            raise ValueError(f"no account can owe: {self}")

    @property
    def all_frozen_net_sun(self) -> int:
        """The stake that gives it bandwidth: its own that is not lent out, and what is lent to it."""
        return self.frozen_net_sun + self.acquired_net_sun

    @property
    def all_frozen_energy_sun(self) -> int:
        """The stake that gives it energy: its own that is not lent out, and what is lent to it."""
        return self.frozen_energy_sun + self.acquired_energy_sun

    @property
    def tron_power_sun(self) -> int:
        """All its own stake, lent out or not (java-tron's AccountCapsule.getTronPower)."""
        return (
            self.frozen_net_sun
            + self.frozen_energy_sun
            + self.delegated_net_sun
            + self.delegated_energy_sun
        )

    @property
    def vote_count(self) -> int:
        """The votes it has given, which getaccountresource calls tronPowerUsed."""
        return sum(vote.count for vote in self.votes)

    def with_balance(self, change_sun: int) -> Account:
        """The account after so much more or less balance."""
        return replace(self, balance_sun=self.balance_sun + change_sun)
