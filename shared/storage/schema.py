"""What a service keeps: its collections of records, their indexes, its feeds and its migrations.

A record is a frozen dataclass with an ``id`` and a ``version``. One that was never stored has
version 0; each write stores it with its version one higher, so the first stored version is 1.
"""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, Union

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
SERVICE_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,47}")


class Record(Protocol):
    """A frozen dataclass that msgspec can write as JSON and read back equal."""

    @property
    def id(self) -> str:
        """The record's own id, never reused."""

    @property
    def version(self) -> int:
        """The version as it was loaded; 0 when the record was never stored."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Index:
    """An order of a collection that can be looked up, and optionally a promise of uniqueness.

    Attributes:
        name: unique in its collection.
        fields: fields of the record, each str, int, an enumeration of these, or None besides.
        unique: two records never share all values; a record with a None among them is exempt.
        where: only records whose field is one of the values, for each pair of field and values.
    """

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    where: tuple[tuple[str, tuple[str | int, ...]], ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Return every field that the index reads, its condition included."""
        return tuple(dict.fromkeys((*self.fields, *(field for field, _ in self.where))))


@dataclass(frozen=True, slots=True)
class Collection(Generic[R]):
    """Records of one type, found by id and by their indexes.

    Attributes:
        name: unique in the schema.
        record: the frozen dataclass.
        indexes: the orders in which it can be read.
        leased: records are work that is claimed by leases.
    """

    name: str
    record: type[R]
    indexes: tuple[Index, ...] = ()
    leased: bool = False

    def index(self, name: str) -> Index:
        """Return the index of that name.

        Raises:
            ValueError: there is none.
        """
        for index in self.indexes:
            if index.name == name:
                return index
        raise ValueError(f"collection {self.name} has no index {name!r}")

    def indexed_fields(self) -> tuple[str, ...]:
        """Return every field that some index reads, once, besides id and version."""
        fields = dict.fromkeys(field for index in self.indexes for field in index.columns())
        return tuple(field for field in fields if field not in {"id", "version"})


@dataclass(frozen=True, slots=True)
class Feed:
    """A numbered sequence of events that others follow."""

    name: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A change of one collection's documents on the way to a schema version.

    Attributes:
        to_version: the schema version that needs it.
        collection: name of the collection.
        transform: takes a document as stored, returns it as it should be; keeps id and version.
    """

    to_version: int
    collection: str
    transform: Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything that one service keeps in its database.

    Construction refuses bad or repeated names, indexes on fields that do not exist or cannot be
    ordered, and migrations that lead nowhere.

    Attributes:
        service: the owner; a database of another service does not open.
        version: of the documents, from 1; raised together with migrations.
        collections: what is kept.
        feeds: what is told.
        migrations: how older documents become today's.
    """

    service: str
    version: int
    collections: tuple[Collection[Any], ...]
    feeds: tuple[Feed, ...] = ()
    migrations: tuple[Migration, ...] = ()

    def __post_init__(self) -> None:
        if not SERVICE_NAME.fullmatch(self.service):
            raise ValueError(f"{self.service!r} is not a service name")
        if self.version < 1:
            raise ValueError("schema versions start at 1")
        _check_names("collection", (collection.name for collection in self.collections))
        _check_names("feed", (feed.name for feed in self.feeds))
        for collection in self.collections:
            _check_collection(collection)
        known = {collection.name for collection in self.collections}
        for migration in self.migrations:
            if migration.collection not in known:
                raise ValueError(f"a migration names no collection: {migration.collection!r}")
            if not 1 < migration.to_version <= self.version:
                raise ValueError(f"a migration leads to version {migration.to_version}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a database is for besides its service; under other values it does not open.

    Attributes:
        network: name of the network.
        contract: address of the token contract.
    """

    network: str
    contract: str

    def __post_init__(self) -> None:
        if not self.network or not self.contract:
            raise ValueError("a stamp names a network and a contract")


def _check_names(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a {kind} name: lower case, digits, underscores")
        if name in seen:
            raise ValueError(f"two {kind}s are named {name!r}")
        seen.add(name)


def _check_collection(collection: Collection[Any]) -> None:
    record = collection.record
    frozen = getattr(getattr(record, "__dataclass_params__", None), "frozen", False)
    if not dataclasses.is_dataclass(record) or not frozen:
        raise TypeError(f"records of {collection.name} must be frozen dataclasses")
    hints = typing.get_type_hints(record)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(record) if field.init}
    if "id" not in fields or "version" not in fields:
        raise ValueError(f"records of {collection.name} need the fields id and version")
    _check_names(f"index of {collection.name}", (index.name for index in collection.indexes))
    for index in collection.indexes:
        _check_index(collection.name, index, fields)


def _check_index(collection: str, index: Index, hints: dict[str, Any]) -> None:
    where = f"index {index.name} of {collection}"
    if index.name == "id":
        raise ValueError(f"{where}: that name means the id itself")
    if not index.fields or len(set(index.fields)) != len(index.fields):
        raise ValueError(f"{where} needs fields, each once")
    for field in index.columns():
        if not NAME.fullmatch(field) or field not in hints:
            raise ValueError(f"{where}: there is no field {field!r}")
        if not _orderable(hints[field]):
            raise TypeError(f"{where}: {field} is neither str nor int nor None")
    for field, values in index.where:
        if not values or not all(_orderable(type(value)) for value in values):
            raise ValueError(f"{where}: the condition on {field} needs values, str or int")


@functools.cache
def kinds(record: type[Any], field: str) -> tuple[type[str] | type[int], ...]:
    """Return what an indexed field of a record can hold besides None: str, int or both."""
    return tuple(each for each in (str, int) if _holds(typing.get_type_hints(record)[field], each))


def _holds(hint: Any, kind: type[str] | type[int]) -> bool:
    if isinstance(hint, typing.NewType):
        return _holds(hint.__supertype__, kind)
    origin = typing.get_origin(hint)
    if origin in {Union, types.UnionType}:
        return any(_holds(each, kind) for each in typing.get_args(hint))
    if origin is Literal:
        return any(isinstance(each, kind) for each in typing.get_args(hint))
    return isinstance(hint, type) and issubclass(hint, kind)


def _orderable(hint: Any) -> bool:
    """Tell whether values of that type can stand in an index: str, int, enumerations, None."""
    if isinstance(hint, typing.NewType):
        return _orderable(hint.__supertype__)
    origin = typing.get_origin(hint)
    if origin in {Union, types.UnionType}:
        return all(_orderable(each) for each in typing.get_args(hint))
    if origin is Literal:
        return all(each is None or _orderable(type(each)) for each in typing.get_args(hint))
    if hint is types.NoneType:
        return True
    return isinstance(hint, type) and issubclass(hint, (str, int)) and not issubclass(hint, bool)
