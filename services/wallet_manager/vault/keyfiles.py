"""The files that master keys lie in: the one in use, the next one, and those that were replaced.

A replaced key is kept as ``master.key.old-<generation>``: a backup from before opens with it. Its
owner removes it once no such backup is left.
"""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from services.wallet_manager.vault.sealing import wipe
from services.wallet_manager.vault.wrapping import MASTER_KEY_BYTES, parse_master_key
from shared.config import ConfigurationMissing, read_secret

PURPOSE: Final = "the master key"
MAX_OLD_KEYS: Final = 1_000


class KeyFiles:
    """Reads and replaces master keys in one folder; every step survives a power cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_name(path.name + ".next")

    def current(self) -> bytearray:
        """Read the key in use; raises ConfigurationMissing."""
        return self._read(self._path)

    def every(self) -> Iterator[bytearray]:
        """Read every key that is there, the likeliest first; raises ConfigurationMissing."""
        old = sorted(self._path.parent.glob(f"{self._path.name}.old-*"), reverse=True)
        for path in (self._path, self._next, *old[:MAX_OLD_KEYS]):
            if path.exists():
                yield self._read(path)

    def write_next(self, key: bytearray) -> None:
        """Keep a key that is to be the next one, in place of one that came to nothing.

        Raises:
            ConfigurationMissing: the folder takes no file.
        """
        self._write(self._next, key)

    def found(self) -> None:
        """Draw the first key, if there is none; raises ConfigurationMissing."""
        if any(path.exists() for path in (self._path, self._next)):
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = bytearray(os.urandom(MASTER_KEY_BYTES))
        self._write(self._path, key)
        wipe(key)

    def take_next(self, new: bytearray, *, old: bytearray, replaced: int) -> None:
        """Make the next key the one in use, if it is this one; doing so twice changes nothing."""
        if not self._next.exists() or self._read(self._next) != new:
            return
        self.retire(old, replaced=replaced)
        if self._path.exists():  # the key of another history of the database: it is kept as well
            self._path.rename(self._free_name(replaced))
        self._next.rename(self._path)
        self._sync()

    def retire(self, old: bytearray, *, replaced: int) -> None:
        """Put the key in use among the old ones, if it is this one; twice changes nothing."""
        if self._path.exists() and self._read(self._path) == old:
            self._path.rename(self._free_name(replaced))
            self._sync()

    def _free_name(self, replaced: int) -> Path:
        names = (f"{self._path.name}.old-{replaced}{'x' * again}" for again in count())
        places = (self._path.with_name(name) for name in names)
        return next(place for place in places if not place.exists())

    def _write(self, path: Path, key: bytearray) -> None:
        draft = path.with_name(path.name + ".draft")
        try:
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.hex().encode())
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        except OSError as error:
            told = f"no key file can be written to {path.parent}: {error.strerror}"
            raise ConfigurationMissing(told) from None
        self._sync()

    def _read(self, path: Path) -> bytearray:
        if path.is_symlink():
            raise ConfigurationMissing(
                f"{path} is a symbolic link, which a re-key would replace: "
                "name the file itself in MASTER_KEY_FILE"
            )
        return bytearray(parse_master_key(read_secret(path, purpose=PURPOSE)))

    def _sync(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # a name that a power cut forgets is a key that is gone
        finally:
            os.close(folder)
