"""How often the passphrase may be tried: a pause that doubles, and at last a lock-out."""

from dataclasses import dataclass, replace
from typing import Final

from shared.errors import Conflict, Forbidden, TooManyRequests

TRIES_ID: Final = "tries"
FREE_TRIES: Final = 2
"""Failures that cost no pause: fingers slip."""

FIRST_PAUSE_MS: Final = 1_000
LOCK_OUT_AFTER: Final = 10
LOCK_OUT_MS: Final = 3_600_000
MIN_PASSPHRASE_CHARACTERS: Final = 12


class TriedTooOften(TooManyRequests):
    """The passphrase was tried wrongly too often; the right one is not looked at either yet."""

    code = "LUCID_ERR_9341"
    title = "Tried too often"


class WrongPassphrase(Forbidden):
    """It is another passphrase."""

    code = "LUCID_ERR_9342"
    title = "Wrong passphrase"


class WeakPassphrase(Conflict):
    """The passphrase is too short."""

    code = "LUCID_ERR_9343"
    title = "Weak passphrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Tries since the last success, each counted before it is made.

    Attributes:
        failed: how many.
        not_before_ms: when the next may be made.
    """

    id: str = TRIES_ID
    version: int = 0
    failed: int = 0
    not_before_ms: int = 0

    def one_more(self, *, now_ms: int) -> "Tries":
        """Return this with a try counted; raises TriedTooOften."""
        wait_ms = self.not_before_ms - now_ms
        if 0 < wait_ms <= pause_ms(self.failed):  # longer ones come of a clock that was set back
            seconds = -(-wait_ms // 1_000)
            raise TriedTooOften(
                f"the passphrase was wrong {self.failed} times: wait {seconds} s",
                retry_after_s=seconds,
                failed=self.failed,
            )
        failed = self.failed + 1
        return replace(self, failed=failed, not_before_ms=now_ms + pause_ms(failed))

    def cleared(self) -> "Tries":
        """Return this after a success."""
        return replace(self, failed=0, not_before_ms=0)


def pause_ms(failed: int) -> int:
    """Return the pause after so many failures in a row, in milliseconds."""
    if failed <= FREE_TRIES:
        return 0
    if failed >= LOCK_OUT_AFTER:
        return LOCK_OUT_MS
    return FIRST_PAUSE_MS << (failed - FREE_TRIES - 1)


def require_strong(passphrase: bytearray) -> None:
    """Insist on a length; raises WeakPassphrase."""
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise WeakPassphrase(f"a passphrase has at least {MIN_PASSPHRASE_CHARACTERS} characters")
