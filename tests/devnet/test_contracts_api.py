from __future__ import annotations

from typing import Any

import pytest

from devnet.address import to_base58
from devnet.contracts.abi import integer_word
from devnet.contracts.catalogue import BREAKER, FAKE_USDT, PAYER, ROUTER
from devnet.contracts.usdt import USDT_CONTRACT, USDT_CONTRACT_ADDRESS
from tests.devnet.contract_caller import TRX, Caller, encoded, transfers

USDT = USDT_CONTRACT_ADDRESS
CONSTANT = "/wallet/triggerconstantcontract"
SMART = "/wallet/triggersmartcontract"
ESTIMATE = "/wallet/estimateenergy"
PROGRAM = "class org.tron.core.vm.program.Program$"
ARGUMENTS = "class java.security.InvalidParameterException : "


@pytest.fixture
def caller(world: Any, client: Any) -> Caller:
    return Caller(world=world, client=client)


def text_of(reply: dict[str, Any]) -> str:
    return bytes.fromhex(reply["result"]["message"]).decode()


def asked(world: Any, signature: str, *values: Any, to: bytes = USDT) -> dict[str, Any]:
    return {
        "owner_address": world.payer.address.hex(),
        "contract_address": to.hex(),
        "function_selector": signature,
        "parameter": encoded(*values).hex(),
    }


async def test_a_reading_method_is_run_instead_of_built(world: Any, client: Any) -> None:
    reply = await client.post(SMART, **asked(world, "balanceOf(address)", world.payer.address))
    built = await client.post(SMART, **asked(world, "transfer(address,uint256)", USDT, 1))

    assert reply["constant_result"] == [integer_word(10_000_000_000).hex()]
    assert (reply["energy_used"], reply["energy_penalty"]) == (4_062, 3_127)
    assert reply["transaction"]["ret"] == [{}]
    assert built["result"] == {"result": True}
    assert set(built) == {"result", "transaction"}
    assert "ret" not in built["transaction"]
    assert "fee_limit" not in built["transaction"]["raw_data"]


async def test_a_reading_method_runs_within_the_fee_limit_that_was_named(
    world: Any, client: Any
) -> None:
    body = asked(world, "balanceOf(address)", world.payer.address)
    reply = await client.post(SMART, **body, fee_limit=400_000)

    assert reply["result"]["code"] == "OTHER_ERROR"
    assert text_of(reply).startswith(f"{PROGRAM}OutOfEnergyException : Not enough energy for")
    assert "curInvokeEnergyLimit[4000]" in text_of(reply)


async def test_whole_call_data_may_be_given_and_a_selector_outweighs_it(
    world: Any, client: Any
) -> None:
    body = asked(world, "decimals()")
    del body["function_selector"], body["parameter"]
    by_data = await client.post(CONSTANT, **body, data="313ce567")
    by_both = await client.post(
        CONSTANT, **body, data="a9059cbb", function_selector="paused()", call_value=0
    )

    assert int(by_data["constant_result"][0], 16) == 6
    assert int(by_both["constant_result"][0], 16) == 0


async def test_a_revert_is_a_result_that_is_true(caller: Caller, world: Any) -> None:
    reply = await caller.ask("revertWith(string)", "no", to=BREAKER.address)
    silent = await caller.ask("transfer(address,uint256)", world.payee.address, 10**15)

    for each in (reply, silent):
        assert each["result"]["result"] is True
        assert text_of(each) == "REVERT opcode executed"
        assert each["transaction"]["ret"] == [{"ret": "FAILED"}]
        assert each["energy_used"] > 0
    assert reply["constant_result"][0].startswith("08c379a0")
    assert silent["constant_result"] == [""]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (3, "BadJumpDestinationException : Operation with pc isn't 'JUMPDEST': PC[0];"),
        (8, "IllegalOperationException : Invalid operation code: opCode[fe];"),
        (11, "OutOfTimeException : CPU timeout for 'SSTORE' operation executing"),
        (14, "TransferException : transfer trx failed: Cannot transfer TRX to yourself."),
    ],
)
async def test_what_breaks_off_is_an_exception_of_the_node(
    caller: Caller, number: int, message: str
) -> None:
    reply = await caller.ask("fail(uint256)", number, to=BREAKER.address)

    assert set(reply) == {"result"}
    assert set(reply["result"]) == {"code", "message"}
    assert reply["result"]["code"] == "OTHER_ERROR"
    assert text_of(reply) == PROGRAM + message


async def test_a_constant_call_ends_at_a_hundred_million(caller: Caller) -> None:
    reply = await caller.ask("burn(uint256)", 10**9, to=BREAKER.address)

    assert reply["result"]["code"] == "OTHER_ERROR"
    assert "curInvokeEnergyLimit[100000000]" in text_of(reply)


async def test_what_a_constant_call_would_log_and_call_is_shown(caller: Caller, world: Any) -> None:
    await caller.send("approve(address,uint256)", ROUTER.address, 10)
    reply = await caller.ask(
        "pay(address,address,uint256)", USDT, world.payee.address, 5, to=ROUTER.address
    )

    assert transfers({"log": reply["logs"]}) == [
        (USDT, world.payer.address, world.payee.address, 5)
    ]
    assert [each["transferTo_address"] for each in reply["internal_transactions"]] == [USDT.hex()]
    assert world.usdt_micro(world.payee.address) == 10_000_000_000


@pytest.mark.parametrize("path", [CONSTANT, ESTIMATE])
async def test_what_is_missing_is_named(world: Any, client: Any, path: str) -> None:
    owner = world.payer.address.hex()
    nobody = await client.post(path, contract_address=USDT.hex())
    nothing = await client.post(path, owner_address=owner)
    both = await client.post(path, owner_address=owner, data="00", function_selector="x()")

    for reply in (nobody, nothing, both):
        assert reply["result"]["code"] == "OTHER_ERROR"
    assert text_of(nobody) == f"{ARGUMENTS}owner_address isn't set."
    assert text_of(nothing) == (
        f"{ARGUMENTS}At least one of contract_address and data must be set."
    )
    assert text_of(both) == (
        f"{ARGUMENTS}While trying to deploy, function_selector and data can not be both set."
    )


async def test_a_call_needs_a_caller_and_a_contract(world: Any, client: Any) -> None:
    owner = world.payer.address.hex()
    nothing = await client.post(SMART, owner_address=owner)
    unknown = await client.post(SMART, owner_address=owner, contract_address=owner)
    visible = await client.post(
        SMART,
        owner_address=to_base58(world.payer.address),
        contract_address=to_base58(world.payer.address),
        visible=True,
    )

    assert text_of(nothing) == f"{ARGUMENTS}contract_address isn't set."
    assert unknown["result"]["code"] == "CONTRACT_VALIDATE_ERROR"
    assert text_of(unknown) == "No contract or not a valid smart contract"
    assert visible["result"]["message"] == "No contract or not a valid smart contract"
    empty = await client.http.post(SMART)
    assert text_of(empty.json()) == "class java.lang.NullPointerException : null"


async def test_bad_values_are_errors_within_the_result(world: Any, client: Any) -> None:
    body = asked(world, "transfer(address,uint256)")
    not_hex = await client.post(CONSTANT, **{**body, "owner_address": "zz"})
    not_number = await client.post(SMART, **body, call_value="x")
    too_large = await client.post(SMART, **body, fee_limit=2**63)
    broken = await client.post(SMART, **body, fee_limit=1.5)
    negative = await client.post(CONSTANT, **body, call_value=-1)

    assert "INVALID hex String" in text_of(not_hex)
    assert "Couldn't parse integer" in text_of(not_number)
    assert text_of(too_large) == "class java.lang.ArithmeticException : Overflow"
    assert text_of(broken) == "class java.lang.ArithmeticException : Rounding necessary"
    assert negative["result"]["code"] == "CONTRACT_VALIDATE_ERROR"
    assert text_of(negative) == "callValue must be >= 0"


async def test_trx_that_the_caller_has_not_cannot_come_along(
    caller: Caller, world: Any, client: Any
) -> None:
    asked_for = await caller.ask("deposit()", to=PAYER.address, call_value=10**15)
    built = await client.post(
        SMART, **asked(world, "deposit()", to=PAYER.address), call_value=10**15, fee_limit=TRX
    )
    txid = built["transaction"]["txID"]
    signature = world.payer.sign(bytes.fromhex(txid)).hex()
    refused = await client.post(
        "/wallet/broadcasttransaction", **built["transaction"], signature=[signature]
    )

    reason = "Validate InternalTransfer error, balance is not sufficient."
    assert text_of(asked_for) == reason
    assert refused["code"] == "CONTRACT_VALIDATE_ERROR"
    assert bytes.fromhex(refused["message"]).decode() == f"Contract validate error : {reason}"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"fee_limit": 15_000_000_001}, "feeLimit must be >= 0 and <= 15000000000"),
        ({"fee_limit": -1}, "feeLimit must be >= 0 and <= 15000000000"),
        ({"call_value": -1}, "callValue must be >= 0"),
        ({"call_token_value": -1}, "tokenValue must be >= 0"),
        ({"token_id": 5}, "tokenId must be > 1000000"),
        ({"call_token_value": 5}, "invalid arguments with tokenValue = 5, tokenId = 0"),
        ({"call_token_value": 5, "token_id": 1_000_001}, "No asset !"),
    ],
)
async def test_a_call_is_checked_when_it_is_broadcast_and_not_when_it_is_built(
    world: Any, client: Any, more: dict[str, int], reason: str
) -> None:
    built = await client.post(SMART, **asked(world, "transfer(address,uint256)", USDT, 1), **more)
    transaction = built["transaction"]
    signature = world.payer.sign(bytes.fromhex(transaction["txID"])).hex()
    refused = await client.post(
        "/wallet/broadcasttransaction", **transaction, signature=[signature]
    )

    assert refused["code"] == "CONTRACT_VALIDATE_ERROR"
    assert bytes.fromhex(refused["message"]).decode() == f"Contract validate error : {reason}"


async def test_a_permission_goes_into_a_call_and_a_memo_does_not(world: Any, client: Any) -> None:
    body = asked(world, "transfer(address,uint256)", USDT, 1)
    built = await client.post(SMART, **body, Permission_id=2, extra_data="beef")

    raw = built["transaction"]["raw_data"]
    assert raw["contract"][0]["Permission_id"] == 2
    assert "data" not in raw


async def test_estimation_is_off_unless_the_node_is_told(world: Any, client: Any) -> None:
    body = asked(world, "transfer(address,uint256)", world.payee.address, 1)
    off = await client.post(ESTIMATE, **body)
    world.node.estimates_energy = True
    estimated = await client.post(ESTIMATE, **body)
    reverting = await client.post(
        ESTIMATE, **asked(world, "transfer(address,uint256)", world.payee.address, 10**15)
    )

    assert off == {
        "result": {
            "code": "CONTRACT_VALIDATE_ERROR",
            "message": b"this node does not support estimate energy".hex(),
        }
    }
    assert estimated["result"] == {"result": True}
    assert 64_285 <= estimated["energy_required"] <= 64_285 + 10_000
    assert reverting["result"]["code"] == "CONTRACT_EXE_ERROR"
    assert text_of(reverting) == "REVERT opcode executed"


async def test_what_was_estimated_is_enough(caller: Caller, world: Any, client: Any) -> None:
    world.node.estimates_energy = True
    body = asked(world, "transfer(address,uint256)", world.stranger.address, 1)
    estimated = await client.post(ESTIMATE, **body)
    info = await caller.send(
        "transfer(address,uint256)",
        world.stranger.address,
        1,
        fee_limit_sun=estimated["energy_required"] * 100,
    )

    assert info["receipt"]["result"] == "SUCCESS"


async def test_contract_info_adds_the_code_and_the_factor(client: Any) -> None:
    plain = await client.post("/wallet/getcontract", value=USDT_CONTRACT, visible=True)
    info = await client.post("/wallet/getcontractinfo", value=USDT_CONTRACT, visible=True)
    query = f"/wallet/getcontractinfo?value={FAKE_USDT.address.hex()}"
    fake = (await client.http.get(query)).json()

    assert info["smart_contract"] == plain
    assert info["runtimecode"] == plain["bytecode"]
    assert info["contract_state"]["energy_factor"] == 34_000
    assert "energy_factor" not in fake["contract_state"]
    assert fake["smart_contract"]["contract_address"] == FAKE_USDT.address.hex()


@pytest.mark.parametrize("path", ["/wallet/getcontract", "/wallet/getcontractinfo"])
async def test_where_no_contract_is_there_is_nothing(world: Any, client: Any, path: str) -> None:
    assert await client.post(path, value=world.payer.address.hex()) == {}
    assert await client.post(path, value=world.stranger.address.hex()) == {}


async def test_the_solid_tree_runs_calls_on_the_solid_state(
    caller: Caller, world: Any, client: Any
) -> None:
    await caller.send("transfer(address,uint256)", world.payee.address, 5)
    body = asked(world, "balanceOf(address)", world.payee.address)
    newest = await client.post(CONSTANT, **body)
    solid = await client.post("/walletsolidity/triggerconstantcontract", **body)

    assert int(newest["constant_result"][0], 16) == 10_000_000_005
    assert int(solid["constant_result"][0], 16) == 10_000_000_000
    assert (await client.http.post("/walletsolidity/getcontract")).status_code == 404


async def test_a_contract_is_an_account_of_its_kind(client: Any) -> None:
    account = await client.post("/wallet/getaccount", address=ROUTER.address.hex())

    assert account["type"] == "Contract"
    assert account["address"] == ROUTER.address.hex()


async def test_events_of_doubles_are_read_by_their_own_abi(caller: Caller, client: Any) -> None:
    await caller.by_owner("addBlackList(address)", caller.world.payer.address)
    events = (await client.http.get(f"/v1/contracts/{USDT_CONTRACT}/events")).json()["data"]

    assert events[0]["event_name"] == "AddedBlackList"
    assert events[0]["result"]["_user"] == f"0x{caller.world.payer.address[1:].hex()}"
