import pytest
from eth_abi.abi import encode as eth_encode
from hypothesis import given
from hypothesis import strategies as st

from shared.tron.abi import (
    TRANSFER_TOPIC,
    InvalidAbi,
    TransferLog,
    decode_bool,
    decode_revert_reason,
    decode_string,
    decode_transfer_log,
    decode_uint256,
    encode_allowance,
    encode_approve,
    encode_balance_of,
    encode_decimals,
    encode_is_black_listed,
    encode_paused,
    encode_symbol,
    encode_transfer,
)
from shared.tron.address import InvalidAddress, address_from_bytes, parse_address
from shared.tron.keccak import keccak256

USDT = parse_address("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")
USDT_HEX = "a614f803b6fd780986a42c78ec9c7f77e6ded13c"
ALICE = address_from_bytes(b"\1" * 20)
BOB = address_from_bytes(b"\2" * 20)
ALICE_WORD = "00" * 12 + "01" * 20
BOB_WORD = "00" * 12 + "02" * 20


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("encoded", "signature", "arguments"),
    [
        (encode_transfer(BOB, 7), b"transfer(address,uint256)", BOB_WORD + f"{7:064x}"),
        (encode_approve(BOB, 0), b"approve(address,uint256)", BOB_WORD + f"{0:064x}"),
        (encode_balance_of(ALICE), b"balanceOf(address)", ALICE_WORD),
        (encode_allowance(ALICE, BOB), b"allowance(address,address)", ALICE_WORD + BOB_WORD),
        (encode_is_black_listed(BOB), b"isBlackListed(address)", BOB_WORD),
        (encode_paused(), b"paused()", ""),
        (encode_decimals(), b"decimals()", ""),
        (encode_symbol(), b"symbol()", ""),
    ],
)
def test_a_call_is_its_selector_and_its_words(
    encoded: bytes, signature: bytes, arguments: str
) -> None:
    assert encoded == keccak256(signature)[:4] + bytes.fromhex(arguments)


def test_the_transfer_topic_is_that_of_the_event() -> None:
    assert keccak256(b"Transfer(address,address,uint256)").hex() == TRANSFER_TOPIC


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**256 - 1))
def test_arguments_are_those_of_eth_abi(raw: bytes, amount: int) -> None:
    expected = eth_encode(["address", "uint256"], [raw, amount])
    assert encode_transfer(address_from_bytes(raw), amount)[4:] == expected


@pytest.mark.parametrize("amount", [-1, 2**256, True])
def test_only_unsigned_words_are_encoded(amount: int) -> None:
    with pytest.raises(InvalidAbi):
        encode_transfer(BOB, amount)


@given(st.integers(0, 2**256 - 1))
def test_a_number_is_exactly_one_word(number: int) -> None:
    assert decode_uint256(word(number)) == number
    for data in (b"", word(number)[1:], word(number) + b"\0"):
        with pytest.raises(InvalidAbi):
            decode_uint256(data)


def test_a_boolean_is_zero_or_one() -> None:
    assert decode_bool(word(1)) is True
    assert decode_bool(word(0)) is False
    for data in (b"", b"\1", word(2), word(1) * 2):
        with pytest.raises(InvalidAbi):
            decode_bool(data)


@given(st.text(max_size=100))
def test_a_string_survives_eth_abi(text: str) -> None:
    assert decode_string(eth_encode(["string"], [text])) == text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        word(32),
        b"USDT".ljust(32, b"\0"),
        word(64) + word(4) + b"USDT".ljust(32, b"\0"),
        word(32) + word(4) + b"USDT",
        word(32) + word(4) + b"USDT".ljust(33, b"\0"),
        word(32) + word(4) + b"USDT".ljust(64, b"\0"),
        word(32) + word(3) + b"USDT".ljust(32, b"\0"),
        word(32) + word(2**256 - 1) + b"USDT".ljust(32, b"\0"),
        word(32) + word(1025) + bytes(1056),
        word(32) + word(1) + b"\xff".ljust(32, b"\0"),
    ],
)
def test_a_malformed_string_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidAbi):
        decode_string(data)


@pytest.mark.parametrize("address", [USDT_HEX, "41" + USDT_HEX, USDT_HEX.upper()])
@pytest.mark.parametrize("junk", ["00" * 12, "00" * 11 + "41", "ff" * 12])
def test_a_transfer_is_read_from_the_last_twenty_bytes(address: str, junk: str) -> None:
    topics = [TRANSFER_TOPIC, junk + "01" * 20, junk + "02" * 20]
    log = decode_transfer_log(address, topics, f"{2**200:064x}")
    assert log == TransferLog(contract=USDT, sender=ALICE, recipient=BOB, value=2**200)


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ([], ""),
        ([TRANSFER_TOPIC], f"{1:064x}"),
        ([TRANSFER_TOPIC, ALICE_WORD, BOB_WORD, f"{1:064x}"], ""),
        (["00" * 32, ALICE_WORD, BOB_WORD], f"{1:064x}"),
        ([TRANSFER_TOPIC, ALICE_WORD, BOB_WORD], ""),
        ([TRANSFER_TOPIC, ALICE_WORD, BOB_WORD], f"{1:064x}" * 2),
        ([TRANSFER_TOPIC, ALICE_WORD, BOB_WORD], "0x" + f"{1:062x}"),
        ([TRANSFER_TOPIC, ALICE_WORD[2:], BOB_WORD], f"{1:064x}"),
        ([TRANSFER_TOPIC, ALICE_WORD, " " * 64], f"{1:064x}"),
    ],
)
def test_what_is_no_token_transfer_is_none(topics: list[str], data: str) -> None:
    assert decode_transfer_log(USDT_HEX, topics, data) is None


def test_a_transfer_of_no_contract_is_refused() -> None:
    with pytest.raises(InvalidAddress):
        decode_transfer_log("00", [TRANSFER_TOPIC, ALICE_WORD, BOB_WORD], f"{1:064x}")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes.fromhex("08c379a0") + eth_encode(["string"], ["not enough"]), "not enough"),
        (bytes.fromhex("4e487b71") + word(0x11), "panic 0x11"),
        (bytes.fromhex("4e487b71") + word(1), "panic 0x01"),
        (bytes.fromhex("4e487b71"), None),
        (bytes.fromhex("08c379a0") + word(32), None),
        (bytes.fromhex("deadbeef") + word(1), None),
        (b"", None),
    ],
)
def test_a_revert_reason_is_told_if_there_is_one(data: bytes, reason: str | None) -> None:
    assert decode_revert_reason(data) == reason
