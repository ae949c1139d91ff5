"""Read contracts by the ABI they carry on chain, with tronpy in front of our own way to the node.

tronpy is imported when it is first needed, gets a provider that opens no connection, and is used
for view functions only.
"""

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any, Final, Protocol

from services.tron_client.node.errors import NodeRefused
from shared.errors import BadRequest, NotFound
from shared.tron.address import Address

_READS: Final = frozenset({"wallet/getcontract", "wallet/triggerconstantcontract"})
_VIEWS: Final = frozenset({"view", "pure"})


class NotReadable(BadRequest):
    """The contract has no view function of that name, or not with these arguments."""

    code = "LUCID_ERR_9111"
    title = "Not a view function of this contract"


class UnknownContract(NotFound):
    """There is no contract at the address."""

    code = "LUCID_ERR_9112"
    title = "Unknown contract"


class RawReads(Protocol):
    """A node that answers reads as they come."""

    async def read_raw(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the answer."""
        ...


class AbiReader:
    """Calls view functions by name."""

    def __init__(self, node: RawReads) -> None:
        self._node = node
        self._client: Any = None

    async def read(self, contract: Address, function: str, arguments: Sequence[Any]) -> Any:
        """Return what a view function returns, ready for JSON: big integers as strings, bytes as hex.

        Raises:
            UnknownContract: there is none at the address.
            NotReadable: it has no such view function, or not for these arguments.
        """
        client = await self._tron()
        try:
            found = await client.get_contract(contract)
        except _error("AddressNotFound"):
            raise UnknownContract(f"there is no contract at {contract}") from None
        if not found.bytecode and not found.abi:
            raise UnknownContract(f"there is no contract at {contract}")
        method = _view(found, function)
        try:
            answer = await method(*arguments)
        except (TypeError, ValueError, KeyError, _error("ApiError")) as error:
            raise NotReadable(f"{function} cannot be read: {error}"[:300]) from None
        return _plain(answer)

    async def _tron(self) -> Any:
        if self._client is None:
            self._client = await asyncio.to_thread(_client, self._node)
        return self._client


def _client(node: RawReads) -> Any:
    """Import tronpy and give it a provider of ours."""
    tron = importlib.import_module("tronpy.async_tron")
    http = importlib.import_module("tronpy.providers.async_http")

    class Provider(http.AsyncHTTPProvider):  # type: ignore[name-defined,misc]
        """Asks through our node; the base class is for tronpy's type check and is never set up."""

        def __init__(self) -> None:
            pass

        async def make_request(self, method: str, params: Any = None) -> Any:
            if method not in _READS:
                raise NodeRefused(f"{method} is no read")
            return await node.read_raw(f"/{method}", dict(params or {}))

    return tron.AsyncTron(Provider())


def _error(name: str) -> type[Exception]:
    found: type[Exception] = getattr(importlib.import_module("tronpy.exceptions"), name)
    return found


def _view(contract: Any, function: str) -> Any:
    for entry in contract.abi:
        is_named = (
            str(entry.get("type", "")).lower() == "function" and entry.get("name") == function
        )
        if is_named and str(entry.get("stateMutability", "")).lower() in _VIEWS:
            return contract.functions[function]
    raise NotReadable(f"the contract has no view function {function!r}")


def _plain(value: Any) -> Any:
    match value:
        case bool() | str() | None:
            return value
        case int():
            return str(value)
        case bytes():
            return value.hex()
        case list() | tuple():
            return [_plain(each) for each in value]
        case dict():
            return {str(key): _plain(each) for key, each in value.items()}
        case _:
            return str(value)
