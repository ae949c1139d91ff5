"""tron-client's composition root."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI

from services import tron_client
from services.tron_client.abi_reader import AbiReader
from services.tron_client.domain.broadcasting import STOP_FILE
from services.tron_client.domain.tokens import Tokens
from services.tron_client.loops import (
    credit_loop,
    endpoint_loops,
    issuer_loop,
    loops,
    reconcile_loop,
)
from services.tron_client.node import NodeCounters, NodeHttp, NodePool, Transport, Treatment
from services.tron_client.node.client import Node
from services.tron_client.node.endpoints import Endpoint
from services.tron_client.routes import ROUTERS, watches
from services.tron_client.scanner import Scanner
from services.tron_client.scanner.agreement import Agreement
from services.tron_client.scanner.coverage import Coverage
from services.tron_client.scanner.outgoing import Outgoing
from services.tron_client.scanner.policy import ScanPolicy
from services.tron_client.scanner.reconciliation import (
    Reconciliation,
    ReconciliationPolicy,
    Rescan,
)
from services.tron_client.scanner.rescans import Rescans
from services.tron_client.scanner.solidity import Proofs
from services.tron_client.scanner.stalls import Stall
from services.tron_client.scanner.witnesses import Witnesses
from services.tron_client.service import (
    Announcer,
    ChainFacts,
    Dials,
    Explorer,
    Histories,
    Operators,
    Outlook,
    Reads,
    Transactions,
    TronClient,
    Vigil,
)
from services.tron_client.service.endpoints import Endpoints
from services.tron_client.service.feeds import (
    notice_source,
    token_transfer_source,
    transfer_source,
    verdict_source,
)
from services.tron_client.service.issuer import Issuer
from services.tron_client.settings import Settings
from services.tron_client.store import ChainStore
from services.tron_client.store.balances import BalanceStore
from services.tron_client.store.coverage import CoverageStore
from services.tron_client.store.credits import CreditStore
from services.tron_client.store.notices import NoticeStore
from services.tron_client.store.schema import SCHEMA
from services.tron_client.store.sight import Sight, load
from services.tron_client.store.usages import UsageStore
from services.tron_client.store.witnesses import WitnessStore
from services.tron_client.tracker import Tracker, TrackPolicy
from services.tron_client.tracker.gate import BroadcastGate
from shared.alarms import Alarms
from shared.feed_keeping import FeedKeeper, feed_limits
from shared.ids import new_id
from shared.ledger_clock import LedgerClock
from shared.tron.address import parse_address
from shared.tron.networks import FACTS, Network
from shared.web.alarms import router as alarms_router
from shared.web.alarms import watch_alarms
from shared.web.application import application
from shared.web.feeds import router as feeds_router
from shared.web.runtime import Runtime


def create(
    settings: Settings,
    runtime: Runtime | None = None,
    *,
    node_transport: Transport | None = None,
) -> FastAPI:
    """Make the application; tests hand in a runtime with their own clock, and the way to a node."""
    runtime = runtime or Runtime(service="tron-client", settings=settings)

    async def build(runtime: Runtime) -> TronClient:
        listed, facts = settings.endpoints(), _facts(settings, runtime)
        store = ChainStore(await runtime.storage(SCHEMA), clock=runtime.clock, new_id=new_id)
        sight = await load(store)
        alarms = await _alarms(store, runtime)
        gate = await _gate(store, settings, runtime)
        pool = _pool(listed, settings, runtime, node_transport)
        node = Node(
            pool,
            checks_root=settings.node_check_root,
            broadcast_nodes=settings.broadcast_nodes,
        )
        endpoints = _endpoints(pool, node, store, alarms, settings=settings, runtime=runtime)
        agreement = await _agreement(
            endpoints, store, sight, alarms, settings=settings, runtime=runtime
        )
        coverage_store = CoverageStore(store)
        coverage = Coverage(store=coverage_store, sight=sight, clock=runtime.clock, new_id=new_id)
        scanner = Scanner(
            chain=node,
            store=store,
            sight=sight,
            clock=runtime.clock,
            policy=_scan_policy(settings, facts),
            stall=Stall("scan_stalled", alarms),
            proofs=Proofs(
                witnesses=_witnesses(endpoints, store, alarms, settings, runtime),
                agreement=agreement,
            ),
            metrics=runtime.metrics,
        )
        rescans = Rescans(
            chain=node.for_catching_up(),
            store=coverage_store,
            sight=sight,
            clock=runtime.clock,
            policy=_scan_policy(settings, facts),
            stall=Stall("rescan_stalled", alarms),
            agreement=agreement,
        )
        tracker = Tracker(
            node=node,
            store=store,
            sight=sight,
            clock=runtime.clock,
            policy=_track_policy(settings),
            gate=gate,
            judges=endpoints.judges,
            alarms=alarms,
        )
        vigil = Vigil(
            sight=sight,
            alarms=alarms,
            operators=Operators(
                others=endpoints.others,
                store=store,
                sight=sight,
                alarms=alarms,
                clock=runtime.clock,
            ),
            cannot_pay=endpoints.cannot_pay,
            clock=runtime.clock,
            max_head_age_s=settings.max_head_age_s,
        )
        dials = Dials(store=store, sight=sight, clock=runtime.clock, metrics=runtime.metrics)
        service = TronClient(
            chain=Outlook(
                notices=NoticeStore(store),
                vigil=vigil,
                dials=dials,
                sight=sight,
                node=node,
                clock=runtime.clock,
                facts=facts,
                max_head_age_s=settings.max_head_age_s,
            ),
            reads=Reads(
                node=node,
                abi_reader=AbiReader(node),
                usdt=facts.token,
                is_watched=sight.watched.__contains__,
            ),
            explorer=Explorer(node=node, store=store, sight=sight),
            histories=Histories(
                gateways=pool.with_history,
                usdt=facts.token,
                clock=runtime.clock,
                bounds=settings.history_bounds(),
            ),
            coverage=coverage,
            outgoing=Outgoing(chain=node, store=store, sight=sight),
            transactions=Transactions(store=store, tracker=tracker),
            transfers=transfer_source(store, runtime.clock),
            token_transfers=token_transfer_source(store, runtime.clock),
            verdicts=verdict_source(store, runtime.clock),
            notices=notice_source(store, runtime.clock),
            feeds=_feeds(store, alarms, settings, runtime),
            alarms=alarms,
            announcer=Announcer(store=NoticeStore(store), alarms=alarms, clock=runtime.clock),
            vigil=vigil,
            operators=vigil.operators,
            dials=dials,
            endpoints=endpoints,
        )
        _show(service, runtime)
        await runtime.run(
            *loops(service, scanner, rescans, tracker, settings),
            *endpoint_loops(endpoints),
            credit_loop(agreement),
            issuer_loop(Issuer(node=node, usdt=facts.token, alarms=alarms)),
            reconcile_loop(
                _reconciliation(
                    node,
                    store,
                    sight,
                    alarms,
                    policy=_reconciliation_policy(settings, facts),
                    rescan=coverage.rescan,
                ),
                settings,
            ),
            watch_alarms(alarms, runtime),
            service.feeds.loop(),
        )
        return service

    return application(
        runtime,
        build=build,
        routers=(*ROUTERS, alarms_router, feeds_router),
        description=str(tron_client.__doc__),
        larger_bodies={watches.PATH: watches.MAX_BODY_BYTES},
    )


def _reconciliation(
    node: Node,
    store: ChainStore,
    sight: Sight,
    alarms: Alarms,
    *,
    policy: ReconciliationPolicy,
    rescan: Rescan,
) -> Reconciliation:
    return Reconciliation(
        node=node,
        store=BalanceStore(store),
        sight=sight,
        policy=policy,
        alarms=alarms,
        rescan=rescan,
    )


def _reconciliation_policy(settings: Settings, facts: ChainFacts) -> ReconciliationPolicy:
    return ReconciliationPolicy(token=facts.token, addresses_per_round=settings.reconcile_addresses)


async def _alarms(store: ChainStore, runtime: Runtime) -> Alarms:
    alarms = Alarms(
        storage=store.storage, clock=runtime.clock, new_id=new_id, metrics=runtime.metrics
    )
    await alarms.load()
    return alarms


def _feeds(store: ChainStore, alarms: Alarms, settings: Settings, runtime: Runtime) -> FeedKeeper:
    return FeedKeeper(
        storage=store.storage,
        feeds=SCHEMA.feeds,
        limits=feed_limits(settings),
        alarms=alarms,
        clock=runtime.clock,
        metrics=runtime.metrics,
    )


def _witnesses(
    endpoints: Endpoints, store: ChainStore, alarms: Alarms, settings: Settings, runtime: Runtime
) -> Witnesses:
    return Witnesses(
        operators=endpoints.operators,
        store=WitnessStore(store),
        clock=runtime.clock,
        alarms=alarms,
        expects_two=settings.tron_network is Network.MAINNET,
    )


async def _agreement(
    endpoints: Endpoints,
    store: ChainStore,
    sight: Sight,
    alarms: Alarms,
    *,
    settings: Settings,
    runtime: Runtime,
) -> Agreement:
    ledger = LedgerClock(store.storage, runtime.clock)
    await ledger.load()
    return Agreement(
        operators=endpoints.operators,
        store=CreditStore(store),
        sight=sight,
        clock=runtime.clock,
        ledger=ledger,
        policy=settings.credit_policy(),
        alarms=alarms,
    )


async def _gate(store: ChainStore, settings: Settings, runtime: Runtime) -> BroadcastGate:
    stop_file = settings.database_path("tron-client").with_name(STOP_FILE)
    gate = BroadcastGate(store=store, clock=runtime.clock, is_stopped_by_file=stop_file.exists)
    await gate.load()
    return gate


def _pool(
    listed: Sequence[Endpoint],
    settings: Settings,
    runtime: Runtime,
    transport: Transport | None,
) -> NodePool:
    """Make the nodes; nothing after it may fail, for its metrics can be registered only once."""
    treatment = Treatment(
        genesis_block_id=FACTS[settings.tron_network].genesis_block_id,
        timeout_s=settings.node_timeout_s,
        connect_timeout_s=settings.node_connect_timeout_s,
        attempts=settings.node_attempts,
        proxy_url=settings.node_proxy_url,
    )
    counters = NodeCounters(runtime.metrics)
    nodes = [
        NodeHttp(
            each,
            treatment,
            counters=counters,
            transport=transport,
            now_ms=runtime.clock.now_ms,
        )
        for each in listed
    ]
    pool = NodePool(nodes, attempts=settings.node_attempts, now_ms=runtime.clock.now_ms)
    runtime.stack.push_async_callback(pool.close)
    return pool


def _endpoints(
    pool: NodePool,
    node: Node,
    store: ChainStore,
    alarms: Alarms,
    *,
    settings: Settings,
    runtime: Runtime,
) -> Endpoints:
    return Endpoints(
        pool=pool,
        node=node,
        checks_root=settings.node_check_root,
        store=UsageStore(store),
        alarms=alarms,
        clock=runtime.clock,
        metrics=runtime.metrics,
    )


def _show(service: TronClient, runtime: Runtime) -> None:
    async def details() -> Mapping[str, Any]:
        return {**await service.chain.details(), "nodes": service.endpoints.standing()}

    runtime.readiness.add("chain", service.chain.reason)
    runtime.probes.details, runtime.probes.stats = details, service.dials.counts


def _track_policy(settings: Settings) -> TrackPolicy:
    return TrackPolicy(
        rebroadcast_interval_s=settings.rebroadcast_interval_s,
        submit_timeout_s=settings.submit_timeout_s,
    )


def _scan_policy(settings: Settings, facts: ChainFacts) -> ScanPolicy:
    return ScanPolicy(
        tokens=Tokens(facts.token, settings.other_tokens()),
        genesis=facts.genesis_block_id,
        start_height=settings.start_height(),
        batch_blocks=settings.scan_batch_blocks,
        solid_poll_blocks=settings.poll_blocks(),
        slot_ms=settings.slot_ms(),
        held_blocks=settings.held_blocks,
    )


def _facts(settings: Settings, runtime: Runtime) -> ChainFacts:
    known = FACTS[settings.tron_network]
    return ChainFacts(
        network=settings.tron_network,
        chain_id=known.chain_id,
        genesis_block_id=known.genesis_block_id,
        token=parse_address(runtime.usdt_contract()),
    )
