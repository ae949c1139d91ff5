"""Which engine a service keeps its records in, by its settings; the driver of the other is not loaded."""

import asyncio
from pathlib import Path
from typing import Final

from shared.config import ServiceSettings, read_secret
from shared.storage.mongo.options import MongoOptions
from shared.storage.port import Storage
from shared.storage.schema import Schema, Stamp
from shared.storage.sqlite import SqliteStorage

PASSWORD: Final = "mongodb.password"  # noqa: S105 - the name of a file
"""The file among a service's secrets that holds its password, where there is one."""


async def open_storage(
    settings: ServiceSettings, service: str, schema: Schema, stamp: Stamp
) -> Storage:
    """Open a service's database, in MongoDB if a server is set, else in its file.

    Raises:
        ConfigurationMissing: a password file is missing or open to others.
        StorageError: the database cannot be used.
    """
    path = settings.database_path(service)
    options = await mongo_options(settings, service)
    if options is None:
        return await SqliteStorage.open(path, schema, stamp)
    from shared.storage.mongo.engine import MongoStorage  # noqa: PLC0415 - 20 MB that others spare

    await asyncio.to_thread(path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
    return await MongoStorage.open(options, schema, stamp, copies=path.parent)


async def mongo_options(settings: ServiceSettings, service: str) -> MongoOptions | None:
    """Return how a service reaches its replica set; None when it keeps its records in a file.

    Raises:
        ConfigurationMissing: a password file is missing or open to others.
    """
    if settings.mongodb_url is None:
        return None
    secret = await asyncio.to_thread(_password, settings, service)
    user = settings.mongodb_user
    if secret is not None and user is None:
        user = service
    return MongoOptions(
        url=settings.mongodb_url.get_secret_value(),
        database=settings.mongodb_database,
        user=user,
        password=secret,
        ca_file=settings.mongodb_ca_file,
        certificate_file=settings.mongodb_certificate_file,
        selection_timeout_s=settings.mongodb_selection_timeout_s,
        connect_timeout_s=settings.mongodb_connect_timeout_s,
        socket_timeout_s=settings.mongodb_socket_timeout_s,
        deadline_s=settings.mongodb_deadline_s,
        pool_size=settings.mongodb_pool_connections,
        feed_poll_ms=settings.mongodb_feed_poll_ms,
    )


def _password(settings: ServiceSettings, service: str) -> str | None:
    path: Path | None = settings.mongodb_password_file
    if path is None:
        path = settings.secrets_path(service) / PASSWORD
        if not path.exists():
            return None
    secret = read_secret(path, purpose=f"{service}'s password for MongoDB")
    return secret.decode().strip()
