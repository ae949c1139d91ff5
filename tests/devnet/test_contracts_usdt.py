from __future__ import annotations

from typing import Any

import pytest

from devnet.address import ZERO, to_base58
from devnet.contracts.abi import address_word, integer_word
from devnet.contracts.catalogue import UPGRADED_USDT
from devnet.contracts.usdt import INTERFACE, USDT_CONTRACT_ADDRESS
from devnet.genesis import FAUCET
from tests.devnet.contract_caller import (
    TRANSFER_TOPIC,
    Caller,
    assert_reverted,
    transfers,
)

USDT = USDT_CONTRACT_ADDRESS
MAX_UINT = 2**256 - 1
SELECTORS = {
    "transfer": "a9059cbb",
    "transferFrom": "23b872dd",
    "approve": "095ea7b3",
    "allowance": "dd62ed3e",
    "balanceOf": "70a08231",
    "decimals": "313ce567",
    "symbol": "95d89b41",
    "name": "06fdde03",
    "totalSupply": "18160ddd",
    "_totalSupply": "3eaaf86b",
    "owner": "8da5cb5b",
    "paused": "5c975abb",
    "deprecated": "0e136b19",
    "upgradedAddress": "26976e3f",
    "isBlackListed": "e47d6060",
    "getBlackListStatus": "59bf1abe",
    "addBlackList": "0ecb93c0",
    "removeBlackList": "e4997dc5",
    "destroyBlackFunds": "f3bdc228",
    "basisPointsRate": "dd644f72",
    "maximumFee": "35390714",
    "MAX_SETTABLE_BASIS_POINTS": "889f40b8",
    "MAX_SETTABLE_FEE": "1aebc176",
    "MAX_UINT": "e5b5019a",
    "calcFee": "75dc7d8c",
    "setParams": "c0324c77",
    "increaseApproval": "d73dd623",
    "decreaseApproval": "66188463",
    "issue": "cc872b66",
    "redeem": "db006a75",
    "pause": "8456cb59",
    "unpause": "3f4ba83a",
    "oldBalanceOf": "b7a3446c",
    "deprecate": "0753c30c",
}
TOPICS = {
    "Transfer": TRANSFER_TOPIC,
    "Approval": "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925",
    "AddedBlackList": "42e160154868087d6bfdc0ca23d96a1c1cfa32f1b72ba9ba27b69b98a0d819dc",
    "RemovedBlackList": "d7e9ec6e6ecd65492dce6bf513cd6867560d49544421d0783ddf06e76c24470c",
    "DestroyedBlackFunds": "61e6e66b0d6339b2980aecc6ccc0039736791f0ccde9ed512e789a7fbdd698c6",
    "Pause": "6985a02210a168e66602d3235cb6db0e70f92b3ba4d376a33c0f3d9434bff625",
    "Unpause": "7805862f689e2f13df9f062ff482ad3ad112aca9e0847911ed832e158c525b33",
    "Issue": "cb8241adb0c3fdb35b70c24ce35c5eb0c17af7431c99f827d44a445ca624176a",
    "Redeem": "702d5967f45f6513a38ffc42d6ba9bf230bd40e8f53b16363c7eb4fd2deb9a44",
    "Deprecate": "cc358699805e9a8b7f77b522628c7cb9abd07d9efb86b6fb616af1609036a99e",
    "Params": "b044a1e409eac5c48e5af22d4af52670dd1a99059537a78b31b48c6500a6354e",
}


@pytest.fixture
def caller(world: Any, client: Any) -> Caller:
    return Caller(world=world, client=client)


def test_every_selector_and_topic_is_mainnet_s() -> None:
    assert {name: INTERFACE.named(name).selector.hex() for name in SELECTORS} == SELECTORS
    assert {name: INTERFACE.topic(name).hex() for name in TOPICS} == TOPICS


async def test_a_transfer_returns_zeros_and_logs_three_topics(caller: Caller, world: Any) -> None:
    info = await caller.send("transfer(address,uint256)", world.payee.address, 5)

    assert info["contractResult"] == ["00" * 32]
    assert info["contract_address"] == USDT.hex()
    assert info["log"] == [
        {
            "address": USDT[1:].hex(),
            "topics": [
                TRANSFER_TOPIC,
                address_word(world.payer.address).hex(),
                address_word(world.payee.address).hex(),
            ],
            "data": integer_word(5).hex(),
        }
    ]
    assert set(info) == {
        "id",
        "fee",
        "blockNumber",
        "blockTimeStamp",
        "contractResult",
        "contract_address",
        "receipt",
        "log",
    }


@pytest.mark.parametrize(
    ("signature", "number"),
    [
        ("decimals()", 6),
        ("totalSupply()", 10**16),
        ("_totalSupply()", 10**16),
        ("paused()", 0),
        ("deprecated()", 0),
        ("upgradedAddress()", 0),
        ("basisPointsRate()", 0),
        ("maximumFee()", 0),
        ("MAX_SETTABLE_BASIS_POINTS()", 20),
        ("MAX_SETTABLE_FEE()", 50),
        ("MAX_UINT()", MAX_UINT),
        ("owner()", int.from_bytes(FAUCET.key.address[1:], "big")),
    ],
)
async def test_every_getter_answers(caller: Caller, signature: str, number: int) -> None:
    assert await caller.number(signature) == number


async def test_name_and_symbol_are_texts(caller: Caller) -> None:
    name, symbol = [await caller.ask(each) for each in ("name()", "symbol()")]

    assert bytes.fromhex(name["constant_result"][0])[64:74] == b"Tether USD"
    assert bytes.fromhex(symbol["constant_result"][0])[64:68] == b"USDT"


async def test_an_address_with_41_in_front_is_the_same_address(caller: Caller, world: Any) -> None:
    dirty = int.from_bytes(bytes(11) + world.payee.address, "big")
    info = await caller.send("transfer(address,uint256)", dirty, 7)

    assert transfers(info) == [(USDT, world.payer.address, world.payee.address, 7)]
    assert await caller.number("balanceOf(address)", dirty) == 10_000_000_007


async def test_missing_arguments_read_as_0(caller: Caller, world: Any) -> None:
    """The contract's compiler did not look at the size of call data."""
    info = await caller.send("transfer(address,uint256)", world.payee.address)

    assert transfers(info) == [(USDT, world.payer.address, world.payee.address, 0)]


async def test_trx_and_unknown_methods_revert(caller: Caller, world: Any) -> None:
    before_sun = world.balance_sun(world.payer.address)
    unknown = await caller.send("burn(uint256)", 1)
    with_trx = await caller.send(
        "transfer(address,uint256)", world.payee.address, 1, value_sun=1_000_000
    )

    assert_reverted(unknown)
    assert_reverted(with_trx)
    paid_sun = unknown["fee"] + with_trx["fee"]
    assert world.balance_sun(world.payer.address) == before_sun - paid_sun
    assert world.balance_sun(USDT) == 0


async def test_the_guards_revert_without_a_word(caller: Caller, world: Any) -> None:
    payer, payee = world.payer.address, world.payee.address
    assert_reverted(await caller.send("transfer(address,uint256)", ZERO, 1))
    assert_reverted(await caller.send("transfer(address,uint256)", payee, 10**15))
    assert_reverted(await caller.send("transferFrom(address,address,uint256)", payee, payer, 1))
    assert_reverted(await caller.send("pause()"))
    assert_reverted(await caller.send("issue(uint256)", 1))
    assert_reverted(await caller.send("setParams(uint256,uint256)", 20, 1, by=FAUCET.key))
    assert_reverted(await caller.send("setParams(uint256,uint256)", 1, 50, by=FAUCET.key))
    assert_reverted(await caller.send("unpause()", by=FAUCET.key))
    assert_reverted(await caller.send("destroyBlackFunds(address)", payee, by=FAUCET.key))
    assert_reverted(await caller.send("deprecate(address)", ZERO, by=FAUCET.key))


async def test_a_black_listed_sender_reverts_and_a_black_listed_recipient_receives(
    caller: Caller, world: Any
) -> None:
    payer, payee = world.payer.address, world.payee.address
    listing = await caller.by_owner("addBlackList(address)", payer)
    await caller.send("approve(address,uint256)", payee, 100)

    assert listing["log"][0]["topics"] == [TOPICS["AddedBlackList"], address_word(payer).hex()]
    assert await caller.number("isBlackListed(address)", payer) == 1
    assert await caller.number("getBlackListStatus(address)", payer) == 1
    assert_reverted(await caller.send("transfer(address,uint256)", payee, 1))
    pulled = "transferFrom(address,address,uint256)"
    assert_reverted(await caller.send(pulled, payer, payee, 1, by=world.payee))
    received = await caller.send("transfer(address,uint256)", payer, 1, by=world.payee)
    assert transfers(received) == [(USDT, payee, payer, 1)]
    removal = await caller.by_owner("removeBlackList(address)", payer)
    assert removal["log"][0]["topics"][0] == TOPICS["RemovedBlackList"]
    assert transfers(await caller.send("transfer(address,uint256)", payee, 1))


async def test_a_black_listed_spender_may_still_spend_another_s_allowance(
    caller: Caller, world: Any
) -> None:
    payer, payee = world.payer.address, world.payee.address
    await caller.send("approve(address,uint256)", payee, 100)
    await caller.by_owner("addBlackList(address)", payee)

    info = await caller.send(
        "transferFrom(address,address,uint256)", payer, payee, 4, by=world.payee
    )

    assert transfers(info) == [(USDT, payer, payee, 4)]


async def test_destroyed_funds_leave_no_transfer_log(caller: Caller, world: Any) -> None:
    payer = world.payer.address
    await caller.by_owner("addBlackList(address)", payer)
    info = await caller.by_owner("destroyBlackFunds(address)", payer)

    assert [log["topics"] for log in info["log"]] == [
        [TOPICS["DestroyedBlackFunds"], address_word(payer).hex()]
    ]
    assert int(info["log"][0]["data"], 16) == 10_000_000_000
    assert await caller.number("balanceOf(address)", payer) == 0
    assert await caller.number("totalSupply()") == 10**16 - 10_000_000_000


async def test_a_paused_contract_moves_and_allows_nothing(caller: Caller, world: Any) -> None:
    payee = world.payee.address
    info = await caller.by_owner("pause()")

    assert info["log"] == [{"address": USDT[1:].hex(), "topics": [TOPICS["Pause"]]}]
    for signature in (
        "transfer(address,uint256)",
        "approve(address,uint256)",
        "increaseApproval(address,uint256)",
        "decreaseApproval(address,uint256)",
    ):
        assert_reverted(await caller.send(signature, payee, 1))
    assert (await caller.by_owner("unpause()"))["log"][0]["topics"] == [TOPICS["Unpause"]]
    assert transfers(await caller.send("transfer(address,uint256)", payee, 1))


async def test_the_fee_is_a_second_log_to_the_owner(caller: Caller, world: Any) -> None:
    """H10: the recipient gets less than the call data says."""
    payer, payee, owner = world.payer.address, world.payee.address, FAUCET.key.address
    params = await caller.by_owner("setParams(uint256,uint256)", 10, 40)
    await caller.send("approve(address,uint256)", payee, 1_000_000)

    direct = await caller.send("transfer(address,uint256)", payee, 1_000_000)
    pulled = await caller.send(
        "transferFrom(address,address,uint256)", payer, payee, 1_000_000, by=world.payee
    )

    assert params["log"][0]["topics"] == [TOPICS["Params"]]
    assert params["log"][0]["data"] == (integer_word(10) + integer_word(40_000_000)).hex()
    both = [(USDT, payer, payee, 999_000), (USDT, payer, owner, 1_000)]
    assert transfers(direct) == transfers(pulled) == both
    assert await caller.number("calcFee(uint256)", 1_000_000) == 1_000
    assert await caller.number("calcFee(uint256)", 10**15) == 40_000_000
    assert await caller.number("maximumFee()") == 40_000_000


async def test_an_overflow_is_an_invalid_operation_that_costs_all_energy(
    caller: Caller, world: Any
) -> None:
    await caller.by_owner("setParams(uint256,uint256)", 10, 40)
    payee = world.payee.address
    info = await caller.send("transfer(address,uint256)", payee, MAX_UINT, fee_limit_sun=20_000_000)

    assert info["receipt"]["result"] == "ILLEGAL_OPERATION"
    assert info["receipt"]["energy_usage_total"] == 200_000
    assert bytes.fromhex(info["resMessage"]) == b"Invalid operation code: opCode[fe];"


async def test_zero_can_be_moved_from_a_victim_by_a_stranger(caller: Caller, world: Any) -> None:
    victim, poison = world.payee.address, world.stranger.address
    info = await caller.send("transferFrom(address,address,uint256)", victim, poison, 0)

    assert transfers(info) == [(USDT, victim, poison, 0)]
    assert info["contractResult"] == [integer_word(1).hex()]


async def test_allowances_are_set_raised_lowered_and_used(caller: Caller, world: Any) -> None:
    payer, payee = world.payer.address, world.payee.address

    async def left() -> int:
        return await caller.number("allowance(address,address)", payer, payee)

    info = await caller.send("approve(address,uint256)", payee, 10)
    assert info["log"][0]["topics"][0] == TOPICS["Approval"]
    assert info["contractResult"] == [integer_word(1).hex()]
    await caller.send("approve(address,uint256)", payee, 20)
    assert await left() == 20
    raised = await caller.send("increaseApproval(address,uint256)", payee, 5)
    assert int(raised["log"][0]["data"], 16) == 25
    await caller.send("decreaseApproval(address,uint256)", payee, 4)
    pulled = "transferFrom(address,address,uint256)"
    await caller.send(pulled, payer, payee, 8, by=world.payee)
    assert await left() == 13
    assert_reverted(await caller.send(pulled, payer, payee, 14, by=world.payee))
    await caller.send("decreaseApproval(address,uint256)", payee, 100)
    assert await left() == 0


async def test_an_unlimited_allowance_is_never_used_up(caller: Caller, world: Any) -> None:
    payer, payee = world.payer.address, world.payee.address
    await caller.send("approve(address,uint256)", payee, MAX_UINT)
    await caller.send("transferFrom(address,address,uint256)", payer, payee, 8, by=world.payee)

    assert await caller.number("allowance(address,address)", payer, payee) == MAX_UINT


async def test_the_owner_issues_and_redeems(caller: Caller) -> None:
    owner = FAUCET.key.address
    issued = await caller.by_owner("issue(uint256)", 500)
    redeemed = await caller.by_owner("redeem(uint256)", 200)

    assert [log["topics"][0] for log in issued["log"]] == [TOPICS["Issue"], TRANSFER_TOPIC]
    assert transfers(issued) == [(USDT, ZERO, owner, 500)]
    assert [log["topics"][0] for log in redeemed["log"]] == [TOPICS["Redeem"], TRANSFER_TOPIC]
    assert transfers(redeemed) == [(USDT, owner, ZERO, 200)]
    assert await caller.number("totalSupply()") == 10**16 + 300


async def test_a_deprecated_contract_hands_calls_on_and_logs_come_from_the_successor(
    caller: Caller, world: Any
) -> None:
    """H10: whoever watches the old address alone sees no payment any more."""
    payer, payee, new = world.payer.address, world.payee.address, UPGRADED_USDT.address
    info = await caller.by_owner("deprecate(address)", new)
    moved = await caller.send("transfer(address,uint256)", payee, 1_000)

    assert info["log"] == [
        {
            "address": USDT[1:].hex(),
            "topics": [TOPICS["Deprecate"]],
            "data": address_word(new).hex(),
        }
    ]
    assert transfers(moved) == [(new, payer, payee, 1_000)]
    assert moved["contract_address"] == USDT.hex()
    assert moved["contractResult"] == [integer_word(1).hex()]
    assert await caller.number("balanceOf(address)", payee) == 10_000_001_000
    assert await caller.number("oldBalanceOf(address)", payee) == 10_000_000_000
    assert await caller.number("totalSupply()") == 10**16
    assert await caller.number("deprecated()") == 1
    await caller.send("approve(address,uint256)", payee, 50)
    await caller.send("increaseApproval(address,uint256)", payee, 10)
    await caller.send("decreaseApproval(address,uint256)", payee, 5)
    assert await caller.number("allowance(address,address)", payer, payee) == 55
    pulled = await caller.send(
        "transferFrom(address,address,uint256)", payer, payee, 55, by=world.payee
    )
    assert transfers(pulled) == [(new, payer, payee, 55)]
    assert_reverted(await caller.send("transferByLegacy(address,address,uint256)", to=new))


async def test_a_contract_deprecated_in_favour_of_nothing_reverts(
    caller: Caller, world: Any
) -> None:
    await caller.by_owner("deprecate(address)", world.payee.address)

    assert_reverted(await caller.send("transfer(address,uint256)", world.payee.address, 1))


async def test_a_contract_deprecated_in_favour_of_itself_ends_at_the_deepest_call(
    caller: Caller, world: Any
) -> None:
    await caller.by_owner("deprecate(address)", USDT)
    reply = await caller.ask("balanceOf(address)", world.payer.address)

    assert reply["transaction"]["ret"] == [{"ret": "FAILED"}]
    assert len(reply["internal_transactions"]) == 64
    assert all(each["rejected"] for each in reply["internal_transactions"])


async def test_the_abi_on_chain_names_what_wrappers_need(client: Any) -> None:
    contract = await client.post("/wallet/getcontract", value=to_base58(USDT), visible=True)
    entries = {each["name"]: each for each in contract["abi"]["entrys"]}

    assert contract["contract_address"] == to_base58(USDT)
    assert contract["origin_address"] == to_base58(FAUCET.key.address)
    assert contract["name"] == "TetherToken"
    assert contract["consume_user_resource_percent"] == 100
    assert entries["balanceOf"] == {
        "constant": True,
        "name": "balanceOf",
        "inputs": [{"name": "who", "type": "address"}],
        "outputs": [{"type": "uint256"}],
        "type": "Function",
        "stateMutability": "View",
    }
    assert entries["transfer"]["stateMutability"] == "Nonpayable"
    assert "constant" not in entries["transfer"]
    assert entries["Transfer"] == {
        "name": "Transfer",
        "inputs": [
            {"indexed": True, "name": "from", "type": "address"},
            {"indexed": True, "name": "to", "type": "address"},
            {"name": "value", "type": "uint256"},
        ],
        "type": "Event",
    }
    assert set(SELECTORS) <= set(entries)
