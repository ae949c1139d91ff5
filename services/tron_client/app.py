"""tron-client's composition root."""

from fastapi import FastAPI

from services import tron_client
from services.tron_client.abi_reader import AbiReader
from services.tron_client.loops import loops
from services.tron_client.node import Endpoint, NodeHttp, Transport
from services.tron_client.node.client import Node
from services.tron_client.routes import router
from services.tron_client.scanner import Scanner
from services.tron_client.scanner.policy import ScanPolicy
from services.tron_client.service import ChainFacts, TronClient
from services.tron_client.settings import Settings
from services.tron_client.store import SCHEMA, ChainStore
from services.tron_client.store.sight import load
from services.tron_client.tracker import Tracker, TrackPolicy
from shared.ids import new_id
from shared.tron.address import parse_address
from shared.tron.networks import FACTS
from shared.web.application import application
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
        endpoint, facts = _endpoint(settings), _facts(settings, runtime)
        store = ChainStore(await runtime.storage(SCHEMA), clock=runtime.clock, new_id=new_id)
        sight = await load(store)
        node = _node(endpoint, settings, runtime, node_transport)
        scanner = Scanner(
            chain=node,
            store=store,
            sight=sight,
            clock=runtime.clock,
            policy=_scan_policy(settings, facts),
            metrics=runtime.metrics,
        )
        tracker = Tracker(
            node=node, store=store, sight=sight, clock=runtime.clock, policy=_track_policy(settings)
        )
        service = TronClient(
            store=store,
            sight=sight,
            node=node,
            tracker=tracker,
            abi_reader=AbiReader(node),
            clock=runtime.clock,
            facts=facts,
            max_head_age_s=settings.max_head_age_s,
        )
        _show(service, runtime)
        await runtime.run(*loops(service, scanner, tracker, settings))
        return service

    return application(
        runtime, build=build, routers=(router,), description=str(tron_client.__doc__)
    )


def _node(
    endpoint: Endpoint, settings: Settings, runtime: Runtime, transport: Transport | None
) -> Node:
    """Make the node; nothing after it may fail, for its metrics can be registered only once."""
    http = NodeHttp(endpoint, metrics=runtime.metrics, transport=transport)
    runtime.stack.push_async_callback(http.close)
    return Node(http, checks_root=settings.node_check_root)


def _show(service: TronClient, runtime: Runtime) -> None:
    runtime.readiness.add("chain", service.reason)
    runtime.probes.details, runtime.probes.stats = service.details, service.counts


def _track_policy(settings: Settings) -> TrackPolicy:
    return TrackPolicy(
        rebroadcast_interval_s=settings.rebroadcast_interval_s,
        submit_timeout_s=settings.submit_timeout_s,
    )


def _endpoint(settings: Settings) -> Endpoint:
    return Endpoint(
        url=settings.endpoint_url(),
        genesis_block_id=FACTS[settings.tron_network].genesis_block_id,
        api_key=settings.api_key(),
        timeout_s=settings.node_timeout_s,
        connect_timeout_s=settings.node_connect_timeout_s,
        attempts=settings.node_attempts,
        concurrency=settings.node_concurrency,
        calls_per_s=settings.calls_per_s(),
    )


def _scan_policy(settings: Settings, facts: ChainFacts) -> ScanPolicy:
    return ScanPolicy(
        token=facts.token,
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
