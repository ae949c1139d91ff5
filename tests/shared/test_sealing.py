import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.sealing import MAGIC, PIECE_BYTES, NotOpened, new_recovery_key, seal, unseal


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]
)
def test_what_was_sealed_opens_with_the_recovery_key_alone(tmp_path: Path, size: int) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(size))
    key, other = new_recovery_key(), new_recovery_key()

    seal(plain, sealed, public=key.public)
    with pytest.raises(NotOpened):
        unseal(sealed, opened, secret=other.secret)
    assert not opened.exists()
    unseal(sealed, opened, secret=key.secret)

    assert opened.read_bytes() == plain.read_bytes()
    assert sealed.stat().st_mode & 0o777 == opened.stat().st_mode & 0o777 == 0o600
    assert key.secret not in repr(key)


@pytest.mark.parametrize("keep", [0, 5, len(MAGIC) + 31, len(MAGIC) + 32 + PIECE_BYTES + 16])
def test_a_sealed_file_that_was_cut_off_does_not_open(tmp_path: Path, keep: int) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(2 * PIECE_BYTES))
    key = new_recovery_key()
    seal(plain, sealed, public=key.public)
    sealed.write_bytes(sealed.read_bytes()[:keep])
    with pytest.raises(NotOpened):
        unseal(sealed, opened, secret=key.secret)
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
    seal(plain, sealed, public=key.public)
    damaged = bytearray(sealed.read_bytes())
    damaged[position % len(damaged)] ^= flip
    sealed.write_bytes(damaged)
    with pytest.raises(NotOpened):
        unseal(sealed, opened, secret=key.secret)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"a")
    sealed.write_bytes(b"older backup")
    with pytest.raises(FileExistsError):
        seal(plain, sealed, public=new_recovery_key().public)
    assert sealed.read_bytes() == b"older backup"
