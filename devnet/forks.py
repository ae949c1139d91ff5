"""How a competing branch treats the transactions of the blocks that it replaces."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum

from devnet.blocks import txid_of
from devnet.chain import Chain
from devnet.chain_pb2 import Transaction, TriggerSmartContract
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS, method_named
from devnet.genesis import FAUCET
from devnet.items import Item, opened, wrapped
from devnet.resources import SUN_PER_TRX

_LIFE_MS = 60_000
_FEE_LIMIT_SUN = 100 * SUN_PER_TRX


class Fate(StrEnum):
    """What becomes of the transactions in replaced blocks.

    WAIT: the branch is empty; they are in the pool again.
    REINCLUDE: the branch has them in the same order, in other blocks.
    REORDER: the branch has them in another order, so that some may fail or be left out.
    FAIL: the branch has them while USDT is paused, so that transfers of it fail.
    DROP: the branch is empty; nobody remembers them.
    """

    WAIT = "wait"
    REINCLUDE = "reinclude"
    REORDER = "reorder"
    FAIL = "fail"
    DROP = "drop"


def plan(fate: Fate, replaced: Sequence[Sequence[Item]], *, seed: int) -> list[list[Item]]:
    """What goes into each block of a branch that is one block longer than what it replaces."""
    match fate:
        case Fate.WAIT | Fate.DROP:
            return [[] for _ in range(len(replaced) + 1)]
        case Fate.REINCLUDE | Fate.FAIL:
            return [*map(list, replaced), []]
        case Fate.REORDER:
            return [*_shuffled(replaced, seed), []]


def owner_call(chain: Chain, method: str) -> Item:
    """A signed call of the USDT contract by its owner, on top of a chain's head."""
    trigger = TriggerSmartContract(
        owner_address=FAUCET.key.address,
        contract_address=USDT_CONTRACT_ADDRESS,
        data=method_named(method).selector,
    )
    reference = chain.solid.block_id
    transaction = Transaction(
        raw_data=Transaction.raw(
            ref_block_bytes=reference[6:8],
            ref_block_hash=reference[8:16],
            expiration=chain.head.time_ms + _LIFE_MS,
            timestamp=chain.head.time_ms,
            contract=[wrapped(trigger)],
            fee_limit=_FEE_LIMIT_SUN,
        )
    )
    transaction.signature.append(FAUCET.key.sign(txid_of(transaction)))
    return opened(transaction)


def _shuffled(replaced: Sequence[Sequence[Item]], seed: int) -> list[list[Item]]:
    """All transactions in another order, as many in each block as before."""
    items = [item for block in replaced for item in block]
    order = random.Random(seed).sample(range(len(items)), len(items))  # noqa: S311 (a replayable mix)
    if order == sorted(order):
        order.reverse()
    shuffled = iter([items[place] for place in order])
    return [[next(shuffled) for _ in block] for block in replaced]
