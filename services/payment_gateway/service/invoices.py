"""Invoices: made once for a key, shown once their address is watched."""

import asyncio
import contextlib
from dataclasses import replace

from services.payment_gateway.domain.deliveries import CREATED
from services.payment_gateway.domain.invoices import (
    Invoice,
    OwnInvoicesOnly,
    Stage,
    UnknownInvoice,
)
from services.payment_gateway.service.kit import Kit
from services.payment_gateway.service.peers import Deriver
from services.payment_gateway.service.views import invoice_view
from services.payment_gateway.store import Changes
from shared.access import Role
from shared.auth import Principal
from shared.errors import KeyReused, Unavailable
from shared.feeds import FeedSource
from shared.ids import fingerprint, identity, object_id
from shared.logs import get_logger
from shared.models.payment_gateway import (
    InvoiceListView,
    InvoiceRequest,
    InvoiceState,
    InvoiceView,
)
from shared.models.wallet_manager import AddressRequest
from shared.money import parse_base_units
from shared.peers.caller import PeerRefused
from shared.storage import DuplicateRecord, StaleRecord
from shared.tron.address import Address

log = get_logger(__name__)

ROUTE_FAMILY = "invoices"
PURPOSE = "invoice"
OWN_ONLY = frozenset({Role.USER, Role.NODE_OPERATOR})
"""Roles that see their own invoices alone."""


class Invoices:
    """Makes and shows invoices."""

    def __init__(self, kit: Kit, *, deriver: Deriver) -> None:
        self._store = kit.store
        self._announcer = kit.announcer
        self._bell = kit.bell
        self._clock = kit.clock
        self._rules = kit.rules
        self._deriver = deriver
        self._treasury_id: str | None = None

    async def create(
        self, request: InvoiceRequest, *, caller: Principal, key: str
    ) -> tuple[InvoiceView, bool]:
        """Make an invoice, or finish or find the one that this key has made.

        Returns:
            The invoice as it stands, and whether it had been shown before.

        Raises:
            InvoiceTooSmall: below the smallest invoice.
            KeyReused: the key came with another body.
            Unavailable: there is no watched address yet; the same key goes on later.
        """
        self._rules.check_amount(parse_base_units(request.amount), request.currency)
        intended = await self._intended(request, caller=caller, key=key)
        if intended.stage is Stage.SHOWN:
            return await self._view(intended), True
        address = await self._watched_address(intended)
        return await self._show(intended, address)

    async def get(self, invoice_id: str, *, caller: Principal, wait_s: int = 0) -> InvoiceView:
        """Return an invoice, on request only once it has changed or the wait is over."""
        invoice = await self._visible(invoice_id, caller)
        return await self._view(await self._changed(invoice, wait_s) if wait_s else invoice)

    async def page(
        self, *, caller: Principal, state: InvoiceState | None, limit: int, cursor: str | None
    ) -> InvoiceListView:
        """Return a page of the invoices that the caller may see, newest first."""
        owner = caller.name if caller.role in OWN_ONLY else None
        page = await self._store.invoices(owner=owner, state=state, limit=limit, cursor=cursor)
        views = [await self._view(invoice) for invoice in page.items]
        return InvoiceListView(invoices=views, next=page.next)

    def feed(self, *, caller: Principal) -> FeedSource[InvoiceView]:
        """Return the feed of all invoices; raises OwnInvoicesOnly."""
        if caller.role in OWN_ONLY:
            raise OwnInvoicesOnly("the feed tells of everybody's invoices", rule="own_invoices")
        return self._store.feed(self._clock)

    async def _intended(self, request: InvoiceRequest, *, caller: Principal, key: str) -> Invoice:
        """Return the invoice of this key, stored before anything is asked of others (hazard H3)."""
        name = identity(caller.name, ROUTE_FAMILY, key)
        known = await self._store.invoice_by_identity(name)
        if known is None:
            known = await self._store_intent(request, caller=caller, name=name)
        if known.fingerprint != fingerprint(request.model_dump(mode="json")):
            raise KeyReused("this key was used for another invoice", invoice_id=known.id)
        return known

    async def _store_intent(
        self, request: InvoiceRequest, *, caller: Principal, name: str
    ) -> Invoice:
        now_ms = self._clock.now_ms()
        invoice = Invoice(
            id=object_id("inv", name),
            identity=name,
            fingerprint=fingerprint(request.model_dump(mode="json")),
            owner=caller.name,
            currency=request.currency,
            amount=parse_base_units(request.amount),
            wallet_id=await self._treasury(),
            description=request.description,
            order_id=request.order_id,
            lifetime_s=request.expires_in_s,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        try:
            await self._store.save(Changes(invoices=[invoice]))
        except DuplicateRecord:  # the same request arrived twice at once
            return await self._reloaded(name)
        return replace(invoice, version=1)

    async def _reloaded(self, name: str) -> Invoice:
        known = await self._store.invoice_by_identity(name)
        if known is None:
            raise Unavailable("the invoice is being made; try again", retry_after_s=1)
        return known

    async def _treasury(self) -> str:
        if self._treasury_id is None:
            try:
                self._treasury_id = (await self._deriver.treasury()).wallet_id
            except PeerRefused as refused:
                raise Unavailable(
                    f"no wallet can take deposits: {refused.detail}", retry_after_s=10
                ) from None
        return self._treasury_id

    async def _watched_address(self, invoice: Invoice) -> Address:
        """Return the invoice's address, which is being watched by then (hazard H11)."""
        request = AddressRequest(request_id=invoice.id, purpose=PURPOSE)
        try:
            derived = await self._deriver.derive_address(invoice.wallet_id, request)
        except PeerRefused as refused:
            log.warning("invoice.address_refused", invoice_id=invoice.id, detail=refused.detail)
            raise Unavailable(
                f"no deposit address can be had: {refused.detail}", retry_after_s=10
            ) from None
        return derived.address

    async def _show(self, intended: Invoice, address: Address) -> tuple[InvoiceView, bool]:
        now_ms = self._clock.now_ms()
        invoice = intended.shown(address, now_ms=now_ms, grace_s=self._rules.grace_s)
        endpoints = await self._store.active_webhooks()
        told = self._announcer.announce(CREATED, invoice, (), endpoints=endpoints, at_ms=now_ms)
        try:
            await self._store.save(Changes(invoices=[invoice], announcements=[told]))
        except StaleRecord:  # the same request, finished beside this one
            return await self._view(await self._reloaded(intended.identity)), True
        self._bell.ring()
        return await self._view(invoice), False

    async def _visible(self, invoice_id: str, caller: Principal) -> Invoice:
        invoice = await self._store.invoice(invoice_id)
        hidden = invoice is None or invoice.stage is not Stage.SHOWN
        if invoice is None or hidden or not _may_see(caller, invoice):
            raise UnknownInvoice("there is no such invoice", invoice_id=invoice_id)
        return invoice

    async def _changed(self, invoice: Invoice, wait_s: int) -> Invoice:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while True:
                    ring = self._bell.next_ring()
                    current = await self._store.invoice(invoice.id)
                    if current is not None and current.version != invoice.version:
                        return current
                    await ring.wait()
        return invoice

    async def _view(self, invoice: Invoice) -> InvoiceView:
        transfers = await self._store.transfers_of(invoice.id)
        return invoice_view(invoice, transfers, network=self._announcer.network)


def _may_see(caller: Principal, invoice: Invoice) -> bool:
    return caller.role not in OWN_ONLY or invoice.owner == caller.name
