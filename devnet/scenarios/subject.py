"""What a request to a node is about: which transaction, which blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.protobuf.message import DecodeError

from devnet.api.exchange import HttpRequest
from devnet.api.request import Request, parsed_request
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction
from devnet.json_format import JavaError, parsed_transaction
from devnet.node import Node

TREES = ("/wallet/", "/walletsolidity/")
BROADCASTS = frozenset({"broadcasttransaction", "broadcasthex"})
BLOCKS = frozenset(
    {
        "getnowblock",
        "getblock",
        "getblockbynum",
        "getblockbyid",
        "getblockbylimitnext",
        "getblockbylatestnum",
    }
)
RECEIPTS = frozenset({"gettransactioninfobyblocknum", "gettransactioninfobyid"})
TRANSACTIONS = frozenset({"gettransactionbyid", "gettransactionfrompending"})
BY_TXID = TRANSACTIONS | {"gettransactioninfobyid", "gettransactionreceiptbyid"}
_BY_NUMBER = frozenset(
    {"getblockbynum", "gettransactioninfobyblocknum", "gettransactioncountbyblocknum"}
)
_NOTHING = Request(params={}, visible=False, visible_in_query=False)
_HEIGHT_BYTES = 8
_RANGE_MAX = 100


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A request with the node that it came to.

    Attributes:
        place: The number of the node; 0 makes the blocks.
    """

    place: int
    node: Node
    request: HttpRequest

    @property
    def path(self) -> str:
        """Where it was sent."""
        return self.request.path

    @cached_property
    def name(self) -> str:
        """The last part of a path in one of the two trees, empty elsewhere."""
        tree = next((each for each in TREES if self.path.startswith(each)), None)
        return "" if tree is None else self.path[len(tree) :]

    @property
    def is_solid(self) -> bool:
        """True if it asks for what is solid."""
        return self.path.startswith("/walletsolidity/")

    @cached_property
    def asked(self) -> Request:
        """Its parameters, none if they cannot be read."""
        try:
            return parsed_request(
                is_get=self.request.method in {"GET", "HEAD"},
                query=self.request.query,
                body=self.request.body,
                content_type=self.request.headers.get("content-type", ""),
            )
        except JavaError:
            return _NOTHING

    @cached_property
    def transaction(self) -> Transaction | None:
        """The transaction that it hands in or shows, if it can be read."""
        try:
            if self.name == "broadcasthex":
                data = bytes.fromhex(str(self.asked.params.get("transaction", "")))
                return Transaction.FromString(data)
            return parsed_transaction(self.asked.params)
        except (JavaError, ValueError, DecodeError):
            return None

    @cached_property
    def txid(self) -> bytes | None:
        """The one transaction that it is about."""
        if self.name in BROADCASTS:
            return None if self.transaction is None else txid_of(self.transaction)
        if self.name not in BY_TXID:
            return None
        return _bytes_of(self.asked.params.get("value"))

    @cached_property
    def heights(self) -> range:
        """The blocks that it is about."""
        params = self.asked.params
        match self.name:
            case "getnowblock":
                return _only(self._newest)
            case "getblock" | "getblockbyid":
                asked = params.get("id_or_num") or params.get("value")
                return _only(_height_of(asked) if asked else self._newest)
            case "getblockbylimitnext":
                start, end = _number_of(params.get("startNum")), _number_of(params.get("endNum"))
                return range(start, min(end, start + _RANGE_MAX))
            case "getblockbylatestnum":
                count = min(_number_of(params.get("num")), _RANGE_MAX)
                return range(max(0, self._newest - count + 1), self._newest + 1)
            case name if name in _BY_NUMBER:
                return _only(_number_of(params.get("num")))
            case _:
                height = None if self.txid is None else self.node.chain.height_of(self.txid)
                return range(0) if height is None else _only(height)

    @property
    def _newest(self) -> int:
        chain = self.node.chain
        return chain.solid_number if self.is_solid else chain.head.number


def _only(height: int) -> range:
    return range(height, height + 1)


def _number_of(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _height_of(value: Any) -> int:
    """The height that a number or a block id means."""
    text = str(value or "")
    block_id = _bytes_of(text)
    if block_id is not None:
        return int.from_bytes(block_id[:_HEIGHT_BYTES], "big")
    return _number_of(text)


def _bytes_of(value: Any) -> bytes | None:
    """32 bytes written in hex."""
    try:
        data = bytes.fromhex(str(value))
    except ValueError:
        return None
    return data if len(data) == 32 else None  # noqa: PLR2004 (a hash)
