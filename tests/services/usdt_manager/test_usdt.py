from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest

from services.usdt_manager.app import create
from services.usdt_manager.domain import FeePolicy, NotUsdt, WrongToken
from services.usdt_manager.service import UsdtManager
from services.usdt_manager.settings import Settings
from services.usdt_manager.store import SCHEMA, UsdtStore
from shared.access import Role, Scope
from shared.clock import HeldClock
from shared.errors import Forbidden, Unavailable
from shared.models.tron_client import (
    CallRequest,
    CallsRequest,
    CallsView,
    CallView,
    ChainParametersView,
    SigningContextView,
)
from shared.models.usdt_manager import PlannedTransfer, PreflightRequest
from shared.models.wallet_sends import Intent, Origin, Purpose, SendKind, SendParams
from shared.models.wire import BlockRef
from shared.money import Sun
from shared.storage import SqliteStorage, Stamp
from shared.tron import abi
from shared.tron.address import Address
from shared.web.runtime import Runtime
from tests.support import (
    START_MS,
    TREASURY,
    Keys,
    WalletManager,
    address,
    answers,
    nobody_there,
    serving,
    settings_in,
)

USDT = address(0xCC)


def word(value: int) -> str:
    return f"{value:064x}"


def text(value: str) -> str:
    raw = value.encode()
    return word(32) + word(len(raw)) + raw.hex().ljust(64, "0")


class Chain:
    """Plays tron-client with a token contract behind it."""

    def __init__(self) -> None:
        self.decimals = 6
        self.paused = False
        self.listed: set[Address] = set()
        self.reverts = False
        self.energy = 65_000
        self.balance = 100_000_000
        self.garbled: str | None = None
        self.calls = 0
        self.asked = 0

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        assert len(calls) <= 100
        self.calls += 1
        self.asked += len(calls)
        return [self._answer(bytes.fromhex(call.data)) for call in calls]

    async def signing_context(self) -> SigningContextView:
        block = BlockRef(height=1, block_id="00" * 32, timestamp_ms=START_MS)
        return SigningContextView(
            network="devnet",
            genesis_block_id="00" * 32,
            reference=block,
            head=block,
            parameters=ChainParametersView(
                energy_fee_sun=100,
                bandwidth_fee_sun=1_000,
                activation_fee_sun=1_000_000,
                activation_bandwidth_fee_sun=100_000,
                memo_fee_sun=1_000_000,
                multi_sign_fee_sun=1_000_000,
                permission_update_fee_sun=100_000_000,
                max_fee_limit_sun=15_000_000_000,
                free_bandwidth=600,
            ),
            solid=block,
            operators=1,
            second_head_timestamp_ms=None,
            paused=None,
        )

    def _answer(self, data: bytes) -> CallView:
        if self.garbled is not None:
            return call(self.garbled)
        fixed = {
            abi.encode_symbol(): text("USDT"),
            abi.encode_decimals(): word(self.decimals),
            abi.encode_paused(): word(int(self.paused)),
        }
        if data in fixed:
            return call(fixed[data])
        if data[:4] == abi.encode_balance_of(TREASURY)[:4]:
            return call(word(self.balance))
        if data[:4] == abi.encode_is_black_listed(TREASURY)[:4]:
            listed = any(data == abi.encode_is_black_listed(one) for one in self.listed)
            return call(word(int(listed)))
        return call(word(1), energy=self.energy, reverted=self.reverts)


def call(result: str, *, energy: int = 1_000, reverted: bool = False) -> CallView:
    return CallView(result=result, energy_used=energy, energy_penalty=0, reverted=reverted)


def intent(**changes: object) -> Intent:
    fields: dict[str, object] = {
        "send_key": "payout-router:po_1:0",
        "origin": Origin(service="payout-router", principal="op/ada"),
        "purpose": Purpose.PAYOUT,
        "wallet_id": "wal_treasury",
        "kind": SendKind.TRC20_TRANSFER,
        "params": SendParams(amount_base_units="5", recipient=address(1), contract_address=USDT),
        "max_fee_sun": "50000000",
        "not_after": START_MS + 1,
    }
    return Intent.model_validate(fields | changes)


class Desk:
    """usdt-manager with everything around it played."""

    def __init__(self, storage: SqliteStorage) -> None:
        self.clock = clock = HeldClock(START_MS)
        self.chain = Chain()
        self.manager = WalletManager(clock)
        self.service = UsdtManager(
            store=UsdtStore(storage),
            chain=self.chain,
            sender=self.manager,
            clock=clock,
            contract=USDT,
            policy=FeePolicy(margin_percent=20, ceiling_sun=Sun(50_000_000)),
            standing_kept_ms=600_000,
        )

    async def refusals(self, *recipients: Address) -> list[str | None]:
        transfers = [
            PlannedTransfer(recipient=recipient, amount_base_units="5") for recipient in recipients
        ]
        request = PreflightRequest(owner_address=TREASURY, transfers=transfers)
        _, needs = await self.service.preflight(request)
        return [need.refusal for need in needs]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    stamp = Stamp(network="devnet", contract=USDT)
    storage = await SqliteStorage.open(tmp_path / "usdt.sqlite3", SCHEMA, stamp)
    yield Desk(storage)
    await storage.close()


async def test_the_token_is_checked_again_and_again(desk: Desk) -> None:
    with pytest.raises(Unavailable):
        await desk.service.token()
    assert not await desk.service.check_token()
    desk.chain.paused = True
    await desk.service.check_token()
    token = await desk.service.token()
    assert (token.symbol, token.decimals, token.paused) == ("USDT", 6, True)


async def test_a_token_of_other_decimals_is_not_usdt(desk: Desk) -> None:
    desk.chain.decimals = 18
    with pytest.raises(WrongToken):
        await desk.service.check_token()
    with pytest.raises(Unavailable):
        await desk.service.token()


async def test_a_balance_is_the_contracts_word(desk: Desk) -> None:
    assert await desk.service.balance(TREASURY) == 100_000_000


@pytest.mark.parametrize("garbled", ["", "01", word(2) + word(2), "ff" * 1_000])
async def test_an_answer_that_cannot_be_read_is_no_answer(desk: Desk, garbled: str) -> None:
    await desk.service.check_token()
    desk.chain.garbled = garbled
    with pytest.raises(Unavailable):
        await desk.service.check_token()
    with pytest.raises(Unavailable):
        await desk.service.balance(TREASURY)
    transfers = [PlannedTransfer(recipient=address(1), amount_base_units="5")]
    with pytest.raises(Unavailable):
        await desk.service.preflight(PreflightRequest(owner_address=TREASURY, transfers=transfers))


async def test_a_fee_limit_covers_the_energy_with_margin(desk: Desk) -> None:
    await desk.service.check_token()
    request = PreflightRequest(
        owner_address=TREASURY,
        transfers=[PlannedTransfer(recipient=address(1), amount_base_units="5")],
    )
    balance, (need,) = await desk.service.preflight(request)
    assert (balance, need.fee_limit_sun, need.bandwidth) == (100_000_000, 7_800_000, 345)
    assert need.refusal is None


async def test_what_speaks_against_a_transfer_is_named(desk: Desk) -> None:
    await desk.service.check_token()
    desk.chain.listed = {address(2)}
    assert await desk.refusals(address(1), address(2)) == [None, "recipient_blacklisted"]
    desk.chain.listed = {TREASURY}
    assert await desk.refusals(address(1)) == ["sender_blacklisted"]
    desk.chain.listed = set()
    desk.chain.energy = 500_000
    assert await desk.refusals(address(1)) == ["too_expensive"]
    desk.chain.reverts = True
    assert await desk.refusals(address(1)) == ["would_revert"]
    desk.chain.paused = True
    await desk.service.check_token()
    assert await desk.refusals(address(1)) == ["paused"]


async def test_two_hundred_transfers_are_looked_at_in_a_few_calls(desk: Desk) -> None:
    await desk.service.check_token()
    desk.chain.calls = 0
    recipients = [address(number + 1_000) for number in range(200)]
    assert await desk.refusals(*recipients) == [None] * 200
    assert desk.chain.calls == 4


async def test_recipients_asked_about_lately_cost_nothing_more(desk: Desk) -> None:
    await desk.service.check_token()
    recipients = [address(number + 1_000) for number in range(50)]
    await desk.refusals(*recipients)

    desk.chain.asked = 0
    await desk.refusals(*recipients)
    assert desk.chain.asked == 3  # the owner's balance and standing, and one simulation for all

    desk.chain.listed = {recipients[0]}
    desk.clock.advance(seconds=601)
    assert (await desk.refusals(*recipients))[0] == "recipient_blacklisted"


async def test_a_listed_recipient_is_asked_about_every_time(desk: Desk) -> None:
    await desk.service.check_token()
    desk.chain.listed = {address(1)}
    assert await desk.refusals(address(1)) == ["recipient_blacklisted"]
    desk.chain.listed = set()
    assert await desk.refusals(address(1)) == [None]


async def test_intents_are_handed_on_unchanged(desk: Desk) -> None:
    wanted = intent()
    for _ in range(2):
        (result,) = await desk.service.transfer([wanted], caller="payout-router")
        assert result.send is not None
    assert desk.manager.intents == {wanted.send_key: wanted}


async def test_h18_a_service_hands_over_its_own_intents_alone(desk: Desk) -> None:
    with pytest.raises(Forbidden):
        await desk.service.transfer([intent()], caller="payment-gateway")
    with pytest.raises(Forbidden):
        await desk.service.transfer([intent()], caller=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": SendKind.TRX_TRANSFER},
        {
            "params": SendParams(
                amount_base_units="5", recipient=address(1), contract_address=address(9)
            )
        },
        {"params": SendParams(amount_base_units="5", recipient=address(1))},
    ],
)
async def test_only_usdt_is_handed_on(desk: Desk, changes: dict[str, object]) -> None:
    with pytest.raises(NotUsdt):
        await desk.service.transfer([intent(), intent(**changes)], caller="payout-router")
    assert desk.manager.handed_over == []


async def test_the_routes_of_usdt(tmp_path: Path) -> None:
    clock = HeldClock(START_MS)
    keys = Keys(tmp_path, clock)
    chain = Chain()
    settings = settings_in(tmp_path, Settings, peer_attempts=1, usdt_contract_address=USDT)

    async def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/contracts/calls":
            asked = CallsRequest.model_validate_json(request.content)
            found = CallsView(calls=await chain.call_contracts(asked.calls))
            return httpx.Response(200, content=found.model_dump_json())
        return nobody_there(request)

    runtime = Runtime(
        service="usdt-manager",
        settings=settings,
        clock=clock,
        transport=httpx.MockTransport(play),
    )
    async with serving(create(settings, runtime)) as client:
        ada = keys.person()
        balance = await client.get(f"/api/v1/usdt/balance/{TREASURY}", headers=ada)
        assert (balance.json()["balance"], balance.json()["currency"]) == ("100", "USDT")
        odd = await client.get("/api/v1/usdt/balance/nonsense", headers=ada)
        assert odd.status_code == 400
        body = {"intents": [intent().model_dump(mode="json", exclude_none=True)]}
        person = await client.post(
            "/api/v1/usdt/transfers", json=body, headers=keys.person(Role.SUPER_ADMIN)
        )
        assert (person.status_code, person.json()["code"]) == (403, "LUCID_ERR_1201")
        sibling = keys.service("payout-router", audience="usdt-manager", scope=Scope.USDT_SEND)
        away = await client.post("/api/v1/usdt/transfers", json=body, headers=sibling)
        assert away.status_code == 503
        assert (await client.get(f"/api/v1/usdt/balance/{TREASURY}")).status_code == 401


async def test_a_service_without_its_identity_says_what_it_lacks(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, Settings)
    runtime = Runtime(
        service="usdt-manager",
        settings=settings,
        clock=HeldClock(START_MS),
        transport=answers(nobody_there),
    )
    async with serving(create(settings, runtime)) as client:
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        assert "init" in ready.json()["detail"]
