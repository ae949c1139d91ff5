"""Reads of one collection: by id, by unique key, by values, by page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from pymongo.asynchronous.collection import AsyncCollection

from shared.storage.errors import LimitExceeded
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import MongoDocuments, Stored
from shared.storage.mongo.indexes import BSON_TYPES, ID, Condition, Specification, bson, stored
from shared.storage.port import MAX_ROWS
from shared.storage.schema import R, kinds
from shared.storage.selection import Selection
from shared.storage.values import Value, plain


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """A selection as a part of its collection.

    Attributes:
        documents: how its records are stored.
        selection: which of them, in which order.
    """

    documents: MongoDocuments[R]
    selection: Selection[R]

    @property
    def listing(self) -> Specification:
        """The index that must serve the selection."""
        return self.documents.access(self.selection.index.name).listing

    def order(self) -> list[str]:
        """Return the keys that order the documents."""
        return [stored(field) for field in self.selection.order()]

    def terms(self) -> list[Condition]:
        """Return the conditions that every document meets, the index's own among them."""
        selection = self.selection
        terms = [{field: how} for field, how in self.listing.partial.items()]
        for field, value in zip(selection.index.fields, selection.equals, strict=False):
            terms.append({stored(field): bson(plain(value, field))})
        if selection.at_least is not None:
            terms.append(self.beyond(self.order()[0], "$gte", selection.at_least))
        if selection.at_most is not None:
            terms.append(self.beyond(self.order()[0], "$lte", selection.at_most))
        return terms

    def beyond(self, field: str, sign: str, bound: str | int) -> Condition:
        """Return the condition of a bound; text is larger than any number, and null met by none."""
        value = plain(bound, "bound")
        term: Condition = {field: {sign: bson(value)}}
        others = {str, int} - {type(value)}
        (other,) = others
        name = "id" if field == ID else field
        reaches = (other is str) == (sign in {"$gt", "$gte"})
        if reaches and other in kinds(self.documents.collection.record, name):
            return {"$or": [term, {field: {"$type": BSON_TYPES[other]}}]}
        return term

    def sort(self, order: Sequence[str], *, descending: bool) -> list[tuple[str, int]]:
        """Return the order as far as the index has it: nothing ties beyond a unique one's keys."""
        direction = -1 if descending else 1
        return [(field, direction) for field in order if field in self.listing.fields]


def together(terms: Sequence[Condition]) -> Condition:
    """Join conditions."""
    return {"$and": list(terms)} if terms else {}


def collection_of(
    connection: Connection, documents: MongoDocuments[Any]
) -> AsyncCollection[Stored]:
    """Return where records lie."""
    return connection.collection(documents.name)


async def get_many(
    connection: Connection, documents: MongoDocuments[R], ids: Sequence[str]
) -> dict[str, R]:
    """Return the records that exist among these ids."""
    found = collection_of(connection, documents).find({ID: {"$in": list(ids)}})
    return {each[ID]: documents.read(each) async for each in each_of(found)}


async def find(connection: Connection, chosen: Rows[R]) -> R | None:
    """Return the record under all values of a unique index."""
    lookup = chosen.documents.access(chosen.selection.index.name).lookup
    terms = [{field: how} for field, how in lookup.partial.items()]
    for field, value in zip(chosen.selection.index.fields, chosen.selection.equals, strict=True):
        terms.append({stored(field): bson(plain(value, field))})
    found = await collection_of(connection, chosen.documents).find_one(
        together(terms), hint=lookup.name
    )
    return None if found is None else chosen.documents.read(found)


async def find_many(
    connection: Connection, chosen: Rows[R], values: Sequence[str | int]
) -> list[R]:
    """Return every record under one of the values of an index of one field.

    Raises:
        LimitExceeded: there are more than ``MAX_ROWS``.
    """
    selection = chosen.selection
    field = selection.index.fields[0]
    known = [bson(selection.check(field, value)) for value in values]
    terms = [*chosen.terms(), {stored(field): {"$in": known}}]
    cursor = collection_of(connection, chosen.documents).find(
        together(terms),
        sort=chosen.sort([stored(field), ID], descending=False),
        limit=MAX_ROWS + 1,
        hint=chosen.listing.name,
    )
    found = [each async for each in each_of(cursor)]
    if len(found) > MAX_ROWS:
        raise LimitExceeded("records found", limit=MAX_ROWS, got=len(found))
    return [chosen.documents.read(each) for each in found]


async def count(connection: Connection, chosen: Rows[R], limit: int) -> int:
    """Count the documents, no further than a limit."""
    return await collection_of(connection, chosen.documents).count_documents(
        together(chosen.terms()), hint=chosen.listing.name, limit=limit
    )


async def page(
    connection: Connection,
    chosen: Rows[R],
    *,
    limit: int,
    position: list[Value] | None,
    descending: bool,
) -> tuple[list[R], list[Value] | None]:
    """Return up to ``limit`` records after a position, and the position after them if more follow.

    A position is the values of the order keys of the last document that was handed out. What comes
    after it is read in stretches, each of which the index serves without sorting or skipping.
    """
    found: list[Stored] = []
    for terms, order in stretches(chosen, position, descending=descending):
        cursor = collection_of(connection, chosen.documents).find(
            together(terms),
            sort=chosen.sort(order, descending=descending) or None,
            limit=limit + 1 - len(found),
            hint=chosen.listing.name,
        )
        found += [each async for each in each_of(cursor)]
        if len(found) > limit:
            break
    more = len(found) > limit
    found = found[:limit]
    records = [chosen.documents.read(each) for each in found]
    if not more:
        return records, None
    return records, [_value(found[-1].get(field)) for field in chosen.order()]


def stretches(
    chosen: Rows[Any], position: list[Value] | None, *, descending: bool
) -> Iterator[tuple[list[Condition], list[str]]]:
    """Yield conditions and order of the queries that together return all documents after a position.

    With the order (a, b, _id) and the position (1, 2, x) these are: a=1, b=2, _id>x; then a=1, b>2;
    then a>1. Null is the smallest value, which a comparison alone would lose.
    """
    order, common = chosen.order(), chosen.terms()
    if position is None:
        yield common, order
        return
    for depth in reversed(range(len(order))):
        field, value, rest = order[depth], position[depth], order[depth:]
        head = [{name: bson(each)} for name, each in zip(order[:depth], position, strict=False)]
        if value is not None:
            beyond = chosen.beyond(field, "$lt" if descending else "$gt", value)
            yield [*common, *head, beyond], rest
        if (value is None) != descending and field != ID:
            bounded = depth == 0 and chosen.selection.bounded()
            if not (descending and bounded):  # null never meets a bound
                none = {field: None} if descending else {field: {"$ne": None}}
                yield [*common, *head, none], rest


def _value(value: Any) -> Value:
    return int(value) if isinstance(value, int) else value
