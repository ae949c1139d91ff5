"""Transactions of accounts that several keys sign for: judged by the permissions on chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devnet.api.builders import unsigned
from devnet.blocks import txid_of
from devnet.chain_pb2 import (
    AccountPermissionUpdateContract,
    Key,
    Permission,
    Transaction,
    TransferContract,
)
from devnet.keys import Key as Signer
from services.tron_client.domain.submissions import NotATransaction
from services.tron_client.node.errors import NodeUnavailable
from shared.models.tron_transactions import BroadcastOutcome
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    World,
    benched,
)

ALICE, BOB, CAROL = (Signer(name=name) for name in ("alice", "bob", "carol"))
ONLY_TRANSFER = bytes([0b10]) + bytes(31)
EXPIRY_BLOCKS = 22
ONLY_CALLS = bytes([0, 0, 0, 0b1000_0000]) + bytes(28)


@pytest.fixture
async def board(world: World, tmp_path: Path) -> AsyncIterator[Bench]:
    """The payer's account is Alice's, Bob's and Carol's, two of three; Alice alone may transfer."""
    signed = world.signed(unsigned(world.devnet.node, update(world)))
    world.devnet.node.broadcast(signed)
    world.mine()
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        yield bench


def update(world: World) -> AccountPermissionUpdateContract:
    def keys(*signers: Signer) -> list[Key]:
        return [Key(address=each.address, weight=1) for each in signers]

    return AccountPermissionUpdateContract(
        owner_address=world.payer.address,
        owner=Permission(permission_name="board", threshold=2, keys=keys(ALICE, BOB, CAROL)),
        actives=[
            Permission(
                type=Permission.Active,
                permission_name=name,
                threshold=1,
                operations=operations,
                keys=keys(ALICE),
            )
            for name, operations in (("till", ONLY_TRANSFER), ("calls", ONLY_CALLS))
        ],
    )


def transfer(world: World, *signers: Signer, permission: int = 0) -> Transaction:
    message = TransferContract(
        owner_address=world.payer.address, to_address=world.payee.address, amount=5
    )
    transaction = unsigned(world.devnet.node, message)
    transaction.raw_data.contract[0].Permission_id = permission
    del transaction.signature[:]
    transaction.signature.extend(each.sign(txid_of(transaction)) for each in signers)
    return transaction


async def test_two_of_three_reach_the_threshold(board: Bench) -> None:
    taken = await board.submit(transfer(board.world, ALICE, CAROL))
    assert taken.outcome is BroadcastOutcome.ACCEPTED
    await board.mine(BLOCKS_TO_SOLID + 1)
    assert await board.fate(taken.id) == "confirmed"


async def test_what_is_stored_is_handed_over_again_without_asking_who_may_sign(
    world: World, tmp_path: Path
) -> None:
    """Permissions are a node's to tell, and it may be away; what is stored was looked at before."""
    world.devnet.node.broadcast(world.signed(unsigned(world.devnet.node, update(world))))
    world.mine()
    mute = SpoiledWire(world.devnet, _without_accounts)
    mute.is_spoiled = False
    async with benched(world, tmp_path, transport=mute) as bench:
        await bench.scan()
        signed = transfer(world, ALICE, CAROL)
        taken = await bench.submit(signed)
        mute.is_spoiled = True
        assert (await bench.submit(signed)).id == taken.id
        world.mine()
        with pytest.raises(NotATransaction):
            await bench.submit(transfer(world, ALICE, BOB))


def _without_accounts(path: str, _asked: Any, answer: Any) -> Any:
    return {} if path.endswith("/getaccount") else answer


async def test_an_active_permission_signs_what_it_is_for(board: Bench) -> None:
    taken = await board.submit(transfer(board.world, ALICE, permission=2))
    assert taken.outcome is BroadcastOutcome.ACCEPTED


@pytest.mark.parametrize(
    ("signers", "permission", "told"),
    [
        ((ALICE,), 0, "weigh 1 of 2"),
        ((ALICE, ALICE), 0, "signed twice"),
        ((ALICE, Signer(name="mallory")), 0, "has no part"),
        ((BOB,), 2, "has no part"),
        ((ALICE,), 3, "is not for"),
        ((ALICE,), 4, "not its owner's"),
    ],
)
async def test_what_a_node_would_refuse_is_not_even_stored(
    board: Bench, signers: tuple[Signer, ...], permission: int, told: str
) -> None:
    with pytest.raises(NotATransaction, match=told):
        await board.submit(transfer(board.world, *signers, permission=permission))
    assert await board.store.transaction_count() == 0


async def test_what_was_refused_gets_its_verdict_once_it_is_over(board: Bench) -> None:
    signed = transfer(board.world, ALICE)
    with pytest.raises(NotATransaction):
        await board.submit(signed)
    await board.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
    taken = await board.submit(signed)
    assert taken.outcome is not BroadcastOutcome.ACCEPTED
    await board.tracker.expire()
    assert await board.fate(taken.id) == "pending"

    await board.mine(BLOCKS_TO_SOLID)
    await board.tracker.expire()
    assert await board.fate(taken.id) == "expired"


async def test_without_the_chains_word_nothing_is_stored(world: World, tmp_path: Path) -> None:
    def silent(path: str, _asked: Any, answer: Any) -> Any:
        return {"Error": "lack of computing resources"} if path == "/wallet/getaccount" else answer

    wire = SpoiledWire(world.devnet, silent)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        wire.is_spoiled = True
        with pytest.raises(NodeUnavailable):
            await bench.submit(transfer(world, ALICE, BOB))
        assert await bench.store.transaction_count() == 0
