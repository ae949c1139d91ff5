"""What comes to an invoice's address, and what the gateway makes of it."""

import asyncio

import pytest

from services.payment_gateway.service.deposits import EXPIRED_AT_ONCE
from shared.clock import MS_PER_S
from shared.errors import Unavailable
from shared.models.payment_gateway import InvoiceState
from shared.models.tron_client import TransferState
from shared.models.wallet_sends import INTERNAL_PURPOSES, Purpose
from shared.money import Currency
from shared.peers.caller import PeerRefused
from tests.services.payment_gateway.doubles import ADA, COIN, Gateway, block, transfer
from tests.support import START_MS, address

HOUR_MS = 3_600 * MS_PER_S
GRACE_MS = 300 * MS_PER_S
DEADLINE_MS = START_MS + HOUR_MS + GRACE_MS


@pytest.mark.parametrize(
    ("amounts", "state", "paid"),
    [
        ([10 * COIN], InvoiceState.PAID, "10"),
        ([4 * COIN, 6 * COIN], InvoiceState.PAID, "10"),
        ([10 * COIN - 1], InvoiceState.UNDERPAID, "9.999999"),
        ([10 * COIN + 1], InvoiceState.OVERPAID, "10.000001"),
        ([10 * COIN, COIN], InvoiceState.OVERPAID, "11"),
    ],
)
async def test_confirmed_sums_decide(
    gateway: Gateway, amounts: list[int], state: InvoiceState, paid: str
) -> None:
    invoice = await gateway.invoice()
    for position, amount in enumerate(amounts):
        gateway.chain.tell(transfer(invoice.pay_to_address, amount, name=str(position)))
    await gateway.catch_up()
    now = await gateway.now(invoice)
    assert (now.state, now.paid, now.seen) == (state, paid, "0")
    assert [one.counted for one in now.transfers] == [True] * len(amounts)
    assert (await gateway.events())[-1] == f"invoice.{state}"


async def test_trx_invoices_are_paid_in_trx(gateway: Gateway) -> None:
    invoice = await gateway.invoice(currency=Currency.TRX)
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, currency=Currency.TRX))
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.PAID


async def test_two_transfers_of_one_transaction_both_count(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    for position in (0, 1):
        gateway.chain.tell(transfer(invoice.pay_to_address, 5 * COIN, name="7", position=position))
    await gateway.catch_up()
    now = await gateway.now(invoice)
    assert now.state is InvoiceState.PAID
    assert len(now.transfers) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": Currency.TRX}, "wrong_currency"),
        ({"contract": address(0xFA)}, "other_contract"),
        ({"amount": 0}, "zero"),
        ({"amount": 999}, "dust"),
    ],
)
async def test_what_is_not_asked_for_is_kept_but_not_counted(
    gateway: Gateway, changes: dict[str, object], reason: str
) -> None:
    invoice = await gateway.invoice()
    wanted: dict[str, object] = {"amount": 10 * COIN, **changes}
    gateway.chain.tell(transfer(invoice.pay_to_address, **wanted))  # type: ignore[arg-type]
    await gateway.catch_up()
    now = await gateway.now(invoice)
    assert (now.state, now.paid) == (InvoiceState.PENDING, "0")
    assert [(one.counted, one.reason) for one in now.transfers] == [(False, reason)]


async def test_transfers_to_other_addresses_are_passed_over(gateway: Gateway) -> None:
    gateway.chain.tell(transfer(address(5), COIN))
    await gateway.catch_up()
    assert (await gateway.store.cursor()).cursor == "first.1"
    assert await gateway.store.transfers(["genesis:1:log:0"]) == {}


async def test_seen_money_is_shown_and_taken_back_with_its_block(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, state=TransferState.SEEN))
    await gateway.catch_up()
    seen = await gateway.now(invoice)
    assert (seen.state, seen.seen, seen.paid) == (InvoiceState.SEEN, "10", "0")

    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, state=TransferState.RETRACTED))
    await gateway.catch_up()
    back = await gateway.now(invoice)
    assert (back.state, back.seen) == (InvoiceState.PENDING, "0")

    for state in (TransferState.SEEN, TransferState.CONFIRMED):
        gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, state=state, fork="b"))
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.PAID
    assert await gateway.events() == [
        "invoice.created",
        "invoice.seen",
        "invoice.pending",
        "invoice.seen",
        "invoice.paid",
    ]


async def test_a_retraction_of_confirmed_money_raises_an_alarm_once(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN))
    retraction = transfer(invoice.pay_to_address, 10 * COIN, state=TransferState.RETRACTED)
    gateway.chain.tell(retraction, retraction)
    await gateway.catch_up()
    now = await gateway.now(invoice)
    assert (now.state, now.paid) == (InvoiceState.PAID, "10")
    assert now.transfers[0].reason == "retracted_after_confirmation"
    assert (await gateway.events()).count("alarm.confirmed_transfer_retracted") == 1
    assert await gateway.store.count_alarms() == 1


@pytest.mark.parametrize("purpose", sorted(INTERNAL_PURPOSES))
async def test_h12_own_moves_of_own_money_are_never_credited(
    gateway: Gateway, purpose: Purpose
) -> None:
    invoice = await gateway.invoice()
    for state in (TransferState.SEEN, TransferState.CONFIRMED):
        gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, state=state))
    gateway.wallets.sends("1".zfill(64), purpose)
    await gateway.catch_up()
    now = await gateway.now(invoice)
    assert (now.state, now.paid, now.seen) == (InvoiceState.PENDING, "0", "0")
    assert [(one.counted, one.reason) for one in now.transfers] == [(False, "internal")]


async def test_h12_a_payout_of_ours_to_our_own_invoice_is_a_payment(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN))
    gateway.wallets.sends("1".zfill(64), Purpose.PAYOUT)
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.PAID


async def test_h12_nothing_is_credited_while_wallet_manager_is_away(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN))
    gateway.chain.as_of = block(9_000, DEADLINE_MS + 1)
    gateway.wallets.away = True
    with pytest.raises(Unavailable):
        await gateway.deposits.take_in()
    assert (await gateway.store.cursor()).cursor == ""
    assert (await gateway.now(invoice)).state is InvoiceState.PENDING

    gateway.wallets.away = False
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.PAID


async def test_h19_a_customer_who_paid_in_time_while_we_slept_has_paid(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.clock.advance(seconds=10 * 3_600)
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, at_ms=DEADLINE_MS))
    gateway.chain.as_of = block(9_000, START_MS + 10 * HOUR_MS)
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.PAID
    assert await gateway.events() == ["invoice.created", "invoice.paid"]


async def test_h19_only_a_solid_block_past_the_deadline_expires(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.clock.advance(seconds=100 * 3_600)
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.PENDING

    gateway.chain.as_of = block(9_000, DEADLINE_MS)
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.PENDING

    gateway.chain.as_of = block(9_001, DEADLINE_MS + 1)
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.EXPIRED
    assert (await gateway.events())[-1] == "invoice.expired"


async def test_many_invoices_expire_in_rounds(gateway: Gateway) -> None:
    for number in range(EXPIRED_AT_ONCE + 3):
        await gateway.invoice(key=f"key-{number}")
    gateway.chain.as_of = block(9_001, DEADLINE_MS + 1)
    await gateway.catch_up()
    assert await gateway.store.count_invoices(InvoiceState.EXPIRED) == EXPIRED_AT_ONCE + 3


async def test_money_after_the_deadline_is_late(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.as_of = block(9_000, DEADLINE_MS + 1)
    await gateway.catch_up()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN, at_ms=DEADLINE_MS + 1))
    await gateway.catch_up()
    now = await gateway.now(invoice)
    assert (now.state, now.paid) == (InvoiceState.PAID_LATE, "10")
    assert [(one.counted, one.reason) for one in now.transfers] == [(True, "late")]


async def test_an_underpaid_invoice_stays_underpaid_after_its_end(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, COIN))
    gateway.chain.as_of = block(9_000, DEADLINE_MS + 1)
    await gateway.catch_up()
    assert (await gateway.now(invoice)).state is InvoiceState.UNDERPAID


async def test_h5_another_incarnation_tells_everything_again_without_harm(
    gateway: Gateway,
) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(
        transfer(invoice.pay_to_address, 4 * COIN, state=TransferState.SEEN),
        transfer(invoice.pay_to_address, 4 * COIN, state=TransferState.RETRACTED),
        transfer(invoice.pay_to_address, 4 * COIN, state=TransferState.SEEN, fork="b"),
        transfer(invoice.pay_to_address, 4 * COIN, fork="b"),
    )
    await gateway.catch_up()
    before = await gateway.events()
    gateway.chain.restore()
    gateway.chain.tell(transfer(invoice.pay_to_address, 6 * COIN, name="2"))
    await gateway.catch_up()
    now = await gateway.now(invoice)
    assert (now.state, now.paid) == (InvoiceState.PAID, "10")
    assert (await gateway.events())[len(before) :] == ["invoice.paid"]
    assert (await gateway.store.cursor()).cursor == "first-restored.5"
    assert await gateway.store.count_alarms() == 0


async def test_h13_what_is_durable_is_acknowledged_and_nothing_more(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN))
    await gateway.catch_up()
    assert gateway.chain.acknowledged == ["", "first.1"]


async def test_h13_events_that_are_gone_stop_everything_and_are_never_skipped(
    gateway: Gateway,
) -> None:
    gateway.chain.lost = True
    with pytest.raises(PeerRefused):
        await gateway.deposits.take_in()
    assert (await gateway.store.cursor()).cursor == ""


async def test_h12_an_own_transaction_without_its_send_is_not_judged(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN))
    gateway.wallets.sends("1".zfill(64), Purpose.SWEEP)
    gateway.wallets.forgets_sends = True
    with pytest.raises(Unavailable):
        await gateway.deposits.take_in()
    assert (await gateway.now(invoice)).state is InvoiceState.PENDING


async def test_a_wait_ends_without_news_too(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    assert await gateway.invoices.get(invoice.invoice_id, caller=ADA, wait_s=1) == invoice


async def test_a_waiting_reader_is_answered_when_the_money_comes(gateway: Gateway) -> None:
    invoice = await gateway.invoice()
    waiting = asyncio.create_task(gateway.invoices.get(invoice.invoice_id, caller=ADA, wait_s=20))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    gateway.chain.tell(transfer(invoice.pay_to_address, 10 * COIN))
    await gateway.catch_up()
    assert (await waiting).state is InvoiceState.PAID
