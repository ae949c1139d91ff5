"""Wallets by where their keys are: hot, watch-only, cold, hardware, multisig."""

import base58
import pytest
from pydantic import ValidationError

from services.wallet_manager.domain.branches import InvalidBranch, branch_from_xpub
from services.wallet_manager.domain.wallets import AddressTaken, CannotSign, NoAddresses
from shared.errors import InvalidFields
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletRole, WalletType
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.tron.hd import HARDENED, PrivateNode
from tests.services.wallet_manager.till import CUSTOMER, TRX, Till, intent

ELSEWHERE = (WalletType.WATCH_ONLY, WalletType.COLD, WalletType.HARDWARE, WalletType.MULTISIG)
ACCOUNT = PrivateNode.from_seed(bytes(64)).account(coin_type=1, account=7).public()
WANTED = AddressRequest(request_id="r", purpose="invoice")


def xpub(*, version: str = "0488b21e", depth: int = 3) -> str:
    head = bytes.fromhex(version) + bytes([depth]) + bytes(4) + (7 + HARDENED).to_bytes(4, "big")
    return base58.b58encode_check(head + ACCOUNT.chain_code + ACCOUNT.public_key).decode()


def single(type_: WalletType = WalletType.COLD) -> WalletRequest:
    return WalletRequest(user_id="ada", wallet_type=type_, address=CUSTOMER)


def account(type_: WalletType = WalletType.COLD, **fields: str) -> WalletRequest:
    said = {"user_id": "ada", "wallet_type": type_, "account_public_key": xpub()} | fields
    return WalletRequest.model_validate(said)


def test_an_xpub_of_the_bip32_vectors_is_an_account() -> None:
    """m/0H/1/2H of the first vector of BIP-32."""
    text = (
        "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkr"
        "X7x7DogT5Uv6fcLW5"
    )
    node = PrivateNode.from_seed(bytes(range(16))).derive(HARDENED, 1, 2 + HARDENED)

    assert branch_from_xpub(text) == node.public()


@pytest.mark.parametrize(
    "text",
    ["", "xpub", xpub()[:-1] + "1", xpub(version="0488ade4"), xpub(depth=2), "0" * 111, "é" * 111],
)
def test_what_is_no_account_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidBranch) as refused:
        branch_from_xpub(text)

    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("type_", ELSEWHERE)
async def test_h11_an_address_of_others_is_watched_before_it_is_returned(
    till: Till, type_: WalletType
) -> None:
    till.chain.away = True
    with pytest.raises(PeerUnavailable):
        await till.wallets.create(single(type_), principal="p", key="k")

    till.chain.away = False
    wallet, _ = await till.wallets.create(single(type_), principal="p", key="k")

    assert (wallet.type, wallet.address, wallet.derivation_path) == (type_, CUSTOMER, "")
    assert not wallet.signs_alone
    assert CUSTOMER in till.chain.watched


async def test_software_is_another_word_for_hot(till: Till) -> None:
    request = WalletRequest(user_id="ada", wallet_type=WalletType.SOFTWARE)

    wallet, _ = await till.wallets.create(request, principal="p", key="k")

    assert wallet.type is WalletType.HOT
    assert wallet.signs_alone


async def test_deposit_addresses_derive_from_an_account_public_key(till: Till) -> None:
    wallet, _ = await till.wallets.create(account(), principal="p", key="k")

    leaf, _ = await till.wallets.derive(wallet.id, WANTED)

    assert wallet.address == ACCOUNT.address(0)
    assert (leaf.id, leaf.path) == (ACCOUNT.address(1), "0/1")
    assert leaf.id in till.chain.watched


async def test_nothing_derives_from_a_single_address(till: Till) -> None:
    wallet, _ = await till.wallets.create(single(), principal="p", key="k")

    with pytest.raises(NoAddresses):
        await till.wallets.derive(wallet.id, WANTED)


@pytest.mark.parametrize(
    "fields",
    [
        {"wallet_type": "cold"},
        {"wallet_type": "multisig", "account_public_key": xpub()},
        {"wallet_type": "hot", "address": CUSTOMER},
        {"address": CUSTOMER},
        {"wallet_type": "watch_only", "address": CUSTOMER, "role": "treasury"},
        {"wallet_type": "cold", "address": CUSTOMER[:-1] + "1"},
        {"wallet_type": "brain"},
    ],
)
def test_a_request_that_does_not_say_where_the_keys_are_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        WalletRequest.model_validate({"user_id": "ada"} | fields)


async def test_an_address_that_is_not_of_the_account_is_refused(till: Till) -> None:
    with pytest.raises(InvalidFields, match="address"):
        await till.wallets.create(account(address=CUSTOMER), principal="p", key="k")
    wrong = account(account_public_key="xpub-nonsense")
    with pytest.raises(InvalidFields, match="account_public_key"):
        await till.wallets.create(wrong, principal="p", key="k")

    assert till.chain.watched == set()


async def test_an_address_belongs_to_one_wallet(till: Till) -> None:
    ours, _ = await till.wallets.create(WalletRequest(user_id="a"), principal="p", key="k")
    leaf, _ = await till.wallets.derive(ours.id, WANTED)

    for taken in (ours.address, leaf.id):
        again = WalletRequest(user_id="a", wallet_type=WalletType.COLD, address=taken)
        with pytest.raises(AddressTaken):
            await till.wallets.create(again, principal="p", key=taken)


async def test_watching_addresses_of_the_tree_ahead_does_not_stop_it(till: Till) -> None:
    """Whoever knows the tree cannot use up its next account or its next leaf."""
    tree = till.vault.branch(0)
    for index in (0, 1):
        ahead = WalletRequest(
            user_id="a", wallet_type=WalletType.WATCH_ONLY, address=tree.address(index)
        )
        await till.wallets.create(ahead, principal="p", key=f"w{index}")

    first, _ = await till.wallets.create(WalletRequest(user_id="a"), principal="p", key="k")

    assert first.account == 1
    assert first.address == till.vault.branch(1).address(0)


async def test_a_leaf_that_is_watched_as_a_wallet_is_skipped(till: Till) -> None:
    ours, _ = await till.wallets.create(WalletRequest(user_id="a"), principal="p", key="k")
    ahead = till.vault.branch(0).address(1)
    request = WalletRequest(user_id="a", wallet_type=WalletType.WATCH_ONLY, address=ahead)
    await till.wallets.create(request, principal="p", key="w")

    leaf, _ = await till.wallets.derive(ours.id, WANTED)

    assert leaf.index == 2


async def test_a_watch_only_wallet_takes_no_sends(till: Till) -> None:
    wallet, _ = await till.wallets.create(single(WalletType.WATCH_ONLY), principal="p", key="k")

    (result,) = await till.accept(intent(wallet_id=wallet.id))

    assert result.send is None
    assert result.problem is not None
    assert result.problem.code == CannotSign.code


@pytest.mark.parametrize("type_", [WalletType.COLD, WalletType.HARDWARE, WalletType.MULTISIG])
async def test_h7_a_wallet_whose_key_is_elsewhere_leaves_unsigned(
    till: Till, type_: WalletType
) -> None:
    request = WalletRequest(
        user_id="op", wallet_type=type_, address=ACCOUNT.address(0), role=WalletRole.TREASURY
    )
    wallet, _ = await till.wallets.create(request, principal="p", key="k")
    for currency in Currency:
        await till.deposit(wallet.address, 1_000 * TRX, currency)

    send = await till.signed(intent(wallet_id=wallet.id))

    assert send.state is SendState.AWAITING_SIGNATURE
    (attempt,) = await till.attempts(send)
    assert attempt.signature == ""
