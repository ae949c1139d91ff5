from __future__ import annotations

from typing import Any

import pytest

from devnet.address import ZERO
from devnet.contracts.abi import address_word, integer_word
from devnet.contracts.catalogue import (
    BREAKER,
    COIN_18,
    COLLECTIBLE,
    FAKE_USDT,
    FALSE_TOKEN,
    ODD_LOGS,
    PAYER,
    ROUTER,
    SILENT_TOKEN,
)
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import FAUCET
from devnet.state import BURNED_SUN
from tests.devnet.contract_caller import TRANSFER_TOPIC, TRX, Caller, assert_reverted, transfers

USDT = USDT_CONTRACT_ADDRESS
MINT = "mint(address,uint256)"
TRANSFER = "transfer(address,uint256)"
NOTE = b"call".hex()


@pytest.fixture
def caller(world: Any, client: Any) -> Caller:
    return Caller(world=world, client=client)


async def test_the_fake_says_all_that_usdt_says_at_another_address(
    caller: Caller, world: Any
) -> None:
    for signature in ("name()", "symbol()", "decimals()"):
        real, fake = [
            (await caller.ask(signature, to=token))["constant_result"]
            for token in (USDT, FAKE_USDT.address)
        ]
        assert real == fake
    payer, payee = world.payer.address, world.payee.address
    await caller.send(MINT, payer, 10**12, to=FAKE_USDT.address, by=FAUCET.key)
    info = await caller.send(TRANSFER, payee, 5, to=FAKE_USDT.address)

    assert transfers(info) == [(FAKE_USDT.address, payer, payee, 5)]
    assert world.usdt_micro(payee) == 10_000_000_000


async def test_a_router_moves_usdt_and_the_log_is_usdt_s_own(caller: Caller, world: Any) -> None:
    payer, payee = world.payer.address, world.payee.address
    await caller.send("approve(address,uint256)", ROUTER.address, 10)
    signature = "pay(address,address,uint256)"
    info = await caller.send(signature, USDT, payee, 7, to=ROUTER.address)
    beyond = await caller.send(signature, USDT, payee, 7, to=ROUTER.address)

    assert info["contract_address"] == ROUTER.address.hex()
    assert transfers(info) == [(USDT, payer, payee, 7)]
    assert_reverted(beyond)


async def test_one_transaction_pays_many_and_one_of_them_twice_the_same(
    caller: Caller, world: Any
) -> None:
    """H21: only the position of a log tells two equal transfers apart."""
    payer, payee, stranger = world.payer.address, world.payee.address, world.stranger.address
    await caller.send("approve(address,uint256)", ROUTER.address, 100)
    info = await caller.send(
        "multisend(address,address[],uint256[])",
        USDT,
        [payee, stranger, payee],
        [10, 20, 10],
        to=ROUTER.address,
    )

    assert transfers(info) == [
        (USDT, payer, payee, 10),
        (USDT, payer, stranger, 20),
        (USDT, payer, payee, 10),
    ]
    assert world.usdt_micro(payee) == 10_000_000_020


async def test_one_failed_payment_undoes_the_others(caller: Caller, world: Any) -> None:
    await caller.send("approve(address,uint256)", ROUTER.address, 25)
    info = await caller.send(
        "multisend(address,address[],uint256[])",
        USDT,
        [world.payee.address, world.stranger.address],
        [20, 20],
        to=ROUTER.address,
    )

    assert info["receipt"]["result"] == "REVERT"
    assert "log" not in info
    assert world.usdt_micro(world.payee.address) == 10_000_000_000


async def test_a_swallowed_failure_is_a_success_without_a_transfer(
    caller: Caller, world: Any
) -> None:
    """H10: the receipt says SUCCESS and nothing was paid."""
    info = await caller.send(
        "tryPay(address,address,uint256)", USDT, world.payee.address, 7, to=ROUTER.address
    )

    assert info["receipt"]["result"] == "SUCCESS"
    assert "log" not in info
    assert info["contractResult"] == [integer_word(0).hex()]


async def test_a_router_pays_with_tokens_of_its_own(caller: Caller, world: Any) -> None:
    payee = world.payee.address
    await caller.send(TRANSFER, ROUTER.address, 50)
    info = await caller.send("forward(address,address,uint256)", USDT, payee, 50, to=ROUTER.address)

    assert transfers(info) == [(USDT, ROUTER.address, payee, 50)]


async def test_a_token_may_say_false_and_do_nothing(caller: Caller, world: Any) -> None:
    """H10: no revert, no movement, no log."""
    token = FALSE_TOKEN.address
    await caller.send(MINT, world.payer.address, 100, to=token, by=FAUCET.key)
    info = await caller.send(TRANSFER, world.payee.address, 5, to=token)

    assert info["receipt"]["result"] == "SUCCESS"
    assert "log" not in info
    assert info["contractResult"] == [integer_word(0).hex()]
    assert await caller.number("balanceOf(address)", world.payer.address, to=token) == 100


async def test_a_token_may_move_without_a_log(caller: Caller, world: Any) -> None:
    """H10: the balance moved, the receipt says nothing."""
    token = SILENT_TOKEN.address
    await caller.send(MINT, world.payer.address, 100, to=token, by=FAUCET.key)
    info = await caller.send(TRANSFER, world.payee.address, 5, to=token)

    assert info["receipt"]["result"] == "SUCCESS"
    assert "log" not in info
    assert await caller.number("balanceOf(address)", world.payee.address, to=token) == 5


async def test_18_decimals_do_not_fit_64_bits(caller: Caller, world: Any) -> None:
    payer, payee, token = world.payer.address, world.payee.address, COIN_18.address
    amount = 123_456_789 * 10**18 + 1
    minted = await caller.send(MINT, payer, amount, to=token, by=FAUCET.key)
    info = await caller.send(TRANSFER, payee, amount, to=token)
    beyond = await caller.send(TRANSFER, payee, 1, to=token)

    assert amount > 2**64
    assert transfers(minted) == [(token, ZERO, payer, amount)]
    assert transfers(info) == [(token, payer, payee, amount)]
    assert await caller.number("decimals()", to=token) == 18
    assert beyond["receipt"]["result"] == "REVERT"
    error = bytes.fromhex(beyond["contractResult"][0])
    assert error[:4].hex() == "08c379a0"
    assert error[68:106] == b"ERC20: transfer amount exceeds balance"


async def test_only_the_owner_of_a_token_mints(caller: Caller, world: Any) -> None:
    info = await caller.send(MINT, world.payer.address, 1, to=FAKE_USDT.address)

    assert info["receipt"]["result"] == "REVERT"


async def test_a_collectible_s_transfer_has_four_topics_and_no_data(
    caller: Caller, world: Any
) -> None:
    payer, payee, token = world.payer.address, world.payee.address, COLLECTIBLE.address
    await caller.send(MINT, payer, 77, to=token)
    signature = "transferFrom(address,address,uint256)"
    info = await caller.send(signature, payer, payee, 77, to=token)
    again = await caller.send(signature, payer, payee, 77, to=token)

    words = [address_word(payer).hex(), address_word(payee).hex(), integer_word(77).hex()]
    assert info["log"] == [{"address": token[1:].hex(), "topics": [TRANSFER_TOPIC, *words]}]
    assert_reverted(again)


@pytest.mark.parametrize(
    ("shape", "topics", "data_bytes"),
    [(0, 1, 96), (1, 2, 64), (2, 4, 0), (3, 3, 0), (4, 3, 8), (5, 3, 64), (6, 3, 32), (7, 0, 96)],
)
async def test_a_log_may_look_like_a_transfer_and_be_none(
    caller: Caller, world: Any, shape: int, topics: int, data_bytes: int
) -> None:
    payer, payee = world.payer.address, world.payee.address
    signature = "show(uint256,address,address,uint256)"
    info = await caller.send(signature, shape, payer, payee, 5, to=ODD_LOGS.address)
    log = info["log"][0]

    assert len(log.get("topics", [])) == topics
    assert len(bytes.fromhex(log.get("data", ""))) == data_bytes
    assert log.get("topics", [TRANSFER_TOPIC])[0] == TRANSFER_TOPIC


async def test_trx_comes_by_internal_transfer_which_only_some_nodes_show(
    caller: Caller, world: Any, client: Any
) -> None:
    payee, before_sun = world.payee.address, world.balance_sun(world.payee.address)
    info = await caller.send(
        "pay(address,uint256)", payee, 3 * TRX, to=PAYER.address, value_sun=3 * TRX
    )
    assert "internal_transactions" not in info
    number = info["blockNumber"]
    hidden = await client.post("/wallet/gettransactioninfobyblocknum", num=number)

    world.node.saves_internal = True
    shown = await caller.info(info["id"])
    listed = await client.post("/wallet/gettransactioninfobyblocknum", num=number)
    visible = await client.post("/wallet/gettransactioninfobyid", value=info["id"], visible=True)

    assert world.balance_sun(payee) == before_sun + 3 * TRX
    (internal,) = shown["internal_transactions"]
    assert len(bytes.fromhex(internal["hash"])) == 32
    assert internal == {
        "hash": internal["hash"],
        "caller_address": PAYER.address.hex(),
        "transferTo_address": payee.hex(),
        "callValueInfo": [{"callValue": 3 * TRX}],
        "note": NOTE,
    }
    assert hidden == [info]
    assert listed == [shown]
    assert visible["internal_transactions"][0]["transferTo_address"].startswith("T")


async def test_an_internal_transfer_may_be_rejected_with_all_the_rest(
    caller: Caller, world: Any
) -> None:
    world.node.saves_internal = True
    payee, before_sun = world.payee.address, world.balance_sun(world.payee.address)
    signature = "payAndRevert(address,uint256)"
    info = await caller.send(signature, payee, TRX, to=PAYER.address, value_sun=TRX)

    assert info["receipt"]["result"] == "REVERT"
    assert [each["rejected"] for each in info["internal_transactions"]] == [True]
    assert world.balance_sun(payee) == before_sun
    assert world.balance_sun(PAYER.address) == 0


async def test_an_internal_transfer_may_be_rejected_alone(caller: Caller, world: Any) -> None:
    """USDT takes no TRX, and the payer does not mind."""
    world.node.saves_internal = True
    signature = "tryPay(address,uint256)"
    info = await caller.send(signature, USDT, TRX, to=PAYER.address, value_sun=TRX)

    assert info["receipt"]["result"] == "SUCCESS"
    assert info["contractResult"] == [integer_word(0).hex()]
    assert [each["rejected"] for each in info["internal_transactions"]] == [True]
    assert (world.balance_sun(USDT), world.balance_sun(PAYER.address)) == (0, TRX)


async def test_an_internal_transfer_activates_an_account_for_energy_alone(
    caller: Caller, world: Any
) -> None:
    stranger = world.stranger.address
    signature = "multipay(address[],uint256[])"
    info = await caller.send(
        signature, [stranger, stranger], [TRX, 2 * TRX], to=PAYER.address, value_sun=3 * TRX
    )

    assert world.balance_sun(stranger) == 3 * TRX
    assert info["receipt"]["energy_usage_total"] > 2 * 9_000 + 25_000
    assert info["fee"] == info["receipt"]["energy_fee"] + info["receipt"].get("net_fee", 0)


async def test_paying_oneself_fails_as_a_transfer(caller: Caller) -> None:
    info = await caller.send(
        "pay(address,uint256)", PAYER.address, 1, to=PAYER.address, value_sun=1
    )

    assert info["receipt"]["result"] == "TRANSFER_FAILED"
    assert bytes.fromhex(info["resMessage"]).decode() == (
        "transfer trx failed: Cannot transfer TRX to yourself."
    )
    assert info["receipt"]["energy_usage_total"] < 20_000


async def test_a_payer_without_funds_reverts(caller: Caller, world: Any) -> None:
    signature = "pay(address,uint256)"
    assert_reverted(await caller.send(signature, world.payee.address, 1, to=PAYER.address))
    beyond = await caller.send(signature, world.payee.address, 2**63, to=PAYER.address)
    assert beyond["receipt"]["result"] == "TRANSFER_FAILED"
    assert bytes.fromhex(beyond["resMessage"]) == b"endowment out of long range"


async def test_calls_within_calls_are_listed_in_the_order_of_calling(
    caller: Caller, world: Any
) -> None:
    world.node.saves_internal = True
    await caller.send("approve(address,uint256)", ROUTER.address, 10)
    recipients = [world.payee.address, world.stranger.address]
    info = await caller.send(
        "multisend(address,address[],uint256[])", USDT, recipients, [1, 2], to=ROUTER.address
    )

    internal = info["internal_transactions"]
    assert [each["transferTo_address"] for each in internal] == [USDT.hex()] * 2
    assert [each["callValueInfo"] for each in internal] == [[{}], [{}]]
    assert len({each["hash"] for each in internal}) == 2
    assert all("rejected" not in each for each in internal)


async def test_trx_sent_to_a_contract_by_transfer_is_stuck(
    caller: Caller, world: Any, client: Any
) -> None:
    built = await client.post(
        "/wallet/createtransaction",
        owner_address=world.payer.address.hex(),
        to_address=USDT.hex(),
        amount=TRX,
    )
    info = await caller.receipt(built, by=world.payer)

    assert "result" not in info
    assert world.balance_sun(USDT) == TRX


async def test_no_trx_is_made_or_lost_in_contracts(caller: Caller, world: Any) -> None:
    def everything_sun() -> int:
        state = world.node.pending_state
        kept = world.node.chain.ledger.head.changes
        accounts = [state.account(address) for kind, address in kept if kind == "account"]
        held_sun: int = sum(each.balance_sun for each in accounts) + state.integer(BURNED_SUN)
        return held_sun

    before_sun = everything_sun()
    payee, stranger = world.payee.address, world.stranger.address
    many, one = "multipay(address[],uint256[])", "pay(address,uint256)"
    await caller.send("deposit()", to=PAYER.address, value_sun=10 * TRX)
    await caller.send(many, [payee, stranger], [TRX, TRX], to=PAYER.address)
    await caller.send(many, [payee, USDT], [TRX, TRX], to=PAYER.address)
    await caller.send(many, [payee, stranger], [TRX, 10**12], to=PAYER.address)
    await caller.send("tryPay(address,uint256)", USDT, TRX, to=PAYER.address, value_sun=3)
    await caller.send(one, PAYER.address, TRX, to=PAYER.address)
    await caller.send(one, payee, TRX, to=PAYER.address, fee_limit_sun=100_000)

    assert world.balance_sun(PAYER.address) == 8 * TRX + 3
    assert everything_sun() == before_sun


@pytest.mark.parametrize(
    ("signature", "values", "returned"),
    [
        ("revertSilently()", (), ""),
        ("revertWith(string)", ("no",), "08c379a0"),
        ("panic(uint256)", (17,), "4e487b71" + integer_word(17).hex()),
    ],
)
async def test_a_revert_returns_what_it_was_given(
    caller: Caller, signature: str, values: tuple[Any, ...], returned: str
) -> None:
    info = await caller.send(signature, *values, to=BREAKER.address)

    assert info["receipt"]["result"] == "REVERT"
    assert info["contractResult"][0].startswith(returned)
    assert bool(info["contractResult"][0]) == bool(returned)
