"""The kill switch: who stopped the signing for a wallet or for all, and why (hazard H23)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import Unavailable

ALL: Final = "all"
"""The scope of a stop for every wallet."""


class SigningStopped(Unavailable):
    """The kill switch is on; ``scope`` says for which wallet, ``all`` being every one."""

    code = "LUCID_ERR_9356"
    title = "Signing is stopped"


class StopPlace(StrEnum):
    """Where a stop is kept; any one suffices."""

    MEMORY = "memory"
    FILE = "file"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One stop.

    Attributes:
        id: the wallet, or ``ALL``.
        by: the principal; empty where a file says it.
        at_ms: when.
        lifted: whether it was lifted again; the record stays.
    """

    id: str
    version: int = 0
    reason: str
    by: str
    at_ms: int
    lifted: bool = False
