from __future__ import annotations

import coincurve
import pytest

from devnet import address
from devnet.blocks import block_id_of, transaction_root, txid_of
from devnet.chain_pb2 import Transaction
from devnet.genesis import (
    CHAIN_ID,
    GENESIS_BLOCK_ID,
    WITNESSES,
    ForeignGenesisError,
    check_own,
    genesis_block,
    genesis_id,
)
from devnet.items import opened
from devnet.json_format import parsed_transaction, printed_transaction
from devnet.keys import recover

USDT_RAW = (
    "0a025313220846a60be20a563ff140c0b7e9c0b7335aae01081f12a9010a31747970652e676f6f676c6561706973"
    "2e636f6d2f70726f746f636f6c2e54726967676572536d617274436f6e747261637412740a1541db5f3f3a9798f3"
    "d1f89b2f12b6acda2fb3c91f80121541a614f803b6fd780986a42c78ec9c7f77e6ded13c2244a9059cbb00000000"
    "000000000000000029228e5d382b7a2c2a0dbc05e6d6507f4dbb3bbe000000000000000000000000000000000000"
    "0000000000000000000001cfe2eb70e7d3d3c0b733900180c2d72f"
)
USDT_SIGNATURE = (
    "99560ec38b72b17cb7d409b3a7799ee2486f85d37d1d93c382264a4bc57864744f90d2053c6da8cbf8e15f88cb6c"
    "c7c12629272c0b834d1c0f3002710bc2fdeb01"
)
TRX_RAW = (
    "0a02fdf622084cd898aed8ce5d1440f0d2ccf1fd315a65080112610a2d747970652e676f6f676c65617069732e63"
    "6f6d2f70726f746f636f6c2e5472616e73666572436f6e747261637412300a15419b3281a60ab7a44f351ef2896c"
    "653f134972ad2212154105cc125604448afeb6867eb688efb7e80411d57a1805709c91c9f1fd31"
)
TRX_SIGNATURE = (
    "c1c0b1ad18f56248ebc6820c611cd65683cef6b5deed8002246cc00df7e79f9f73d48c35b8c2e41694ef23c8020a"
    "b8c578c0aa57b7e079683f322e45c88b0e0700"
)
TWO_TRX_RAW = (
    "0a0229382208d1bf54ec9e8dec0140a0d7ffcef9315a67080112630a2d747970652e676f6f676c65617069732e63"
    "6f6d2f70726f746f636f6c2e5472616e73666572436f6e747261637412320a154105cc125604448afeb6867eb688"
    "efb7e80411d57a121541a2ff80f95ce3740235dc46a4dffe00d9f9b91f371880897a7085b5d7cef931"
)
VOTE_RAW = (
    "0a02d6462208adf9d05a6eda024540f0c6bda9ab305a6a080412660a30747970652e676f6f676c65617069732e63"
    "6f6d2f70726f746f636f6c2e566f74655769746e657373436f6e747261637412320a154105cc125604448afeb686"
    "7eb688efb7e80411d57a12190a15416758a9b1ed67eeaf14534ce6b770b83e4d7e7528100170aefcb9a9ab30"
)
DOCUMENTED_RAW = (
    "0a0229272208939ece39d08a7abe40d8c483c1dd335a67080112630a2d747970652e676f6f676c65617069732e63"
    "6f6d2f70726f746f636f6c2e5472616e73666572436f6e747261637412320a1541dd791d6b49e190062d650e6a23"
    "c575510d35f2f912154192ad11c1bf16b3b14b0bd6b5c7e2db73a0b5e83a18c0843d70d68780c1dd33"
)
SIGNED = [
    (
        USDT_RAW,
        USDT_SIGNATURE,
        "e122cba603b48ee234807f91859a04dbc4728f1b215d5c9c05385733bca674bc",
        "TVy95wrbDgQ8NA3XT8qKqwC6YBsFTPHtFF",
        345,
    ),
    (
        TRX_RAW,
        TRX_SIGNATURE,
        "47086db397eac45d2fe7dacedcb6f77267d6895dce645210e495e64f8a2a7910",
        "TQ7pF3NTDL2Tjz5rdJ6ECjQWjaWHpLZJMH",
        265,
    ),
]


def transaction_of(raw_hex: str, signature_hex: str = "00" * 65) -> Transaction:
    return Transaction(
        raw_data=Transaction.raw.FromString(bytes.fromhex(raw_hex)),
        signature=[bytes.fromhex(signature_hex)],
    )


@pytest.mark.parametrize(("raw", "signature", "txid", "signer", "size"), SIGNED)
def test_a_mainnet_transaction_has_its_id_signer_and_size(
    raw: str, signature: str, txid: str, signer: str, size: int
) -> None:
    item = opened(transaction_of(raw, signature))

    assert item.txid.hex() == txid
    assert item.transaction.raw_data.SerializeToString().hex() == raw
    assert address.to_base58(recover(item.txid, bytes.fromhex(signature))) == signer
    assert item.size_bytes == size


@pytest.mark.parametrize("raw", [USDT_RAW, TRX_RAW, TWO_TRX_RAW, DOCUMENTED_RAW])
@pytest.mark.parametrize("visible", [True, False])
def test_json_and_back_keeps_every_byte(raw: str, *, visible: bool) -> None:
    shown = printed_transaction(transaction_of(raw), visible=visible)

    again = parsed_transaction({**shown, "visible": visible})

    assert again == transaction_of(raw)
    assert shown["raw_data_hex"] == raw


@pytest.mark.parametrize(("raw", "size"), [(TWO_TRX_RAW, 267), (VOTE_RAW, 270)])
def test_sizes_are_those_that_mainnet_charged(raw: str, size: int) -> None:
    assert transaction_of(raw).ByteSize() + 64 == size


def test_the_documented_transaction_has_the_documented_id() -> None:
    assert txid_of(transaction_of(DOCUMENTED_RAW)).hex() == (
        "6303c7639f591407ef9f34a7ac8c9c9a21151f5a6af21924502515734fc267ab"
    )


@pytest.mark.parametrize("header", [0, 27, 31])
def test_a_signature_may_carry_any_known_header(header: int) -> None:
    key = WITNESSES[0]
    digest = bytes(range(32))
    signature = key.sign(digest)

    assert recover(digest, signature[:64] + bytes([signature[64] + header])) == key.address


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        (b"", "Signature size is 0"),
        (bytes(69), "Signature size is 69"),
        (bytes(65), "Could not recover public key from signature"),
        (b"\xff" * 65, "Header byte out of range: 26"),
        (bytes(64) + b"\x80", "Header byte out of range: -101"),
        (bytes(64) + b"\x23", "Header byte out of range: 35"),
    ],
)
def test_an_impossible_signature_is_nobodys(signature: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        recover(bytes(32), signature)


def test_the_genesis_block_never_changes() -> None:
    assert genesis_id().hex() == GENESIS_BLOCK_ID
    assert GENESIS_BLOCK_ID == "000000000000000041e58762520e288c31f9ee31bb420641b93c2e5d747f7747"
    assert CHAIN_ID == 0x747F7747
    assert len({key.address for key in WITNESSES}) == 27
    check_own(block_id_of(genesis_block().block_header))


@pytest.mark.parametrize(
    ("block_id", "network"),
    [
        ("00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc", "mainnet"),
        ("0000000000000000de1aa88295e1fcf982742f773e0419c5a9c134c994a9059e", "Shasta"),
        ("0000000000000000d698d4192c56cb6be724a558448e2684802de4d6cd8690dc", "Nile"),
        ("00" * 32, "not the devnet"),
    ],
)
def test_a_foreign_genesis_block_is_refused(block_id: str, network: str) -> None:
    with pytest.raises(ForeignGenesisError, match=network):
        check_own(bytes.fromhex(block_id))


def test_the_root_of_nothing_is_zero_and_an_odd_leaf_is_carried_up() -> None:
    one, two, three = (transaction_of(raw) for raw in (USDT_RAW, TRX_RAW, VOTE_RAW))

    assert transaction_root([]) == bytes(32)
    roots = {transaction_root(each) for each in ([one], [one, two], [one, two, three])}
    assert len(roots) == 3


def test_key_one_has_its_published_address() -> None:
    public = coincurve.PrivateKey((1).to_bytes(32, "big")).public_key
    assert address.to_base58(address.of_public_key(public)) == "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
