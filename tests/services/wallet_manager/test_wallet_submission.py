"""From signed to submitted: the same bytes until tron-client has them."""

import itertools
from collections.abc import Sequence

import pytest

from shared.models.tron_transactions import (
    BroadcastOutcome,
    SignedTransaction,
    SubmittedView,
    TransactionState,
)
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from tests.services.wallet_manager.till import (
    RETRY_MS,
    TRX,
    Chain,
    Till,
    fate,
    intent,
    rules,
    till_on,
    txid_of,
)


async def test_signed_bytes_are_handed_over_with_their_send_key(till: Till) -> None:
    await till.treasury()
    send = await till.submitted(intent())
    (handed,) = till.chain.received

    assert send.state is SendState.SUBMITTED
    assert handed.send_key == send.send_key
    assert txid_of(handed) == send.txid
    assert handed.expires_at_ms == send.expires_at_ms


async def test_h4_a_lost_reply_brings_the_same_bytes_again(till: Till) -> None:
    await till.treasury()
    await till.signed(intent())
    till.chain.loses_replies = 2
    for _ in range(2):
        with pytest.raises(PeerUnavailable):
            await till.sender.submit_signed()
        assert (await till.read(intent().send_key)).state is SendState.SIGNED
    await till.sender.submit_signed()

    assert len(till.chain.received) == 3
    assert len({one.raw_data for one in till.chain.received}) == 1
    assert (await till.read(intent().send_key)).state is SendState.SUBMITTED


async def test_while_tron_client_is_away_nothing_new_is_signed(till: Till) -> None:
    await till.treasury()
    signed = await till.signed(intent())
    till.chain.away = True
    till.clock.advance(seconds=3_600)  # far beyond the attempt's expiry
    with pytest.raises(PeerUnavailable):
        await till.sender.submit_signed()
    await till.sender.sign_due()
    till.chain.away = False
    await till.sender.submit_signed()

    after = await till.read(signed.send_key)
    assert (after.state, after.attempt, after.txid) == (SendState.SUBMITTED, 1, signed.txid)


@pytest.mark.parametrize("outcome", [BroadcastOutcome.REJECTED, BroadcastOutcome.UNKNOWN])
async def test_h4_what_a_node_says_is_no_verdict(till: Till, outcome: BroadcastOutcome) -> None:
    treasury = await till.treasury()
    till.chain.outcome = outcome
    send = await till.submitted(intent())

    assert send.state is SendState.UNKNOWN
    assert send.waiting_for == "a verdict: said the node"
    assert (await till.position(treasury.address, Currency.USDT)).held == 25 * TRX
    assert await till.sender.sign_due() is False

    await till.verdicts(fate(send, TransactionState.CONFIRMED))
    assert (await till.read(send.send_key)).state is SendState.CONFIRMED


async def test_one_that_is_refused_does_not_hold_up_the_rest(till: Till) -> None:
    treasury = await till.treasury()
    await till.accept(intent("a"), intent("b"), intent("c"))
    await till.sender.sign_due()
    refused = intent("b").send_key
    till.chain.refuses = {refused}
    await till.sender.submit_signed()

    states = {name: (await till.read(intent(name).send_key)).state for name in "abc"}
    assert states == {
        "a": SendState.SUBMITTED,
        "b": SendState.SIGNED,
        "c": SendState.SUBMITTED,
    }
    waiting = await till.read(refused)
    assert waiting.waiting_for == "tron-client, which refused it: no good"
    assert (await till.position(treasury.address, Currency.USDT)).held == 3 * 25 * TRX

    till.chain.refuses = set()
    till.clock.advance(milliseconds=RETRY_MS)
    await till.sender.submit_signed()
    assert (await till.read(refused)).state is SendState.SUBMITTED


async def test_a_refused_one_at_the_front_goes_behind_the_others(till: Till) -> None:
    await till.treasury()
    one_by_one = till_on(
        till.storage,
        clock=till.clock,
        chain=till.chain,
        vault=till.vault,
        ids=itertools.count(100),
        rules=rules(batch=1),
    )
    for name in ("a", "b"):
        await till.signed(intent(name))
    till.chain.refuses = {intent("a").send_key}

    assert await one_by_one.sender.submit_signed()
    assert await one_by_one.sender.submit_signed()
    assert not await one_by_one.sender.submit_signed()

    assert (await till.read(intent("b").send_key)).state is SendState.SUBMITTED
    assert till.chain.submissions == 2


class ChainWithAQuickFeed(Chain):
    """Plays a tron-client whose feed is heard before its reply to the submission."""

    till: Till
    state = TransactionState.CONFIRMED

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        answers = await super().submit(transactions)
        for one in transactions:
            send = await self.till.read(one.send_key)
            await self.till.verdicts(fate(send, self.state))
        return answers


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (TransactionState.INCLUDED, SendState.SEEN),
        (TransactionState.CONFIRMED, SendState.CONFIRMED),
        (TransactionState.FAILED, SendState.FAILED),
        (TransactionState.EXPIRED, SendState.QUEUED),
    ],
)
async def test_a_verdict_quicker_than_the_reply_stands(
    till: Till, state: TransactionState, after: SendState
) -> None:
    await till.treasury()
    await till.signed(intent())
    quick = ChainWithAQuickFeed(till.clock)
    quick.till, quick.state = till, state
    submitting = till_on(
        till.storage,
        clock=till.clock,
        chain=quick,
        vault=till.vault,
        ids=itertools.count(100),
        rules=rules(),
    )

    await submitting.sender.submit_signed()

    assert (await till.read(intent().send_key)).state is after


async def test_nothing_signed_means_nothing_to_submit(till: Till) -> None:
    await till.treasury()
    await till.taken(intent())

    assert await till.sender.submit_signed() is False
    assert till.chain.submissions == 0


async def test_the_loops_are_woken_when_there_is_work(till: Till) -> None:
    await till.treasury()
    woken: list[str] = []
    till.sender.when_there_is_work(
        sign=lambda: woken.append("sign"), submit=lambda: woken.append("submit")
    )
    await till.taken(intent())
    await till.taken(intent())
    await till.sender.sign_due()

    assert woken == ["sign", "submit"]


async def test_h5_a_tron_client_that_lost_its_records_is_given_all_that_is_under_way(
    till: Till,
) -> None:
    await till.treasury()
    sends = [await till.submitted(intent(f"number-{number}")) for number in range(3)]
    before = list(till.chain.received)
    till.chain.received.clear()

    await till.sender.hand_over_again()

    assert sorted(one.raw_data for one in till.chain.received) == sorted(
        one.raw_data for one in before
    )
    for send in sends:
        assert (await till.read(send.send_key)).state is SendState.SUBMITTED
