"""wallet-manager's composition root."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from services import wallet_manager
from services.wallet_manager.loops import SIGN, SUBMIT, loops
from services.wallet_manager.routes import router
from services.wallet_manager.service import Books, Sender, WalletManager, Wallets
from services.wallet_manager.service.books import TRANSFERS, VERDICTS
from services.wallet_manager.service.sender import SigningRules
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import SCHEMA, SEND_FEED, WalletStore
from services.wallet_manager.vault import Vault, parse_master_key
from shared.clock import MS_PER_S
from shared.config import ConfigurationMissing, read_secret
from shared.feeds import FeedFollower, FeedSource
from shared.ids import new_id
from shared.models.wallet_manager import SendState, SendView
from shared.peers.tron_client import TronClientPeer
from shared.tron.address import parse_address
from shared.tron.networks import FACTS, Network
from shared.web.application import application
from shared.web.runtime import Runtime

NAME = "wallet-manager"


def create(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """Make the application; tests hand in a runtime with their own clock and transport."""
    runtime = runtime or Runtime(service=NAME, settings=settings)

    async def build(runtime: Runtime) -> WalletManager:
        chain = TronClientPeer(await runtime.peer("tron-client", settings.tron_client_url))
        store = WalletStore(await runtime.storage(SCHEMA))
        service = _service(settings, runtime, store, chain, await _vault(settings, store))
        _probes(runtime, store, service)
        running = await runtime.run(*loops(service, settings))
        service.sender.when_there_is_work(sign=running[SIGN].wake, submit=running[SUBMIT].wake)
        return service

    return application(
        runtime, build=build, routers=(router,), description=str(wallet_manager.__doc__)
    )


async def _vault(settings: Settings, store: WalletStore) -> Vault:
    path = settings.master_key_path()
    secret = await asyncio.to_thread(read_secret, path, purpose="the master key")
    sealed = await store.seed()
    if sealed is None:
        raise ConfigurationMissing(
            "there is no seed yet: run 'python -m services init' while wallet-manager is stopped"
        )
    network = settings.tron_network
    return Vault(
        parse_master_key(secret),
        sealed,
        network=network.value,
        coin_type=FACTS[network].coin_type,
    )


def _service(
    settings: Settings, runtime: Runtime, store: WalletStore, chain: TronClientPeer, vault: Vault
) -> WalletManager:
    facts, lock, clock = FACTS[settings.tron_network], asyncio.Lock(), runtime.clock
    wallets = Wallets(
        store=store,
        vault=vault,
        watcher=chain,
        clock=clock,
        new_id=new_id,
        network=settings.tron_network.value,
        coin_type=facts.coin_type,
    )
    sender = Sender(
        store=store,
        vault=vault,
        chain=chain,
        clock=clock,
        new_id=new_id,
        rules=_rules(settings, runtime),
        books_lock=lock,
    )
    books = Books(
        store=store, clock=clock, max_attempts=settings.max_send_attempts, books_lock=lock
    )

    async def verdicts_again() -> None:
        await sender.hand_over_again()
        await books.restart_after_loss(VERDICTS)

    async def transfers_again() -> None:
        await wallets.renew_watches()
        await books.restart_after_loss(TRANSFERS)

    return WalletManager(
        wallets=wallets,
        sender=sender,
        books=books,
        feed=FeedSource(storage=store.storage, feed=SEND_FEED, view=SendView, clock=clock),
        verdicts=FeedFollower(
            pages=chain.verdicts,
            load_cursor=lambda: books.cursor(VERDICTS),
            apply=books.apply_verdicts,
            acknowledge=lambda cursor: chain.acknowledge(VERDICTS, consumer=NAME, cursor=cursor),
            resync=verdicts_again,
        ),
        transfers=FeedFollower(
            pages=chain.transfers,
            load_cursor=lambda: books.cursor(TRANSFERS),
            apply=books.apply_transfers,
            acknowledge=lambda cursor: chain.acknowledge(TRANSFERS, consumer=NAME, cursor=cursor),
            resync=transfers_again,
        ),
    )


def _rules(settings: Settings, runtime: Runtime) -> SigningRules:
    on_mainnet = settings.tron_network is Network.MAINNET
    return SigningRules(
        genesis_block_id=FACTS[settings.tron_network].genesis_block_id,
        usdt_contract=parse_address(runtime.usdt_contract()),
        enabled=settings.mainnet_signing_enabled or not on_mainnet,
        lifetime_ms=settings.send_lifetime_s * MS_PER_S,
        max_skew_ms=settings.max_head_skew_s * MS_PER_S,
        max_attempts=settings.max_send_attempts,
        batch=settings.sign_batch,
        retry_ms=settings.retry_interval_s * MS_PER_S,
        margin_percent=settings.fee_limit_margin_percent,
    )


def _probes(runtime: Runtime, store: WalletStore, service: WalletManager) -> None:
    async def counts() -> Mapping[str, Any]:
        return {f"sends_{state.value}": await store.count(state) for state in SendState}

    runtime.probes.stats = counts
    runtime.readiness.add("books", service.books.alarm)
    runtime.readiness.add("signing", service.sender.unready_reason)
