"""What a copy or a lost tail forgot besides transactions: addresses, wallets, and what people decided (H5)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.models.wallet_manager import AddressRequest
from tests.services.wallet_manager.test_wallet_recovery import Site, recovered

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
