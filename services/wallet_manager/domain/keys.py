"""Which key is meant, without the key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """Where a key sits in the tree: m/44'/coin'/account'/0/index."""

    account: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A key that was brought in by itself, as the wallet of this id."""

    wallet_id: str


KeyName = Leaf | Imported
