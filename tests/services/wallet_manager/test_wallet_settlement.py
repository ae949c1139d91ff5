"""What each kind books: stakes as the receipt says, never as they were meant."""

import pytest

from services.wallet_manager.domain.books import Stirred, settlement, staked, unfreezing
from services.wallet_manager.domain.sends import Send
from shared.models.wallet_sends import Purpose, SendKind
from shared.money import Currency
from shared.tron.operation import Resource
from tests.services.wallet_manager.till import CUSTOMER, STRANGER, USDT

STIRRED = Stirred(claimed_sun=5, withdrawn_sun=7, restaked_sun=11)
STAKE, THAW = staked(STRANGER), unfreezing(STRANGER)


def send(kind: SendKind) -> Send:
    return Send(
        id="snd_1",
        send_key="trx-staking:a:0",
        origin_service="trx-staking",
        origin_principal="ada",
        purpose=Purpose.STAKE,
        wallet_id="wal_1",
        owner=STRANGER,
        kind=kind,
        recipient=CUSTOMER,
        contract=USDT,
        amount=100,
        resource=Resource.ENERGY,
        max_fee_sun=1,
        not_after_ms=1,
        due_ms=1,
        created_at_ms=1,
        updated_at_ms=1,
    )


@pytest.mark.parametrize(
    ("kind", "moved"),
    [
        (SendKind.TRX_TRANSFER, {STRANGER: -100, "chain": 100}),
        (SendKind.FREEZE_BALANCE, {STRANGER: -100, STAKE: 100}),
        (SendKind.UNFREEZE_BALANCE, {STAKE: -100, THAW: 93, STRANGER: 7}),
        (SendKind.CANCEL_UNFREEZE, {THAW: -18, STAKE: 11, STRANGER: 7}),
        (SendKind.WITHDRAW_UNFROZEN, {THAW: -7, STRANGER: 7}),
        (SendKind.CLAIM_REWARDS, {"chain": -5, STRANGER: 5}),
        (SendKind.DELEGATE, {}),
        (SendKind.UNDELEGATE, {}),
        (SendKind.VOTE, {}),
        (SendKind.TRC20_APPROVE, {}),
        (SendKind.ACCOUNT_ACTIVATE, {}),
        (SendKind.PERMISSION_UPDATE, {}),
        (SendKind.CONTRACT_CALL, {}),
    ],
)
def test_each_kind_books_what_moved(kind: SendKind, moved: dict[str, int]) -> None:
    postings = settlement(send(kind), executed=True, fee_sun=3, stirred=STIRRED)
    sums: dict[str, int] = {}
    for posting in postings:
        assert posting.currency is Currency.TRX
        sums[posting.account] = sums.get(posting.account, 0) + posting.amount

    expected = dict(moved)
    expected[STRANGER] = expected.get(STRANGER, 0) - 3
    assert sums == expected | {"fees": 3}
    assert sum(sums.values()) == 0


@pytest.mark.parametrize("kind", SendKind)
def test_a_failed_one_of_any_kind_books_its_fee_alone(kind: SendKind) -> None:
    postings = settlement(send(kind), executed=False, fee_sun=3, stirred=STIRRED)

    assert {(one.account, one.amount) for one in postings} == {(STRANGER, -3), ("fees", 3)}
