"""Run everything on this machine against the devnet: what ``make run`` does."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Never

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from tqdm import tqdm

from services.init import Layout, initialise, show
from services.stack import DEVNET, TREE, PortBusy, Ports, Stack, StackBroken
from services.wallet_manager.settings import Settings as WalletSettings
from shared.config import (
    SERVICES,
    ConfigurationMissing,
    explain,
    port_variable,
    process_environment,
)
from shared.storage import StorageError
from shared.tron.networks import Network

READY_S: Final = 90

ORDER: Final = (
    "tron-client",
    "wallet-manager",
    "usdt-manager",
    "trx-staking",
    "payout-router",
    "payment-gateway",
)
"""Those below first."""


class RunSettings(BaseSettings):
    """What ``make run`` and ``make demo`` read from the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(
        default=TREE / ".lucid",
        validation_alias="LUCID_DATA_DIR",
        description="Where the devnet and its services keep their data. Default: .lucid/ in the tree.",
    )
    speed: float = Field(
        default=1.0,
        gt=0,
        le=50,
        validation_alias="DEVNET_SPEED",
        description="How many chain seconds pass in one.",
    )
    node_port: int = Field(
        default=18_090,
        ge=1,
        le=65_535,
        validation_alias="DEVNET_PORT",
        description="Port of the devnet's node.",
    )
    control_port: int = Field(
        default=18_099,
        ge=1,
        le=65_535,
        validation_alias="DEVNET_CONTROL_PORT",
        description="Port of the devnet's control API.",
    )

    def ports(self) -> Ports:
        """Return the ports that the environment asks for."""
        environment = process_environment()
        services = {
            name: int(environment.get(port_variable(name)) or port)
            for name, port in SERVICES.items()
        }
        return Ports(services=services, node=self.node_port, control=self.control_port)


def prepare(data_dir: Path, extra: Mapping[str, Any] | None = None) -> None:
    """Make keys, tokens and seed in the data directory, and tell what was made.

    Args:
        data_dir: where.
        extra: further environment of the services, such as the database that gets the seed.
    """
    told = {"TRON_NETWORK": Network.DEVNET, "LUCID_DATA_DIR": data_dir, **(extra or {})}
    settings = WalletSettings(**told)
    made = asyncio.run(initialise(settings, show=show))
    if made.paths:
        print(f"made {len(made.paths)} keys and tokens in {data_dir}")


def start(stack: Stack) -> None:
    """Start devnet and services and wait until all are ready, showing how far they are."""
    stack.ports.check_free()
    prepare(stack.data_dir, stack.extra)
    started = time.monotonic()
    with tqdm(total=len(ORDER) + 1, bar_format=_BAR, disable=None) as bar:
        stack.start(DEVNET)
        _await(stack, DEVNET, bar)
        for service in ORDER:
            stack.start(service)
        for service in ORDER:
            _await(stack, service, bar)
    print(f"ready after {time.monotonic() - started:.1f} s")


_BAR: Final = "  {n_fmt}/{total_fmt} |{bar:24}| {elapsed}  {desc}"


def _await(stack: Stack, program: str, bar: "tqdm[Never]") -> None:
    bar.set_description_str(program)
    stack.wait_ready(
        program,
        timeout_s=READY_S,
        told=lambda reason: bar.set_description_str(f"{program}: {reason[:70]}"),
    )
    bar.update()
    tqdm.write(f"  {program} is ready", file=sys.stdout)


def tell(stack: Stack) -> None:
    """Say where things are, with one call to try."""
    layout_token = Layout.of(
        WalletSettings(tron_network=Network.DEVNET, data_dir=stack.data_dir)
    ).operator_token
    print("\nwhere things are")
    for service in ORDER:
        print(f"  {service:<16} {stack.url(service)}")
    print(f"  {'devnet node':<16} http://127.0.0.1:{stack.ports.node}")
    print(f"  {'devnet control':<16} {stack.control_url}")
    print(f"  {'data and logs':<16} {stack.data_dir}")
    print("\none call to try")
    print(
        f'  curl -H "Authorization: Bearer $(cat {layout_token})"'
        f" {stack.url('payment-gateway')}/api/v1/tron/network/status"
    )
    print("\nmake demo tells the whole story; Ctrl-C stops everything", flush=True)


def main() -> int:
    """Run the command; returns the exit status."""
    try:
        settings = RunSettings()
        stack = Stack(data_dir=settings.data_dir, ports=settings.ports(), speed=settings.speed)
    except ValidationError as error:
        print(explain(error), file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # even where Ctrl-C was ignored when it began
        signal.signal(number, _interrupt)
    try:
        with stack:
            start(stack)
            tell(stack)
            while True:
                stack.check_alive()
                time.sleep(0.5)
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):
            print("\nstopped")
        return 0
    except (PortBusy, StackBroken, ConfigurationMissing, StorageError, OSError) as error:
        print(f"\nrun: {error}", file=sys.stderr)
        return 1


def _interrupt(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt
