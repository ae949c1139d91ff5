"""What wallet-manager tells over HTTP of its quarantine, its journal and its balances."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.access import Role
from tests.services.wallet_manager.bench import FUNDS, Desk, desk

ADMIN = Role.SUPER_ADMIN


@pytest.fixture
async def open_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as opened:
        yield opened


async def get(open_desk: Desk, path: str, role: Role = Role.ADMIN, **params: str) -> Any:
    return await open_desk.client.get(
        path, headers=open_desk.keys.person(role), params=params or None
    )


async def test_a_new_database_is_not_in_quarantine(open_desk: Desk) -> None:
    view = (await get(open_desk, "/api/v1/recovery")).json()

    assert (view["stage"], view["reason"], view["unclaimed"]) == ("clear", None, 0)
    status = await get(open_desk, "/status")
    assert status.json()["recovery"]["stage"] == "clear"


async def test_what_waits_for_a_person_is_listed_and_decided_by_those_who_may(
    open_desk: Desk,
) -> None:
    listed = await get(open_desk, "/api/v1/recovery/transactions")
    assert listed.json() == {"transactions": [], "next": None}

    path = f"/api/v1/recovery/transactions/{'0' * 64}/decision"
    body = {"send_id": None, "note": "never ours"}
    for role, status in ((Role.ADMIN, 403), (ADMIN, 404)):
        answer = await open_desk.client.post(path, json=body, headers=open_desk.keys.person(role))
        assert answer.status_code == status


async def test_the_journal_of_a_wallet_is_a_file(open_desk: Desk) -> None:
    wallet_id = open_desk.treasury["wallet_id"]
    answer = await get(open_desk, f"/api/v1/wallets/{wallet_id}/journal.csv")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["amount_base_units"] for row in rows} <= {str(FUNDS)}
    later = await get(
        open_desk, f"/api/v1/wallets/{wallet_id}/journal.csv", since_ms="99999999999999"
    )
    assert len(later.text.splitlines()) == 1
    assert (await get(open_desk, "/api/v1/wallets/wal_none/journal.csv")).status_code == 404


async def test_reconciliation_and_recomputation_are_told(open_desk: Desk) -> None:
    wallet_id = open_desk.treasury["wallet_id"]
    view = (await get(open_desk, f"/api/v1/wallets/{wallet_id}/reconciliation")).json()
    assert view["address"] == open_desk.treasury["address"]
    assert view["in_order"] is True

    body = {
        "account": view["address"],
        "currency": "USDT",
        "difference_base_units": "5",
        "note": "it was there before",
    }
    path = f"/api/v1/wallets/{wallet_id}/reconciliation"
    for role, status in ((Role.ADMIN, 403), (ADMIN, 409)):
        answer = await open_desk.client.post(path, json=body, headers=open_desk.keys.person(role))
        assert answer.status_code == status

    answer = await open_desk.client.post(
        "/api/v1/books/recompute", headers=open_desk.keys.person(ADMIN)
    )
    assert answer.json()["wrong"] == []
