"""Wallets as their operator meets them over HTTP: made, shared out, put out of use, archived."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services.wallet_manager.service.custody import MAX_LOOKS
from shared.models.tron_client import UnfreezingView, VoteView
from shared.models.wallet_sends import SendKind
from shared.money import Currency
from shared.tron.address import Address
from shared.tron.signing import SigningKey
from tests.services.wallet_manager.counter import Counter, open_counter
from tests.services.wallet_manager.test_wallet_kinds import KINDS, asked
from tests.services.wallet_manager.till import CUSTOMER, TRX, intent
from tests.support import address

ELSEWHERE = SigningKey(bytes([9]) * 32)
OUT_OF_USE = ("inactive", "locked", "archived")
WALLET_ROUTES = ("/api/v1/wallets", "/api/v1/messages", "/api/v1/sends/{send_id}/")


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path) as opened:
        yield opened


async def refused(
    counter: Counter, method: str, path: str, body: object = None, *, status: int, code: str
) -> dict[str, Any]:
    """Ask for what has to be refused with just this problem."""
    found, problem = await counter.ask(method, path, body)
    assert (found, problem.get("code")) == (status, f"LUCID_ERR_{code}"), problem
    return problem


@pytest.mark.parametrize("type_", ["cold", "hardware", "watch_only", "multisig"])
async def test_a_wallet_whose_keys_are_elsewhere_is_made_from_its_address(
    counter: Counter, type_: str
) -> None:
    wallet = await counter.made(wallet_type=type_, address=CUSTOMER, label="safe")

    assert (wallet["wallet_type"], wallet["status"]) == (type_, "active")
    assert (wallet["address"], wallet["label"]) == (CUSTOMER, "safe")
    assert CUSTOMER in counter.chain.watched
    body = {"message": "it is I"}
    path = f"/wallets/{wallet['wallet_id']}/messages/sign"
    await refused(counter, "POST", path, body, status=409, code="9349")


@pytest.mark.parametrize("status", OUT_OF_USE)
async def test_a_wallet_that_is_not_active_signs_nothing(counter: Counter, status: str) -> None:
    wallet = await counter.made(role="plain")
    await counter.put(wallet, status)
    path = f"/wallets/{wallet['wallet_id']}"

    for encoding, message in (("utf8", "hello"), ("hex", "00")):
        body = {"message": message, "encoding": encoding}
        problem = await refused(
            counter, "POST", f"{path}/messages/sign", body, status=409, code="9349"
        )
        assert (problem["status"], problem["wallet_status"]) == (409, status)
    for kind in SendKind:
        wanted = (
            intent(kind.value, wallet_id=wallet["wallet_id"], kind=kind)
            if kind not in KINDS
            else asked(kind).model_copy(update={"wallet_id": wallet["wallet_id"]})
        )
        await counter.send(wanted)
    await counter.service.sender.sign_due()
    await counter.service.sender.submit_signed()

    assert counter.chain.received == []
    found = await counter.good("GET", "/sends?state=queued&limit=100")
    assert all(one["txid"] is None for one in found["sends"])
    for state in ("signed", "submitted", "awaiting_signature"):
        assert (await counter.good("GET", f"/sends?state={state}"))["sends"] == []


@pytest.mark.parametrize("status", ["inactive", "locked"])
async def test_h7_no_signature_from_elsewhere_is_taken_for_a_wallet_that_is_not_active(
    counter: Counter, status: str
) -> None:
    wallet = await counter.made(wallet_type="cold", address=ELSEWHERE.address)
    await counter.pay(wallet["address"], 1_000 * TRX, *Currency)
    taken = await counter.send(intent(wallet_id=wallet["wallet_id"]))
    assert taken["problem"] is None
    await counter.service.sender.sign_due()
    path = f"/sends/{taken['send']['send_id']}"
    exported = await counter.good("GET", f"{path}/unsigned")
    digest = sha256(bytes.fromhex(exported["raw_data"])).digest()
    body = {"signatures": [ELSEWHERE.sign(digest).hex()]}
    await counter.put(wallet, status)

    await refused(counter, "GET", f"{path}/unsigned", status=409, code="9349")
    await refused(counter, "POST", f"{path}/signatures", body, status=409, code="9349")
    await counter.service.sender.submit_signed()
    assert counter.chain.received == []

    if status == "inactive":
        again = {"status": "active", "reason": "back again"}
        await counter.good("PATCH", f"/wallets/{wallet['wallet_id']}", again)
        assert (await counter.good("POST", f"{path}/signatures", body))["weight"] == 1
        await counter.service.sender.submit_signed()
        assert [one.signatures for one in counter.chain.received] == [body["signatures"]]


@pytest.mark.parametrize("status", OUT_OF_USE)
async def test_only_a_locked_wallet_out_of_use_still_hands_out_addresses(
    counter: Counter, status: str
) -> None:
    """A lock stops what goes out, not what comes in."""
    wallet = await counter.made()
    path = f"/wallets/{wallet['wallet_id']}/addresses"
    shown = await counter.good("POST", path, {"request_id": "a", "purpose": "invoice"})
    await counter.put(wallet, status)
    other = {"request_id": "b", "purpose": "invoice"}

    if status == "locked":
        assert (await counter.good("POST", path, other))["address"] != shown["address"]
    else:
        await refused(counter, "POST", path, other, status=409, code="9345")
        bulk = {"requests": [other]}
        await refused(counter, "POST", f"{path}/bulk", bulk, status=409, code="9345")
    again = await counter.good("POST", path, {"request_id": "a", "purpose": "invoice"})
    assert again == shown


async def test_h11_archiving_leaves_every_address_watched(counter: Counter) -> None:
    wallet = await counter.made()
    path = f"/wallets/{wallet['wallet_id']}"
    body = {"requests": [{"request_id": f"{n}", "purpose": "x"} for n in range(120)]}
    shown = await counter.good("POST", f"{path}/addresses/bulk", body)

    archived = await counter.good("DELETE", path)

    assert archived["status"] == "archived"
    assert {one["address"] for one in shown["addresses"]} <= counter.chain.watched
    assert (await counter.good("DELETE", path))["status"] == "archived"
    back = {"status": "inactive", "reason": "money came"}
    assert (await counter.good("PATCH", path, back))["status"] == "inactive"


async def test_a_wallet_with_more_addresses_than_can_be_looked_at_is_made_inactive_instead(
    counter: Counter,
) -> None:
    wallet = await counter.made()
    path = f"/wallets/{wallet['wallet_id']}"
    body = {"requests": [{"request_id": f"{n}", "purpose": "x"} for n in range(MAX_LOOKS)]}
    await counter.good("POST", f"{path}/addresses/bulk", body)

    problem = await refused(counter, "DELETE", path, status=409, code="9348")

    assert "make it inactive" in problem["reasons"][0]
    await counter.put(wallet, "inactive")


@pytest.mark.parametrize("place", ["own", "leaf"])
@pytest.mark.parametrize("currency", list(Currency))
async def test_h11_a_wallet_with_an_unsolid_deposit_on_its_way_is_not_archived(
    counter: Counter, place: str, currency: Currency
) -> None:
    """The books know only solid blocks; the node's head has it already."""
    wallet = await counter.made()
    path = f"/wallets/{wallet['wallet_id']}"
    leaf = await counter.good(
        "POST", f"{path}/addresses", {"request_id": "a", "purpose": "invoice"}
    )
    where = wallet["address"] if place == "own" else leaf["address"]
    counter.chain.holdings[Address(where), currency] = 1

    problem = await refused(counter, "DELETE", path, status=409, code="9348")

    assert problem["reasons"] == [f"{where}: 1 base units of {currency} at block 100"]
    assert (await counter.good("GET", path))["status"] == "active"


async def test_a_wallet_that_stakes_unfreezes_or_votes_on_chain_is_not_archived(
    counter: Counter,
) -> None:
    wallet = await counter.made()
    owner = Address(wallet["address"])
    path = f"/wallets/{wallet['wallet_id']}"
    counter.chain.holdings[Address(f"staked:{owner}"), Currency.TRX] = 5
    counter.chain.unfreezing = [
        UnfreezingView(resource="energy", amount_sun="7", available_at="2026-12-01T00:00:00.000Z")
    ]
    counter.chain.votes = [VoteView(witness=CUSTOMER, count=3)]

    problem = await refused(counter, "DELETE", path, status=409, code="9348")

    assert problem["reasons"] == [
        f"staked:{owner}: 5 base units of TRX at block 100",
        f"unfreezing:{owner}: 7 base units of TRX at block 100",
        f"{owner}: it votes, so rewards may be unclaimed",
    ]


async def test_a_wallet_whose_rewards_outlast_its_votes_is_not_archived(counter: Counter) -> None:
    wallet = await counter.made()
    counter.chain.rewards_sun = 9

    problem = await refused(
        counter, "DELETE", f"/wallets/{wallet['wallet_id']}", status=409, code="9348"
    )

    assert problem["reasons"] == [f"{wallet['address']}: 9 sun of rewards are unclaimed"]


async def test_what_cannot_be_read_is_not_archived(counter: Counter) -> None:
    wallet = await counter.made()
    path = f"/wallets/{wallet['wallet_id']}"

    counter.chain.away = True
    assert (await counter.ask("DELETE", path))[0] == 503
    counter.chain.away = False
    for status, code in ((403, "1900"), (429, "1902"), (500, "1902")):
        counter.tron_client.reads_nothing = status
        await refused(counter, "DELETE", path, status=503, code=code)
    counter.tron_client.reads_nothing = 0
    counter.chain.reverts = True
    await refused(counter, "DELETE", path, status=503, code="1900")

    assert (await counter.good("GET", path))["status"] == "active"


UNSHOWN = {
    "nul": "a\u0000b",
    "line feed": "a\nb",
    "escape": "\u001b[31mred",
    "right-to-left override": "\u202eevil",
    "zero width": "ze\u200bro",
    "byte order mark": "\ufeffbom",
    "line separator": "a\u2028b",
    "private use": "\ue000",
    "too long": "x" * 256,
}


@pytest.mark.parametrize("text", UNSHOWN.values(), ids=UNSHOWN)
async def test_a_label_or_owner_that_does_not_show_is_refused_by_its_field(
    counter: Counter, text: str
) -> None:
    wallet = await counter.made()
    for field in ("label", "user_id"):
        made = {"user_id": "ada", "request_id": "r", field: text}
        changed = {"reason": "a drill", field: text}
        for method, path, body in (
            ("POST", "/wallets", made),
            ("PATCH", f"/wallets/{wallet['wallet_id']}", changed),
        ):
            problem = await refused(counter, method, path, body, status=400, code="1001")
            assert [error["field"] for error in problem["errors"]] == [field]
            assert text not in str(problem)


async def test_owners_that_look_alike_by_their_accents_are_one(counter: Counter) -> None:
    composed, apart = "Zoe\u0308".encode().decode(), "Zo\u00eb"
    wallet = await counter.made(user_id=composed)

    assert wallet["user_id"] == apart
    found = await counter.client.get(
        "/api/v1/wallets", params={"user_id": composed}, headers=counter.keys.person()
    )
    assert [one["wallet_id"] for one in found.json()["wallets"]] == [wallet["wallet_id"]]


async def test_one_key_asked_with_at_once_makes_one_wallet(counter: Counter) -> None:
    made = await asyncio.gather(*(counter.made("same") for _ in range(20)))

    assert len({one["wallet_id"] for one in made}) == 1
    assert len((await counter.good("GET", "/wallets?limit=100"))["wallets"]) == 1
    other = {"user_id": "bob", "request_id": "same"}
    await refused(counter, "POST", "/wallets", other, status=409, code="1401")


async def test_one_address_asked_for_at_once_belongs_to_one_wallet(counter: Counter) -> None:
    body = {"user_id": "ada", "wallet_type": "cold", "address": CUSTOMER}
    answers = await asyncio.gather(
        *(counter.ask("POST", "/wallets", body | {"request_id": f"{n}"}) for n in range(8))
    )

    assert sorted(status for status, _ in answers) == [201] + [409] * 7
    assert {one["code"] for status, one in answers if status == 409} == {"LUCID_ERR_9346"}


@pytest.mark.parametrize(
    ("count", "field"), [(0, "requests"), (1_001, "requests"), (100_000, "requests")]
)
async def test_a_count_beyond_the_limit_is_refused(
    counter: Counter, count: int, field: str
) -> None:
    wallet = await counter.made()
    body = {"requests": [{"request_id": f"{n}", "purpose": "x"} for n in range(count)]}
    path = f"/wallets/{wallet['wallet_id']}/addresses/bulk"

    status, problem = await counter.ask("POST", path, body)

    assert status in {400, 413}, problem
    if status == 400:
        assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    "name",
    ["po_1", "snd_1", "wal_", "wal_%00", "w" * 5_000, "%F0%9F%AA%99", "..%2Fx", CUSTOMER[:-1]],
)
async def test_an_id_of_another_kind_is_no_wallet(counter: Counter, name: str) -> None:
    change = {"label": "x", "reason": "a drill"}
    for method, rest, body in (
        ("GET", "", None),
        ("GET", "/balance", None),
        ("GET", "/holdings", None),
        ("GET", "/transactions", None),
        ("PATCH", "", change),
        ("DELETE", "", None),
        ("POST", "/addresses", {"request_id": "r", "purpose": "x"}),
        ("POST", "/messages/sign", {"message": "x"}),
    ):
        status, problem = await counter.ask(method, f"/wallets/{name}{rest}", body)
        assert status == 404, (method, rest, problem)
        assert "code" in problem


async def test_a_history_is_paged_and_a_foreign_cursor_refused(counter: Counter) -> None:
    wallet = await counter.made()
    for amount in (1, 2, 3):
        await counter.pay(wallet["address"], amount, Currency.USDT)
        counter.chain.holdings[address(amount), Currency.TRX] = 1  # the next page of the feed
    path = f"/wallets/{wallet['address']}/transactions"
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await counter.good(
            "GET", f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else "")
        )
        found += [int(one["amount_base_units"]) for one in page["transactions"]]
        cursor = page["next"]

    assert found == [3, 2, 1]
    await refused(counter, "GET", f"{path}?cursor=nonsense", status=400, code="1003")
    await refused(counter, "GET", "/wallets?cursor=nonsense", status=400, code="1003")


async def test_openapi_tells_of_each_problem_of_wallets_and_messages(counter: Counter) -> None:
    answer = await counter.client.get("/openapi.json", headers=counter.keys.person())
    paths = answer.raise_for_status().json()["paths"]
    told = {
        (method, path): operation["responses"]
        for path, operations in paths.items()
        if path.startswith(WALLET_ROUTES)
        for method, operation in operations.items()
    }

    assert "9348" in told["delete", "/api/v1/wallets/{wallet_id}"]["409"]["description"]
    assert "9349" in told["post", "/api/v1/sends/{send_id}/signatures"]["409"]["description"]
    for where, responses in told.items():
        if "{wallet_id}" in where[1]:
            assert "404" in responses, where
