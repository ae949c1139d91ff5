"""tron-client is set back to an older copy while signing is stopped here (hazards H5 and H23)."""

import asyncio
from pathlib import Path

import httpx
from pydantic import BaseModel

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.settings import Settings
from shared.access import Role
from shared.clock import HeldClock
from shared.feeds import FeedReset
from shared.models.tron_transactions import (
    BroadcastingRequest,
    BroadcastingView,
    TransactionView,
)
from shared.models.wallet_sends import SendsRequest
from shared.tron.address import Address
from shared.web.runtime import Runtime
from tests.services.wallet_manager import bench
from tests.services.wallet_manager.till import MASTER_KEY, Chain, intent, page
from tests.support import START_MS, Keys, serving, settings_in

API = "/api/v1"
PAUSE_S = 0.02


class TronClient(bench.TronClient):
    """Also tells verdicts and holds bytes back, until it is set back.

    Attributes:
        told: what it was told since it was set back, in order.
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.incarnation = "a"
        self.is_stopped = False
        self.told: list[str] = []
        self.handed_over_again = asyncio.Event()
        self._answers |= {
            ("GET", "/transactions/feed"): self._verdicts,
            ("PUT", "/broadcasting"): self._turn,
        }

    def is_set_back(self) -> None:
        self.incarnation, self.is_stopped = "b", False
        self.told.clear()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(API)
        if path.endswith(f"/feed/consumers/{NAME}"):
            return httpx.Response(200, json={"name": NAME, "cursor": ""})
        if path.endswith("/feed"):
            await asyncio.sleep(PAUSE_S)
        after = request.url.params.get("after", "")
        if path == "/transactions/feed" and after and not after.startswith(self.incarnation):
            return httpx.Response(409, json={"code": FeedReset.code, "detail": "set back"})
        return await super().__call__(request)

    async def _verdicts(self, _: httpx.Request) -> BaseModel:
        return page(list[TransactionView](), next_=f"{self.incarnation}.1")

    async def _turn(self, request: httpx.Request) -> BaseModel:
        asked = BroadcastingRequest.model_validate_json(request.content)
        self.is_stopped = asked.stopped
        self.told.append("stopped" if asked.stopped else "released")
        return BroadcastingView(stopped_for_all=self.is_stopped, stopped_owners=[], may_land=[])

    async def _submit(self, request: httpx.Request) -> BaseModel:
        answer = await super()._submit(request)
        self.told.append("given bytes" if self.is_stopped else "given bytes to broadcast")
        if self.incarnation == "b":
            self.handed_over_again.set()
        return answer


async def test_h23_a_tron_client_that_was_set_back_is_stopped_again_before_it_gets_bytes(
    tmp_path: Path,
) -> None:
    clock = HeldClock(START_MS)
    keys = Keys(tmp_path, clock)
    master_key = tmp_path / "secrets" / NAME / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(MASTER_KEY.hex())
    settings = settings_in(tmp_path, Settings, peer_attempts=1)
    await make_seed(settings, show=lambda _: None)
    sibling = TronClient(Chain(clock))
    runtime = Runtime(
        service=NAME, settings=settings, clock=clock, transport=httpx.MockTransport(sibling)
    )
    async with serving(create(settings, runtime)) as client:
        body = {"user_id": "operator", "role": "treasury", "request_id": "first"}
        made = await client.post(f"{API}/wallets", json=body, headers=keys.person())
        treasury = made.raise_for_status().json()
        sibling.deposit(Address(treasury["address"]))
        desk = bench.Desk(client=client, keys=keys, tron_client=sibling, treasury=treasury)
        await sibling.booked.wait()
        asked = SendsRequest(intents=[intent(wallet_id=treasury["wallet_id"])])
        await desk.send(asked.model_dump_json().encode())
        await sibling.handed_over(1)
        stop = {"stopped": True, "reason": "a key may be stolen"}
        answer = await client.put(
            f"{API}/stops/all", json=stop, headers=keys.person(Role.SUPER_ADMIN)
        )
        assert answer.json()["broadcasting_stopped"] is True

        sibling.is_set_back()
        await asyncio.wait_for(sibling.handed_over_again.wait(), timeout=10)

        assert sibling.told[:2] == ["stopped", "given bytes"]
