"""The guarded mode of mainnet: what has to be in order before anything is signed there (H17).

On any other network the same findings are warnings in ``/status``.
"""

import contextlib
import itertools
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.wallet_manager.domain.rulebook import Rulebook
from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.service.guard import Objection
from services.wallet_manager.store.changes import Change

Check = Callable[[], str | None]

OPERATORS_TO_PROVE: Final = 2
DAY_S: Final = 86_400
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_FEWEST_DISTINCT_BYTES: Final = 20
"""A random key of 32 bytes has 30 distinct ones on average; fewer than 20 do not happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is not in order."""

    rule: str
    detail: str


class Preflight:
    """Asks every check, again before each signing round.

    Args:
        checks: by the name of the rule; each says what is wrong, or None.
        is_enforced: on mainnet.
    """

    def __init__(self, checks: Mapping[str, Check], *, is_enforced: bool) -> None:
        self._checks = checks
        self._is_enforced = is_enforced

    def findings(self) -> list[Finding]:
        """Return everything that is not in order now; a check that fails is a finding too."""
        found: list[Finding] = []
        for rule, check in self._checks.items():
            try:
                detail = check()
            except OSError as error:
                detail = f"it cannot be looked at: {error}"
            if detail is not None:
                found.append(Finding(rule=rule, detail=detail))
        return found

    def reason(self) -> str | None:
        """Say why nothing is signed on mainnet, or None; elsewhere always None."""
        found = self.findings() if self._is_enforced else []
        if not found:
            return None
        told = "; ".join(f"{one.rule}: {one.detail}" for one in found)
        return f"mainnet signing is refused: {told}"

    def standing(self) -> dict[str, Any]:
        """Return the findings for ``/status``, and whether they stop anything."""
        return {
            "is_enforced": self._is_enforced,
            "findings": [{"rule": one.rule, "detail": one.detail} for one in self.findings()],
        }

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> "PreflightDesk":
        """Ask every check once for a signing round."""
        del sends, now_ms
        return PreflightDesk(self.reason())


class PreflightDesk:
    """One signing round: signed as a whole or not."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def objection(self, send: Send, hold: Hold) -> Objection | None:
        """Say what is not in order, or None."""
        del send, hold
        if self._reason is None:
            return None
        return Objection(rule="mainnet_guard", detail=self._reason)

    def take(self, send: Send, hold: Hold) -> None:
        """Count nothing."""

    def write(self, change: Change) -> None:
        """Store nothing."""


def second_switch(*, is_on: bool) -> Check:
    """Ask for the operator's second setting."""
    return lambda: None if is_on else "MAINNET_SIGNING_ENABLED is the second switch that it needs"


def private_file(path: Path) -> Check:
    """Ask that a file is there for its owner alone."""

    def check() -> str | None:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return None
        if mode & _OTHERS:
            return f"{path} has mode {stat.S_IMODE(mode):04o}; others may use it: chmod 600 it"
        return None

    return check


def random_key_file(path: Path) -> Check:
    """Ask that the key in a file is no default and no pattern; it is read once, and not kept."""
    is_poor = False
    with contextlib.suppress(OSError, ValueError):  # without a key there is nothing to sign with
        is_poor = is_pattern(bytes.fromhex(path.read_text("ascii").strip()))
    return lambda: "the master key is a default or a pattern, not random" if is_poor else None


def is_pattern(key: bytes) -> bool:
    """True for a key that was typed or counted rather than drawn."""
    is_counted = all((after - before) % 256 == 1 for before, after in itertools.pairwise(key))
    return is_counted or len(set(key)) < _FEWEST_DISTINCT_BYTES


def decided_policy(is_explicit: Callable[[], bool]) -> Check:
    """Ask that a person decided on the policy."""
    told = "nobody has decided on a policy: PUT /api/v1/policies/all once"
    return lambda: None if is_explicit() else told


def cooling_off(seconds: int) -> Check:
    """Ask that whoever loosens the policy has to wait for it a day, so that somebody notices."""
    told = f"POLICY_COOLING_OFF_S is {seconds}: a looser policy has to wait a day ({DAY_S})"
    return lambda: None if seconds >= DAY_S else told


def recovery_key(path: Path) -> Check:
    """Ask for the public key that backups are sealed to."""
    return lambda: None if path.is_file() else f"there is no recovery key: {path} does not exist"


def recent_backup(standing: Callable[[], Mapping[str, Any]]) -> Check:
    """Ask for a backup that is not overdue."""

    def check() -> str | None:
        now = standing()
        if now["last_made_at"] is None:
            return "there is no backup yet"
        return f"the last backup is {now['age_s']} s old" if now["is_overdue"] else None

    return check


def bounded_trust(operators: Callable[[], int], rules: Callable[[], Rulebook | None]) -> Check:
    """Ask, where one operator is there alone, for a daily cap of its own on its word (H1)."""

    def check() -> str | None:
        now = rules()
        if operators() >= OPERATORS_TO_PROVE or now is None:
            return None
        loose = [one.currency for one in now.caps if one.unproved_per_day >= one.per_day]
        if not loose:
            return None
        names = ", ".join(loose)
        return f"one node operator alone, and no daily cap on its word in {names}"

    return check


def no_devnet(*, data_dir: Path, contract: str, expected_contract: str) -> Check:
    """Ask that nothing of the devnet is left."""

    def check() -> str | None:
        if (data_dir / "devnet").exists():
            return f"{data_dir / 'devnet'} is left from the devnet"
        if contract != expected_contract:
            return f"USDT_CONTRACT_ADDRESS is {contract}, not mainnet's {expected_contract}"
        return None

    return check
