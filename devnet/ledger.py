"""Two states of one chain, at the head and at the solid height, and the blocks between them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from devnet.state import Changes, State


class States(Protocol):
    """What is true at a chain's head and at its solid height."""

    @property
    def head(self) -> State:
        """After the newest block."""

    @property
    def solid(self) -> State:
        """After the newest solid block."""

    def overlay(self) -> State:
        """A fresh layer on top of the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePair:
    """A state at a head and one at a solid height."""

    head: State
    solid: State

    def overlay(self) -> State:
        """A fresh layer on top of the head."""
        return State(self.head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What one block changed: the values it set and the values that were there before."""

    after: Changes
    before: Changes


class Ledger:
    """Applies blocks to the head, undoes them, and lets the solid state follow.

    Every operation costs what the blocks in question changed, never the size of the state.
    """

    def __init__(self, genesis: Changes) -> None:
        self.head = State()
        self.solid = State()
        self.head.changes.update(genesis)
        self.solid.changes.update(genesis)
        self._unsolid: deque[Journal] = deque()
        self._history: deque[Changes] = deque()

    @property
    def depth(self) -> int:
        """How many blocks lie between the solid state and the head."""
        return len(self._unsolid)

    def overlay(self) -> State:
        """A fresh layer on top of the head."""
        return State(self.head)

    def past(self, back: int) -> State:
        """The state a number of blocks below the head, as a layer over the solid state.

        It is good until the next block is solid.

        Raises:
            LookupError: Nobody remembers it.
        """
        above_solid = self.depth - back
        if above_solid < -len(self._history):
            raise LookupError(f"the state of {back} blocks ago is forgotten")
        state = State(self.solid)
        for journal, _ in zip(self._unsolid, range(above_solid), strict=False):
            state.changes.update(journal.after)
        for before, _ in zip(reversed(self._history), range(-above_solid), strict=False):
            state.changes.update(before)
        return state

    def branched(self, back: int) -> Ledger:
        """The same states a number of unsolid blocks below the head, to go another way from.

        This copies both states.

        Raises:
            LookupError: So many blocks are not unsolid.
        """
        if back > self.depth:
            raise LookupError(f"{back} blocks below the head everything is solid")
        other = Ledger(self.solid.changes)
        for journal, _ in zip(self._unsolid, range(self.depth - back), strict=False):
            other.apply(journal.after)
        return other

    def apply(self, changes: Changes) -> None:
        """Make a block's changes the new head."""
        before = {key: self.head.get(key) for key in changes}
        self._unsolid.append(Journal(after=changes, before=before))
        _write(self.head, changes)

    def undo(self) -> None:
        """Take the head block's changes back."""
        _write(self.head, self._unsolid.pop().before)

    def solidify(self, count: int) -> None:
        """Let the oldest unsolid blocks become final."""
        for _ in range(count):
            journal = self._unsolid.popleft()
            _write(self.solid, journal.after)
            self._history.append(journal.before)

    def forget(self, keep: int) -> None:
        """Remember no more than so many blocks below the solid height."""
        while len(self._history) > keep:
            self._history.popleft()


def _write(state: State, changes: Changes) -> None:
    for key, value in changes.items():
        if value is None:
            state.changes.pop(key, None)
        else:
            state.changes[key] = value
