import copy
import json
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import base58
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.tron.hd import (
    HARDENED,
    AccountPublicKey,
    InvalidDerivation,
    InvalidPhrase,
    PrivateNode,
    phrase_from_entropy,
    seed_from_phrase,
)
from shared.tron.signing import InvalidKey

H = HARDENED
PHRASE = "abandon " * 11 + "about"
SEED = seed_from_phrase(PHRASE)

VECTORS = json.loads(Path(__file__).with_name("bip32_vectors.json").read_text())


def node_at(seed: str, path: str) -> PrivateNode:
    steps = path.split("/")[1:]
    indexes = [int(step.rstrip("'")) + (H if step.endswith("'") else 0) for step in steps]
    return PrivateNode.from_seed(bytes.fromhex(seed)).derive(*indexes)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["path"])
def test_private_derivation_follows_the_vectors_of_bip_32(vector: dict[str, str]) -> None:
    expected = base58.b58decode_check(vector["xprv"])
    node = node_at(vector["seed"], vector["path"])
    assert node._chain_code == expected[13:45]
    assert node._key.secret == expected[46:]


@pytest.mark.parametrize("vector", [each for each in VECTORS if "xpub" in each])
def test_public_derivation_follows_the_vectors_of_bip_32(vector: dict[str, str]) -> None:
    expected = base58.b58decode_check(vector["xpub"])
    parent, _, index = vector["path"].rpartition("/")
    child = node_at(vector["seed"], parent).public().child(int(index))
    assert child.to_bytes() == expected[45:] + expected[13:45]


def test_the_well_known_phrase_has_its_published_addresses_and_key() -> None:
    account = PrivateNode.from_seed(SEED).account(coin_type=195, account=0)
    addresses = [account.public().address(index) for index in range(3)]
    assert addresses == [
        "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH",
        "TSeJkUh4Qv67VNFwY8LaAxERygNdy6NQZK",
        "TYJPRrdB5APNeRs4R7fYZSwW3TcrTKw2gx",
    ]
    secret = account.derive(0, 0)._key.secret.hex()
    assert secret == "b5a4cea271ff424d7c31dc12a3e43e401df7a40d7412a15750f3f0b6b5449a28"


@settings(max_examples=25)
@given(
    st.binary(min_size=16, max_size=64),
    st.sampled_from([1, 195]),
    st.integers(0, H - 1),
    st.integers(0, 1),
    st.integers(0, H - 1),
)
def test_public_and_private_derivation_agree(
    seed: bytes, coin_type: int, number: int, change: int, index: int
) -> None:
    account = PrivateNode.from_seed(seed).account(coin_type=coin_type, account=number)
    public = AccountPublicKey.from_bytes(account.public().to_bytes())
    assert public == account.public()
    assert (
        public.address(index, change=change) == account.derive(change, index).signing_key().address
    )


@pytest.mark.parametrize("length", [16, 20, 24, 28, 32])
def test_entropy_becomes_a_phrase_that_is_accepted(length: int) -> None:
    phrase = phrase_from_entropy(bytes(range(length)))
    assert len(phrase.split()) == length * 3 // 4
    assert len(seed_from_phrase(phrase)) == 64


def test_a_phrase_and_its_passphrase_give_the_seed_of_bip_39() -> None:
    assert phrase_from_entropy(bytes(16)) == PHRASE
    assert seed_from_phrase(f"  {PHRASE.replace(' ', '  ')}\n", "TREZOR").hex() == (
        "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553"
        "1f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04"
    )


@pytest.mark.parametrize(
    "phrase",
    ["", "abandon", "abandon " * 12, "abandon " * 11 + "secretword", "ABANDON " * 11 + "about",
     "abandon " * 10 + "about"],
)  # fmt: skip
def test_a_wrong_phrase_is_refused_and_never_repeated(phrase: str) -> None:
    with pytest.raises(InvalidPhrase) as caught:
        seed_from_phrase(phrase)
    told = "".join(traceback.format_exception(caught.value))
    assert "secretword" not in told
    assert "abandon abandon" not in told


@pytest.mark.parametrize("length", [0, 15, 17, 33])
def test_entropy_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidDerivation):
        phrase_from_entropy(bytes(length))


@pytest.mark.parametrize("length", [0, 15, 65])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidDerivation):
        PrivateNode.from_seed(bytes(length))


def test_a_node_needs_a_key_and_a_chain_code() -> None:
    with pytest.raises(InvalidDerivation):
        PrivateNode(b"\1" * 32, bytes(31))
    with pytest.raises(InvalidKey):
        PrivateNode(bytes(32), bytes(32))


@pytest.mark.parametrize("index", [-1, 2 * H, True])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    master = PrivateNode.from_seed(SEED)
    with pytest.raises(InvalidDerivation):
        master.child(index)
    with pytest.raises(InvalidDerivation):
        master.public().child(index)
    with pytest.raises(InvalidDerivation):
        master.account(coin_type=195, account=index)


def test_hardened_children_need_the_private_key() -> None:
    with pytest.raises(InvalidDerivation):
        PrivateNode.from_seed(SEED).public().child(H)


@pytest.mark.parametrize("data", [b"", bytes(65), b"\2" * 64, b"\2" * 66, b"\2" + b"\xff" * 64])
def test_what_is_no_account_key_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidDerivation):
        AccountPublicKey.from_bytes(data)


def test_nodes_show_no_secret() -> None:
    node = PrivateNode.from_seed(SEED)
    assert repr(node) == str(node) == f"{node}" == "PrivateNode(…)"
    assert node._chain_code.hex() not in repr(node.public())
    assert repr(node._chain_code) not in repr(node.public())


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_private_node_stays_where_it_is(leave: Callable[[PrivateNode], object]) -> None:
    with pytest.raises(TypeError):
        leave(PrivateNode.from_seed(SEED))
