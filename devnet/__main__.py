"""Run the devnet: `python -m devnet --state FILE`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from devnet.address import to_base58
from devnet.app import Running, running
from devnet.blocklog import StateFileError
from devnet.contracts.usdt import USDT_CONTRACT
from devnet.genesis import CHAIN_ID, HOLDERS, ForeignGenesisError
from devnet.lagging import MAX_LAG_BLOCKS
from devnet.settings import (
    CONTROL_PORT,
    MAX_FOLLOWERS,
    MAX_SPEED,
    NODE_PORT,
    Follower,
    Settings,
)

_PORTS = range(0x10000)


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = _parser()
    given = parser.parse_args()
    settings = _settings(parser, given)
    try:
        uvloop.run(_serve(settings, guide=given.guide))
    except (StateFileError, ForeignGenesisError, OSError) as error:
        print(f"devnet: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings, *, guide: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with running(settings) as devnet:
        head = devnet.devnet.node.chain.head
        print(
            f"devnet ready: node={devnet.node_url} control={devnet.control_url} "
            f"chain_id={CHAIN_ID} head={head.number} speed={settings.speed:g}"
            + "".join(f" follower={url}" for url in devnet.follower_urls),
            flush=True,
        )
        if guide:
            print(_guide(devnet), flush=True)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, devnet.producing}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if devnet.producing.done():
            devnet.producing.result()


def _guide(devnet: Running) -> str:
    """Where things are, who has money, and one thing to try."""
    accounts = [
        f"  {holder.key.name:<12} {to_base58(holder.key.address)}  {holder.key.secret.hex()}"
        for holder in HOLDERS
    ]
    order = '{"address": "customer-1", "trx": "100", "usdt": "50"}'
    return "\n".join(
        [
            "",
            f"  node API     {devnet.node_url}/wallet/… and /walletsolidity/…",
            f"  TronGrid v1  {devnet.node_url}/v1/…",
            *(f"  follower     {url}" for url in devnet.follower_urls),
            f"  control      {devnet.control_url}/devnet/…",
            f"  USDT         {USDT_CONTRACT}",
            "",
            "  accounts, with keys that everybody knows; the customers have 10,000 TRX and USDT:",
            *accounts,
            "",
            f"  curl -d '{order}' {devnet.control_url}/devnet/faucet",
            "  what else it can do, and how to break it: devnet/README.md",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devnet",
        description="A TRON node double: a chain of its own with real rules, full-node, solidity "
        "and TronGrid APIs on one port, and a control API on another that gives money, moves time "
        "and breaks things on purpose.",
        epilog="Everything stops on SIGTERM or Ctrl-C. devnet/README.md says what is faithful, "
        "what is not, and lists every control path and scenario.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        default=NODE_PORT,
        help="of the node; 0 lets the system choose (%(default)s)",
    )
    parser.add_argument(
        "--control-port",
        type=_port,
        default=CONTROL_PORT,
        help="of the control API; 0 lets the system choose (%(default)s)",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help=f"chain seconds in a real one, at most {MAX_SPEED}; 0 makes blocks only when told "
        "(%(default)s)",
    )
    parser.add_argument(
        "--behind",
        type=int,
        default=0,
        metavar="SECONDS",
        help="start chain time so far behind the wall clock (%(default)s)",
    )
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="keep the blocks here; in memory if left out"
    )
    parser.add_argument(
        "--followers",
        type=int,
        default=0,
        metavar="NODES",
        help=f"further nodes on the same chain, at most {MAX_FOLLOWERS}, on the ports after the "
        "node's (%(default)s)",
    )
    parser.add_argument(
        "--lag",
        type=int,
        default=0,
        metavar="BLOCKS",
        help=f"how far the followers are behind, at most {MAX_LAG_BLOCKS} (%(default)s)",
    )
    parser.add_argument(
        "--no-gossip",
        action="store_true",
        help="transactions do not travel between the followers and the node",
    )
    parser.add_argument(
        "--guide", action="store_true", help="print where things are, and accounts with their keys"
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if port not in _PORTS:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return port


def _settings(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Settings:
    if not 0 <= given.speed <= MAX_SPEED:
        parser.error(f"--speed must be from 0 to {MAX_SPEED}")
    if not 0 <= given.followers <= MAX_FOLLOWERS:
        parser.error(f"--followers must be from 0 to {MAX_FOLLOWERS}")
    if not 0 <= given.lag <= MAX_LAG_BLOCKS:
        parser.error(f"--lag must be from 0 to {MAX_LAG_BLOCKS}")
    return Settings(
        host=given.host,
        port=given.port,
        control_port=given.control_port,
        speed=given.speed,
        behind_s=given.behind,
        state_path=given.state,
        followers=tuple(
            Follower(
                port=given.port + number if given.port else 0,
                lag_blocks=given.lag,
                gossips=not given.no_gossip,
            )
            for number in range(1, given.followers + 1)
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
