"""The first block: who signs, who owns what, and the ids that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from devnet import rewards, witnesses
from devnet.accounts import Account
from devnet.address import ZERO
from devnet.blocks import block_id_of, transaction_root
from devnet.chain_pb2 import Any, Block, BlockHeader, Transaction, TransferContract
from devnet.contracts import catalogue
from devnet.contracts.storage import write_slot
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS, USDT_MICRO
from devnet.keys import Key
from devnet.resources import SUN_PER_TRX
from devnet.state import (
    ENERGY_PRICES,
    ENERGY_WEIGHT,
    MEMO_PRICES,
    NET_PRICES,
    NET_WEIGHT,
    NEXT_MAINTENANCE,
    Changes,
    State,
)

GENESIS_TIME_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
GENESIS_BLOCK_ID = "000000000000000041e58762520e288c31f9ee31bb420641b93c2e5d747f7747"
CHAIN_ID = int(GENESIS_BLOCK_ID[-8:], 16)

WITNESS_COUNT = 27
WITNESSES = tuple(Key(name=f"witness-{number}") for number in range(1, WITNESS_COUNT + 1))

# What everybody else is supposed to have staked, in whole TRX.
OTHERS_ENERGY_WEIGHT = 19_100_000_000
OTHERS_NET_WEIGHT = 26_800_000_000

# And for whom they are supposed to have voted: for the first witness most.
OTHERS_VOTES = tuple(1_600_000_000 - 10_000_000 * place for place in range(WITNESS_COUNT))

FOREIGN_GENESIS_BLOCK_IDS = {
    "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc": "mainnet",
    "0000000000000000de1aa88295e1fcf982742f773e0419c5a9c134c994a9059e": "Shasta",
    "0000000000000000d698d4192c56cb6be724a558448e2684802de4d6cd8690dc": "Nile",
}


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A named account and what it owns at genesis."""

    key: Key
    trx_sun: int
    usdt_micro: int


FAUCET = Holder(
    key=Key(name="faucet"),
    trx_sun=50_000_000_000 * SUN_PER_TRX,
    usdt_micro=9_999_900_000 * USDT_MICRO,
)
CUSTOMERS = tuple(
    Holder(
        key=Key(name=f"customer-{number}"),
        trx_sun=10_000 * SUN_PER_TRX,
        usdt_micro=10_000 * USDT_MICRO,
    )
    for number in range(1, 11)
)
HOLDERS = (FAUCET, *CUSTOMERS)


class ForeignGenesisError(Exception):
    """The first block is not the devnet's own."""


def genesis_block() -> Block:
    """Block 0: one unsigned transfer for every holder, as java-tron writes its own."""
    transactions = [_grant(holder) for holder in HOLDERS]
    raw = BlockHeader.raw(
        timestamp=GENESIS_TIME_MS,
        txTrieRoot=transaction_root(transactions),
        parentHash=sha256(b"lucid devnet genesis").digest(),
        witness_address=WITNESSES[0].address,
    )
    return Block(transactions=transactions, block_header=BlockHeader(raw_data=raw))


def genesis_state() -> Changes:
    """What is true before the first produced block."""
    beginning = State()
    state = beginning.changes
    state.update(
        {
            (ENERGY_WEIGHT, b""): OTHERS_ENERGY_WEIGHT,
            (NET_WEIGHT, b""): OTHERS_NET_WEIGHT,
            (ENERGY_PRICES, b""): f"0:100,{GENESIS_TIME_MS}:100",
            (NET_PRICES, b""): f"0:10,{GENESIS_TIME_MS}:1000",
            (MEMO_PRICES, b""): f"0:0,{GENESIS_TIME_MS}:1000000",
            (NEXT_MAINTENANCE, b""): GENESIS_TIME_MS,
        }
    )
    rewards.begin(beginning, OTHERS_VOTES)
    witnesses.set_turns(beginning, tuple(key.address for key in WITNESSES))
    for key in WITNESSES:
        beginning.put_account(Account(address=key.address, created_ms=GENESIS_TIME_MS))
    for holder in HOLDERS:
        address = holder.key.address
        state["account", address] = Account(
            address=address, balance_sun=holder.trx_sun, created_ms=GENESIS_TIME_MS
        )
    catalogue.place_all(beginning, owner=FAUCET.key.address, created_ms=GENESIS_TIME_MS)
    for holder in HOLDERS:
        address = holder.key.address
        write_slot(beginning, USDT_CONTRACT_ADDRESS, "balance", address, holder.usdt_micro)
    supply = sum(holder.usdt_micro for holder in HOLDERS)
    write_slot(beginning, USDT_CONTRACT_ADDRESS, "supply", b"", supply)
    return state


def check_own(genesis_id: bytes) -> None:
    """Refuse to run on any first block but the one this module describes.

    Raises:
        ForeignGenesisError: It is a public network's, or an unknown one.
    """
    foreign = FOREIGN_GENESIS_BLOCK_IDS.get(genesis_id.hex())
    if foreign is not None:
        raise ForeignGenesisError(f"this is the genesis block of {foreign}")
    if genesis_id.hex() != GENESIS_BLOCK_ID:
        raise ForeignGenesisError(f"not the devnet's genesis block: {genesis_id.hex()}")


def _grant(holder: Holder) -> Transaction:
    grant = TransferContract(
        owner_address=ZERO, to_address=holder.key.address, amount=holder.trx_sun
    )
    parameter = Any(
        type_url="type.googleapis.com/protocol.TransferContract",
        value=grant.SerializeToString(deterministic=True),
    )
    contract = Transaction.Contract(type=Transaction.Contract.TransferContract, parameter=parameter)
    return Transaction(raw_data=Transaction.raw(contract=[contract]))


def genesis_id() -> bytes:
    """The id of block 0."""
    return block_id_of(genesis_block().block_header)
