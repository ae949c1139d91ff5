"""Making false blocks, transactions and receipts of true ones, as JSON."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from google.protobuf.message import Message

from devnet.address import keccak256
from devnet.blocks import block_id_of, transaction_root, txid_of
from devnet.chain_pb2 import BlockHeader, Transaction, TransactionInfo, TransferContract
from devnet.contracts.abi import address_word, integer_word
from devnet.contracts.usdt import TRANSFER_TOPIC
from devnet.genesis import WITNESSES
from devnet.items import wrapped
from devnet.json_format import parsed, parsed_transaction, printed, printed_transaction
from devnet.keys import Key
from devnet.scenarios import parameters

FORGER = Key(name="forger")
_WITNESS_KEYS = {key.address: key for key in WITNESSES}
_LIFE_MS = 60_000
SEALS = ("kept", "forger", "witness")
INVENTION = (
    parameters.address("recipient", "who is said to be paid"),
    parameters.amount("amount", "how much", default="100"),
    parameters.account("payer", "who is said to pay", default="customer-1"),
    parameters.whole("seed", "makes it another transaction", low=0, high=2**31, default=0),
)


def blocks_in(document: Any) -> Iterator[dict[str, Any]]:
    """The blocks of a reply: one, or several under `block`."""
    if not isinstance(document, dict):
        return
    if "block_header" in document:
        yield document
    for each in document.get("block") or []:
        if isinstance(each, dict) and "block_header" in each:
            yield each


def is_base58(block: dict[str, Any]) -> bool:
    """True if addresses are shown in base58check."""
    raw = block["block_header"]["raw_data"]
    return str(raw.get("witness_address", "")).startswith("T")


def number_of(block: dict[str, Any]) -> int:
    """The height that a block names."""
    return int(block["block_header"]["raw_data"].get("number", 0))


def reheaded(block: dict[str, Any], change: Callable[[Any], None], *, seal: str) -> None:
    """Change a block's header, in place, and its id with it.

    Args:
        block: As JSON.
        change: Gets the header's raw data to change it.
        seal: `kept` leaves the signature, which no longer fits; `forger` signs with a key that
            is no witness's, `witness` with the witness's own.
    """
    visible = is_base58(block)
    header = parsed(BlockHeader, block["block_header"], visible=visible)
    change(header.raw_data)
    digest = sha256(header.raw_data.SerializeToString(deterministic=True)).digest()
    if seal == "forger":
        header.witness_signature = FORGER.sign(digest)
    elif seal == "witness" and header.raw_data.witness_address in _WITNESS_KEYS:
        header.witness_signature = _WITNESS_KEYS[header.raw_data.witness_address].sign(digest)
    block["block_header"] = printed(header, visible=visible)
    block["blockID"] = block_id_of(header).hex()


def reroot(block: dict[str, Any], *, seal: str) -> None:
    """Let a block's header carry the root of the transactions that the block shows."""
    visible = is_base58(block)
    shown = block.get("transactions") or []
    bodies = [parsed_transaction({**each, "visible": visible}) for each in shown]

    def change(raw: Any) -> None:
        raw.txTrieRoot = transaction_root(bodies)

    reheaded(block, change, seal=seal)


def invented_payment(
    block: dict[str, Any], *, payer: Key, recipient: bytes, amount_sun: int, seed: int
) -> Transaction:
    """A transfer of TRX that never happened, as it would stand in a block.

    It is signed by its payer, unless nobody here has the payer's key.
    """
    raw = block["block_header"]["raw_data"]
    timestamp_ms = int(raw.get("timestamp", 0))
    parent = bytes.fromhex(raw.get("parentHash", ""))
    transfer = TransferContract(
        owner_address=payer.address, to_address=recipient, amount=amount_sun
    )
    transaction = Transaction(
        raw_data=Transaction.raw(
            ref_block_bytes=parent[6:8],
            ref_block_hash=parent[8:16],
            expiration=timestamp_ms + _LIFE_MS,
            timestamp=timestamp_ms - random.Random(seed).randrange(1, _LIFE_MS),  # noqa: S311 (a replayable lie)
            contract=[wrapped(transfer)],
        )
    )
    transaction.signature.append(payer.sign(txid_of(transaction)))
    transaction.ret.add(contractRet=Transaction.Result.SUCCESS)
    return transaction


def transfer_log(token: bytes, sender: bytes, recipient: bytes, amount: int) -> TransactionInfo.Log:
    """The log of a token transfer."""
    return TransactionInfo.Log(
        address=token[1:],
        topics=[TRANSFER_TOPIC, address_word(sender), address_word(recipient)],
        data=integer_word(amount),
    )


def invented_receipt(
    number: int, timestamp_ms: int, contract: bytes, log: TransactionInfo.Log, *, seed: int
) -> TransactionInfo:
    """The receipt of a successful contract call that is in no block."""
    info = TransactionInfo(
        id=keccak256(f"invented {number} {seed}".encode()),
        blockNumber=number,
        blockTimeStamp=timestamp_ms,
        contractResult=[b""],
        contract_address=contract,
        log=[log],
    )
    info.receipt.energy_usage_total = 64_285
    info.receipt.result = Transaction.Result.SUCCESS
    return info


def shown(message: Message, *, visible: bool) -> dict[str, Any]:
    """A receipt, a log or a transaction as JSON."""
    if isinstance(message, Transaction):
        return printed_transaction(message, visible=visible)
    return printed(message, visible=visible)
