"""The state of the chain: values that never change themselves, under keys, in layers."""

from __future__ import annotations

from typing import Any

from devnet.accounts import Account
from devnet.parameters import PARAMETERS

StateKey = tuple[str, bytes]
Changes = dict[StateKey, Any]

BURNED_SUN = "burned_sun"
NET_WEIGHT = "net_weight"
ENERGY_WEIGHT = "energy_weight"
ENERGY_PRICES = "energy_prices"
NET_PRICES = "net_prices"
MEMO_PRICES = "memo_prices"
NEXT_MAINTENANCE = "next_maintenance"

_PARAMETER_KEYS: dict[str, StateKey] = {name: ("parameter", name.encode()) for name in PARAMETERS}


class State:
    """A layer of changes over another layer, or the bottom layer that holds everything.

    A value of None is the same as no value. The changes of an upper layer are lost unless
    they are committed.
    """

    __slots__ = ("_below", "changes")

    def __init__(self, below: State | None = None) -> None:
        self._below = below
        self.changes: Changes = {}

    def get(self, key: StateKey) -> Any:
        """The value under a key, or None."""
        layer: State | None = self
        while layer is not None:
            changes = layer.changes
            if key in changes:
                return changes[key]
            layer = layer._below  # noqa: SLF001 (another layer of the same class)
        return None

    def put(self, key: StateKey, value: Any) -> None:
        """Set the value under a key."""
        self.changes[key] = value

    def commit(self) -> None:
        """Hand the changes to the layer below."""
        if self._below is not None:
            self._below.changes.update(self.changes)
            self.changes = {}

    def account(self, address: bytes) -> Account | None:
        """The account of an address, if it is activated."""
        account: Account | None = self.get(("account", address))
        return account

    def put_account(self, account: Account) -> None:
        """Keep an account."""
        self.put(("account", account.address), account)

    def integer(self, kind: str, of: bytes = b"") -> int:
        """A number, 0 unless set."""
        return self.get((kind, of)) or 0

    def put_integer(self, kind: str, of: bytes, value: int) -> None:
        """Set a number; 0 takes no room."""
        self.put((kind, of), value or None)

    def text(self, kind: str) -> str:
        """A line of text, empty unless set."""
        return self.get((kind, b"")) or ""

    def parameter(self, name: str) -> int:
        """A chain parameter by the name that getchainparameters gives it."""
        value = self.get(_PARAMETER_KEYS[name])
        return PARAMETERS[name].value if value is None else int(value)

    def burn(self, amount_sun: int) -> None:
        """Count fees that nobody receives (getAllowOptimizeBlackHole is 1)."""
        if amount_sun:
            self.put_integer(BURNED_SUN, b"", self.integer(BURNED_SUN) + amount_sun)
