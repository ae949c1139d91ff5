"""What each service may use in the MongoDB database that all of them share, made from their schemas.

MongoDB grants rights on a collection by its exact name, so the names are written down in
``compose/mongodb-roles.json``, from which ``compose/mongodb-setup.js`` makes a role for each service.
"""

import json
from importlib import import_module
from typing import Any, Final

from shared.config import SERVICES, python_name
from shared.storage import Collection, Schema

ACTIONS: Final = (
    *("find", "insert", "update", "remove"),
    *("createCollection", "collMod", "createIndex", "dropIndex", "listIndexes"),
)
"""What a service may do with its own collections: everything but to drop, rename or convert them.

https://www.mongodb.com/docs/manual/reference/privilege-actions/
"""

OWN_BOOKS: Final = ("meta", "feeds", "consumers", "lease_floors", "commits")
"""What the engine keeps for a service besides its records and events."""

SHARED_NAMES: Final = {
    ("payout-router", "payouts"): "payouts",
    ("payout-router", "payout_batches"): "payout_batches",
    ("tron-client", "transactions"): "tron_receipts",
    ("wallet-manager", "wallet_keys"): "wallet_keys",
}
"""Collections that other tools look for under a name without the service's."""


def schema_of(service: str) -> Schema:
    """Return what a service keeps."""
    schema: Schema = import_module(f"services.{python_name(service)}.store").SCHEMA
    return schema


def collections_of(schema: Schema) -> list[str]:
    """Return the name of every MongoDB collection that a service uses, sorted."""
    own = python_name(schema.service)
    names = [f"{own}_{book}" for book in OWN_BOOKS]
    names += [_shared_name(schema.service, collection) for collection in schema.collections]
    names += [f"{own}_feed_{feed.name}" for feed in schema.feeds]
    return sorted(names)


def roles() -> dict[str, Any]:
    """Return the actions, and for each service the collections on which its role allows them."""
    collections = {service: collections_of(schema_of(service)) for service in SERVICES}
    return {"actions": list(ACTIONS), "collections": collections}


def main() -> int:
    """Print ``compose/mongodb-roles.json``; returns the exit status."""
    print(json.dumps(roles(), indent=2))
    return 0


def _shared_name(service: str, collection: Collection[Any]) -> str:
    own = f"{python_name(service)}_{collection.name}"
    return SHARED_NAMES.get((service, collection.name), own)
