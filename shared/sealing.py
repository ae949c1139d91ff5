"""Sealed copies: anybody with the public key can make one, only the recovery key opens it.

The recovery key is an X25519 private key that is shown once and kept off the machine (hazard H25).
A sealed file is a header with an ephemeral public key, then pieces under ChaCha20-Poly1305 whose
nonces count and mark the last one, so that a truncated or reordered file does not open.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"lucid-sealed-1\n"
PIECE_BYTES: Final = 1_048_576
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16


class NotOpened(Exception):
    """The file does not open: another key, or it is damaged, cut off or no sealed file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """A fresh pair: the public half stays, the secret half is shown once.

    Attributes:
        public: 64 hex digits.
        secret: 64 hex digits.
    """

    public: str
    secret: str = field(repr=False)


def new_recovery_key() -> RecoveryKey:
    """Make a pair."""
    private = X25519PrivateKey.generate()
    return RecoveryKey(
        public=private.public_key().public_bytes_raw().hex(),
        secret=private.private_bytes_raw().hex(),
    )


def seal(plain: Path, sealed: Path, *, public: str) -> str:
    """Seal a file for a public key; returns the SHA-256 of the sealed file.

    Raises:
        FileExistsError: there is something at ``sealed`` already.
        ValueError: the public key is not 64 hex digits.
    """
    recipient = X25519PublicKey.from_public_bytes(bytes.fromhex(public))
    ephemeral = X25519PrivateKey.generate()
    own = ephemeral.public_key().public_bytes_raw()
    cipher = _cipher(ephemeral.exchange(recipient), own, bytes.fromhex(public))
    digest = sha256()
    descriptor = os.open(sealed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out, plain.open("rb") as source:
        for part in (MAGIC + own, *_sealed_pieces(source, cipher)):
            out.write(part)
            digest.update(part)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def unseal(sealed: Path, plain: Path, *, secret: str) -> None:
    """Open a sealed file with the recovery key; nothing is left behind if it does not open.

    Raises:
        NotOpened: it does not open.
        FileExistsError: there is something at ``plain`` already.
    """
    try:
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    except ValueError:
        raise NotOpened("a recovery key is 64 hex digits") from None
    descriptor = os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out, sealed.open("rb") as source:
            for piece in _opened_pieces(source, private):
                out.write(piece)
    except (InvalidTag, NotOpened):
        plain.unlink()
        raise NotOpened("the file does not open with this key, or it is damaged") from None


def _cipher(shared: bytes, ephemeral: bytes, recipient: bytes) -> ChaCha20Poly1305:
    derived = HKDF(
        algorithm=SHA256(), length=KEY_BYTES, salt=ephemeral + recipient, info=b"lucid sealed copy"
    ).derive(shared)
    return ChaCha20Poly1305(derived)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _pieces(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    number, piece = 0, source.read(size)
    while True:
        following = source.read(size)
        yield number, piece, not following
        if not following:
            return
        number, piece = number + 1, following


def _sealed_pieces(source: BinaryIO, cipher: ChaCha20Poly1305) -> Iterator[bytes]:
    for number, piece, last in _pieces(source, PIECE_BYTES):
        yield cipher.encrypt(_nonce(number, last=last), piece, MAGIC)


def _opened_pieces(source: BinaryIO, private: X25519PrivateKey) -> Iterator[bytes]:
    header = source.read(len(MAGIC) + KEY_BYTES)
    if len(header) != len(MAGIC) + KEY_BYTES or not header.startswith(MAGIC):
        raise NotOpened("this is no sealed file")
    ephemeral = header[len(MAGIC) :]
    shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    cipher = _cipher(shared, ephemeral, private.public_key().public_bytes_raw())
    for number, piece, last in _pieces(source, PIECE_BYTES + TAG_BYTES):
        yield cipher.decrypt(_nonce(number, last=last), piece, MAGIC)
