"""Accounts whose keys are kept elsewhere, as their owner hands them over: BIP-32 extended public keys."""

from typing import Final

import base58

from shared.tron.hd import AccountPublicKey, InvalidDerivation

XPUB_VERSION: Final = bytes.fromhex("0488b21e")
XPUB_BYTES: Final = 78
ACCOUNT_DEPTH: Final = 3
"""m/44'/coin'/account' (BIP-44)."""


class InvalidBranch(ValueError):
    """A text that is no extended public key of an account; it is never repeated in the message."""


def branch_from_xpub(text: str) -> AccountPublicKey:
    """Read the public half of an account from an "xpub…" text.

    Raises:
        InvalidBranch: another version (a private key among them), a wrong checksum or point, or a key
            that is not that of an account.

    Source: BIP-32, serialization format.
    """
    try:
        raw = base58.b58decode_check(text)
    except ValueError:
        raise InvalidBranch("it is no base58 text whose checksum fits") from None
    if len(raw) != XPUB_BYTES or raw[:4] != XPUB_VERSION:
        raise InvalidBranch("it is no extended public key (xpub)")
    if raw[4] != ACCOUNT_DEPTH:
        raise InvalidBranch("it is not the key of an account, three levels below the root")
    try:
        return AccountPublicKey(chain_code=raw[13:45], public_key=raw[45:])
    except InvalidDerivation as error:
        raise InvalidBranch(error.reason) from None
