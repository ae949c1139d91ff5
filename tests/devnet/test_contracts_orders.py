from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import devnet
from devnet.address import to_base58
from devnet.contracts.catalogue import COIN_18, FAKE_USDT, UPGRADED_USDT
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.control.contract_orders import ContractOrders, named_contracts
from devnet.genesis import FAUCET
from tests.devnet.contract_caller import TRX, Caller, transfers

USDT = USDT_CONTRACT_ADDRESS


@pytest.fixture
def orders(world: Any) -> ContractOrders:
    return ContractOrders(world.devnet.teller)


@pytest.fixture
def caller(world: Any, client: Any) -> Caller:
    return Caller(world=world, client=client)


async def carried_out(caller: Caller, txid: str, result: str = "SUCCESS") -> Any:
    """The receipt of an order, after a block."""
    caller.world.mine()
    info = await caller.info(txid)
    assert info["receipt"]["result"] == result, info
    return info


async def test_usdt_obeys_its_owner(caller: Caller, world: Any, orders: ContractOrders) -> None:
    payee = world.payee.address
    await carried_out(caller, orders.set_paused(paused=True))
    assert await caller.number("paused()") == 1
    await carried_out(caller, orders.set_paused(paused=False))
    await carried_out(caller, orders.set_black_listed(payee, listed=True))
    await carried_out(caller, orders.destroy_black_funds(payee))
    await carried_out(caller, orders.set_black_listed(payee, listed=False))
    await carried_out(caller, orders.set_fee(10, 40))
    await carried_out(caller, orders.redeem(5))

    assert await caller.number("balanceOf(address)", payee) == 0
    assert await caller.number("basisPointsRate()") == 10
    assert await caller.number("totalSupply()") == 10**16 - 10_000_000_000 - 5


async def test_usdt_is_issued_to_an_address_and_deprecated(
    caller: Caller, world: Any, orders: ContractOrders
) -> None:
    stranger = world.stranger.address
    issued = await carried_out(caller, orders.issue(stranger, 700))
    await carried_out(caller, orders.deprecate())
    moved = await caller.send("transfer(address,uint256)", stranger, 1)

    assert transfers(issued) == [(USDT, FAUCET.key.address, stranger, 700)]
    assert await caller.number("totalSupply()") == 10**16 + 700
    assert transfers(moved) == [(UPGRADED_USDT.address, world.payer.address, stranger, 1)]


async def test_fakes_are_minted_routed_and_paid_in_many_ways(
    caller: Caller, world: Any, orders: ContractOrders
) -> None:
    payer, payee, stranger = world.payer.address, world.payee.address, world.stranger.address
    fake = await carried_out(caller, orders.mint(stranger, 9))
    coin = await carried_out(caller, orders.mint(stranger, 10**24, COIN_18.address))
    await carried_out(caller, orders.allow_router(world.payer))
    routed = await carried_out(caller, orders.route(world.payer, payee, 3))
    many = await carried_out(caller, orders.route_many(world.payer, [(payee, 4), (payee, 4)]))

    assert transfers(fake)[0][0] == FAKE_USDT.address
    assert transfers(coin)[0][3] == 10**24
    assert transfers(routed) == [(USDT, payer, payee, 3)]
    assert transfers(many) == [(USDT, payer, payee, 4), (USDT, payer, payee, 4)]


async def test_trx_is_paid_internally_or_in_vain(
    caller: Caller, world: Any, orders: ContractOrders
) -> None:
    stranger = world.stranger.address
    await carried_out(caller, orders.pay_internally(stranger, 2 * TRX))
    await carried_out(caller, orders.pay_internally_in_vain(stranger, TRX), result="REVERT")

    assert world.balance_sun(stranger) == 2 * TRX


async def test_levers_move_the_factor_and_break_the_next_call(
    caller: Caller, world: Any, orders: ContractOrders
) -> None:
    await carried_out(caller, orders.set_energy_factor(0))
    cheap = await caller.send("transfer(address,uint256)", world.payee.address, 1)
    await carried_out(caller, orders.set_traffic(0))
    await carried_out(caller, orders.fail_next(11))
    late = await caller.send("transfer(address,uint256)", world.payee.address, 2)

    assert cheap["receipt"]["energy_usage_total"] == 14_650
    assert late["receipt"]["result"] == "OUT_OF_TIME"


def test_every_contract_of_the_first_block_has_a_name_and_an_address() -> None:
    contracts = named_contracts()

    assert contracts["TetherToken"] == USDT
    assert len(contracts) == len(set(contracts.values())) == 12


def test_the_readme_lists_every_contract_with_its_address() -> None:
    readme = (Path(devnet.__file__).parent / "README.md").read_text(encoding="utf-8")

    for name, address in named_contracts().items():
        assert f"| {name} | `{to_base58(address)}` |" in readme
