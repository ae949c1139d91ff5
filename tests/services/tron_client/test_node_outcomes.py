"""What several nodes make of the same bytes, for every way in which up to four can differ."""

from collections.abc import Sequence
from itertools import combinations_with_replacement, permutations

import pytest

from services.tron_client.node.outcomes import (
    Accepted,
    BroadcastResult,
    Rejected,
    Unknown,
    merged,
    read_outcome,
)

TXID = "ab" * 32
EACH: tuple[BroadcastResult, ...] = (
    Accepted(),
    Rejected(code="SIGERROR", message="never"),
    Rejected(code="SERVER_BUSY", message="later"),
    Unknown(code="DUP_TRANSACTION_ERROR", message=""),
    Unknown(code=None, message="away"),
)


def every_case() -> list[tuple[BroadcastResult, ...]]:
    return [case for size in range(1, 5) for case in combinations_with_replacement(EACH, size)]


def kind(said: Sequence[BroadcastResult]) -> type[BroadcastResult]:
    return type(merged(said))


@pytest.mark.parametrize("said", every_case())
def test_bytes_are_refused_only_if_every_node_refused_them(
    said: tuple[BroadcastResult, ...],
) -> None:
    kinds = {type(each) for each in said}
    if Accepted in kinds:
        expected: type[BroadcastResult] = Accepted
    else:
        expected = Unknown if Unknown in kinds else Rejected
    assert {kind(order) for order in permutations(said)} == {expected}
    assert merged(said) in said, "one of them said it"


def test_a_refusal_that_may_pass_outweighs_one_that_stays() -> None:
    stays, passes = EACH[1], EACH[2]
    assert merged([stays, passes]) == merged([passes, stays]) == passes
    assert merged([stays, stays]) == stays


def test_what_nobody_was_asked_is_unknown() -> None:
    assert isinstance(merged([]), Unknown)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"result": False},
        {"result": "true"},
        {"result": True, "txid": "cd" * 32},
        {"result": True, "code": "SIGERROR", "txid": "cd" * 32},
        {"code": "SOMETHING_NEW", "txid": TXID},
        {"code": "SIGERROR", "txid": "cd" * 32},
        {"code": 7, "txid": TXID},
        {"code": "OTHER_ERROR", "message": "zz", "txid": TXID},
        {"code": "NO_CONNECTION", "message": "P2P broadcast failed.", "txid": TXID},
    ],
)
def test_what_is_not_plain_is_neither_taken_nor_refused(answer: dict[str, object]) -> None:
    assert isinstance(read_outcome(answer, txid=TXID), Unknown)
