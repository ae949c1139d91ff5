"""What a block and a transaction are called, and what holds them together: hashes and seals."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from devnet.chain_pb2 import Block, BlockHeader, Transaction
from devnet.keys import Key

SLOT_MS = 3000
_EMPTY_ROOT = bytes(32)


def txid_of(transaction: Transaction) -> bytes:
    """sha256 of raw_data; the signature is not covered."""
    return sha256(transaction.raw_data.SerializeToString(deterministic=True)).digest()


def block_id_of(header: BlockHeader) -> bytes:
    """8 bytes of height, then bytes 8..31 of sha256(raw_data) (java-tron's BlockCapsule)."""
    digest = sha256(header.raw_data.SerializeToString(deterministic=True)).digest()
    return header.raw_data.number.to_bytes(8, "big") + digest[8:]


def transaction_root(transactions: Iterable[Transaction]) -> bytes:
    """The merkle root over whole transactions (java-tron's MerkleTree).

    Leaves are sha256 of the bytes with signatures and ret; an odd last leaf is carried up.
    """
    level = [sha256(each.SerializeToString(deterministic=True)).digest() for each in transactions]
    if not level:
        return _EMPTY_ROOT
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        carried = level[-1:] if len(level) % 2 else []
        level = [sha256(left + right).digest() for left, right in pairs] + carried
    return level[0]


def sealed(
    *,
    witness: bytes,
    key: Key,
    parent_id: bytes,
    timestamp_ms: int,
    included: list[Transaction],
) -> Block:
    """Make the block after the parent and sign it with the key that stands for the witness."""
    raw = BlockHeader.raw(
        timestamp=timestamp_ms,
        txTrieRoot=transaction_root(included),
        parentHash=parent_id,
        number=int.from_bytes(parent_id[:8], "big") + 1,
        witness_address=witness,
        version=32,
    )
    signature = key.sign(sha256(raw.SerializeToString(deterministic=True)).digest())
    return Block(
        transactions=included,
        block_header=BlockHeader(raw_data=raw, witness_signature=signature),
    )


def slot_of(moment_ms: int, genesis_ms: int) -> int:
    """The number of whole slots since genesis."""
    return (moment_ms - genesis_ms) // SLOT_MS


def slot_time_ms(slot: int, genesis_ms: int) -> int:
    """When a slot begins."""
    return genesis_ms + slot * SLOT_MS
