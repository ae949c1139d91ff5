"""Logs of USDT that no contract of that name would write are read without an accident."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.tron_client.domain.blocks import (
    Anchor,
    Block,
    BodyTransaction,
    Executed,
    Log,
    Receipt,
)
from services.tron_client.domain.happenings import notices
from services.tron_client.domain.notices import EFFECTS, notice_view
from shared.tron.address import evm_bytes
from shared.tron.keccak import keccak256
from tests.services.tron_client.bench import TOKEN
from tests.support import START_MS

TOPICS = [
    keccak256(each.encode()).hex()
    for each in (
        "AddedBlackList(address)",
        "DestroyedBlackFunds(address,uint256)",
        "Pause()",
        "Deprecate(address)",
        "OwnershipTransferred(address,address)",
        "Params(uint256,uint256)",
    )
]
words = st.binary(min_size=32, max_size=32).map(bytes.hex)
logs = st.builds(
    Log,
    address=st.sampled_from([evm_bytes(TOKEN).hex(), evm_bytes(TOKEN).hex().upper(), "ab" * 20]),
    topics=st.tuples(st.sampled_from(TOPICS)).flatmap(
        lambda first: st.lists(words, max_size=3).map(lambda rest: (*first, *rest))
    ),
    data=st.binary(max_size=100).map(bytes.hex),
)


def receipt_of(found: list[Log]) -> Receipt:
    return Receipt(
        txid="ab" * 32,
        height=7,
        timestamp_ms=START_MS,
        is_failed=False,
        result="SUCCESS",
        fee_sun=0,
        energy_used=0,
        energy_fee_sun=0,
        bandwidth_used=0,
        bandwidth_fee_sun=0,
        message="",
        output="",
        logs=tuple(found),
    )


@given(found=st.lists(logs, max_size=5), raw_data=st.binary(max_size=80))
def test_no_log_and_no_transaction_breaks_the_scan(found: list[Log], raw_data: bytes) -> None:
    marked = raw_data + b"protocol.AccountPermissionUpdateContract" + raw_data
    block = Block(
        anchor=Anchor(height=7, block_id="cd" * 32, timestamp_ms=START_MS),
        parent_id="ef" * 32,
        executed=(
            Executed(
                transaction=BodyTransaction(
                    txid="ab" * 32, result="SUCCESS", transfer=None, raw_data=marked
                ),
                receipt=receipt_of(found),
            ),
        ),
    )
    told = notices(block, usdt=TOKEN, is_watched=lambda _: True)
    assert len({each.id for each in told}) == len(told)
    assert all(each.kind in EFFECTS and notice_view(each).notice_id for each in told)
    of_usdt = [each for each in found if each.address != "ab" * 20]
    assert len(told) <= len(of_usdt)
    assert notices(block, usdt=TOKEN, is_watched=lambda _: False) == [
        each for each in told if each.subject == "usdt"
    ]
