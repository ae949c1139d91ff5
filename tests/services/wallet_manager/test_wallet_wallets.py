import asyncio

import pytest

from services.wallet_manager.domain.wallets import TreasuryExists, UnknownWallet
from services.wallet_manager.vault import Leaf, leaf_address
from shared.errors import KeyReused
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletRole
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.tron.hd import AccountPublicKey
from tests.services.wallet_manager.till import CUSTOMER, TRX, Till

PLAIN = WalletRequest(user_id="ada")
TREASURY = WalletRequest(user_id="operator", role=WalletRole.TREASURY)


def wanted(request_id: str) -> AddressRequest:
    return AddressRequest(request_id=request_id, purpose="invoice")


async def test_a_repeat_returns_the_wallet_that_was_made(till: Till) -> None:
    first, was_there = await till.wallets.create(PLAIN, principal="p", key="k")
    again, was_there_again = await till.wallets.create(PLAIN, principal="p", key="k")

    assert (was_there, was_there_again) == (False, True)
    assert again.id == first.id
    assert again.address == first.address


async def test_keys_belong_to_their_principals(till: Till) -> None:
    first, _ = await till.wallets.create(PLAIN, principal="p", key="k")
    other, _ = await till.wallets.create(PLAIN, principal="q", key="k")

    assert first.address != other.address


async def test_the_same_key_for_another_wallet_is_refused(till: Till) -> None:
    await till.wallets.create(PLAIN, principal="p", key="k")

    with pytest.raises(KeyReused):
        await till.wallets.create(WalletRequest(user_id="bob"), principal="p", key="k")


async def test_wallets_are_accounts_of_one_tree(till: Till) -> None:
    wallets = [(await till.wallets.create(PLAIN, principal="p", key=f"{n}"))[0] for n in range(3)]

    assert [wallet.derivation_path for wallet in wallets] == [
        "m/44'/1'/0'/0/0",
        "m/44'/1'/1'/0/0",
        "m/44'/1'/2'/0/0",
    ]
    assert len({wallet.address for wallet in wallets}) == 3


async def test_wallets_asked_for_at_once_are_different_accounts(till: Till) -> None:
    made = await asyncio.gather(
        *(till.wallets.create(PLAIN, principal="p", key=f"{n}") for n in range(8))
    )

    assert {wallet.account for wallet, _ in made} == set(range(8))


@pytest.mark.parametrize("request_", [PLAIN, TREASURY])
async def test_the_same_wallet_asked_for_at_once_is_made_once(
    till: Till, request_: WalletRequest
) -> None:
    made = await asyncio.gather(
        *(till.wallets.create(request_, principal="p", key="k") for _ in range(5))
    )

    assert len({wallet.id for wallet, _ in made}) == 1
    assert all(wallet.birth_height == 100 for wallet, _ in made)


async def test_there_is_one_treasury(till: Till) -> None:
    with pytest.raises(UnknownWallet):
        await till.wallets.treasury()
    treasury, _ = await till.wallets.create(TREASURY, principal="p", key="k")

    with pytest.raises(TreasuryExists):
        await till.wallets.create(TREASURY, principal="p", key="other")
    assert (await till.wallets.treasury()).id == treasury.id


async def test_h11_no_wallet_is_shown_before_it_is_watched(till: Till) -> None:
    till.chain.away = True
    with pytest.raises(PeerUnavailable):
        await till.wallets.create(TREASURY, principal="p", key="k")

    assert (await till.wallets.page(cursor=None, limit=10)).items == []
    with pytest.raises(PeerUnavailable):
        await till.wallets.treasury()
    stored = await till.store.treasury()
    assert stored is not None
    for name in (stored.id, stored.address):
        with pytest.raises(PeerUnavailable):
            await till.wallets.find(name)

    till.chain.away = False
    wallet, was_there = await till.wallets.create(TREASURY, principal="p", key="k")
    assert was_there
    assert wallet.address == stored.address
    assert wallet.address in till.chain.watched
    assert [one.id for one in (await till.wallets.page(cursor=None, limit=10)).items] == [wallet.id]


async def test_h11_no_address_is_shown_before_it_is_watched(till: Till) -> None:
    wallet, _ = await till.wallets.create(PLAIN, principal="p", key="k")
    till.chain.away = True
    with pytest.raises(PeerUnavailable):
        await till.wallets.derive(wallet.id, wanted("r"))

    till.chain.away = False
    address, birth_height = await till.wallets.derive(wallet.id, wanted("r"))

    assert address.index == 1  # the repeat finished the leaf that the first had taken
    assert birth_height == 100
    assert address.id in till.chain.watched


async def test_addresses_derived_at_once_are_distinct_leaves(till: Till) -> None:
    wallet, _ = await till.wallets.create(PLAIN, principal="p", key="k")

    derived = await asyncio.gather(
        *(till.wallets.derive(wallet.id, wanted(f"r{n}")) for n in range(40))
    )

    assert sorted(address.index for address, _ in derived) == list(range(1, 41))
    assert len({address.id for address, _ in derived}) == 40


async def test_the_same_request_at_once_gives_one_address(till: Till) -> None:
    wallet, _ = await till.wallets.create(PLAIN, principal="p", key="k")

    derived = await asyncio.gather(*(till.wallets.derive(wallet.id, wanted("r")) for _ in range(9)))

    assert {address.index for address, _ in derived} == {1}


async def test_a_wallet_named_by_its_address_gives_the_same_leaf(till: Till) -> None:
    wallet, _ = await till.wallets.create(PLAIN, principal="p", key="k")

    by_id, _ = await till.wallets.derive(wallet.id, wanted("r"))
    by_address, _ = await till.wallets.derive(wallet.address, wanted("r"))

    assert by_id.id == by_address.id


async def test_leaves_of_the_public_branch_are_those_that_the_vault_signs_for(till: Till) -> None:
    wallet, _ = await till.wallets.create(PLAIN, principal="p", key="k")
    address, _ = await till.wallets.derive(wallet.id, wanted("r"))
    branch = AccountPublicKey.from_bytes(bytes.fromhex(wallet.branch))

    assert address.id == leaf_address(branch, 1)
    assert address.path == "m/44'/1'/0'/0/1"
    assert till.vault._keys().signing_key(Leaf(account=0, index=1)).address == address.id


async def test_an_unknown_wallet_has_no_addresses(till: Till) -> None:
    for name in ("wal_nobody", CUSTOMER):
        with pytest.raises(UnknownWallet):
            await till.wallets.derive(name, wanted("r"))


async def test_balances_are_those_of_the_address_asked_about(till: Till) -> None:
    wallet, _ = await till.wallets.create(PLAIN, principal="p", key="k")
    address, _ = await till.wallets.derive(wallet.id, wanted("r"))
    await till.deposit(address.id, 7 * TRX, Currency.USDT)

    of_wallet = await till.wallets.balance(wallet.id, Currency.USDT)
    of_leaf = await till.wallets.balance(address.id, Currency.USDT)

    assert (of_wallet[0], of_wallet[1].settled) == (wallet.id, 0)
    assert (of_leaf[0], of_leaf[1].settled) == (wallet.id, 7 * TRX)
    with pytest.raises(UnknownWallet):
        await till.wallets.balance("nobody", Currency.USDT)
