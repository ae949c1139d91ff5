"""Every block ever made, one after another in a file that is only appended to."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError

from devnet.chain_pb2 import BlockRecord

_VARINT_BITS = 7
_VARINT_MAX_BYTES = 5
_VARINT_MORE = 0x80


class StateFileError(Exception):
    """The file is in use, or holds something else than this chain's blocks."""


class BlockLog:
    """Length-delimited block records; without a path they live in a nameless temporary file.

    A later record may take back earlier ones: it then carries a height that was there before.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile() if path is None else _opened(path)  # noqa: SIM115 (held until close)
        self._end = 0

    def load(self) -> Iterator[tuple[int, BlockRecord]]:
        """Yield each record with its offset; a torn last record is cut off.

        Raises:
            StateFileError: A whole record cannot be read.
        """
        size = os.fstat(self._file.fileno()).st_size
        self._file.seek(0)
        self._end = 0
        while self._end < size:
            length = self._read_length()
            if length is None or self._file.tell() + length > size:
                break
            start, self._end = self._end, self._file.tell() + length
            yield start, _decoded(self._file.read(length), start)
            self._file.seek(self._end)
        self._file.truncate(self._end)

    def append(self, record: BlockRecord) -> int:
        """Write a record behind the others, hand it to the system, and return its offset."""
        payload = record.SerializeToString(deterministic=True)
        start = self._end
        self._file.seek(start)
        self._file.write(_varint(len(payload)) + payload)
        self._file.flush()
        self._end = self._file.tell()
        return start

    def read(self, offset: int) -> BlockRecord:
        """Read one record back."""
        self._file.seek(offset)
        length = self._read_length()
        if length is None:
            raise StateFileError(f"no record at byte {offset}")
        return _decoded(self._file.read(length), offset)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _read_length(self) -> int | None:
        length = 0
        for position in range(_VARINT_MAX_BYTES):
            byte = self._file.read(1)
            if not byte:
                return None
            length |= (byte[0] & ~_VARINT_MORE) << (position * _VARINT_BITS)
            if not byte[0] & _VARINT_MORE:
                return length
        return None


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    file = path.open("r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StateFileError(f"another devnet is using {path}") from error
    return file


def _decoded(payload: bytes, offset: int) -> BlockRecord:
    try:
        return BlockRecord.FromString(payload)
    except DecodeError as error:
        raise StateFileError(f"no block record at byte {offset}") from error


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= _VARINT_MORE:
        encoded.append(value & ~_VARINT_MORE & 0xFF | _VARINT_MORE)
        value >>= _VARINT_BITS
    encoded.append(value)
    return bytes(encoded)
