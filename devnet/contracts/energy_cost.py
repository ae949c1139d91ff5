"""What operations cost (java-tron's EnergyCost), and the stretches of code they stand in.

The penalty of dynamic energy is rounded down for each operation, so that the number of cheap
operations matters, not only what they cost together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

FACTOR_UNIT = 10_000
SLOAD = 50
SSTORE_SET = 20_000
SSTORE_RESET = 5_000
CALL = 40
CALL_WITH_VALUE = 9_000
CALL_NEW_ACCOUNT = 25_000
CODE_BYTE = 200
_LOG = 375
_LOG_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """How many operations of each price a stretch of code executes.

    Attributes:
        hashes: Hashes of two words, as a mapping needs them.
    """

    ones: int = 0
    twos: int = 0
    threes: int = 0
    fives: int = 0
    eights: int = 0
    tens: int = 0
    hashes: int = 0

    def priced(self) -> tuple[tuple[int, int], ...]:
        """Pairs of a price and a count."""
        return (
            (1, self.ones),
            (2, self.twos),
            (3, self.threes),
            (5, self.fives),
            (8, self.eights),
            (10, self.tens),
            (42, self.hashes),
        )


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of a call: all of it, and the part that is the dynamic energy penalty."""

    total: int = 0
    penalty: int = 0


@lru_cache(maxsize=4096)
def of_code(code: Code, factor: int) -> Energy:
    """What a stretch of code costs at a factor, in ten-thousandths."""
    base = sum(price * count for price, count in code.priced())
    total = sum(of_operation(price, factor) * count for price, count in code.priced())
    return Energy(total, total - base)


def of_operation(price: int, factor: int) -> int:
    """What one operation costs at a factor, rounded down."""
    return price * factor // FACTOR_UNIT


def of_log(topics: int, data_bytes: int) -> int:
    """What an event costs before the penalty."""
    return _LOG + _LOG * topics + _LOG_BYTE * data_bytes
