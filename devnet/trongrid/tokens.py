"""What tokens say of themselves, asked of the node like anybody asks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from devnet.address import ZERO, to_base58
from devnet.contracts.abi import WORD_BYTES, address_word

Ask = Callable[..., Any]
_REMEMBERED = 256
_WORD_LENGTH = WORD_BYTES * 2


class Tokens:
    """Names, decimals and balances of token contracts; what does not change is remembered."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: OrderedDict[bytes, dict[str, Any]] = OrderedDict()

    def info(self, contract: bytes) -> dict[str, Any]:
        """Symbol, address, decimals and name; what the contract does not tell is left out."""
        known = self._known.get(contract)
        if known is not None:
            return known
        told = {
            "symbol": _text(self._call(contract, "symbol()")),
            "address": to_base58(contract),
            "decimals": _number(self._call(contract, "decimals()")),
            "name": _text(self._call(contract, "name()")),
        }
        info = {name: value for name, value in told.items() if value is not None}
        if "symbol" in info:
            self._known[contract] = info
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return info

    def balance(self, contract: bytes, holder: bytes, *, tree: str) -> int:
        """The balance in the token's smallest unit, 0 if the contract does not tell."""
        words = address_word(holder).hex()
        return _number(self._call(contract, "balanceOf(address)", words, tree=tree)) or 0

    def _call(
        self, contract: bytes, selector: str, parameter: str = "", *, tree: str = "/wallet"
    ) -> str:
        """The returned bytes in hex, empty if there are none or the call failed."""
        reply = self._ask(
            f"{tree}/triggerconstantcontract",
            owner_address=ZERO.hex(),
            contract_address=contract.hex(),
            function_selector=selector,
            parameter=parameter,
        )
        rets = (reply.get("transaction") or {}).get("ret") or [{}]
        if rets[0].get("ret") == "FAILED":
            return ""
        return next(iter(reply.get("constant_result") or []), "")


def _number(returned: str) -> int | None:
    return int(returned[:_WORD_LENGTH], 16) if len(returned) >= _WORD_LENGTH else None


def _text(returned: str) -> str | None:
    """A returned string: offset, length, bytes."""
    data = bytes.fromhex(returned)
    if len(data) < 2 * WORD_BYTES:
        return None
    length = int.from_bytes(data[WORD_BYTES : 2 * WORD_BYTES], "big")
    return data[2 * WORD_BYTES :][:length].decode("utf-8", "replace")
