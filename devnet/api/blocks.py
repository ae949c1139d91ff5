"""Blocks and the receipts in them."""

from __future__ import annotations

import re
from typing import Any

from devnet.api.request import Request
from devnet.api.view import View
from devnet.json_format import JavaError, hex_bytes, is_true, printed_block

_MAX_RANGE = 100
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
    """The block of a height, or nothing."""
    return _block_at(view, request.integer("num"), visible=request.visible)


def get_block_by_id(view: View, request: Request) -> Any:
    """The block of an id, or nothing."""
    number = _number_of(view, request.hex("value"))
    return _block_at(view, number, visible=request.visible)


def get_block(view: View, request: Request) -> Any:
    """A block by height or id, the newest if neither is given; without `detail` its header."""
    number = _asked_number(view, request.text("id_or_num"))
    if is_true(request.params.get("detail")):
        return _block_at(view, number, visible=request.visible)
    record = view.record(number)
    if record is None:
        return {}
    return printed_block(record.block, visible=request.visible, detail=False)


def get_block_by_limit_next(view: View, request: Request) -> Any:
    """The blocks from startNum up to but without endNum."""
    start, end = request.integer("startNum"), request.integer("endNum")
    if start < 0 or not start < end <= start + _MAX_RANGE:
        return {}
    last = min(end - 1, view.number)
    blocks = [_block_at(view, each, visible=request.visible) for each in range(start, last + 1)]
    return {"block": blocks} if blocks else {}


def get_transaction_infos_by_block_num(view: View, request: Request) -> Any:
    """All receipts of a block; an empty, unknown or future block has none."""
    number = request.integer("num")
    if number <= 0:
        return {}
    record = view.record(number)
    if record is None:
        return []
    block_id = view.chain.block_id(number)
    return view.printer.infos(block_id, record, visible=request.visible)


def get_transaction_count_by_block_num(view: View, request: Request) -> Any:
    """How many transactions a block holds."""
    record = view.record(request.integer("num"))
    if record is None or not record.block.transactions:
        return {}
    return {"count": len(record.block.transactions)}


def _block_at(view: View, number: int, *, visible: bool) -> Any:
    record = view.record(number)
    if record is None:
        return {}
    return view.printer.block(view.chain.block_id(number), record.block, visible=visible)


def _asked_number(view: View, text: str) -> int:
    if not text:
        return view.number
    if _BLOCK_ID.fullmatch(text):
        return _number_of(view, hex_bytes(text))
    try:
        number = int(text)
    except ValueError as error:
        raise ArgumentError("id must be legal block hash.") from error
    if number < 0:
        raise ArgumentError("num must be non-positive number.")
    return number


def _number_of(view: View, block_id: bytes) -> int:
    """The height of a block on this chain; an id begins with it. -1 for any other id."""
    number = int.from_bytes(block_id[:_HEIGHT_BYTES], "big")
    known = number <= view.number and view.chain.block_id(number) == block_id
    return number if known else -1
