import asyncio
import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.sealing import (
    KEY_BYTES,
    MAGIC,
    PIECE_BYTES,
    TAG_BYTES,
    NotOpened,
    file_digest,
    new_recovery_key,
    parse_recovery_key,
    seal,
    sealed_size,
    unseal,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]
)
async def test_what_was_sealed_opens_with_the_recovery_key_alone(tmp_path: Path, size: int) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(size))
    key, other = new_recovery_key(), new_recovery_key()

    made = await seal(plain, sealed, public=key.public)
    with pytest.raises(NotOpened):
        await unseal(sealed, opened, secret=other.secret)
    assert not opened.exists()
    await unseal(sealed, opened, secret=key.secret)

    assert opened.read_bytes() == plain.read_bytes()
    assert (made.sha256, made.size_bytes) == (
        sha256(sealed.read_bytes()).hexdigest(),
        sealed.stat().st_size,
    )
    assert await file_digest(sealed) == made.sha256
    assert sealed_size(size) == made.size_bytes
    assert names(tmp_path) == ["opened", "plain", "sealed"]
    assert sealed.stat().st_mode & 0o777 == opened.stat().st_mode & 0o777 == 0o600
    assert key.secret not in repr(key)


@pytest.mark.parametrize("keep", [0, 5, len(MAGIC) + 31, len(MAGIC) + 32 + PIECE_BYTES + 16])
async def test_a_sealed_file_that_was_cut_off_does_not_open(tmp_path: Path, keep: int) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(2 * PIECE_BYTES))
    key = new_recovery_key()
    await seal(plain, sealed, public=key.public)
    sealed.write_bytes(sealed.read_bytes()[:keep])
    with pytest.raises(NotOpened):
        await unseal(sealed, opened, secret=key.secret)
    assert not opened.exists()


@settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    position=st.integers(min_value=0, max_value=200), flip=st.integers(min_value=1, max_value=255)
)
def test_a_changed_byte_is_noticed(tmp_path: Path, position: int, flip: int) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    for leftover in (sealed, opened):
        leftover.unlink(missing_ok=True)
    plain.write_bytes(b"money" * 40)
    key = new_recovery_key()
    asyncio.run(seal(plain, sealed, public=key.public))
    damaged = bytearray(sealed.read_bytes())
    damaged[position % len(damaged)] ^= flip
    sealed.write_bytes(damaged)
    with pytest.raises(NotOpened):
        asyncio.run(unseal(sealed, opened, secret=key.secret))
    assert not list(tmp_path.glob("opened*"))


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"a")
    sealed.write_bytes(b"older backup")
    with pytest.raises(FileExistsError):
        await seal(plain, sealed, public=new_recovery_key().public)
    assert sealed.read_bytes() == b"older backup"


async def test_progress_is_told_piece_by_piece(tmp_path: Path) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(2 * PIECE_BYTES + 7))
    key = new_recovery_key()
    sealing: list[int] = []
    opening: list[int] = []
    await seal(plain, sealed, public=key.public, progress=sealing.append)
    await unseal(sealed, opened, secret=key.secret, progress=opening.append)
    assert sealing == opening == [PIECE_BYTES, PIECE_BYTES, 7]


async def test_pieces_in_another_order_do_not_open(tmp_path: Path) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(3 * PIECE_BYTES))
    key = new_recovery_key()
    await seal(plain, sealed, public=key.public)
    held, head, size = sealed.read_bytes(), len(MAGIC) + KEY_BYTES, PIECE_BYTES + TAG_BYTES
    first, second, third = (held[head + n * size : head + (n + 1) * size] for n in range(3))
    sealed.write_bytes(held[:head] + second + first + third)
    with pytest.raises(NotOpened, match="does not open"):
        await unseal(sealed, opened, secret=key.secret)


async def test_a_copy_that_was_interrupted_has_no_name_and_is_begun_again(tmp_path: Path) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(2 * PIECE_BYTES))
    key = new_recovery_key()
    (tmp_path / "sealed.partial").write_bytes(b"of a process that was killed" * PIECE_BYTES)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await seal(plain, sealed, public=key.public, progress=stop)
    assert names(tmp_path) == ["plain"]
    await seal(plain, sealed, public=key.public)
    await unseal(sealed, opened, secret=key.secret)
    assert opened.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("header", [b"\x00" * 32, b"\x01" + b"\x00" * 31])
async def test_a_header_that_nobody_made_does_not_open(tmp_path: Path, header: bytes) -> None:
    sealed = tmp_path / "sealed"
    sealed.write_bytes(MAGIC + header + b"x" * 100)
    with pytest.raises(NotOpened, match="no sealed file"):
        await unseal(sealed, tmp_path / "opened", secret=new_recovery_key().secret)


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 33, "twelve words of a seed"])
def test_a_recovery_key_is_64_hex_digits(text: str) -> None:
    with pytest.raises(NotOpened, match="64 hex digits"):
        parse_recovery_key(text)


def test_a_recovery_key_may_be_typed_in_capitals_and_with_a_line_end() -> None:
    key = new_recovery_key()
    assert parse_recovery_key(f"  {key.secret.upper()}\n") == key.secret
