"""Every address that ever was shown stays watched, whatever tron-client forgets (H11)."""

import pytest

from services.wallet_manager.service.watches import ALARM, PATIENCE, Watches
from shared.models.wallet_manager import AddressRequest
from shared.tron.address import Address
from tests.services.wallet_manager.till import Till
from tests.support import address


@pytest.fixture
def watches(till: Till) -> Watches:
    return Watches(store=till.store, watcher=till.chain, alarms=till.alarms)


async def shown(till: Till, count: int) -> list[Address]:
    treasury = await till.treasury()
    leaves = [
        (await till.wallets.derive(treasury.id, AddressRequest(request_id=str(n), purpose="p")))[0]
        for n in range(count)
    ]
    return [treasury.address, *(leaf.id for leaf in leaves)]


async def test_h11_lists_that_agree_are_left_alone(till: Till, watches: Watches) -> None:
    await shown(till, 3)
    before = list(till.chain.births)
    await watches.compare()

    assert till.chain.births == before


async def test_h11_a_lost_watch_is_renewed_from_its_birth(till: Till, watches: Watches) -> None:
    ours = await shown(till, 3)
    till.chain.watched -= set(ours[1:3])
    till.chain.births.clear()
    await watches.compare()

    assert till.chain.watched == set(ours)
    assert till.chain.births == [(100, 2)]
    assert not till.alarm_kinds()


async def test_h11_what_others_watch_besides_is_no_matter(till: Till, watches: Watches) -> None:
    await shown(till, 1)
    till.chain.watched.add(address(0x99))
    till.chain.births.clear()
    await watches.compare()

    assert till.chain.births == []


async def test_h11_a_watch_that_does_not_stay_calls_a_person(till: Till, watches: Watches) -> None:
    ours = await shown(till, 1)
    for _ in range(PATIENCE - 1):
        till.chain.watched.clear()
        await watches.compare()
    assert not till.alarm_kinds()
    till.chain.watched.clear()
    await watches.compare()
    assert till.alarm_kinds() == {ALARM}

    await watches.compare()
    assert till.chain.watched == set(ours)
    assert not till.alarm_kinds()


async def test_h11_everything_is_watched_again_in_bulk(till: Till, watches: Watches) -> None:
    ours = await shown(till, 5)
    till.chain.watched.clear()
    till.chain.births.clear()
    await watches.renew_all()

    assert till.chain.watched == set(ours)
    assert till.chain.births == [(100, 6)]


async def test_an_address_that_was_never_shown_is_not_promised(
    till: Till, watches: Watches
) -> None:
    treasury = await till.treasury()
    till.chain.away = True
    with pytest.raises(Exception, match="did not answer"):
        await till.wallets.derive(treasury.id, AddressRequest(request_id="r", purpose="p"))
    till.chain.away = False
    before = list(till.chain.births)
    await watches.compare()

    assert till.chain.births == before
