import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.models.payment_gateway import InvoiceRequest
from shared.models.payout_router import BatchRequest, PayoutRequest
from shared.models.trx_staking import StakeRequest
from shared.models.wallet_manager import WalletView
from shared.models.wallet_sends import Intent
from shared.models.wire import (
    AmountText,
    BaseUnitsText,
    ConsumerRequest,
    NaturalId,
    Request,
    SendKeyText,
    TxidText,
    View,
    time_or_none,
)
from tests.support import address, wallet_view

PAYOUT: dict[str, Any] = {"user_id": "ada", "amount": "12.50", "recipient_address": address(1)}


def reasons(refusal: pytest.ExceptionInfo[ValidationError]) -> dict[str, str]:
    return {
        ".".join(map(str, error["loc"])): error["msg"]
        for error in refusal.value.errors(include_input=False)
    }


def test_an_amount_is_kept_in_one_form() -> None:
    assert PayoutRequest.model_validate(PAYOUT).amount == "12.5"


@pytest.mark.parametrize("amount", [12, 12.5, True, None, ["1"]])
@pytest.mark.parametrize("model", [PayoutRequest, InvoiceRequest, StakeRequest])
def test_an_amount_that_is_a_json_number_is_refused_with_what_to_send(
    model: type[BaseModel], amount: object
) -> None:
    with pytest.raises(ValidationError) as refusal:
        model.model_validate_json(json.dumps({**PAYOUT, "amount": amount}))
    assert "must be a decimal string" in reasons(refusal)["amount"]


@pytest.mark.parametrize("amount", ["0", "0.000000", "-1", "1e3", "1.1234567", "", "9" * 20])
def test_an_amount_that_cannot_be_paid_is_refused(amount: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        PayoutRequest.model_validate({**PAYOUT, "amount": amount})
    assert list(reasons(refusal)) == ["amount"]


def test_an_amount_inside_a_batch_is_refused_with_its_place() -> None:
    items = [PAYOUT, {**PAYOUT, "amount": 3}]
    with pytest.raises(ValidationError) as refusal:
        BatchRequest.model_validate({"payouts": items})
    assert list(reasons(refusal)) == ["payouts.1.amount"]


def test_an_unknown_field_of_a_request_is_refused() -> None:
    with pytest.raises(ValidationError) as refusal:
        PayoutRequest.model_validate({**PAYOUT, "ammount": "1"})
    assert list(reasons(refusal)) == ["ammount"]


def test_a_refusal_does_not_show_what_was_sent() -> None:
    with pytest.raises(ValidationError) as refusal:
        PayoutRequest.model_validate({**PAYOUT, "amount": "hush", "token": "hush"})
    assert "hush" not in str(refusal.value)


def test_an_unknown_field_of_a_view_is_ignored() -> None:
    told = {**wallet_view().model_dump(mode="json"), "invented_later": 1}
    assert WalletView.model_validate(told) == wallet_view()


def test_requests_and_views_are_frozen_and_know_their_fields() -> None:
    for model in (*subclasses(Request), *subclasses(View)):
        assert model.model_config["frozen"], model
    assert {model.model_config["extra"] for model in subclasses(Request)} == {"forbid"}
    assert {model.model_config["extra"] for model in subclasses(View)} == {"ignore"}


def test_no_request_takes_a_float() -> None:
    for model in subclasses(Request):
        for name, field in model.model_fields.items():
            assert "float" not in str(field.annotation), f"{model.__name__}.{name}"


def subclasses(model: type[BaseModel]) -> list[type[BaseModel]]:
    below = model.__subclasses__()
    return [*below, *(deeper for one in below for deeper in subclasses(one))]


@pytest.mark.parametrize("position", range(34))
def test_an_address_with_a_wrong_character_is_refused(position: int) -> None:
    good = address(12_345)
    other = "2" if good[position] != "2" else "3"
    wrong = good[:position] + other + good[position + 1 :]
    with pytest.raises(ValidationError) as refusal:
        PayoutRequest.model_validate({**PAYOUT, "recipient_address": wrong})
    assert list(reasons(refusal)) == ["recipient_address"]
    assert wrong not in reasons(refusal)["recipient_address"]


@pytest.mark.parametrize(
    "wrong", ["", "T", "41" + "0" * 40, "0x" + "0" * 40, " ", 7, None, "T" * 99]
)
def test_what_is_no_address_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        PayoutRequest.model_validate({**PAYOUT, "recipient_address": wrong})


base_units: TypeAdapter[str] = TypeAdapter(BaseUnitsText)


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_base_units_reach_to_the_largest_token_amount(units: int) -> None:
    assert base_units.validate_python(str(units)) == str(units)


@pytest.mark.parametrize(
    "value", [1, 1.5, "", "-1", "+1", "01", "1.0", " 1", "1\n", "\u0661", "\u00b2", "9" * 79]
)
def test_what_is_no_whole_number_of_base_units_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        base_units.validate_python(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SendKeyText, "payout-router:po_1:01"),
        (SendKeyText, "payout-router:po_1:-1"),
        (SendKeyText, "payout-router:po_1"),
        (SendKeyText, "payout-router:po_1:0\n"),
        (SendKeyText, "payout-router::0"),
        (TxidText, "A" * 64),
        (TxidText, "a" * 63),
        (TxidText, "a" * 64 + "\n"),
        (NaturalId, ""),
        (NaturalId, "a b"),
        (NaturalId, "a\n"),
        (NaturalId, "\u00e4"),
        (NaturalId, "x" * 256),
        (AmountText, "1\n"),
    ],
)
def test_what_looks_almost_right_is_refused(kind: Any, value: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_an_intent_says_everything_and_nothing_else() -> None:
    intent = {
        "send_key": "payout-router:po_1:0",
        "origin": {"service": "payout-router", "principal": "lucid-operator/ada"},
        "purpose": "payout",
        "wallet_id": "wal_1",
        "kind": "trc20_transfer",
        "params": {"amount_base_units": "1", "recipient": address(1)},
        "max_fee_sun": "1",
        "not_after": 1,
    }
    assert Intent.model_validate(intent).send_key == "payout-router:po_1:0"
    for params in ({"amount_base_units": 1}, {"amount_base_units": "1", "memo": "x"}):
        with pytest.raises(ValidationError):
            Intent.model_validate({**intent, "params": params})


def test_annotated_fields_keep_their_limits_inside_lists() -> None:
    keys = TypeAdapter(Annotated[list[SendKeyText], "keys"])
    with pytest.raises(ValidationError):
        keys.validate_python(["payout-router:po_1:0", "nonsense"])


def test_a_moment_may_be_absent() -> None:
    assert time_or_none(None) is None
    assert time_or_none(0) == "1970-01-01T00:00:00.000Z"
    assert ConsumerRequest(cursor="").cursor == ""
