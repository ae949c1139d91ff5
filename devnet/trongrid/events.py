"""Logs as named events, decoded with the contract's own ABI."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from devnet.address import PREFIX, to_base58
from devnet.chain_pb2 import BlockRecord, TransactionInfo
from devnet.contracts.abi import WORD_BYTES, topic_of
from devnet.trongrid.index import Place
from devnet.trongrid.tokens import Ask

_REMEMBERED = 256
_DYNAMIC = frozenset({"string", "bytes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An event's argument."""

    name: str
    kind: str
    indexed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as the ABI declares it."""

    name: str
    arguments: tuple[Argument, ...]

    @property
    def topic(self) -> bytes:
        """The first topic of its logs."""
        return topic_of(f"{self.name}({','.join(each.kind for each in self.arguments)})")

    @property
    def declaration(self) -> str:
        """The event as Solidity declares it."""
        parts = (
            f"{each.kind}{' indexed' if each.indexed else ''} {each.name}".rstrip()
            for each in self.arguments
        )
        return f"{self.name}({', '.join(parts)})"

    def decoded(self, log: TransactionInfo.Log) -> tuple[dict[str, str], dict[str, str]]:
        """The values by position and by name, and the types by name."""
        topics = iter(log.topics[1:])
        words = 0
        values: dict[str, str] = {}
        named: dict[str, str] = {}
        kinds: dict[str, str] = {}
        for position, each in enumerate(self.arguments):
            if each.indexed:
                value = _value(each.kind, next(topics, b""))
            else:
                value = _unindexed(each.kind, log.data, words)
                words += 1
            values[str(position)] = value
            if each.name:
                named[each.name] = value
            kinds[each.name or str(position)] = each.kind
        return {**values, **named}, kinds


def _token_event(name: str, first: str, second: str) -> Event:
    return Event(
        name=name,
        arguments=(
            Argument(name=first, kind="address", indexed=True),
            Argument(name=second, kind="address", indexed=True),
            Argument(name="value", kind="uint256", indexed=False),
        ),
    )


_OF_EVERY_TOKEN = (
    _token_event("Transfer", "from", "to"),
    _token_event("Approval", "owner", "spender"),
)


class Events:
    """The events of contracts, by the first topic of their logs."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: OrderedDict[bytes, dict[bytes, Event]] = OrderedDict()

    def printed(
        self, record: BlockRecord, place: Place, *, confirmed: bool
    ) -> dict[str, Any] | None:
        """A log as an event; None if the contract's ABI does not know it."""
        info = record.infos[place.transaction]
        log = info.log[place.log]
        contract = PREFIX + log.address
        event = self._declared(contract).get(log.topics[0] if log.topics else b"")
        if event is None:
            return None
        result, kinds = event.decoded(log)
        return {
            "block_number": info.blockNumber,
            "block_timestamp": info.blockTimeStamp,
            "caller_contract_address": to_base58(info.contract_address or contract),
            "contract_address": to_base58(contract),
            "event_index": place.log,
            "event_name": event.name,
            "result": result,
            "result_type": kinds,
            "event": event.declaration,
            "transaction_id": info.id.hex(),
            **({} if confirmed else {"_unconfirmed": True}),
        }

    def _declared(self, contract: bytes) -> dict[bytes, Event]:
        """The events of a contract; of one whose ABI has none, those that every token has."""
        known = self._known.get(contract)
        if known is not None:
            return known
        described = self._ask("/wallet/getcontract", value=contract.hex())
        entries = (described.get("abi") or {}).get("entrys") or []
        events = [_event(entry) for entry in entries if entry.get("type") == "Event"]
        declared = {event.topic: event for event in events or _OF_EVERY_TOKEN}
        if described:
            self._known[contract] = declared
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return declared


def _event(entry: dict[str, Any]) -> Event:
    arguments = tuple(
        Argument(
            name=each.get("name", ""), kind=each["type"], indexed=bool(each.get("indexed", False))
        )
        for each in entry.get("inputs", [])
    )
    return Event(name=entry["name"], arguments=arguments)


def _unindexed(kind: str, data: bytes, position: int) -> str:
    word = data[position * WORD_BYTES : (position + 1) * WORD_BYTES]
    if kind not in _DYNAMIC:
        return _value(kind, word)
    start = int.from_bytes(word, "big")
    length = int.from_bytes(data[start : start + WORD_BYTES], "big")
    content = data[start + WORD_BYTES :][:length]
    return content.decode("utf-8", "replace") if kind == "string" else content.hex()


def _value(kind: str, word: bytes) -> str:
    """A word as the gateway prints it: addresses with 0x, numbers in decimal, all as texts."""
    if kind == "address":
        return f"0x{word[-20:].hex()}"
    if kind == "bool":
        return "true" if any(word) else "false"
    if kind.startswith("uint"):
        return str(int.from_bytes(word, "big"))
    if kind.startswith("int"):
        return str(int.from_bytes(word, "big", signed=True))
    return word.hex()
