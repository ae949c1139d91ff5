"""Fills blocks with transactions as a busy public chain has them, signed and paid for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from devnet.address import PREFIX, keccak256
from devnet.blocks import txid_of
from devnet.chain import Tip
from devnet.chain_pb2 import (
    FreezeBalanceV2Contract,
    ResourceCode,
    Transaction,
    TransactionInfo,
    TransferContract,
    TriggerSmartContract,
)
from devnet.contracts.catalogue import COIN_18, FAKE_USDT, PAYER, ROUTER
from devnet.contracts.forwarding import call_data
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS, USDT_MICRO
from devnet.genesis import FAUCET
from devnet.items import Item, wrapped
from devnet.keys import Key
from devnet.resources import SUN_PER_TRX
from devnet.witness_node import WitnessNode

PER_BLOCK_MAX = 2_000
_ACCOUNTS = 100
_STRANGERS = 5_000
_GRANT_SUN = 1_000_000 * SUN_PER_TRX
_ENOUGH_SUN = 100_000 * SUN_PER_TRX
_GRANT_UNITS = 1_000_000 * USDT_MICRO
_ENOUGH_FEE_SUN = 100 * SUN_PER_TRX
_SHORT_FEE_SUN = SUN_PER_TRX // 2
_LIFE_MS = 60_000
_ALL = 2**256 - 1
_NS_PER_S = 1_000_000_000
_TRANSFER = "transfer(address,uint256)"
_TRANSFER_FROM = "transferFrom(address,address,uint256)"
_APPROVE = "approve(address,uint256)"
_MINT = "mint(address,uint256)"
_PAY = "pay(address,address,uint256)"
_PAY_TRX = "pay(address,uint256)"

_ACCOUNT_KEYS = tuple(Key(name=f"traffic-{number}") for number in range(1, _ACCOUNTS + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was ordered.

    Attributes:
        per_block: Transactions in each block.
        blocks: For how many blocks; 0 until it is stopped.
        seed: Decides who pays whom how much and how.
    """

    per_block: int
    blocks: int
    seed: int


class Traffic:
    """Supplies a node's blocks with transactions of a hundred accounts that the faucet funds.

    The first blocks of a load hold what funds them. Who pays whom, how much and how follows from
    the seed; reference blocks and times are the chain's.
    """

    def __init__(self, node: WitnessNode) -> None:
        self._node = node
        self._load: Load | None = None
        self._orders: Iterator[tuple[Key, Message, int]] = iter(())
        self._serial = 0
        self._begun_ns = 0
        self._work_ns = 0
        self._blocks = 0
        self._included = 0
        self._failed = 0
        node.suppliers.append(self._supply)
        node.watchers.append(self._block_made)

    def start(self, load: Load) -> None:
        """Fill the blocks from the next one on; a load that runs already is replaced."""
        self._load = load
        self._orders = self._ordered(random.Random(load.seed))  # noqa: S311 (a replayable mix)
        self._work_ns = self._blocks = self._included = self._failed = 0

    def stop(self) -> None:
        """Let the blocks be."""
        self._load = None

    def status(self) -> dict[str, Any]:
        """The load, and what came of the latest one.

        `blocks_per_s` counts only the time in which blocks were filled and made.
        """
        load = self._load
        work_s = self._work_ns / _NS_PER_S
        return {
            "running": load is not None,
            "per_block": load.per_block if load else 0,
            "seed": load.seed if load else None,
            "blocks": self._blocks,
            "blocks_left": load.blocks - self._blocks if load and load.blocks else None,
            "transactions": self._included,
            "failed": self._failed,
            "work_ms": self._work_ns // 1_000_000,
            "blocks_per_s": round(self._blocks / work_s, 2) if work_s else None,
        }

    def _supply(self, time_ms: int) -> Iterator[Item]:
        self._begun_ns = time.monotonic_ns()
        load = self._load
        for _ in range(load.per_block if load else 0):
            yield self._signed(*next(self._orders), time_ms=time_ms)

    def _block_made(self, tip: Tip) -> None:
        load = self._load
        if load is None:
            return
        self._work_ns += time.monotonic_ns() - self._begun_ns
        infos = self._node.main.record(tip.number).infos
        self._blocks += 1
        self._included += len(infos)
        self._failed += sum(info.result == TransactionInfo.FAILED for info in infos)
        if load.blocks and self._blocks >= load.blocks:
            self.stop()

    def _signed(self, signer: Key, message: Message, fee_limit_sun: int, *, time_ms: int) -> Item:
        """A serial number in the timestamp keeps equal payments apart."""
        self._serial += 1
        reference = self._node.main.solid.block_id
        transaction = Transaction(
            raw_data=Transaction.raw(
                ref_block_bytes=reference[6:8],
                ref_block_hash=reference[8:16],
                expiration=time_ms + _LIFE_MS,
                timestamp=time_ms - _LIFE_MS + self._serial % _LIFE_MS,
                contract=[wrapped(message)],
                fee_limit=fee_limit_sun,
            )
        )
        txid = txid_of(transaction)
        transaction.signature.append(signer.sign(txid))
        owner: bytes = message.owner_address  # type: ignore[attr-defined]
        return Item(transaction=transaction, txid=txid, contract=message, owner=owner)

    def _ordered(self, chance: random.Random) -> Iterator[tuple[Key, Message, int]]:
        """Who signs what with which fee limit, first the funding and then without end."""
        state = self._node.main.ledger.head
        for key in _ACCOUNT_KEYS:
            account = state.account(key.address)
            if account is None or account.balance_sun < _ENOUGH_SUN:
                yield from _funding(key)
        kinds, weights = [*_MIX], [*_MIX.values()]
        while True:
            kind = chance.choices(kinds, weights)[0]
            payer = chance.choice(_ACCOUNT_KEYS)
            yield kind(payer, chance)


def _funding(key: Key) -> Iterator[tuple[Key, Message, int]]:
    """TRX, USDT and two other tokens for an account, and the router's allowance."""
    faucet = FAUCET.key
    transfer = TransferContract(
        owner_address=faucet.address, to_address=key.address, amount=_GRANT_SUN
    )
    yield faucet, transfer, 0
    yield _call(faucet, USDT_CONTRACT_ADDRESS, _TRANSFER, key.address, _GRANT_UNITS)
    yield _call(faucet, COIN_18.address, _MINT, key.address, _GRANT_UNITS)
    yield _call(faucet, FAKE_USDT.address, _MINT, key.address, _GRANT_UNITS)
    yield _call(key, USDT_CONTRACT_ADDRESS, _APPROVE, ROUTER.address, _ALL)


def _call(
    caller: Key,
    contract: bytes,
    signature: str,
    *values: bytes | int,
    fee_limit_sun: int = _ENOUGH_FEE_SUN,
    value_sun: int = 0,
) -> tuple[Key, Message, int]:
    trigger = TriggerSmartContract(
        owner_address=caller.address,
        contract_address=contract,
        call_value=value_sun,
        data=call_data(signature, *values),
    )
    return caller, trigger, fee_limit_sun


def _payee(chance: random.Random) -> bytes:
    """Mostly one of the accounts, sometimes a stranger."""
    if chance.random() < 0.9:  # noqa: PLR2004 (most are known)
        return chance.choice(_ACCOUNT_KEYS).address
    number = chance.randrange(_STRANGERS)
    return PREFIX + keccak256(f"lucid devnet stranger {number}".encode())[12:]


def _other(payer: Key, chance: random.Random) -> bytes:
    """Somebody else."""
    payee = _payee(chance)
    return FAUCET.key.address if payee == payer.address else payee


def _pay_trx(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    transfer = TransferContract(
        owner_address=payer.address,
        to_address=_other(payer, chance),
        amount=chance.randint(1, 20 * SUN_PER_TRX),
    )
    return payer, transfer, 0


def _pay_usdt(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    amount = chance.randint(1, 50 * USDT_MICRO)
    return _call(payer, USDT_CONTRACT_ADDRESS, _TRANSFER, _other(payer, chance), amount)


def _pay_token(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    token = chance.choice([COIN_18, FAKE_USDT]).address
    return _call(payer, token, _TRANSFER, _other(payer, chance), chance.randint(1, USDT_MICRO))


def _poison(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    """A transfer of nothing in somebody else's name, which needs no allowance."""
    victim = chance.choice(_ACCOUNT_KEYS).address
    return _call(payer, USDT_CONTRACT_ADDRESS, _TRANSFER_FROM, victim, _payee(chance), 0)


def _approve(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    spender = chance.choice(_ACCOUNT_KEYS).address
    amount = chance.randint(0, USDT_MICRO)
    return _call(payer, USDT_CONTRACT_ADDRESS, _APPROVE, spender, amount)


def _route(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    amount = chance.randint(1, USDT_MICRO)
    values = (USDT_CONTRACT_ADDRESS, _other(payer, chance), amount)
    return _call(payer, ROUTER.address, _PAY, *values)


def _pay_internally(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    amount_sun = chance.randint(1, SUN_PER_TRX)
    values = (_other(payer, chance), amount_sun)
    return _call(payer, PAYER.address, _PAY_TRX, *values, value_sun=amount_sun)


def _stake(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    stake = FreezeBalanceV2Contract(
        owner_address=payer.address,
        frozen_balance=chance.randint(1, 10) * SUN_PER_TRX,
        resource=chance.choice([ResourceCode.BANDWIDTH, ResourceCode.ENERGY]),
    )
    return payer, stake, 0


def _overdraw(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    """More USDT than there is: it reverts."""
    return _call(payer, USDT_CONTRACT_ADDRESS, _TRANSFER, _other(payer, chance), 10**16)


def _starve(payer: Key, chance: random.Random) -> tuple[Key, Message, int]:
    """Too small a fee limit: it runs out of energy."""
    return _call(
        payer,
        USDT_CONTRACT_ADDRESS,
        _TRANSFER,
        _other(payer, chance),
        1,
        fee_limit_sun=_SHORT_FEE_SUN,
    )


Kind = Callable[[Key, random.Random], tuple[Key, Message, int]]

# Shares in percent, chosen to look like a busy day; nobody measured them.
_MIX: dict[Kind, int] = {
    _pay_usdt: 38,
    _pay_trx: 30,
    _pay_token: 10,
    _route: 5,
    _poison: 4,
    _approve: 3,
    _pay_internally: 3,
    _stake: 2,
    _overdraw: 3,
    _starve: 2,
}
