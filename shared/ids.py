"""Identifiers: time-ordered ids with a type prefix, and identities derived from what a caller said.

An object has two names. Its identity is the hash of who asked, for what kind of thing and under which
key, and is unique: it makes a repeat of the same request find the first one (hazard H3). Its id is
what others call it. Where money follows, the id is the beginning of the identity, so that even a
repeat after the record was lost leads to the same send and the same address; elsewhere it is made
once and sorts by time (``wal_0192…``).
"""

import hashlib
import json
from collections.abc import Callable
from typing import Final

from uuid6 import uuid7

PREFIXES: Final = frozenset(
    {
        "wal",
        "snd",
        "po",
        "bat",
        "pay",
        "inv",
        "ref",
        "swp",
        "lea",
        "stk",
        "evt",
        "whk",
        "dlv",
        "jrn",
        "alm",
        "apr",
        "rsc",
    }
)

ID_DIGITS: Final = 32

NewId = Callable[[str], str]
"""Makes an id for a prefix; services take it by argument so that tests can predict ids."""


def new_id(prefix: str) -> str:
    """Make a time-ordered id such as ``po_01932f…`` (UUIDv7, RFC 9562, hex without dashes)."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown id prefix {prefix!r}")
    return f"{prefix}_{uuid7().hex}"


def identity(principal: str, family: str, key: str) -> str:
    """Hash (principal, route family, key) into the unique identity of a money object.

    The three are quoted before they are hashed, so that no two triples run into one.
    """
    material = json.dumps([principal, family, key], ensure_ascii=False).encode()
    return hashlib.sha256(material).hexdigest()


def object_id(prefix: str, identity: str) -> str:
    """Return the id of an object that money follows: the beginning of its identity."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown id prefix {prefix!r}")
    return f"{prefix}_{identity[:ID_DIGITS]}"


def fingerprint(body: object) -> str:
    """Hash the meaning of a request body: the same for any order of its members.

    Args:
        body: JSON-able value without floats.
    """
    material = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(material.encode()).hexdigest()


def send_key(origin: str, object_id: str, ordinal: int) -> str:
    """Name a send for ever: ``origin:object_id:ordinal``, carried unchanged down to the chain."""
    if not origin or not object_id or ":" in origin + object_id or ordinal < 0:
        raise ValueError("a send key is origin:object_id:ordinal")
    return f"{origin}:{object_id}:{ordinal}"


def split_send_key(key: str) -> tuple[str, str, int]:
    """Take a send key apart into (origin, object id, ordinal).

    Raises:
        ValueError: it is not of that form.
    """
    parts = key.split(":")
    if len(parts) != 3 or not all(parts) or not parts[2].isascii() or not parts[2].isdigit():  # noqa: PLR2004
        raise ValueError("a send key is origin:object_id:ordinal")
    origin, object_id, ordinal = parts
    if str(int(ordinal)) != ordinal:
        raise ValueError("the ordinal of a send key has no leading zero")
    return origin, object_id, int(ordinal)
