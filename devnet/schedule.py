"""Whose slot it is, and with which key its block is signed."""

from __future__ import annotations

from dataclasses import dataclass

from devnet.genesis import HOLDERS, WITNESSES
from devnet.keys import Key
from devnet.permissions import permissions_of
from devnet.state import State
from devnet.witnesses import turns

_KEYS = {key.address: key for key in (*WITNESSES, *(holder.key for holder in HOLDERS))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A witness and the key that signs for it, its own unless it changed its permission."""

    witness: bytes
    key: Key


def place_of(state: State, slot: int) -> int:
    """The place of a slot's witness in the order of turns, from 0."""
    return slot % len(turns(state))


def signer_of(state: State, slot: int) -> Signer | None:
    """Who makes the block of a slot; None if the witness gave its permission to a key unknown here.

    A node whose key is not the one of the witness permission makes no block, as java-tron's.
    """
    witness = turns(state)[place_of(state, slot)]
    permission = permissions_of(state, witness).witness
    key = _KEYS.get(witness if permission is None else permission.keys[0].address)
    return None if key is None else Signer(witness=witness, key=key)
