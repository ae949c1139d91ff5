"""What a wallet holds, on a real chain: beside the books, and before a wallet is put away."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devnet.address import from_base58
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, new_world
from tests.services.wallet_manager.stand import Json, Stand, standing
from tests.services.wallet_manager.till import TRX

pytestmark = pytest.mark.property


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    world = new_world()
    async with standing(world, tmp_path) as made:
        yield made
    world.devnet.node.chain.close()


def sides(view: Json) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what the chain and the books say, by account and currency."""
    address = view["address"]
    return {
        (line["account"].removesuffix(address).rstrip(":"), line["currency"]): (
            line["on_chain_base_units"],
            line["recorded_base_units"],
        )
        for line in view["holdings"]
    }


async def test_holdings_are_those_of_chain_and_books(stand: Stand) -> None:
    own = stand.wallet["address"]
    frozen = {"amount_base_units": str(900 * TRX), "resource": "energy"}
    await stand.confirmed(stand.intent("freeze_balance", "freeze", params=frozen))
    part = {"amount_base_units": str(5 * TRX), "resource": "energy"}
    await stand.confirmed(stand.intent("unfreeze_balance", "thaw", params=part))
    view = await stand.good("GET", f"/wallets/{stand.wallet['wallet_id']}/holdings")
    both = sides(view)
    assert both["", "USDT"] == (str(1_000 * TRX),) * 2
    assert both["staked", "TRX"] == (str(895 * TRX),) * 2
    assert both["unfreezing", "TRX"] == (str(5 * TRX),) * 2
    chain, books = both["", "TRX"]
    assert chain == books
    assert 2_000 * TRX < int(chain) <= 2_100 * TRX
    assert view["resources"]["energy_limit"] > 0
    assert view["staked"] == [{"resource": "energy", "amount_sun": str(895 * TRX)}]
    assert len(view["unfreezing"]) == 1
    assert view["activated"]
    assert view == await stand.good("GET", f"/wallets/{own}/holdings") | {"age_s": view["age_s"]}


async def test_money_that_is_not_solid_yet_shows_on_chain_and_keeps_a_wallet(stand: Stand) -> None:
    wallet = await stand.good("POST", "/wallets", {"user_id": "ada", "request_id": "second"})
    address, path = wallet["address"], f"/wallets/{wallet['wallet_id']}"
    leaf = await stand.good("POST", f"{path}/addresses", {"request_id": "r", "purpose": "invoice"})
    empty = await stand.good("GET", f"/wallets/{leaf['address']}/holdings")
    assert sides(empty)["", "TRX"] == ("0", "0")
    assert not empty["activated"]
    stand.world.devnet.teller.send_trx(stand.world.payer, from_base58(address), 7)
    stand.world.mine()
    assert sides(await stand.good("GET", f"{path}/holdings"))["", "TRX"] == ("7", "0")
    status, problem = await stand.ask("DELETE", path)
    assert (status, problem["code"]) == (409, "LUCID_ERR_9348")
    assert f"{address}: 7 base units of TRX" in str(problem)
    stand.world.mine(BLOCKS_TO_SOLID + 2)
    await stand.booked(address, "TRX", 7)
    status, problem = await stand.ask("DELETE", path)
    assert (status, problem["code"]) == (409, "LUCID_ERR_9348")


async def test_holdings_of_nobody_are_not_found(stand: Stand) -> None:
    status, problem = await stand.ask("GET", "/wallets/wal_nobody/holdings")
    assert (status, problem["title"]) == (404, "Unknown wallet")
