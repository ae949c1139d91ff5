"""Sealed copies: anybody with the public key can make one, only the recovery key opens it.

The recovery key is an X25519 private key that is shown once and kept off the machine (hazard H25).
A sealed file is a header with an ephemeral public key, then pieces under ChaCha20-Poly1305 whose
nonces count and mark the last one, so that a truncated or reordered file does not open. Files are
read and written piece by piece: what they take up in memory does not grow with them.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiofiles
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"lucid-sealed-1\n"
PIECE_BYTES: Final = 1_048_576
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16

Progress = Callable[[int], None]
"""Is told how many bytes of the plain file were dealt with since the last time."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A sealed file that is on disk for good.

    Attributes:
        sha256: digest of the sealed file.
        size_bytes: its size.
    """

    sha256: str
    size_bytes: int


def new_recovery_key() -> RecoveryKey:
    """Make a pair."""
    private = X25519PrivateKey.generate()
    return RecoveryKey(
        public=private.public_key().public_bytes_raw().hex(),
        secret=private.private_bytes_raw().hex(),
    )


def parse_recovery_key(text: str) -> str:
    """Return a recovery key's secret half as it was typed or read from a file.

    Raises:
        NotOpened: it is no such key.
    """
    secret = text.strip().lower()
    with contextlib.suppress(ValueError):
        if len(bytes.fromhex(secret)) == KEY_BYTES:
            return secret
    raise NotOpened("a recovery key is 64 hex digits")


def sealed_size(plain_bytes: int) -> int:
    """Return how large the sealed copy of a file is."""
    pieces = max(1, -(-plain_bytes // PIECE_BYTES))
    return len(MAGIC) + KEY_BYTES + plain_bytes + pieces * TAG_BYTES


async def seal(
    plain: Path, sealed: Path, *, public: str, progress: Progress = lambda _: None
) -> Sealed:
    """Seal a file for a public key; it has its name only once it is complete and on disk.

    Raises:
        FileExistsError: there is something at ``sealed`` already.
        ValueError: the public key is not 64 hex digits.
        OSError: it cannot be read or written; nothing is left behind.
    """
    recipient = X25519PublicKey.from_public_bytes(bytes.fromhex(public))
    ephemeral = X25519PrivateKey.generate()
    own = ephemeral.public_key().public_bytes_raw()
    cipher = _cipher(ephemeral.exchange(recipient), own, bytes.fromhex(public))
    digest, size = sha256(MAGIC + own), len(MAGIC + own)
    async with _new_file(sealed) as out, aiofiles.open(plain, "rb") as source:
        await out.write(MAGIC + own)
        async for number, piece, last in _pieces(source, PIECE_BYTES):
            nonce = _nonce(number, last=last)
            part = await asyncio.to_thread(cipher.encrypt, nonce, piece, MAGIC)
            await out.write(part)
            digest.update(part)
            size += len(part)
            progress(len(piece))
    return Sealed(sha256=digest.hexdigest(), size_bytes=size)


async def unseal(
    sealed: Path, plain: Path, *, secret: str, progress: Progress = lambda _: None
) -> None:
    """Open a sealed file with the recovery key; nothing is left behind if it does not open.

    Raises:
        NotOpened: it does not open.
        FileExistsError: there is something at ``plain`` already.
        OSError: it cannot be read or written; nothing is left behind.
    """
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(parse_recovery_key(secret)))
    async with _new_file(plain) as out, aiofiles.open(sealed, "rb") as source:
        cipher = _opener(await source.read(len(MAGIC) + KEY_BYTES), private)
        async for number, piece, last in _pieces(source, PIECE_BYTES + TAG_BYTES):
            nonce = _nonce(number, last=last)
            try:
                opened = await asyncio.to_thread(cipher.decrypt, nonce, piece, MAGIC)
            except InvalidTag:
                raise NotOpened(
                    f"{sealed.name} does not open with this key, or it is damaged or cut off"
                ) from None
            await out.write(opened)
            progress(len(opened))


async def file_digest(path: Path, *, progress: Progress = lambda _: None) -> str:
    """Return the SHA-256 of a file."""
    digest = sha256()
    async with aiofiles.open(path, "rb") as source:
        while piece := await source.read(PIECE_BYTES):
            digest.update(piece)
            progress(len(piece))
    return digest.hexdigest()


@contextlib.asynccontextmanager
async def _new_file(path: Path) -> AsyncIterator[Any]:
    """Hand out a file of ours alone, which gets its name once the block is over without an error.

    Raises:
        FileExistsError: there is something under that name already.
    """
    partial = path.with_name(path.name + ".partial")
    descriptor = await asyncio.to_thread(_begin, partial, path)
    try:
        async with aiofiles.open(descriptor, "wb") as out:
            yield out
            await out.flush()
            await asyncio.to_thread(os.fsync, descriptor)
        await asyncio.to_thread(_publish, partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _begin(partial: Path, path: Path) -> int:
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    partial.unlink(missing_ok=True)  # of a process that was killed
    return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _publish(partial: Path, path: Path) -> None:
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cipher(shared: bytes, ephemeral: bytes, recipient: bytes) -> ChaCha20Poly1305:
    derived = HKDF(
        algorithm=SHA256(), length=KEY_BYTES, salt=ephemeral + recipient, info=b"lucid sealed copy"
    ).derive(shared)
    return ChaCha20Poly1305(derived)


def _opener(header: bytes, private: X25519PrivateKey) -> ChaCha20Poly1305:
    if len(header) != len(MAGIC) + KEY_BYTES or not header.startswith(MAGIC):
        raise NotOpened("this is no sealed file")
    ephemeral = header[len(MAGIC) :]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    except ValueError:  # a point of low order: no sealer made this header
        raise NotOpened("this is no sealed file") from None
    return _cipher(shared, ephemeral, private.public_key().public_bytes_raw())


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


async def _pieces(source: Any, size: int) -> AsyncIterator[tuple[int, bytes, bool]]:
    number, piece = 0, await source.read(size)
    while True:
        following = await source.read(size)
        yield number, piece, not following
        if not following:
            return
        number, piece = number + 1, following
