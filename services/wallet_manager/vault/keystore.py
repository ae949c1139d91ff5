"""One private key under a passphrase of its own: Web3 Secret Storage, version 3.

TRON's and Ethereum's tools read it alike; the address inside is TRON's.
"""

import os
from typing import Any, Final
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from services.wallet_manager.vault.sealing import wipe
from shared.tron.address import Address
from shared.tron.keccak import keccak256

Keystore = dict[str, Any]

VERSION: Final = 3
SCRYPT_N: Final = 2**17
"""128 MiB with r = 8 (OWASP's first choice for scrypt)."""

SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
DERIVED_BYTES: Final = 32
HALF: Final = 16
SALT_BYTES: Final = 32
IV_BYTES: Final = 16


def sealed_keystore(
    secret: bytes,
    passphrase: bytearray,
    *,
    address: Address,
    salt: bytes | None = None,
    iv: bytes | None = None,
    scrypt_n: int = SCRYPT_N,
) -> Keystore:
    """Return a keystore file as an object of JSON.

    Args:
        secret: 32 bytes.
        passphrase: opens it; the caller wipes it.
        address: of the key.
        salt: 32 bytes; fresh ones by default.
        iv: 16 bytes; fresh ones by default.
        scrypt_n: cost, a power of two.

    Source: Web3 Secret Storage Definition, version 3 (aes-128-ctr, scrypt, keccak-256).
    """
    salt, iv = salt or os.urandom(SALT_BYTES), iv or os.urandom(IV_BYTES)
    kdf = Scrypt(salt=salt, length=DERIVED_BYTES, n=scrypt_n, r=SCRYPT_R, p=SCRYPT_P)
    derived = bytearray(kdf.derive(bytes(passphrase)))
    encryptor = Cipher(AES(bytes(derived[:HALF])), CTR(iv)).encryptor()
    ciphertext = encryptor.update(secret) + encryptor.finalize()
    mac = keccak256(bytes(derived[HALF:]) + ciphertext)
    wipe(derived)
    return {
        "version": VERSION,
        "id": str(uuid4()),
        "address": address,
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": DERIVED_BYTES,
                "n": scrypt_n,
                "r": SCRYPT_R,
                "p": SCRYPT_P,
                "salt": salt.hex(),
            },
            "mac": mac.hex(),
        },
    }
