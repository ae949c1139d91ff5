"""Making invoices: once for a key, and never with an address that nobody watches."""

import asyncio

import pytest

from services.payment_gateway.domain.invoices import InvoiceTooSmall, Stage, UnknownInvoice
from shared.errors import KeyReused, Unavailable
from shared.ids import identity
from shared.models.payment_gateway import InvoiceRequest
from shared.money import Currency
from tests.services.payment_gateway.doubles import ADA, Gateway
from tests.support import START_MS

REQUEST = InvoiceRequest(amount="10", description="tea", order_id="o-1")


async def test_a_repeat_finds_the_same_invoice(gateway: Gateway) -> None:
    first, was_there = await gateway.invoices.create(REQUEST, caller=ADA, key="k")
    again, replayed = await gateway.invoices.create(REQUEST, caller=ADA, key="k")
    assert (was_there, replayed) == (False, True)
    assert again == first
    assert len(gateway.wallets.watched) == 1
    assert await gateway.events() == ["invoice.created"]


async def test_a_key_serves_one_body(gateway: Gateway) -> None:
    await gateway.invoices.create(REQUEST, caller=ADA, key="k")
    with pytest.raises(KeyReused):
        await gateway.invoices.create(InvoiceRequest(amount="11"), caller=ADA, key="k")


async def test_equal_requests_at_once_make_one_invoice(gateway: Gateway) -> None:
    answers = await asyncio.gather(
        *(gateway.invoices.create(REQUEST, caller=ADA, key="k") for _ in range(8))
    )
    assert len({view.invoice_id for view, _ in answers}) == 1
    assert [replayed for _, replayed in answers].count(False) == 1
    assert await gateway.events() == ["invoice.created"]


async def test_each_invoice_has_an_address_of_its_own(gateway: Gateway) -> None:
    made = [await gateway.invoice(key=str(number)) for number in range(5)]
    assert len({invoice.pay_to_address for invoice in made}) == 5


async def test_h11_nothing_is_shown_before_the_address_is_watched(gateway: Gateway) -> None:
    await gateway.invoice(key="first")
    gateway.wallets.away = True
    with pytest.raises(Unavailable):
        await gateway.invoices.create(REQUEST, caller=ADA, key="k")
    hidden = await gateway.store.invoice_by_identity(identity(ADA.name, "invoices", "k"))
    assert hidden is not None
    assert hidden.stage is Stage.PREPARING
    with pytest.raises(UnknownInvoice):
        await gateway.invoices.get(hidden.id, caller=ADA)
    listed = await gateway.invoices.page(caller=ADA, state=None, limit=10, cursor=None)
    assert hidden.id not in {invoice.invoice_id for invoice in listed.invoices}

    gateway.wallets.away = False
    gateway.clock.advance(seconds=100_000)
    finished, replayed = await gateway.invoices.create(REQUEST, caller=ADA, key="k")
    assert finished.invoice_id == hidden.id
    assert finished.pay_to_address == gateway.wallets.watched[hidden.id]
    assert not replayed
    stored = await gateway.stored(finished)
    assert stored.expires_at_ms == START_MS + (100_000 + 3_600) * 1_000


@pytest.mark.parametrize("currency", list(Currency))
async def test_h20_small_invoices_are_refused(gateway: Gateway, currency: Currency) -> None:
    with pytest.raises(InvoiceTooSmall) as caught:
        await gateway.invoice("0.999999", currency)
    assert caught.value.facts == {"minimum": "1", "currency": currency.value}


@pytest.mark.parametrize("treasury_known", [False, True])
async def test_what_wallet_manager_refuses_is_ours_to_repair_not_the_callers(
    gateway: Gateway, *, treasury_known: bool
) -> None:
    if treasury_known:
        await gateway.invoice(key="first")
    gateway.wallets.refuses = True
    with pytest.raises(Unavailable, match="no wallet"):
        await gateway.invoices.create(REQUEST, caller=ADA, key="k")
    gateway.wallets.refuses = False
    _, replayed = await gateway.invoices.create(REQUEST, caller=ADA, key="k")
    assert not replayed
