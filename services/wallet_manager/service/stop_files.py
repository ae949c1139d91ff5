"""Stops as files, which a person can make and remove with nothing running (hazard H23)."""

from pathlib import Path
from typing import Final

from services.wallet_manager.domain.stops import ALL
from shared.logs import get_logger

log = get_logger(__name__)

STOP_FILE: Final = "stop"
NS_PER_MS: Final = 1_000_000


class StopFiles:
    """The files of one folder: ``stop`` or ``stop-all`` for everything, ``stop-<wallet>`` for one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def says(self, scope: str) -> bool:
        """True when a file stops just this scope, or when that cannot be read."""
        for path in self._paths(scope):
            try:
                path.lstat()
            except FileNotFoundError:
                continue
            except OSError:
                log.exception("stop.file_unreadable", scope=scope)
            return True
        return False

    def scopes(self) -> set[str]:
        """Return the scopes that files are named after."""
        try:
            names = [path.name for path in self._folder.glob(f"{STOP_FILE}-*")]
        except OSError:
            return {ALL}
        return {name.removeprefix(f"{STOP_FILE}-") for name in names}

    def touched_ms(self, scope: str) -> int:
        """Return when the newest file of a scope was made, in Unix milliseconds; 0 without one."""
        return max(map(_touched_ms, self._paths(scope)))

    def make(self, scope: str) -> None:
        """Make the file of a scope; raises OSError."""
        self._paths(scope)[0].touch(0o600)

    def remove(self, scope: str) -> None:
        """Remove every file of a scope; raises OSError."""
        for path in self._paths(scope):
            path.unlink(missing_ok=True)

    def _paths(self, scope: str) -> tuple[Path, ...]:
        named = self._folder / f"{STOP_FILE}-{scope}"
        return (self._folder / STOP_FILE, named) if scope == ALL else (named,)


def _touched_ms(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns // NS_PER_MS
    except OSError:
        return 0
