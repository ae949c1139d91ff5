"""H17: the whole service on mainnet says everything that is not in order, and signs nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.settings import Settings
from shared.access import Role
from shared.clock import HeldClock
from shared.tron.networks import Network
from shared.web.runtime import Runtime
from tests.support import START_MS, Keys, answers, nobody_there, serving

RANDOM_KEY = "8f1d3c5b7a99e02446c8d0f2143658ab70c1e3d5f7092b4d6f8191a3b5c7d9ef"
PATTERN_KEY = "00" * 32


Look = Callable[[], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def opened(root: Path, key: str, **changes: Any) -> AsyncIterator[Look]:
    """Run the service on mainnet; what comes looks at its ``/status``."""
    clock = HeldClock(START_MS)
    keys = Keys(root, clock)
    folder = root / "secrets" / NAME
    master_key = folder / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(key)
    settings = Settings(
        tron_network=Network.MAINNET,
        data_dir=root,
        peer_attempts=1,
        rate_limit_burst=10_000,
        **changes,
    )
    await make_seed(settings, show=lambda _: None)
    runtime = Runtime(service=NAME, settings=settings, clock=clock, transport=answers(nobody_there))
    async with serving(create(settings, runtime)) as client:

        async def look() -> dict[str, Any]:
            answer = await client.get("/status", headers=keys.person(Role.SUPER_ADMIN))
            told: dict[str, Any] = answer.json()
            return told

        yield look


def rules_of(told: dict[str, Any]) -> set[str]:
    return {one["rule"] for one in told["mainnet_guard"]["findings"]}


async def test_h17_an_installation_without_anything_is_refused_with_every_reason(
    tmp_path: Path,
) -> None:
    (tmp_path / "devnet").mkdir()
    async with opened(tmp_path, PATTERN_KEY) as look:
        told = await look()
        assert told["mainnet_guard"]["is_enforced"]
        assert rules_of(told) >= {
            "second_switch",
            "master_key",
            "policy",
            "recovery_key",
            "backup",
            "clocks",
            "devnet_leftovers",
        }
        signing = next(one for one in told["reasons"] if "MAINNET_SIGNING_ENABLED" in one)
        assert "second switch" in signing


async def test_h17_the_second_switch_alone_signs_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, RANDOM_KEY, mainnet_signing_enabled=True) as look:
        told = await look()
        found = rules_of(told)
        in_order = {
            "second_switch",
            "master_key",
            "master_key_file",
            "identity_file",
            "cooling_off",
        }
        assert not {*in_order, "database_file", "devnet_leftovers"} & found
        assert {"policy", "recovery_key", "backup", "clocks"} <= found
        refused = next(one for one in told["reasons"] if "mainnet signing is refused" in one)
        assert all(rule in refused for rule in found)


async def test_h17_a_policy_that_is_loosened_without_anybody_noticing_is_refused(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, RANDOM_KEY, policy_cooling_off_s=86_399) as look:
        assert "cooling_off" in rules_of(await look())


@pytest.mark.parametrize(
    ("name", "rule"), [("master.key", "master_key_file"), ("identity.pem", "identity_file")]
)
async def test_h17_a_secret_that_others_may_read_from_now_on_stops_the_signing(
    tmp_path: Path, name: str, rule: str
) -> None:
    async with opened(tmp_path, RANDOM_KEY, mainnet_signing_enabled=True) as look:
        assert rule not in rules_of(await look())
        (tmp_path / "secrets" / NAME / name).chmod(0o640)
        told = await look()
        assert rule in rules_of(told)
        assert any(f"{rule}: " in one and "mode 0640" in one for one in told["reasons"])


@pytest.mark.parametrize("network", [None, "main", ""])
def test_h17_a_network_is_never_guessed(network: str | None) -> None:
    fields: dict[str, Any] = {} if network is None else {"tron_network": network}
    with pytest.raises(ValidationError):
        Settings(**fields)
