"""The stored time that limits run on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import HeldClock
from shared.ledger_clock import LEDGER_TIMES, STEP_MS, LedgerClock, LedgerTimeUnknown
from shared.storage import Schema, SqliteStorage, Stamp, StorageClosed
from tests.support import START_MS

SCHEMA = Schema(service="wallet-manager", version=1, collections=(LEDGER_TIMES,))
DAY_MS = 86_400_000


async def opened(path: Path) -> SqliteStorage:
    stamp = Stamp(network="devnet", contract="usdt")
    return await SqliteStorage.open(path / "ledger.sqlite3", SCHEMA, stamp)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    database = await opened(tmp_path)
    yield database
    await database.close()


async def test_h2_without_a_time_of_the_chain_there_is_none(storage: SqliteStorage) -> None:
    ledger = LedgerClock(storage, HeldClock(START_MS))
    await ledger.load()
    with pytest.raises(LedgerTimeUnknown):
        ledger.now_ms()


async def test_h2_a_local_clock_set_forward_skips_no_cooling_off(storage: SqliteStorage) -> None:
    clock = HeldClock(START_MS)
    ledger = LedgerClock(storage, clock)
    await ledger.observe(START_MS)
    clock.advance(seconds=86_400)
    assert ledger.now_ms() == START_MS
    assert await ledger.observe(START_MS + STEP_MS) == START_MS + STEP_MS


async def test_h2_a_chain_that_runs_ahead_is_held_by_the_local_clock(
    storage: SqliteStorage,
) -> None:
    ledger = LedgerClock(storage, HeldClock(START_MS))
    assert await ledger.observe(START_MS + DAY_MS) == START_MS


async def test_h2_a_clock_set_back_does_not_take_the_time_with_it_after_a_restart_neither(
    tmp_path: Path,
) -> None:
    storage = await opened(tmp_path)
    await LedgerClock(storage, HeldClock(START_MS)).observe(START_MS)
    await storage.close()

    storage = await opened(tmp_path)
    ledger = LedgerClock(storage, HeldClock(START_MS - DAY_MS))
    await ledger.load()
    assert ledger.now_ms() == START_MS
    assert await ledger.observe(START_MS - DAY_MS) == START_MS
    await storage.close()


async def test_what_is_told_lags_by_less_than_a_step(storage: SqliteStorage) -> None:
    ledger = LedgerClock(storage, HeldClock(START_MS + DAY_MS))
    await ledger.observe(START_MS)
    assert await ledger.observe(START_MS + STEP_MS - 1) == START_MS
    assert await ledger.observe(START_MS + STEP_MS) == START_MS + STEP_MS


async def test_of_two_that_share_a_database_neither_goes_back(storage: SqliteStorage) -> None:
    clock = HeldClock(START_MS + DAY_MS)
    one, other = LedgerClock(storage, clock), LedgerClock(storage, clock)
    await asyncio.gather(one.observe(START_MS), other.observe(START_MS + STEP_MS))
    await asyncio.gather(one.observe(START_MS + 3 * STEP_MS), other.observe(START_MS + 2 * STEP_MS))
    kept = await storage.get(LEDGER_TIMES, "ledger")
    assert kept is not None
    assert kept.at_ms == START_MS + 3 * STEP_MS
    assert await other.observe(START_MS + 4 * STEP_MS) == START_MS + 4 * STEP_MS
    assert await one.observe(START_MS) == START_MS + 3 * STEP_MS


async def test_a_moment_that_cannot_be_stored_is_not_told(tmp_path: Path) -> None:
    storage = await opened(tmp_path)
    ledger = LedgerClock(storage, HeldClock(START_MS + DAY_MS))
    await ledger.observe(START_MS)
    await storage.close()
    with pytest.raises(StorageClosed):
        await ledger.observe(START_MS + DAY_MS)
    assert ledger.now_ms() == START_MS


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["local", "chain", "restart"]),
        st.integers(min_value=START_MS - DAY_MS, max_value=START_MS + DAY_MS),
    ),
    min_size=1,
    max_size=30,
)


@given(STEPS)
@settings(deadline=None)
def test_h2_whatever_the_clocks_do_the_time_neither_goes_back_nor_leads_the_chain(
    steps: list[tuple[str, int]],
) -> None:
    async def play(folder: Path) -> None:
        storage = await opened(folder)
        clock = HeldClock(START_MS)
        ledger = LedgerClock(storage, clock)
        heads: list[int] = []
        told: list[int] = []
        for what, at_ms in steps:
            if what == "local":
                clock.advance(milliseconds=at_ms - clock.now_ms())
            elif what == "chain":
                heads.append(at_ms)
                await ledger.observe(at_ms)
            else:
                ledger = LedgerClock(storage, clock)
                await ledger.load()
            if heads:
                told.append(ledger.now_ms())
                assert told[-1] <= max(heads)
        assert told == sorted(told)
        await storage.close()

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
