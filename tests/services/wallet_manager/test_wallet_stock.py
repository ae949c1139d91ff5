"""Deposit addresses in bulk and ahead of need (H11)."""

import asyncio
from collections.abc import Sequence

import pytest

from services.wallet_manager.domain.wallets import NoAddresses, Wallet
from services.wallet_manager.service.leaves import Leaves
from services.wallet_manager.store.schema import ADDRESSES
from shared.models.tron_client import WatchView
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletStatus
from shared.peers.caller import PeerUnavailable
from shared.tron.address import Address
from tests.services.wallet_manager.till import CUSTOMER, Till


class WatcherThatLosesAReply:
    """Keeps its promise the first time, and the answer is lost: as if killed before it was stored."""

    def __init__(self) -> None:
        self.calls: list[tuple[Address, ...]] = []

    async def watch(self, addresses: Sequence[Address]) -> WatchView:
        self.calls.append(tuple(addresses))
        if len(self.calls) == 1:
            raise PeerUnavailable("the reply was lost")
        return WatchView(watched=len(addresses), birth_height=100)


def wanted(*names: str) -> list[AddressRequest]:
    return [AddressRequest(request_id=name, purpose="invoice") for name in names]


def numbered(count: int) -> list[AddressRequest]:
    return wanted(*(f"r{number}" for number in range(count)))


async def plain(till: Till) -> Wallet:
    request = WalletRequest(user_id="ada")
    return (await till.wallets.create(request, principal="p", key="k"))[0]


async def stocked(till: Till, size: int) -> Wallet:
    wallet = await till.treasury(trx=0, usdt=0)
    await till.wallets.leaves.refill(size)
    return wallet


async def in_stock(till: Till, wallet: Wallet) -> int:
    return await till.storage.count(ADDRESSES, "stock", wallet.id)


async def test_a_thousand_addresses_are_watched_with_one_call_before_they_are_returned(
    till: Till,
) -> None:
    wallet = await plain(till)
    before = len(till.chain.births)

    made = await till.wallets.derive_many(wallet.id, numbered(1_000))

    tree = till.vault.branch(0)
    assert [one.index for one in made] == list(range(1, 1_001))
    assert [one.id for one in made[::100]] == [tree.address(n) for n in range(1, 1_001, 100)]
    assert {one.id for one in made} <= till.chain.watched
    assert till.chain.births[before:] == [(None, 1_000)]
    assert {one.birth_height for one in made} == {100}


async def test_a_repeat_in_bulk_returns_the_same_addresses_and_adds_the_new(till: Till) -> None:
    wallet = await plain(till)
    single, _ = await till.wallets.derive(wallet.id, wanted("b")[0])
    first = await till.wallets.derive_many(wallet.id, wanted("a", "b", "c"))

    again = await till.wallets.derive_many(wallet.id, wanted("c", "d", "b", "a", "a"))

    assert first[1].id == single.id
    assert [one.id for one in again if one.identity in {old.identity for old in first}] == [
        first[2].id,
        first[1].id,
        first[0].id,
        first[0].id,
    ]
    assert len({one.id for one in again}) == 4


async def test_h11_in_bulk_nothing_is_shown_while_tron_client_is_away(till: Till) -> None:
    wallet = await plain(till)
    till.chain.away = True
    with pytest.raises(PeerUnavailable):
        await till.wallets.derive_many(wallet.id, numbered(3))

    till.chain.away = False
    made = await till.wallets.derive_many(wallet.id, numbered(3))

    assert [one.index for one in made] == [1, 2, 3]


async def test_bulks_at_once_share_no_leaf(till: Till) -> None:
    wallet = await plain(till)

    bulks = await asyncio.gather(
        *(till.wallets.derive_many(wallet.id, wanted(f"{n}a", f"{n}b", "same")) for n in range(8))
    )

    assert len({one.id for bulk in bulks for one in bulk}) == 17


async def test_h11_killed_between_watch_and_store_a_repeat_gives_the_same_addresses(
    till: Till,
) -> None:
    wallet = await plain(till)
    watcher = WatcherThatLosesAReply()

    def leaves() -> Leaves:
        return Leaves(
            store=till.store, watcher=watcher, clock=till.clock, require_clear=lambda: None
        )

    with pytest.raises(PeerUnavailable) as away:
        await leaves().many(wallet, numbered(5))
    made = await leaves().many(wallet, numbered(5))

    assert away.value.retry_after_s
    assert [set(call) for call in watcher.calls] == [{one.id for one in made}] * 2
    assert [one.index for one in made] == [1, 2, 3, 4, 5]


async def test_h11_the_stock_serves_while_tron_client_is_away_and_ends(till: Till) -> None:
    wallet = await stocked(till, 3)
    till.chain.away = True

    served = [await till.wallets.derive(wallet.id, one) for one in numbered(3)]
    with pytest.raises(PeerUnavailable):
        await till.wallets.derive(wallet.id, wanted("late")[0])

    assert [address.index for address, _ in served] == [1, 2, 3]
    assert {address.id for address, _ in served} <= till.chain.watched
    again = await till.wallets.derive(wallet.id, wanted("r1")[0])
    assert again[0].id == served[1][0].id
    till.chain.away = False
    late, _ = await till.wallets.derive(wallet.id, wanted("late")[0])
    assert late.index == 4


async def test_of_the_stock_no_address_is_given_twice(till: Till) -> None:
    wallet = await stocked(till, 5)

    given = await asyncio.gather(*(till.wallets.derive(wallet.id, one) for one in numbered(9)))

    assert sorted(address.index for address, _ in given) == list(range(1, 10))
    assert await in_stock(till, wallet) == 0


async def test_the_stock_is_refilled_up_to_its_size(till: Till) -> None:
    wallet = await stocked(till, 4)
    await till.wallets.derive(wallet.id, wanted("a")[0])

    await till.wallets.leaves.refill(4)
    await till.wallets.leaves.refill(4)

    assert await in_stock(till, wallet) == 4
    assert (await till.wallets.find(wallet.id)).next_index == 6


async def test_h11_a_stock_that_was_not_watched_yet_is_watched_with_the_next_round(
    till: Till,
) -> None:
    wallet = await till.treasury(trx=0, usdt=0)
    till.chain.away = True
    with pytest.raises(PeerUnavailable):
        await till.wallets.leaves.refill(3)
    with pytest.raises(PeerUnavailable):
        await till.wallets.derive(wallet.id, wanted("early")[0])

    till.chain.away = False
    await till.wallets.leaves.refill(3)
    till.chain.away = True
    served, birth_height = await till.wallets.derive(wallet.id, wanted("later")[0])

    assert birth_height == 100
    assert served.id in till.chain.watched


async def test_only_wallets_that_hand_out_addresses_keep_a_stock(till: Till) -> None:
    quiet = await plain(till)
    watched, _ = await till.wallets.create(
        WalletRequest.model_validate(
            {"user_id": "a", "wallet_type": "watch_only", "address": CUSTOMER}
        ),
        principal="p",
        key="w",
    )
    await stocked(till, 2)

    assert await in_stock(till, quiet) == 0
    assert await in_stock(till, watched) == 0


async def test_h5_after_a_restore_no_address_comes_from_the_stock_of_the_backup(
    till: Till,
) -> None:
    """Since the backup somebody else may have been shown it."""
    wallet = await stocked(till, 3)

    await till.recovery._indexes.move_on()
    given, _ = await till.wallets.derive(wallet.id, wanted("a")[0])

    assert await in_stock(till, wallet) == 0
    assert given.index > 3
    assert (await till.store.addresses(cursor=None, limit=10)).items[0].purpose == "recovered"


async def test_a_wallet_out_of_use_gives_nothing_from_its_stock(till: Till) -> None:
    wallet = await stocked(till, 3)
    stored = await till.wallets.find(wallet.id)
    await till.store.save_wallet(stored.moved(WalletStatus.INACTIVE))

    with pytest.raises(NoAddresses):
        await till.wallets.derive(wallet.id, wanted("a")[0])
