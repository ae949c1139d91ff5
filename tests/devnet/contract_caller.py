"""Calls of the devnet's contracts as a client makes them, through the node's HTTP API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devnet.contracts.abi import (
    address_in,
    address_word,
    array_tail,
    integer_in,
    integer_word,
    text_tail,
    topic_of,
)
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import FAUCET
from devnet.keys import Key

TRX = 1_000_000
TRANSFER_TOPIC = topic_of("Transfer(address,address,uint256)").hex()
Value = bytes | int | str | list[bytes] | list[int]


@dataclass
class Caller:
    """Builds on the node, signs, broadcasts, mines, and reads the receipt."""

    world: Any
    client: Any

    async def send(
        self,
        signature: str,
        *values: Value,
        to: bytes = USDT_CONTRACT_ADDRESS,
        by: Key | None = None,
        value_sun: int = 0,
        fee_limit_sun: int = 150 * TRX,
    ) -> Any:
        """The receipt of a call."""
        by = by or self.world.payer
        built = await self.client.post(
            "/wallet/triggersmartcontract",
            owner_address=by.address.hex(),
            contract_address=to.hex(),
            function_selector=signature,
            parameter=encoded(*values).hex(),
            call_value=value_sun,
            fee_limit=fee_limit_sun,
        )
        assert built["result"] == {"result": True}, built
        return await self.receipt(built["transaction"], by=by)

    async def receipt(self, transaction: dict[str, Any], *, by: Key) -> Any:
        """The receipt of a transaction that the node built."""
        txid = transaction["txID"]
        signed = {**transaction, "signature": [by.sign(bytes.fromhex(txid)).hex()]}
        reply = await self.client.post("/wallet/broadcasttransaction", **signed)
        assert reply == {"result": True, "txid": txid}
        self.world.mine()
        return await self.info(txid)

    async def info(self, txid: str) -> Any:
        """A receipt."""
        return await self.client.post("/wallet/gettransactioninfobyid", value=txid)

    async def ask(
        self,
        signature: str,
        *values: Value,
        to: bytes = USDT_CONTRACT_ADDRESS,
        by: Key | None = None,
        **more: Any,
    ) -> Any:
        """The reply to a constant call."""
        by = by or self.world.payer
        return await self.client.post(
            "/wallet/triggerconstantcontract",
            owner_address=by.address.hex(),
            contract_address=to.hex(),
            function_selector=signature,
            parameter=encoded(*values).hex(),
            **more,
        )

    async def number(
        self, signature: str, *values: Value, to: bytes = USDT_CONTRACT_ADDRESS
    ) -> int:
        """The number that a constant call returns."""
        reply = await self.ask(signature, *values, to=to)
        assert reply["transaction"]["ret"] == [{}], reply
        return int(reply["constant_result"][0], 16)

    async def by_owner(self, signature: str, *values: Value) -> Any:
        """The receipt of a call of USDT by its owner, which succeeds."""
        info = await self.send(signature, *values, by=FAUCET.key)
        assert info["receipt"]["result"] == "SUCCESS", info
        return info


def encoded(*values: Value) -> bytes:
    """Arguments as ABI words: addresses, integers, texts, and arrays of the first two."""
    head: list[bytes] = []
    tail = b""
    for value in values:
        if isinstance(value, str | list):
            head.append(integer_word(32 * len(values) + len(tail)))
            tail += text_tail(value) if isinstance(value, str) else array_tail(_words(value))
        else:
            head.append(_word(value))
    return b"".join(head) + tail


def transfers(info: dict[str, Any]) -> list[tuple[bytes, bytes, bytes, int]]:
    """Contract, sender, recipient and value of every TRC-20 transfer in a receipt."""
    return [
        (
            bytes.fromhex("41" + log["address"]),
            address_in(bytes.fromhex(log["topics"][1])),
            address_in(bytes.fromhex(log["topics"][2])),
            integer_in(bytes.fromhex(log["data"])),
        )
        for log in info.get("log", [])
        if log["topics"][0] == TRANSFER_TOPIC and len(log["topics"]) == 3
    ]


def assert_reverted(info: dict[str, Any]) -> None:
    """A revert without a word, charged for what it used, without logs."""
    assert info["receipt"]["result"] == "REVERT"
    assert info["result"] == "FAILED"
    assert bytes.fromhex(info["resMessage"]) == b"REVERT opcode executed"
    assert info["contractResult"] == [""]
    assert "log" not in info
    assert 0 < info["receipt"]["energy_usage_total"] < 50_000


def _words(values: list[bytes] | list[int]) -> list[bytes]:
    return [_word(each) for each in values]


def _word(value: bytes | int) -> bytes:
    return integer_word(value) if isinstance(value, int) else address_word(value)
