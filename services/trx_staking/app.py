"""trx-staking's composition root."""

import secrets

from fastapi import FastAPI

from services import trx_staking
from services.trx_staking.domain import Policy
from services.trx_staking.loops import DISPATCH, loops
from services.trx_staking.routes import router
from services.trx_staking.service import TrxStaking
from services.trx_staking.settings import Settings
from services.trx_staking.store import SCHEMA, StakeStore
from shared.clock import MS_PER_S
from shared.ids import new_id
from shared.money import parse_trx
from shared.peers.tron_client import TronClientPeer
from shared.peers.wallet_manager import WalletManagerPeer
from shared.web.application import application
from shared.web.runtime import Runtime


def create(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """Make the application; tests hand in a runtime with their own clock and transport."""
    runtime = runtime or Runtime(service="trx-staking", settings=settings)

    async def build(runtime: Runtime) -> TrxStaking:
        chain = TronClientPeer(await runtime.peer("tron-client", settings.tron_client_url))
        sender = WalletManagerPeer(
            await runtime.peer("wallet-manager", settings.wallet_manager_url)
        )
        service = TrxStaking(
            store=StakeStore(await runtime.storage(SCHEMA), new_id=new_id),
            chain=chain,
            sender=sender,
            clock=runtime.clock,
            policy=policy(settings),
            owner=secrets.token_hex(8),
            silence_ms=settings.reconcile_after_s * MS_PER_S,
        )
        running = await runtime.run(*loops(service, settings))
        service.when_there_is_work(running[DISPATCH].wake)
        runtime.probes.stats = service.counts
        runtime.probes.details = service.details
        return service

    return application(
        runtime, build=build, routers=(router,), description=str(trx_staking.__doc__)
    )


def policy(settings: Settings) -> Policy:
    """Return the rules that the settings state."""
    return Policy(
        minimum_sun=parse_trx(settings.min_staking_trx),
        maximum_sun=parse_trx(settings.max_staking_trx),
        two_approvers_from_sun=parse_trx(settings.two_approvers_from_trx),
        max_fee_sun=parse_trx(settings.max_fee_trx),
        deadline_ms=settings.staking_deadline_s * MS_PER_S,
    )
