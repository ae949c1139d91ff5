import string

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tronpy.keys import to_base58check_address

from shared.tron.address import (
    Address,
    AddressFault,
    InvalidAddress,
    address_bytes,
    address_from_bytes,
    address_from_hex,
    address_from_public_key,
    evm_bytes,
    parse_address,
)

USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
USDT_HEX = "41a614f803b6fd780986a42c78ec9c7f77e6ded13c"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("text", "hexadecimal"),
    [
        (USDT, USDT_HEX),
        ("TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf", "41eca9bc828a3005b9a3b909f2cc5c2a54794de05f"),
        ("TXLAQ63Xg1NAzckPwKHvzw7CSEmLMEqcdj", "41ea51342dabbb928ae1e576bd39eff8aaf070a8c6"),
        ("TG3XXyExBkPp9nzdajDZsozEu4BkaSJozs", "4142a1e39aefa49290f2b3f9ed688d7cecf86cd6e0"),
        ("T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb", "41" + "00" * 20),
    ],
)
def test_published_addresses_have_their_bytes(text: str, hexadecimal: str) -> None:
    address = parse_address(text)
    assert address_bytes(address).hex() == hexadecimal
    assert evm_bytes(address).hex() == hexadecimal[2:]
    assert address_from_hex(hexadecimal) == address
    assert address_from_hex(hexadecimal[2:].upper()) == address


def test_the_black_hole_is_an_address() -> None:
    assert parse_address("TLsV52sRDL79HXGGm9yzwKibb6BeruhUzy")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", AddressFault.LENGTH),
        (USDT[:-1], AddressFault.LENGTH),
        (USDT + "t", AddressFault.LENGTH),
        (" " + USDT, AddressFault.LENGTH),
        (USDT + "\n", AddressFault.LENGTH),
        (USDT_HEX, AddressFault.LENGTH),
        (USDT_HEX[2:], AddressFault.LENGTH),
        ("0x" + USDT_HEX[2:], AddressFault.LENGTH),
        (" " + USDT[1:], AddressFault.CHARACTER),
        (USDT[:-1] + "\n", AddressFault.CHARACTER),
        (USDT[:-1] + "\u200b", AddressFault.CHARACTER),
        ("\u0422" + USDT[1:], AddressFault.CHARACTER),  # Cyrillic Te
        ("\uff34" + USDT[1:], AddressFault.CHARACTER),  # full-width T
        (USDT.replace("j", "\u0458"), AddressFault.CHARACTER),  # Cyrillic je
        (USDT.replace("8", "\u0668"), AddressFault.CHARACTER),  # Arabic-Indic eight
        (USDT.replace("o", "0"), AddressFault.CHARACTER),
        (USDT.replace("o", "O"), AddressFault.CHARACTER),
        (USDT.replace("L", "l"), AddressFault.CHARACTER),
        (USDT.replace("L", "I"), AddressFault.CHARACTER),
        (USDT[:-1] + "T", AddressFault.CHECKSUM),
        ("Tr" + USDT[2:], AddressFault.CHECKSUM),
        ("1" * 34, AddressFault.LENGTH),
        ("z" * 34, AddressFault.CHECKSUM),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", AddressFault.PREFIX),
        ("D7P2GXAj8EC4mUpLmaPXMDsTQGLbFVsYxS", AddressFault.CHECKSUM),
    ],
)
def test_what_is_no_address_is_refused_with_its_reason(text: str, reason: AddressFault) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)
    assert caught.value.reason is reason
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "0x" + USDT_HEX, "0x" + USDT_HEX[2:], USDT, USDT_HEX[:-1], "42" + USDT_HEX[2:],
     USDT_HEX + "00", " " + USDT_HEX[1:], USDT_HEX + "\n", "\uff11" * 40, "zz" * 20],
)  # fmt: skip
def test_what_is_no_hexadecimal_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        address_from_hex(text)


@pytest.mark.parametrize("raw", [b"", bytes(19), bytes(21), b"\x42" + bytes(20), bytes(22)])
def test_bytes_of_another_length_or_chain_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidAddress):
        address_from_bytes(raw)


@pytest.mark.parametrize("key", [b"", bytes(65), b"\x02" + bytes(32), b"\x04" + bytes(63)])
def test_only_uncompressed_public_keys_are_hashed(key: bytes) -> None:
    with pytest.raises(InvalidAddress):
        address_from_public_key(key)


@given(st.binary(min_size=20, max_size=20))
def test_bytes_survive_the_way_to_text_and_back(raw: bytes) -> None:
    address = address_from_bytes(raw)
    assert parse_address(str(address)) == address
    assert evm_bytes(address) == raw
    assert len(address) == 34
    assert address.startswith("T")
    assert address == to_base58check_address("41" + raw.hex())


@given(
    st.binary(min_size=20, max_size=20),
    st.integers(0, 33),
    st.sampled_from(BASE58 + string.whitespace + "0OIl"),
)
def test_one_wrong_character_is_always_noticed(raw: bytes, place: int, character: str) -> None:
    address = address_from_bytes(raw)
    changed = address[:place] + character + address[place + 1 :]
    if changed == address:
        return
    with pytest.raises(InvalidAddress):
        parse_address(changed)


@given(st.text(max_size=50))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidAddress:
        return
    assert address_from_bytes(address_bytes(address)) == text


def test_models_carry_an_address_as_plain_text() -> None:
    class Wire(pydantic.BaseModel):
        to: Address

    class Record(msgspec.Struct):
        to: Address

    address = parse_address(USDT)
    assert Wire(to=address).model_dump_json() == f'{{"to":"{USDT}"}}'
    assert msgspec.json.encode(Record(to=address)) == f'{{"to":"{USDT}"}}'.encode()
    assert type(address) is str
