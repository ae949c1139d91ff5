"""The owner's socket: what may be done to the vault, by who owns this process, on its machine.

A Unix socket in the data directory, open to its owner alone; the kernel says who is at the other end.
One line of JSON comes in, one goes out. A passphrase never travels over HTTP.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.vault import wipe
from shared.config import ConfigurationMissing
from shared.errors import BadRequest, Problem, Unavailable
from shared.logs import get_logger

log = get_logger(__name__)

SOCKET: Final = "owner.sock"
MAX_LINE_BYTES: Final = 8_192
READ_TIMEOUT_S: Final = 10.0
BACKLOG: Final = 8
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
    keeper: Keeper, path: Path, *, owners: frozenset[int] | None = None
) -> AsyncIterator[None]:
    """Listen for the owner while this lasts; whoever holds the database's lock may do so.

    Args:
        keeper: who carries out what is asked for.
        path: where the socket is made, in place of one of a process that was killed.
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
            await _serve(keeper, reader, writer, allowed)
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
    keeper: Keeper,
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
    answer = await answered(keeper, line, by=f"owner (uid {uid})")
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


async def answered(keeper: Keeper, line: bytes, *, by: str) -> dict[str, Any]:
    """Carry out one line and return what is said of it; a refusal is an answer."""
    try:
        return {"ok": True, **await carried_out(keeper, _read(line), by=by)}
    except Problem as problem:
        return {"ok": False, "code": problem.code, "detail": problem.detail}
    except ConfigurationMissing as error:
        return {"ok": False, "code": Unavailable.code, "detail": str(error)}
    except Exception as error:  # noqa: BLE001 - the request's edge: what it says may hold anything
        log.error("owner_socket.failed", error=type(error).__name__)  # noqa: TRY400 - as above
        detail = f"it failed: {type(error).__name__}"
        return {"ok": False, "code": Problem.code, "detail": detail}


async def carried_out(keeper: Keeper, request: dict[str, str], *, by: str) -> dict[str, Any]:
    """Do what was asked for; returns the vault's standing after it.

    Args:
        keeper: who does it.
        request: ``command``, and ``passphrase`` and ``new_passphrase`` where they are needed.
        by: who asks.

    Raises:
        Problem: it was refused.
        ConfigurationMissing: a key file is missing or another one.
    """
    now, new = _secret(request, "passphrase"), _secret(request, "new_passphrase")
    try:
        match request.get("command"):
            case "status":
                pass
            case "unlock":
                await keeper.unlock(now, by=by)
            case "lock":
                await keeper.lock(by=by)
            case "rekey":
                await keeper.rekey(now, by=by)
            case "set-passphrase":
                await keeper.set_passphrase(new or bytearray(), now=now, by=by)
            case _:
                raise BadRequest("there is no such command")
    finally:
        wipe(*(one for one in (now, new) if one is not None))
    return keeper.standing()


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
