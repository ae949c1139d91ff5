"""Move stopped services' databases from one engine to the other, whole and read back.

The history goes on in the copy: feeds, cursors and leases stay as they are. Afterwards the source does
not open any more, because two databases of one service would each pay what the other has paid.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from pydantic import ValidationError
from tqdm import tqdm

from services.backup import check_stopped
from services.engines import ENGINES
from services.wallet_manager.settings import Settings
from shared.config import SERVICES, ConfigurationMissing, explain
from shared.storage import StorageError
from shared.storage.transfer import (
    PASSES,
    Carried,
    Portable,
    abandon,
    discard,
    move,
)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the command; returns the exit status."""
    asked = _arguments(arguments)
    try:
        settings = Settings()
        services = asked.services or list(SERVICES)
        check_stopped(settings, services)
        for service in services:
            print(asyncio.run(_work(settings, service, asked)))
    except ValidationError as error:
        print(f"copy: {explain(error)}", file=sys.stderr)
        return 2
    except (ConfigurationMissing, StorageError, OSError) as error:
        print(f"copy: {error}", file=sys.stderr)
        return 1
    return 0


async def carry(settings: Settings, service: str, *, to: str) -> list[Carried]:
    """Move one service's database into an engine; goes on with its own unfinished copy.

    Raises:
        StorageLocked: the service is running.
        TransferRefused: there is nothing to move, or the target holds something.
        VerificationFailed: what was read back differs.
    """
    async with both(settings, service, to=to) as (source, target):
        total = PASSES * (await source.contents()).count
        with tqdm(desc=f"{service:<16}", total=total, disable=None) as bar:
            return await move(source, target, progress=partial(_advance, bar))


@asynccontextmanager
async def both(
    settings: Settings, service: str, *, to: str
) -> AsyncIterator[tuple[Portable, Portable]]:
    """Hand out the databases that a service is moved from and to."""
    source_name = next(name for name in ENGINES if name != to)
    async with AsyncExitStack() as stack:
        source = await ENGINES[source_name].existing(settings, service)
        stack.push_async_callback(source.close)
        target = await ENGINES[to].made(settings, service)
        stack.push_async_callback(target.close)
        yield source, target


async def _work(settings: Settings, service: str, asked: argparse.Namespace) -> str:
    if asked.abandon:
        async with both(settings, service, to=asked.to) as (source, target):
            await abandon(source, target)
        return f"{service}: the copy is given up, {source.place} opens again"
    if asked.afresh:
        async with both(settings, service, to=asked.to) as (_, target):
            await discard(target)
    return _told(service, await carry(settings, service, to=asked.to))


def _advance(bar: "tqdm[Any]", count: int) -> None:
    bar.update(count)


def _told(service: str, carried: Sequence[Carried]) -> str:
    lines = [
        f"{service}: {sum(each.count for each in carried)} records and events, the same on both"
    ]
    lines += [f"  {each.part:<28} {each.count:>10}  {each.sha256}" for each in carried]
    return "\n".join(lines)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services copy",
        description="Move databases from one engine to the other. The services must be stopped.",
    )
    parser.add_argument("--to", required=True, choices=sorted(ENGINES), help="where to")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--afresh", action="store_true", help="empty what an earlier copy left, and begin anew"
    )
    instead.add_argument(
        "--abandon", action="store_true", help="give up an unfinished copy: the source opens again"
    )
    parser.add_argument(
        "services", nargs="*", choices=[*SERVICES, []], metavar="SERVICE", help="default: all six"
    )
    return parser.parse_args(arguments)
