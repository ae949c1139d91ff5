"""Messages over HTTP: signed by who may, for a wallet that may, written down, verified for anybody."""

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from services.wallet_manager.app import NAME
from shared.access import Role, Scope
from shared.money import Currency
from shared.tron.signing import recover_address
from shared.tron.tip191 import MAX_MESSAGE_BYTES, tip191_digest
from tests.services.wallet_manager.counter import Counter, Json, open_counter
from tests.services.wallet_manager.till import CUSTOMER, TRX, intent
from tests.support import address

TEXTS = ("", "hello", "Grüße, 世界 🪙", "\x19TRON Signed Message:\n5hello", "a" * MAX_MESSAGE_BYTES)


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path) as opened:
        yield opened


def sign_path(wallet: Json) -> str:
    return f"/wallets/{wallet['wallet_id']}/messages/sign"


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_a_message_is_signed_and_verified(counter: Counter, text: str) -> None:
    wallet = await counter.made()

    signed = await counter.good("POST", sign_path(wallet), {"message": text})
    same = await counter.good(
        "POST", sign_path(wallet), {"message": text.encode().hex(), "encoding": "hex"}
    )

    assert signed == same
    assert signed["digest"] == tip191_digest(text.encode()).hex()
    body = {"message": text, "address": wallet["address"], "signature": signed["signature"]}
    assert await counter.good("POST", "/messages/verify", body) == {
        "valid": True,
        "signer": wallet["address"],
    }
    other = await counter.good("POST", "/messages/verify", body | {"address": CUSTOMER})
    assert other == {"valid": False, "signer": wallet["address"]}
    nobody = await counter.good("POST", "/messages/verify", body | {"signature": "00" * 65})
    assert nobody == {"valid": False, "signer": None}


async def test_the_bytes_of_a_transaction_get_no_signature_that_moves_money(
    counter: Counter,
) -> None:
    cold = await counter.made("cold", wallet_type="cold", address=address(0xC1))
    hot = await counter.made("hot")
    for wallet in (cold, hot):
        await counter.pay(wallet["address"], 1_000 * TRX, *Currency)
    taken = await counter.send(intent(wallet_id=cold["wallet_id"]))
    await counter.service.sender.sign_due()
    exported = await counter.good("GET", f"/sends/{taken['send']['send_id']}/unsigned")
    raw_data = bytes.fromhex(exported["raw_data"])

    for message in (raw_data, sha256(raw_data).digest()):
        body = {"message": message.hex(), "encoding": "hex"}
        signed = await counter.good("POST", sign_path(hot), body)
        signature = bytes.fromhex(signed["signature"])
        assert recover_address(sha256(raw_data).digest(), signature) != hot["address"]
        assert recover_address(tip191_digest(message), signature) == hot["address"]


async def test_a_signed_message_is_written_down_by_its_digest_alone(counter: Counter) -> None:
    wallet = await counter.made()
    signed = await counter.good("POST", sign_path(wallet), {"message": "between you and me"})

    page = [one async for _, _, one in counter.service.guards.audit.decisions(after=0, limit=100)]

    (decision,) = [one for one in page if one.act == "message.signed"]
    assert (decision.subject, dict(decision.facts)["digest"]) == (
        wallet["wallet_id"],
        signed["digest"],
    )
    assert decision.who.endswith("/ada")
    assert decision.request_id
    assert "between you" not in repr(decision)


@pytest.mark.parametrize("role", [Role.USER, Role.NODE_OPERATOR, Role.ADMIN])
async def test_h18_only_who_administers_wallets_has_messages_signed(
    counter: Counter, role: Role
) -> None:
    wallet = await counter.made()

    status, problem = await counter.ask(
        "POST", sign_path(wallet), {"message": "x"}, by=counter.keys.person(role)
    )

    assert (status, problem["scope"]) == (403, "wallets:admin")


@pytest.mark.parametrize("scope", [Scope.WALLETS_SEND, Scope.WALLETS_READ, Scope.WALLETS_CREATE])
async def test_h18_a_sibling_has_no_message_signed(counter: Counter, scope: Scope) -> None:
    wallet = await counter.made()
    by = counter.keys.service("payout-router", audience=NAME, scope=scope)

    assert (await counter.ask("POST", sign_path(wallet), {"message": "x"}, by=by))[0] == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": "0x00", "encoding": "hex"}, "message"),
        ({"message": "abc", "encoding": "hex"}, "message"),
        ({"message": "a" * (MAX_MESSAGE_BYTES + 1)}, "message"),
        ({"message": "é" * (MAX_MESSAGE_BYTES // 2 + 1)}, "message"),
        ({"message": "x", "encoding": "base64"}, "encoding"),
        ({"message": "x", "version": 1}, "version"),
        ({"message": 7}, "message"),
    ],
)
async def test_a_message_that_is_none_is_refused_by_its_field(
    counter: Counter, body: Json, field: str
) -> None:
    wallet = await counter.made()

    status, problem = await counter.ask("POST", sign_path(wallet), body)

    assert (status, problem["code"]) == (400, "LUCID_ERR_1001")
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_h23_nothing_is_signed_while_the_signing_is_stopped(counter: Counter) -> None:
    wallet = await counter.made()
    stop = {"stopped": True, "reason": "a drill"}
    for scope in (wallet["wallet_id"], "all"):
        await counter.good("PUT", f"/stops/{scope}", stop)
        status, problem = await counter.ask("POST", sign_path(wallet), {"message": "x"})
        assert (status, problem["scope"]) == (503, wallet["wallet_id"]), problem
