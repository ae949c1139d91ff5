"""usdt-manager's composition root."""

from fastapi import FastAPI

from services import usdt_manager
from services.usdt_manager.domain import SUN_PER_TRX, FeePolicy
from services.usdt_manager.loops import loops
from services.usdt_manager.routes import router
from services.usdt_manager.service import UsdtManager
from services.usdt_manager.settings import Settings
from services.usdt_manager.store import SCHEMA, UsdtStore
from shared.clock import MS_PER_S
from shared.money import Sun
from shared.peers.tron_client import TronClientPeer
from shared.peers.wallet_manager import WalletManagerPeer
from shared.tron.address import parse_address
from shared.web.application import application
from shared.web.runtime import Runtime


def create(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """Make the application; tests hand in a runtime with their own clock and transport."""
    runtime = runtime or Runtime(service="usdt-manager", settings=settings)

    async def build(runtime: Runtime) -> UsdtManager:
        chain = TronClientPeer(await runtime.peer("tron-client", settings.tron_client_url))
        sender = WalletManagerPeer(
            await runtime.peer("wallet-manager", settings.wallet_manager_url)
        )
        service = UsdtManager(
            store=UsdtStore(await runtime.storage(SCHEMA)),
            chain=chain,
            sender=sender,
            clock=runtime.clock,
            contract=parse_address(runtime.usdt_contract()),
            standing_kept_ms=settings.blacklist_recheck_s * MS_PER_S,
            policy=FeePolicy(
                margin_percent=settings.fee_limit_margin_percent,
                ceiling_sun=Sun(settings.max_fee_limit_trx * SUN_PER_TRX),
            ),
        )
        await runtime.run(*loops(service, settings))
        return service

    return application(
        runtime, build=build, routers=(router,), description=str(usdt_manager.__doc__)
    )
