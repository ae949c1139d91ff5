"""How a devnet is to be run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NODE_PORT = 18_090
CONTROL_PORT = 18_099
MAX_SPEED = 1_000
MAX_FOLLOWERS = CONTROL_PORT - NODE_PORT - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A further node on the same chain, which makes no blocks.

    Attributes:
        port: Where it listens; 0 lets the system choose.
        lag_blocks: How many blocks it is behind at first.
        gossips: False if transactions do not travel between it and the other nodes.
    """

    port: int = 0
    lag_blocks: int = 0
    gossips: bool = True


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
        followers: Further nodes on the same chain, each on a port of its own.
    """

    host: str = "127.0.0.1"
    port: int = NODE_PORT
    control_port: int = CONTROL_PORT
    speed: float = 1.0
    behind_s: int = 0
    state_path: Path | None = None
    followers: tuple[Follower, ...] = ()
