"""wallet-manager's composition root."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from services import wallet_manager
from services.wallet_manager.domain.approvals import ApprovalKind
from services.wallet_manager.domain.rulebook import Caps, Rulebook, default_rules
from services.wallet_manager.loops import SIGN, SUBMIT, loops
from services.wallet_manager.routes import guards as guard_routes
from services.wallet_manager.routes import messages, recovery, reports, sends, wallets
from services.wallet_manager.routes.owner import SOCKET, owner_socket
from services.wallet_manager.service import (
    WalletManager,
    mainnet,
)
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.assembly import Site, assemble
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.books import TRANSFERS, VERDICTS
from services.wallet_manager.service.custody import Custody
from services.wallet_manager.service.exports import Exports
from services.wallet_manager.service.guards import Decided, Guards
from services.wallet_manager.service.holdings import Beholder
from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.service.killswitch import KillSwitch
from services.wallet_manager.service.mainnet import Preflight
from services.wallet_manager.service.messages import Messages
from services.wallet_manager.service.policies import Policies
from services.wallet_manager.service.policy import PolicyGate, PolicyGuard
from services.wallet_manager.service.private_keys import Exporting, Importing, PrivateKeys
from services.wallet_manager.service.recompute import Recompute
from services.wallet_manager.service.reconciliation import Reconciliation
from services.wallet_manager.service.rules import SigningRules
from services.wallet_manager.service.timekeeping import Timekeeper
from services.wallet_manager.service.watches import Watches
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import SCHEMA, SEND_FEED
from services.wallet_manager.vault import Vault
from services.wallet_manager.vault.keyfiles import KeyFiles
from shared.alarms import Alarms
from shared.clock import MS_PER_S
from shared.feeds import FeedFollower, FeedSource
from shared.ids import new_id
from shared.ledger_clock import LedgerClock
from shared.models.wallet_sends import SendState, SendView
from shared.money import BASE_UNITS_PER_COIN, Currency
from shared.peers.tron_client import TronClientPeer
from shared.tron.address import parse_address
from shared.tron.networks import FACTS, Network
from shared.web.alarms import router as alarm_router
from shared.web.alarms import watch_alarms
from shared.web.application import application
from shared.web.operations import RECOVERY_KEY
from shared.web.runtime import Runtime

NAME = "wallet-manager"


def create(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """Make the application; tests hand in a runtime with their own clock and transport."""
    runtime = runtime or Runtime(service=NAME, settings=settings)

    async def build(runtime: Runtime) -> WalletManager:
        chain = TronClientPeer(await runtime.peer("tron-client", settings.tron_client_url))
        store = WalletStore(await runtime.storage(SCHEMA))
        service = _service(settings, runtime, store, chain)
        await service.keeper.start()
        door = settings.database_path(NAME).parent / SOCKET
        await runtime.stack.enter_async_context(
            owner_socket(service.keeper, door, keys=service.private_keys)
        )
        await service.alarms.load()
        await service.guards.load()
        await service.recovery.begin()
        runtime.stack.push_async_callback(service.recovery.end)
        _probes(runtime, store, service)
        alarms = watch_alarms(service.alarms, runtime)
        running = await runtime.run(*loops(service, settings), alarms)
        service.sender.when_there_is_work(sign=running[SIGN].wake, submit=running[SUBMIT].wake)
        return service

    return application(
        runtime,
        build=build,
        routers=(
            wallets.router,
            messages.router,
            sends.router,
            reports.router,
            recovery.router,
            guard_routes.router,
            alarm_router,
        ),
        description=str(wallet_manager.__doc__),
    )


def _service(
    settings: Settings, runtime: Runtime, store: WalletStore, chain: TronClientPeer
) -> WalletManager:
    facts, lock, clock = FACTS[settings.tron_network], asyncio.Lock(), runtime.clock
    vault = Vault(network=settings.tron_network.value, coin_type=facts.coin_type)
    rules = _rules(settings, runtime)
    alarms = Alarms(storage=store.storage, clock=clock, new_id=new_id, metrics=runtime.metrics)
    guards = _guards(settings, runtime, store, chain, lock)
    keeper = Keeper(
        store=store,
        vault=vault,
        audit=guards.audit,
        clock=clock,
        files=KeyFiles(settings.master_key_path()),
        network=settings.tron_network.value,
        memory_mib=settings.vault_argon2_memory_mib,
        unlock_ms=settings.vault_unlock_s * MS_PER_S,
    )
    parts = assemble(
        Site(
            store=store,
            vault=vault,
            chain=chain,
            clock=clock,
            clocks=guards.timekeeper,
            ledger=guards.ledger,
            new_id=new_id,
            network=settings.tron_network,
            rules=rules,
            audit=guards.audit,
            alarms=alarms,
            gates=(guards.gate,),
            guards=(guards.switch, keeper, guards.preflight, guards.guard),
            held_back=guards.switch.reason_for,
            books_lock=lock,
        )
    )
    wallets, sender, books, recovery = parts.wallets, parts.sender, parts.books, parts.recovery
    recovery.after_restore(guards)
    watches = Watches(store=store, watcher=chain, alarms=alarms)

    def held_back(wallet_id: str) -> str | None:
        standing = recovery.reason() or guards.preflight.reason()
        return standing or guards.switch.reason_for(wallet_id)

    async def hand_over_again() -> None:
        await guards.switch.tell_again()  # its stops may be lost, and it broadcasts at once
        await sender.hand_over_again()

    recovery.before_clear(hand_over_again)

    async def verdicts_again() -> None:
        await hand_over_again()
        await books.restart_after_loss(VERDICTS)

    async def transfers_again() -> None:
        await watches.renew_all()
        await books.restart_after_loss(TRANSFERS)

    beholder = Beholder(store=store, chain=chain, clock=clock, usdt_contract=rules.usdt_contract)
    return WalletManager(
        wallets=wallets,
        custody=Custody(store=store, audit=guards.audit, look=beholder.look, books_lock=lock),
        messages=Messages(vault=vault, audit=guards.audit, held_back=held_back),
        sender=sender,
        oversight=parts.oversight,
        offline=parts.offline,
        books=books,
        recovery=recovery,
        claims=parts.claims,
        watches=watches,
        reconciliation=Reconciliation(
            accounts_per_round=settings.reconcile_accounts,
            store=store,
            chain=chain,
            books=books,
            audit=guards.audit,
            alarms=alarms,
            usdt_contract=rules.usdt_contract,
            books_lock=lock,
        ),
        recompute=Recompute(store),
        beholder=beholder,
        exports=Exports(store),
        alarms=alarms,
        guards=guards,
        keeper=keeper,
        private_keys=PrivateKeys(
            importing=Importing(
                store=store,
                keeper=keeper,
                wallets=wallets,
                audit=guards.audit,
                clock=clock,
                new_id=new_id,
                network=settings.tron_network,
                require_clear=recovery.require_clear,
            ),
            exporting=Exporting(
                store=store,
                vault=vault,
                keeper=keeper,
                wallets=wallets,
                audit=guards.audit,
                approvals=guards.approvals,
                held_back=guards.switch.reason_for,
            ),
        ),
        feed=FeedSource(storage=store.storage, feed=SEND_FEED, view=SendView, clock=clock),
        verdicts=FeedFollower(
            pages=chain.verdicts,
            load_cursor=lambda: books.cursor(VERDICTS),
            apply=recovery.hear_verdicts,
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


def _guards(
    settings: Settings,
    runtime: Runtime,
    store: WalletStore,
    chain: TronClientPeer,
    lock: asyncio.Lock,
) -> Guards:
    clock = runtime.clock
    audit = Audit(store=store, clock=clock)
    ledger = LedgerClock(store.storage, clock)
    approvals = Approvals(
        store=store,
        audit=audit,
        clock=clock,
        new_id=new_id,
        quorums=dict.fromkeys(ApprovalKind, settings.approval_quorum),
        lifetime_ms=settings.approval_lifetime_s * MS_PER_S,
    )
    policies = Policies(
        store=store,
        audit=audit,
        approvals=approvals,
        ledger=ledger,
        default=_default_policy(settings, runtime),
        cooling_off_ms=settings.policy_cooling_off_s * MS_PER_S,
        books_lock=lock,
    )
    timekeeper = Timekeeper(
        chain=chain, ledger=ledger, clock=clock, max_skew_ms=settings.max_head_skew_s * MS_PER_S
    )
    decided = Decided(policies)
    return Guards(
        store=store,
        audit=audit,
        approvals=approvals,
        policies=policies,
        decided=decided,
        gate=PolicyGate(policies=policies, approvals=approvals, audit=audit),
        guard=PolicyGuard(
            store=store,
            policies=policies,
            audit=audit,
            ledger=ledger,
            clock=clock,
            operators=lambda: timekeeper.operators,
        ),
        switch=KillSwitch(
            store=store,
            audit=audit,
            approvals=approvals,
            broadcaster=chain,
            clock=clock,
            folder=settings.database_path(NAME).parent,
            books_lock=lock,
        ),
        preflight=_preflight(settings, runtime, decided, timekeeper),
        ledger=ledger,
        timekeeper=timekeeper,
        books_lock=lock,
    )


def _preflight(
    settings: Settings, runtime: Runtime, decided: Decided, timekeeper: Timekeeper
) -> Preflight:
    master_key = settings.master_key_path()
    return Preflight(
        {
            "second_switch": mainnet.second_switch(is_on=settings.mainnet_signing_enabled),
            "master_key": mainnet.random_key_file(master_key),
            "master_key_file": mainnet.private_file(master_key),
            "identity_file": mainnet.private_file(settings.secrets_path(NAME) / "identity.pem"),
            "database_file": mainnet.private_file(settings.database_path(NAME)),
            "policy": mainnet.decided_policy(lambda: decided.is_explicit),
            "cooling_off": mainnet.cooling_off(settings.policy_cooling_off_s),
            "recovery_key": mainnet.recovery_key(settings.keys_path() / RECOVERY_KEY),
            "backup": mainnet.recent_backup(runtime.operations.standing),
            "clocks": timekeeper.reason,
            "one_operator": mainnet.bounded_trust(
                lambda: timekeeper.operators, lambda: decided.rules
            ),
            "devnet_leftovers": mainnet.no_devnet(
                data_dir=settings.data_dir,
                contract=runtime.usdt_contract(),
                expected_contract=FACTS[settings.tron_network].usdt_contract,
            ),
        },
        is_enforced=settings.tron_network is Network.MAINNET,
    )


def _default_policy(settings: Settings, runtime: Runtime) -> Rulebook:
    usdt = Caps(
        currency=Currency.USDT,
        per_send=settings.policy_per_send_usdt * BASE_UNITS_PER_COIN,
        per_hour=settings.policy_per_hour_usdt * BASE_UNITS_PER_COIN,
        per_day=settings.policy_per_day_usdt * BASE_UNITS_PER_COIN,
        per_destination=settings.policy_per_destination_usdt * BASE_UNITS_PER_COIN,
        unproved_per_day=settings.policy_unproved_per_day_usdt * BASE_UNITS_PER_COIN,
        agreed_above=settings.policy_approval_above_usdt * BASE_UNITS_PER_COIN,
    )
    trx = Caps(
        currency=Currency.TRX,
        per_send=settings.policy_per_send_trx * BASE_UNITS_PER_COIN,
        per_hour=settings.policy_per_hour_trx * BASE_UNITS_PER_COIN,
        per_day=settings.policy_per_day_trx * BASE_UNITS_PER_COIN,
        per_destination=settings.policy_per_destination_trx * BASE_UNITS_PER_COIN,
        unproved_per_day=settings.policy_unproved_per_day_trx * BASE_UNITS_PER_COIN,
        agreed_above=settings.policy_approval_above_trx * BASE_UNITS_PER_COIN,
    )
    return default_rules(
        usdt_contract=parse_address(runtime.usdt_contract()),
        caps=(usdt, trx),
        fees_per_hour_sun=settings.policy_fees_per_hour_trx * BASE_UNITS_PER_COIN,
        quorum=settings.approval_quorum,
    )


def _rules(settings: Settings, runtime: Runtime) -> SigningRules:
    on_mainnet = settings.tron_network is Network.MAINNET
    return SigningRules(
        genesis_block_id=FACTS[settings.tron_network].genesis_block_id,
        usdt_contract=parse_address(runtime.usdt_contract()),
        enabled=settings.mainnet_signing_enabled or not on_mainnet,
        lifetime_ms=settings.send_lifetime_s * MS_PER_S,
        offline_lifetime_ms=settings.offline_send_lifetime_s * MS_PER_S,
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
    runtime.readiness.add("recovery", service.recovery.reason)
    runtime.probes.standing["recovery"] = service.recovery.standing
    runtime.probes.standing["vault"] = service.keeper.standing
    runtime.probes.standing["mainnet_guard"] = service.guards.preflight.standing
    runtime.readiness.add("signing", service.sender.unready_reason)
