"""How much bandwidth and energy an account has, and how much of it is in use."""

from __future__ import annotations

from devnet import resources
from devnet.accounts import Account
from devnet.state import ENERGY_WEIGHT, NET_WEIGHT, State


def net_limit(state: State, account: Account) -> int:
    """Bandwidth from stake, its own and what is lent to it."""
    return net_of_stake(state, account.all_frozen_net_sun)


def energy_limit(state: State, account: Account) -> int:
    """Energy from stake, its own and what is lent to it."""
    return energy_of_stake(state, account.all_frozen_energy_sun)


def net_of_stake(state: State, staked_sun: int) -> int:
    """The bandwidth that a stake is worth."""
    return resources.limit(
        staked_sun,
        total_limit=state.parameter("getTotalNetLimit"),
        total_weight=state.integer(NET_WEIGHT),
    )


def energy_of_stake(state: State, staked_sun: int) -> int:
    """The energy that a stake is worth."""
    return resources.limit(
        staked_sun,
        total_limit=state.parameter("getTotalEnergyCurrentLimit"),
        total_weight=state.integer(ENERGY_WEIGHT),
    )


def net_left(state: State, account: Account, slot: int) -> int:
    """Staked bandwidth not in use at a slot; below 0 after stake was taken away."""
    return net_limit(state, account) - resources.remaining(account.net, slot)


def free_net_left(state: State, account: Account, slot: int) -> int:
    """Free bandwidth not in use at a slot."""
    return state.parameter("getFreeNetLimit") - resources.remaining(account.free_net, slot)


def energy_left(state: State, account: Account, slot: int) -> int:
    """Staked energy not in use at a slot, never below 0."""
    return max(0, energy_limit(state, account) - resources.remaining(account.energy, slot))
