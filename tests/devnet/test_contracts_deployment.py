from __future__ import annotations

import json
from typing import Any

import pytest

from devnet.address import PREFIX, ZERO, keccak256
from devnet.api.builders import unsigned
from devnet.chain_pb2 import CreateSmartContract, SmartContract, Transaction
from devnet.contracts.catalogue import FAKE_USDT
from devnet.contracts.contract import marker
from devnet.genesis import FAUCET
from tests.devnet.contract_caller import TRX, Caller, encoded, transfers

DEPLOY = "/wallet/deploycontract"
TOKEN = encoded("Tether USD", "USDT", 6, 1_000).hex()


@pytest.fixture
def caller(world: Any, client: Any) -> Caller:
    return Caller(world=world, client=client)


async def order(client: Any, world: Any, **more: Any) -> dict[str, Any]:
    """What to ask deploycontract for: a token like the fake one, read from the chain."""
    contract = await client.post("/wallet/getcontract", value=FAKE_USDT.address.hex())
    return {
        "owner_address": world.payer.address.hex(),
        "abi": json.dumps(contract["abi"]["entrys"]),
        "bytecode": contract["bytecode"],
        "parameter": TOKEN,
        "name": "Copy",
        "consume_user_resource_percent": 30,
        "origin_energy_limit": 1_000_000,
        "fee_limit": 100 * TRX,
        **more,
    }


async def refusal(client: Any, world: Any, built: dict[str, Any]) -> str:
    signature = world.payer.sign(bytes.fromhex(built["txID"])).hex()
    reply = await client.post("/wallet/broadcasttransaction", **built, signature=[signature])
    assert reply["code"] == "CONTRACT_VALIDATE_ERROR"
    return bytes.fromhex(reply["message"]).decode().removeprefix("Contract validate error : ")


async def test_a_token_is_deployed_and_used(caller: Caller, world: Any, client: Any) -> None:
    asked = await order(client, world)
    built = await client.post(DEPLOY, **asked)
    txid = bytes.fromhex(built["txID"])
    address = PREFIX + keccak256(txid + world.payer.address)[12:]
    info = await caller.receipt(built, by=world.payer)
    contract = await client.post("/wallet/getcontract", value=address.hex())
    moved = await caller.send("transfer(address,uint256)", world.payee.address, 5, to=address)

    assert built["contract_address"] == info["contract_address"] == address.hex()
    assert info["receipt"]["result"] == "SUCCESS"
    assert info["contractResult"] == [asked["bytecode"]]
    assert transfers(info) == [(address, ZERO, world.payer.address, 1_000)]
    assert contract["bytecode"] == asked["bytecode"] + TOKEN
    assert contract["abi"]["entrys"] == json.loads(asked["abi"])
    assert (contract["name"], contract["trx_hash"]) == ("Copy", built["txID"])
    assert contract["consume_user_resource_percent"] == 30
    assert transfers(moved) == [(address, world.payer.address, world.payee.address, 5)]
    account = await client.post("/wallet/getaccount", address=address.hex())
    assert account["type"] == "Contract"


async def test_a_creation_is_simulated_when_nobody_is_called(world: Any, client: Any) -> None:
    asked = await order(client, world)
    reply = await client.post(
        "/wallet/triggerconstantcontract",
        owner_address=world.payer.address.hex(),
        data=asked["bytecode"] + TOKEN,
    )

    assert reply["constant_result"] == [asked["bytecode"]]
    assert reply["transaction"]["raw_data"]["contract"][0]["type"] == "CreateSmartContract"
    assert reply["energy_used"] > 200 * len(marker("standard-token"))


async def test_a_creation_that_runs_out_of_energy_leaves_nothing(
    caller: Caller, world: Any, client: Any
) -> None:
    built = await client.post(DEPLOY, **await order(client, world, fee_limit=TRX))
    info = await caller.receipt(built, by=world.payer)

    assert info["receipt"]["result"] == "OUT_OF_ENERGY"
    assert info["receipt"]["energy_usage_total"] == 10_000
    assert await client.post("/wallet/getcontract", value=info["contract_address"]) == {}
    assert await client.post("/wallet/getaccount", address=info["contract_address"]) == {}


async def test_a_constructor_takes_no_trx(caller: Caller, world: Any, client: Any) -> None:
    before_sun = world.balance_sun(world.payer.address)
    built = await client.post(DEPLOY, **await order(client, world, call_value=TRX))
    info = await caller.receipt(built, by=world.payer)

    assert info["receipt"]["result"] == "REVERT"
    assert world.balance_sun(world.payer.address) == before_sun - info["fee"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            {"bytecode": "6080604052"},
            "this devnet runs only the bytecode of its own contracts",
        ),
        ({"name": "n" * 33}, "contractName's length cannot be greater than 32"),
        ({"origin_energy_limit": 0}, "The originEnergyLimit must be > 0"),
        ({"fee_limit": 15_000_000_001}, "feeLimit must be >= 0 and <= 15000000000"),
        ({"call_value": -1}, "callValue must be >= 0"),
        (
            {"call_value": 10**15},
            "Validate InternalTransfer error, balance is not sufficient.",
        ),
    ],
)
async def test_what_cannot_be_created_is_refused(
    world: Any, client: Any, more: dict[str, Any], reason: str
) -> None:
    built = await client.post(DEPLOY, **await order(client, world, **more))

    assert await refusal(client, world, built) == reason


async def test_somebody_else_cannot_be_named_as_the_creator(world: Any) -> None:
    contract = SmartContract(
        origin_address=FAUCET.key.address, bytecode=marker("router"), origin_energy_limit=1
    )
    creation = CreateSmartContract(owner_address=world.payer.address, new_contract=contract)

    assert world.refusal(creation) == "OwnerAddress is not equals OriginAddress"


async def test_the_builder_checks_the_percentage_and_reads_strictly(
    world: Any, client: Any
) -> None:
    percent = await client.post(
        DEPLOY, **await order(client, world, consume_user_resource_percent=101)
    )
    no_abi = await client.post(DEPLOY, **await order(client, world, abi="{"))

    assert percent == {
        "Error": "class org.tron.core.exception.ContractValidateException : "
        "percent must be >= 0 and <= 100"
    }
    assert set(no_abi) == {"Error"}


async def test_kinds_that_a_client_may_deploy_keep_their_own_storage(
    caller: Caller, world: Any, client: Any
) -> None:
    built = await client.post(DEPLOY, **await order(client, world))
    info = await caller.receipt(built, by=world.payer)
    copy = bytes.fromhex(info["contract_address"])

    assert await caller.number("totalSupply()", to=copy) == 1_000
    assert await caller.number("totalSupply()", to=FAKE_USDT.address) == 0


async def test_a_contract_survives_a_restart(open_world: Any, tmp_path: Any) -> None:
    world = open_world(tmp_path / "chain")
    world.mine()
    contract = SmartContract(
        origin_address=world.payer.address,
        bytecode=marker("standard-token") + bytes.fromhex(TOKEN),
        origin_energy_limit=1,
    )
    creation = CreateSmartContract(owner_address=world.payer.address, new_contract=contract)
    built = unsigned(world.node, creation, fee_limit_sun=100 * TRX)
    info = world.confirmed(world.signed(built, world.payer))
    world.node.chain.close()

    again = open_world(tmp_path / "chain")
    receipt = again.node.chain.record(info.blockNumber).infos[0]
    again.node.chain.close()
    assert receipt == info
    assert receipt.receipt.result == Transaction.Result.SUCCESS
