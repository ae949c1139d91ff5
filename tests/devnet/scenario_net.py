"""A devnet of two nodes with real listeners, mined by hand, and the clients that talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.address import to_base58
from devnet.api.builders import unsigned
from devnet.app import Running
from devnet.background import in_background
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction, TransferContract, TriggerSmartContract
from devnet.contracts.forwarding import call_data
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import CUSTOMERS
from devnet.json_format import printed_transaction
from devnet.keys import Key
from devnet.settings import Follower, Settings

PAYER, PAYEE = CUSTOMERS[0].key, CUSTOMERS[1].key
STRANGER = Key(name="stranger")


@dataclass
class Net:
    """What a test asks and tells."""

    running: Running
    http: httpx.Client

    def url(self, node: int = 0) -> str:
        return self.running.devnet.urls[node]

    def ask(self, path: str, /, *, at: int = 0, **body: Any) -> Any:
        """What a node answers."""
        return self.http.post(self.url(at) + path, json=body).json()

    def raw(self, path: str, /, *, at: int = 0, **body: Any) -> httpx.Response:
        return self.http.post(self.url(at) + path, json=body)

    def breaks(self, path: str, /, *, at: int = 0, **body: Any) -> bool:
        """True if a request is left without an answer."""
        try:
            self.raw(path, at=at, **body)
        except httpx.TransportError:
            return True
        return False

    def tell(self, path: str, /, **body: Any) -> Any:
        """What the control API answers to an order."""
        response = self.http.post(f"{self.running.control_url}/devnet/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def refusal(self, path: str, body: Any) -> str:
        response = self.http.post(f"{self.running.control_url}/devnet/{path}", json=body)
        assert response.status_code == 400, response.text
        return str(response.json()["error"])

    def get(self, path: str) -> Any:
        return self.http.get(f"{self.running.control_url}/devnet/{path}").json()

    def delete(self, path: str) -> Any:
        response = self.http.delete(f"{self.running.control_url}/devnet/{path}")
        assert response.status_code == 200, response.text
        return response.json()

    def arm(self, name: str, /, **order: Any) -> Any:
        return self.tell(f"scenarios/{name}", **order)

    def armed(self) -> list[str]:
        return [each["scenario"] for each in self.get("scenarios/armed")["armed"]]

    def strikes(self) -> list[str]:
        return [each["scenario"] for each in self.get("log")["strikes"]]

    def mine(self, blocks: int = 1) -> Any:
        return self.tell("mine", blocks=blocks)

    def height(self, *, at: int = 0, tree: str = "wallet") -> int:
        block = self.ask(f"/{tree}/getnowblock", at=at)
        return int(block["block_header"]["raw_data"].get("number", 0))

    def block(self, number: int, *, at: int = 0, **more: Any) -> Any:
        return self.ask("/wallet/getblockbynum", at=at, num=number, **more)

    def receipts(self, number: int, *, at: int = 0) -> Any:
        return self.ask("/wallet/gettransactioninfobyblocknum", at=at, num=number)

    def transfer(self, amount_sun: int, *, by: Key = PAYER) -> Transaction:
        """A signed transfer that no node has seen."""
        message = TransferContract(
            owner_address=by.address, to_address=PAYEE.address, amount=amount_sun
        )
        return self.signed(message, by)

    def usdt(self, amount_micro: int, *, by: Key = PAYER) -> Transaction:
        data = call_data("transfer(address,uint256)", PAYEE.address, amount_micro)
        message = TriggerSmartContract(
            owner_address=by.address, contract_address=USDT_CONTRACT_ADDRESS, data=data
        )
        return self.signed(message, by, fee_limit_sun=10**8)

    def signed(self, message: Any, by: Key, *, fee_limit_sun: int = 0) -> Transaction:
        node = self.running.devnet.node
        transaction = unsigned(node, message, fee_limit_sun=fee_limit_sun)
        transaction.signature.append(by.sign(txid_of(transaction)))
        return transaction

    def broadcast(self, transaction: Transaction, *, at: int = 0) -> Any:
        document = printed_transaction(transaction, visible=False)
        return self.ask("/wallet/broadcasttransaction", at=at, **document)

    def broadcast_hex(self, transaction: Transaction) -> Any:
        data = transaction.SerializeToString(deterministic=True).hex()
        return self.ask("/wallet/broadcasthex", transaction=data)

    def paid(self, *transactions: Transaction) -> int:
        """Broadcast, mine, and return the height of the block that holds them all."""
        for each in transactions:
            assert self.broadcast(each).get("result"), each
        return int(self.mine()["head"]["number"])

    def is_included(self, transaction: Transaction, *, at: int = 0) -> bool:
        value = txid_of(transaction).hex()
        return bool(self.ask("/wallet/gettransactioninfobyid", at=at, value=value))

    def balance_sun(self, address: bytes, *, at: int = 0) -> int:
        account = self.ask("/wallet/getaccount", at=at, address=address.hex())
        return int(account.get("balance", 0))

    def usdt_micro(self, address: bytes, *, at: int = 0) -> int:
        reply = self.ask(
            "/wallet/triggerconstantcontract",
            at=at,
            owner_address=address.hex(),
            contract_address=USDT_CONTRACT_ADDRESS.hex(),
            function_selector="balanceOf(address)",
            parameter=address[1:].hex().rjust(64, "0"),
        )
        return int(reply["constant_result"][0], 16)


@contextmanager
def open_net(*, followers: int = 1, state_path: Path | None = None) -> Iterator[Net]:
    """Twenty blocks old, so that the second is solid."""
    settings = Settings(
        port=0,
        control_port=0,
        speed=0,
        behind_s=7_200,
        state_path=state_path,
        followers=tuple(Follower() for _ in range(followers)),
    )
    with (
        in_background(settings) as running,
        httpx.Client(timeout=10, trust_env=False) as http,
    ):
        net = Net(running=running, http=http)
        net.mine(20)
        yield net


def text(key: Key) -> str:
    return to_base58(key.address)


@pytest.fixture(name="net")
def fresh_net() -> Iterator[Net]:
    with open_net() as net:
        yield net
