"""wallet-manager and tron-client, both whole and behind their edges, on a devnet mined by hand."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from devnet.address import from_base58
from services.tron_client import app as tron_client
from services.tron_client.settings import Settings as TronClientSettings
from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.settings import Settings
from shared.access import Role, Scope
from shared.models.wallet_sends import FINAL_SEND_STATES
from shared.web.runtime import Runtime
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, Wire, World
from tests.services.wallet_manager.till import MASTER_KEY, TRX
from tests.support import Keys, serving, settings_in

API = "/api/v1"
WAIT_S = 30
DAY_MS = 86_400_000
ENDED = {*FINAL_SEND_STATES, "settled_differently"}

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Stand:
    """What a sibling, an operator and the chain see of the two services.

    Attributes:
        states: of every send, as the feed told them.
        cursor: how far the feed was read.
    """

    http: httpx.AsyncClient
    keys: Keys
    world: World
    wallet: Json = field(default_factory=dict)
    states: dict[str, list[str]] = field(default_factory=dict)
    cursor: str = ""

    @property
    def now_ms(self) -> int:
        return self.world.devnet.node.clock.now_ms()

    async def ask(
        self, method: str, path: str, body: object = None, *, by: dict[str, str] | None = None
    ) -> tuple[int, Json]:
        """Ask as the operator, unless somebody else is named."""
        headers = by or self.keys.person(Role.SUPER_ADMIN)
        answer = await self.http.request(method, f"{API}{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def good(self, method: str, path: str, body: object = None) -> Json:
        """Ask as the operator for what has to succeed."""
        status, answer = await self.ask(method, path, body)
        assert status in {200, 201}, answer
        return answer

    async def send(self, *intents: Json) -> list[Json]:
        """Hand intents over as the service that began the first of them."""
        service = intents[0]["origin"]["service"]
        headers = self.keys.service(service, audience=NAME, scope=Scope.WALLETS_SEND)
        status, answer = await self.ask("POST", "/sends", {"intents": intents}, by=headers)
        assert status == 200, answer
        results: list[Json] = answer["results"]
        return results

    async def taken(self, *intents: Json) -> None:
        """Hand intents over of which none may be refused."""
        for service in sorted({one["origin"]["service"] for one in intents}):
            own = [one for one in intents if one["origin"]["service"] == service]
            problems = [one["problem"] for one in await self.send(*own)]
            assert problems == [None] * len(own), problems

    async def read(self, key: str) -> Json:
        found = await self.good("POST", "/sends/lookup", {"send_keys": [key]})
        send: Json = found["sends"][0]
        return send

    async def hear(self, keys: Iterable[str], states: Iterable[str]) -> None:
        """Follow the feed until each of these sends is in one of the states."""
        wanted, missing = set(states), set(keys)
        while missing := {key for key in missing if self._state(key) not in wanted}:
            query = f"after={self.cursor}&limit=500&wait_s={WAIT_S}"
            page = await self.good("GET", f"/sends/feed?{query}")
            assert page["items"], {key: await self.read(key) for key in missing}
            self.cursor = page["next"]
            for item in page["items"]:
                send = item["object"]
                self.states.setdefault(send["send_key"], []).append(send["state"])

    async def settle(self, *keys: str) -> list[str]:
        """Bring sends through a block to their end; returns how each ended."""
        await self.hear(keys, {"submitted", "seen", *ENDED})
        self.world.mine(BLOCKS_TO_SOLID + 2)
        await self.hear(keys, ENDED)
        return [self._state(key) for key in keys]

    async def confirmed(self, *intents: Json) -> None:
        """Hand intents over and see each confirmed."""
        await self.taken(*intents)
        keys = [one["send_key"] for one in intents]
        ended = await self.settle(*keys)
        assert ended == ["confirmed"] * len(keys), [await self.read(key) for key in keys]

    async def funded(self, address: str, *, trx: int = 0, usdt: int = 0) -> None:
        """Pay an address from a customer's account, and wait until the books know of it."""
        before = {one: await self.balance(address, one) for one in ("TRX", "USDT")}
        teller, payer = self.world.devnet.teller, self.world.payer
        if trx:
            teller.send_trx(payer, from_base58(address), trx)
        if usdt:
            teller.send_usdt(payer, from_base58(address), usdt)
        self.world.mine(BLOCKS_TO_SOLID + 2)
        await self.booked(address, "TRX", before["TRX"] + trx)
        await self.booked(address, "USDT", before["USDT"] + usdt)

    async def booked(self, address: str, currency: str, amount: int) -> None:
        """Wait until the books say what an address holds."""

        async def holds() -> bool:
            return await self.balance(address, currency) == amount

        await self.until(holds)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Look until something holds; between two looks the services work."""
        for _ in range(WAIT_S):
            if await holds():
                return
            await self.good("GET", f"/sends/feed?after={await self._end()}&wait_s=1")
        raise AssertionError("it never held")

    async def balance(self, address: str, currency: str) -> int:
        path = f"/wallets/{address}/balance?currency={currency}"
        return int((await self.good("GET", path))["balance_base_units"])

    async def pass_ms(self, milliseconds: int) -> None:
        """Let time pass on the chain and on every clock that follows it."""
        self.world.devnet.node.jump(milliseconds)
        self.world.mine(BLOCKS_TO_SOLID + 2)

    def intent(self, kind: str, name: str, **changes: Any) -> Json:
        """Return the body of an intent of the treasury."""
        service, purpose = WHO.get(kind, ("trx-staking", "stake"))
        service = changes.pop("service", service)
        fields: Json = {
            "send_key": f"{service}:{name}:0",
            "origin": {"service": service, "principal": "ada"},
            "purpose": purpose,
            "wallet_id": self.wallet["wallet_id"],
            "kind": kind,
            "params": {},
            "max_fee_sun": str(300 * TRX),
            "not_after": self.now_ms + 30 * DAY_MS,
        }
        return fields | changes

    async def _end(self) -> str:
        cursor = self.cursor
        while True:
            page = await self.good("GET", f"/sends/feed?after={cursor}&limit=500")
            if not page["items"]:
                return str(page["next"])
            cursor = page["next"]

    def _state(self, key: str) -> str:
        return self.states.get(key, [""])[-1]


WHO = {
    "trx_transfer": ("payout-router", "payout"),
    "trc20_transfer": ("payout-router", "payout"),
    "trc20_approve": ("usdt-manager", "allowance"),
    "account_activate": ("payment-gateway", "activation"),
    "permission_update": ("payout-router", "maintenance"),
    "contract_call": ("payout-router", "maintenance"),
}


@asynccontextmanager
async def standing(world: World, root: Path, **changes: Any) -> AsyncIterator[Stand]:
    """Run both services in this process, with a funded treasury."""
    clock = world.devnet.node.clock
    keys = Keys(root, clock)
    master_key = root / "secrets" / NAME / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(MASTER_KEY.hex())
    settings = settings_in(root, Settings, peer_attempts=1, **changes)
    await make_seed(settings, show=lambda _: None)
    sibling = settings_in(root, TronClientSettings, scan_interval_ms=20)
    runtime = Runtime(service="tron-client", settings=sibling, clock=clock)
    chain = tron_client.create(sibling, runtime, node_transport=Wire(world.devnet))
    transport = httpx.ASGITransport(app=chain)
    async with (
        serving(chain),
        serving(
            create(
                settings, Runtime(service=NAME, settings=settings, clock=clock, transport=transport)
            )
        ) as http,
    ):
        stand = Stand(http=http, keys=keys, world=world)
        body = {"user_id": "operator", "role": "treasury", "request_id": "treasury"}
        stand.wallet = await stand.good("POST", "/wallets", body)
        await stand.funded(stand.wallet["address"], trx=3_000 * TRX, usdt=1_000 * TRX)
        yield stand
