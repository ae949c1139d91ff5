"""Where in the chain an address occurs, followed from block to block.

Nothing is indexed before somebody asks. What is kept is bounded: when it grows beyond the
limit, the older half of it is forgotten, as if histories began later.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from devnet.address import PREFIX
from devnet.chain import Chain
from devnet.chain_pb2 import BlockRecord, Transaction, TransactionInfo
from devnet.contracts.abi import topic_of
from devnet.items import contract_of
from devnet.node import Node
from devnet.rejection import RejectedError

TRANSFER_TOPIC = topic_of("Transfer(address,address,uint256)")
APPROVAL_TOPIC = topic_of("Approval(address,address,uint256)")
# A place takes 8 bytes, the bookkeeping of an address about as much as 30 places.
CAPACITY = 4_000_000
_ADDRESS_COST = 30
_BLOCKS_BETWEEN_BREATHS = 100
_TOKENS_MAX = 64
_SHORT_ID_BYTES = 8
_HEIGHT_SHIFT = 32
_TRANSACTION_SHIFT = 16
_LOW_BITS = 0xFFFF
_TOPICS_WITH_PARTIES = 3
_PARTIES = (
    "owner_address",
    "to_address",
    "receiver_address",
    "account_address",
    "contract_address",
)


class Kind(Enum):
    """Why an address is found at a place."""

    TRANSACTION = "transaction"
    TOKEN = "token"  # noqa: S105 (a kind of place)
    EVENT = "event"


class Place(NamedTuple):
    """A log in a transaction in a block; for a transaction as a whole the log is 0."""

    height: int
    transaction: int
    log: int

    def packed(self) -> int:
        """The place as one number that sorts like the chain."""
        return self.height << _HEIGHT_SHIFT | self.transaction << _TRANSACTION_SHIFT | self.log


def unpacked(number: int) -> Place:
    """The place that a number stands for."""
    return Place(
        number >> _HEIGHT_SHIFT, number >> _TRANSACTION_SHIFT & _LOW_BITS, number & _LOW_BITS
    )


class AddressIndex:
    """The places of every address by kind, in the order of the chain.

    Args:
        node: Whose chain is followed, whichever it shows at the moment.

    Attributes:
        tokens: The first contracts that were seen to log something.
    """

    def __init__(self, node: Node, *, capacity: int = CAPACITY) -> None:
        self._node = node
        self._capacity = capacity
        self._lock = asyncio.Lock()
        self._places: dict[tuple[Kind, bytes], array[int]] = {}
        self._size = 0
        self._ids = bytearray(_short_id(node.chain, 0))
        self.tokens: dict[bytes, None] = {}

    async def catch_up(self) -> None:
        """Follow the chain to its head; blocks that were taken back are taken out."""
        async with self._lock:
            followed = 0
            while self._follow():
                followed += 1
                if followed % _BLOCKS_BETWEEN_BREATHS == 0:
                    await asyncio.sleep(0)

    def places(self, kind: Kind, address: bytes, heights: range) -> Sequence[int]:
        """The packed places of an address within some heights, lowest first."""
        places = self._places.get((kind, address))
        if places is None:
            return ()
        low = bisect_left(places, Place(heights.start, 0, 0).packed())
        high = bisect_left(places, Place(max(heights.start, heights.stop), 0, 0).packed())
        return places[low:high]

    def _follow(self) -> bool:
        """Take in one more block, if there is one."""
        chain = self._node.chain
        common = self._common_height(chain)
        if common < self._height:
            self._forget_above(common)
        if common >= chain.head.number:
            return False
        height = common + 1
        self._ids += _short_id(chain, height)
        for kind, address, place in _occurrences(height, chain.record(height)):
            self._add(kind, address, place)
        if self._size > self._capacity:
            self._forget_half()
        return True

    @property
    def _height(self) -> int:
        """The newest block that was taken in."""
        return len(self._ids) // _SHORT_ID_BYTES - 1

    def _common_height(self, chain: Chain) -> int:
        """The newest block that was taken in and still is in the chain."""
        height = min(self._height, chain.head.number)
        while self._id_at(height) != _short_id(chain, height):
            height -= 1
        return height

    def _id_at(self, height: int) -> bytes:
        return bytes(self._ids[height * _SHORT_ID_BYTES : (height + 1) * _SHORT_ID_BYTES])

    def _add(self, kind: Kind, address: bytes, place: Place) -> None:
        places = self._places.get((kind, address))
        if places is None:
            places = self._places[kind, address] = array("Q")
            self._size += _ADDRESS_COST
        number = place.packed()
        if not places or places[-1] != number:
            places.append(number)
            self._size += 1
        if kind is Kind.EVENT and len(self.tokens) < _TOKENS_MAX:
            self.tokens[address] = None

    def _forget_above(self, height: int) -> None:
        self._keep(0, Place(height + 1, 0, 0).packed())
        del self._ids[(height + 1) * _SHORT_ID_BYTES :]

    def _forget_half(self) -> None:
        every = sorted(number for places in self._places.values() for number in places)
        middle = unpacked(every[len(every) // 2]).height + 1
        self._keep(Place(middle, 0, 0).packed(), Place(self._height + 1, 0, 0).packed())

    def _keep(self, low: int, high: int) -> None:
        kept: dict[tuple[Kind, bytes], array[int]] = {}
        for key, places in self._places.items():
            rest = places[bisect_left(places, low) : bisect_left(places, high)]
            if rest:
                kept[key] = rest
        self._places = kept
        self._size = sum(len(places) + _ADDRESS_COST for places in kept.values())


def _short_id(chain: Chain, height: int) -> bytes:
    """As much of a block's hash as tells two branches apart."""
    return chain.block_id(height)[-_SHORT_ID_BYTES:]


def _occurrences(height: int, record: BlockRecord) -> Iterator[tuple[Kind, bytes, Place]]:
    for number, transaction in enumerate(record.block.transactions):
        info = record.infos[number] if number < len(record.infos) else TransactionInfo()
        for address in parties_of(transaction):
            yield Kind.TRANSACTION, address, Place(height, number, 0)
        for position, log in enumerate(info.log):
            place = Place(height, number, position)
            yield Kind.EVENT, PREFIX + log.address, place
            for address in token_parties_of(log):
                yield Kind.TOKEN, address, place


def parties_of(transaction: Transaction) -> list[bytes]:
    """The addresses that a transaction names: who signs it, and whom it is about."""
    if not transaction.raw_data.contract:
        return []
    try:
        contract = contract_of(transaction.raw_data.contract[0])
    except RejectedError:
        return []
    named = (getattr(contract, name, b"") for name in _PARTIES)
    return list(dict.fromkeys(address for address in named if address))


def token_parties_of(log: TransactionInfo.Log) -> list[bytes]:
    """The two addresses of a token's Transfer or Approval; none of any other event."""
    if len(log.topics) < _TOPICS_WITH_PARTIES:
        return []
    if log.topics[0] not in {TRANSFER_TOPIC, APPROVAL_TOPIC}:
        return []
    return list(dict.fromkeys(PREFIX + topic[-20:] for topic in log.topics[1:3]))
