"""Messages signed by the key of an address (TIP-191 version 2), as TronWeb and TronLink sign them.

What is signed is keccak256 of a prefix that begins with 0x19, the length and the message. A transaction is
signed as sha256 of its raw data, so no message is ever one, whatever it says.
"""

from typing import Final

from shared.tron.address import Address
from shared.tron.signing import InvalidSignature, message_digest, recover_address

MAX_MESSAGE_BYTES: Final = 16_384


class MessageTooLong(ValueError):
    """A message of more than ``MAX_MESSAGE_BYTES``."""

    def __init__(self) -> None:
        super().__init__(f"a message has at most {MAX_MESSAGE_BYTES} bytes")


def tip191_digest(message: bytes) -> bytes:
    """Return the 32 bytes to sign for a message; raises MessageTooLong.

    Source: TIP-191; TronWeb signMessageV2.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        raise MessageTooLong
    return message_digest(message)


def message_signer(message: bytes, signature: bytes) -> Address | None:
    """Return whose key signed a message, or None for 65 bytes that no key has made over anything.

    Raises:
        MessageTooLong: the message is longer than anything that is signed here.

    Source: TronWeb verifyMessageV2.
    """
    try:
        return recover_address(tip191_digest(message), signature)
    except InvalidSignature:
        return None
