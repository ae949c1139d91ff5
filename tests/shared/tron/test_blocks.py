import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tron import protocol_pb2 as pb
from shared.tron.address import address_bytes, parse_address
from shared.tron.blocks import (
    BlockHeader,
    BlockIdMismatch,
    InvalidHeader,
    block_id,
    header_signer,
    transaction_leaf,
    transaction_root,
    verify_block_id,
)
from shared.tron.networks import FACTS, Network
from shared.tron.signing import InvalidSignature
from shared.tron.transaction import signed_transaction

MAINNET_GENESIS = {
    "txTrieRoot": "8ef446bf3f395af929c218014f6101ec86576c5f61b2ae3236bf3a2ab5e2fecd",
    "parentHash": "e58f33f9baf9305dc6f82b9f1934ea8f0ade2defb951258d50167028c780351f",
    "witness_address": (
        b"A new system must allow existing systems to be linked together without requiring any "
        b"central control or coordination"
    ).hex(),
}
BLOCKS = [
    {
        "id": "000000000035e1c0f60afaa8387fd17fd9b84fe4381265ff084d739f814558ea",
        "header": {
            "number": 3531200,
            "txTrieRoot": "9d98f6cbbde8302774ab87c003831333e132c89e00009cb1f7da35e1e59ae8ca",
            "witness_address": "41d1dbde8b8f71b48655bec4f6bb532a0142b88bc0",
            "parentHash": "000000000035e1bfb3b6f244e5316ce408aa8cea4c348eabe2545247f5a4600c",
            "version": 3,
            "timestamp": 1540545240000,
        },
        "signature": "6ceedcacd8d0111b48eb4131484de3d13f27a2f4bd8156279d03d4208690158e"
        "20a641b77d900e026ee33adc328f9ec674f6483ea7b1ca5a27fa24d7fb23964100",
    },
    {
        "id": "0000000000c9e803d5258a17e15172768b41ffb69e857530e7d9f7a92ccb78e8",
        "header": {
            "number": 13232131,
            "txTrieRoot": "1b8e8977290caedf6de737f3e42d142c5c603d20d46942bb47a75963ec78709d",
            "witness_address": "41ad3353aa1343b90a311f09b784c76f089d278232",
            "parentHash": "0000000000c9e802e54079a6a84e92315f8b8dbcbefd9b151dc2317d27523049",
            "version": 20,
            "timestamp": 1615967187000,
        },
        "signature": "aa4ed732351f8abda25ce74255393dbeff305d132d4d25d5839dffed0298be6e"
        "67e9d4672ad404f9b198854c6378b25bed3759995c249278e5c0f1d489ff910201",
    },
    {
        "id": "00000000011918071ecc35c6178f7cea6abf0a0747cf1084b43c9660bd02eb24",
        "header": {
            "number": 18421767,
            "txTrieRoot": "00" * 32,
            "witness_address": "41839d08f05ade5b365e81d1a66c20af13ebb2991d",
            "parentHash": "0000000001191806eeaac4f94195754bab81a6da304f839f15f12ba874e57884",
            "version": 22,
            "timestamp": 1631928606000,
        },
        "signature": "8c0f92f8880521a21c2d9ecf7b1b58cffbaa6ce739c465cb1118328dcd901b0f"
        "699d669d3b3382150c4823cab64d644517d92f378dbbbcd2ae1bb535ac08799500",
    },
]
"""Real blocks: a TRON main network one and two of test networks."""


def header_of(block: dict[str, Any]) -> BlockHeader:
    return BlockHeader.from_json(block["header"])


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["id"][:16])
def test_a_real_block_has_its_id_and_signer(block: dict[str, Any]) -> None:
    header = header_of(block)
    assert block_id(header) == block["id"]
    verify_block_id(header, claimed=block["id"])
    signer = header_signer(header.serialised(), bytes.fromhex(block["signature"]))
    assert address_bytes(signer) == header.witness_address


def test_the_genesis_block_of_the_main_network_has_its_id() -> None:
    header = BlockHeader.from_json(MAINNET_GENESIS)
    assert (header.number, header.timestamp_ms) == (0, 0)
    assert block_id(header) == FACTS[Network.MAINNET].genesis_block_id


def genesis_transfer(to: str, amount_sun: int) -> bytes:
    value = pb.TransferContract(
        owner_address=b"0x000000000000000000000",
        to_address=address_bytes(parse_address(to)),
        amount=amount_sun,
    )
    url = "type.googleapis.com/protocol.TransferContract"
    parameter = pb.AnyMessage(type_url=url, value=value.SerializeToString())
    contract = pb.Transaction.Contract(type="TransferContract", parameter=parameter)
    raw_data = pb.Transaction.raw(contract=[contract])
    return pb.Transaction(raw_data=raw_data).SerializeToString()


def test_the_genesis_transfers_of_the_main_network_have_their_root() -> None:
    transfers = [
        genesis_transfer("TLLM21wteSPs4hKjbxgmH1L6poyMjeTbHm", 99_000_000_000_000_000),
        genesis_transfer("TXmVpin5vq5gdZsciyyjdZgKRUju4st1wM", 0),
        genesis_transfer("TLsV52sRDL79HXGGm9yzwKibb6BeruhUzy", -(2**63)),
    ]
    root = transaction_root([transaction_leaf(transfer) for transfer in transfers])
    assert root.hex() == MAINNET_GENESIS["txTrieRoot"]


def test_a_real_block_has_the_root_of_its_transactions_with_their_results() -> None:
    block = json.loads(Path(__file__).with_name("block_13232131.json").read_text())
    result = bytes.fromhex(block["result"])
    stored = [
        signed_transaction(bytes.fromhex(each["raw_data"]), [bytes.fromhex(each["signature"])])
        + result
        for each in block["transactions"]
    ]
    root = transaction_root([transaction_leaf(each) for each in stored])
    assert root == header_of(BLOCKS[1]).transaction_root


def test_the_root_of_no_transactions_is_zero() -> None:
    assert transaction_root([]) == header_of(BLOCKS[2]).transaction_root == bytes(32)


def test_an_odd_leaf_moves_up_unchanged() -> None:
    def pair(left: bytes, right: bytes) -> bytes:
        return sha256(left + right).digest()

    a, b, c, d, e = (sha256(bytes([number])).digest() for number in range(5))
    assert transaction_root([a]) == a
    assert transaction_root([a, b]) == pair(a, b)
    assert transaction_root([a, b, c]) == pair(pair(a, b), c)
    assert transaction_root([a, b, c, d, e]) == pair(pair(pair(a, b), pair(c, d)), e)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp_ms": 1540545240001},
        {"version": 4},
        {"parent_hash": bytes(32)},
        {"witness_address": b"\x41" + bytes(20)},
        {"transaction_root": bytes(32)},
        {"account_state_root": bytes(32)},
        {"witness_id": 1},
        {"number": 3531201},
    ],
)
def test_a_changed_header_is_not_the_block_it_claims_to_be(changes: dict[str, Any]) -> None:
    header = replace(header_of(BLOCKS[0]), **changes)
    with pytest.raises(BlockIdMismatch) as caught:
        verify_block_id(header, claimed=str(BLOCKS[0]["id"]))
    assert caught.value.claimed == BLOCKS[0]["id"]
    assert caught.value.computed == block_id(header)


@given(st.integers(0, 2**63 - 1))
def test_an_id_begins_with_the_height(number: int) -> None:
    assert block_id(replace(header_of(BLOCKS[0]), number=number))[:16] == f"{number:016x}"


@pytest.mark.parametrize(
    "change",
    [
        {"number": "1"},
        {"number": -1},
        {"number": 2**63},
        {"number": True},
        {"version": 2**31},
        {"timestamp": 1.0},
        {"txTrieRoot": "abc"},
        {"parentHash": "zz"},
        {"parentHash": "ab cd"},
        {"witness_address": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"},
        {"witness_address": None},
    ],
)
def test_a_malformed_header_is_refused(change: dict[str, Any]) -> None:
    header: Any = BLOCKS[0]["header"]
    with pytest.raises(InvalidHeader):
        BlockHeader.from_json({**header, **change})


def test_an_unusable_signature_names_no_one() -> None:
    with pytest.raises(InvalidSignature):
        header_signer(header_of(BLOCKS[0]).serialised(), bytes(65))
