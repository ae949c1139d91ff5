import itertools

import pytest

from services.wallet_manager.domain.meaning import ImpossibleSend
from services.wallet_manager.domain.policy import PolicyRefusal, check
from shared.config import SERVICES
from shared.models.wallet_sends import Purpose, SendKind
from tests.services.wallet_manager.till import intent

TRX, TOKEN = SendKind.TRX_TRANSFER, SendKind.TRC20_TRANSFER
FREEZE, UNFREEZE = SendKind.FREEZE_BALANCE, SendKind.UNFREEZE_BALANCE

GRANTED = {
    ("payout-router", Purpose.PAYOUT, TRX),
    ("payout-router", Purpose.PAYOUT, TOKEN),
    ("payment-gateway", Purpose.PAYMENT, TRX),
    ("payment-gateway", Purpose.PAYMENT, TOKEN),
    ("payment-gateway", Purpose.REFUND, TRX),
    ("payment-gateway", Purpose.REFUND, TOKEN),
    ("payment-gateway", Purpose.SWEEP, TRX),
    ("payment-gateway", Purpose.SWEEP, TOKEN),
    ("payment-gateway", Purpose.ACTIVATION, TRX),
    ("payment-gateway", Purpose.FEE_TOP_UP, TRX),
    ("trx-staking", Purpose.STAKE, FREEZE),
    ("trx-staking", Purpose.STAKE, UNFREEZE),
    ("trx-staking", Purpose.STAKE, SendKind.CANCEL_UNFREEZE),
    ("trx-staking", Purpose.STAKE, SendKind.WITHDRAW_UNFROZEN),
    ("trx-staking", Purpose.STAKE, SendKind.DELEGATE),
    ("trx-staking", Purpose.STAKE, SendKind.UNDELEGATE),
    ("trx-staking", Purpose.STAKE, SendKind.VOTE),
    ("trx-staking", Purpose.STAKE, SendKind.CLAIM_REWARDS),
    ("payment-gateway", Purpose.ACTIVATION, SendKind.ACCOUNT_ACTIVATE),
    ("usdt-manager", Purpose.ALLOWANCE, SendKind.TRC20_APPROVE),
    ("payout-router", Purpose.MAINTENANCE, SendKind.PERMISSION_UPDATE),
    ("payout-router", Purpose.MAINTENANCE, SendKind.CONTRACT_CALL),
}
CALLERS = (*SERVICES, "lucid-operator", None)


@pytest.mark.parametrize("caller", CALLERS)
def test_h18_everything_that_is_not_granted_is_refused(caller: str | None) -> None:
    for origin, purpose, kind in itertools.product(SERVICES, Purpose, SendKind):
        asked = intent(origin=origin, purpose=purpose, kind=kind)
        carried = caller == "usdt-manager" and kind is TOKEN
        allowed = (origin, purpose, kind) in GRANTED and (caller == origin or carried)
        if allowed:
            check(asked, caller=caller)
            continue
        with pytest.raises(PolicyRefusal):
            check(asked, caller=caller)


def test_h18_a_send_key_of_another_service_is_refused() -> None:
    stolen = intent().model_copy(update={"send_key": "payment-gateway:po_1:0"})

    with pytest.raises(PolicyRefusal) as refusal:
        check(stolen, caller="payout-router")

    assert refusal.value.facts["rule"] == "send_key_origin"


def test_h18_usdt_manager_begins_allowances_alone() -> None:
    for purpose, kind in itertools.product(Purpose, SendKind):
        if ("usdt-manager", purpose, kind) in GRANTED:
            continue
        with pytest.raises(PolicyRefusal):
            check(intent(origin="usdt-manager", purpose=purpose, kind=kind), caller="usdt-manager")


@pytest.mark.parametrize("key", ["payout-router:po_1:00", "payout-router:po_1:01"])
def test_an_ordinal_with_a_leading_zero_is_no_second_name(key: str) -> None:
    with pytest.raises(ImpossibleSend):
        check(intent().model_copy(update={"send_key": key}), caller="payout-router")
