"""Every kind of send, from its body over HTTP to a solid block of the devnet."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devnet.address import to_base58
from devnet.contracts.abi import selector_of
from devnet.contracts.catalogue import LEVERS
from devnet.control.contract_orders import ContractOrders
from devnet.genesis import WITNESSES
from shared.models.wallet_sends import SendKind
from tests.services.tron_client.bench import new_world
from tests.services.wallet_manager.stand import DAY_MS, Json, Stand, standing
from tests.services.wallet_manager.till import CUSTOMER, STRANGER, TRX, USDT

pytestmark = pytest.mark.property

HIGHEST_FACTOR = 100_000
ALL_OPERATIONS = "7fff1fc0033efb0f" + "00" * 24


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    world = new_world()
    async with standing(world, tmp_path) as made:
        yield made
    world.devnet.node.chain.close()


def amount(units: int, **more: Any) -> Json:
    return {"amount_base_units": str(units), **more}


def token(units: int) -> Json:
    return amount(units, recipient=CUSTOMER, contract_address=USDT)


async def allowed(stand: Stand, *kinds: str, calls: tuple[Json, ...] = ()) -> None:
    """Let the policy name kinds that it does not at first, and pass the cooling-off."""
    policy = await stand.good("GET", "/policies/all")
    rules = policy["rules"]
    rules["kinds"] = sorted({*rules["kinds"], *kinds})
    rules["calls"] = list(calls)
    body = {"revision": policy["revision"], "rules": rules, "reason": "needed"}
    await stand.good("PUT", "/policies/all", body)
    (early,) = await stand.send(stand.intent(kinds[0], "early", params=token(1)))
    assert early["problem"]["facts"]["rule"] == "policy_kind"
    await stand.pass_ms(DAY_MS + 1)

    async def in_force() -> bool:
        return (await stand.good("GET", "/policies/all"))["coming"] is None

    await stand.until(in_force)


async def test_every_kind_is_taken_on_signed_and_confirmed(stand: Stand) -> None:
    energy, friend = {"resource": "energy"}, str(stand.world.to)
    await stand.confirmed(
        stand.intent("trc20_transfer", "token", params=token(25 * TRX)),
        stand.intent("trx_transfer", "coins", params=amount(3 * TRX, recipient=CUSTOMER)),
        stand.intent("freeze_balance", "freeze", params=amount(900 * TRX, **energy)),
    )
    votes = [{"witness": to_base58(WITNESSES[0].address), "count": 900}]
    lent = amount(200 * TRX, recipient=friend, **energy)
    await stand.confirmed(
        stand.intent("vote", "vote", params={"votes": votes}),
        stand.intent("delegate", "lend", params=lent),
    )
    await stand.confirmed(stand.intent("undelegate", "back", params=lent))
    await stand.confirmed(stand.intent("unfreeze_balance", "un", params=amount(5 * TRX, **energy)))
    await stand.confirmed(stand.intent("cancel_unfreeze", "cancel"))
    await stand.confirmed(stand.intent("unfreeze_balance", "out", params=amount(7 * TRX, **energy)))
    call = {
        "contract": to_base58(LEVERS.address),
        "selectors": [selector_of("owner()").hex()],
    }
    await allowed(stand, "trc20_approve", "contract_call", "permission_update", calls=(call,))
    await stand.pass_ms(15 * DAY_MS)

    leaf = await stand.good(
        "POST",
        f"/wallets/{stand.wallet['wallet_id']}/addresses",
        {"request_id": "leaf", "purpose": "invoice"},
    )
    called = {"contract_address": call["contract"], "data": call["selectors"][0]}
    await stand.confirmed(
        stand.intent("withdraw_unfrozen", "withdraw"),
        stand.intent("claim_rewards", "claim"),
        stand.intent("account_activate", "wake", params={"recipient": leaf["address"]}),
        stand.intent("trc20_approve", "allow", params=token(9)),
        stand.intent("contract_call", "call", params=called),
    )
    await handed_over(stand)
    kinds = {key.split(":")[1] for key in stand.states}
    assert len(kinds) == 15 > len(SendKind)


async def handed_over(stand: Stand) -> None:
    """Change the account's permissions, which people always agree to first."""

    def permission(name: str, *keys: str, operations: str = "") -> Json:
        weighed = [{"address": key, "weight": 1} for key in keys]
        return {"name": name, "threshold": 1, "keys": weighed, "operations": operations}

    own = stand.wallet["address"]
    rights = {
        "owner": permission("owner", own),
        "actives": [permission("pay", own, STRANGER, operations=ALL_OPERATIONS)],
    }
    body = stand.intent("permission_update", "rights", params={"permissions": rights})
    await stand.taken(body)
    waiting = await stand.read(body["send_key"])
    asked = f"/approvals/apr_{waiting['send_id']}"
    assert STRANGER in (await stand.good("GET", asked))["reason"]
    await stand.good("POST", f"{asked}/agree", {"note": "I looked"})
    stand.world.mine(2)  # by this clock it is looked at again
    assert await stand.settle(body["send_key"]) == ["confirmed"]


async def test_an_address_is_swept_once_it_was_woken_and_topped_up(stand: Stand) -> None:
    wallet_id, own = stand.wallet["wallet_id"], stand.wallet["address"]
    leaf = await stand.good(
        "POST", f"/wallets/{wallet_id}/addresses", {"request_id": "inv", "purpose": "invoice"}
    )
    source = leaf["address"]
    await stand.funded(source, usdt=40 * TRX)
    sweep = stand.intent(
        "trc20_transfer",
        "sweep",
        service="payment-gateway",
        purpose="sweep",
        from_address=source,
        params=amount(40 * TRX, recipient=own, contract_address=USDT),
    )
    top_up = stand.intent(
        "trx_transfer",
        "top-up",
        service="payment-gateway",
        purpose="fee_top_up",
        params=amount(40 * TRX, recipient=source),
    )
    await stand.taken(sweep)
    assert (await stand.read(sweep["send_key"]))["from_address"] == source
    before = await stand.balance(own, "USDT")

    await stand.confirmed(top_up)
    await stand.booked(source, "TRX", 40 * TRX)
    assert await stand.settle(sweep["send_key"]) == ["confirmed"]
    await stand.booked(own, "USDT", before + 40 * TRX)
    fee = int((await stand.read(sweep["send_key"]))["fee_sun"])
    assert await stand.balance(source, "USDT") == 0
    assert await stand.balance(source, "TRX") == 40 * TRX - fee > 0


async def test_h15_energy_that_grew_dearer_before_the_block_costs_the_fee_limit_and_no_more(
    stand: Stand,
) -> None:
    own = stand.wallet["address"]
    coins, tokens = [await stand.balance(own, one) for one in ("TRX", "USDT")]
    late = stand.intent("trc20_transfer", "late", params=token(25 * TRX))
    stand.world.drop(times=1)  # the node takes it, and forgets it at the next block
    await stand.taken(late)
    await stand.hear([late["send_key"]], {"submitted"})
    stand.world.mine()
    ContractOrders(stand.world.devnet.teller).set_energy_factor(HIGHEST_FACTOR)

    async def seen() -> bool:
        stand.world.mine()  # tron-client brings the same bytes again
        return str((await stand.read(late["send_key"]))["state"]) == "seen"

    await stand.until(seen)
    assert await stand.settle(late["send_key"]) == ["failed"]
    send = await stand.read(late["send_key"])
    burned, limit = int(send["fee_sun"]), int(send["fee_limit_sun"])
    assert limit <= burned < limit + TRX
    assert await stand.balance(own, "TRX") == coins - burned
    view = await stand.good("GET", f"/wallets/{own}/balance?currency=USDT")
    assert (view["balance_base_units"], view["held_base_units"]) == (str(tokens), "0")

    dear = stand.intent("trc20_transfer", "dear", params=token(25 * TRX))
    await stand.taken(dear)
    assert await stand.settle(dear["send_key"]) == ["confirmed"]
    paid = await stand.read(dear["send_key"])
    assert int(paid["fee_sun"]) < int(paid["fee_limit_sun"]) > limit
