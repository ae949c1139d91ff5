"""No secret leaves the process: everything it says in a run full of failures is searched for each."""

import asyncio
import base64
import json
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import base58
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.wallet_manager.app import NAME, create
from services.wallet_manager.routes.owner import SOCKET, reachable
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import SCHEMA, SECRETS
from services.wallet_manager.vault import Leaf, Vault, WrongMasterKey, wipe
from services.wallet_manager.vault.keyfiles import KeyFiles
from services.wallet_manager.vault.sealing import label, unseal
from services.wallet_manager.vault.wrapping import open_secret, stretch
from shared import logs
from shared.config import process_environment
from shared.storage import SqliteStorage, Stamp, Unit
from shared.tron.hd import PrivateNode, seed_from_phrase
from shared.web.runtime import Runtime
from tests.services.wallet_manager.safe import PASSPHRASE, House, house_in
from tests.services.wallet_manager.till import MASTER_KEY, USDT
from tests.support import answers, nobody_there, serving

TREE = Path(__file__).resolve().parents[3]
WRONG = b"an entirely wrong passphrase"
FILE = b"the passphrase of a file"
IMPORTED = bytes(range(101, 133))
REFUSAL = b"does not open under this master key"
BODIES: tuple[object, ...] = (None, {}, [], {"user_id": "ada", "request_id": "x"}, "\ud800", 7)


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield the ways in which a secret could be written."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")
    yield base58.b58encode(secret)
    yield str(int.from_bytes(secret, "big")).encode()
    yield repr(secret)[2:-1].encode()
    yield str(list(secret))[1:-1].encode()


def found(secrets: dict[str, bytes], said: bytes) -> set[str]:
    """Name the secrets that occur in what was said."""
    return {name for name, secret in secrets.items() if any(one in said for one in forms(secret))}


@dataclass
class Listener:
    """Keeps everything that anybody outside could read."""

    said: bytearray

    def hear(self, *texts: object) -> None:
        for text in texts:
            self.said += text if isinstance(text, bytes) else str(text).encode(errors="replace")
            self.said += b"\n"

    async def ask(self, client: httpx.AsyncClient, method: str, path: str, **asked: object) -> None:
        answer = await client.request(method, path, **asked)  # type: ignore[arg-type]
        self.hear(answer.status_code, dict(answer.headers), answer.content)


async def secrets_of(house: House, words: str, passphrases: Sequence[bytes]) -> dict[str, bytes]:
    """Open everything that is stored, as its owner could."""
    stamp = Stamp(network="devnet", contract=USDT)
    storage = await SqliteStorage.open(house.settings.database_path(NAME), SCHEMA, stamp)
    store = WalletStore(storage)
    records, ring = await store.sealed_secrets(), await store.key_ring()
    await storage.close()
    assert ring is not None
    assert ring.current.argon2 is not None
    master_key = stretch(bytearray(passphrases[0]), ring.current.argon2)
    tree = PrivateNode.from_seed(seed_from_phrase(words))
    secrets = {
        "the first master key": MASTER_KEY,
        "the stretched master key": bytes(master_key),
        "the seed": seed_from_phrase(words),
        "a leaf's key": tree.account(coin_type=1, account=0).derive(0, 0)._key.secret,
        "an account's key": tree.account(coin_type=1, account=0)._key.secret,
        "the root's key": tree._key.secret,
        **{f"passphrase {number}": one for number, one in enumerate(passphrases)},
    }
    for record in records:
        belongs_to = label("devnet", record.id, record.generation, "data-key")
        secrets[f"data key of {record.id}"] = bytes(
            unseal(master_key, record.wrapped_key, belongs_to)
        )
        secrets[f"secret {record.id}"] = bytes(open_secret(master_key, record, network="devnet"))
    listed = words.split()
    for at in range(0, len(listed) - 2, 3):
        for joint in (" ", ",", "', '", '", "'):
            secrets[f"words from {at} by {joint!r}"] = joint.join(listed[at : at + 3]).encode()
    return secrets


async def at_the_door(listener: Listener, path: Path, line: bytes) -> None:
    with reachable(path) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    writer.write(line + b"\n")
    listener.hear(await reader.read())
    writer.close()


async def every_route(
    listener: Listener, client: httpx.AsyncClient, app: FastAPI, headers: dict[str, str]
) -> int:
    asked = 0
    for method, path in sorted(routes_of(app)):
        for given in ({}, headers):
            for body in BODIES if method in {"POST", "PUT"} else (None,):
                names = dict.fromkeys(part_names(path), "x")
                content = json.dumps(body).encode()
                await listener.ask(
                    client, method, path.format(**names), content=content, headers=given
                )
                asked += 1
    for path in ("/openapi.json", "/docs", "/redoc", "/metrics", "/nowhere"):
        await listener.ask(client, "GET", path, headers=headers)
    return asked


def everything_on_disk(listener: Listener, root: Path) -> None:
    """Hear what is in every file but those of the keys: databases, logs of them, backups."""
    for path in root.rglob("*"):
        if path.is_file() and "secrets" not in path.parts:
            listener.hear(path, path.read_bytes())


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    described = app.openapi()["paths"]
    documented = {
        (method.upper(), path) for path, methods in described.items() for method in methods
    }
    mounted = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    return {one for one in documented | mounted if "feed" not in one[1] and "stream" not in one[1]}


def part_names(path: str) -> list[str]:
    return [part[1:-1].split(":")[0] for part in path.split("/") if part.startswith("{")]


async def test_h18_nothing_that_is_said_in_a_run_full_of_failures_holds_a_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    house = await house_in(tmp_path, show=shown.append)
    logs.configure(service=NAME, level="DEBUG")
    listener = Listener(bytearray())
    headers = house.keys.person()
    runtime = Runtime(
        service=NAME, settings=house.settings, clock=house.clock, transport=answers(nobody_there)
    )
    app = create(house.settings, runtime)
    door = house.settings.database_path(NAME).parent / SOCKET
    typed = PASSPHRASE.decode()
    async with serving(app) as client:
        assert await every_route(listener, client, app, headers) > 60
        for command in (
            {"command": "set-passphrase", "new_passphrase": typed},
            {"command": "lock"},
            {"command": "unlock", "passphrase": WRONG.decode()},
            {"command": typed},
            {"command": "import", "private_key": IMPORTED.hex(), "passphrase": typed},
            {"command": "import", "private_key": IMPORTED.hex() + "0", "passphrase": typed},
            {"command": "export", "wallet_id": "x", "file_passphrase": FILE.decode()},
            {"command": "unlock", "passphrase": typed, "more": [typed]},
            {typed: typed},
        ):
            await at_the_door(listener, door, json.dumps(command).encode())
        await at_the_door(listener, door, b'{"command":"unlock","passphrase":"' + PASSPHRASE)
        await every_route(listener, client, app, headers)
        await at_the_door(
            listener, door, json.dumps({"command": "unlock", "passphrase": typed}).encode()
        )
        await every_route(listener, client, app, headers)
        service = app.state.starter.service if hasattr(app.state, "starter") else app.state
        listener.hear(repr(service), repr(vars(app.state)), repr(house.settings))
    secrets = await secrets_of(house, shown[0], [PASSPHRASE, WRONG, FILE])
    secrets["an imported key"] = IMPORTED
    out, err = capfd.readouterr()
    listener.hear(out, err)
    await asyncio.to_thread(everything_on_disk, listener, tmp_path)

    assert len(out) > 1_000
    assert b"vault.rekeyed" in listener.said
    assert b"SQLite format 3" in listener.said
    assert found(secrets, bytes(listener.said)) == set()


async def test_h18_the_errors_of_the_keys_and_their_tracebacks_hold_no_secret(
    tmp_path: Path,
) -> None:
    shown: list[str] = []
    house = await house_in(tmp_path, show=shown.append)
    await house.vault("set-passphrase", typed=[PASSPHRASE.decode()] * 2)
    secrets = await secrets_of(house, shown[0], [PASSPHRASE])
    listener = Listener(bytearray())
    path = tmp_path / "another.key"
    path.touch(mode=0o600)
    for content in (MASTER_KEY.hex() + "0", MASTER_KEY.hex()[:-1] + "g", repr(MASTER_KEY)):
        path.write_text(content)
        try:
            KeyFiles(path).current()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is searched
            listener.hear("".join(traceback.format_exception(error)), repr(error))
    storage = await SqliteStorage.open(
        house.settings.database_path(NAME), SCHEMA, Stamp(network="devnet", contract=USDT)
    )
    records = await WalletStore(storage).sealed_secrets()
    await storage.close()
    vault = Vault(network="devnet", coin_type=1)
    with pytest.raises(WrongMasterKey) as refusal:
        vault.open(MASTER_KEY, records)
    listener.hear("".join(traceback.format_exception(refusal.value)), repr(refusal.value))
    vault.open(secrets["the stretched master key"], records)
    key = vault._keys().signing_key(Leaf(account=0, index=0))
    listener.hear(vault, repr(vault._keys()), repr(vault._keys().root), repr(key), records)

    assert b"64 hex digits" in listener.said
    assert found(secrets, bytes(listener.said)) == set()


async def test_h18_a_service_over_a_damaged_vault_says_why_and_no_secret(
    tmp_path: Path,
) -> None:
    shown: list[str] = []
    house = await house_in(tmp_path, show=shown.append)
    storage = await SqliteStorage.open(
        house.settings.database_path(NAME), SCHEMA, Stamp(network="devnet", contract=USDT)
    )
    seed, other = await WalletStore(storage).sealed_secrets()
    await storage.commit(Unit().update(SECRETS, replace(seed, sealed=other.sealed)))
    await storage.close()
    environment = {
        **process_environment(),
        "LUCID_DATA_DIR": str(tmp_path),
        "TRON_NETWORK": "devnet",
        "USDT_CONTRACT_ADDRESS": USDT,
        "WALLET_MANAGER_PORT": "0",
        "LOG_LEVEL": "DEBUG",
    }
    said = await asyncio.to_thread(said_until, REFUSAL, environment)

    words = shown[0].split()
    secrets = {
        "the master key": MASTER_KEY,
        "the seed": seed_from_phrase(shown[0]),
        "words": " ".join(words[:3]).encode(),
        "the mark key": bytes(open_secret(MASTER_KEY, other, network="devnet")),
    }
    assert REFUSAL in said
    assert found(secrets, said) == set()


def said_until(reason: bytes, environment: dict[str, str]) -> bytes:
    """Run the service until it gives a reason or ends; returns all that it wrote."""
    with subprocess.Popen(
        [sys.executable, "-m", "services.wallet_manager"],
        cwd=TREE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        assert running.stdout is not None
        said = b""
        for line in running.stdout:
            said += line
            if reason in line:
                break
        running.terminate()
        return said + running.communicate()[0]


async def test_h18_no_route_touches_the_vault_or_a_key(tmp_path: Path) -> None:
    house = await house_in(tmp_path)
    described = create(house.settings).openapi()

    assert not {
        path
        for path in described["paths"]
        for word in ("vault", "unlock", "keystore", "private", "seed", "mnemonic", "phrase")
        if word in path
    }
    assert not {
        field
        for schema in described["components"]["schemas"].values()
        for field in schema.get("properties", {})
        for word in ("secret", "private", "mnemonic", "seed", "passphrase", "entropy")
        if word in field
    }


def test_the_search_finds_every_form_of_a_secret() -> None:
    secret = bytes(range(200, 232))

    for form in forms(secret):
        assert found({"it": secret}, b'{"a":"' + form + b'"}') == {"it"}
    assert found({"it": secret}, b"nothing here") == set()


def test_what_is_wiped_is_zeros() -> None:
    first, second = bytearray(b"abc"), bytearray(b"de")
    wipe(first, second)

    assert (first, second) == (bytearray(3), bytearray(2))


CORE_AND_TRACING = """
import ctypes, resource
from services.wallet_manager.vault.hardening import forbid_core_dumps
print(forbid_core_dumps(), resource.getrlimit(resource.RLIMIT_CORE))
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
"""Prints what the kernel says afterwards; 3 is PR_GET_DUMPABLE."""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_process_with_keys_writes_no_core_and_is_traced_by_nobody() -> None:
    told = subprocess.run(
        [sys.executable, "-c", CORE_AND_TRACING],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert told.split("\n")[:2] == ["True (0, 0)", "0"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_service_forbids_cores_before_it_reads_anything(tmp_path: Path) -> None:
    environment = {
        **process_environment(),
        "LUCID_DATA_DIR": str(tmp_path),
        "TRON_NETWORK": "devnet",
        "WALLET_MANAGER_PORT": "0",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "services.wallet_manager"],
        cwd=TREE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        limits = Path(f"/proc/{running.pid}/limits").read_text()
        running.terminate()
        running.communicate()

    assert first
    (told,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert told.split()[4:6] == ["0", "0"]
