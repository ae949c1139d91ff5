"""What each service may use in the MongoDB database that all of them share, made from their schemas.

MongoDB grants rights on a collection by its exact name, so the names are written down in
``compose/mongodb-roles.json``, from which ``compose/mongodb-setup.js`` makes a role for each service.
"""

import json
from typing import Any, Final

from services.engines import schema_of
from shared.config import SERVICES
from shared.storage import Schema
from shared.storage.mongo.names import Names

ACTIONS: Final = (
    *("find", "insert", "update", "remove"),
    *("createCollection", "collMod", "createIndex", "dropIndex", "listIndexes"),
)
"""What a service may do with its own collections: everything but to drop, rename or convert them.

https://www.mongodb.com/docs/manual/reference/privilege-actions/
"""


def collections_of(schema: Schema) -> list[str]:
    """Return the name of every MongoDB collection that a service uses, sorted."""
    names = Names(schema.service)
    used = [names.engine, *(names.feed(feed.name) for feed in schema.feeds)]
    return sorted([*used, *(names.collection(each.name) for each in schema.collections)])


def roles() -> dict[str, Any]:
    """Return the actions, and for each service the collections on which its role allows them."""
    collections = {service: collections_of(schema_of(service)) for service in SERVICES}
    return {"actions": list(ACTIONS), "collections": collections}


def main() -> int:
    """Print ``compose/mongodb-roles.json``; returns the exit status."""
    print(json.dumps(roles(), indent=2))
    return 0
