"""Who pays for the energy of a call, and with what (java-tron's VMActuator and ReceiptCapsule).

A contract's owner pays his share from stake alone; the caller pays the rest from stake first and
burns TRX for what is missing. The fee limit caps all of the caller's energy, staked energy too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from devnet import limits, resources
from devnet.accounts import Account
from devnet.chain_pb2 import TransactionInfo
from devnet.moment import Moment
from devnet.state import State

_DEFAULT_PRICE_SUN = 100
_WHOLE_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Who takes part in paying for a call.

    Attributes:
        caller: The owner of the transaction.
        origin: The contract's owner, or None for a contract that has none.
        caller_percent: The contract's consume_user_resource_percent.
        origin_limit: The contract's origin_energy_limit.
    """

    caller: bytes
    origin: bytes | None = None
    caller_percent: int = _WHOLE_PERCENT
    origin_limit: int = 0

    @property
    def sharing_origin(self) -> bytes | None:
        """The contract's owner where he pays a part: he is somebody else and offers a share."""
        shares = self.origin != self.caller and self.caller_percent < _WHOLE_PERCENT
        return self.origin if shares else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The energy that a call may use.

    Attributes:
        caller: All that the caller can pay for, stake and burned TRX together.
        caller_staked: His staked energy that is left; the fee limit may allow less.
        origin: What the contract's owner adds.
        origin_staked: The owner's staked energy that is left, up to the contract's limit.
    """

    caller: int
    caller_staked: int
    origin: int = 0
    origin_staked: int = 0

    @property
    def total(self) -> int:
        """The energy at which the call stops."""
        return self.caller + self.origin


def price_sun(state: State) -> int:
    """What one unit of energy costs; a parameter of 0 means the oldest price."""
    return state.parameter("getEnergyFee") or _DEFAULT_PRICE_SUN


def budget(
    state: State, terms: Terms, *, fee_limit_sun: int, call_value_sun: int, moment: Moment
) -> Budget:
    """What a call may use (getTotalEnergyLimitWithFixRatio); an unknown caller has nothing."""
    account = state.account(terms.caller)
    if account is None:
        return Budget(caller=0, caller_staked=0)
    price = price_sun(state)
    staked = limits.energy_left(state, account, moment.slot)
    burnable = max(0, account.balance_sun - call_value_sun) // price
    caller = min(staked + burnable, fee_limit_sun // price)

    origin = _account(state, terms.sharing_origin)
    if origin is None:
        return Budget(caller=caller, caller_staked=staked)
    origin_staked = min(limits.energy_left(state, origin, moment.slot), terms.origin_limit)
    percent = max(0, terms.caller_percent)
    share = caller * (_WHOLE_PERCENT - percent) // percent if percent else origin_staked
    return Budget(
        caller=caller,
        caller_staked=staked,
        origin=min(share, origin_staked),
        origin_staked=origin_staked,
    )


def charge(
    state: State,
    terms: Terms,
    granted: Budget,
    spent: int,
    *,
    succeeded: bool,
    moment: Moment,
    info: TransactionInfo,
) -> None:
    """Let the owner and the caller pay for a finished call (payEnergyBill); fill in the receipt.

    `spent` is in energy points, no more than the budget's total. The node fades the payers'
    usage before a call, and this step is lost with the call's changes unless it succeeded.
    """
    origin_share = 0
    origin = _account(state, terms.sharing_origin)
    if origin is not None:
        percent = _WHOLE_PERCENT - max(0, terms.caller_percent)
        origin_share = min(spent * percent // _WHOLE_PERCENT, granted.origin_staked)
        state.put_account(_used(origin, origin_share, moment, settle=succeeded))

    caller = _account(state, terms.caller)
    if caller is None:
        return
    from_stake = min(spent - origin_share, granted.caller_staked)
    burned_sun = (spent - origin_share - from_stake) * price_sun(state)
    caller = _used(caller, from_stake, moment, settle=succeeded)
    state.put_account(caller.with_balance(-burned_sun))
    state.burn(burned_sun)

    info.fee += burned_sun
    info.receipt.energy_usage = from_stake
    info.receipt.energy_fee = burned_sun
    info.receipt.origin_energy_usage = origin_share
    info.receipt.energy_usage_total = spent


def _used(account: Account, points: int, moment: Moment, *, settle: bool) -> Account:
    usage = resources.consumed(account.energy, 0, moment.slot) if settle else account.energy
    return replace(
        account,
        energy=resources.consumed(usage, points, moment.slot),
        last_operation_ms=moment.head_ms,
    )


def _account(state: State, address: bytes | None) -> Account | None:
    return None if address is None else state.account(address)
