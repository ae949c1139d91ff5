"""What a node sends is read in the one way it can be read, or not at all, and never in the way."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.node import reading
from services.tron_client.node.client import Node
from services.tron_client.node.decoding import Undecodable, decode
from services.tron_client.node.errors import NodeUnavailable
from services.tron_client.node.outcomes import Unknown
from services.tron_client.node.wire import MAX_ANSWER_BYTES
from tests.services.tron_client.bench import node_http

GENESIS = "ab" * 32
TXID = "cd" * 32

UNREADABLE = [
    b"",
    b"this API is closed because this node is a lite fullnode",
    b'{"chainParameter": [',
    b'{"chainParameter": []} and more',
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"balance": 5, "balance": 5000}',
    b'{"log": [{"data": "00", "topics": [], "data": "01"}]}',
    b'{"a": ' + b"9" * 5_000 + b"}",
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000,
    b'{"a": "\xff\xfe"}',
    b'{"a": "\\ud800"}',
    '{"a": 1}'.encode("utf-16"),
    b'\xef\xbb\xbf{"a": 1}',
    b'{"a": 01}',
    b'{"a": "\n"}',
]
"""A lite node's words, cut JSON, no numbers, one name twice, depth, and bytes that are no text."""


@pytest.mark.parametrize("content", UNREADABLE, ids=lambda content: repr(content[:30]))
def test_what_can_be_read_in_two_ways_or_none_is_not_read(content: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(content)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, 2**64 + 1, 10**77, -(2**63) - 1])
def test_integers_of_any_size_stay_exact(number: int) -> None:
    assert decode(b'{"value": %d}' % number) == {"value": number}


def test_text_of_every_language_is_read() -> None:
    assert decode('{"a": "\\ud83d\\ude00 é"}'.encode()) == {"a": "\U0001f600 é"}


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_but_decode_or_be_refused(content: bytes) -> None:
    try:
        decode(content)
    except Undecodable:
        return


class Members(list[Any]):
    """Names with values of one object, in which a name may come twice."""


NAMES = st.sampled_from(["a", "b", 'a"', "\\", "é", "\u2028"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=4).map(Members)
    ),
    max_leaves=12,
)
SPACES = st.sampled_from(["", " ", "\t", "\r\n"])


def written(value: Any, space: str, *, escaped: bool) -> str:
    """Write JSON, a name as often as it comes."""
    if isinstance(value, Members):
        pairs = (
            f"{json.dumps(name, ensure_ascii=escaped)}{space}:{space}{written(each, space, escaped=escaped)}"
            for name, each in value
        )
        return "{" + f"{space},".join(pairs) + space + "}"
    if isinstance(value, list):
        items = (written(each, space, escaped=escaped) for each in value)
        return "[" + f"{space},".join(items) + "]"
    return json.dumps(value, ensure_ascii=escaped)


def names_one_twice(value: Any) -> bool:
    if isinstance(value, Members):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(names_one_twice(each) for _, each in value)
    return isinstance(value, list) and any(map(names_one_twice, value))


@given(VALUES, SPACES, st.booleans())
def test_what_names_a_thing_once_is_read_exactly_and_what_names_it_twice_is_not(
    value: Any,
    space: str,
    escaped: bool,  # noqa: FBT001 - drawn
) -> None:
    content = written(value, space, escaped=escaped).encode()
    if names_one_twice(value):
        with pytest.raises(Undecodable, match="twice"):
            decode(content)
    else:
        assert decode(content) == json.loads(content)


def node_that_sends(response: httpx.Response) -> httpx.MockTransport:
    """Play a node that knows its genesis block and answers everything else in one way."""

    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/wallet/getblockbynum":
            return httpx.Response(200, json={"blockID": GENESIS})
        return response

    return httpx.MockTransport(play)


async def asked(response: httpx.Response) -> Any:
    http = node_http(node_that_sends(response), genesis=GENESIS)
    try:
        return await Node(http, checks_root=True).parameters()
    finally:
        await http.close()


@pytest.mark.parametrize("content", UNREADABLE, ids=lambda content: repr(content[:30]))
async def test_an_answer_that_cannot_be_read_is_no_answer(content: bytes) -> None:
    with pytest.raises(NodeUnavailable):
        await asked(httpx.Response(200, content=content))


async def test_a_bomb_of_zeros_is_given_up_within_bounds() -> None:
    """A few hundred kilobytes that unpack to more than any answer may have."""
    bomb = gzip.compress(bytes(MAX_ANSWER_BYTES + 1), compresslevel=9)
    assert len(bomb) < MAX_ANSWER_BYTES // 500
    with pytest.raises(NodeUnavailable, match="DecodingError"):
        await asked(httpx.Response(200, content=bomb, headers={"Content-Encoding": "gzip"}))


async def test_broken_compression_is_no_answer() -> None:
    with pytest.raises(NodeUnavailable):
        await asked(
            httpx.Response(200, stream=Cut(b"no gzip"), headers={"Content-Encoding": "gzip"})
        )


class Cut(httpx.AsyncByteStream):
    """Bytes as they come over the wire."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> Any:
        yield self._content


async def test_a_broadcast_answered_with_what_cannot_be_read_is_unknown() -> None:
    for content in UNREADABLE:
        http = node_http(node_that_sends(httpx.Response(200, content=content)), genesis=GENESIS)
        try:
            outcome = await Node(http, checks_root=True).broadcast(b"\x01", txid=TXID)
        finally:
            await http.close()
        assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    "listed",
    [
        [{"key": "getEnergyFee", "value": 1.5}],
        [{"key": "getEnergyFee", "value": "100"}],
        [{"key": "getEnergyFee", "value": 2**63}],
        [{"key": "getEnergyFee", "value": 100}, {"key": "getEnergyFee", "value": 1}],
        [{"value": 100}],
        ["getEnergyFee"],
    ],
)
def test_a_parameter_that_is_no_number_or_two_is_refused(listed: list[Any]) -> None:
    with pytest.raises(InconsistentBlock):
        reading.read_parameters({"chainParameter": listed})
