"""What is asked of every transaction, in the pool and again in a block (Manager's validations)."""

from __future__ import annotations

from devnet.chain import Chain
from devnet.items import Item
from devnet.rejection import Code, RejectedError

DAY_MS = 86_400_000
MAX_TRANSACTION_BYTES = 500 * 1024
RESULT_BYTES = 128


def check(chain: Chain, item: Item) -> None:
    """Ask for one contract, a known reference block, a fair size and life, and a new txid.

    Raises:
        RejectedError: One is missing; the order is the node's.
    """
    raw = item.transaction.raw_data
    if len(raw.contract) != 1:
        raise RejectedError(
            Code.OTHER_ERROR,
            f"Error: tx {item.txid.hex()} contract size should be exactly 1, "
            f"this is extend feature ,actual :{len(raw.contract)}",
        )
    if not chain.knows_reference(raw.ref_block_bytes, raw.ref_block_hash):
        raise RejectedError(Code.TAPOS_ERROR, "Tapos check error.")
    size = item.transaction.ByteSize() + RESULT_BYTES
    if size > MAX_TRANSACTION_BYTES:
        raise RejectedError(
            Code.TOO_BIG_TRANSACTION_ERROR,
            f"Too big transaction with result, TxId {item.txid.hex()}, "
            f"the size is {size} bytes, maxTxSize {MAX_TRANSACTION_BYTES}",
        )
    head_ms = chain.head.time_ms
    if not head_ms < raw.expiration <= head_ms + DAY_MS:
        raise expired()
    if chain.height_of(item.txid) is not None:
        raise duplicate()


def check_life(chain: Chain, item: Item) -> None:
    """Ask that the transaction still lives when the next block can be made.

    Raises:
        RejectedError: It does not.
    """
    if item.transaction.raw_data.expiration < chain.moment.next_slot_ms:
        raise expired()


def expired() -> RejectedError:
    """Its expiration is past, or more than a day ahead."""
    return RejectedError(Code.TRANSACTION_EXPIRATION_ERROR, "Transaction expired")


def duplicate() -> RejectedError:
    """The txid is in a block or in the pool."""
    return RejectedError(Code.DUP_TRANSACTION_ERROR, "Dup transaction.")
