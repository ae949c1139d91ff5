"""Transactions that tronweb built, as the devnet reads and shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction
from devnet.items import CONTRACT_CLASSES
from devnet.json_format import parsed_transaction, printed_transaction

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "shared" / "tron" / "tronweb_vectors.json").read_text()
)
CARRIED_OUT = [vector for vector in VECTORS if vector["kind"] in CONTRACT_CLASSES]
UNKNOWN_KINDS = {"TransferAssetContract", "UpdateSettingContract"}


def names(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


def raw_of(vector: dict[str, Any]) -> Transaction:
    raw = Transaction.raw.FromString(bytes.fromhex(vector["raw_data_hex"]))
    return Transaction(raw_data=raw)


@pytest.mark.parametrize("vector", CARRIED_OUT, ids=names(CARRIED_OUT))
def test_json_of_tronweb_is_packed_into_its_bytes(vector: dict[str, Any]) -> None:
    packed = parsed_transaction({"raw_data": vector["raw_data"], "visible": False})

    assert packed.raw_data.SerializeToString(deterministic=True).hex() == vector["raw_data_hex"]
    assert txid_of(packed).hex() == vector["txid"]


@pytest.mark.parametrize("vector", CARRIED_OUT, ids=names(CARRIED_OUT))
@pytest.mark.parametrize("visible", [True, False])
def test_bytes_of_tronweb_are_shown_and_packed_again(
    vector: dict[str, Any], *, visible: bool
) -> None:
    shown = printed_transaction(raw_of(vector), visible=visible)
    again = parsed_transaction({**shown, "visible": visible})

    assert shown["txID"] == vector["txid"]
    assert shown["raw_data_hex"] == vector["raw_data_hex"]
    assert again == raw_of(vector)


@pytest.mark.parametrize("vector", CARRIED_OUT, ids=names(CARRIED_OUT))
def test_base58_addresses_are_those_that_tronweb_was_asked_with(vector: dict[str, Any]) -> None:
    shown = printed_transaction(raw_of(vector), visible=True)
    said = shown["raw_data"]["contract"][0]["parameter"]["value"]

    asked = {name: value for name, value in vector["fields"].items() if name.endswith("_address")}
    assert {name: said[name] for name in asked} == asked


def test_only_these_kinds_are_unknown_here_and_their_contract_is_left_out() -> None:
    unknown = [vector for vector in VECTORS if vector not in CARRIED_OUT]

    assert {vector["kind"] for vector in unknown} == UNKNOWN_KINDS
    for vector in unknown:
        packed = parsed_transaction({"raw_data": vector["raw_data"], "visible": False})
        assert not packed.raw_data.contract
