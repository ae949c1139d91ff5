"""Deposits: the transfers that tron-client tells of, matched to invoices, each credited once."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from services.payment_gateway.domain.deliveries import ALARM, Webhook
from services.payment_gateway.domain.invoices import Invoice, InvoiceRules
from services.payment_gateway.domain.transfers import InvoiceTransfer, absorb, told
from services.payment_gateway.service.announcer import Announcer
from services.payment_gateway.service.kit import Kit
from services.payment_gateway.service.peers import OwnSends, TransferFeed
from services.payment_gateway.store import Announcement, Changes, FeedCursor
from shared.errors import Unavailable
from shared.feeds import FeedReset
from shared.logs import get_logger
from shared.models.tron_client import TransferState, TransferView
from shared.models.wallet_sends import INTERNAL_PURPOSES, SendLookupView
from shared.models.wire import BlockRef, FeedView
from shared.peers.caller import PeerRefused

log = get_logger(__name__)

FEED: Final = "transfers"
CONSUMER: Final = "payment-gateway"
PAGE: Final = 200
EXPIRED_AT_ONCE: Final = 100


class Deposits:
    """Follows the transfer feed from its own cursor; nothing else decides about invoices."""

    def __init__(self, kit: Kit, *, chain: TransferFeed, own_sends: OwnSends, wait_s: int) -> None:
        self._store = kit.store
        self._announcer = kit.announcer
        self._bell = kit.bell
        self._clock = kit.clock
        self._rules = kit.rules
        self._chain = chain
        self._own_sends = own_sends
        self._wait_s = wait_s
        self._acknowledged: str | None = None
        self.as_of: BlockRef | None = None

    async def take_in(self) -> bool:
        """Take in one page of transfers, then expire what the chain has passed (hazard H19).

        Returns:
            Whether there may be more at once.
        """
        cursor = await self._store.cursor()
        try:
            await self._acknowledge(cursor.cursor)
            page = await self._chain.transfers(after=cursor.cursor, limit=PAGE, wait_s=self._wait_s)
        except PeerRefused as refused:
            if refused.code != FeedReset.code:
                raise
            await self._start_again(cursor)
            return True
        await self._take_in_page(cursor, page)
        more = await self._expire(page.as_of) if page.as_of else False
        return bool(page.items) or more

    async def _acknowledge(self, cursor: str) -> None:
        """Register how far is durable, so that tron-client keeps everything after (hazard H13)."""
        if cursor != self._acknowledged:
            await self._chain.acknowledge(FEED, consumer=CONSUMER, cursor=cursor)
            self._acknowledged = cursor

    async def _start_again(self, cursor: FeedCursor) -> None:
        """Read another incarnation from its beginning; transfer ids make repeats harmless (H5)."""
        log.warning("deposits.feed_reset", cursor=cursor.cursor)
        self._acknowledged = None
        await self._store.save(Changes(cursor=replace(cursor, cursor="")))

    async def _take_in_page(self, cursor: FeedCursor, page: FeedView[TransferView]) -> None:
        if page.next == cursor.cursor:
            return
        addresses = dict.fromkeys(item.object.recipient for item in page.items)
        invoices = await self._store.invoices_at(list(addresses))
        ours = [item.object for item in page.items if item.object.recipient in invoices]
        moved = replace(cursor, cursor=page.next)
        if not ours:
            await self._store.save(Changes(cursor=moved))
            return
        matching = await self._matching(invoices, ours)
        for transfer in ours:
            matching.take(transfer)
        await self._store.save(matching.changes(moved))
        self._bell.ring()

    async def _matching(
        self, invoices: dict[str, Invoice], ours: Sequence[TransferView]
    ) -> "_Matching":
        known = await self._store.transfers(list(dict.fromkeys(one.transfer_id for one in ours)))
        ledgers = {
            invoice.id: {one.id: one for one in await self._store.transfers_of(invoice.id)}
            for invoice in invoices.values()
        }
        for transfer in known.values():
            ledgers.setdefault(transfer.invoice_id, {})[transfer.id] = transfer
        return _Matching(
            invoices=invoices,
            ledgers=ledgers,
            internal=await self._internal(ours),
            announcer=self._announcer,
            endpoints=await self._store.active_webhooks(),
            rules=self._rules,
            now_ms=self._clock.now_ms(),
        )

    async def _internal(self, transfers: Sequence[TransferView]) -> frozenset[str]:
        """Return the transactions that are our own moves of our own money (hazard H12).

        Raises:
            Unavailable: wallet-manager is away or knows less than it should; nothing may be credited.
        """
        txids = dict.fromkeys(
            one.txid for one in transfers if one.state is not TransferState.RETRACTED
        )
        if not txids:
            return frozenset()
        return _internal_among(txids, await self._own_sends.lookup(txids=list(txids)))

    async def _expire(self, as_of: BlockRef) -> bool:
        self.as_of = as_of
        overdue = await self._store.overdue(before_ms=as_of.timestamp_ms, limit=EXPIRED_AT_ONCE)
        if not overdue:
            return False
        now_ms = self._clock.now_ms()
        endpoints = await self._store.active_webhooks()
        expired = [invoice.past_deadline(now_ms=now_ms) for invoice in overdue]
        announcements = [
            self._announcer.announce(
                f"invoice.{invoice.state}",
                invoice,
                await self._store.transfers_of(invoice.id),
                endpoints=endpoints,
                at_ms=now_ms,
            )
            for invoice in expired
        ]
        await self._store.save(Changes(invoices=expired, announcements=announcements))
        self._bell.ring()
        return len(overdue) == EXPIRED_AT_ONCE


def _internal_among(txids: Collection[str], found: SendLookupView) -> frozenset[str]:
    """Return which transactions belong to own sends of internal purposes."""
    purposes = {
        name: send.purpose
        for send in found.sends
        for name in (send.send_id, send.send_key, send.txid)
        if name is not None
    }
    internal = set()
    for txid in txids:
        purpose = purposes.get(found.by_txid.get(txid, txid))
        if purpose is None and txid in found.by_txid:
            raise Unavailable(f"wallet-manager names no send for its transaction {txid}")
        if purpose in INTERNAL_PURPOSES:
            internal.add(txid)
    return frozenset(internal)


class _Matching:
    """One page of transfers on its way into the invoices, in memory until it is stored as a whole."""

    def __init__(
        self,
        *,
        invoices: dict[str, Invoice],
        ledgers: dict[str, dict[str, InvoiceTransfer]],
        internal: frozenset[str],
        announcer: Announcer,
        endpoints: Sequence[Webhook],
        rules: InvoiceRules,
        now_ms: int,
    ) -> None:
        self._invoices = invoices
        self._ledgers = ledgers
        self._internal = internal
        self._announcer = announcer
        self._endpoints = endpoints
        self._rules = rules
        self._now_ms = now_ms
        self._changed_invoices: dict[str, Invoice] = {}
        self._changed_transfers: dict[str, InvoiceTransfer] = {}
        self._announcements: list[Announcement] = []

    def take(self, transfer: TransferView) -> None:
        """Take in one transfer; a repeat changes nothing."""
        invoice = self._invoices[transfer.recipient]
        ledger = self._ledgers[invoice.id]
        known = ledger.get(transfer.transfer_id)
        news = told(transfer, invoice, internal=transfer.txid in self._internal, rules=self._rules)
        changed, current = absorb(invoice, known, news, now_ms=self._now_ms)
        if current == known:
            return
        ledger[current.id] = self._changed_transfers[current.id] = current
        if current.alarm and not (known and known.alarm):
            log.error("deposits.confirmed_retracted", invoice_id=invoice.id, txid=current.txid)
            self._announce(ALARM, invoice)
        if changed is invoice:
            return
        self._invoices[transfer.recipient] = self._changed_invoices[invoice.id] = changed
        if changed.state is not invoice.state or changed.sums.paid != invoice.sums.paid:
            self._announce(f"invoice.{changed.state}", changed)

    def changes(self, cursor: FeedCursor) -> Changes:
        """Return everything that is to be stored together with the cursor."""
        return Changes(
            invoices=list(self._changed_invoices.values()),
            transfers=list(self._changed_transfers.values()),
            announcements=self._announcements,
            cursor=cursor,
        )

    def _announce(self, event_type: str, invoice: Invoice) -> None:
        self._announcements.append(
            self._announcer.announce(
                event_type,
                invoice,
                self._ledgers[invoice.id].values(),
                endpoints=self._endpoints,
                at_ms=self._now_ms,
            )
        )
