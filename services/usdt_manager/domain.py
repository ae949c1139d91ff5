"""What USDT means: what a transfer needs, and what speaks against it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import BadRequest, Unavailable
from shared.money import Sun

USDT_TRANSFER_BYTES: Final = 345
"""Bandwidth of a USDT transfer with a fee limit: serialised size plus 64 (java-tron BandwidthProcessor)."""

SUN_PER_TRX: Final = 1_000_000


class NotUsdt(BadRequest):
    """An intent names another contract or is no token transfer."""

    code = "LUCID_ERR_9401"
    title = "Not a USDT transfer"


class WrongToken(Unavailable):
    """The configured contract does not describe itself as a token of six decimals."""

    code = "LUCID_ERR_9402"
    title = "The USDT contract is not what it should be"


class Refusal(StrEnum):
    """What speaks against a transfer now."""

    PAUSED = "paused"
    SENDER_BLACKLISTED = "sender_blacklisted"
    RECIPIENT_BLACKLISTED = "recipient_blacklisted"
    WOULD_REVERT = "would_revert"
    TOO_EXPENSIVE = "too_expensive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The token as its contract describes itself, as last checked.

    Attributes:
        id: the contract's address.
        version: of the record.
        symbol: what it calls itself.
        decimals: how many of them.
        paused: whether transfers are stopped.
        checked_at_ms: when.
    """

    id: str
    version: int = 0
    symbol: str
    decimals: int
    paused: bool
    checked_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a simulated transfer of one base unit to an address that never held the token said.

    That is the dearest transfer there is: a recipient's balance may be spent before the block, so
    the price of an empty one is what a fee limit must cover in any case.
    """

    energy: int
    reverted: bool
    revert_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the contract's black list says of an address, and when it was asked."""

    blacklisted: bool
    asked_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a transfer takes, and the first thing that speaks against it."""

    energy: int
    bandwidth: int
    fee_limit_sun: Sun
    refusal: Refusal | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePolicy:
    """How a fee limit follows from a simulation.

    Attributes:
        margin_percent: added to the simulated energy, since the recipient's balance and the
            contract's price may change until the block.
        ceiling_sun: never more than this.
    """

    margin_percent: int
    ceiling_sun: Sun

    def fee_limit_sun(self, energy: int, energy_fee_sun: int) -> Sun:
        """Return a fee limit that covers the whole energy, staked or burned (java-tron VMActuator)."""
        with_margin = energy * energy_fee_sun * (100 + self.margin_percent)
        return Sun(-(-with_margin // 100))


def judge(
    simulation: Simulation,
    *,
    paused: bool,
    sender_blacklisted: bool,
    recipient_blacklisted: bool,
    energy_fee_sun: int,
    policy: FeePolicy,
) -> Needs:
    """Decide what a transfer needs at most, and the first thing that speaks against it."""
    fee_limit = policy.fee_limit_sun(simulation.energy, energy_fee_sun)
    against: list[tuple[bool, Refusal, str]] = [
        (paused, Refusal.PAUSED, "the contract has paused all transfers"),
        (
            sender_blacklisted,
            Refusal.SENDER_BLACKLISTED,
            "the sender is on the contract's black list",
        ),
        (
            recipient_blacklisted,
            Refusal.RECIPIENT_BLACKLISTED,
            "the recipient is on the contract's black list",
        ),
        (
            simulation.reverted,
            Refusal.WOULD_REVERT,
            simulation.revert_reason or "the contract would revert",
        ),
        (
            fee_limit > policy.ceiling_sun,
            Refusal.TOO_EXPENSIVE,
            f"it would need a fee limit of {fee_limit} sun",
        ),
    ]
    first = next(((refusal, detail) for applies, refusal, detail in against if applies), None)
    return Needs(
        energy=simulation.energy,
        bandwidth=USDT_TRANSFER_BYTES,
        fee_limit_sun=Sun(min(fee_limit, policy.ceiling_sun)),
        refusal=first[0] if first else None,
        detail=first[1] if first else None,
    )
