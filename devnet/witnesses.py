"""The witnesses and how well they did their turns (java-tron's WitnessStore, StatisticManager).

The 27 witnesses of the genesis stay the active ones in their order of turns: on mainnet the votes
of each maintenance decide, but here nobody can run for it and nobody holds enough to outvote.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from devnet.state import State

_WITNESS = "witness"
_TURNS = ("witness_turns", b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What a witness did so far; slots are counted from genesis."""

    produced: int = 0
    missed: int = 0
    latest_block: int = 0
    latest_slot: int = 0


def turns(state: State) -> tuple[bytes, ...]:
    """The witnesses' addresses; slot n belongs to the one at n modulo their number."""
    addresses: tuple[bytes, ...] = state.get(_TURNS)
    return addresses


def set_turns(state: State, addresses: tuple[bytes, ...]) -> None:
    """Write down who produces blocks, at genesis."""
    state.put(_TURNS, addresses)


def witness(state: State, address: bytes) -> Witness:
    """What one witness did."""
    return state.get((_WITNESS, address)) or Witness()


def count_block(
    state: State, address: bytes, *, number: int, slot: int, slots_missed: range
) -> None:
    """Count a block for its witness, and the empty slots before it for theirs."""
    before = witness(state, address)
    after = replace(before, produced=before.produced + 1, latest_block=number, latest_slot=slot)
    state.put((_WITNESS, address), after)
    if slots_missed:
        _count_missed(state, slots_missed)


def _count_missed(state: State, slots: range) -> None:
    addresses = turns(state)
    rounds, rest = divmod(len(slots), len(addresses))
    late = {addresses[slot % len(addresses)] for slot in slots[:rest]}
    for address in addresses if rounds else late:
        missed = rounds + (address in late)
        before = witness(state, address)
        state.put((_WITNESS, address), replace(before, missed=before.missed + missed))
