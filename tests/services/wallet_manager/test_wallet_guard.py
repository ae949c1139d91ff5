"""H17: the guarded mode of mainnet, each of its conditions, and the three clocks of H2."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.wallet_manager.domain.sends import Hold
from services.wallet_manager.service import mainnet
from services.wallet_manager.service.mainnet import Check, Preflight
from services.wallet_manager.service.timekeeping import Timekeeper
from shared.clock import HeldClock
from shared.ledger_clock import LEDGER_TIMES, LedgerClock
from shared.models.tron_client import SigningContextView
from shared.peers.caller import PeerUnavailable
from shared.storage import Schema, SqliteStorage, Stamp
from tests.services.wallet_manager.guards import TRX_CAPS, USDT_CAPS, rulebook
from tests.services.wallet_manager.till import Chain, Till, intent
from tests.support import START_MS


def refused(rule: str, check: Check) -> str:
    """Return what mainnet refuses with, and see that elsewhere it is only a warning."""
    strict, lenient = (Preflight({rule: check}, is_enforced=one) for one in (True, False))
    assert lenient.reason() is None
    assert lenient.standing()["findings"] == strict.standing()["findings"] != []
    reason = strict.reason()
    assert reason is not None
    assert reason.startswith(f"mainnet signing is refused: {rule}: ")
    return reason


def passes(check: Check) -> bool:
    return Preflight({"rule": check}, is_enforced=True).reason() is None


def test_h17_the_second_switch_is_needed() -> None:
    assert "MAINNET_SIGNING_ENABLED" in refused("switch", mainnet.second_switch(is_on=False))
    assert passes(mainnet.second_switch(is_on=True))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_h17_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    path.touch()
    path.chmod(mode)
    assert f"{mode:04o}" in refused("file", mainnet.private_file(path))
    path.chmod(0o600)
    assert passes(mainnet.private_file(path))
    path.unlink()
    assert passes(mainnet.private_file(path))


@pytest.mark.parametrize(
    "key", [bytes(32), bytes(range(32)), b"\xaa\x55" * 16, b"0123456789abcdef" * 2]
)
def test_h17_a_default_master_key_is_refused(tmp_path: Path, key: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_text(key.hex())
    told = refused("key", mainnet.random_key_file(path))
    assert key.hex() not in told


def test_h17_a_random_master_key_passes(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    drawn = "8f1d3c5b7a9e0246cdef13579bdf02468ace11335577992b4d6f80a1c3e5f709"
    path.write_text(f"{drawn}\n")
    assert passes(mainnet.random_key_file(path))
    assert passes(mainnet.random_key_file(tmp_path / "missing"))


def test_h17_a_policy_that_nobody_decided_on_is_refused() -> None:
    assert "/api/v1/policies/all" in refused("policy", mainnet.decided_policy(lambda: False))
    assert passes(mainnet.decided_policy(lambda: True))


def test_h17_without_a_recovery_key_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recovery.pub"
    assert str(path) in refused("recovery_key", mainnet.recovery_key(path))
    path.touch()
    assert passes(mainnet.recovery_key(path))


@pytest.mark.parametrize(
    ("standing", "told"),
    [
        ({"last_made_at": None, "age_s": None, "is_overdue": False}, "there is no backup yet"),
        ({"last_made_at": "2026", "age_s": 900, "is_overdue": True}, "900 s old"),
    ],
)
def test_h17_without_a_recent_backup_it_is_refused(standing: dict[str, Any], told: str) -> None:
    assert told in refused("backup", mainnet.recent_backup(lambda: standing))
    fresh = {"last_made_at": "2026", "age_s": 9, "is_overdue": False}
    assert passes(mainnet.recent_backup(lambda: fresh))


def test_h17_one_operator_without_a_daily_cap_on_its_word_is_refused() -> None:
    loose = rulebook(caps=(replace(USDT_CAPS, unproved_per_day=USDT_CAPS.per_day), TRX_CAPS))
    check = mainnet.bounded_trust
    assert "no daily cap on its word in USDT" in refused("one", check(lambda: 1, lambda: loose))
    assert passes(check(lambda: 2, lambda: loose))
    assert passes(check(lambda: 1, rulebook))


def test_h17_leftovers_of_the_devnet_are_refused(tmp_path: Path) -> None:
    def check(contract: str) -> Check:
        return mainnet.no_devnet(data_dir=tmp_path, contract=contract, expected_contract="T1")

    assert "T2" in refused("leftovers", check("T2"))
    assert passes(check("T1"))
    (tmp_path / "devnet").mkdir()
    assert "left from the devnet" in refused("leftovers", check("T1"))


def test_h17_every_finding_is_told_at_once_and_a_check_that_fails_is_one() -> None:
    def breaks() -> str | None:
        raise PermissionError("no")

    checks: dict[str, Callable[[], str | None]] = {
        "one": lambda: "first",
        "two": lambda: None,
        "three": breaks,
    }
    reason = Preflight(checks, is_enforced=True).reason()
    assert reason == ("mainnet signing is refused: one: first; three: it cannot be looked at: no")


async def test_h17_a_round_under_the_guard_signs_nothing_and_says_why(till: Till) -> None:
    await till.treasury()
    send = await till.taken(intent())
    guard = Preflight({"policy": lambda: "none"}, is_enforced=True)
    desk = await guard.open([send], now_ms=START_MS)
    objection = desk.objection(send, Hold())
    assert objection is not None
    assert (objection.rule, objection.is_final) == ("mainnet_guard", False)
    assert objection.detail == "mainnet signing is refused: policy: none"


class Heads:
    """Plays a tron-client whose heads differ."""

    def __init__(self, clock: HeldClock) -> None:
        self.chain = Chain(clock)
        self.head_lead_ms = 0
        self.second_lead_ms: int | None = 0
        self.operators = 2
        self.paused: str | None = None

    async def signing_context(self) -> SigningContextView:
        context = await self.chain.signing_context()
        head_ms = context.head.timestamp_ms
        second = None if self.second_lead_ms is None else head_ms + self.second_lead_ms
        return context.model_copy(
            update={
                "head": context.head.model_copy(
                    update={"timestamp_ms": head_ms + self.head_lead_ms}
                ),
                "second_head_timestamp_ms": second,
                "operators": self.operators,
                "paused": self.paused,
            }
        )


async def test_h2_the_ledger_runs_on_the_earliest_of_three_clocks_and_their_difference_is_told(
    tmp_path: Path,
) -> None:
    schema = Schema(service="wallet-manager", version=1, collections=(LEDGER_TIMES,))
    stamp = Stamp(network="devnet", contract="usdt")
    storage = await SqliteStorage.open(tmp_path / "clock.sqlite3", schema, stamp)
    clock = HeldClock(START_MS)
    heads, ledger = Heads(clock), LedgerClock(storage, clock)
    keeper = Timekeeper(chain=heads, ledger=ledger, clock=clock, max_skew_ms=60_000)
    assert keeper.reason() == "the chain's time was not seen yet"

    heads.second_lead_ms = -60_000
    await keeper.look()
    assert keeper.reason() is None
    assert ledger.now_ms() == START_MS - 60_000

    for head_ms, second_ms in ((60_001, 0), (0, -61_000), (30_000, -40_000)):
        heads.head_lead_ms, heads.second_lead_ms = head_ms, second_ms
        await keeper.look()
        told = keeper.reason()
        assert told is not None
        assert "differ by" in told

    heads.head_lead_ms, heads.second_lead_ms, heads.paused = 0, None, "budget"
    heads.operators = 1
    await keeper.look()
    assert (keeper.reason(), keeper.operators) == ("budget", 1)

    heads.chain.away = True
    with pytest.raises(PeerUnavailable):
        await keeper.look()
    await storage.close()
