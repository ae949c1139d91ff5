"""Blocks and the receipts in them."""

from __future__ import annotations

import re
from typing import Any

from devnet.api.request import Request
from devnet.api.view import View
from devnet.json_format import JavaError, ParseError, hex_bytes, printed_block

_MAX_RANGE = 100
_LONG = re.compile(r"[+-]?\d{1,19}")
_BLOCK_ID = re.compile(r"[0-9a-fA-F]{64}")
_HEIGHT_BYTES = 8


class ArgumentError(JavaError):
    """A bad argument that is printed without a Java class."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


def get_now_block(view: View, request: Request) -> Any:
    """The newest block."""
    return _block_at(view, view.number, visible=request.visible_in_query)


def get_block_by_num(view: View, request: Request) -> Any:
    """The block of a height, or nothing; a query without a height asks for the first."""
    is_left_out = request.is_get and "num" not in request.params
    number = 0 if is_left_out else request.number("num")
    return _block_at(view, number, visible=request.visible)


def get_block_by_id(view: View, request: Request) -> Any:
    """The block of an id, or nothing."""
    number = _number_of(view, request.hex("value"))
    return _block_at(view, number, visible=request.visible)


def get_block(view: View, request: Request) -> Any:
    """A block by height or id, the newest if neither is given; without `detail` its header."""
    number = _asked_number(view, _id_or_number(request))
    if request.flag("detail"):
        return _block_at(view, number, visible=request.visible)
    record = view.record(number)
    if record is None:
        return {}
    return printed_block(record.block, visible=request.visible, detail=False)


def get_block_by_limit_next(view: View, request: Request) -> Any:
    """The blocks from startNum up to but without endNum."""
    start, end = request.number("startNum"), request.number("endNum")
    if end <= 0 or not start < end <= start + _MAX_RANGE:
        return {}
    last = min(end - 1, view.number) if start >= 0 else -1
    return _blocks(view, range(start, last + 1), visible=request.visible)


def get_block_by_latest_num(view: View, request: Request) -> Any:
    """The newest blocks, lowest first."""
    count = request.number("num")
    if not 0 < count < _MAX_RANGE:
        return {}
    first = max(0, view.number - count + 1)
    return _blocks(view, range(first, view.number + 1), visible=request.visible)


def get_transaction_infos_by_block_num(view: View, request: Request) -> Any:
    """All receipts of a block; an empty, unknown or future block has none."""
    number = request.number("num")
    if number <= 0:
        return {}
    record = view.record(number)
    if record is None:
        return []
    block_id = view.chain.block_id(number)
    return view.printer.infos(
        block_id, record, visible=request.visible, saves_internal=view.node.saves_internal
    )


def get_transaction_count_by_block_num(view: View, request: Request) -> Any:
    """How many transactions a block holds; an unknown block holds none."""
    record = view.record(request.number("num"))
    return {"count": 0 if record is None else len(record.block.transactions)}


def _blocks(view: View, numbers: range, *, visible: bool) -> Any:
    return {"block": [_block_at(view, each, visible=visible) for each in numbers]}


def _block_at(view: View, number: int, *, visible: bool) -> Any:
    record = view.record(number)
    if record is None:
        return {}
    return view.printer.block(view.chain.block_id(number), record.block, visible=visible)


def _id_or_number(request: Request) -> str:
    value = request.params.get("id_or_num")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ParseError("Expected string.", field="id_or_num")
    return value


def _asked_number(view: View, text: str) -> int:
    if not text:
        return view.number
    if _LONG.fullmatch(text):
        number = int(text)
        if number < 0:
            raise ArgumentError("num must be non-positive number.")
        return number
    if not _BLOCK_ID.fullmatch(text):
        raise ArgumentError("id must be legal block hash.")
    block_id = hex_bytes(text)
    if int.from_bytes(block_id[:_HEIGHT_BYTES], "big") > view.number:
        raise ArgumentError("id must be legal block hash.")
    return _number_of(view, block_id)


def _number_of(view: View, block_id: bytes) -> int:
    """The height of a block on this chain; an id begins with it. -1 for any other id."""
    number = int.from_bytes(block_id[:_HEIGHT_BYTES], "big")
    known = number <= view.number and view.chain.block_id(number) == block_id
    return number if known else -1
