"""The indexes of a schema as MongoDB has them, and the conditions under which it uses them."""

import types
import typing
from dataclasses import dataclass
from typing import Any, Final

from bson import Int64

from shared.storage.schema import Collection, Index, kinds
from shared.storage.values import Value, plain

ID: Final = "_id"
ID_INDEX: Final = "_id_"
"""The index that every collection has by itself."""

BSON_TYPES: Final = {str: "string", int: "long"}

Condition = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """An index as it is made.

    Attributes:
        name: of the index.
        fields: its keys, ascending.
        unique: whether it keeps duplicates out.
        partial: the condition of the documents in it; empty when these are all.
    """

    name: str
    fields: tuple[str, ...]
    unique: bool
    partial: Condition

    def options(self) -> dict[str, Any]:
        """Return everything but the keys, as the server is told and as it tells."""
        told: dict[str, Any] = {"name": self.name}
        if self.unique:
            told["unique"] = True
        if self.partial:
            told["partialFilterExpression"] = self.partial
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a schema's index is read.

    Attributes:
        listing: the index that holds every record of the schema's index, in its order.
        lookup: the index that answers for all fields of a unique index.
    """

    listing: Specification
    lookup: Specification


def stored(field: str) -> str:
    """Return the key under which a field is stored."""
    return ID if field == "id" else field


def bson(value: Value) -> Any:
    """Return an indexed value as it is stored."""
    return Int64(value) if isinstance(value, int) else value


def bson_types(record: type[Any], field: str) -> list[str]:
    """Return the types that a field of a record can have besides null."""
    return [BSON_TYPES[kind] for kind in kinds(record, field)]  # type: ignore[arg-type] # a class can be hashed


def nullable(record: type[Any], field: str) -> bool:
    """Tell whether a field of a record can be None."""
    return _holds_none(typing.get_type_hints(record)[field])


def access(collection: Collection[Any], index: Index) -> Access:
    """Return the indexes that serve an index of a schema.

    A unique index exempts records with a None in it. Where there can be some, one index holds the
    others and keeps them apart, and a second one holds all for lists.
    """
    fields = tuple(stored(field) for field in index.fields)
    where = condition(index)
    if fields == (ID,):
        if not where:
            only = Specification(name=ID_INDEX, fields=fields, unique=False, partial={})
        else:  # the index that every collection has cannot be partial: the condition's field joins
            keys = (ID, *(stored(field) for field, _ in index.where[:1]))
            only = Specification(name=index.name, fields=keys, unique=False, partial=where)
        return Access(listing=only, lookup=only)
    listed = fields if ID in fields else (*fields, ID)
    listing = Specification(name=index.name, fields=listed, unique=False, partial=where)
    if not index.unique:
        return Access(listing=listing, lookup=listing)
    record = collection.record
    exempt = [field for field in index.fields if nullable(record, field)]
    if not exempt:
        only = Specification(name=index.name, fields=fields, unique=True, partial=where)
        return Access(listing=only, lookup=only)
    held = {stored(field): {"$type": bson_types(record, field)} for field in exempt}
    partial = dict(where)
    for field, types_ in held.items():
        partial[field] = {**partial.get(field, {}), **types_}
    lookup = Specification(name=f"{index.name}.unique", fields=fields, unique=True, partial=partial)
    return Access(listing=listing, lookup=lookup)


def specifications(collection: Collection[Any]) -> list[Specification]:
    """Return every index of a collection but the one that it has by itself."""
    wanted: dict[str, Specification] = {}
    for index in collection.indexes:
        how = access(collection, index)
        for each in (how.listing, how.lookup):
            if each.name != ID_INDEX:
                wanted[each.name] = each
    return list(wanted.values())


def condition(index: Index) -> Condition:
    """Return the condition of a partial index."""
    return {
        stored(field): {"$in": [bson(plain(value, "condition")) for value in values]}
        for field, values in index.where
    }


def _holds_none(hint: Any) -> bool:
    if isinstance(hint, typing.NewType):
        return _holds_none(hint.__supertype__)
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return any(_holds_none(each) for each in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return None in typing.get_args(hint)
    return hint is types.NoneType
