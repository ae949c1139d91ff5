import copy
import pickle
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import pytest

from services.wallet_manager.domain.sends import STAMP_FLOOR_MS
from services.wallet_manager.vault import (
    MARK_ID,
    SEED_ID,
    Leaf,
    SealedSecret,
    SignatureRefused,
    Vault,
    VaultLocked,
    WrongMasterKey,
    leaf_address,
    new_seed,
    parse_master_key,
)
from services.wallet_manager.vault.records import Argon2
from services.wallet_manager.vault.wrapping import open_secret, stretch
from shared.config import ConfigurationMissing
from shared.tron.decoding import IntentMismatch, decode_raw_data
from shared.tron.hd import PrivateNode, seed_from_phrase
from shared.tron.networks import FACTS, Network
from shared.tron.operation import InvalidOperation, ReferenceBlock, TransferTrx
from shared.tron.signing import verify_signature
from tests.services.wallet_manager.till import CUSTOMER, MASTER_KEY, TRX, block
from tests.support import START_MS

REFERENCE = ReferenceBlock(height=80, block_id=block(80).block_id)


Secrets = tuple[SealedSecret, ...]


def sealed_here() -> tuple[Secrets, str]:
    founding, words = new_seed(MASTER_KEY, network="devnet", at_ms=START_MS)
    return founding.secrets, words


def opened(
    sealed: Sequence[SealedSecret],
    *,
    network: Network = Network.DEVNET,
    master_key: bytes = MASTER_KEY,
) -> Vault:
    vault = Vault(network=network.value, coin_type=FACTS[network].coin_type)
    vault.open(master_key, sealed)
    return vault


def with_changes(secrets: Secrets, id_: str, **changes: object) -> Secrets:
    return tuple(
        replace(record, **changes) if record.id == id_ else record  # type: ignore[arg-type]
        for record in secrets
    )


def flipped(text: str, at: int) -> str:
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def test_a_sealed_seed_opens_to_the_words_that_were_shown() -> None:
    sealed, words = sealed_here()
    tree = PrivateNode.from_seed(seed_from_phrase(words))

    assert len(words.split()) == 24
    assert opened(sealed).branch(3) == tree.account(coin_type=1, account=3).public()


def test_a_sealed_seed_holds_no_word_of_it() -> None:
    sealed, words = sealed_here()

    entropy = open_secret(MASTER_KEY, sealed[0], network="devnet")
    assert not set(words.split()) & set(repr(sealed).split())
    assert entropy.hex() not in repr(sealed)


def test_two_seeds_differ() -> None:
    assert sealed_here()[1] != sealed_here()[1]


def test_another_master_key_is_refused() -> None:
    sealed, _ = sealed_here()

    with pytest.raises(WrongMasterKey):
        opened(sealed, master_key=bytes(32))


def test_h17_a_seed_of_another_network_is_refused_whatever_its_record_says() -> None:
    sealed, _ = sealed_here()

    with pytest.raises(WrongMasterKey):
        opened(sealed, network=Network.MAINNET)
    with pytest.raises(WrongMasterKey):
        opened([replace(one, network="mainnet") for one in sealed], network=Network.MAINNET)


@pytest.mark.parametrize("id_", [SEED_ID, MARK_ID])
@pytest.mark.parametrize("field", ["wrapped_key", "sealed"])
@pytest.mark.parametrize("damage", ["first", "last", "short", "empty", "no hex"])
def test_a_tampered_secret_is_refused(id_: str, field: str, damage: str) -> None:
    sealed, _ = sealed_here()
    text = next(str(getattr(record, field)) for record in sealed if record.id == id_)
    damaged = {
        "first": flipped(text, 0),
        "last": flipped(text, len(text) - 1),
        "short": text[:16],
        "empty": "",
        "no hex": "z" + text[1:],
    }[damage]

    with pytest.raises(WrongMasterKey):
        opened(with_changes(sealed, id_, **{field: damaged}))


def test_swapped_parts_of_a_secret_are_refused() -> None:
    first, second = sealed_here()[0], sealed_here()[0]

    with pytest.raises(WrongMasterKey):
        opened(with_changes(first, SEED_ID, sealed=second[0].sealed))


def test_one_secret_cannot_stand_in_for_another() -> None:
    sealed, _ = sealed_here()
    crossed = [
        replace(one, wrapped_key=other.wrapped_key, sealed=other.sealed)
        for one, other in zip(sealed, reversed(sealed), strict=True)
    ]

    with pytest.raises(WrongMasterKey):
        opened(crossed)


def test_a_secret_is_bound_to_its_generation() -> None:
    sealed, _ = sealed_here()

    with pytest.raises(WrongMasterKey):
        opened(with_changes(sealed, SEED_ID, generation=2))


@pytest.mark.parametrize("missing", [SEED_ID, MARK_ID])
def test_a_vault_without_one_of_its_secrets_does_not_open(missing: str) -> None:
    sealed, _ = sealed_here()

    with pytest.raises(WrongMasterKey):
        opened([one for one in sealed if one.id != missing])


def test_a_locked_vault_has_no_key_left() -> None:
    sealed, _ = sealed_here()
    vault = opened(sealed)
    owner = leaf_address(vault.branch(0), 0)
    leaf = Leaf(account=0, index=0)

    vault.lock()

    assert repr(vault) == "Vault(locked)"
    with pytest.raises(VaultLocked):
        vault.branch(0)
    with pytest.raises(VaultLocked):
        vault.stamp_ms("a:b:0", 1, floor_of_ms=START_MS)
    with pytest.raises(VaultLocked):
        vault.sign(
            TransferTrx(owner=owner, to=CUSTOMER, amount_sun=TRX),
            leaf=leaf,
            reference=REFERENCE,
            expiration_ms=START_MS + 60_000,
            timestamp_ms=START_MS,
            fee_limit_sun=0,
        )


def test_locking_overwrites_the_key_of_the_marks_and_forgets_derived_keys() -> None:
    sealed, _ = sealed_here()
    vault = opened(sealed)
    keys = vault._keys()
    keys.signing_key(Leaf(account=0, index=0))

    vault.lock()

    assert keys.mark_key == bytes(32)
    assert keys.signing_key.cache_info().currsize == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": "zz"},
        {"salt": ""},
        {"memory_kib": 1 << 30},
        {"memory_kib": 8},
        {"iterations": 0},
        {"lanes": 1_000},
    ],
)
def test_altered_parameters_of_a_passphrase_cost_nothing(changes: dict[str, object]) -> None:
    parameters = Argon2(salt="00" * 16, memory_kib=19_456, iterations=3, lanes=1)

    with pytest.raises(WrongMasterKey):
        stretch(bytearray(b"correct horse"), replace(parameters, **changes))  # type: ignore[arg-type]


def test_a_vault_shows_nothing_of_itself() -> None:
    sealed, _ = sealed_here()
    vault = opened(sealed)

    assert repr(vault) == str(vault) == f"{vault}" == "Vault(open)"
    assert not hasattr(vault, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(vault)
    with pytest.raises(TypeError):
        copy.deepcopy(vault)


def test_h17_mainnet_keys_lie_under_another_coin() -> None:
    founding, words = new_seed(MASTER_KEY, network="mainnet", at_ms=START_MS)
    tree = PrivateNode.from_seed(seed_from_phrase(words))

    mainnet = opened(founding.secrets, network=Network.MAINNET).branch(0)

    assert mainnet == tree.account(coin_type=195, account=0).public()
    assert mainnet != tree.account(coin_type=1, account=0).public()
    assert {FACTS[one].coin_type for one in Network if one is not Network.MAINNET} == {1}


def test_addresses_from_the_public_branch_are_those_of_the_keys() -> None:
    sealed, words = sealed_here()
    branch = opened(sealed).branch(2)
    account = PrivateNode.from_seed(seed_from_phrase(words)).account(coin_type=1, account=2)

    for index in (0, 1, 7, 1_000):
        private = account.derive(0, index).signing_key().address
        assert leaf_address(branch, index) == private


def test_what_is_signed_is_what_was_meant() -> None:
    sealed, _ = sealed_here()
    vault = opened(sealed)
    owner = leaf_address(vault.branch(0), 0)
    operation = TransferTrx(owner=owner, to=CUSTOMER, amount_sun=TRX)

    signed = vault.sign(
        operation,
        leaf=Leaf(account=0, index=0),
        reference=REFERENCE,
        expiration_ms=START_MS + 60_000,
        timestamp_ms=START_MS,
        fee_limit_sun=0,
    )

    assert decode_raw_data(signed.raw_data).operation == operation
    assert signed.txid == sha256(signed.raw_data).hexdigest()
    assert verify_signature(owner, bytes.fromhex(signed.txid), signed.signature)


@pytest.mark.parametrize("leaf", [Leaf(account=0, index=1), Leaf(account=1, index=0)])
def test_the_key_of_another_leaf_signs_nothing(leaf: Leaf) -> None:
    sealed, _ = sealed_here()
    vault = opened(sealed)
    owner = leaf_address(vault.branch(0), 0)

    with pytest.raises(SignatureRefused):
        vault.sign(
            TransferTrx(owner=owner, to=CUSTOMER, amount_sun=TRX),
            leaf=leaf,
            reference=REFERENCE,
            expiration_ms=START_MS + 60_000,
            timestamp_ms=START_MS,
            fee_limit_sun=0,
        )


def test_an_impossible_envelope_is_not_signed() -> None:
    sealed, _ = sealed_here()
    vault = opened(sealed)
    owner = leaf_address(vault.branch(0), 0)

    with pytest.raises((InvalidOperation, IntentMismatch)):
        vault.sign(
            TransferTrx(owner=owner, to=CUSTOMER, amount_sun=TRX),
            leaf=Leaf(account=0, index=0),
            reference=REFERENCE,
            expiration_ms=START_MS - 1,
            timestamp_ms=START_MS,
            fee_limit_sun=0,
        )


def test_h6_marks_are_a_floor_and_a_secret_of_the_installation() -> None:
    sealed, _ = sealed_here()
    here = opened(sealed)
    elsewhere = opened(sealed_here()[0])

    stamp = here.stamp_ms("a:b:0", 1, floor_of_ms=START_MS)

    assert START_MS - STAMP_FLOOR_MS < stamp < START_MS + STAMP_FLOOR_MS
    assert here.stamp_ms("a:b:0", 1, floor_of_ms=stamp) == stamp
    assert here.stamp_ms("a:b:0", 2, floor_of_ms=START_MS) != stamp
    assert here.stamp_ms("a:b:1", 1, floor_of_ms=START_MS) != stamp
    assert elsewhere.stamp_ms("a:b:0", 1, floor_of_ms=START_MS) != stamp


@pytest.mark.parametrize("secret", [b"", b"00", b"g" * 64, b"00" * 33, "é".encode() * 32])
def test_a_master_key_is_64_hex_digits(secret: bytes) -> None:
    with pytest.raises(ConfigurationMissing) as refusal:
        parse_master_key(secret)

    assert secret.decode() not in str(refusal.value) or not secret


def test_a_master_key_may_end_in_a_line_break() -> None:
    assert parse_master_key(MASTER_KEY.hex().encode() + b"\n") == MASTER_KEY
