"""Transactions and token transfers as the facade shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devnet.address import PREFIX, to_base58
from devnet.chain_pb2 import BlockRecord
from devnet.json_format import printed, printed_transaction
from devnet.trongrid.index import APPROVAL_TOPIC, Place, parties_of
from devnet.trongrid.query import Query

_WORD_BYTES = 32
_TOPICS_OF_UNIQUE_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTransfer:
    """A Transfer or Approval in a log; of a unique token the value is its number."""

    txid: bytes
    contract: bytes
    time_ms: int
    sender: bytes
    recipient: bytes
    value: int
    is_approval: bool

    def printed(self, token_info: dict[str, Any]) -> dict[str, Any]:
        """The transfer as JSON; it tells neither its block nor its place in the transaction."""
        return {
            "transaction_id": self.txid.hex(),
            "token_info": token_info,
            "block_timestamp": self.time_ms,
            "from": to_base58(self.sender),
            "to": to_base58(self.recipient),
            "type": "Approval" if self.is_approval else "Transfer",
            "value": str(self.value),
        }


def transaction(
    record: BlockRecord, place: Place, *, of: bytes, query: Query
) -> dict[str, Any] | None:
    """A transaction with its receipt; None if it is not on the side that was asked for."""
    executed, info = record.block.transactions[place.transaction], record.infos[place.transaction]
    owner, *others = parties_of(executed)
    if (query.flag("only_from") and owner != of) or (query.flag("only_to") and of not in others):
        return None
    shown = printed_transaction(executed, visible=False, txid=info.id)
    shown["ret"] = [{**each, "fee": info.fee} for each in shown["ret"]]
    receipt = info.receipt
    extra = printed(info, visible=False)
    return {
        **shown,
        "net_usage": receipt.net_usage,
        "net_fee": receipt.net_fee,
        "energy_usage": receipt.energy_usage,
        "energy_fee": receipt.energy_fee,
        "energy_usage_total": receipt.energy_usage_total,
        "blockNumber": info.blockNumber,
        "block_timestamp": info.blockTimeStamp,
        "internal_transactions": extra.get("internal_transactions", []),
    }


def token_transfer(
    record: BlockRecord, place: Place, *, of: bytes, query: Query
) -> TokenTransfer | None:
    """A token's transfer; None if it is not on the side that was asked for."""
    info = record.infos[place.transaction]
    log = info.log[place.log]
    sender, recipient = (PREFIX + topic[-20:] for topic in log.topics[1:3])
    if (query.flag("only_from") and sender != of) or (query.flag("only_to") and recipient != of):
        return None
    is_unique = len(log.topics) >= _TOPICS_OF_UNIQUE_TOKEN
    word = log.topics[3] if is_unique else log.data[:_WORD_BYTES]
    return TokenTransfer(
        txid=info.id,
        contract=PREFIX + log.address,
        time_ms=info.blockTimeStamp,
        sender=sender,
        recipient=recipient,
        value=int.from_bytes(word, "big"),
        is_approval=log.topics[0] == APPROVAL_TOPIC,
    )
