"""A schema refuses nonsense when it is made, not when the first record comes."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Literal, NewType

import pytest

from shared.storage import Collection, Feed, Index, Migration, Schema, Stamp

Sun = NewType("Sun", int)


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    id: str
    version: int = 0
    fee: Sun
    colour: Colour | None
    size: Size
    kind: Literal["a", "b"]
    flag: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameless:
    version: int = 0


@dataclass(kw_only=True)
class Mutable:
    id: str
    version: int = 0


def schema(*indexes: Index, name: str = "things", record: Any = Thing) -> Schema:
    return Schema("shop", 1, (Collection(name, record, indexes),))


def test_fields_of_every_orderable_type_can_be_indexed() -> None:
    fields = ("fee", "colour", "size", "kind", "id", "version")
    made = schema(Index("all", fields, where=(("colour", ("it's",)),)))
    assert made.collections[0].indexed_fields() == ("fee", "colour", "size", "kind")


@pytest.mark.parametrize(
    "index",
    [
        Index("none", ()),
        Index("twice", ("fee", "fee")),
        Index("unknown", ("amount",)),
        Index("boolean", ("flag",)),
        Index("compound", ("parts",)),
        Index("id", ("fee",)),
        Index("Upper", ("fee",)),
        Index("empty_condition", ("fee",), where=(("colour", ()),)),
        Index("unknown_condition", ("fee",), where=(("amount", (1,)),)),
        Index("boolean_condition", ("fee",), where=(("fee", (True,)),)),
    ],
    ids=lambda index: index.name,
)
def test_indexes_that_cannot_work_are_refused(index: Index) -> None:
    with pytest.raises((ValueError, TypeError)):
        schema(index)


@pytest.mark.parametrize("name", ["", "Things", "1st", "a-b", "a;b", "a" * 49])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        schema(name=name)
    with pytest.raises(ValueError, match="name"):
        Schema("shop", 1, (), (Feed(name),))


def test_repeated_names_are_refused() -> None:
    things = Collection("things", Thing)
    with pytest.raises(ValueError, match="two collections"):
        Schema("shop", 1, (things, things))
    with pytest.raises(ValueError, match="two feeds"):
        Schema("shop", 1, (things,), (Feed("a"), Feed("a")))
    with pytest.raises(ValueError, match="two"):
        schema(Index("fee", ("fee",)), Index("fee", ("size",)))


def test_records_are_frozen_and_named() -> None:
    with pytest.raises(ValueError, match="id and version"):
        schema(record=Nameless)
    with pytest.raises(TypeError, match="frozen"):
        schema(record=Mutable)


def test_migrations_lead_somewhere() -> None:
    things = Collection("things", Thing)
    for migration in (Migration(3, "things", dict), Migration(1, "things", dict)):
        with pytest.raises(ValueError, match="leads to"):
            Schema("shop", 2, (things,), (), (migration,))
    with pytest.raises(ValueError, match="no collection"):
        Schema("shop", 2, (things,), (), (Migration(2, "thongs", dict),))


def test_versions_services_and_stamps_are_checked() -> None:
    with pytest.raises(ValueError, match="start at 1"):
        Schema("shop", 0, ())
    with pytest.raises(ValueError, match="service"):
        Schema("My Shop", 1, ())
    with pytest.raises(ValueError, match="stamp"):
        Stamp("", "TContract")
