"""wallet-manager behind its edge as an operator of wallets meets it: tron-client played over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.service import WalletManager
from services.wallet_manager.settings import Settings
from shared.access import Role, Scope
from shared.clock import HeldClock
from shared.models.wallet_sends import Intent
from shared.money import Currency
from shared.tron.address import Address
from shared.web.runtime import Runtime
from tests.services.wallet_manager import bench
from tests.services.wallet_manager.till import MASTER_KEY, Chain, page, transfer
from tests.support import START_MS, Keys, nobody_there, serving, settings_in

API = "/api/v1"
Json = dict[str, Any]


class TronClient(bench.TronClient):
    """Also reads accounts; answers nothing while the chain is away.

    Attributes:
        reads_nothing: the status that every read of an account is answered with, 0 while it works.
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.reads_nothing = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.chain.away:
            return nobody_there(request)
        path, _, last = request.url.path.removeprefix(API).rpartition("/")
        if path != "/accounts":
            return await super().__call__(request)
        if self.reads_nothing:
            return httpx.Response(self.reads_nothing, json={"detail": "not now"})
        view = await self.chain.account(Address(last))
        return httpx.Response(200, json=view.model_dump(mode="json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Where wallets are made, changed and put away."""

    client: httpx.AsyncClient
    keys: Keys
    chain: Chain
    tron_client: TronClient
    service: WalletManager

    async def ask(
        self, method: str, path: str, body: object = None, *, by: dict[str, str] | None = None
    ) -> tuple[int, Json]:
        """Ask as the operator, unless somebody else is named."""
        headers = by or self.keys.person(Role.SUPER_ADMIN)
        answer = await self.client.request(method, f"{API}{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def good(self, method: str, path: str, body: object = None) -> Json:
        """Ask as the operator for what has to succeed."""
        status, answer = await self.ask(method, path, body)
        assert status in {200, 201}, answer
        return answer

    async def made(self, name: str = "w", **fields: object) -> Json:
        """Make a wallet."""
        return await self.good("POST", "/wallets", {"user_id": "ada", "request_id": name} | fields)

    async def put(self, wallet: Json, status: str) -> None:
        """Bring a wallet into a status by the routes that lead there."""
        path = f"/wallets/{wallet['wallet_id']}"
        match status:
            case "locked":
                await self.good("PUT", f"{path}/lock", {"locked": True, "reason": "a drill"})
            case "archived":
                await self.good("DELETE", path)
            case "inactive":
                await self.good("PATCH", path, {"status": status, "reason": "a drill"})

    async def pay(self, to: str, amount: int, *currencies: Currency) -> None:
        """Book deposits, and have the node tell of them as well."""
        told = [transfer(amount, one, recipient=Address(to)) for one in currencies]
        number = len(self.chain.holdings) + 1
        await self.service.books.apply_transfers(page(told, next_=f"a.{number}"))
        for one in currencies:
            self.chain.holdings[Address(to), one] = amount

    async def send(self, wanted: Intent) -> Json:
        """Hand an intent over as the service that began it; returns its result."""
        headers = self.keys.service(wanted.origin.service, audience=NAME, scope=Scope.WALLETS_SEND)
        body = {"intents": [wanted.model_dump(mode="json")]}
        status, answer = await self.ask("POST", "/sends", body, by=headers)
        assert status == 200, answer
        result: Json = answer["results"][0]
        return result


@asynccontextmanager
async def open_counter(root: Path) -> AsyncIterator[Counter]:
    """Run wallet-manager in this process on a database in a folder."""
    clock = HeldClock(START_MS)
    keys = Keys(root, clock)
    master_key = root / "secrets" / NAME / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(MASTER_KEY.hex())
    settings = settings_in(root, Settings, peer_attempts=1)
    await make_seed(settings, show=lambda _: None)
    chain = Chain(clock)
    tron_client = TronClient(chain)
    transport = httpx.MockTransport(tron_client)
    runtime = Runtime(service=NAME, settings=settings, clock=clock, transport=transport)
    app = create(settings, runtime)
    async with serving(app) as client:
        service = app.state.starter.service
        assert isinstance(service, WalletManager)
        yield Counter(
            client=client, keys=keys, chain=chain, tron_client=tron_client, service=service
        )
