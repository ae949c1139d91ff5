"""payout-router's composition root."""

import secrets

from fastapi import FastAPI

from services import payout_router
from services.payout_router.domain import Limits, Policy
from services.payout_router.loops import dispatch_loop, loops
from services.payout_router.routes import router
from services.payout_router.service import Dispatcher, Follower, Pace, Payer, PayoutRouter, Promises
from services.payout_router.settings import Settings
from services.payout_router.store import SCHEMA, PayoutStore
from shared.access import Role
from shared.clock import MS_PER_S
from shared.ids import new_id
from shared.money import Currency, parse_trx, parse_usdt
from shared.peers.usdt_manager import UsdtManagerPeer
from shared.peers.wallet_manager import WalletManagerPeer
from shared.tron.address import Address, parse_address
from shared.web.application import application
from shared.web.runtime import Runtime


def create(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """Make the application; tests hand in a runtime with their own clock and transport."""
    runtime = runtime or Runtime(service="payout-router", settings=settings)

    async def build(runtime: Runtime) -> PayoutRouter:
        wallets = WalletManagerPeer(
            await runtime.peer("wallet-manager", settings.wallet_manager_url)
        )
        token = UsdtManagerPeer(await runtime.peer("usdt-manager", settings.usdt_manager_url))
        contract = parse_address(runtime.usdt_contract())
        clock = runtime.clock
        store = PayoutStore(await runtime.storage(SCHEMA), new_id=new_id)
        payer = Payer(wallets=wallets, wallet_id=settings.payout_wallet_id)
        rules = policy(settings, contract)
        silence_ms = settings.reconcile_after_s * MS_PER_S
        service = PayoutRouter(
            store=store,
            payer=payer,
            promises=Promises(store=store, payer=payer, clock=clock, new_id=new_id, policy=rules),
            dispatcher=Dispatcher(
                store=store,
                payer=payer,
                sender=wallets,
                token=token,
                clock=clock,
                pace=pace(settings),
                contract=contract,
            ),
            follower=Follower(store=store, sends=wallets, clock=clock, silence_ms=silence_ms),
        )
        running = await runtime.run(*loops(service, settings))
        service.promises.when_there_is_work(lambda each: running[dispatch_loop(each)].wake())
        runtime.probes.stats = service.promises.counts
        runtime.probes.details = service.details
        return service

    return application(
        runtime, build=build, routers=(router,), description=str(payout_router.__doc__)
    )


def pace(settings: Settings) -> Pace:
    """Return how this process claims payouts, under a name that no other process has."""
    return Pace(
        owner=secrets.token_hex(8),
        batch=settings.dispatch_batch,
        lease_ms=settings.dispatch_lease_s * MS_PER_S,
    )


def policy(settings: Settings, contract: Address) -> Policy:
    """Return the rules that the settings state."""
    usdt = Limits(
        minimum=parse_usdt(settings.min_payout_usdt),
        maximum=parse_usdt(settings.max_payout_usdt),
        recipient_daily=parse_usdt(settings.daily_payout_usdt),
        role_maximum={Role.USER: parse_usdt(settings.user_max_payout_usdt)},
        role_daily={Role.USER: parse_usdt(settings.user_daily_payout_usdt)},
    )
    trx = Limits(
        minimum=parse_trx(settings.min_payout_trx),
        maximum=parse_trx(settings.max_payout_trx),
        recipient_daily=parse_trx(settings.daily_payout_trx),
        role_maximum={Role.USER: parse_trx(settings.user_max_payout_trx)},
        role_daily={Role.USER: parse_trx(settings.user_daily_payout_trx)},
    )
    return Policy(
        limits={Currency.USDT: usdt, Currency.TRX: trx},
        never_paid=frozenset({contract}),
        max_fee_sun={
            Currency.USDT: parse_trx(settings.usdt_max_fee_trx),
            Currency.TRX: parse_trx(settings.trx_max_fee_trx),
        },
        deadline_ms=settings.payout_deadline_s * MS_PER_S,
    )
