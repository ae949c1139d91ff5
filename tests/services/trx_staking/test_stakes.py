import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.trx_staking.app import create, policy
from services.trx_staking.domain import ALLOWED, IllegalMove, Order, Stake, StakeRefused, transition
from services.trx_staking.service import TrxStaking
from services.trx_staking.settings import Settings
from services.trx_staking.store import SCHEMA, StakeStore
from shared.access import Role
from shared.clock import HeldClock
from shared.errors import KeyReused, NotFound
from shared.models.tron_client import AccountView, FrozenView, ResourcesView, UnfreezingView
from shared.models.trx_staking import StakeAction, StakeState
from shared.models.wallet_sends import SendProblem, SendState
from shared.money import Sun
from shared.peers.caller import PeerUnavailable
from shared.storage import SqliteStorage, Stamp
from shared.tron.address import Address
from shared.tron.operation import Resource
from shared.web.runtime import Runtime
from tests.support import START_MS, Keys, WalletManager, address, answers, serving, settings_in

RESOURCES = ResourcesView(
    free_bandwidth_limit=600,
    free_bandwidth_used=100,
    staked_bandwidth_limit=1_000,
    staked_bandwidth_used=1_200,
    energy_limit=65_000,
    energy_used=5_000,
)


def account(frozen: str = "0", *, thawing: bool = False) -> AccountView:
    thaw = UnfreezingView(
        resource="energy", amount_sun="5", available_at="2026-12-01T00:00:00.000Z"
    )
    return AccountView(
        address=address(1),
        activated=True,
        is_contract=False,
        balance="1",
        balance_sun="1000000",
        resources=RESOURCES,
        frozen=[FrozenView(resource="energy", amount_sun=frozen)],
        unfreezing=[thaw] if thawing else [],
        delegated=[],
        received=[],
        votes=[],
        permissions=None,
    )


class Chain:
    """Plays tron-client: one account."""

    def __init__(self) -> None:
        self.answer = account()

    async def account(self, address: Address) -> AccountView:
        return self.answer.model_copy(update={"address": address})


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    clock: HeldClock
    store: StakeStore
    manager: WalletManager
    chain: Chain
    service: TrxStaking

    async def ask(self, key: str = "k", **changes: Any) -> Stake:
        taken = await self.service.create(order(**changes), principal="op/ada", key=key)
        return await self.read(taken.view.stake_id)

    async def read(self, stake_id: str) -> Stake:
        stake = await self.store.stake(stake_id)
        assert stake is not None
        return stake


def order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "action": StakeAction.FREEZE,
        "wallet_id": "wal_treasury",
        "resource": Resource.ENERGY,
        "amount_sun": Sun(100_000_000),
    }
    return Order(**(fields | changes))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    stamp = Stamp(network="devnet", contract=address(0xCC))
    storage = await SqliteStorage.open(tmp_path / "stakes.sqlite3", SCHEMA, stamp)
    clock = HeldClock(START_MS)
    counter = itertools.count(1)
    store = StakeStore(storage, new_id=lambda prefix: f"{prefix}_{next(counter):06d}")
    manager, chain = WalletManager(clock), Chain()
    service = TrxStaking(
        store=store,
        chain=chain,
        sender=manager,
        clock=clock,
        policy=policy(settings_in(tmp_path, Settings)),
        owner="test",
        silence_ms=120_000,
    )
    yield Desk(clock=clock, store=store, manager=manager, chain=chain, service=service)
    await storage.close()


@pytest.mark.parametrize("before", list(StakeState))
@pytest.mark.parametrize("after", list(StakeState))
async def test_an_order_moves_along_the_table_alone(
    desk: Desk, before: StakeState, after: StakeState
) -> None:
    stake = replace(await desk.ask(), state=before)
    if after in ALLOWED[before]:
        assert transition(stake, after, at_ms=1).state is after
    else:
        with pytest.raises(IllegalMove):
            transition(stake, after, at_ms=1)


@pytest.mark.parametrize(
    ("amount_sun", "rule"),
    [
        (999_999, "minimum"),
        (1_000_000_000_001, "maximum"),
        (50_000_000_000, "two_approvers"),
    ],
)
async def test_a_rule_that_says_no_is_named(desk: Desk, amount_sun: int, rule: str) -> None:
    with pytest.raises(StakeRefused) as refused:
        await desk.ask(amount_sun=amount_sun)
    assert refused.value.facts["rule"] == rule


async def test_just_below_two_approvers_is_taken_on(desk: Desk) -> None:
    assert (await desk.ask(amount_sun=49_999_999_999)).state is StakeState.PENDING


async def test_a_repeat_finds_the_first_order_and_another_body_is_a_conflict(desk: Desk) -> None:
    first = await desk.ask("k1")
    assert (await desk.ask("k1")).id == first.id
    with pytest.raises(KeyReused):
        await desk.ask("k1", action=StakeAction.UNFREEZE)


async def test_a_wallet_that_is_not_there_takes_no_order(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.ask(wallet_id="wal_none")


async def test_an_order_travels_to_its_end(desk: Desk) -> None:
    stake = await desk.ask()
    await desk.service.dispatch()
    intent = desk.manager.intents[stake.send_key]
    assert (intent.kind, intent.purpose, intent.params.resource) == (
        "freeze_balance",
        "stake",
        "energy",
    )
    assert (await desk.read(stake.id)).state is StakeState.PROCESSING
    desk.manager.becomes(stake.send_key, SendState.CONFIRMED)
    await desk.service.follow()
    done = await desk.read(stake.id)
    assert (done.state, done.detail_state) == (StakeState.COMPLETED, "confirmed")
    desk.manager.becomes(stake.send_key, SendState.EXPIRED)
    await desk.service.follow()
    assert await desk.read(stake.id) == done


async def test_a_lost_reply_leads_to_the_same_key_again(desk: Desk) -> None:
    stake = await desk.ask(action=StakeAction.UNFREEZE)
    desk.manager.loses_replies = 1
    with pytest.raises(PeerUnavailable):
        await desk.service.dispatch()
    desk.clock.advance(seconds=60)
    await desk.service.dispatch()
    assert desk.manager.handed_over == [stake.send_key] * 2
    assert len(desk.manager.stored) == 1


@pytest.mark.parametrize(
    ("status", "state"), [(409, StakeState.PROCESSING), (403, StakeState.FAILED)]
)
async def test_h4_only_a_rule_ends_an_order(desk: Desk, status: int, state: StakeState) -> None:
    stake = await desk.ask()
    desk.manager.problems[stake.send_key] = SendProblem(
        status=status, code="LUCID_ERR_9320", detail="no"
    )
    await desk.service.dispatch()
    assert (await desk.read(stake.id)).state is state


async def test_lost_events_and_another_history_strand_nothing(desk: Desk) -> None:
    quiet, lost = await desk.ask("k1"), await desk.ask("k2")
    await desk.service.dispatch()
    await desk.service.follow()
    desk.manager.becomes(quiet.send_key, SendState.CONFIRMED, told=False)
    desk.clock.advance(seconds=121)
    await desk.service.reconcile()
    assert (await desk.read(quiet.id)).state is StakeState.COMPLETED
    del desk.manager.stored[lost.send_key]
    desk.manager.restore()
    await desk.service.follow()
    await desk.service.dispatch()
    assert desk.manager.handed_over.count(lost.send_key) == 2


@pytest.mark.parametrize("lose", [WalletManager.restore, WalletManager.trim])
async def test_h5_h13_what_a_feed_no_longer_tells_is_asked_about_and_not_skipped(
    desk: Desk, lose: Callable[[WalletManager], None]
) -> None:
    first, second = await desk.ask("k1"), await desk.ask("k2")
    await desk.service.dispatch()
    await desk.service.follow()
    before = await desk.store.cursor()
    desk.manager.becomes(first.send_key, SendState.CONFIRMED)
    lose(desk.manager)
    assert await desk.service.follow() is False
    assert (await desk.read(first.id)).state is StakeState.COMPLETED
    assert (before, await desk.store.cursor()) == ("first.2", "")

    desk.manager.becomes(second.send_key, SendState.CONFIRMED)
    assert await desk.service.follow() is True
    assert (await desk.read(second.id)).state is StakeState.COMPLETED
    assert sorted(desk.manager.handed_over) == sorted([first.send_key, second.send_key])


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (account(), "none"),
        (account("7"), "active"),
        (account(thawing=True), "unfreezing"),
        (account("7", thawing=True), "active"),
    ],
)
async def test_an_address_tells_what_it_has_staked(
    desk: Desk, answer: AccountView, status: str
) -> None:
    desk.chain.answer = answer
    assert (await desk.service.status(address(1))).staking_status == status


async def test_resources_never_go_below_nothing(desk: Desk) -> None:
    has = await desk.service.resources(address(1))
    assert (has.energy_available, has.bandwidth_available) == (60_000, 500)


async def test_the_routes_of_staking(tmp_path: Path) -> None:
    clock = HeldClock(START_MS)
    keys = Keys(tmp_path, clock)
    settings = settings_in(tmp_path, Settings, peer_attempts=1)
    manager = WalletManager(clock)

    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/v1/accounts/"):
            return httpx.Response(200, content=account("7").model_dump_json())
        if request.url.path == "/api/v1/wallets/wal_treasury":
            return httpx.Response(200, content=manager.wallets["wal_treasury"].model_dump_json())
        return httpx.Response(503)

    runtime = Runtime(
        service="trx-staking", settings=settings, clock=clock, transport=answers(play)
    )
    body = {"wallet_id": "wal_treasury", "amount": "5", "resource": "energy"}
    async with serving(create(settings, runtime)) as client:
        ada = {**keys.person(), "Idempotency-Key": "k1"}
        made = await client.post("/api/v1/staking/freeze", json=body, headers=ada)
        again = await client.post("/api/v1/staking/freeze", json=body, headers=ada)
        other = await client.post("/api/v1/staking/unfreeze", json=body, headers=ada)
        assert (made.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert (made.json()["amount_sun"], other.status_code) == ("5000000", 409)
        stake_id = made.json()["stake_id"]
        read = await client.get(f"/api/v1/staking/orders/{stake_id}", headers=ada)
        assert read.json()["action"] == "freeze"
        listed = await client.get("/api/v1/staking/orders", headers=ada)
        assert [one["stake_id"] for one in listed.json()["orders"]] == [stake_id]
        missing = await client.get("/api/v1/staking/orders/stk_none", headers=ada)
        assert missing.status_code == 404
        status = await client.get(f"/api/v1/staking/status/{address(1)}", headers=ada)
        assert (status.json()["address"], status.json()["staking_status"]) == (
            address(1),
            "active",
        )
        has = await client.get(f"/api/v1/staking/resources/{address(1)}", headers=ada)
        assert has.json()["energy_available"] == 60_000
        odd = await client.get("/api/v1/staking/status/nonsense", headers=ada)
        assert odd.status_code == 400
        no_key = await client.post("/api/v1/staking/freeze", json=body, headers=keys.person())
        assert no_key.json()["code"] == "LUCID_ERR_1002"
        number = await client.post(
            "/api/v1/staking/freeze", json={**body, "amount": 5.5}, headers=ada
        )
        assert number.status_code == 400
        eve = {**keys.person(Role.USER, "eve"), "Idempotency-Key": "k1"}
        refused = await client.post("/api/v1/staking/freeze", json=body, headers=eve)
        assert (refused.status_code, refused.json()["code"]) == (403, "LUCID_ERR_1201")
        assert (await client.get("/api/v1/staking/orders")).status_code == 401
