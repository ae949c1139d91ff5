"""Sweeps: paid from a deposit address of a wallet, to a wallet of ours and nowhere else."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.service.guard import Gate, Guard
from shared.clock import HeldClock
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletRole, WalletType
from shared.models.wallet_sends import Intent, Purpose, SendKind, SendState
from shared.money import Currency
from shared.tron.address import Address
from shared.tron.decoding import decode_raw_data
from shared.tron.signing import recover_address
from tests.services.wallet_manager.guards import guarded, rulebook
from tests.services.wallet_manager.till import (
    STRANGER,
    TRX,
    Chain,
    Till,
    fate,
    intent,
    open_storage,
    rules,
    till_on,
    vault,
)
from tests.support import START_MS

GATEWAY = "payment-gateway"


async def leaf(till: Till, wallet: Wallet, name: str = "one") -> Address:
    request = AddressRequest(request_id=name, purpose="invoice")
    address, _ = await till.wallets.derive(wallet.id, request)
    return address.id


def sweep(wallet: Wallet, source: Address | None, name: str = "sweep", **changes: Any) -> Intent:
    fields: dict[str, Any] = {"recipient": wallet.address, "purpose": Purpose.SWEEP} | changes
    wanted = intent(name, wallet_id=wallet.id, origin=GATEWAY, **fields)
    return wanted.model_copy(update={"from_address": source})


async def refused(till: Till, wanted: Intent) -> str:
    (result,) = await till.accept(wanted, caller=GATEWAY)
    assert result.problem is not None
    return str(result.problem.facts.get("rule") or result.problem.facts.get("field"))


async def test_a_sweep_is_signed_with_the_key_of_its_address_and_paid_from_its_money(
    till: Till,
) -> None:
    wallet = await till.treasury()
    first, second = [await leaf(till, wallet, name) for name in ("one", "two")]
    await till.deposit(second, 40 * TRX, Currency.USDT)
    await till.deposit(second, 20 * TRX, Currency.TRX)

    send = await till.submitted(sweep(wallet, second))
    (attempt,) = await till.attempts(send)
    raw_data = bytes.fromhex(attempt.raw_data)

    assert send.owner == decode_raw_data(raw_data).operation.owner == second != first
    signature = bytes.fromhex(attempt.signature)
    assert recover_address(bytes.fromhex(attempt.id), signature) == second
    assert (await till.position(second, Currency.USDT)).held == 25 * TRX
    assert (await till.position(wallet.address, Currency.TRX)).held == 0

    await till.verdicts(fate(send, TransactionState.CONFIRMED))
    assert (await till.read(send.send_key)).state is SendState.CONFIRMED
    assert (await till.position(second, Currency.USDT)).settled == 15 * TRX
    assert (await till.position(second, Currency.TRX)).settled == 20 * TRX - 345_000


async def test_a_sweep_waits_until_its_address_can_pay_the_fee(till: Till) -> None:
    wallet = await till.treasury()
    source = await leaf(till, wallet)
    await till.deposit(source, 40 * TRX, Currency.USDT)

    send = await till.signed(sweep(wallet, source))
    assert send.state is SendState.QUEUED
    assert send.waiting_for is not None
    assert send.waiting_for.endswith("TRX needed, 0 TRX available")

    top_up = intent(
        "top-up",
        kind=SendKind.TRX_TRANSFER,
        origin=GATEWAY,
        purpose=Purpose.FEE_TOP_UP,
        recipient=source,
        amount=20 * TRX,
    )
    paid = await till.submitted(top_up)
    await till.verdicts(fate(paid, TransactionState.CONFIRMED))
    await till.deposit(source, 20 * TRX, Currency.TRX)
    till.clock.advance(seconds=4)
    await till.sender.sign_due()
    assert (await till.read(send.send_key)).state is SendState.SIGNED


@pytest.mark.parametrize("purpose", [Purpose.PAYMENT, Purpose.REFUND, Purpose.FEE_TOP_UP])
async def test_h18_a_deposit_address_pays_for_nothing_but_sweeps(
    till: Till, purpose: Purpose
) -> None:
    wallet = await till.treasury()
    wanted = sweep(wallet, await leaf(till, wallet), purpose=purpose, kind=SendKind.TRX_TRANSFER)
    assert await refused(till, wanted) == "leaf_purpose"


@pytest.mark.parametrize("purpose", [Purpose.SWEEP, Purpose.ACTIVATION, Purpose.FEE_TOP_UP])
async def test_h18_money_that_moves_within_the_stack_does_not_leave_it(
    till: Till, purpose: Purpose
) -> None:
    wallet = await till.treasury()
    wanted = sweep(wallet, None, purpose=purpose, kind=SendKind.TRX_TRANSFER, recipient=STRANGER)
    assert await refused(till, wanted) == "own_address"


async def test_h18_a_sweep_does_not_go_to_another_deposit_address(till: Till) -> None:
    wallet = await till.treasury()
    source, other = [await leaf(till, wallet, name) for name in ("one", "two")]
    assert await refused(till, sweep(wallet, source, recipient=other)) == "own_wallet"


@pytest.mark.parametrize("type_", [WalletType.WATCH_ONLY, WalletType.COLD, WalletType.MULTISIG])
async def test_h18_a_sweep_does_not_go_to_an_address_that_is_only_said_to_be_ours(
    till: Till, type_: WalletType
) -> None:
    """No cap bears on a sweep, and who may make wallets may name any address as one."""
    wallet = await till.treasury()
    request = WalletRequest(user_id="eve", wallet_type=type_, address=STRANGER)
    await till.wallets.create(request, principal=GATEWAY, key="k")
    for source in (await leaf(till, wallet), None):
        assert await refused(till, sweep(wallet, source, recipient=STRANGER)) == "own_wallet"


async def test_h18_a_sweep_does_not_spread_money_over_wallets_that_have_caps_of_their_own(
    till: Till,
) -> None:
    wallet = await till.treasury()
    other, _ = await till.wallets.create(WalletRequest(user_id="eve"), principal=GATEWAY, key="k")
    for source in (await leaf(till, wallet), None):
        assert await refused(till, sweep(wallet, source, recipient=other.address)) == "own_wallet"


async def test_a_sweep_stays_with_its_wallet_or_goes_to_the_treasury(till: Till) -> None:
    treasury = await till.treasury()
    shop, _ = await till.wallets.create(WalletRequest(user_id="shop"), principal="op", key="shop")
    source = await leaf(till, shop)
    for number, to in enumerate((shop.address, treasury.address)):
        send = await till.taken(sweep(shop, source, f"sweep-{number}", recipient=to))
        assert (send.owner, send.recipient) == (source, to)


async def test_a_sweep_goes_to_a_treasury_whose_key_is_elsewhere(till: Till) -> None:
    request = WalletRequest(
        user_id="op", wallet_type=WalletType.COLD, role=WalletRole.TREASURY, address=STRANGER
    )
    await till.wallets.create(request, principal="op", key="cold")
    shop, _ = await till.wallets.create(WalletRequest(user_id="shop"), principal="op", key="shop")
    send = await till.taken(sweep(shop, await leaf(till, shop), recipient=STRANGER))
    assert send.recipient == STRANGER


async def test_only_an_address_of_just_that_wallet_pays(till: Till) -> None:
    wallet = await till.treasury()
    request = WalletRequest(user_id="ada")
    other, _ = await till.wallets.create(request, principal="p", key="k")
    for source in (STRANGER, other.address, await leaf(till, other)):
        assert await refused(till, sweep(wallet, source)) == "from_address"


async def test_h4_the_address_that_pays_stays_as_first_stored(till: Till) -> None:
    wallet = await till.treasury()
    source = await leaf(till, wallet)
    await till.taken(sweep(wallet, source))
    (again,) = await till.accept(sweep(wallet, None), caller=GATEWAY)
    assert again.replayed
    assert again.send is not None
    assert again.send.from_address == source


async def test_caps_on_theft_do_not_count_what_stays_ours_and_fees_count(tmp_path: Path) -> None:
    storage = await open_storage(tmp_path)
    gates: list[Gate] = []
    guards: list[Guard] = []
    clock = HeldClock(START_MS)
    till = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
        gates=gates,
        guards=guards,
    )
    await guarded(
        till, tmp_path, gates=gates, guards=guards, rules=rulebook(fees_per_hour_sun=20 * TRX)
    )
    await till.begins()
    wallet = await till.treasury()
    source = await leaf(till, wallet)
    for currency in Currency:
        await till.deposit(source, 10_000 * TRX, currency)

    large = await till.signed(sweep(wallet, source, "large", amount=5_000 * TRX))
    again = await till.signed(sweep(wallet, source, "again", amount=TRX))
    third = await till.signed(sweep(wallet, source, "third", amount=2 * TRX))
    assert [one.state for one in (large, again)] == [SendState.SIGNED] * 2
    assert third.waiting_for is not None
    assert third.waiting_for.startswith("cap_fees_per_hour")
    await storage.close()
