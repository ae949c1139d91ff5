from __future__ import annotations

from typing import Any

import pytest

from devnet.contracts import dynamic_energy
from devnet.contracts.catalogue import BREAKER, COIN_18, LEVERS, ROUTER
from devnet.contracts.dynamic_energy import DynamicEnergy
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import FAUCET
from devnet.rewards import Cycle
from devnet.state import State
from tests.devnet.contract_caller import TRX, Caller, transfers

USDT = USDT_CONTRACT_ADDRESS
SIX_HOURS_MS = 21_600_000
RESULTS = {
    "BAD_JUMP_DESTINATION": 3,
    "OUT_OF_MEMORY": 4,
    "PRECOMPILED_CONTRACT": 5,
    "STACK_TOO_SMALL": 6,
    "STACK_TOO_LARGE": 7,
    "ILLEGAL_OPERATION": 8,
    "OUT_OF_ENERGY": 10,
    "OUT_OF_TIME": 11,
    "JVM_STACK_OVER_FLOW": 12,
    "UNKNOWN": 13,
    "INVALID_CODE": 15,
}


@pytest.fixture
def caller(world: Any, client: Any) -> Caller:
    return Caller(world=world, client=client)


async def set_factor(caller: Caller, factor: int) -> None:
    await caller.send("setFactor(address,uint256)", USDT, factor, to=LEVERS.address, by=FAUCET.key)


async def factor_of(client: Any, contract: bytes = USDT) -> int:
    info = await client.post("/wallet/getcontractinfo", value=contract.hex())
    factor: int = info["contract_state"].get("energy_factor", 0)
    return factor


@pytest.mark.parametrize(
    ("factor", "holder", "newcomer"),
    [
        (0, (14_650, 0), (29_650, 0)),
        (12_000, (31_895, 17_245), (64_895, 35_245)),
        (34_000, (64_285, 49_635), (130_285, 100_635)),
    ],
)
async def test_a_transfer_costs_what_receipts_of_each_factor_say(
    caller: Caller, world: Any, factor: int, holder: tuple[int, int], newcomer: tuple[int, int]
) -> None:
    await set_factor(caller, factor)
    transfer = "transfer(address,uint256)"
    infos = [
        await caller.send(transfer, world.payee.address, 1),
        await caller.send(transfer, world.stranger.address, 1),
        await caller.send(transfer, world.stranger.address, 1),
    ]

    receipts = [info["receipt"] for info in infos]
    assert [
        (each["energy_usage_total"], each.get("energy_penalty_total", 0)) for each in receipts
    ] == [holder, newcomer, holder]
    assert receipts[0]["energy_fee"] == holder[0] * 100


async def test_a_constant_call_tells_the_energy_exactly_and_the_penalty(
    caller: Caller, world: Any
) -> None:
    asked = await caller.ask("transfer(address,uint256)", world.stranger.address, 1)
    balance = await caller.ask("balanceOf(address)", world.payee.address)
    approval = await caller.ask("approve(address,uint256)", world.payee.address, 1)

    assert (asked["energy_used"], asked["energy_penalty"]) == (130_285, 100_635)
    assert (balance["energy_used"], balance["energy_penalty"]) == (4_062, 3_127)
    assert approval["energy_used"] == 99_764
    await caller.send("approve(address,uint256)", world.payee.address, 1)
    again = await caller.send("approve(address,uint256)", world.payee.address, 2)
    assert again["receipt"]["energy_usage_total"] == 33_764


async def test_a_swept_balance_is_dear_again_and_sweeping_is_not_cheaper(
    caller: Caller, world: Any
) -> None:
    payer, payee = world.payer.address, world.payee.address
    sweep = await caller.send("transfer(address,uint256)", payee, 10_000_000_000)
    deposit = await caller.send("transfer(address,uint256)", payer, 1, by=world.payee)

    assert sweep["receipt"]["energy_usage_total"] == 64_285
    assert deposit["receipt"]["energy_usage_total"] == 130_285


async def test_the_price_rises_between_simulation_and_execution_when_the_recipient_is_emptied(
    caller: Caller, world: Any
) -> None:
    payee = world.payee.address
    asked = await caller.ask("transfer(address,uint256)", payee, 1)
    await caller.send(
        "transfer(address,uint256)", FAUCET.key.address, 10_000_000_000, by=world.payee
    )
    info = await caller.send(
        "transfer(address,uint256)", payee, 1, fee_limit_sun=asked["energy_used"] * 100
    )

    assert info["receipt"]["result"] == "OUT_OF_ENERGY"
    assert info["receipt"]["energy_usage_total"] == asked["energy_used"]
    assert info["fee"] >= asked["energy_used"] * 100
    assert "log" not in info


@pytest.mark.parametrize(
    ("fee_limit_sun", "message"),
    [
        (
            0,
            (
                "Not enough energy for 'PUSH1' operation executing: "
                "curInvokeEnergyLimit[0], curOpEnergy[3], penaltyEnergy[10], usedEnergy[0]"
            ),
        ),
        (
            5 * TRX,
            (
                "Not enough energy for 'SSTORE' operation executing: curInvokeEnergyLimit[50000], "
                "curOpEnergy[5000], penaltyEnergy[17000], usedEnergy[34559]"
            ),
        ),
    ],
)
async def test_too_low_a_fee_limit_burns_all_of_it_and_names_the_operation(
    caller: Caller, world: Any, fee_limit_sun: int, message: str
) -> None:
    info = await caller.send(
        "transfer(address,uint256)", world.payee.address, 1, fee_limit_sun=fee_limit_sun
    )

    assert info["receipt"]["result"] == "OUT_OF_ENERGY"
    assert info["result"] == "FAILED"
    assert bytes.fromhex(info["resMessage"]).decode() == message
    assert info["receipt"].get("energy_fee", 0) == fee_limit_sun
    assert info["receipt"].get("energy_usage_total", 0) == fee_limit_sun // 100
    assert info["contractResult"] == [""]


@pytest.mark.parametrize(("name", "number"), RESULTS.items())
async def test_whatever_breaks_off_costs_all_energy_and_keeps_no_log(
    caller: Caller, world: Any, name: str, number: int
) -> None:
    info = await caller.send("fail(uint256)", number, to=BREAKER.address, fee_limit_sun=TRX)
    transaction = world.node.chain.record(info["blockNumber"]).block.transactions[0]

    assert info["receipt"]["result"] == name
    assert transaction.ret[0].contractRet == number
    assert info["result"] == "FAILED"
    assert info["receipt"]["energy_usage_total"] == 10_000
    assert info["contractResult"] == [""]


async def test_a_failed_transfer_costs_what_it_used(caller: Caller) -> None:
    info = await caller.send("fail(uint256)", 14, to=BREAKER.address)

    assert info["receipt"]["result"] == "TRANSFER_FAILED"
    assert 0 < info["receipt"]["energy_usage_total"] < 1_000


async def test_the_next_calls_of_a_contract_run_out_of_time_when_told_to(
    caller: Caller, world: Any
) -> None:
    signature = "failNext(address,uint256,uint256)"
    await caller.send(signature, USDT, 11, 2, to=LEVERS.address, by=FAUCET.key)
    transfer = "transfer(address,uint256)"

    asked = await caller.ask(transfer, world.payee.address, 1)
    infos = [
        await caller.send(transfer, world.payee.address, amount, fee_limit_sun=10 * TRX)
        for amount in (1, 2, 3)
    ]

    assert asked["transaction"]["ret"] == [{}]
    results = [info["receipt"]["result"] for info in infos]
    assert results == ["OUT_OF_TIME", "OUT_OF_TIME", "SUCCESS"]
    assert infos[0]["receipt"]["energy_fee"] == 10 * TRX
    message = bytes.fromhex(infos[0]["resMessage"])
    assert message == b"CPU timeout for 'SSTORE' operation executing"
    assert len(transfers(infos[2])) == 1


async def test_only_the_owner_pulls_the_levers(caller: Caller, client: Any) -> None:
    info = await caller.send("setFactor(address,uint256)", USDT, 0, to=LEVERS.address)

    assert info["receipt"]["result"] == "REVERT"
    assert await factor_of(client) == 34_000


async def test_traffic_keeps_the_factor_at_the_cap_and_without_it_it_falls(
    caller: Caller, world: Any, client: Any
) -> None:
    await set_factor(caller, 12_000)
    world.wait(SIX_HOURS_MS)
    risen = await factor_of(client)
    for _ in range(6):
        world.wait(SIX_HOURS_MS)
    capped = await factor_of(client)
    await caller.send("setTraffic(address,uint256)", USDT, 0, to=LEVERS.address, by=FAUCET.key)
    world.wait(SIX_HOURS_MS)
    world.wait(SIX_HOURS_MS)

    assert (risen, capped) == (16_400, 34_000)
    assert await factor_of(client) == int(44_000 * 0.95**2) - 10_000


async def test_a_busy_contract_becomes_dearer_and_an_idle_one_cheaper(
    caller: Caller, world: Any, client: Any
) -> None:
    world.devnet.teller.set_parameters({73: 100_000})
    world.mine()
    for _ in range(2):
        await caller.send("burn(uint256)", 60_000, to=BREAKER.address)
    info = await client.post("/wallet/getcontractinfo", value=BREAKER.address.hex())
    world.wait(SIX_HOURS_MS)
    dearer = await factor_of(client, BREAKER.address)
    paid = await caller.send("burn(uint256)", 60_000, to=BREAKER.address)
    world.wait(SIX_HOURS_MS)

    assert info["contract_state"]["energy_usage"] > 120_000
    assert dearer == 2_000
    assert paid["receipt"]["energy_penalty_total"] > 0
    assert await factor_of(client, BREAKER.address) == int(12_000 * 0.95) - 10_000


def test_the_factor_is_worked_out_over_many_cycles_at_once() -> None:
    """Up for the busy cycle, down for each idle one; never below 0 nor above the cap."""
    contract = b"A" + bytes(20)

    def after(cycles: int, *, usage: int, factor: int, traffic: int = 0) -> int:
        state = State()
        state.put(("contract_state", contract), DynamicEnergy(cycle=0, usage=usage, factor=factor))
        state.put_integer("contract_traffic", contract, traffic)
        cycle = Cycle(number=cycles, votes=(), brokerage_sun=(), voters_sun=(), vote_changes=())
        state.put(("cycle", b""), cycle)
        return dynamic_energy.figures(state, contract).factor

    busy = 5_000_000_001
    assert after(1, usage=busy, factor=0) == 2_000
    assert after(1, usage=busy - 1, factor=0) == 0
    assert after(3, usage=busy, factor=0) == int(12_000 * 0.95**2) - 10_000
    assert after(1, usage=busy, factor=33_000) == 34_000
    assert after(10_000, usage=0, factor=34_000) == 0
    assert after(3, usage=0, factor=0, traffic=busy) == 7_280
    assert after(10_000, usage=0, factor=0, traffic=busy) == 34_000


async def test_switched_off_there_is_no_penalty(caller: Caller, world: Any) -> None:
    world.devnet.teller.set_parameters({72: 0})
    world.mine()
    info = await caller.send("transfer(address,uint256)", world.payee.address, 1)

    assert info["receipt"]["energy_usage_total"] == 14_650
    assert "energy_penalty_total" not in info["receipt"]


async def test_the_owner_of_a_contract_pays_his_share_from_stake(
    caller: Caller, world: Any, client: Any
) -> None:
    staked = await client.post(
        "/wallet/freezebalancev2",
        owner_address=FAUCET.key.address.hex(),
        frozen_balance=10**15,
        resource="ENERGY",
    )
    await caller.receipt(staked, by=FAUCET.key)
    await caller.send("approve(address,uint256)", ROUTER.address, 100)

    info = await caller.send(
        "pay(address,address,uint256)", USDT, world.payee.address, 5, to=ROUTER.address
    )

    receipt, total = info["receipt"], info["receipt"]["energy_usage_total"]
    assert receipt["origin_energy_usage"] == total * 40 // 100
    assert receipt["energy_fee"] == (total - receipt["origin_energy_usage"]) * 100
    assert "energy_usage" not in receipt


async def test_a_token_without_dynamic_energy_has_no_penalty(caller: Caller, world: Any) -> None:
    info = await caller.send(
        "mint(address,uint256)", world.payee.address, 1, to=COIN_18.address, by=FAUCET.key
    )

    assert "energy_penalty_total" not in info["receipt"]
