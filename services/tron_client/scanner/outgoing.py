"""Find the transactions of some owners in solid blocks, whoever submitted them (H5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from google.protobuf.message import DecodeError

from services.tron_client.domain.blocks import SUCCESS, Anchor, Body, InconsistentBlock
from services.tron_client.domain.rescans import Span
from services.tron_client.node.blocks import Chain, Tree
from services.tron_client.store import ChainStore
from services.tron_client.store.addresses import AddressSet
from services.tron_client.store.sight import Sight
from shared.errors import Unavailable
from shared.tron import protocol_pb2 as pb
from shared.tron.address import ADDRESS_LENGTH, Address, address_from_bytes, evm_bytes

MAX_HEIGHTS: Final = 100
"""Blocks that a node gives in one call (java-tron GetBlockByLimitNextServlet)."""

_PROVED_AT_ONCE: Final = 20
"""Calls in which the past is proved before an answer has to wait for the rest."""

_OWNER_COMES_SECOND: Final = frozenset({2, 10, 19})
"""TransferAsset, AccountUpdate and SetAccountId: the first field of the others is the owner.

Source: java-tron Tron.proto, account_contract.proto and asset_issue_contract.proto.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingTransaction:
    """A transaction of an owner in a solid block."""

    txid: str
    owner: Address
    raw_data: bytes
    signatures: tuple[str, ...]
    succeeded: bool
    block: Anchor


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFound:
    """What was found up to a height; ``last_height`` below the first one means nothing is solid yet."""

    first_height: int
    last_height: int
    transactions: tuple[OutgoingTransaction, ...]


class Outgoing:
    """Reads solid blocks for what others than this stack may have sent in its wallets' names.

    That nothing was sent is believed only of blocks that are held, or that parent hashes lead to from
    one that is: else a single node could hide a payment of the past (H9).
    """

    def __init__(
        self,
        *,
        chain: Chain,
        store: ChainStore,
        sight: Sight,
        proved_at_once: int = _PROVED_AT_ONCE,
    ) -> None:
        self._chain = chain
        self._store = store
        self._sight = sight
        self._proved_at_once = proved_at_once
        self._proved: dict[int, str] = {}

    async def find(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingFound:
        """Look through up to a hundred heights, not beyond the next full hundred.

        Raises:
            ImpossibleRange: the heights are the wrong way round.
            NothingScanned: before the first block.
            InconsistentBlock: the node's blocks are not the held ones, do not lead to them, or are not
                there.
            Unavailable: the past is not proved down to there yet; each call goes on with that.
        """
        span = Span(first=first_height, last=last_height)
        solid_height = self._sight.current().solid.height
        end = min(_full_hundred(span.first), solid_height)
        last = min(span.last, end)
        if last < span.first:
            return OutgoingFound(
                first_height=span.first, last_height=span.first - 1, transactions=()
            )
        bodies = await self._linked(span.first, end, await self._proof(end))
        wanted = AddressSet(evm_bytes(owner) for owner in owners)
        return OutgoingFound(
            first_height=span.first,
            last_height=last,
            transactions=tuple(
                each
                for body in bodies
                if body.anchor.height <= last
                for each in _sent(body, wanted)
            ),
        )

    async def _proof(self, end: int) -> str:
        """Return the id of the block at the end of a hundred, or of what is solid.

        From the lowest one that is held the past is proved downwards, a hundred blocks at a time.
        """
        for _ in range(self._proved_at_once):
            block = await self._store.block_at(end)
            if block is not None:
                return block.id
            if end in self._proved:
                return self._proved[end]
            height, id_ = await self._lowest_known(end)
            below = max(end, _full_hundred(height) - MAX_HEIGHTS)
            bodies = await self._linked(below + 1, height, id_)
            self._proved[below] = bodies[0].parent_id
        raise Unavailable(f"the past is not proved down to block {end} yet", retry_after_s=1)

    async def _lowest_known(self, above: int) -> tuple[int, str]:
        lowest = await self._store.lowest_block(above)
        known = [(height, id_) for height, id_ in self._proved.items() if height > above]
        if lowest is not None:
            known.append((lowest.height, lowest.id))
        if not known:
            raise InconsistentBlock(f"no block is held above {above} to prove it by")
        return min(known)

    async def _linked(self, first: int, last: int, last_id: str) -> list[Body]:
        """Return the bodies up to a known block; raises InconsistentBlock when they do not lead there."""
        bodies = await self._chain.blocks(first, last - first + 1, tree=Tree.SOLID)
        if len(bodies) != last - first + 1:
            raise InconsistentBlock(f"the solid blocks {first} to {last} are not all there")
        for before, after in pairwise(bodies):
            if after.parent_id != before.anchor.block_id:
                raise InconsistentBlock(f"block {after.anchor.height} does not follow its parent")
        if bodies[-1].anchor.block_id != last_id:
            raise InconsistentBlock(f"the solid tree has another block {last} than is held")
        return bodies


def _full_hundred(height: int) -> int:
    """Return the next height that is a multiple of what one call gives."""
    return -(-height // MAX_HEIGHTS) * MAX_HEIGHTS


def _sent(body: Body, owners: AddressSet) -> Iterator[OutgoingTransaction]:
    for transaction in body.transactions:
        owner = _owner(transaction.raw_data)
        if owner is not None and owner[1:] in owners:
            yield OutgoingTransaction(
                txid=transaction.txid,
                owner=address_from_bytes(owner),
                raw_data=transaction.raw_data,
                signatures=transaction.signatures,
                succeeded=transaction.result == SUCCESS,
                block=body.anchor,
            )


def _owner(raw_data: bytes) -> bytes | None:
    """Return the 21 bytes of whoever a transaction spends from; None where nobody is named."""
    try:
        contract = pb.Transaction.raw.FromString(raw_data).contract[0]
        value = contract.parameter.value
        # any message that has the owner's field number reads it; other fields are left alone
        if contract.type in _OWNER_COMES_SECOND:
            owner = pb.TransferContract.FromString(value).to_address
        else:
            owner = pb.WithdrawBalanceContract.FromString(value).owner_address
    except (DecodeError, IndexError):
        return None
    return owner if len(owner) == ADDRESS_LENGTH else None
