"""The way to the running service, and to its database while it is stopped."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from services.wallet_manager.routes.owner import SOCKET, reachable
from services.wallet_manager.settings import Settings
from services.wallet_manager.store.schema import SCHEMA
from shared.errors import Conflict, Forbidden, Unavailable
from shared.storage import Stamp, Storage
from shared.storage.opening import open_storage as open_one
from shared.tron.networks import FACTS

NAME: Final = "wallet-manager"
ANSWER_TIMEOUT_S: Final = 120.0
MAX_ANSWER_BYTES: Final = 65_536


class Refused(Conflict):
    """The running service refused; its code and words."""


def door_of(settings: Settings) -> Path:
    """Return where the socket of the running service is."""
    return settings.database_path(NAME).parent / SOCKET


def told(path: Path, request: Mapping[str, str]) -> dict[str, Any] | None:
    """Ask the service and return its answer; None when it is not running.

    Raises:
        Refused: it refused.
        Forbidden: it does not answer this user.
        OSError: it did not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer, contextlib.ExitStack() as stack:
        peer.settimeout(ANSWER_TIMEOUT_S)
        try:
            peer.connect(stack.enter_context(reachable(path)))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        peer.sendall(json.dumps(request).encode() + b"\n")
        with peer.makefile("rb") as answers:
            line = answers.readline(MAX_ANSWER_BYTES)
    if not line:
        raise Forbidden("wallet-manager does not answer this user")
    return _accepted(json.loads(line))


def asked(path: Path, request: Mapping[str, str]) -> dict[str, Any]:
    """Ask the service; raises Unavailable when it is not running, and as ``told``."""
    answer = told(path, request)
    if answer is None:
        raise Unavailable("wallet-manager is not running: start it first")
    return answer


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer.pop("ok"):
        raise Refused(f"{answer['detail']} ({answer['code']})")
    return answer


@asynccontextmanager
async def own_storage(settings: Settings) -> AsyncIterator[Storage]:
    """Open the database of the stopped service; raises StorageLocked."""
    contract = settings.usdt_contract_address or FACTS[settings.tron_network].usdt_contract
    stamp = Stamp(network=settings.tron_network.value, contract=contract)
    storage = await open_one(settings, NAME, SCHEMA, stamp)
    try:
        yield storage
    finally:
        await storage.close()
