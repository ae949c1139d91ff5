"""Two states of one chain, at the head and at the solid height, and the blocks between them."""

from __future__ import annotations

from dataclasses import dataclass

from devnet.state import Changes, State


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
        self._unsolid: list[Journal] = []

    @property
    def depth(self) -> int:
        """How many blocks lie between the solid state and the head."""
        return len(self._unsolid)

    def overlay(self) -> State:
        """A fresh layer on top of the head."""
        return State(self.head)

    def apply(self, block: State) -> None:
        """Make a block's changes the new head."""
        before = {key: self.head.get(key) for key in block.changes}
        self._unsolid.append(Journal(after=block.changes, before=before))
        self.head.changes.update(block.changes)

    def undo(self) -> None:
        """Take the head block's changes back."""
        self._write(self.head, self._unsolid.pop().before)

    def solidify(self, count: int) -> None:
        """Let the oldest unsolid blocks become final."""
        for journal in self._unsolid[:count]:
            self._write(self.solid, journal.after)
        del self._unsolid[:count]

    @staticmethod
    def _write(state: State, changes: Changes) -> None:
        for key, value in changes.items():
            if value is None:
                state.changes.pop(key, None)
            else:
                state.changes[key] = value
