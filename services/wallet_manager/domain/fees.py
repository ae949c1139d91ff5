"""What an attempt may cost at worst, and which figures of tron-client are not believed."""

from dataclasses import dataclass
from typing import Final

from services.wallet_manager.domain.sends import Hold, Send
from shared.models.wallet_sends import SendKind
from shared.tron.operation import INT64_MAX, SUN_PER_TRX, ContractCall, ReferenceBlock
from shared.tron.transaction import bandwidth_points, build_raw_data

MAX_SIGNATURES: Final = 5

MAX_ENERGY: Final = 10_000_000
"""More energy than any call that is signed here takes; a USDT transfer takes about 65,000 or 131,000."""

MIN_TRANSFER_ENERGY: Final = 5_000
"""Less energy than any token transfer takes: it reads and writes two balances (EVM storage costs)."""

_BELIEVED: Final = {
    "energy_fee_sun": range(10, 2_001),
    "bandwidth_fee_sun": range(10, 20_001),
    "activation_fee_sun": range(20 * SUN_PER_TRX),
    "activation_bandwidth_fee_sun": range(10 * SUN_PER_TRX),
    "memo_fee_sun": range(100 * SUN_PER_TRX),
    "multi_sign_fee_sun": range(100 * SUN_PER_TRX),
    "permission_update_fee_sun": range(1_000 * SUN_PER_TRX),
    "max_fee_limit_sun": range(1_000 * SUN_PER_TRX, 1_000_000 * SUN_PER_TRX + 1),
}
"""Prices outside these have never been seen on TRON: a price too low starves a call of energy, one too
high burns money."""

_SOME_BLOCK: Final = ReferenceBlock(height=0xFFFF, block_id=f"{0xFFFF:016x}" + "ff" * 24)
_SOME_TIME_MS: Final = 9_000_000_000_000


class AbsurdPrices(Exception):
    """A price that no chain charges; nothing is signed while tron-client tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the chain charges, in sun.

    Raises:
        AbsurdPrices: one that has never been seen on TRON.
    """

    energy_fee_sun: int
    bandwidth_fee_sun: int
    activation_fee_sun: int
    activation_bandwidth_fee_sun: int
    memo_fee_sun: int
    multi_sign_fee_sun: int
    permission_update_fee_sun: int
    max_fee_limit_sun: int

    def __post_init__(self) -> None:
        for name, believed in _BELIEVED.items():
            if (price := getattr(self, name)) not in believed:
                raise AbsurdPrices(f"{name} is told to be {price}, which is not believed")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePlan:
    """What an attempt may cost.

    Attributes:
        fee_limit_sun: for the contract call; covers the whole energy, staked or burned.
        worst_sun: all that may be burned: fee limit, bandwidth, activation and other fees together.
        reserved_sun: the part of it that energy lent for this attempt pays for.
    """

    fee_limit_sun: int
    worst_sun: int
    reserved_sun: int = 0


class LimitTooLow(Exception):
    """The chain allows no fee limit that covers the energy with its margin.

    Attributes:
        needed_sun: what it would take.
        allowed_sun: the highest limit.
    """

    def __init__(self, *, needed_sun: int, allowed_sun: int) -> None:
        super().__init__(
            f"a fee limit of {needed_sun} sun is needed, and the chain allows {allowed_sun} sun"
        )
        self.needed_sun = needed_sun
        self.allowed_sun = allowed_sun


def fee_limit(energy: int, *, margin_percent: int, prices: Prices) -> int:
    """Return a fee limit that covers simulated energy with its margin; raises LimitTooLow.

    It is never cut down: a call that runs out of energy costs its whole limit and does nothing.
    """
    needed = -(-energy * prices.energy_fee_sun * (100 + margin_percent) // 100)
    if needed > prices.max_fee_limit_sun:
        raise LimitTooLow(needed_sun=needed, allowed_sun=prices.max_fee_limit_sun)
    return needed


def fee_plan(send: Send, *, fee_limit_sun: int, prices: Prices, signatures: int = 1) -> FeePlan:
    """Plan what an attempt may cost at worst.

    Args:
        send: what is to be signed.
        fee_limit_sun: of its contract call, 0 for other kinds.
        prices: of the chain now.
        signatures: how many it will bear.
    """
    worst_sun = fee_limit_sun + bandwidth_needed(send, signatures) * prices.bandwidth_fee_sun
    if send.kind in {SendKind.TRX_TRANSFER, SendKind.ACCOUNT_ACTIVATE}:
        worst_sun += prices.activation_fee_sun + prices.activation_bandwidth_fee_sun
    if send.kind is SendKind.PERMISSION_UPDATE:
        worst_sun += prices.permission_update_fee_sun
    if send.memo:
        worst_sun += prices.memo_fee_sun
    if signatures > 1:
        worst_sun += prices.multi_sign_fee_sun
    reserved_sun = min(send.reserved_energy * prices.energy_fee_sun, fee_limit_sun)
    return FeePlan(fee_limit_sun=fee_limit_sun, worst_sun=worst_sun, reserved_sun=reserved_sun)


def hold_for(send: Send, plan: FeePlan) -> Hold:
    """Return the worst that an attempt of this send may take (hazard H15).

    Energy that was lent for it pays a part of its fee limit, and only that part is left out.
    """
    fee_sun = plan.worst_sun - plan.reserved_sun
    match send.kind:
        case SendKind.TRC20_TRANSFER:
            return Hold(trx_sun=fee_sun, usdt_micro=send.amount)
        case SendKind.TRX_TRANSFER | SendKind.FREEZE_BALANCE:
            return Hold(trx_sun=fee_sun + send.amount)
        case _:
            return Hold(trx_sun=fee_sun)


def worst_of(send: Send, fee_limit_sun: int, prices: Prices) -> Hold:
    """Return what a signed transaction may take at worst, of which only the fee limit is known."""
    plan = fee_plan(send, fee_limit_sun=fee_limit_sun, prices=prices, signatures=MAX_SIGNATURES)
    return hold_for(send, plan)


def bandwidth_needed(send: Send, signatures: int) -> int:
    """Return what its bytes take at most: the real ones, with every number at its longest.

    Raises:
        ImpossibleSend: a parameter is missing.
        InvalidOperation: no transaction can be made of it.
    """
    operation = send.operation()
    raw_data = build_raw_data(
        operation,
        reference=_SOME_BLOCK,
        expiration_ms=_SOME_TIME_MS + 1,
        timestamp_ms=_SOME_TIME_MS,
        fee_limit_sun=INT64_MAX if isinstance(operation, ContractCall) else 0,
        permission_id=send.permission_id,
        memo=send.memo.encode(),
    )
    return bandwidth_points(len(raw_data), signatures)
