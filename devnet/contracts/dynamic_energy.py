"""The energy factor of each contract (java-tron's ContractStateCapsule, TIP-491).

A contract that used more than a threshold in a maintenance cycle becomes dearer in the next, an
idle one cheaper again. It is worked out when somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from devnet import rewards
from devnet.contracts.energy_cost import FACTOR_UNIT
from devnet.state import State

_STATE = "contract_state"
_TRAFFIC = "contract_traffic"
_DECREASE_DIVISION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicEnergy:
    """A contract's figures in the cycle in which they were last changed.

    Attributes:
        usage: The energy used in that cycle, without penalty.
        factor: What is added to every operation, in ten-thousandths.
    """

    cycle: int
    usage: int = 0
    factor: int = 0


def figures(state: State, contract: bytes) -> DynamicEnergy:
    """A contract's figures in the running cycle."""
    now = rewards.cycle(state).number
    kept: DynamicEnergy | None = state.get((_STATE, contract))
    if kept is None:
        return DynamicEnergy(cycle=now)
    if kept.cycle >= now:
        return kept
    return _caught_up(state, kept, now, others=traffic(state, contract))


def factor(state: State, contract: bytes) -> int:
    """What an operation costs in ten-thousandths of its price."""
    if not state.parameter("getAllowDynamicEnergy"):
        return FACTOR_UNIT
    return FACTOR_UNIT + figures(state, contract).factor


def count(state: State, contract: bytes, points: int) -> None:
    """Remember energy, without penalty, that a successful call used."""
    if state.parameter("getAllowDynamicEnergy"):
        now = figures(state, contract)
        state.put((_STATE, contract), replace(now, usage=now.usage + points))


def set_factor(state: State, contract: bytes, value: int) -> None:
    """Set the factor of the running cycle."""
    state.put((_STATE, contract), replace(figures(state, contract), factor=value))


def traffic(state: State, contract: bytes) -> int:
    """The energy that others are supposed to use with the contract in every cycle."""
    return state.integer(_TRAFFIC, contract)


def set_traffic(state: State, contract: bytes, points: int) -> None:
    """Say how much energy others are supposed to use with the contract in every cycle."""
    state.put((_STATE, contract), figures(state, contract))
    state.put_integer(_TRAFFIC, contract, points)


def _caught_up(state: State, kept: DynamicEnergy, now: int, *, others: int) -> DynamicEnergy:
    """Let past cycles make the contract dearer where it was busy, then cheaper where it was idle."""
    threshold = state.parameter("getDynamicEnergyThreshold")
    increase = state.parameter("getDynamicEnergyIncreaseFactor")
    most = state.parameter("getDynamicEnergyMaxFactor")
    last, value = kept.cycle, kept.factor
    if kept.usage + others > threshold:
        value, last = _dearer(value, increase, most), last + 1
    while last < now and others > threshold:
        risen = _dearer(value, increase, most)
        value, last = risen, now if risen == value else last + 1
    if last < now:
        decrease = 1 - increase / _DECREASE_DIVISION / FACTOR_UNIT
        value = max(0, int((value + FACTOR_UNIT) * decrease ** (now - last)) - FACTOR_UNIT)
    return DynamicEnergy(cycle=now, factor=value)


def _dearer(value: int, increase: int, most: int) -> int:
    return min(most, int((value + FACTOR_UNIT) * (1 + increase / FACTOR_UNIT)) - FACTOR_UNIT)
