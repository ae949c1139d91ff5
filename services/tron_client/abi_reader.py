"""Read contracts by the ABI they carry on chain, with tronpy in front of our own way to the node.

tronpy is imported when it is first needed, gets a provider that opens no connection, and is used
for view functions only.
"""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from services.tron_client.node.errors import NodeRefused
from services.tron_client.node.reading import convert
from shared.errors import BadRequest, NotFound
from shared.tron.address import Address

_VIEWS: Final = frozenset({"view", "pure"})


class _Parameter(msgspec.Struct):
    name: str = ""
    type: str = ""


class _Entry(msgspec.Struct):
    type: str = ""
    name: str = ""
    stateMutability: str = ""  # noqa: N815 - a node's own word
    inputs: list[_Parameter] = []
    outputs: list[_Parameter] = []


class _Abi(msgspec.Struct):
    entrys: list[_Entry] = []


class _Contract(msgspec.Struct):
    abi: _Abi = msgspec.field(default_factory=_Abi)
    bytecode: str = ""
    name: str = ""


class _Ret(msgspec.Struct):
    ret: str = ""


class _Transaction(msgspec.Struct):
    ret: list[_Ret] = []


class _Called(msgspec.Struct):
    result: dict[str, Any] = {}
    constant_result: list[str] = []
    transaction: _Transaction = msgspec.field(default_factory=_Transaction)


_READS: Final[Mapping[str, type[Any]]] = {
    "wallet/getcontract": _Contract,
    "wallet/triggerconstantcontract": _Called,
}
"""What is asked, and the shape of the answer: tronpy takes every answer to be as it should be."""


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
            InconsistentBlock: the node answers with something else.
        """
        client = await self._tron()
        found = await self._contract(client, contract)
        entry = _view(found.abi, function)
        try:
            inputs = entry.get("inputs", [])
            given = [_argument(*each) for each in zip(inputs, arguments, strict=True)]
            answer = await found.functions[function](*given)
        except _failures() as error:
            raise NotReadable(f"{function} cannot be read: {error}"[:300]) from None
        return _plain(answer)

    async def _contract(self, client: Any, address: Address) -> Any:
        try:
            found = await client.get_contract(address)
        except _failures():
            found = None
        if found is None or not (found.bytecode or found.abi):
            raise UnknownContract(f"there is no contract at {address}")
        return found

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
            answer = await node.read_raw(f"/{method}", dict(params or {}))
            convert(answer, _READS[method], what=f"the answer to {method}")
            return answer

    return tron.AsyncTron(Provider())


def _failures() -> tuple[type[Exception], ...]:
    """Return what tronpy and its encoder raise over a question or an answer."""
    tronpy = importlib.import_module("tronpy.exceptions")
    encoder = importlib.import_module("eth_abi.exceptions")
    return (
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        tronpy.ApiError,
        tronpy.TvmError,
        tronpy.UnknownError,
        tronpy.ValidationError,
        encoder.DecodingError,
        encoder.EncodingError,
        encoder.ParseError,
        encoder.PredicateMappingError,
    )


def _view(entries: Sequence[dict[str, Any]], function: str) -> dict[str, Any]:
    for entry in entries:
        kind, name = str(entry.get("type", "")).lower(), entry.get("name")
        changes = str(entry.get("stateMutability", "")).lower() not in _VIEWS
        if kind == "function" and name == function and not changes:
            return entry
    raise NotReadable(f"the contract has no view function {function!r}")


def _argument(entry: dict[str, Any], value: Any) -> Any:
    """Read an argument as its type wants it: integers and bytes come as strings."""
    kind = str(entry.get("type", ""))
    if isinstance(value, str) and kind.startswith(("uint", "int")):
        return int(value)
    if isinstance(value, str) and kind.startswith("bytes"):
        return bytes.fromhex(value)
    return value


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
