"""The owner's socket: what may be done to the keys, by who owns this process, on its machine.

A Unix socket in the data directory, open to its owner alone; the kernel says who is at the other end.
One line of JSON comes in, one goes out. Neither a passphrase nor a key ever travels over HTTP.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from uuid6 import uuid7

from services.wallet_manager.domain.approvals import ApprovalNeeded
from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.service.private_keys import PrivateKeys
from services.wallet_manager.vault import wipe
from shared.config import ConfigurationMissing
from shared.errors import BadRequest, Problem, Unavailable
from shared.logs import get_logger, request_id
from shared.models.wallet_manager import ImportRequest
from shared.web.problems import invalid_fields

log = get_logger(__name__)

SOCKET: Final = "owner.sock"
MAX_LINE_BYTES: Final = 8_192
READ_TIMEOUT_S: Final = 10.0
BACKLOG: Final = 8
SECRETS: Final = ("passphrase", "new_passphrase", "file_passphrase", "private_key")
Secrets = dict[str, bytearray | None]
MAX_PATH_BYTES: Final = 100
"""Linux takes 107, macOS 103."""

_PEER_CREDENTIALS: Final = struct.Struct("3i")


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Name a socket in few enough bytes; a longer path goes through a descriptor of its folder.

    Raises:
        OSError: the folder is not there, or the path is too long where there is no ``/proc``.
    """
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.asynccontextmanager
async def owner_socket(
    keeper: Keeper,
    path: Path,
    *,
    keys: PrivateKeys | None = None,
    owners: frozenset[int] | None = None,
) -> AsyncIterator[None]:
    """Listen for the owner while this lasts; whoever holds the database's lock may do so.

    Args:
        keeper: who carries out what is asked for.
        path: where the socket is made, in place of one of a process that was killed.
        keys: who takes single keys in and gives them away.
        owners: the uids that are answered; by default this process's and root's.
    """
    allowed = owners if owners is not None else frozenset({os.getuid(), 0})
    listening = await asyncio.to_thread(_bound, path)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            connections.add(task)
            task.add_done_callback(connections.discard)
        try:
            await _serve(Owned(keeper, keys), reader, writer, allowed)
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, sock=listening, limit=MAX_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a process that was killed
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as name:
            listening.bind(name)
        path.chmod(0o600)  # nobody can connect before it listens
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


async def _serve(
    owned: "Owned",
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    owners: frozenset[int],
) -> None:
    uid = _uid_of(writer)
    if uid not in owners:
        log.warning("owner_socket.refused", uid=uid)
        return
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            line = await reader.readuntil()
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        return
    marker = request_id.set(uuid7().hex)
    try:
        answer = await answered(owned, line, by=f"owner (uid {uid})")
    finally:
        request_id.reset(marker)
    with contextlib.suppress(OSError):  # the owner did not wait
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()


def _uid_of(writer: asyncio.StreamWriter) -> int:
    """Ask the kernel who connected; where it does not say, the file's mode is what there is."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    copy = os.dup(writer.get_extra_info("socket").fileno())
    with socket.socket(fileno=copy) as peer:
        told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    _, uid, _ = _PEER_CREDENTIALS.unpack(told)
    return int(uid)


@dataclass(frozen=True, slots=True)
class Owned:
    """What the owner may ask for."""

    keeper: Keeper
    keys: PrivateKeys | None = None


async def answered(owned: Owned, line: bytes, *, by: str) -> dict[str, Any]:
    """Carry out one line and return what is said of it; a refusal is an answer."""
    try:
        return {"ok": True, **await carried_out(owned, _read(line), by=by)}
    except Problem as problem:
        return {"ok": False, "code": problem.code, "detail": _told(problem)}
    except ConfigurationMissing as error:
        return {"ok": False, "code": Unavailable.code, "detail": str(error)}
    except Exception as error:  # noqa: BLE001 - the request's edge: what it says may hold anything
        log.error("owner_socket.failed", error=type(error).__name__)  # noqa: TRY400 - as above
        detail = f"it failed: {type(error).__name__}"
        return {"ok": False, "code": Problem.code, "detail": detail}


async def carried_out(owned: Owned, request: dict[str, str], *, by: str) -> dict[str, Any]:
    """Do what was asked for; returns the vault's standing after it, or what was made.

    Args:
        owned: who does it.
        request: ``command``, ``reason``, and what belongs to it.
        by: who asks.

    Raises:
        Problem: it was refused.
        ConfigurationMissing: a key file is missing or another one.
    """
    secrets = {name: _secret(request, name) for name in SECRETS}
    try:
        match request.get("command"):
            case "import":
                return await _brought_in(owned, request, secrets, by)
            case "export":
                return await _given(owned, request, secrets, by)
            case command:
                return await _vault_tended(owned.keeper, command, request, secrets, by)
    finally:
        wipe(*(one for one in secrets.values() if one is not None))


async def _vault_tended(
    keeper: Keeper, command: str | None, request: dict[str, str], secrets: Secrets, by: str
) -> dict[str, Any]:
    now, new = secrets["passphrase"], secrets["new_passphrase"]
    why = request.get("reason", "")
    match command:
        case "status":
            pass
        case "unlock":
            await keeper.unlock(now, by=by, why=why)
        case "lock":
            await keeper.lock(by=by, why=why)
        case "rekey":
            await keeper.rekey(now, by=by, why=why)
        case "set-passphrase":
            await keeper.set_passphrase(new or bytearray(), now=now, by=by, why=why)
        case _:
            raise BadRequest("there is no such command")
    return keeper.standing()


async def _brought_in(
    owned: Owned, request: dict[str, str], secrets: Secrets, by: str
) -> dict[str, Any]:
    said = _import_request(request)
    secret = _unhexed(secrets["private_key"])
    try:
        wallet = await _keys(owned).importing.bring_in(
            secret,
            passphrase=secrets["passphrase"],
            user_id=said.user_id,
            label=said.label,
            by=by,
            why=request.get("reason", ""),
        )
    finally:
        wipe(secret)
    is_watched = wallet.birth_height is not None
    return {"wallet_id": wallet.id, "address": wallet.address, "is_watched": is_watched}


def _import_request(request: dict[str, str]) -> ImportRequest:
    """Hold an imported wallet to the rules of one that is made over the API; raises InvalidFields."""
    said = {name: request[name] for name in ImportRequest.model_fields if name in request}
    try:
        return ImportRequest.model_validate(said)
    except ValidationError as error:
        raise invalid_fields(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_input=False)]
        ) from None


async def _given(
    owned: Owned, request: dict[str, str], secrets: Secrets, by: str
) -> dict[str, Any]:
    keystore = await _keys(owned).exporting.give(
        request.get("wallet_id", ""),
        secrets["file_passphrase"] or bytearray(),
        passphrase=secrets["passphrase"],
        by=by,
        why=request.get("reason", ""),
    )
    return {"keystore": keystore}


def _keys(owned: Owned) -> PrivateKeys:
    if owned.keys is None:
        raise Unavailable("wallet-manager is not running: start it first")
    return owned.keys


def _told(problem: Problem) -> str:
    """Return the detail of a problem, with what the owner needs to go on."""
    if isinstance(problem, ApprovalNeeded):
        asked = problem.facts["approval_id"]
        return f"{problem.detail}; they agree at POST /api/v1/approvals/{asked}/agree"
    return problem.detail


def _unhexed(text: bytearray | None) -> bytearray:
    try:
        return bytearray.fromhex((text or bytearray()).decode())
    except ValueError:
        raise BadRequest("a private key is 64 hex digits") from None


def _read(line: bytes) -> dict[str, str]:
    try:
        request = json.loads(line)
    except ValueError:
        raise BadRequest("this is no JSON") from None
    if not isinstance(request, dict) or not all(isinstance(one, str) for one in request.values()):
        raise BadRequest("a request is an object of texts")
    return request


def _secret(request: dict[str, str], name: str) -> bytearray | None:
    text = request.get(name)
    if text is None:
        return None
    try:
        return bytearray(text.encode())
    except UnicodeEncodeError:
        raise BadRequest(f"{name} is no text") from None
