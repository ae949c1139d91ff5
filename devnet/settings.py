"""How a devnet is to be run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NODE_PORT = 18_090
CONTROL_PORT = 18_099


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to listen, how fast time runs, and where the blocks are kept.

    Attributes:
        port: Of the node; 0 lets the system choose.
        control_port: Of the control API; 0 lets the system choose.
        speed: Chain seconds for each real second; 0 is by hand.
        behind_s: Real seconds by which chain time starts behind the wall clock, so that blocks
            mined by hand do not run ahead of clients that look at their own clock.
        state_path: The file of blocks; None keeps nothing beyond the process.
    """

    host: str = "127.0.0.1"
    port: int = NODE_PORT
    control_port: int = CONTROL_PORT
    speed: float = 1.0
    behind_s: int = 0
    state_path: Path | None = None
