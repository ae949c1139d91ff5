"""A devnet mined by hand, tron-client's parts around it, and nodes that fail in one way each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from devnet.address import to_base58
from devnet.api.builders import unsigned
from devnet.app import Devnet, assemble
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction, TransferContract, TriggerSmartContract
from devnet.contracts.abi import address_word, integer_word
from devnet.contracts.usdt import USDT_CONTRACT, USDT_CONTRACT_ADDRESS, method_named
from devnet.faults import ArmedFault, Fault
from devnet.genesis import CUSTOMERS, GENESIS_BLOCK_ID
from devnet.keys import Key
from devnet.settings import Settings as DevnetSettings
from services.tron_client.abi_reader import AbiReader
from services.tron_client.domain.broadcasting import STOP_FILE
from services.tron_client.domain.credits import CreditPolicy
from services.tron_client.domain.tokens import Token, Tokens
from services.tron_client.domain.transactions import Tracked
from services.tron_client.node import Endpoint, NodeCounters, NodeHttp, NodePool, Treatment
from services.tron_client.node.client import Node
from services.tron_client.node.pages import Bounds
from services.tron_client.scanner import Scanner
from services.tron_client.scanner.agreement import Agreement
from services.tron_client.scanner.coverage import Coverage
from services.tron_client.scanner.outgoing import Outgoing
from services.tron_client.scanner.policy import ScanPolicy
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
from services.tron_client.store import ChainStore
from services.tron_client.store.coverage import CoverageStore
from services.tron_client.store.credits import CreditStore
from services.tron_client.store.notices import NoticeStore
from services.tron_client.store.schema import SCHEMA, TRANSACTION_FEED, TRANSFER_FEED
from services.tron_client.store.sight import Sight, load
from services.tron_client.store.usages import UsageStore
from services.tron_client.store.witnesses import WitnessStore
from services.tron_client.tracker import Tracker, TrackPolicy
from services.tron_client.tracker.gate import BroadcastGate
from shared.alarms import Alarms
from shared.clock import Clock, SystemClock
from shared.feed_keeping import FeedKeeper, FeedLimits
from shared.ids import new_id
from shared.ledger_clock import LedgerClock
from shared.metrics import Metrics
from shared.models.alarms import Severity
from shared.models.tron_transactions import SignedTransaction
from shared.money import Currency
from shared.storage import Event, Feed, SqliteStorage, Stamp
from shared.tron.address import Address, parse_address

BLOCKS_TO_SOLID = 18
"""On top of a block until it is solid: 19 of 27 witnesses with its own."""

TOKEN = parse_address(USDT_CONTRACT)

LENIENT = CreditPolicy(
    agreed_from={Currency.USDT: 10**30, Currency.TRX: 10**30}, needs_second=False
)
"""One operator's word is enough for everything."""


def text(raw: bytes) -> Address:
    return parse_address(to_base58(raw))


@dataclass
class World:
    """A chain made by hand, with two rich customers."""

    devnet: Devnet
    payer: Key = CUSTOMERS[0].key
    payee: Key = CUSTOMERS[1].key

    @property
    def to(self) -> Address:
        return text(self.payee.address)

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.devnet.node.mine()

    def pay_trx(self, amount_sun: int) -> str:
        return self.devnet.teller.send_trx(self.payer, self.payee.address, amount_sun)

    def pay_usdt(self, amount_micro: int) -> str:
        return self.devnet.teller.send_usdt(self.payer, self.payee.address, amount_micro)

    def call(self, name: str, *words: bytes | int, fee_limit_sun: int = 10**8) -> str:
        return self.devnet.node.broadcast(
            self.called(name, *words, fee_limit_sun=fee_limit_sun)
        ).txid.hex()

    def transfer(self, amount_sun: int) -> Transaction:
        message = TransferContract(
            owner_address=self.payer.address,
            to_address=self.payee.address,
            amount=amount_sun,
        )
        return self.signed(unsigned(self.devnet.node, message))

    def called(self, name: str, *words: bytes | int, fee_limit_sun: int = 10**8) -> Transaction:
        arguments = [integer_word(w) if isinstance(w, int) else address_word(w) for w in words]
        message = TriggerSmartContract(
            owner_address=self.payer.address,
            contract_address=USDT_CONTRACT_ADDRESS,
            data=method_named(name).selector + b"".join(arguments),
        )
        return self.signed(unsigned(self.devnet.node, message, fee_limit_sun=fee_limit_sun))

    def wrapped(self, message: Any) -> Transaction:
        """Return a signed transaction of the payer that says anything."""
        return self.signed(unsigned(self.devnet.node, message))

    def drop(self, times: int = 1_000) -> None:
        """Have the node forget what waits when the next block is made."""
        faults = self.devnet.node_app.faults
        faults.arm(ArmedFault(fault=Fault.DROP_TRANSACTION, left=times))

    def failing_call(self) -> Transaction:
        """A transfer of more than there is: it reverts in its block."""
        return self.called("transfer", self.payee.address, 10**15, fee_limit_sun=10**8)

    def signed(self, transaction: Transaction) -> Transaction:
        del transaction.signature[:]
        transaction.signature.append(self.payer.sign(txid_of(transaction)))
        return transaction


def new_world() -> World:
    world = World(devnet=assemble(DevnetSettings(speed=0)))
    world.mine(BLOCKS_TO_SOLID + 2)
    return world


async def lost(bench: Bench) -> str:
    """Submit a transaction that the node forgets each time it is sent."""
    bench.world.drop()
    taken = await bench.submit(bench.world.transfer(5))
    return taken.id


def request_for(transaction: Transaction, *, send_key: str = "test:one:0") -> SignedTransaction:
    return SignedTransaction(
        send_key=send_key,
        raw_data=transaction.raw_data.SerializeToString(deterministic=True).hex(),
        signatures=[each.hex() for each in transaction.signature],
        expires_at_ms=transaction.raw_data.expiration,
    )


class Wire(httpx.AsyncBaseTransport):
    """The way to the devnet's node; subclasses spoil it."""

    def __init__(self, devnet: Devnet) -> None:
        self._inner = httpx.ASGITransport(app=devnet.node_app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        content = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
        answer = msgspec.json.decode(content)
        asked = msgspec.json.decode(request.content or b"null")
        changed = self.change(request.url.path, asked, answer)
        return httpx.Response(200, content=msgspec.json.encode(changed))

    def change(self, _path: str, _asked: Any, answer: Any) -> Any:
        return answer


Change = Callable[[str, Any, Any], Any]


class SpoiledWire(Wire):
    """Changes answers for as long as it is told to."""

    def __init__(self, devnet: Devnet, change: Change) -> None:
        super().__init__(devnet)
        self.is_spoiled = True
        self._change = change

    def change(self, path: str, asked: Any, answer: Any) -> Any:
        return self._change(path, asked, answer) if self.is_spoiled else answer


class NotedAlarms:
    """Keeps the alarms that are raised.

    Attributes:
        open: what each says, by kind and subject.
        severities: how soon each wanted somebody when it was last raised.
    """

    def __init__(self) -> None:
        self.open: dict[tuple[str, str], str] = {}
        self.severities: dict[tuple[str, str], Severity] = {}

    async def raise_alarm(
        self, kind: str, subject: str, *, detail: str, severity: Severity = Severity.CRITICAL
    ) -> None:
        self.severities[kind, subject] = severity
        self.open[kind, subject] = detail

    async def clear(self, kind: str, subject: str) -> None:
        self.open.pop((kind, subject), None)


@dataclass
class Bench:
    """tron-client's parts, driven by hand."""

    world: World
    store: ChainStore
    sight: Sight
    node: Node
    scanner: Scanner
    tracker: Tracker
    service: TronClient
    metrics: Metrics
    alarms: NotedAlarms
    coverage: Coverage
    rescans: Rescans
    outgoing: Outgoing
    gate: BroadcastGate
    agreement: Agreement
    seen: list[str] = field(default_factory=list)

    @property
    def payer(self) -> Address:
        return text(self.world.payer.address)

    @property
    def other(self) -> Address:
        """Somebody to whom nothing happens."""
        return text(CUSTOMERS[5].key.address)

    async def scan(self) -> None:
        """Follow the chain until nothing is left to do."""
        while await self.scanner.scan():
            pass

    async def mine(self, blocks: int = 1) -> None:
        """Make blocks and follow them."""
        self.world.mine(blocks)
        await self.scan()

    async def rescan(self) -> None:
        """Scan once more whatever waits for that and is solid."""
        while await self.rescans.scan():
            pass

    async def told(self, feed: Feed) -> list[Event]:
        found: list[Event] = []
        while True:
            page = await self.store.storage.read_feed(feed, after=len(found), limit=500)
            if not page.events:
                return found
            found += page.events

    async def transfer_events(self) -> list[tuple[str, str]]:
        """Return what was told of transfers: the event and the amount."""
        return [
            (each.type.removeprefix("transfer."), each.object["amount_base_units"])
            for each in await self.told(TRANSFER_FEED)
        ]

    async def verdict_events(self) -> list[str]:
        return [each.type for each in await self.told(TRANSACTION_FEED)]

    async def submit(self, transaction: Transaction, *, send_key: str = "test:one:0") -> Tracked:
        (taken,) = await self.tracker.submit([request_for(transaction, send_key=send_key)])
        return taken

    async def fate(self, txid: str) -> str:
        found = await self.store.transaction(txid)
        assert found is not None
        return found.state

    def calls(self) -> dict[str, int]:
        return dict(self.world.devnet.node_app.requests)


_CLOCK: Final = SystemClock()


def node_http(
    transport: httpx.AsyncBaseTransport,
    *,
    metrics: Metrics | None = None,
    genesis: str = GENESIS_BLOCK_ID,
    attempts: int = 1,
    operator: str = "own",
    clock: Clock = _CLOCK,
) -> NodePool:
    """Return a pool of one node."""
    treatment = Treatment(
        genesis_block_id=genesis, timeout_s=20, connect_timeout_s=20, attempts=attempts
    )
    node = NodeHttp(
        Endpoint(name=operator, operator=operator, url="http://node", concurrency=8),
        treatment,
        counters=NodeCounters(metrics or Metrics()),
        transport=transport,
        now_ms=clock.now_ms,
    )
    return NodePool([node], attempts=attempts, now_ms=clock.now_ms)


@asynccontextmanager
async def operator_of(transport: httpx.AsyncBaseTransport) -> AsyncIterator[Node]:
    """Return the node of another operator."""
    http = node_http(transport)
    try:
        yield Node(http, checks_root=True)
    finally:
        await http.close()


@asynccontextmanager
async def benched(
    world: World,
    path: Path,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    genesis: str = GENESIS_BLOCK_ID,
    start_height: int | None = None,
    clock: Clock | None = None,
    poll_blocks: int = 1,
    heard: Mapping[str, Node] | None = None,
    cannot_pay: Callable[[], str | None] = lambda: None,
    slot_ms: int = 0,
    attempts: int = 1,
    others: Mapping[str, Node] | None = None,
    tokens: Iterable[Token] = (),
    batch_blocks: int = 10,
    held_blocks: int = 1_000,
    credit_policy: CreditPolicy | None = None,
    pool: NodePool | None = None,
) -> AsyncIterator[Bench]:
    """Put the parts together on one database; ``others`` are nodes of other operators."""
    clock = clock or world.devnet.node.clock
    metrics = Metrics()
    http = pool or node_http(
        transport or Wire(world.devnet), metrics=metrics, genesis=genesis, attempts=attempts
    )
    node = Node(http, checks_root=True)
    storage = await SqliteStorage.open(
        path / "tron-client.sqlite3", SCHEMA, Stamp(network="devnet", contract=TOKEN)
    )
    store = ChainStore(storage, clock=clock, new_id=new_id)
    sight = await load(store)
    policy = ScanPolicy(
        tokens=Tokens(TOKEN, tokens),
        genesis=GENESIS_BLOCK_ID,
        start_height=start_height,
        batch_blocks=batch_blocks,
        solid_poll_blocks=poll_blocks,
        slot_ms=slot_ms,
        held_blocks=held_blocks,
    )
    alarms = NotedAlarms()
    kept = Alarms(storage=storage, clock=clock, new_id=new_id, metrics=metrics)
    await kept.load()
    endpoints = Endpoints(
        pool=http,
        node=node,
        checks_root=True,
        store=UsageStore(store),
        alarms=kept,
        clock=clock,
        metrics=metrics,
    )
    ledger = LedgerClock(storage, clock)
    await ledger.load()
    agreement = Agreement(
        operators=lambda: {**endpoints.operators(), **(others or {})},
        store=CreditStore(store),
        sight=sight,
        clock=clock,
        ledger=ledger,
        policy=credit_policy or LENIENT,
        alarms=alarms,
    )
    scanner = Scanner(
        chain=node,
        store=store,
        sight=sight,
        clock=clock,
        policy=policy,
        stall=Stall("scan_stalled", alarms),
        proofs=Proofs(
            witnesses=Witnesses(
                operators=lambda: {**endpoints.operators(), **(others or {})},
                store=WitnessStore(store),
                clock=clock,
                alarms=alarms,
                expects_two=False,
            ),
            agreement=agreement,
        ),
        metrics=metrics,
    )
    coverage_store = CoverageStore(store)
    coverage = Coverage(store=coverage_store, sight=sight, clock=clock, new_id=new_id)
    rescans = Rescans(
        chain=node.for_catching_up(),
        store=coverage_store,
        sight=sight,
        clock=clock,
        policy=policy,
        stall=Stall("rescan_stalled", alarms),
        agreement=agreement,
    )
    outgoing = Outgoing(chain=node, store=store, sight=sight)
    gate = BroadcastGate(store=store, clock=clock, is_stopped_by_file=(path / STOP_FILE).exists)
    await gate.load()
    tracker = Tracker(
        node=node,
        store=store,
        sight=sight,
        clock=clock,
        policy=TrackPolicy(rebroadcast_interval_s=6, submit_timeout_s=2),
        gate=gate,
        judges=lambda: {
            **endpoints.judges(),
            **{name: [each] for name, each in (others or {}).items()},
        },
        alarms=alarms,
    )
    vigil = Vigil(
        sight=sight,
        alarms=kept,
        operators=Operators(
            others=lambda: {**endpoints.others(), **(heard or {})},
            store=store,
            sight=sight,
            alarms=kept,
            clock=clock,
        ),
        cannot_pay=cannot_pay,
        clock=clock,
        max_head_age_s=120,
    )
    dials = Dials(store=store, sight=sight, clock=clock, metrics=metrics)
    service = TronClient(
        chain=Outlook(
            notices=NoticeStore(store),
            vigil=vigil,
            dials=dials,
            sight=sight,
            node=node,
            clock=clock,
            facts=ChainFacts(
                network="devnet", chain_id=1, genesis_block_id=GENESIS_BLOCK_ID, token=TOKEN
            ),
            max_head_age_s=120,
        ),
        reads=Reads(
            node=node,
            abi_reader=AbiReader(node),
            usdt=TOKEN,
            is_watched=sight.watched.__contains__,
        ),
        explorer=Explorer(node=node, store=store, sight=sight),
        histories=Histories(
            gateways=http.with_history,
            usdt=TOKEN,
            clock=clock,
            bounds=Bounds(pages=50, seconds=20),
        ),
        coverage=coverage,
        outgoing=outgoing,
        transactions=Transactions(store=store, tracker=tracker),
        transfers=transfer_source(store, clock),
        token_transfers=token_transfer_source(store, clock),
        verdicts=verdict_source(store, clock),
        notices=notice_source(store, clock),
        feeds=FeedKeeper(
            storage=storage,
            feeds=SCHEMA.feeds,
            limits=FeedLimits(keep_ms=86_400_000, keep_events=1_000, vanished_ms=3_600_000),
            alarms=kept,
            clock=clock,
            metrics=metrics,
        ),
        alarms=kept,
        announcer=Announcer(store=NoticeStore(store), alarms=kept, clock=clock),
        vigil=vigil,
        operators=vigil.operators,
        dials=dials,
        endpoints=endpoints,
    )
    try:
        yield Bench(
            world=world,
            store=store,
            sight=sight,
            node=node,
            scanner=scanner,
            tracker=tracker,
            service=service,
            metrics=metrics,
            alarms=alarms,
            coverage=coverage,
            rescans=rescans,
            outgoing=outgoing,
            gate=gate,
            agreement=agreement,
        )
    finally:
        await http.close()
        await storage.close()
