from __future__ import annotations

from typing import Any

import pytest

from devnet.address import to_base58
from devnet.chain_pb2 import (
    BANDWIDTH,
    ENERGY,
    DelegateResourceContract,
    FreezeBalanceV2Contract,
    Transaction,
    UnfreezeBalanceV2Contract,
)
from devnet.genesis import OTHERS_VOTES, WITNESSES
from devnet.resources import SUN_PER_TRX

DAY_MS = 86_400_000


def sent(world: Any, built: dict[str, Any]) -> Any:
    """Sign what a builder built, byte for byte, and return the receipt."""
    raw = Transaction.raw.FromString(bytes.fromhex(built["raw_data_hex"]))
    return world.confirmed(world.signed(Transaction(raw_data=raw), world.payer))


def freeze(world: Any, amount_sun: int, resource: Any = ENERGY) -> None:
    world.carried_out(
        FreezeBalanceV2Contract(
            owner_address=world.payer.address, frozen_balance=amount_sun, resource=resource
        )
    )


async def test_every_kind_of_stake_is_built_signed_and_carried_out(
    world: Any, client: Any, payer_text: str
) -> None:
    payee, witness = to_base58(world.payee.address), to_base58(WITNESSES[3].address)
    owner = {"owner_address": payer_text, "visible": True}
    lent = {"receiver_address": payee, "balance": 4_000_000, "resource": "ENERGY"}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("freezebalancev2", {"frozen_balance": 20_000_000, "resource": "ENERGY"}),
        ("votewitnessaccount", {"votes": [{"vote_address": witness, "vote_count": 7}]}),
        ("delegateresource", lent),
        ("delegateresource", lent | {"lock": True, "lock_period": 1_000}),
        ("undelegateresource", lent),
        ("unfreezebalancev2", {"unfreeze_balance": 1_000_000, "resource": "ENERGY"}),
        ("cancelallunfreezev2", {}),
    ]
    for path, fields in steps:
        built = await client.post(f"/wallet/{path}", **owner, **fields)
        assert built["visible"] is True
        assert sent(world, built).result == 0
    account = await client.post("/wallet/getaccount", address=payer_text, visible=True)

    assert account["votes"] == [{"vote_address": witness, "vote_count": 7}]
    assert account["frozenV2"][1] == {"type": "ENERGY", "amount": 16_000_000}
    assert account["account_resource"]["delegated_frozenV2_balance_for_energy"] == 4_000_000


async def test_the_receipt_of_a_cancellation_lists_every_resource(
    world: Any, client: Any, payer_text: str
) -> None:
    freeze(world, 9_000_000)
    world.carried_out(
        UnfreezeBalanceV2Contract(
            owner_address=world.payer.address, unfreeze_balance=2_000_000, resource=ENERGY
        )
    )
    built = await client.post("/wallet/cancelallunfreezev2", owner_address=payer_text, visible=True)
    sent(world, built)

    info = await client.post("/wallet/gettransactioninfobyid", value=built["txID"])

    assert sorted(info["cancel_unfreezeV2_amount"], key=lambda each: each["key"]) == [
        {"key": "BANDWIDTH", "value": 0},
        {"key": "ENERGY", "value": 2_000_000},
        {"key": "TRON_POWER", "value": 0},
    ]


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        ("withdrawexpireunfreeze", {}, "no unFreeze balance to withdraw "),
        ("withdrawbalance", {}, "witnessAccount does not have any reward"),
        ("votewitnessaccount", {"votes": []}, "VoteNumber must more than 0"),
        (
            "delegateresource",
            {"balance": 1, "receiver_address": to_base58(WITNESSES[0].address)},
            "delegateBalance must be greater than or equal to 1 TRX",
        ),
    ],
)
async def test_a_builder_refuses_in_the_node_s_words(
    client: Any, payer_text: str, path: str, fields: dict[str, Any], message: str
) -> None:
    reply = await client.post(f"/wallet/{path}", owner_address=payer_text, visible=True, **fields)

    assert reply == {
        "Error": f"class org.tron.core.exception.ContractValidateException : {message}"
    }


async def test_loans_are_shown_unlocked_first(world: Any, client: Any) -> None:
    payer, payee = world.payer.address, world.payee.address
    freeze(world, 50 * SUN_PER_TRX)
    freeze(world, 900 * SUN_PER_TRX, BANDWIDTH)

    def loan(amount_sun: int, resource: Any = ENERGY, *, lock: bool = False) -> Any:
        return DelegateResourceContract(
            owner_address=payer,
            receiver_address=payee,
            balance=amount_sun,
            resource=resource,
            lock=lock,
        )

    asked = {"fromAddress": payer.hex(), "toAddress": payee.hex()}
    nothing = await client.post("/wallet/getdelegatedresourcev2", **asked)
    head_ms = world.node.chain.head.time_ms
    world.carried_out(loan(3_000_000, lock=True))
    world.carried_out(loan(2_000_000))
    world.carried_out(loan(1_000_000, BANDWIDTH))
    shown = await client.post("/wallet/getdelegatedresourcev2", **asked)
    by_query = await client.http.get(
        "/wallet/getdelegatedresourcev2",
        params={
            "fromAddress": to_base58(payer),
            "toAddress": to_base58(payee),
            "visible": "true",
        },
    )
    index = await client.post("/wallet/getdelegatedresourceaccountindexv2", value=payer.hex())
    other = await client.post(
        "/wallet/getdelegatedresourceaccountindexv2", value=to_base58(payee), visible=True
    )

    ends = {"from": payer.hex(), "to": payee.hex()}
    assert nothing == {}
    assert shown == {
        "delegatedResource": [
            {
                **ends,
                "frozen_balance_for_energy": 2_000_000,
                "frozen_balance_for_bandwidth": 1_000_000,
            },
            {
                **ends,
                "frozen_balance_for_energy": 3_000_000,
                "expire_time_for_energy": head_ms + 3 * DAY_MS,
            },
        ]
    }
    assert by_query.json()["delegatedResource"][1]["from"] == to_base58(payer)
    assert index == {"account": payer.hex(), "toAccounts": [payee.hex()]}
    assert other == {"account": to_base58(payee), "fromAccounts": [to_base58(payer)]}


async def test_what_can_be_lent_leaves_room_for_the_loan_s_own_bytes(
    world: Any, client: Any, payer_text: str
) -> None:
    """283 points of bandwidth stay: 275, and 8 by which the largest loan is longer than the least."""
    freeze(world, 50 * SUN_PER_TRX)
    freeze(world, 900 * SUN_PER_TRX, BANDWIDTH)
    owner = {"owner_address": payer_text, "visible": True}

    energy = await client.post("/wallet/getcandelegatedmaxsize", **owner, type=1)
    bandwidth = await client.post("/wallet/getcandelegatedmaxsize", **owner, type=0)
    power = await client.post("/wallet/getcandelegatedmaxsize", **owner, type=2)

    kept_sun = int(283 * 1e6 * (26_800_000_900 / 43.2e9))
    assert energy == {"max_size": 50 * SUN_PER_TRX}
    assert bandwidth == {"max_size": 900 * SUN_PER_TRX - kept_sun}
    assert power == {}
    lend: dict[str, Any] = owner | {
        "receiver_address": to_base58(world.payee.address),
        "balance": bandwidth["max_size"] + 1,
    }
    refused = await client.post("/wallet/delegateresource", **lend)
    assert refused["Error"].endswith("available FreezeBandwidthV2 balance")
    lend["balance"] -= 1
    assert sent(world, await client.post("/wallet/delegateresource", **lend)).result == 0


async def test_unfreezings_are_counted_and_summed(world: Any, client: Any, payer_text: str) -> None:
    freeze(world, 50 * SUN_PER_TRX)
    begun_ms = world.node.chain.head.time_ms
    for amount_sun in (5, 7):
        world.carried_out(
            UnfreezeBalanceV2Contract(
                owner_address=world.payer.address,
                unfreeze_balance=amount_sun,
                resource=ENERGY,
            )
        )
    owner = {"owner_address": payer_text, "visible": True}
    path = "/wallet/getcanwithdrawunfreezeamount"

    count = await client.post("/wallet/getavailableunfreezecount", **owner)
    now = await client.post(path, **owner)
    then = await client.post(path, **owner, timestamp=begun_ms + 14 * DAY_MS)
    later = await client.post(path, **owner, timestamp=begun_ms + 15 * DAY_MS)
    stranger = await client.post(
        "/wallet/getavailableunfreezecount", owner_address=world.stranger.address.hex()
    )

    assert count == {"count": 30}
    assert (now, then, later) == ({}, {"amount": 5}, {"amount": 12})
    assert stranger == {}


async def test_rewards_are_asked_for_in_either_form(
    world: Any, client: Any, payer_text: str
) -> None:
    world.mine(27)
    witness = WITNESSES[0].address

    by_hex = await client.post("/wallet/getReward", address=witness.hex())
    by_text = await client.http.get("/wallet/getReward", params={"address": to_base58(witness)})
    solid = await client.post("/walletsolidity/getReward", address=witness.hex())
    nobody = await client.post("/wallet/getReward", address=payer_text)
    missing = await client.post("/wallet/getReward")
    garbage = await client.post("/wallet/getReward", address="0Il")
    brokerage = await client.post("/wallet/getBrokerage", address=witness.hex())
    wrong_case = await client.http.post("/wallet/getreward", json={"address": payer_text})

    assert by_hex == by_text.json()
    assert by_hex["reward"] > solid["reward"] > 0
    assert nobody == missing == {"reward": 0}
    assert garbage == {"Error": "INVALID address, Illegal character 0 at 0"}
    assert brokerage == {"brokerage": 20}
    assert wrong_case.status_code == 404


async def test_witnesses_are_listed_with_their_record(world: Any, client: Any) -> None:
    world.mine(27)

    reply = await client.post("/wallet/listwitnesses", visible=True)
    visible = await client.http.get("/wallet/listwitnesses", params={"visible": "true"})

    listed = reply["witnesses"]
    first = next(each for each in listed if each["address"] == WITNESSES[0].address.hex())
    assert [each["address"] for each in listed] == sorted(key.address.hex() for key in WITNESSES)
    assert first["voteCount"] == OTHERS_VOTES[0]
    assert first["url"] == "http://witness-1.devnet"
    assert first["isJobs"] is True
    assert sum(each["totalProduced"] for each in listed) == 28
    assert max(each["latestBlockNum"] for each in listed) == 28
    assert visible.json()["witnesses"][0]["address"].startswith("T")


async def test_the_next_maintenance_is_announced(world: Any, client: Any) -> None:
    reply = await client.post("/wallet/getnextmaintenancetime")

    assert 0 < reply["num"] - world.node.chain.head.time_ms <= 21_600_000


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("delegateresource", 405),
        ("undelegateresource", 405),
        ("freezebalancev2", 405),
        ("unfreezebalancev2", 405),
        ("cancelallunfreezev2", 405),
        ("withdrawexpireunfreeze", 405),
        ("votewitnessaccount", 200),
        ("withdrawbalance", 200),
    ],
)
async def test_builders_say_nothing_to_a_get(client: Any, path: str, status: int) -> None:
    reply = await client.http.get(f"/wallet/{path}")

    assert reply.status_code == status
    assert status == 405 or reply.content == b""
