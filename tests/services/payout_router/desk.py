import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.payout_router.app import policy
from services.payout_router.domain import Caller, Order, Payout
from services.payout_router.service import Dispatcher, Follower, Pace, Payer, Promises
from services.payout_router.settings import Settings
from services.payout_router.store import SCHEMA, PayoutStore
from shared.access import Role
from shared.clock import HeldClock
from shared.models.payout_router import PayoutRouterName
from shared.models.usdt_manager import PreflightRequest, PreflightView, TransferNeeds
from shared.models.wallet_sends import Intent, SendResult
from shared.money import Currency
from shared.storage import SqliteStorage, Stamp
from shared.tron.address import Address
from tests.support import START_MS, WalletManager, address, settings_in

USDT = address(0xCC)


class UsdtManager:
    """Plays usdt-manager: passes intents on, and refuses whom it is told to refuse."""

    def __init__(self, wallet_manager: WalletManager) -> None:
        self.wallet_manager = wallet_manager
        self.refusals: dict[Address, str] = {}
        self.paused = False
        self.balance = 10**15
        self.asked = 0

    async def preflight(self, request: PreflightRequest) -> PreflightView:
        self.asked += 1
        return PreflightView(
            balance_base_units=str(self.balance),
            sufficient=True,
            transfers=[
                TransferNeeds(
                    recipient=one.recipient,
                    amount_base_units=one.amount_base_units,
                    energy=65_000,
                    bandwidth=345,
                    fee_limit_sun="15000000",
                    refusal="paused" if self.paused else self.refusals.get(one.recipient),
                )
                for one in request.transfers
            ],
        )

    async def transfer(self, intents: Sequence[Intent]) -> list[SendResult]:
        return await self.wallet_manager.send(intents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """payout-router's use cases with everything around them played."""

    clock: HeldClock
    store: PayoutStore
    wallet_manager: WalletManager
    usdt_manager: UsdtManager
    payer: Payer
    promises: Promises
    dispatcher: Dispatcher
    follower: Follower

    async def promise(
        self, key: str = "k", *, caller: Caller | None = None, **of: object
    ) -> Payout:
        taken = await self.promises.create(
            order(**of), caller=caller or Caller(name="op/ada", role=Role.ADMIN), key=key
        )
        return await self.read(taken.view.payout_id)

    async def read(self, payout_id: str) -> Payout:
        payout = await self.store.payout(payout_id)
        assert payout is not None
        return payout

    async def events(self) -> list[str]:
        page = await self.promises.events(
            caller=Caller(name="payment-gateway", role=None), after="", limit=500, wait_s=0
        )
        return [item.type for item in page.items]

    async def spent(self, payout: Payout) -> int:
        totals = await self.store.totals(payout.charges)
        (total,) = totals.values()
        return total.spent


def order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "user_id": "u1",
        "amount": 25_000_000,
        "currency": Currency.USDT,
        "recipient": address(1),
        "description": "",
        "router": PayoutRouterName.V0,
    }
    return Order(**(fields | changes))


def desk_on(storage: SqliteStorage, root: Path) -> Desk:
    clock = HeldClock(START_MS)
    counter = itertools.count(1)
    store = PayoutStore(storage, new_id=lambda prefix: f"{prefix}_{next(counter):06d}")
    wallet_manager = WalletManager(clock)
    usdt_manager = UsdtManager(wallet_manager)
    payer = Payer(wallets=wallet_manager, wallet_id=None)
    return Desk(
        clock=clock,
        store=store,
        wallet_manager=wallet_manager,
        usdt_manager=usdt_manager,
        payer=payer,
        promises=Promises(
            store=store,
            payer=payer,
            clock=clock,
            new_id=lambda prefix: f"{prefix}_{next(counter):06d}",
            policy=policy(settings_in(root, Settings), USDT),
        ),
        dispatcher=Dispatcher(
            store=store,
            payer=payer,
            sender=wallet_manager,
            token=usdt_manager,
            clock=clock,
            pace=Pace(owner="test", batch=50, lease_ms=60_000),
            contract=USDT,
        ),
        follower=Follower(store=store, sends=wallet_manager, clock=clock, silence_ms=120_000),
    )


async def open_storage(root: Path) -> SqliteStorage:
    stamp = Stamp(network="devnet", contract=USDT)
    return await SqliteStorage.open(root / "payouts.sqlite3", SCHEMA, stamp)
