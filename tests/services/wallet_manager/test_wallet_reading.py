"""What a transaction says is read back into the very send that makes it (H5)."""

from typing import get_args

import pytest

from services.wallet_manager.domain.meaning import operation_of
from services.wallet_manager.domain.reading import KINDS, facts_of, likely_purpose, meaning_of
from shared.models.wallet_sends import Purpose, SendKind
from shared.tron.operation import (
    ApproveTrc20,
    CallContract,
    CancelUnfreezes,
    ClaimRewards,
    CreateAccount,
    DelegateResource,
    FreezeBalance,
    Operation,
    Permission,
    Resource,
    TransferTrc20,
    TransferTrx,
    UndelegateResource,
    UnfreezeBalance,
    UpdatePermissions,
    Votes,
    VoteWitnesses,
    WeightedKey,
    WithdrawUnfrozen,
)
from tests.services.wallet_manager.till import CUSTOMER, STRANGER, TRX, USDT
from tests.support import address

OWNER = address(1)
KEY = WeightedKey(address=STRANGER, weight=1)
ENERGY = Resource.ENERGY

OPERATIONS: list[Operation] = [
    TransferTrx(owner=OWNER, to=CUSTOMER, amount_sun=TRX),
    TransferTrc20(owner=OWNER, contract=USDT, to=CUSTOMER, amount=TRX),
    ApproveTrc20(owner=OWNER, contract=USDT, spender=CUSTOMER, amount=TRX),
    CallContract(owner=OWNER, contract=USDT, data=bytes.fromhex("01020304")),
    CreateAccount(owner=OWNER, account=CUSTOMER),
    FreezeBalance(owner=OWNER, amount_sun=TRX, resource=ENERGY),
    UnfreezeBalance(owner=OWNER, amount_sun=TRX, resource=Resource.BANDWIDTH),
    CancelUnfreezes(owner=OWNER),
    WithdrawUnfrozen(owner=OWNER),
    DelegateResource(owner=OWNER, to=CUSTOMER, amount_sun=TRX, resource=ENERGY),
    DelegateResource(
        owner=OWNER,
        to=CUSTOMER,
        amount_sun=TRX,
        resource=ENERGY,
        is_locked=True,
        lock_blocks=28_800,
    ),
    UndelegateResource(owner=OWNER, to=CUSTOMER, amount_sun=TRX, resource=ENERGY),
    VoteWitnesses(owner=OWNER, votes=(Votes(witness=STRANGER, count=3),)),
    ClaimRewards(owner=OWNER),
    UpdatePermissions(
        owner=OWNER,
        owner_permission=Permission(name="owner", threshold=1, keys=(KEY,)),
        actives=(
            Permission(name="active", threshold=1, keys=(KEY,), operations=b"\x7f" + bytes(31)),
        ),
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: type(one).__name__)
def test_h5_every_operation_is_read_back_into_what_makes_it(operation: Operation) -> None:
    assert operation_of(meaning_of(operation)) == operation


def test_every_operation_that_is_signed_has_its_kind() -> None:
    assert set(KINDS) == set(get_args(Operation)) == {type(one) for one in OPERATIONS}
    assert sorted(KINDS.values()) == sorted(SendKind)


def test_h4_facts_differ_whenever_the_operations_do() -> None:
    assert len({facts_of(one) for one in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize(
    ("origin", "kind", "is_to_own", "purpose"),
    [
        ("payout-router", SendKind.TRC20_TRANSFER, False, Purpose.PAYOUT),
        ("trx-staking", SendKind.VOTE, False, Purpose.STAKE),
        ("payment-gateway", SendKind.TRC20_TRANSFER, True, Purpose.SWEEP),
        ("payment-gateway", SendKind.TRX_TRANSFER, True, Purpose.FEE_TOP_UP),
        ("payment-gateway", SendKind.TRC20_TRANSFER, False, Purpose.PAYMENT),
    ],
)
def test_a_purpose_that_was_lost_is_guessed_from_who_asked(
    origin: str, kind: SendKind, *, is_to_own: bool, purpose: Purpose
) -> None:
    assert likely_purpose(origin, kind, is_to_own=is_to_own) is purpose
