"""What a database says of itself: whose it is, for what, and in which release's form."""

from typing import Final

from shared.storage.errors import (
    SchemaTooNew,
    WrongContract,
    WrongNetwork,
    WrongService,
)
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.documents import Stored
from shared.storage.mongo.indexes import ID
from shared.storage.mongo.names import STAMP
from shared.storage.schema import Schema, Stamp

WITHHELD: Final = "withheld"
"""The key of the mark that keeps services from opening a database."""

SCHEMA_VERSION: Final = "schema_version"
INCARNATION: Final = "incarnation"


async def read_stamp(connection: Connection) -> Stored | None:
    """Return what the database says of itself; None before its first time."""
    with connection.noted():
        return await connection.engine.find_one({ID: STAMP})


def check_stamp(place: str, found: Stored, schema: Schema, stamp: Stamp) -> None:
    """Make sure that a database is for this service, network and contract, and no newer.

    Raises:
        WrongStamp: it is not.
    """
    for error, key, expected in (
        (WrongService, "service", schema.service),
        (WrongNetwork, "network", stamp.network),
        (WrongContract, "contract", stamp.contract),
    ):
        if found.get(key) != expected:
            raise error(place, expected=expected, found=str(found.get(key)))
    if int(found[SCHEMA_VERSION]) > schema.version:
        told = str(found[SCHEMA_VERSION])
        raise SchemaTooNew(place, expected=str(schema.version), found=told)
