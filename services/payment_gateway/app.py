"""payment-gateway's composition root."""

import asyncio

from fastapi import FastAPI

from services import payment_gateway
from services.payment_gateway.domain.invoices import InvoiceRules
from services.payment_gateway.loops import loops
from services.payment_gateway.routes import aliases, invoices, webhooks
from services.payment_gateway.service.announcer import Announcer, Bell
from services.payment_gateway.service.deposits import Deposits
from services.payment_gateway.service.gateway import PaymentGateway
from services.payment_gateway.service.hooks import Webhooks
from services.payment_gateway.service.invoices import Invoices
from services.payment_gateway.service.kit import Kit
from services.payment_gateway.service.peers import Siblings
from services.payment_gateway.settings import Settings
from services.payment_gateway.store import SCHEMA, GatewayStore
from services.payment_gateway.webhooks import KEY_FILE, WebhookSender, parse_key
from shared.clock import SystemClock
from shared.config import read_secret
from shared.ids import new_id
from shared.outbound import Outbound
from shared.peers.tron_client import TronClientPeer
from shared.peers.trx_staking import TrxStakingPeer
from shared.peers.usdt_manager import UsdtManagerPeer
from shared.peers.wallet_manager import WalletManagerPeer
from shared.tron.address import parse_address
from shared.web.application import application
from shared.web.runtime import Runtime

SERVICE = "payment-gateway"


def create(
    settings: Settings, runtime: Runtime | None = None, *, outbound: Outbound | None = None
) -> FastAPI:
    """Make the application; tests hand in a runtime and a way outside of their own."""
    runtime = runtime or Runtime(service=SERVICE, settings=settings)

    async def build(runtime: Runtime) -> PaymentGateway:
        service = await _service(runtime, settings, outbound)
        runtime.probes.stats = service.counts
        runtime.probes.details = service.details
        await runtime.run(*loops(service, settings))
        return service

    routers = (invoices.router, webhooks.router, aliases.router)
    return application(
        runtime, build=build, routers=routers, description=str(payment_gateway.__doc__)
    )


async def _service(
    runtime: Runtime, settings: Settings, outbound: Outbound | None
) -> PaymentGateway:
    chain = TronClientPeer(await runtime.peer("tron-client", settings.tron_client_url))
    wallets = WalletManagerPeer(await runtime.peer("wallet-manager", settings.wallet_manager_url))
    sender = await _sender(runtime, settings, outbound)
    store = GatewayStore(await runtime.storage(SCHEMA))
    kit = Kit(
        store=store,
        announcer=Announcer(new_id=new_id, network=settings.tron_network.value),
        bell=Bell(),
        clock=runtime.clock,
        rules=_rules(runtime, settings),
    )
    return PaymentGateway(
        store=store,
        invoices=Invoices(kit, deriver=wallets),
        deposits=Deposits(kit, chain=chain, own_sends=wallets, wait_s=settings.feed_wait_s),
        webhooks=Webhooks(
            store=store,
            sender=sender,
            clock=runtime.clock,
            new_id=new_id,
            ladder_s=settings.retry_ladder_s(),
            owner=SERVICE,
        ),
        siblings=await _siblings(runtime, settings, chain, wallets),
    )


def _rules(runtime: Runtime, settings: Settings) -> InvoiceRules:
    return InvoiceRules(
        minimum=settings.minimum(),
        dust=settings.dust(),
        grace_s=settings.invoice_grace_s,
        contract=parse_address(runtime.usdt_contract()),
    )


async def _sender(runtime: Runtime, settings: Settings, outbound: Outbound | None) -> WebhookSender:
    path = settings.secrets_path(SERVICE) / KEY_FILE
    key = parse_key(await asyncio.to_thread(read_secret, path, purpose="the webhooks' key"))
    way_out = outbound or Outbound.from_settings(settings)
    runtime.stack.push_async_callback(way_out.aclose)
    return WebhookSender(outbound=way_out, key=key, wall=SystemClock())


async def _siblings(
    runtime: Runtime, settings: Settings, chain: TronClientPeer, wallets: WalletManagerPeer
) -> Siblings:
    return Siblings(
        network=chain,
        wallets=wallets,
        token=UsdtManagerPeer(await runtime.peer("usdt-manager", settings.usdt_manager_url)),
        stakes=TrxStakingPeer(await runtime.peer("trx-staking", settings.trx_staking_url)),
    )
