"""Find the transactions of some owners in solid blocks, whoever submitted them (H5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from services.tron_client.domain.blocks import SUCCESS, Anchor, Body, InconsistentBlock
from services.tron_client.domain.rescans import Span
from services.tron_client.node.blocks import Chain, Tree
from services.tron_client.store import ChainStore
from services.tron_client.store.addresses import AddressSet
from services.tron_client.store.sight import Sight
from shared.tron import protocol_pb2 as pb
from shared.tron.address import ADDRESS_LENGTH, Address, address_from_bytes, evm_bytes

MAX_HEIGHTS: Final = 100
"""Blocks that a node gives in one call (java-tron GetBlockByLimitNextServlet)."""

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
    """Reads solid blocks for what others than this stack may have sent in its wallets' names."""

    def __init__(self, *, chain: Chain, store: ChainStore, sight: Sight) -> None:
        self._chain = chain
        self._store = store
        self._sight = sight

    async def find(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingFound:
        """Look through up to a hundred heights.

        Every block has the id it is held by where it is held, and follows the one before.

        Raises:
            ImpossibleRange: the heights are the wrong way round.
            NothingScanned: before the first block.
            InconsistentBlock: the node's blocks are not the held ones, or not there.
        """
        span = Span(first=first_height, last=last_height)
        last = min(span.last, span.first + MAX_HEIGHTS - 1, self._sight.current().solid.height)
        if last < span.first:
            return OutgoingFound(
                first_height=span.first, last_height=span.first - 1, transactions=()
            )
        bodies = await self._bodies(span.first, last)
        wanted = AddressSet(evm_bytes(owner) for owner in owners)
        return OutgoingFound(
            first_height=span.first,
            last_height=bodies[-1].anchor.height,
            transactions=tuple(each for body in bodies for each in _sent(body, wanted)),
        )

    async def _bodies(self, first: int, last: int) -> list[Body]:
        bodies = await self._chain.blocks(first, last - first + 1, tree=Tree.SOLID)
        if not bodies:
            raise InconsistentBlock(f"the node does not have the solid block {first}")
        held = {each.height: each.id for each in await self._store.blocks_between(first, last)}
        parent_id = held.get(first - 1, bodies[0].parent_id)
        for body in bodies:
            height, id_ = body.anchor.height, body.anchor.block_id
            if held.get(height, id_) != id_:
                raise InconsistentBlock(f"the solid tree has another block {height} than is held")
            if body.parent_id != parent_id:
                raise InconsistentBlock(f"block {height} does not follow its parent")
            parent_id = id_
        return bodies


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
