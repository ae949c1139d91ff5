from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from devnet.address import to_base58
from devnet.contracts.usdt import USDT_CONTRACT
from devnet.genesis import GENESIS_TIME_MS, WITNESSES

OPERATIONS = "7fff1fc0033efb0f" + "00" * 24


async def test_a_fresh_account_has_exactly_these_fields(world: Any, client: Any) -> None:
    address = world.payee.address.hex()

    assert await client.post("/wallet/getaccount", address=address) == {
        "address": address,
        "balance": 10_000_000_000,
        "create_time": GENESIS_TIME_MS,
        "latest_consume_time": GENESIS_TIME_MS,
        "latest_consume_free_time": GENESIS_TIME_MS,
        "net_window_size": 28_800_000,
        "net_window_optimized": True,
        "account_resource": {
            "latest_consume_time_for_energy": GENESIS_TIME_MS,
            "energy_window_size": 28_800_000,
            "energy_window_optimized": True,
        },
        "owner_permission": {
            "permission_name": "owner",
            "threshold": 1,
            "keys": [{"address": address, "weight": 1}],
        },
        "active_permission": [
            {
                "type": "Active",
                "id": 2,
                "permission_name": "active",
                "threshold": 1,
                "operations": OPERATIONS,
                "keys": [{"address": address, "weight": 1}],
            }
        ],
        "frozenV2": [{}, {"type": "ENERGY"}, {"type": "TRON_POWER"}],
    }


async def test_visible_turns_every_address_of_an_account(client: Any, payer_text: str) -> None:
    account = await client.post("/wallet/getaccount", address=payer_text, visible=True)

    assert account["address"] == payer_text
    keys = [{"address": payer_text, "weight": 1}]
    assert account["owner_permission"]["keys"] == keys
    assert account["active_permission"][0]["keys"] == keys
    assert account["active_permission"][0]["operations"] == OPERATIONS


async def test_usages_fade_in_what_is_shown(world: Any, client: Any, payer_text: str) -> None:
    world.confirmed(world.transfer(world.payee.address, 1))

    async def used() -> tuple[Any, Any]:
        account = await client.post("/wallet/getaccount", address=payer_text, visible=True)
        resource = await client.post("/wallet/getaccountresource", address=payer_text, visible=True)
        return account.get("free_net_usage"), resource.get("freeNetUsed")

    assert await used() == (265, 265)
    world.node.clock.jump(12 * 3_600_000)
    world.mine()
    half = (await used())[0]
    assert 131 <= half <= 134
    world.node.clock.jump(12 * 3_600_000)
    world.mine()
    assert await used() == (None, None)


async def test_a_contract_is_an_account_without_permissions(client: Any) -> None:
    account = await client.post("/wallet/getaccount", address=USDT_CONTRACT, visible=True)

    assert account["type"] == "Contract"
    assert "owner_permission" not in account


async def test_a_witness_is_marked(client: Any) -> None:
    account = await client.post("/wallet/getaccount", address=WITNESSES[0].address.hex())

    assert account["is_witness"] is True


async def test_resources_leave_zeros_out(world: Any, client: Any) -> None:
    asked = {"address": world.payee.address.hex()}
    resource = await client.post("/wallet/getaccountresource", **asked)

    assert resource == {
        "freeNetLimit": 600,
        "TotalNetLimit": 43_200_000_000,
        "TotalNetWeight": 26_800_000_000,
        "TotalEnergyLimit": 180_000_000_000,
        "TotalEnergyWeight": 19_100_000_000,
    }
    assert await client.post("/wallet/getaccountnet", **asked) == {
        "freeNetLimit": 600,
        "TotalNetLimit": 43_200_000_000,
        "TotalNetWeight": 26_800_000_000,
    }


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (
            "/wallet/getaccount",
            (
                "class org.tron.core.services.http.JsonFormat$ParseException : "
                "1:12: INVALID hex String"
            ),
        ),
        (
            "/wallet/getaccountresource",
            (
                "class org.bouncycastle.util.encoders.DecoderException : exception decoding Hex "
                "string: invalid characters encountered in Hex string"
            ),
        ),
    ],
)
async def test_base58_where_hex_is_expected_is_an_error(
    client: Any, payer_text: str, path: str, error: str
) -> None:
    assert await client.post(path, address=payer_text) == {"Error": error}


async def test_hex_where_base58_is_expected_is_an_error(world: Any, client: Any) -> None:
    asked = {"address": world.payer.address.hex(), "visible": True}
    at = asked["address"].index("0")

    assert await client.post("/wallet/getaccount", **asked) == {
        "Error": "class org.tron.core.services.http.JsonFormat$ParseException : "
        f"1:12: INVALID base58 String, Illegal character 0 at {at}"
    }
    assert await client.post("/wallet/getaccountresource", **asked) == {
        "Error": f"class java.lang.IllegalArgumentException : Illegal character 0 at {at}"
    }


async def test_a_wrong_checksum_is_a_null_pointer_or_nobody(client: Any, payer_text: str) -> None:
    wrong = payer_text[:-1] + ("2" if payer_text[-1] == "1" else "1")

    assert await client.post("/wallet/getaccount", address=wrong, visible=True) == {
        "Error": "class java.lang.NullPointerException : null"
    }
    assert await client.post("/wallet/getaccountresource", address=wrong, visible=True) == {}


@pytest.mark.parametrize("path", ["getaccount", "getaccountresource", "getaccountnet"])
async def test_an_unknown_or_missing_address_is_nothing(client: Any, path: str) -> None:
    assert await client.post(f"/wallet/{path}", address="41" + "ab" * 20) == {}
    assert await client.post(f"/wallet/{path}", address="") == {}
    assert (await client.http.get(f"/wallet/{path}?address=41{'ab' * 20}")).json() == {}


async def test_every_form_of_an_address_is_recognised(world: Any, client: Any) -> None:
    path, address = "/wallet/validateaddress", world.payer.address
    foreign = address[:0] + b"\x42" + address[1:]
    verdicts = {
        address.hex(): (True, "Hex string format"),
        to_base58(address): (True, "Base58check format"),
        b64encode(address).decode(): (True, "Base64 format"),
        foreign.hex(): (False, "Invalid address"),
        b64encode(foreign).decode(): (False, "Invalid address"),
        to_base58(address)[:-1] + "x": (False, "Invalid address"),
        to_base58(address)[:-1] + "0": (False, "Illegal character 0 at 33"),
        "-" * 28: (False, "Illegal base64 character 2d"),
        "zz" * 21: (
            False,
            "exception decoding Hex string: invalid characters encountered in Hex string",
        ),
        "T": (False, "Length error"),
    }
    for text, (result, message) in verdicts.items():
        assert await client.post(path, address=text) == {"result": result, "message": message}
        query = await client.http.get(path, params={"address": text})
        assert query.json() == {"result": result, "message": message}


async def test_validateaddress_is_silent_about_a_body_it_cannot_read(client: Any) -> None:
    for body in (b"", b"{", b"[]"):
        response = await client.http.post("/wallet/validateaddress", content=body)
        assert (response.status_code, response.content) == (200, b"")
    assert await client.post("/wallet/validateaddress", other=1) == {"result": False}
