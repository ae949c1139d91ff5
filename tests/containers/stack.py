"""The composed stack as a new user starts it, on ports that are free here."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from services.stack import free_ports
from shared.config import port_variable
from tests.containers.engine import DOCKER, SERVICES, TREE, Engine

PARTS: Final = ("compose", "docker", "devnet", "services", "shared")
FILES: Final = (
    *(".dockerignore", ".env.example", ".gitignore", "LICENSE", "Makefile"),
    *("constraints.txt", "requirements.txt", "requirements-prod.txt"),
)
PROJECT: Final = "lucid-tron"
UNTIL_S: Final = 180
DOCUMENTATION: Final = (TREE / "docker" / "README.md").read_text()
_COMMIT: Final = ("-c", "user.name=Tests", "-c", "user.email=tests@localhost", "commit", "--quiet")


def clone_tree(engine: Engine, place: Path) -> Path:
    """Clone what images and stack are made of, so that a developer's own .env has no say."""
    origin = place.with_name("origin")
    for part in PARTS:
        shutil.copytree(TREE / part, origin / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(TREE / file, origin / file)
    engine.run("git", "init", "--quiet", "--initial-branch=main", cwd=origin)
    engine.run("git", "add", "--all", cwd=origin)
    engine.run("git", *_COMMIT, "--message=As it stands", cwd=origin)
    engine.run("git", "clone", "--quiet", str(origin), str(place))
    return place


class Stack:
    """The six services and the devnet in containers, and calls to them as the operator."""

    def __init__(self, engine: Engine, tree: Path) -> None:
        self.engine = engine
        self.tree = tree
        self.ports = free_ports()
        self._token = ""
        lines = [(tree / ".env.example").read_text()]
        lines += [f"{port_variable(name)}={port}\n" for name, port in self.ports.services.items()]
        lines += [f"DEVNET_PORT={self.ports.node}\n", f"DEVNET_CONTROL_PORT={self.ports.control}\n"]
        (tree / ".env").write_text("".join(lines))

    def make(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run make; returns what was printed."""
        done = self.engine.run("make", *arguments, cwd=self.tree, timeout_s=timeout_s)
        return done.stdout + done.stderr

    def compose(self, *arguments: str, given: str | None = None, timeout_s: float = 300) -> str:
        """Run docker compose and return what it printed."""
        command = (DOCKER, "compose", *arguments)
        done = self.engine.run(*command, cwd=self.tree, given=given, timeout_s=timeout_s)
        return done.stdout.strip()

    def up(self) -> str:
        """Start it as `make up` does; returns what was printed."""
        printed = self.make("up")
        self._token = self.compose("run", "--rm", "-T", "setup", "token")
        return printed

    def shell(self, command: str) -> str:
        """Run a command line of the documentation from the root of the tree; returns what it printed."""
        assert command in DOCUMENTATION, f"docker/README.md does not say: {command}"
        return self.engine.run("/bin/bash", "-ec", command, cwd=self.tree).stdout

    @staticmethod
    def container(service: str) -> str:
        """Name the container of a service."""
        return f"{PROJECT}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        """Return everything the engine says about a container."""
        found: list[dict[str, Any]] = json.loads(
            self.engine.docker("inspect", self.container(service))
        )
        return found[0]

    def volume(self, name: str) -> Path:
        """Return where a volume lies on this machine."""
        where = self.engine.docker(
            "volume", "inspect", "-f", "{{.Mountpoint}}", f"{PROJECT}_{name}"
        )
        return Path(where)

    def kill(self, service: str) -> None:
        """End a container's process as a power cut would; the engine starts it again."""
        pid = self.inspect(service)["State"]["Pid"]
        self.engine.run("/bin/kill", "-KILL", str(pid))

    def call(
        self, service: str, path: str, *, body: object = None, key: str | None = None, **params: str
    ) -> dict[str, Any]:
        """Call a service as the operator, again and again while it is away."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        url = f"http://127.0.0.1:{self.ports.services[service]}{path}"
        return self._again(url, headers, body, params)

    def devnet(self, path: str, body: object = None) -> dict[str, Any]:
        """Ask or tell the devnet."""
        return self._again(f"http://127.0.0.1:{self.ports.control}{path}", {}, body, {})

    def _again(
        self, url: str, headers: dict[str, str], body: object, params: dict[str, str]
    ) -> dict[str, Any]:
        deadline = time.monotonic() + UNTIL_S
        while True:
            try:
                answer = httpx.request(
                    "GET" if body is None else "POST",
                    url,
                    params=params,
                    json=body,
                    headers=headers,
                    timeout=20,
                    trust_env=False,
                )
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status_code not in {502, 503, 504} or time.monotonic() > deadline:
                    assert answer.is_success, f"{url}: {answer.status_code} {answer.text[:500]}"
                    document: dict[str, Any] = answer.json()
                    return document
            time.sleep(0.5)

    def until(self, goal: str, look: Callable[[], Any], reached: Callable[[Any], bool]) -> Any:
        """Look until a goal is reached; returns what was seen."""
        deadline = time.monotonic() + UNTIL_S
        seen = look()
        while not reached(seen):
            assert time.monotonic() < deadline, f"{goal}: {seen}"
            time.sleep(0.5)
            seen = look()
        return seen

    def treasury(self) -> str:
        """Return the treasury's address; made if there is none."""
        wallets = self.call("wallet-manager", "/api/v1/wallets", limit="100")["wallets"]
        for wallet in wallets:
            if wallet["role"] == "treasury":
                return str(wallet["address"])
        body = {
            "user_id": "operator",
            "wallet_type": "hot",
            "role": "treasury",
            "label": "Treasury",
        }
        made = self.call("wallet-manager", "/api/v1/wallets", body=body, key="treasury")
        return str(made["address"])

    def booked(self, address: str, currency: str = "USDT") -> int:
        """Return what wallet-manager's books say, in base units."""
        path = f"/api/v1/wallets/{address}/balance"
        view = self.call("wallet-manager", path, currency=currency)
        return int(view["balance_base_units"])

    def held(self, address: str) -> int:
        """Return the USDT that the chain says an address has, in base units."""
        view = self.call("usdt-manager", f"/api/v1/usdt/balance/{address}")
        return int(view["balance_base_units"])

    def fund(self, address: str, *, trx: int, usdt: int) -> None:
        """Let the faucet pay, and wait until that is booked."""
        goal = self.booked(address) + usdt * 10**6
        self.devnet("/devnet/faucet", {"address": address, "trx": str(trx), "usdt": str(usdt)})
        self.until("funded", lambda: self.booked(address), lambda booked: booked == goal)

    def recipients(self, count: int) -> list[str]:
        """Return addresses of the devnet's people."""
        accounts = self.devnet("/devnet/accounts")["accounts"]
        return [account["address"] for account in accounts[-count:]]

    def pay(self, recipients: Sequence[str], amount: str, *, key: str) -> list[str]:
        """Promise a payout to each; returns their ids."""
        items = [
            {"user_id": f"{key}-{number}", "amount": amount, "recipient_address": address}
            for number, address in enumerate(recipients)
        ]
        batch = self.call(
            "payout-router", "/api/v1/payouts/batch", body={"payouts": items}, key=key
        )
        return [item["payout"]["payout_id"] for item in batch["payouts"]]

    def completed(self, payout_id: str) -> None:
        """Wait until a payout is completed."""
        self.until(
            f"payout {payout_id} completed",
            lambda: self.call("payout-router", f"/api/v1/payouts/{payout_id}")["status"],
            lambda state: bool(state == "completed"),
        )

    def healthy(self) -> None:
        """Wait until everything is healthy."""
        for service in (*SERVICES, "devnet"):
            self.engine.wait_healthy(self.container(service), timeout_s=UNTIL_S)
