"""What has struck, in order, so that a run that failed can be told and played again."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT_STRIKES = 10_000
PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One strike.

    Attributes:
        seq: Counts up from 1; gaps at the front are strikes that are no longer kept.
        at_ms: Chain time.
        scenario: Its name, or `fault.` and the kind of a fault.
        cause: The id under which it, or the mixture that it is a part of, was armed.
        node: The number of the node, None for the whole chain.
        path: Of the request, if it struck one.
        head: The height of the chain.
        note: What there is to say besides.
    """

    seq: int
    at_ms: int
    scenario: str
    cause: int | None
    node: int | None
    path: str | None
    head: int
    note: str

    def shown(self) -> dict[str, Any]:
        """The strike as JSON."""
        return asdict(self)


class StrikeLog:
    """The latest strikes."""

    def __init__(self) -> None:
        self._strikes: deque[Strike] = deque(maxlen=KEPT_STRIKES)
        self._seq = 0

    def add(
        self,
        *,
        at_ms: int,
        scenario: str,
        head: int,
        cause: int | None = None,
        node: int | None = None,
        path: str | None = None,
        note: str = "",
    ) -> None:
        """Write one strike down."""
        self._seq += 1
        strike = Strike(
            seq=self._seq,
            at_ms=at_ms,
            scenario=scenario,
            cause=cause,
            node=node,
            path=path,
            head=head,
            note=note,
        )
        self._strikes.append(strike)

    def after(self, seq: int, limit: int = PAGE_MAX) -> list[Strike]:
        """The strikes behind a number, oldest first."""
        return [each for each in self._strikes if each.seq > seq][:limit]

    def clear(self) -> None:
        """Forget all of them and count from 1 again."""
        self._strikes.clear()
        self._seq = 0
