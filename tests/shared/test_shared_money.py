import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import (
    MAX_BASE_UNITS,
    InvalidAmount,
    format_base_units,
    parse_base_units,
    parse_trx,
    parse_usdt,
)


@given(st.integers(min_value=0, max_value=MAX_BASE_UNITS))
def test_an_amount_survives_being_written_and_read(units: int) -> None:
    assert parse_base_units(format_base_units(units)) == units


@given(st.from_regex(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?", fullmatch=True))
def test_reading_agrees_with_moving_the_point(text: str) -> None:
    whole, _, decimals = text.partition(".")
    assert parse_base_units(text) == int(whole + decimals.ljust(6, "0"))


@given(st.integers(min_value=0, max_value=MAX_BASE_UNITS))
def test_a_written_amount_has_no_needless_zero(units: int) -> None:
    text = format_base_units(units)
    assert "." not in text or not text.endswith("0")
    assert not text.endswith(".")


@pytest.mark.parametrize(
    ("text", "units"),
    [("0", 0), ("12.5", 12_500_000), ("0.000001", 1), ("9223372036854.775807", MAX_BASE_UNITS)],
)
def test_amounts_are_read_into_base_units(text: str, units: int) -> None:
    assert parse_base_units(text) == units
    assert parse_trx(text) == units
    assert parse_usdt(text) == units


@pytest.mark.parametrize("value", [1, 1.5, 0.1, True, False, None, b"1", ["1"], {"amount": "1"}])
def test_what_is_no_text_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(InvalidAmount, match="not a JSON number"):
        parse_base_units(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        " 1",
        "1\n",
        "+1",
        "-1",
        "-0",
        "1e3",
        "1E3",
        "1_000",
        "1,000",
        "1,5",
        ".5",
        "5.",
        "01",
        "00",
        "0x10",
        "NaN",
        "Infinity",
        "1.2.3",
        "\uff11",
        "\u0661",
        "\u00b2",
        "1.\u0665",
        "1.0000000",
        "1.1234567",
    ],
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount, match="at most six decimals"):
        parse_base_units(text)


def test_more_than_the_chain_can_carry_is_refused() -> None:
    with pytest.raises(InvalidAmount, match="larger than the chain"):
        parse_base_units("9223372036854.775808")
    with pytest.raises(InvalidAmount):
        parse_base_units("9" * 1_000_000)


@given(st.text())
def test_any_other_text_is_refused_without_another_error(text: str) -> None:
    try:
        units = parse_base_units(text)
    except InvalidAmount:
        pass
    else:
        assert 0 <= units <= MAX_BASE_UNITS


@pytest.mark.parametrize("value", [1.0, 1.5, "1", True, None])
def test_only_whole_base_units_are_written(value: object) -> None:
    with pytest.raises(TypeError):
        format_base_units(value)  # type: ignore[arg-type]


def test_a_posting_out_is_written_with_its_sign() -> None:
    assert format_base_units(-1_500_000) == "-1.5"
    assert format_base_units(-1) == "-0.000001"


def test_a_float_that_came_through_json_never_becomes_an_amount() -> None:
    with pytest.raises(InvalidAmount):
        parse_base_units(json.loads('{"amount": 0.30000000000000004}')["amount"])
