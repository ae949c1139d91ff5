"""Operations of Stake 2.0: freeze, thaw, lend, vote and claim."""

from dataclasses import dataclass
from typing import Final

from shared.tron.address import Address, address_bytes
from shared.tron.operation.base import (
    SUN_PER_TRX,
    InvalidOperation,
    Resource,
    require_amount,
    require_recipient,
    require_resource,
)

MAX_LOCK_BLOCKS: Final = 864_000
"""Thirty days of blocks (chain parameter getMaxDelegateLockPeriod)."""

MAX_CANDIDATES: Final = 30
"""Candidates in one vote (java-tron VoteWitnessActuator)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeBalance:
    """Stake TRX for a resource (Stake 2.0).

    Raises:
        InvalidOperation: less than 1 TRX or more than 2^63-1 sun (FreezeBalanceV2Actuator).
        InvalidAddress: the owner was never checked.
    """

    owner: Address
    amount_sun: int
    resource: Resource

    def __post_init__(self) -> None:
        require_amount("amount_sun", self.amount_sun, at_least=SUN_PER_TRX)
        address_bytes(self.owner)
        require_resource(self.resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeBalance:
    """Begin to take staked TRX back (Stake 2.0).

    Raises:
        InvalidOperation: the amount is not in 1..2^63-1 sun (UnfreezeBalanceV2Actuator).
        InvalidAddress: the owner was never checked.
    """

    owner: Address
    amount_sun: int
    resource: Resource

    def __post_init__(self) -> None:
        require_amount("amount_sun", self.amount_sun)
        address_bytes(self.owner)
        require_resource(self.resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelUnfreezes:
    """Stake again everything that is on its way out (CancelAllUnfreezeV2Actuator).

    Raises:
        InvalidAddress: the owner was never checked.
    """

    owner: Address

    def __post_init__(self) -> None:
        address_bytes(self.owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawUnfrozen:
    """Take out what has been on its way out long enough (WithdrawExpireUnfreezeActuator).

    Raises:
        InvalidAddress: the owner was never checked.
    """

    owner: Address

    def __post_init__(self) -> None:
        address_bytes(self.owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRewards:
    """Take out the rewards of votes, at most once a day (WithdrawBalanceActuator).

    Raises:
        InvalidAddress: the owner was never checked.
    """

    owner: Address

    def __post_init__(self) -> None:
        address_bytes(self.owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateResource:
    """Lend the resource of staked TRX (DelegateResourceActuator).

    Attributes:
        is_locked: True when it cannot be taken back for a time.
        lock_blocks: for how many blocks; 0 is the chain's default of three days.

    Raises:
        InvalidOperation: less than 1 TRX, a lock of more than 30 days or one that is not locked, or
            the receiver is the owner or the zero address.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    to: Address
    amount_sun: int
    resource: Resource
    is_locked: bool = False
    lock_blocks: int = 0

    def __post_init__(self) -> None:
        require_amount("amount_sun", self.amount_sun, at_least=SUN_PER_TRX)
        require_recipient(self.owner, self.to)
        require_resource(self.resource)
        require_amount("lock_blocks", self.lock_blocks, at_least=0)
        if self.lock_blocks > MAX_LOCK_BLOCKS or (self.lock_blocks and self.is_locked is not True):
            raise InvalidOperation(field="lock_blocks", reason="is no lock of at most 30 days")


@dataclass(frozen=True, slots=True, kw_only=True)
class UndelegateResource:
    """Take a lent resource back (UnDelegateResourceActuator).

    Raises:
        InvalidOperation: the amount is not in 1..2^63-1 sun, or the receiver is the owner or the
            zero address.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    to: Address
    amount_sun: int
    resource: Resource

    def __post_init__(self) -> None:
        require_amount("amount_sun", self.amount_sun)
        require_recipient(self.owner, self.to)
        require_resource(self.resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Votes for one candidate, of which a staked TRX gives one."""

    witness: Address
    count: int

    def __post_init__(self) -> None:
        address_bytes(self.witness)
        require_amount("count", self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteWitnesses:
    """Say anew whom the stake votes for; earlier votes are forgotten.

    Raises:
        InvalidOperation: no candidate, more than thirty, or one twice.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    votes: tuple[Votes, ...]

    def __post_init__(self) -> None:
        address_bytes(self.owner)
        if not 1 <= len(self.votes) <= MAX_CANDIDATES:
            raise InvalidOperation(field="votes", reason="are not for one to thirty candidates")
        if len({one.witness for one in self.votes}) != len(self.votes):
            raise InvalidOperation(field="votes", reason="name a candidate twice")
