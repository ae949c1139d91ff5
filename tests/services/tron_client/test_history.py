"""The past of an address: every page, once, and no lie taken for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from devnet.address import PREFIX, keccak256
from devnet.api.builders import unsigned
from devnet.chain_pb2 import CreateSmartContract, SmartContract
from devnet.contracts.catalogue import FAKE_USDT
from devnet.contracts.usdt import USDT_CONTRACT
from devnet.genesis import CUSTOMERS
from services.tron_client.domain.history import (
    History,
    ImpossibleSpan,
    InconsistentHistory,
    NoHistory,
    PastTokenMove,
    PastTransaction,
    past_token_move_view,
)
from services.tron_client.node.errors import NodeUnavailable
from services.tron_client.node.history import MAX_SYMBOL_CHARACTERS
from services.tron_client.node.pages import PAGE_ITEMS, Bounds
from services.tron_client.service.history import Histories
from shared.clock import HeldClock
from shared.models.tron_reads import TokenMove
from tests.devnet.contract_caller import encoded
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, TOKEN, World, new_world, text

MANY = 450
NEVER_MS = 10**13
ADDRESS_IN_PATH = re.compile(r"/T\w{33}/")

Item = dict[str, Any]
Change = Callable[[dict[str, Any]], Any]


@dataclass
class DevnetGateway:
    """The devnet's own ``/v1``, whose answers a test may spoil.

    Attributes:
        asked: the address and query of every page.
    """

    world: World
    change: Change = lambda page: page
    operator: str = "devnet"
    asked: list[str] = field(default_factory=list)

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        transport = httpx.ASGITransport(app=self.world.devnet.node_app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
            response = await http.get(path, params=query)
        self.asked.append(str(response.request.url))
        assert response.status_code == 200, response.text
        return self.change(response.json())


class GatewayThatIsAway:
    """Gives no answer."""

    operator = "away"

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        raise NodeUnavailable(f"no answer to {path} with {len(query)} parameters", retry_after_s=1)


class GatewayThatInvents:
    """Gives pages that a test made, by their fingerprints; the first by none."""

    operator = "inventor"

    def __init__(self, pages: Mapping[str | None, Any]) -> None:
        self.pages = pages

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        assert path.startswith("/v1/accounts/")
        return self.pages[query.get("fingerprint")]


async def posted(world: World, path: str, **payload: Any) -> Any:
    transport = httpx.ASGITransport(app=world.devnet.node_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
        return (await http.post(path, json=payload)).json()


@pytest.fixture(scope="module")
def busy() -> Iterator[World]:
    """A world in which the payer paid the payee some hundred times in each currency."""
    world = new_world()
    for number in range(MANY):
        world.pay_trx(number + 1)
        world.pay_usdt(number + 1)
        if number % 50 == 49:
            world.mine()
    world.mine(BLOCKS_TO_SOLID)
    yield world
    world.devnet.node.chain.close()


def histories(
    *gateways: Any, pages: int = 100, seconds: float = 60, now_ms: int = NEVER_MS
) -> Histories:
    return Histories(
        gateways=lambda: gateways,
        usdt=TOKEN,
        clock=HeldClock(now_ms),
        bounds=Bounds(pages=pages, seconds=seconds),
    )


async def transactions(of: Histories, world: World, **more: Any) -> History[PastTransaction]:
    asked = {"since_ms": 0, "until_ms": None, "only_solid": True} | more
    return await of.transactions(world.to, **asked)


async def token_moves(of: Histories, world: World, **more: Any) -> History[PastTokenMove]:
    asked = {"token": None, "since_ms": 0, "until_ms": None, "only_solid": True} | more
    return await of.token_moves(world.to, **asked)


def amounts(found: History[PastTransaction]) -> list[int | None]:
    return [each.said.amount_sun for each in found.items]


def values(found: History[PastTokenMove]) -> list[int]:
    return [each.value for each in found.items]


async def test_every_page_of_an_address_is_read_and_every_payment_is_told_once(busy: World) -> None:
    gateway = DevnetGateway(busy)
    sent = await transactions(histories(gateway), busy)
    assert sent.is_complete
    assert (sent.pages, sent.repeated, sent.operator) == (3, 0, "devnet")
    assert sorted(amount for amount in amounts(sent) if amount) == list(range(1, MANY + 1))
    assert {each.said.kind for each in sent.items} == {"TransferContract"}
    assert [each.at_ms for each in sent.items] == sorted(
        (each.at_ms for each in sent.items), reverse=True
    )

    moved = await token_moves(histories(gateway), busy)
    assert moved.is_complete
    assert sorted(values(moved)) == list(range(1, MANY + 1))
    assert {(each.token, each.move) for each in moved.items} == {(TOKEN, TokenMove.TRANSFER)}
    assert len(gateway.asked) == 6


async def test_what_a_transaction_was_and_cost_is_told(world: World) -> None:
    world.devnet.node.broadcast(world.failing_call())
    world.mine(BLOCKS_TO_SOLID + 1)
    payer = text(world.payer.address)
    found = await histories(DevnetGateway(world)).transactions(
        payer, since_ms=0, until_ms=None, only_solid=True
    )
    (past,) = found.items
    (info,) = world.devnet.node.chain.record(past.height).infos
    assert info.id.hex() == past.txid
    assert past.result == "REVERT"
    assert (past.said.kind, past.said.owner) == ("TriggerSmartContract", payer)
    assert (past.said.recipient, past.said.amount_sun) == (TOKEN, 0)
    assert (past.height, past.at_ms) == (info.blockNumber, info.blockTimeStamp)
    assert (past.fee_sun, past.energy_used) == (info.fee, info.receipt.energy_usage_total)


async def test_what_is_not_solid_is_told_only_when_it_is_wanted(world: World) -> None:
    world.pay_usdt(5)
    world.mine()
    asked = histories(DevnetGateway(world))
    assert (await token_moves(asked, world)).items == ()
    assert values(await token_moves(asked, world, only_solid=False)) == [5]


async def test_a_span_and_a_token_leave_out_the_rest(busy: World) -> None:
    asked = histories(DevnetGateway(busy))
    everything = await token_moves(asked, busy)
    moments = sorted({each.at_ms for each in everything.items})
    part = await token_moves(asked, busy, since_ms=moments[2], until_ms=moments[3])
    assert {each.at_ms for each in part.items} == {moments[2], moments[3]}
    assert len(part.items) == 100
    assert len((await token_moves(asked, busy, token=TOKEN)).items) == MANY
    assert (await token_moves(asked, busy, token=text(CUSTOMERS[7].key.address))).items == ()
    with pytest.raises(ImpossibleSpan):
        await token_moves(asked, busy, since_ms=2, until_ms=1)


async def test_pages_do_not_move_when_blocks_are_made_meanwhile(world: World) -> None:
    def pay(amounts: Sequence[int]) -> None:
        for amount in amounts:
            world.pay_usdt(amount)
        world.mine()

    def go_on(page: dict[str, Any]) -> dict[str, Any]:
        pay([1_000])
        world.mine(BLOCKS_TO_SOLID)
        return page

    pay(range(1, 251))
    world.mine(BLOCKS_TO_SOLID)
    now_ms = world.devnet.node.clock.now_ms()
    found = await token_moves(histories(DevnetGateway(world, go_on), now_ms=now_ms), world)
    assert sorted(values(found)) == list(range(1, 251))
    assert (found.is_complete, found.repeated) == (True, 0)


async def test_a_history_that_is_cut_short_says_so(busy: World) -> None:
    cut = await token_moves(histories(DevnetGateway(busy), pages=2), busy)
    assert (cut.is_complete, cut.pages, len(cut.items)) == (False, 2, 2 * PAGE_ITEMS)
    late = await token_moves(histories(DevnetGateway(busy), seconds=0), busy)
    assert (late.is_complete, late.pages) == (False, 1)

    rest = await token_moves(histories(DevnetGateway(busy)), busy, until_ms=cut.items[-1].at_ms)
    assert {each.txid for each in (*cut.items, *rest.items)} == {
        each.txid for each in (await token_moves(histories(DevnetGateway(busy)), busy)).items
    }


async def test_without_a_gateway_a_history_is_refused(busy: World) -> None:
    with pytest.raises(NoHistory):
        await transactions(histories(), busy)


async def test_the_next_gateway_is_asked_when_one_is_away_or_lies(busy: World) -> None:
    liar = DevnetGateway(busy, lambda page: page | {"success": "yes"}, operator="liar")
    honest = DevnetGateway(busy, operator="honest")
    found = await token_moves(histories(GatewayThatIsAway(), liar, honest), busy)
    assert (found.operator, found.is_complete, len(found.items)) == ("honest", True, MANY)
    with pytest.raises(NodeUnavailable):
        await token_moves(histories(liar, GatewayThatIsAway()), busy)


async def test_a_page_that_does_not_come_is_asked_for_again(busy: World) -> None:
    class Hiccuping(DevnetGateway):
        """Answers every other time."""

        failures = 0

        async def get(self, path: str, query: Mapping[str, str]) -> Any:
            if self.failures == len(self.asked):
                self.failures += 1
                raise NodeUnavailable("a hiccup", retry_after_s=1)
            return await super().get(path, query)

    gateway = Hiccuping(busy)
    found = await token_moves(histories(gateway), busy)
    assert (found.is_complete, found.pages, gateway.failures) == (True, 3, 3)


async def test_a_gateway_that_wants_quiet_is_not_asked_again(busy: World) -> None:
    class Tired:
        operator = "tired"
        asked = 0

        async def get(self, path: str, query: Mapping[str, str]) -> Any:
            self.asked += 1
            raise NodeUnavailable(f"no {path} for {len(query)} s", retry_after_s=30)

    gateway = Tired()
    with pytest.raises(NodeUnavailable):
        await token_moves(histories(gateway), busy)
    assert gateway.asked == 1


# Lies


def with_items(change: Callable[[list[Item]], Any]) -> Change:
    """Change the items of every page, and its size with them."""

    def changed(page: dict[str, Any]) -> dict[str, Any]:
        items = change(page["data"])
        return page | {"data": items, "meta": page["meta"] | {"page_size": len(items)}}

    return changed


def with_first(**members: Any) -> Change:
    return with_items(lambda items: [items[0] | members, *items[1:]])


def with_meta(**members: Any) -> Change:
    return lambda page: page | {"meta": page["meta"] | members}


STRANGER = text(CUSTOMERS[6].key.address)

LIES_OF_BOTH = {
    "a page that is none": lambda _: [],
    "no success": lambda page: page | {"success": False},
    "fewer items than it says": with_meta(page_size=PAGE_ITEMS - 1),
    "no meta": lambda page: {"data": page["data"], "success": True},
    "more items than a page holds": with_items(lambda items: items + items[-1:]),
    "items that are none": with_items(lambda items: [*items[:-1], "x"]),
    "the oldest first": with_items(lambda items: items[::-1]),
    "a moment beyond the span": with_first(block_timestamp=NEVER_MS + 1),
    "a moment before all": with_first(block_timestamp=-1),
    "an empty fingerprint": with_meta(fingerprint=""),
    "a fingerprint that is a number": with_meta(fingerprint=7),
    "another path as the next page": with_meta(
        fingerprint=None, links={"next": "http://node/v1/accounts/x/transactions?fingerprint=abc"}
    ),
    "a link without a fingerprint": with_meta(fingerprint=None, links={"next": "http://node/"}),
    "a link that is none": with_meta(fingerprint=None, links={"next": "http://[::1"}),
}


@pytest.mark.parametrize("lie", LIES_OF_BOTH.values(), ids=LIES_OF_BOTH.keys())
async def test_a_page_that_cannot_be_true_is_refused(busy: World, lie: Change) -> None:
    with pytest.raises(InconsistentHistory):
        await transactions(histories(DevnetGateway(busy, lie)), busy)
    with pytest.raises(InconsistentHistory):
        await token_moves(histories(DevnetGateway(busy, lie)), busy)


def somebody_elses(items: list[Item]) -> list[Item]:
    raw = items[0]["raw_data_hex"].replace(
        CUSTOMERS[1].key.address.hex(), CUSTOMERS[6].key.address.hex()
    )
    return [items[0] | {"raw_data_hex": raw}, *items[1:]]


@pytest.mark.parametrize(
    "lie",
    [
        with_first(txID="ab" * 32),
        with_first(txID="AB" * 32),
        with_first(txID="x"),
        with_first(raw_data_hex="zz"),
        with_first(raw_data_hex=""),
        with_first(blockNumber="7"),
        with_first(blockNumber=2**63),
        with_first(ret=[{"contractRet": "SUCCESS", "fee": -1}]),
        with_first(ret={"contractRet": "SUCCESS"}),
        with_items(somebody_elses),
    ],
)
async def test_a_transaction_that_cannot_be_true_is_refused(busy: World, lie: Change) -> None:
    with pytest.raises(InconsistentHistory):
        await transactions(histories(DevnetGateway(busy, lie)), busy)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (with_first(txID="ab" * 32), "not what its id names"),
        (with_items(somebody_elses), "not what its id names"),
        (with_items(lambda items: [items[0], items[0] | {"ret": []}, *items[2:]]), "two ways"),
    ],
)
async def test_a_transaction_is_compared_with_its_id_and_with_what_was_told_of_it(
    busy: World, lie: Change, reason: str
) -> None:
    with pytest.raises(InconsistentHistory, match=reason):
        await transactions(histories(DevnetGateway(busy, lie)), busy)


async def test_a_true_transaction_of_somebody_else_is_refused(busy: World) -> None:
    with pytest.raises(InconsistentHistory, match="does not name"):
        await histories(ThatSwapsAccounts(busy, operator=busy.to)).transactions(
            STRANGER, since_ms=0, until_ms=None, only_solid=True
        )


class ThatSwapsAccounts(DevnetGateway):
    """Answers for one account whoever is asked for."""

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        return await super().get(ADDRESS_IN_PATH.sub(f"/{self.operator}/", path), query)


async def test_a_contract_is_named_by_the_transaction_that_made_it(world: World) -> None:
    answer = await posted(world, "/wallet/getcontract", value=FAKE_USDT.address.hex())
    made = SmartContract(
        origin_address=world.payer.address,
        bytecode=bytes.fromhex(answer["bytecode"]) + encoded("Tether USD", "USDT", 6, 1_000),
        origin_energy_limit=1_000_000,
    )
    creation = CreateSmartContract(owner_address=world.payer.address, new_contract=made)
    order = world.signed(unsigned(world.devnet.node, creation, fee_limit_sun=10**9))
    txid = world.devnet.node.broadcast(order).txid
    world.mine(BLOCKS_TO_SOLID + 1)

    gateway = ThatSwapsAccounts(world, operator=text(world.payer.address))
    contract = text(PREFIX + keccak256(txid + world.payer.address)[12:])
    asked = histories(gateway)
    found = await asked.transactions(contract, since_ms=0, until_ms=None, only_solid=True)
    assert [each.txid for each in found.items] == [txid.hex()]
    with pytest.raises(InconsistentHistory, match="does not name"):
        await asked.transactions(STRANGER, since_ms=0, until_ms=None, only_solid=True)


@pytest.mark.parametrize(
    "lie",
    [
        with_first(transaction_id="ab" * 31),
        with_first(value="-1"),
        with_first(value="1.5"),
        with_first(value=5),
        with_first(value="9" * 79),
        with_first(type="Minting"),
        with_first(**{"from": STRANGER, "to": STRANGER}),
        with_first(**{"from": ""}),
        with_first(token_info={}),
        with_first(token_info={"address": "nobody"}),
    ],
)
async def test_a_token_transfer_that_cannot_be_true_is_refused(busy: World, lie: Change) -> None:
    with pytest.raises(InconsistentHistory):
        await token_moves(histories(DevnetGateway(busy, lie)), busy)


async def test_transfers_of_another_token_than_was_asked_for_are_refused(busy: World) -> None:
    class Ignoring(DevnetGateway):
        async def get(self, path: str, query: Mapping[str, str]) -> Any:
            return await super().get(
                path, {key: value for key, value in query.items() if key != "contract_address"}
            )

    with pytest.raises(InconsistentHistory):
        await token_moves(histories(Ignoring(busy)), busy, token=STRANGER)


async def test_a_link_to_another_host_is_never_followed(busy: World) -> None:
    def leading_away(page: dict[str, Any]) -> dict[str, Any]:
        link = page["meta"].get("links")
        if link is None:
            return page
        away = link["next"].replace("http://node", "http://thief.example")
        assert away != link["next"]
        return page | {"meta": page["meta"] | {"links": {"next": away}}}

    gateway = DevnetGateway(busy, leading_away)
    found = await token_moves(histories(gateway), busy)
    assert (found.is_complete, len(found.items)) == (True, MANY)
    assert {httpx.URL(url).host for url in gateway.asked} == {"node"}


async def test_a_link_with_two_fingerprints_leads_nowhere(busy: World) -> None:
    path = f"/v1/accounts/{busy.to}/transactions"
    meta = {"page_size": 0, "links": {"next": f"{path}?fingerprint=a&fingerprint=b"}}
    pages = {None: {"data": [], "success": True, "meta": meta}, "a": page_of([])}
    with pytest.raises(InconsistentHistory, match="somewhere else"):
        await transactions(histories(GatewayThatInvents(pages)), busy)


async def test_where_only_a_link_is_given_its_fingerprint_is_used(busy: World) -> None:
    def linking(page: dict[str, Any]) -> dict[str, Any]:
        meta = {key: value for key, value in page["meta"].items() if key != "fingerprint"}
        return page | {"meta": meta}

    found = await token_moves(histories(DevnetGateway(busy, linking)), busy)
    assert (found.is_complete, found.pages, len(found.items)) == (True, 3, MANY)


def page_of(items: Sequence[Item], mark: str | None = None) -> dict[str, Any]:
    meta = {"at": 1, "page_size": len(items)} | ({"fingerprint": mark} if mark else {})
    return {"data": list(items), "success": True, "meta": meta}


def move(world: World, number: int, *, value: int = 1, at_ms: int = 1_000) -> Item:
    return {
        "transaction_id": f"{number:064x}",
        "token_info": {"address": USDT_CONTRACT, "symbol": "USDT", "decimals": 6},
        "block_timestamp": at_ms,
        "from": STRANGER,
        "to": world.to,
        "type": "Transfer",
        "value": str(value),
    }


async def test_a_gateway_that_begins_again_with_every_page_is_refused(busy: World) -> None:
    class Forgetful(DevnetGateway):
        async def get(self, path: str, query: Mapping[str, str]) -> Any:
            return await super().get(
                path, {key: value for key, value in query.items() if key != "fingerprint"}
            )

    with pytest.raises(InconsistentHistory):
        await transactions(histories(Forgetful(busy)), busy)
    with pytest.raises(InconsistentHistory):
        await token_moves(histories(Forgetful(busy)), busy)


async def test_pages_that_lead_back_in_a_longer_circle_are_refused(world: World) -> None:
    pages = {
        None: page_of([], "a"),
        "a": page_of([], "b"),
        "b": page_of([], "c"),
        "c": page_of([], "a"),
    }
    with pytest.raises(InconsistentHistory, match="circle"):
        await token_moves(histories(GatewayThatInvents(pages)), world)


async def test_two_equal_transfers_of_one_transaction_are_both_told(world: World) -> None:
    twins = [move(world, 7), move(world, 7)]
    found = await token_moves(histories(GatewayThatInvents({None: page_of(twins)})), world)
    assert (len(found.items), found.repeated) == (2, 0)

    parted = {None: page_of([move(world, 9), twins[0]], "a"), "a": page_of([twins[1]])}
    found = await token_moves(histories(GatewayThatInvents(parted)), world)
    assert (len(found.items), found.repeated) == (3, 0)


async def test_what_a_later_page_tells_again_is_there_once_and_counted(
    world: World, busy: World
) -> None:
    first = [move(world, 1), move(world, 2), move(world, 3)]
    pages = {None: page_of(first, "a"), "a": page_of([*first[:2], move(world, 4)])}
    found = await token_moves(histories(GatewayThatInvents(pages)), world)
    assert [int(each.txid, 16) for each in found.items] == [1, 2, 3, 4]
    assert found.repeated == 2

    everything = (await DevnetGateway(busy).get(f"/v1/accounts/{busy.to}/transactions", {}))["data"]
    again = {None: page_of(everything, "a"), "a": page_of(everything[-1:])}
    sent = await transactions(histories(GatewayThatInvents(again)), busy)
    assert (len(sent.items), sent.repeated) == (len(everything), 1)


async def test_a_gateway_that_never_ends_is_left_at_the_bound(world: World) -> None:
    class Endless:
        operator = "endless"
        asked = 0

        async def get(self, path: str, query: Mapping[str, str]) -> Any:
            assert path
            assert query
            self.asked += 1
            return page_of([move(world, self.asked)], f"page-{self.asked}")

    endless = Endless()
    found = await token_moves(histories(endless, pages=30), world)
    assert (found.is_complete, len(found.items), endless.asked) == (False, 30, 30)


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ({"symbol": "US\u202eDT\n"}, ("USDT", None)),
        ({"symbol": "x" * 10_000, "decimals": 10**30}, ("x" * MAX_SYMBOL_CHARACTERS, None)),
        ({"symbol": 7, "decimals": "6"}, (None, None)),
        ({"symbol": None, "decimals": True}, (None, None)),
        ({"decimals": 18}, (None, 18)),
    ],
)
async def test_no_token_can_spoil_the_history_by_what_it_calls_itself(
    world: World, claimed: Item, shown: tuple[str | None, int | None]
) -> None:
    odd = move(world, 1) | {"token_info": {"address": USDT_CONTRACT} | claimed}
    found = await token_moves(histories(GatewayThatInvents({None: page_of([odd])})), world)
    assert [(each.symbol, each.decimals) for each in found.items] == [shown]


async def test_a_token_that_calls_itself_usdt_is_not_taken_for_it(world: World) -> None:
    fake = {"address": text(FAKE_USDT.address), "symbol": "USDT", "decimals": 6}
    items = [move(world, 2), move(world, 1) | {"token_info": fake}]
    found = await token_moves(histories(GatewayThatInvents({None: page_of(items)})), world)
    views = [past_token_move_view(each, usdt=TOKEN) for each in found.items]
    assert [(each.claimed_symbol, each.is_usdt) for each in views] == [
        ("USDT", True),
        ("USDT", False),
    ]


async def test_the_largest_value_stays_exact(world: World) -> None:
    most = move(world, 1, value=2**256 - 1)
    found = await token_moves(histories(GatewayThatInvents({None: page_of([most])})), world)
    assert values(found) == [2**256 - 1]
