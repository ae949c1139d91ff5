"""What was asked of a node in a day."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Calls of one day, as they are kept through a restart.

    Attributes:
        id: name of the endpoint.
        day: since 1970, UTC.
        calls: all of them, whatever came of them.
    """

    id: str
    version: int = 0
    day: int
    calls: int
