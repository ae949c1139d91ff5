"""Keeps the memory of this process out of files and out of debuggers."""

import ctypes
import resource
from typing import Final

PR_SET_DUMPABLE: Final = 4
"""prctl(2), Linux."""


def forbid_core_dumps() -> bool:
    """Forbid core dumps and tracing by other processes; True where the kernel does both.

    Where only the limit can be set, as on macOS, no core is written but a debugger can attach.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        refused: int = ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        return False
    return refused == 0
