"""From which block on a chain can still change (java-tron's DposService.updateSolidBlock)."""

from __future__ import annotations

from devnet.state import State
from devnet.witnesses import turns, witness

_SOLID_PERCENT = 30


def solid_number(state: State, before: int) -> int:
    """The 9th lowest of the 27 witnesses' latest blocks, never lower than it was before.

    Right after a reorganisation that block may be lower than what is solid already.
    """
    latest = sorted(witness(state, address).latest_block for address in turns(state))
    return max(before, latest[len(latest) * _SOLID_PERCENT // 100])
