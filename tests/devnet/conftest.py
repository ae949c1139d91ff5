from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.accounts import Account
from devnet.address import to_base58
from devnet.api.builders import unsigned
from devnet.app import Devnet, assemble
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction, TransactionInfo, TransferContract, TriggerSmartContract
from devnet.contracts.abi import address_word, integer_word
from devnet.contracts.storage import read_slot
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS, method_named
from devnet.genesis import CUSTOMERS
from devnet.keys import Key
from devnet.rejection import RejectedError
from devnet.settings import Settings
from devnet.witness_node import WitnessNode


@dataclass
class World:
    """A devnet mined by hand, two rich customers, and a stranger who has nothing."""

    devnet: Devnet
    payer: Key = CUSTOMERS[0].key
    payee: Key = CUSTOMERS[1].key
    stranger: Key = field(default_factory=lambda: Key(name="stranger"))

    @property
    def node(self) -> WitnessNode:
        return self.devnet.node

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.node.mine()

    def transfer(self, to: bytes, amount_sun: int, *, by: Key | None = None) -> Transaction:
        by = by or self.payer
        message = TransferContract(owner_address=by.address, to_address=to, amount=amount_sun)
        return self.signed(unsigned(self.node, message), by)

    def usdt(
        self, name: str, *words: bytes | int, by: Key | None = None, fee_limit_sun: int = 10**8
    ) -> Transaction:
        by = by or self.payer
        arguments = [integer_word(w) if isinstance(w, int) else address_word(w) for w in words]
        message = TriggerSmartContract(
            owner_address=by.address,
            contract_address=USDT_CONTRACT_ADDRESS,
            data=method_named(name).selector + b"".join(arguments),
        )
        return self.signed(unsigned(self.node, message, fee_limit_sun=fee_limit_sun), by)

    def signed(self, transaction: Transaction, by: Key) -> Transaction:
        del transaction.signature[:]
        transaction.signature.append(by.sign(txid_of(transaction)))
        return transaction

    def confirmed(self, transaction: Transaction) -> TransactionInfo:
        """Broadcast, mine, and return the receipt."""
        item = self.node.broadcast(transaction)
        self.mine()
        height = self.node.chain.height_of(item.txid)
        assert height == self.node.chain.head.number
        return next(i for i in self.node.chain.record(height).infos if i.id == item.txid)

    def carried_out(self, message: Any, *, by: Key | None = None) -> TransactionInfo:
        """The receipt of a system contract."""
        by = by or self.payer
        return self.confirmed(self.signed(unsigned(self.node, message), by))

    def refusal(self, message: Any, *, by: Key | None = None) -> str:
        """Why a system contract is not taken."""
        by = by or self.payer
        with pytest.raises(RejectedError) as caught:
            self.node.broadcast(self.signed(unsigned(self.node, message), by))
        return caught.value.detail

    def account(self, address: bytes) -> Account:
        account = self.node.pending_state.account(address)
        assert account is not None
        return account

    def wait(self, milliseconds: int) -> None:
        """Let chain time pass, and make a block in it."""
        self.node.clock.advance_to(self.node.chain.head.time_ms + milliseconds)
        self.mine()

    def balance_sun(self, address: bytes) -> int:
        account = self.node.pending_state.account(address)
        return account.balance_sun if account else 0

    def usdt_micro(self, address: bytes) -> int:
        return read_slot(self.node.pending_state, USDT_CONTRACT_ADDRESS, "balance", address)

    def use_up_free_bandwidth(self, by: Key | None = None) -> None:
        """Two small transfers, after which less than a third one's bytes are left."""
        for amount_sun in (1, 2):
            self.confirmed(self.transfer(self.payee.address, amount_sun, by=by))


@dataclass
class NodeClient:
    http: httpx.AsyncClient

    async def post(self, path: str, **body: Any) -> Any:
        response = await self.http.post(path, json=body)
        assert response.status_code == 200
        return response.json()


def new_world(state_path: Path | None = None) -> World:
    return World(devnet=assemble(Settings(speed=0, state_path=state_path)))


@pytest.fixture
def world() -> Iterator[World]:
    world = new_world()
    world.mine()
    yield world
    world.node.chain.close()


@pytest.fixture
def open_world() -> Callable[[Path], World]:
    """Opens a devnet on a state file; the test closes it."""
    return new_world


@pytest.fixture
async def client(world: World) -> AsyncIterator[NodeClient]:
    transport = httpx.ASGITransport(app=world.devnet.node_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
        yield NodeClient(http)


@pytest.fixture
async def control(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=world.devnet.control_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as http:
        yield http


@pytest.fixture
def payer_text(world: World) -> str:
    return to_base58(world.payer.address)
