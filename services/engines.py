"""How the databases of the services are opened by the operator's commands, whatever the engine."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from tqdm import tqdm

from shared.config import ServiceSettings, python_name
from shared.storage import Schema, Stamp, StorageLocked
from shared.storage.mongo.options import MongoOptions
from shared.storage.opening import mongo_options
from shared.storage.sqlite.portable import SqlitePortable
from shared.storage.transfer import Portable, TransferRefused
from shared.tron.networks import FACTS

LOOK_AGAIN_S: Final = 5

Opener = Callable[[ServiceSettings, str], Awaitable[Portable]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How a service's database of one engine is opened for carrying.

    Attributes:
        existing: opens the one that is there; raises TransferRefused when there is none.
        made: opens it, and makes an empty one if there is none.
    """

    existing: Opener
    made: Opener


async def existing_sqlite(settings: ServiceSettings, service: str) -> Portable:
    """Open a service's embedded database."""
    path = settings.database_path(service)
    if not await asyncio.to_thread(path.is_file):
        raise TransferRefused(f"{service} has no database at {path}")
    return await made_sqlite(settings, service)


async def made_sqlite(settings: ServiceSettings, service: str) -> Portable:
    """Open a service's embedded database, or an empty one."""
    path = settings.database_path(service)
    return await SqlitePortable.open(path, schema_of(service), stamp_for(settings))


async def existing_mongodb(settings: ServiceSettings, service: str) -> Portable:
    """Open a service's part of the MongoDB database that the settings name."""
    from shared.storage.mongo.portable import MongoPortable  # noqa: PLC0415 - 20 MB that others spare

    options = await _mongo_options(settings, service)
    if not await MongoPortable.exists(options, schema_of(service)):
        raise TransferRefused(f"{service} has nothing in {options.place}")
    return await made_mongodb(settings, service)


async def made_mongodb(settings: ServiceSettings, service: str) -> Portable:
    """Open a service's part of the MongoDB database that the settings name, or an empty one.

    One that a process had alone which was killed is free once that process counts as dead.
    """
    from shared.storage.mongo.portable import MongoPortable  # noqa: PLC0415 - 20 MB that others spare
    from shared.storage.mongo.presence import DEAD_AFTER_S  # noqa: PLC0415 - likewise

    options = await _mongo_options(settings, service)
    copies = settings.database_path(service).parent
    await asyncio.to_thread(copies.mkdir, mode=0o700, parents=True, exist_ok=True)
    deadline_s = time.monotonic() + DEAD_AFTER_S + LOOK_AGAIN_S
    while True:
        try:
            return await MongoPortable.open(
                options, schema_of(service), stamp_for(settings), copies=copies
            )
        except StorageLocked:
            if time.monotonic() >= deadline_s:
                raise
            tqdm.write(f"{service}: waiting for whoever had {options.place} last", file=sys.stderr)
            await asyncio.sleep(LOOK_AGAIN_S)


async def _mongo_options(settings: ServiceSettings, service: str) -> MongoOptions:
    options = await mongo_options(settings, service)
    if options is None:
        raise TransferRefused("MONGODB_URL says no server")
    return options


SQLITE: Final = "sqlite"
MONGODB: Final = "mongodb"
ENGINES: Final[Mapping[str, Engine]] = {
    SQLITE: Engine(existing=existing_sqlite, made=made_sqlite),
    MONGODB: Engine(existing=existing_mongodb, made=made_mongodb),
}


def schema_of(service: str) -> Schema:
    """Return what a service keeps."""
    schema: Schema = import_module(f"services.{python_name(service)}.store").SCHEMA
    return schema


def stamp_for(settings: ServiceSettings) -> Stamp:
    """Return what the databases of this installation are for."""
    contract = settings.usdt_contract_address or FACTS[settings.tron_network].usdt_contract
    return Stamp(network=settings.tron_network.value, contract=contract)
