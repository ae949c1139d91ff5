"""The gateway with its siblings played, over a real database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from services.payment_gateway.domain.invoices import Invoice, InvoiceRules
from services.payment_gateway.service.announcer import Announcer, Bell
from services.payment_gateway.service.deposits import Deposits
from services.payment_gateway.service.hooks import Webhooks
from services.payment_gateway.service.invoices import Invoices
from services.payment_gateway.service.kit import Kit
from services.payment_gateway.store import SCHEMA, GatewayStore
from services.payment_gateway.webhooks import WebhookSender
from shared.access import ROLE_SCOPES, Role
from shared.auth import OPERATOR, Principal
from shared.clock import HeldClock, SystemClock
from shared.feeds import FeedLost, FeedReset
from shared.ids import new_id
from shared.models.payment_gateway import InvoiceRequest, InvoiceView, WebhookRequest, WebhookView
from shared.models.tron_client import TransferSource, TransferState, TransferView
from shared.models.wallet_manager import AddressRequest, AddressView, WalletView
from shared.models.wallet_sends import (
    Purpose,
    SendKind,
    SendLookupView,
    SendParams,
    SendState,
    SendView,
)
from shared.models.wire import BlockRef, ConsumerView, FeedItem, FeedView
from shared.money import Currency, format_base_units
from shared.outbound import LOOPBACK, Outbound
from shared.peers.caller import PeerRefused, PeerUnavailable
from shared.storage import SqliteStorage, Stamp
from shared.tron.address import Address
from tests.support import START_MS, address, wallet_view

USDT = address(0x51)
PAYER = address(0x99)
COIN = 1_000_000
KEY = bytes(range(32))
ADA = Principal(subject="ada", issuer=OPERATOR, role=Role.ADMIN, scopes=ROLE_SCOPES[Role.ADMIN])
LADDER_S = (5, 300, 1_800)


def block(height: int, at_ms: int, fork: str = "a") -> BlockRef:
    return BlockRef(height=height, block_id=f"{height:063x}{fork}", timestamp_ms=at_ms)


def transfer(
    recipient: Address,
    amount: int,
    *,
    name: str = "1",
    position: int = 0,
    state: TransferState = TransferState.CONFIRMED,
    at_ms: int = START_MS + 10_000,
    fork: str = "a",
    currency: Currency = Currency.USDT,
    contract: Address | None = USDT,
) -> TransferView:
    return TransferView(
        transfer_id=f"genesis:{name}:log:{position}",
        state=state,
        txid=name.zfill(64),
        source=TransferSource.LOG,
        position=position,
        block=block(100, at_ms, fork),
        currency=currency,
        contract_address=contract if currency is Currency.USDT else None,
        sender=PAYER,
        recipient=recipient,
        amount=format_base_units(amount),
        amount_base_units=str(amount),
    )


class Chain:
    """Plays tron-client's transfer feed."""

    def __init__(self) -> None:
        self.incarnation = "first"
        self.told: list[TransferView] = []
        self.as_of: BlockRef | None = None
        self.acknowledged: list[str] = []
        self.lost = False

    def tell(self, *transfers: TransferView) -> None:
        self.told += transfers

    async def transfers(self, *, after: str, limit: int, wait_s: int) -> FeedView[TransferView]:
        assert wait_s >= 0
        if self.lost:
            raise PeerRefused(peer="tron-client", status=409, document={"code": FeedLost.code})
        start = self._number(after)
        items = [
            FeedItem[TransferView](
                seq=start + offset + 1,
                id=f"evt_{start + offset + 1}",
                type=f"transfer.{each.state}",
                at="2026-11-22T10:00:00.000Z",
                object=each,
            )
            for offset, each in enumerate(self.told[start : start + limit])
        ]
        end = start + len(items)
        return FeedView[TransferView](
            items=items,
            next=f"{self.incarnation}.{end}",
            incarnation=self.incarnation,
            as_of=self.as_of if end == len(self.told) else None,
        )

    async def acknowledge(self, feed: str, *, consumer: str, cursor: str) -> ConsumerView:
        assert (feed, consumer) == ("transfers", "payment-gateway")
        self._number(cursor)
        self.acknowledged.append(cursor)
        return ConsumerView(name=consumer, cursor=cursor)

    def restore(self) -> None:
        """Begin another history that tells the same again."""
        self.incarnation += "-restored"

    def _number(self, cursor: str) -> int:
        incarnation, _, number = cursor.rpartition(".")
        if cursor and incarnation != self.incarnation:
            raise PeerRefused(peer="tron-client", status=409, document={"code": FeedReset.code})
        return int(number or 0)


class Wallets:
    """Plays wallet-manager: derives addresses and knows own sends by transaction."""

    def __init__(self) -> None:
        self.away = False
        self.watched: dict[str, Address] = {}
        self.own: dict[str, SendView] = {}
        self.asked: list[str] = []
        self.forgets_sends = False
        self.refuses = False

    async def treasury(self) -> WalletView:
        self._reach()
        return wallet_view()

    async def derive_address(self, wallet_id: str, request: AddressRequest) -> AddressView:
        self._reach()
        assert (wallet_id, request.purpose) == ("wal_treasury", "invoice")
        number = 1_000 + len(self.watched)
        found = self.watched.setdefault(request.request_id, address(number))
        return AddressView(
            address=found, wallet_id=wallet_id, index=number, derivation_path="m", birth_height=1
        )

    async def lookup(
        self, *, send_keys: Sequence[str] = (), txids: Sequence[str] = ()
    ) -> SendLookupView:
        self._reach()
        assert not send_keys
        self.asked += txids
        sends = [self.own[txid] for txid in txids if txid in self.own]
        return SendLookupView(
            sends=[] if self.forgets_sends else sends,
            by_txid={txid: self.own[txid].send_key for txid in txids if txid in self.own},
        )

    def sends(self, txid: str, purpose: Purpose) -> None:
        """Remember an own send, of which this is an earlier transaction."""
        self.own[txid] = SendView(
            send_id="snd_1",
            send_key=f"payment-gateway:swp_{txid[-4:]}:0",
            state=SendState.CONFIRMED,
            purpose=purpose,
            wallet_id="wal_treasury",
            kind=SendKind.TRC20_TRANSFER,
            params=SendParams(amount_base_units="1"),
            txid=None,
            attempt=1,
            expires_at=None,
            fee_limit_sun="0",
            fee_sun=None,
            block_height=None,
            waiting_for=None,
            refusal=None,
            created_at="2026-11-22T10:00:00.000Z",
            updated_at="2026-11-22T10:00:00.000Z",
        )

    def _reach(self) -> None:
        if self.away:
            raise PeerUnavailable("wallet-manager did not answer")
        if self.refuses:
            raise PeerRefused(peer="wallet-manager", status=404, document={"detail": "no wallet"})


def unread(answer: httpx.Response) -> httpx.Response:
    """Make an answer whose body is still to be read, as from the network."""
    stream = httpx.ByteStream(answer.content)
    return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


class Endpoint:
    """Plays the receiver of webhooks."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200)
        if isinstance(answer, Exception):
            raise answer
        return unread(answer)


async def resolves_to_public(host: str, port: int) -> list[str]:
    assert host
    assert port
    return ["203.0.114.7"]


@dataclass
class Gateway:
    """The gateway's use cases over a database in a folder."""

    root: Path
    grace_s: int = 300
    clock: HeldClock = field(default_factory=lambda: HeldClock(START_MS))
    chain: Chain = field(default_factory=Chain)
    wallets: Wallets = field(default_factory=Wallets)
    endpoint: Endpoint = field(default_factory=Endpoint)

    async def __aenter__(self) -> Self:
        stamp = Stamp(network="devnet", contract=USDT)
        self.storage = await SqliteStorage.open(self.root / "gateway.sqlite3", SCHEMA, stamp)
        self.store = GatewayStore(self.storage)
        self.outbound = Outbound(
            allowed=LOOPBACK,
            timeout_s=5,
            max_answer_bytes=1_000,
            resolver=resolves_to_public,
            transport=httpx.MockTransport(self.endpoint),
        )
        self._build()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.outbound.aclose()
        await self.storage.close()

    def _build(self) -> None:
        store, clock = self.store, self.clock
        kit = Kit(
            store=store,
            announcer=Announcer(new_id=new_id, network="devnet"),
            bell=Bell(),
            clock=clock,
            rules=InvoiceRules(
                minimum={Currency.USDT: COIN, Currency.TRX: COIN},
                dust={Currency.USDT: 1_000, Currency.TRX: 1_000},
                grace_s=self.grace_s,
                contract=USDT,
            ),
        )
        self.invoices = Invoices(kit, deriver=self.wallets)
        self.deposits = Deposits(kit, chain=self.chain, own_sends=self.wallets, wait_s=0)
        self.sender = WebhookSender(outbound=self.outbound, key=KEY, wall=SystemClock())
        self.webhooks = Webhooks(
            store=store,
            sender=self.sender,
            clock=clock,
            new_id=new_id,
            ladder_s=LADDER_S,
            owner="test",
        )

    async def invoice(
        self, amount: str = "10", currency: Currency = Currency.USDT, key: str = "key-1"
    ) -> InvoiceView:
        """Make an invoice of an hour."""
        request = InvoiceRequest(amount=amount, currency=currency)
        view, _ = await self.invoices.create(request, caller=ADA, key=key)
        return view

    async def webhook(self, *events: str) -> WebhookView:
        """Make an endpoint."""
        request = WebhookRequest.model_validate(
            {"url": "https://shop.example/hook?x=1", "events": list(events) or ["*"]}
        )
        view, _ = await self.webhooks.create(request, caller=ADA, key=None)
        return view

    async def catch_up(self) -> None:
        """Take in the feed until there is nothing more."""
        for _ in range(50):
            if not await self.deposits.take_in():
                return
        raise AssertionError("the feed never ends")

    async def now(self, invoice: InvoiceView) -> InvoiceView:
        """Return an invoice as it stands."""
        return await self.invoices.get(invoice.invoice_id, caller=ADA)

    async def stored(self, invoice: InvoiceView) -> Invoice:
        """Return an invoice's record."""
        found = await self.store.invoice(invoice.invoice_id)
        assert found is not None
        return found

    async def events(self) -> list[str]:
        """Return the types of everything told so far."""
        page = await self.invoices.feed(caller=ADA).page(after="", limit=500, wait_s=0)
        return [item.type for item in page.items]
