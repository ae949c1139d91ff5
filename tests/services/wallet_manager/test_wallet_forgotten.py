"""What a copy or a lost tail forgot besides transactions: addresses, wallets, and what people decided (H5)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.models.tron_transactions import TransactionState
from shared.models.wallet_manager import AddressRequest
from shared.money import Currency
from tests.services.wallet_manager.test_wallet_recovery import Site, recovered
from tests.services.wallet_manager.till import TRX, fate, intent, transfer

LEAF = AddressRequest(request_id="a", purpose="p")
OTHER_LEAF = AddressRequest(request_id="b", purpose="p")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    for storage in made.open:
        await storage.close()


async def test_h5_a_leaf_that_was_lost_with_the_tail_is_never_shown_twice(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    before = await site.copy(till)
    shown, _ = await till.wallets.derive(treasury.id, LEAF)

    again = await site.lose_tail(before)
    await recovered(site, again)

    assert await again.store.owned([shown.id]) == {shown.id}
    fresh, _ = await again.wallets.derive(treasury.id, OTHER_LEAF)
    assert fresh.id != shown.id


async def test_h5_a_move_between_own_addresses_is_booked_on_both_sides_once_it_is_adopted(
    site: Site,
) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    leaf, _ = await till.wallets.derive(treasury.id, LEAF)
    copy = await site.copy(till)
    move = intent("move", recipient=leaf.id)
    send = await till.submitted(move)
    site.chain.lands(site.chain.received[-1], height=105)
    site.chain.stored.clear()

    again = await site.restore(copy)
    await recovered(site, again)
    moved = transfer(
        25 * TRX, Currency.USDT, sender=treasury.address, recipient=leaf.id, txid=send.txid
    )
    await again.transfers(moved)
    await again.taken(move)
    await again.sender.sign_due()
    await again.verdicts(fate(await again.read(send.send_key), TransactionState.CONFIRMED))
    await again.transfers(moved)

    assert (await again.position(treasury.address, Currency.USDT)).settled == 975 * TRX
    assert (await again.position(leaf.id, Currency.USDT)).settled == 25 * TRX
    lines = [one for one in await again.journal() if one.account == leaf.id]
    assert sum(one.amount for one in lines) == 25 * TRX
