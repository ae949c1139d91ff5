"""What counts as money moving: coins, tokens by registry, and TRX that contracts send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devnet.api.builders import unsigned
from devnet.blocks import txid_of
from devnet.chain_pb2 import TriggerSmartContract
from devnet.contracts.catalogue import COIN_18, PAYER
from devnet.contracts.forwarding import call_data
from devnet.genesis import FAUCET
from devnet.keys import Key
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.tokens import (
    InvalidToken,
    Token,
    Tokens,
    format_units,
    parse_token,
)
from services.tron_client.node.reading import read_receipt
from services.tron_client.store.schema import TOKEN_FEED, TRANSFER_FEED
from shared.tron.address import evm_bytes, parse_address
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    TOKEN,
    Bench,
    SpoiledWire,
    World,
    benched,
    text,
)

COIN = Token(contract=text(COIN_18.address), symbol="COIN", decimals=18)
OTHER_CONTRACT = "TXDk8mbtRbXeYuMNS83CfKPaYYT8XWv9Hz"


def called(
    world: World,
    contract: bytes,
    signature: str,
    *values: bytes | int,
    value: int = 0,
    by: Key | None = None,
) -> str:
    owner = by or world.payer
    message = TriggerSmartContract(
        owner_address=owner.address,
        contract_address=contract,
        call_value=value,
        data=call_data(signature, *values),
    )
    transaction = unsigned(world.devnet.node, message, fee_limit_sun=10**9)
    transaction.signature.append(owner.sign(txid_of(transaction)))
    return world.devnet.node.broadcast(transaction).txid.hex()


def mint(world: World, to: bytes, amount: int) -> str:
    return called(world, COIN_18.address, "mint(address,uint256)", to, amount, by=FAUCET.key)


def pay_internally(world: World, amount_sun: int) -> str:
    return called(
        world,
        PAYER.address,
        "pay(address,uint256)",
        world.payee.address,
        amount_sun,
        value=amount_sun,
    )


async def names(bench: Bench) -> list[tuple[str, str, int, str]]:
    return [
        (
            each.type.removeprefix("transfer."),
            each.object["source"],
            each.object["position"],
            each.object["amount_base_units"],
        )
        for each in await bench.told(TRANSFER_FEED)
    ]


async def test_trx_that_a_contract_sends_is_told_where_the_node_tells_of_it(bench: Bench) -> None:
    bench.world.devnet.node.saves_internal = True
    pay_internally(bench.world, 5_000_000)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await names(bench) == [
        ("seen", "internal", 0, "5000000"),
        ("confirmed", "internal", 0, "5000000"),
    ]


async def test_trx_that_a_contract_sends_and_takes_back_is_not_told(bench: Bench) -> None:
    world = bench.world
    world.devnet.node.saves_internal = True
    called(
        world,
        PAYER.address,
        "payAndRevert(address,uint256)",
        world.payee.address,
        5_000_000,
        value=5_000_000,
    )
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await names(bench) == []


async def test_trx_that_comes_with_a_call_is_a_transfer_to_the_contract(bench: Bench) -> None:
    await bench.coverage.watch([bench.payer])
    called(bench.world, PAYER.address, "deposit()", value=3_000_000)
    await bench.mine()
    (told,) = await bench.told(TRANSFER_FEED)
    assert (told.object["source"], told.object["amount"]) == ("native", "3")
    assert told.object["recipient"] == text(PAYER.address)


async def test_h21_the_position_of_an_internal_transfer_counts_what_moves_nothing(
    world: World, tmp_path: Path
) -> None:
    """Rejected, empty and delegating entries keep their places in the receipt's own list."""
    world.devnet.node.saves_internal = True

    def among_others(path: str, _asked: Any, answer: Any) -> Any:
        if path.endswith("gettransactioninfobyblocknum"):
            for receipt in answer:
                (own,) = receipt["internal_transactions"]
                receipt["internal_transactions"] = [
                    {**own, "rejected": True},
                    {**own, "note": b"delegateResourceOfEnergy".hex()},
                    {**own, "transferTo_address": own["caller_address"]},
                    {**own, "callValueInfo": [{"callValue": 7, "tokenId": "1000001"}]},
                    {**own, "callValueInfo": [{}]},
                    own,
                ]
        return answer

    wire = SpoiledWire(world.devnet, among_others)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        pay_internally(world, 4)
        await bench.mine()
        assert await names(bench) == [("seen", "internal", 5, "4")]


async def test_a_token_of_the_registry_is_told_in_a_feed_of_its_own(
    world: World, tmp_path: Path
) -> None:
    amount = 12 * 10**17
    async with benched(world, tmp_path, tokens=[COIN]) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        mint(world, world.payer.address, amount)
        world.mine()
        called(world, COIN_18.address, "transfer(address,uint256)", world.payee.address, amount)
        world.pay_usdt(5)
        await bench.mine(BLOCKS_TO_SOLID + 1)

        assert await bench.transfer_events() == [("seen", "5"), ("confirmed", "5")]
        seen, confirmed = await bench.told(TOKEN_FEED)
        assert (seen.type, confirmed.type) == ("transfer.seen", "transfer.confirmed")
        assert confirmed.object["amount"] == "1.2"
        assert confirmed.object["symbol"] == "COIN"
        assert confirmed.object["contract_address"] == COIN.contract


async def test_a_token_that_nobody_named_is_not_told(bench: Bench) -> None:
    world = bench.world
    mint(world, world.payee.address, 10**18)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    chain = world.devnet.node.chain
    assert chain.record(chain.head.number - BLOCKS_TO_SOLID).infos[0].log
    assert await bench.told(TOKEN_FEED) == []
    assert await bench.told(TRANSFER_FEED) == []


@pytest.mark.parametrize(
    "named",
    [
        "",
        "USDD",
        f"USDD:{OTHER_CONTRACT}",
        f"USDD:{OTHER_CONTRACT}:six",
        f"USDD:{OTHER_CONTRACT}:78",
        f"U S:{OTHER_CONTRACT}:6",
        f":{OTHER_CONTRACT}:6",
        f"USDD:{OTHER_CONTRACT[:-1]}x:6",
        f"USDD:{OTHER_CONTRACT}:٦",
    ],
)
def test_what_names_no_token_is_refused(named: str) -> None:
    with pytest.raises(InvalidToken):
        parse_token(named)


def test_usdt_is_not_named_again() -> None:
    with pytest.raises(InvalidToken):
        Tokens(TOKEN, [Token(contract=TOKEN, symbol="USDT", decimals=6)])
    named = parse_token(f"USDD:{OTHER_CONTRACT}:18")
    assert Tokens(TOKEN, [named]).counts(evm_bytes(parse_address(OTHER_CONTRACT)).hex().upper())


@pytest.mark.parametrize(
    ("units", "decimals", "written"),
    [(0, 6, "0"), (1, 6, "0.000001"), (10, 0, "10"), (10**19, 18, "10"), (15 * 10**17, 18, "1.5")],
)
def test_units_are_written_with_the_decimals_of_their_token(
    units: int, decimals: int, written: str
) -> None:
    assert format_units(units, decimals=decimals) == written


def test_an_internal_transfer_without_its_parties_is_refused() -> None:
    receipt = {"id": "ab" * 32, "blockNumber": 1, "blockTimeStamp": 1}
    entry = {"callValueInfo": [{"callValue": 5}], "note": b"call".hex(), "caller_address": "41"}
    with pytest.raises(InconsistentBlock):
        read_receipt({**receipt, "internal_transactions": [entry]})
