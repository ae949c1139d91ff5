"""Messages as TronWeb 6.5.1 signs them (signMessageV2), with the key of 32 bytes 01."""

from hashlib import sha256

import pytest

from shared.tron.signing import SigningKey
from shared.tron.tip191 import MAX_MESSAGE_BYTES, MessageTooLong, message_signer, tip191_digest

KEY = SigningKey(bytes([1]) * 32)
VECTORS = {
    b"": (
        "a5970e6388fb8de0da85ab5f79e6bbb74d7205f5a778573c48afa7bab7da45de"
        "17af366366f2c1c529056c4a42b6868c81af0198ecb8f1a2124044a3d4a356aa1c"
    ),
    b"hello world": (
        "776e75510546b89a3ae67dbc1e8fd93bebafd8ea88ffb4ef2eebd9b900fea8ea"
        "592b05c84e50e37d6424087b2be0ce6b6f1ffd9d5d48312c3cac2db1a644a6ea1b"
    ),
    "Grüße, 世界 🪙".encode(): (
        "9ffab0e982c8e3b503857cb816c7873a0f91772ee930859282f45bb9be3893ea"
        "137654a80021cae7a5e613fa9f89920d024d1578067e2ade70323fdd510f3d861c"
    ),
    bytes(range(32)): (
        "17bc084346ac3fe52f372cfeda53d824f2c927de6aa783ffd940538e6c5d8c9e"
        "17676de691917bee777855e77e2e6517d842c4ec6992628f57ccbd7e13d4a3e41b"
    ),
    b"\x00\x19TRON Signed Message:\n5hello": (
        "0da8c65acf7a71981b14bcfcf90d474be72038552e3af5aaf59db0360901efc5"
        "709dc7ab909fec80a2741c98e50ac4baa5e1c58f096e5b84697b73d0af79feb71c"
    ),
    b"a" * 1_000: (
        "7f94838dbe9b2138fe80840088441e096859e2e30e212a901679d8978b618c16"
        "478cc0f7d0dce65f3e2902f8fc3e3447bb5753f38addb3ab5f83a44e541412dd1b"
    ),
}


@pytest.mark.parametrize("message", VECTORS, ids=range(len(VECTORS)))
def test_a_message_is_signed_as_tronweb_signs_it(message: bytes) -> None:
    signature = KEY.sign(tip191_digest(message))

    assert signature.hex() == VECTORS[message]
    assert message_signer(message, signature) == KEY.address
    assert message_signer(message + b" ", signature) != KEY.address


def test_no_message_is_signed_as_a_transaction_with_its_bytes_is() -> None:
    for message in VECTORS:
        assert tip191_digest(message) != sha256(message).digest()


def test_bytes_that_no_key_made_have_no_signer() -> None:
    for garbage in (b"", bytes(64), bytes(65), b"\xff" * 65, bytes(66)):
        assert message_signer(b"hello world", garbage) is None


def test_a_message_has_a_greatest_length() -> None:
    assert tip191_digest(bytes(MAX_MESSAGE_BYTES))
    with pytest.raises(MessageTooLong):
        tip191_digest(bytes(MAX_MESSAGE_BYTES + 1))
