"""Who works from a folder: whoever comes next knows that its predecessor is gone.

A transaction that a killed process left open keeps others from what it wrote until the server tires of
it, a minute by default. The next process from the same folder finds there whose it was, and ends it.
"""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Final, Self

NAME: Final = "mongodb.seat"
MAX_BYTES: Final = 4_096


class Seat:
    """A file that is locked by the process that works from its folder; ``take`` makes one.

    Attributes:
        predecessor: what the last process wrote down and did not remove, by name.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.predecessor = self._read()

    @classmethod
    def take(cls, folder: Path) -> Self | None:
        """Take the seat; None while another process, or another engine of this one, has it."""
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def write(self, told: dict[str, str]) -> None:
        """Write down who sits here; a process that is killed right after has written it."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(told).encode(), 0)

    def leave(self) -> None:
        """Remove what was written down and let the next one sit."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _read(self) -> dict[str, str]:
        with contextlib.suppress(ValueError):
            told = json.loads(os.pread(self._descriptor, MAX_BYTES, 0))
            if isinstance(told, dict):
                return {str(key): str(value) for key, value in told.items()}
        return {}
