"""wallet-manager behind its edge, with tron-client played over HTTP and all else real."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import BaseModel

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.settings import Settings
from shared.access import Scope
from shared.clock import HeldClock
from shared.models.tron_client import CallsRequest, CallsView, TransferView, WatchRequest
from shared.models.tron_transactions import StoredTransactionsView, SubmitRequest, SubmitView
from shared.money import Currency
from shared.tron.address import Address
from shared.web.runtime import Runtime
from tests.services.wallet_manager.till import MASTER_KEY, Chain, page, transfer
from tests.support import START_MS, Keys, nobody_there, serving, settings_in

FUNDS: Final = 10**15


class TronClient:
    """Answers wallet-manager's calls from a played chain; deposits come through its feed.

    Attributes:
        booked: set once wallet-manager has asked on behind every deposit.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.deposits: list[TransferView] = []
        self.booked = asyncio.Event()
        self._news = asyncio.Condition()
        self._answers: dict[tuple[str, str], Callable[[httpx.Request], Awaitable[BaseModel]]] = {
            ("PUT", "/watches"): self._watch,
            ("GET", "/watches/digest"): lambda _: chain.watch_digest(),
            ("GET", "/chain/signing-context"): lambda _: chain.signing_context(),
            ("POST", "/contracts/calls"): self._call,
            ("POST", "/transactions"): self._submit,
            ("GET", "/transactions"): self._stored,
            ("GET", "/transfers/feed"): self._transfers,
        }

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers.get((request.method, request.url.path.removeprefix("/api/v1")))
        if answer is None:
            return nobody_there(request)
        view = await answer(request)
        return httpx.Response(
            200, content=view.model_dump_json(), headers={"Content-Type": "application/json"}
        )

    async def handed_over(self, count: int) -> None:
        """Wait until so many transactions were handed over."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.chain.stored) >= count)

    async def _watch(self, request: httpx.Request) -> BaseModel:
        wanted = WatchRequest.model_validate_json(request.content)
        return await self.chain.watch(wanted.addresses)

    async def _call(self, request: httpx.Request) -> BaseModel:
        calls = CallsRequest.model_validate_json(request.content).calls
        return CallsView(calls=await self.chain.call_contracts(calls))

    async def _submit(self, request: httpx.Request) -> BaseModel:
        given = SubmitRequest.model_validate_json(request.content).transactions
        submitted = await self.chain.submit(given)
        async with self._news:
            self._news.notify_all()
        return SubmitView(transactions=submitted)

    async def _stored(self, _: httpx.Request) -> BaseModel:
        return StoredTransactionsView(transactions=[])

    async def _transfers(self, request: httpx.Request) -> BaseModel:
        number = int(request.url.params["after"].rpartition(".")[2] or 0)
        told = self.deposits[number:]
        if self.deposits and not told:
            self.booked.set()
        return page(told, next_=f"a.{number + len(told)}")

    def deposit(self, to: Address) -> None:
        """Tell of so much money that no send has to wait for it."""
        self.deposits = [transfer(FUNDS, currency, recipient=to) for currency in Currency]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running wallet-manager with its treasury, and who asks it for sends."""

    client: httpx.AsyncClient
    keys: Keys
    tron_client: TronClient
    treasury: dict[str, Any]

    async def send(self, body: bytes) -> list[dict[str, Any]]:
        """Ask for sends, as payout-router does."""
        headers = self.keys.service("payout-router", audience=NAME, scope=Scope.WALLETS_SEND)
        headers["Content-Type"] = "application/json"
        answer = await self.client.post("/api/v1/sends", content=body, headers=headers)
        answer.raise_for_status()
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    async def count(self, *states: str) -> int:
        """Count the sends in some states."""
        counts = (await self.client.get("/stats")).json()["counts"]
        return sum(int(counts[f"sends_{state}"]) for state in states)


@asynccontextmanager
async def desk(root: Path) -> AsyncIterator[Desk]:
    """Run wallet-manager in this process on a database in a folder."""
    clock = HeldClock(START_MS)
    keys = Keys(root, clock)
    master_key = root / "secrets" / NAME / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(MASTER_KEY.hex())
    settings = settings_in(root, Settings, peer_attempts=1, rate_limit_requests=1_000_000)
    await make_seed(settings, show=lambda _: None)
    tron_client = TronClient(Chain(clock))
    transport = httpx.MockTransport(tron_client)
    runtime = Runtime(service=NAME, settings=settings, clock=clock, transport=transport)
    async with serving(create(settings, runtime)) as client:
        body = {"user_id": "operator", "role": "treasury", "request_id": "first"}
        made = await client.post("/api/v1/wallets", json=body, headers=keys.person())
        treasury = made.raise_for_status().json()
        tron_client.deposit(Address(treasury["address"]))
        yield Desk(client=client, keys=keys, tron_client=tron_client, treasury=treasury)
