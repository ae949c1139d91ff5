"""The owner's commands, over the socket of the running service and beside a stopped one."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.wallet_manager.cli import Refused, parser
from services.wallet_manager.routes.owner import MAX_LINE_BYTES, SOCKET, owner_socket, reachable
from services.wallet_manager.service.keeper import LOCKED
from shared.config import process_environment
from shared.errors import BadRequest, Problem, Unavailable
from tests.services.wallet_manager.safe import (
    PASSPHRASE,
    House,
    Safe,
    founded_in,
    house_in,
    safe_in,
)

TREE = Path(__file__).resolve().parents[3]


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return await house_in(tmp_path)


def words() -> str:
    return PASSPHRASE.decode()


async def test_the_status_of_a_running_and_of_a_stopped_one(house: House) -> None:
    async with house.running():
        running = await house.vault("status")
    stopped = await house.vault("status")

    assert running.shown == ["vault: open\nmaster key: generation 1, from a key file"]
    assert stopped.shown[0].startswith("vault: closed: wallet-manager is not running\n")


async def test_a_running_vault_is_locked_and_unlocked_and_says_so(house: House) -> None:
    headers = house.keys.person()
    async with house.running() as client:
        assert (await house.vault("lock")).shown[0].startswith("vault: locked")
        ready = await client.get("/health/ready")
        status = await client.get("/status", headers=headers)
        assert (await house.vault("unlock")).shown[0].startswith("vault: open")
        after = await client.get("/status", headers=headers)

    assert ready.status_code == 503
    assert LOCKED in ready.json()["reasons"]
    assert status.json()["vault"]["is_locked"] is True
    assert after.json()["vault"]["is_locked"] is False


async def test_a_passphrase_is_set_while_it_runs_and_asked_for_after_a_restart(
    house: House,
) -> None:
    async with house.running():
        told = await house.vault("set-passphrase", typed=[words(), words()])
    assert told.prompts == ["New passphrase: ", "Again: "]
    assert "generation 2, from a passphrase" in told.shown[0]

    async with house.running() as client:
        assert LOCKED in (await client.get("/health/ready")).json()["reasons"]
        with pytest.raises(Refused, match="LUCID_ERR_9342"):
            await house.vault("unlock", typed=["something else"])
        told = await house.vault("unlock", typed=[words()])
    assert told.shown[0].startswith("vault: open")


async def test_while_it_is_locked_a_new_wallet_is_refused_with_the_reason(house: House) -> None:
    async with house.running() as client:
        await house.vault("lock")
        answer = await client.post(
            "/api/v1/wallets",
            json={"user_id": "ada", "request_id": "first"},
            headers=house.keys.person(),
        )

    assert answer.status_code == 503
    assert "vault" in answer.json()["detail"] or "recover" in answer.json()["detail"]


async def test_two_different_new_passphrases_change_nothing(house: House) -> None:
    with pytest.raises(BadRequest, match="differ"):
        await house.vault("set-passphrase", typed=[words(), words() + "!"])

    assert "generation 1" in (await house.vault("status")).shown[0]


async def test_beside_a_stopped_service_the_master_key_is_replaced(house: House) -> None:
    assert "generation 2, from a key file" in (await house.vault("rekey")).shown[0]
    told = await house.vault("set-passphrase", typed=[words(), words()])
    assert "generation 3, from a passphrase" in told.shown[0]
    told = await house.vault("rekey", typed=[words()])
    assert told.prompts == ["Passphrase: "]
    assert "generation 4, from a passphrase" in told.shown[0]

    async with house.running():
        await house.vault("unlock", typed=[words()])


@pytest.mark.parametrize("command", ["lock", "unlock"])
async def test_a_stopped_service_is_neither_locked_nor_unlocked(house: House, command: str) -> None:
    with pytest.raises(Unavailable, match="not running"):
        await house.vault(command)


async def test_a_passphrase_comes_from_a_descriptor(house: House) -> None:
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)
    told = await house.vault("set-passphrase", "--new-passphrase-fd", str(reading))
    os.close(reading)

    assert told.prompts == []
    async with house.running():
        await house.vault("unlock", typed=[words()])


async def test_letters_composed_in_another_way_are_the_same_passphrase(house: House) -> None:
    await house.vault("set-passphrase", typed=["caf\u00e9 au lait, s'il vous"] * 2)

    async with house.running():
        await house.vault("unlock", typed=["cafe\u0301 au lait, s'il vous"])


@pytest.mark.parametrize("line", [b"\xff\n", b"x" * 2_000 + b"\n"])
async def test_a_descriptor_with_no_passphrase_is_refused(house: House, line: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, line)
    os.close(writing)
    with pytest.raises(Problem):
        await house.vault("set-passphrase", "--new-passphrase-fd", str(reading))
    os.close(reading)


@pytest.mark.parametrize("option", ["--passphrase", "--new-passphrase"])
def test_no_passphrase_is_taken_from_the_arguments(option: str) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["vault", "unlock", option, words()])


def test_the_program_itself_runs_these_commands(tmp_path: Path) -> None:
    environment = {
        **process_environment(),
        "LUCID_DATA_DIR": str(tmp_path),
        "TRON_NETWORK": "devnet",
    }
    asked = [sys.executable, "-m", "services.wallet_manager", "vault", "status"]
    done = subprocess.run(
        asked, cwd=TREE, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "master.key does not exist" in done.stderr
    assert "Traceback" not in done.stderr


# The socket


@pytest.fixture
async def safe(tmp_path: Path) -> AsyncIterator[Safe]:
    await founded_in(tmp_path)
    safe = await safe_in(tmp_path)
    await safe.keeper.start()
    yield safe
    await safe.storage.close()


async def said(path: Path, line: bytes) -> bytes:
    with reachable(path) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    writer.write(line)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_h18_the_socket_is_its_owners_alone(tmp_path: Path, safe: Safe) -> None:
    path = tmp_path / SOCKET
    async with owner_socket(safe.keeper, path):
        mode = path.stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert not path.exists()


async def test_h18_another_user_gets_no_answer_and_no_effect(tmp_path: Path, safe: Safe) -> None:
    path = tmp_path / SOCKET
    others = frozenset({os.getuid() + 1})
    async with owner_socket(safe.keeper, path, owners=others):
        assert await said(path, b'{"command":"lock"}\n') == b""

    assert safe.vault.is_open


async def test_a_socket_left_by_a_killed_process_is_replaced(tmp_path: Path, safe: Safe) -> None:
    path = tmp_path / SOCKET
    left = socket.socket(socket.AF_UNIX)
    with reachable(path) as name:
        left.bind(name)
    left.close()

    async with owner_socket(safe.keeper, path):
        assert json.loads(await said(path, b'{"command":"status"}\n'))["ok"] is True


async def test_a_long_path_is_reached_all_the_same(tmp_path: Path, safe: Safe) -> None:
    folder = tmp_path / ("a" * 120)
    folder.mkdir()
    async with owner_socket(safe.keeper, folder / SOCKET):
        assert json.loads(await said(folder / SOCKET, b'{"command":"status"}\n'))["ok"] is True


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"GET / HTTP/1.1\n",
        b"[]\n",
        b"{}\n",
        b'{"command":"export"}\n',
        b'{"command":1}\n',
        b'{"command":["lock"]}\n',
        b'{"command":"unlock","passphrase":"\\ud800"}\n',
        b'{"command":"set-passphrase"}\n',
        b"\xff\xfe\n",
    ],
)
async def test_garbage_is_refused_and_changes_nothing(
    tmp_path: Path, safe: Safe, line: bytes
) -> None:
    path = tmp_path / SOCKET
    async with owner_socket(safe.keeper, path):
        answer: dict[str, Any] = json.loads(await said(path, line))
        assert json.loads(await said(path, b'{"command":"status"}\n'))["ok"] is True

    assert answer["ok"] is False
    assert answer["code"] != Problem.code
    assert safe.vault.is_open
    assert safe.keeper.standing()["generation"] == 1


async def test_a_line_without_end_is_cut_off(tmp_path: Path, safe: Safe) -> None:
    path = tmp_path / SOCKET
    async with owner_socket(safe.keeper, path):
        assert await said(path, b"x" * (MAX_LINE_BYTES + 1)) == b""
        assert json.loads(await said(path, b'{"command":"status"}\n'))["ok"] is True
