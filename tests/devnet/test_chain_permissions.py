from __future__ import annotations

from typing import Any

import pytest

from devnet.address import to_base58
from devnet.api.builders import unsigned
from devnet.blocks import txid_of
from devnet.chain_pb2 import (
    AccountPermissionUpdateContract,
    FreezeBalanceV2Contract,
    Key,
    Permission,
    Transaction,
    TransferContract,
)
from devnet.forks import Fate
from devnet.genesis import WITNESSES
from devnet.keys import Key as Signer
from devnet.permissions import ACTIVE_OPERATIONS, permissions_of
from devnet.rejection import Code, RejectedError

TRX = 1_000_000
ALICE, BOB, CAROL = (Signer(name=name) for name in ("alice", "bob", "carol"))
ONLY_TRANSFER = bytes([0b10]) + bytes(31)


def keys(*weighted: tuple[Signer, int]) -> list[Key]:
    return [Key(address=signer.address, weight=weight) for signer, weight in weighted]


def update(world: Any, **changes: Any) -> AccountPermissionUpdateContract:
    """Two of three for the owner, Alice alone for transfers; then what the test changes."""
    contract = AccountPermissionUpdateContract(
        owner_address=world.payer.address,
        owner=Permission(
            permission_name="board", threshold=3, keys=keys((ALICE, 2), (BOB, 1), (CAROL, 1))
        ),
        actives=[
            Permission(
                type=Permission.Active,
                permission_name="till",
                threshold=1,
                operations=ONLY_TRANSFER,
                keys=keys((ALICE, 1)),
            )
        ],
    )
    for name, value in changes.items():
        path, _, field = name.partition("__")
        part = contract.actives[0] if path == "active" else getattr(contract, path)
        if field == "keys":
            del part.keys[:]
            part.keys.extend(value)
        else:
            setattr(part, field, value)
    return contract


def transfer(world: Any, *, permission: int = 0, amount_sun: int = 5) -> Transaction:
    message = TransferContract(
        owner_address=world.payer.address, to_address=world.payee.address, amount=amount_sun
    )
    transaction = unsigned(world.node, message)
    transaction.raw_data.contract[0].Permission_id = permission
    return transaction


def signed_by(transaction: Transaction, *signers: Signer) -> Transaction:
    del transaction.signature[:]
    transaction.signature.extend(each.sign(txid_of(transaction)) for each in signers)
    return transaction


def sig_error(world: Any, transaction: Transaction) -> str:
    with pytest.raises(RejectedError) as caught:
        world.node.broadcast(transaction)
    assert caught.value.code is Code.SIGERROR
    assert caught.value.message == f"Validate signature error: {caught.value.detail}"
    return caught.value.detail


@pytest.fixture
def shared(world: Any) -> Any:
    world.carried_out(update(world))
    return world


def test_changing_permissions_costs_100_trx_and_replaces_everything(world: Any) -> None:
    before_sun = world.balance_sun(world.payer.address)

    info = world.carried_out(update(world))

    assert info.fee == 100 * TRX
    assert world.balance_sun(world.payer.address) == before_sun - 100 * TRX
    permissions = permissions_of(world.node.pending_state, world.payer.address)
    assert [permissions.owner.id, permissions.actives[0].id] == [0, 2]
    assert permissions.witness is None
    assert "not contained of permission" in sig_error(
        world, signed_by(transfer(world), world.payer)
    )


def test_signatures_reach_the_threshold_together(shared: Any) -> None:
    """More than one signature costs 1 TRX beside the bytes."""
    before_sun = shared.balance_sun(shared.payer.address)

    info = shared.confirmed(signed_by(transfer(shared), ALICE, BOB))

    assert info.fee == TRX + info.receipt.net_fee
    assert shared.balance_sun(shared.payer.address) == before_sun - info.fee - 5
    assert sig_error(shared, signed_by(transfer(shared), BOB, CAROL)) == "sig error"
    assert sig_error(shared, signed_by(transfer(shared), ALICE)) == "sig error"
    shared.confirmed(signed_by(transfer(shared, amount_sun=6), CAROL, BOB, ALICE))


def test_an_active_permission_may_do_what_its_operations_say(shared: Any) -> None:
    shared.confirmed(signed_by(transfer(shared, permission=2), ALICE))

    freeze = unsigned(
        shared.node,
        FreezeBalanceV2Contract(owner_address=shared.payer.address, frozen_balance=TRX),
    )
    freeze.raw_data.contract[0].Permission_id = 2
    assert sig_error(shared, signed_by(freeze, ALICE)) == "Permission denied"


def test_every_defect_of_signatures_has_the_text_of_the_node(shared: Any) -> None:
    unsigned_transfer = transfer(shared)
    assert sig_error(shared, unsigned_transfer) == "miss sig or contract"
    assert sig_error(shared, signed_by(transfer(shared), *[ALICE] * 6)) == "too many signatures"
    assert sig_error(shared, signed_by(transfer(shared), ALICE, BOB, CAROL, ALICE)) == (
        "Signature count is 4 more than key counts of permission : 3"
    )
    twice = signed_by(transfer(shared), ALICE, ALICE)
    assert sig_error(shared, twice) == f"{to_base58(ALICE.address)} has signed twice!"
    foreign = signed_by(transfer(shared), ALICE, shared.payer)
    assert sig_error(shared, foreign) == (
        f"{foreign.signature[1].hex()} is signed by {to_base58(shared.payer.address)} "
        "but it is not contained of permission."
    )
    assert sig_error(shared, signed_by(transfer(shared, permission=3), ALICE)) == (
        "permission isn't exit"
    )
    assert sig_error(shared, signed_by(transfer(shared, permission=1), ALICE)) == (
        "permission isn't exit"
    )


def test_a_witness_permission_signs_blocks_only(world: Any) -> None:
    witness = WITNESSES[0]
    world.confirmed(world.transfer(witness.address, 300 * TRX))
    contract = AccountPermissionUpdateContract(
        owner_address=witness.address,
        owner=Permission(threshold=1, keys=keys((witness, 1))),
        witness=Permission(type=Permission.Witness, threshold=1, keys=keys((witness, 1))),
        actives=[
            Permission(
                type=Permission.Active,
                threshold=1,
                operations=ACTIVE_OPERATIONS,
                keys=keys((witness, 1)),
            )
        ],
    )
    world.carried_out(contract, by=witness)

    message = TransferContract(
        owner_address=witness.address, to_address=world.payee.address, amount=1
    )
    transaction = unsigned(world.node, message)
    transaction.raw_data.contract[0].Permission_id = 1
    assert sig_error(world, signed_by(transaction, witness)) == "Permission type is error"


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        (bytes(64), "Signature size is 64"),
        (bytes(69), "Signature size is 69"),
        (bytes(65), "Could not recover public key from signature"),
        (bytes(64) + b"\x08", "Header byte out of range: 35"),
        (bytes(64) + b"\x80", "Header byte out of range: -101"),
    ],
)
def test_a_malformed_signature_says_what_is_wrong(world: Any, signature: bytes, text: str) -> None:
    transaction = transfer(world)
    transaction.signature.append(signature)

    assert sig_error(world, transaction) == text


@pytest.mark.parametrize("shift", [0, 4, 27, 31])
@pytest.mark.parametrize("tail", [b"", b"\x01\x02\x03"])
def test_recovery_bytes_are_read_in_every_form(world: Any, shift: int, tail: bytes) -> None:
    transaction = signed_by(transfer(world), world.payer)
    signature = transaction.signature[0]
    transaction.signature[0] = signature[:64] + bytes([signature[64] + shift]) + tail

    world.confirmed(transaction)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"owner__type": Permission.Active}, "owner permission type is error"),
        ({"active__type": Permission.Owner}, "active permission type is error"),
        ({"owner__keys": []}, "key's count should be greater than 0"),
        (
            {"owner__keys": keys(*[(Signer(name=str(n)), 1) for n in range(6)])},
            "number of keys in permission should not be greater than 5",
        ),
        ({"owner__threshold": 0}, "permission's threshold should be greater than 0"),
        ({"owner__permission_name": "x" * 33}, "permission's name is too long"),
        ({"active__parent_id": 1}, "permission's parent should be owner"),
        (
            {"owner__keys": keys((ALICE, 2), (ALICE, 2))},
            "address should be distinct in permission Owner",
        ),
        (
            {"owner__keys": [Key(address=b"\x41" + bytes(19), weight=3)]},
            "key is not a validate address",
        ),
        ({"owner__keys": keys((ALICE, 0))}, "key's weight should be greater than 0"),
        ({"owner__keys": keys((ALICE, 2**63 - 1), (BOB, 1))}, "long overflow"),
        (
            {"active__threshold": 2},
            "sum of all key's weight should not be less than threshold in permission Active",
        ),
        ({"owner__operations": ONLY_TRANSFER}, "Owner permission needn't operations"),
        ({"active__operations": b"\x02"}, "operations size must 32"),
        ({"active__operations": bytes(31) + b"\x80"}, "255 isn't a validate ContractType"),
    ],
)
def test_a_bad_permission_is_refused_with_the_text_of_the_node(
    world: Any, changes: dict[str, Any], text: str
) -> None:
    assert world.refusal(update(world, **changes)) == text


def test_permissions_that_are_missing_or_too_many_are_refused(world: Any) -> None:
    contract = update(world)
    contract.ClearField("owner")
    assert world.refusal(contract) == "owner permission is missed"

    contract = update(world)
    contract.witness.CopyFrom(Permission(type=Permission.Witness, threshold=1))
    assert world.refusal(contract) == "account isn't witness can't set witness permission"

    contract = update(world)
    contract.actives.extend([contract.actives[0]] * 8)
    assert world.refusal(contract) == "active permission is too many"

    contract = update(world)
    del contract.actives[:]
    assert world.refusal(contract) == "active permission is missed"


def test_who_cannot_pay_for_new_permissions_keeps_the_old_ones(world: Any) -> None:
    world.confirmed(world.transfer(world.stranger.address, 99 * TRX))
    contract = update(world)
    contract.owner_address = world.stranger.address

    with pytest.raises(RejectedError) as caught:
        world.node.broadcast(world.signed(unsigned(world.node, contract), world.stranger))

    assert caught.value.code is Code.CONTRACT_EXE_ERROR
    assert caught.value.message == (
        f"Contract execute error : {world.stranger.address.hex()} insufficient balance, "
        f"balance: {99 * TRX}, amount: {100 * TRX}"
    )
    world.confirmed(world.transfer(world.payee.address, 1, by=world.stranger))


def test_after_a_change_the_owner_waits_for_the_next_block(world: Any) -> None:
    """What the old key signed before the change is worth nothing once the change is in a block."""
    change = world.node.broadcast(signed_by(unsigned(world.node, update(world)), world.payer))
    new = world.node.broadcast(signed_by(transfer(world, amount_sun=8), ALICE, BOB))
    world.mine()
    chain = world.node.chain
    assert chain.height_of(change.txid) == chain.head.number
    assert chain.height_of(new.txid) is None

    world.mine()
    assert chain.height_of(new.txid) == chain.head.number


def test_a_reorganisation_takes_permissions_back(world: Any) -> None:
    """H8: a key that counted on the replaced blocks does not count on the branch."""
    world.mine(20)
    world.carried_out(update(world))
    by_new_keys = world.confirmed(signed_by(transfer(world), ALICE, BOB))

    world.node.reorganise(2, fate=Fate.DROP)

    again = signed_by(transfer(world, amount_sun=9), ALICE, BOB)
    assert "more than key counts" in sig_error(world, again)
    assert world.node.chain.height_of(by_new_keys.id) is None
    world.confirmed(signed_by(transfer(world, amount_sun=9), world.payer))


def test_a_change_and_what_follows_it_come_back_in_their_order(world: Any) -> None:
    world.mine(20)
    change = world.carried_out(update(world))
    by_new_keys = world.confirmed(signed_by(transfer(world), ALICE, BOB))

    world.node.reorganise(2, fate=Fate.WAIT)
    world.mine(2)

    chain = world.node.chain
    assert chain.height_of(change.id) == chain.head.number - 1
    assert chain.height_of(by_new_keys.id) == chain.head.number


async def test_weights_and_approvals_are_shown_over_http(shared: Any, client: Any) -> None:
    async def asked(path: str, transaction: Transaction) -> Any:
        raw = transaction.raw_data
        body = await client.post(
            "/wallet/createtransaction",
            owner_address=shared.payer.address.hex(),
            to_address=shared.payee.address.hex(),
            amount=5,
        )
        shown = body | {"signature": [each.hex() for each in transaction.signature]}
        del shown["visible"]
        assert shown["raw_data_hex"] == raw.SerializeToString(deterministic=True).hex()
        return await client.post(path, **shown)

    bob = signed_by(transfer(shared), BOB)
    reply = await asked("/wallet/getsignweight", bob)
    assert reply["result"] == {"code": "NOT_ENOUGH_PERMISSION"}
    assert reply["current_weight"] == 1
    assert reply["approved_list"] == [BOB.address.hex()]
    assert reply["permission"]["permission_name"] == "board"
    assert reply["permission"]["threshold"] == 3

    both = await asked("/wallet/getsignweight", signed_by(transfer(shared), BOB, ALICE))
    assert both["result"] == {}
    assert both["current_weight"] == 3

    foreign = await asked("/wallet/getsignweight", signed_by(transfer(shared), shared.payer))
    assert foreign["result"]["code"] == "PERMISSION_ERROR"
    assert "not contained of permission" in foreign["result"]["message"]
    approved = await asked("/wallet/getapprovedlist", signed_by(transfer(shared), shared.payer))
    assert approved["approved_list"] == [shared.payer.address.hex()]
    assert approved["result"] == {}
