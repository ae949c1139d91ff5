"""A set of addresses that takes up little more than the addresses themselves."""

from collections.abc import Iterable, Iterator
from typing import Final

import base58

from shared.tron.address import ADDRESS_LENGTH, EVM_LENGTH
from shared.watching import watch_digest

_EMPTY: Final = bytes(EVM_LENGTH)
_FEWEST_PLACES: Final = 64
_MARKS_A_PLACE: Final = 8
_CHECKSUM_LENGTH: Final = 4


def packed(checked: str) -> bytes:
    """Return the 20 bytes of an address that was checked before, without remembering the answer.

    Whoever reads a whole list would else fill the cache of ``shared.tron.address`` with it.
    """
    whole = base58.b58decode_int(checked).to_bytes(ADDRESS_LENGTH + _CHECKSUM_LENGTH, "big")
    return whole[1:ADDRESS_LENGTH]


class AddressSet:
    """Addresses as the 20 bytes that contracts see, packed side by side, with their digest.

    A hash table with open addressing in one byte array, at most two thirds full: 42 to 84 bytes an
    address, where a set of byte strings takes 110. The zero address, which marks an empty place, is
    kept apart. Most addresses of a busy chain are nobody's here: they meet an unmarked place of a
    second, wider array and are looked up no further. A mark outlives its address until the table grows.

    Attributes:
        digest: that of ``shared.watching``, kept up with every change.
    """

    __slots__ = ("_count", "_has_zero", "_marks", "_mask", "_table", "digest")

    def __init__(self, addresses: Iterable[bytes] = ()) -> None:
        self._table = bytearray(_FEWEST_PLACES * EVM_LENGTH)
        self._marks = bytearray(_FEWEST_PLACES * _MARKS_A_PLACE)
        self._mask = _FEWEST_PLACES - 1
        self._count = 0
        self._has_zero = False
        self.digest = 0
        self.update(addresses)

    def __len__(self) -> int:
        return self._count + self._has_zero

    def __contains__(self, address: bytes) -> bool:
        if not self._marks[hash(address) & len(self._marks) - 1]:
            return False
        if address == _EMPTY:
            return self._has_zero
        return self._place(address)[1]

    def __iter__(self) -> Iterator[bytes]:
        if self._has_zero:
            yield _EMPTY
        for start in range(0, len(self._table), EVM_LENGTH):
            address = bytes(self._table[start : start + EVM_LENGTH])
            if address != _EMPTY:
                yield address

    @property
    def size_bytes(self) -> int:
        """What the addresses take up."""
        return len(self._table) + len(self._marks)

    def update(self, addresses: Iterable[bytes]) -> None:
        """Add addresses."""
        for address in addresses:
            self.add(address)

    def add(self, address: bytes) -> None:
        """Add an address; one that is there already changes nothing.

        Raises:
            ValueError: it is not 20 bytes.
        """
        if len(address) != EVM_LENGTH:
            raise ValueError(f"an address has {EVM_LENGTH} bytes, not {len(address)}")
        if address in self:
            return
        self.digest ^= watch_digest([address])
        if address == _EMPTY:
            self._has_zero = True
            self._mark(address)
            return
        if 3 * (self._count + 1) > 2 * (self._mask + 1):
            self._grow()
        self._put(address)
        self._count += 1

    def discard(self, address: bytes) -> None:
        """Take an address out; one that is not there changes nothing."""
        if address not in self:
            return
        self.digest ^= watch_digest([address])
        if address == _EMPTY:
            self._has_zero = False
            return
        place, _ = self._place(address)
        self._count -= 1
        self._close(place)

    def _place(self, address: bytes) -> tuple[int, bool]:
        """Return where an address is, or the empty place where it belongs."""
        place = hash(address) & self._mask
        while True:
            start = place * EVM_LENGTH
            found = self._table[start : start + EVM_LENGTH]
            if found == address:
                return place, address != _EMPTY
            if found == _EMPTY:
                return place, False
            place = (place + 1) & self._mask

    def _put(self, address: bytes) -> None:
        place, _ = self._place(address)
        self._table[place * EVM_LENGTH : (place + 1) * EVM_LENGTH] = address
        self._mark(address)

    def _mark(self, address: bytes) -> None:
        self._marks[hash(address) & len(self._marks) - 1] = 1

    def _grow(self) -> None:
        old = self._table
        self._mask = 2 * self._mask + 1
        self._table = bytearray((self._mask + 1) * EVM_LENGTH)
        self._marks = bytearray((self._mask + 1) * _MARKS_A_PLACE)
        if self._has_zero:
            self._mark(_EMPTY)
        for start in range(0, len(old), EVM_LENGTH):
            address = bytes(old[start : start + EVM_LENGTH])
            if address != _EMPTY:
                self._put(address)

    def _close(self, hole: int) -> None:
        """Empty a place and move up what would no longer be found behind it."""
        place = hole
        while True:
            place = (place + 1) & self._mask
            start = place * EVM_LENGTH
            address = bytes(self._table[start : start + EVM_LENGTH])
            if address == _EMPTY:
                break
            wanted = hash(address) & self._mask
            if (place - wanted) & self._mask >= (place - hole) & self._mask:
                self._table[hole * EVM_LENGTH : (hole + 1) * EVM_LENGTH] = address
                hole = place
        self._table[hole * EVM_LENGTH : (hole + 1) * EVM_LENGTH] = _EMPTY
