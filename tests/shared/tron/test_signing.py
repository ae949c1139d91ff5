import copy
import pickle
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tronpy.keys import PrivateKey

from shared.tron.signing import (
    InvalidKey,
    InvalidSignature,
    SigningKey,
    message_digest,
    recover_address,
    verify_signature,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECRET = bytes.fromhex("b5a4cea271ff424d7c31dc12a3e43e401df7a40d7412a15750f3f0b6b5449a28")
DIGEST = sha256(b"something to sign").digest()


def test_private_key_one_has_its_published_address() -> None:
    key = SigningKey((1).to_bytes(32, "big"))
    assert key.address == "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"


def test_a_message_has_its_published_digest() -> None:
    expected = "cf02daeb2bea196ed5692322a66ed50080ce74ff8cb711199f1b04f3c13bc10d"
    assert message_digest(b"hello world").hex() == expected


@given(st.binary(max_size=200))
def test_message_signatures_are_those_of_tronpy(message: bytes) -> None:
    theirs = bytes.fromhex(PrivateKey(SECRET).sign_msg_hash(message_digest(message)).hex())
    ours = SigningKey(SECRET).sign(message_digest(message))
    assert ours[:64] == theirs[:64]
    assert ours[64] == theirs[64] + 27


@given(st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32))
def test_a_signature_names_its_signer(secret: int, digest: bytes) -> None:
    key = SigningKey(secret.to_bytes(32, "big"))
    signature = key.sign(digest)
    assert len(signature) == 65
    assert signature[64] in {0x1B, 0x1C}
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert recover_address(digest, signature) == key.address
    assert recover_address(digest, signature[:64] + bytes([signature[64] - 27])) == key.address
    assert verify_signature(key.address, digest, signature)
    assert key.sign(digest) == signature


@given(st.integers(0, 65 * 8 - 1))
def test_a_changed_signature_is_not_the_signers(bit: int) -> None:
    key = SigningKey(SECRET)
    changed = bytearray(key.sign(DIGEST))
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify_signature(key.address, DIGEST, bytes(changed))


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(64), bytes(65), bytes(66), b"\xff" * 65, bytes(64) + b"\x1b", b"\1" * 64 + b"\x1f"],
)
def test_malformed_signatures_are_refused(signature: bytes) -> None:
    address = SigningKey(SECRET).address
    assert not verify_signature(address, DIGEST, signature)
    with pytest.raises(InvalidSignature):
        recover_address(DIGEST, signature)


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33)])
def test_only_digests_are_signed_or_recovered_from(digest: bytes) -> None:
    key = SigningKey(SECRET)
    with pytest.raises(InvalidSignature):
        key.sign(digest)
    with pytest.raises(InvalidSignature):
        recover_address(digest, key.sign(DIGEST))


@pytest.mark.parametrize(
    "secret",
    [b"", bytes(32), b"\1" * 31, b"\1" * 33, ORDER.to_bytes(32, "big"), b"\xff" * 32],
)
def test_what_is_no_key_is_refused_without_being_repeated(secret: bytes) -> None:
    with pytest.raises(InvalidKey) as caught:
        SigningKey(secret)
    assert str(caught.value) == "not a secp256k1 private key"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_key_shows_its_address_and_nothing_else() -> None:
    key = SigningKey(SECRET)
    shown = f"SigningKey({key.address})"
    assert {repr(key), str(key), f"{key}", f"{key!r}"} == {shown}
    assert not hasattr(key, "__dict__")


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_stays_where_it_is(leave: Callable[[SigningKey], object]) -> None:
    with pytest.raises(TypeError):
        leave(SigningKey(SECRET))
