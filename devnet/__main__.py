"""Run the devnet: `python -m devnet --state FILE`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from devnet.app import running
from devnet.blocklog import StateFileError
from devnet.genesis import CHAIN_ID, ForeignGenesisError
from devnet.settings import CONTROL_PORT, NODE_PORT, Settings


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    try:
        uvloop.run(_serve(_settings()))
    except (StateFileError, ForeignGenesisError, OSError) as error:
        print(f"devnet: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with running(settings) as devnet:
        head = devnet.devnet.node.chain.head
        print(
            f"devnet ready: node={devnet.node_url} control={devnet.control_url} "
            f"chain_id={CHAIN_ID} head={head.number} speed={settings.speed:g}",
            flush=True,
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, devnet.producing}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if devnet.producing.done():
            devnet.producing.result()


def _settings() -> Settings:
    parser = argparse.ArgumentParser(prog="devnet", description="A TRON node double.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=NODE_PORT, help="the node; 0 chooses one")
    parser.add_argument("--control-port", type=int, default=CONTROL_PORT, help="0 chooses one")
    parser.add_argument("--speed", type=float, default=1.0, help="0 mines by hand only")
    parser.add_argument("--behind", type=int, default=0, help="seconds behind the wall clock")
    parser.add_argument("--state", type=Path, help="keep the blocks in this file")
    given = parser.parse_args()
    if not given.speed >= 0:
        parser.error("--speed must not be negative")
    return Settings(
        host=given.host,
        port=given.port,
        control_port=given.control_port,
        speed=given.speed,
        behind_s=given.behind,
        state_path=given.state,
    )


if __name__ == "__main__":
    sys.exit(main())
