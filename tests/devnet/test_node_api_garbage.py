"""Whatever is sent, a servlet answers; nothing it cannot read ends in a broken server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devnet.api import table

NONSENSE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    -(2**70),
    "",
    "x",
    "41",
    "0x",
    "T" * 34,
    "\x00é",
    [],
    [[]],
    [None, 5],
    {},
    {"a": {}},
)
NAMES = (
    "address",
    "value",
    "num",
    "id_or_num",
    "detail",
    "startNum",
    "endNum",
    "visible",
    "owner_address",
    "to_address",
    "contract_address",
    "function_selector",
    "parameter",
    "data",
    "amount",
    "resource",
    "votes",
    "owner",
    "actives",
    "parameters",
    "Permission_id",
    "extra_data",
    "fee_limit",
    "raw_data",
    "signature",
    "transaction",
    "fromAddress",
    "toAddress",
    "type",
    "timestamp",
)
PATHS = [f"/wallet/{name}" for name in (table.IN_BOTH_TREES | table.IN_FULL_TREE)] + [
    f"/walletsolidity/{name}" for name in table.IN_BOTH_TREES
]


def meant(name: str, payer_text: str) -> dict[str, Any]:
    """A body in which everything but one field makes sense."""
    body = {
        "owner_address": payer_text,
        "to_address": payer_text,
        "contract_address": payer_text,
        "receiver_address": payer_text,
        "address": payer_text,
        "raw_data": {"contract": [{"type": "TransferContract", "parameter": {"value": {}}}]},
        "visible": True,
    }
    return {key: value for key, value in body.items() if key != name}


async def test_everything_may_be_nonsense_at_once(client: Any) -> None:
    for path in PATHS:
        for value in NONSENSE:
            body = json.dumps(dict.fromkeys(NAMES, value))
            response = await client.http.post(path, content=body)
            assert response.status_code == 200


@pytest.mark.property
@pytest.mark.parametrize("path", PATHS)
async def test_every_field_may_hold_nonsense(client: Any, payer_text: str, path: str) -> None:
    for name in NAMES:
        for value in NONSENSE:
            body = json.dumps({**meant(name, payer_text), name: value})
            response = await client.http.post(path, content=body)
            assert response.status_code == 200


@pytest.mark.property
@pytest.mark.parametrize("path", PATHS)
async def test_every_query_may_hold_nonsense(client: Any, payer_text: str, path: str) -> None:
    for name in NAMES:
        for value in ("", "x", "-1", "41", "T" * 34, "\x00é", str(2**70)):
            params = {"address": payer_text, "visible": "true", name: value}
            response = await client.http.get(path, params=params)
            assert response.status_code in {200, 405}


async def test_raw_data_may_hold_nonsense(client: Any) -> None:
    contract = {"type": "TransferContract", "parameter": {"value": {}, "type_url": 5}}
    for path in ("broadcasttransaction", "getsignweight", "getapprovedlist"):
        for name in ("expiration", "ref_block_bytes", "data", "contract", "fee_limit", "auths"):
            for value in NONSENSE:
                raw = {"contract": [contract], name: value}
                response = await client.http.post(
                    f"/wallet/{path}", content=json.dumps({"raw_data": raw})
                )
                assert response.status_code == 200
