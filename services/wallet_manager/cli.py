"""wallet-manager's commands, run on its machine by its operator."""

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from getpass import getpass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from services.wallet_manager.routes.owner import SOCKET, carried_out, reachable
from services.wallet_manager.service.audit import Audit, verify
from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import SCHEMA, WalletStore
from services.wallet_manager.vault import Vault, new_seed, parse_master_key
from services.wallet_manager.vault.keyfiles import KeyFiles
from shared.clock import SystemClock
from shared.config import ConfigurationMissing, explain, read_secret
from shared.errors import BadRequest, Conflict, Forbidden, Problem, Unavailable
from shared.storage import Stamp, StorageError, StorageLocked
from shared.storage.opening import open_storage
from shared.tron.networks import FACTS

NAME: Final = "wallet-manager"
CHANGES: Final = ("unlock", "lock", "rekey", "set-passphrase")
ANSWER_TIMEOUT_S: Final = 120.0
MAX_ANSWER_BYTES: Final = 65_536
MAX_PASSPHRASE_BYTES: Final = 1_024


class Refused(Conflict):
    """The running service refused; its code and words."""


async def make_seed(settings: Settings, *, show: Callable[[str], None]) -> bool:
    """Make the seed if there is none; True if it was made.

    Its words are shown before it is stored: a crash in between leaves no seed that nobody has seen.
    Takes the database's lock, so wallet-manager must be stopped.

    Args:
        settings: where the database and the master key are.
        show: is given the 24 words, once.

    Raises:
        StorageLocked: wallet-manager is running.
        ConfigurationMissing: the master key is missing.
    """
    path = settings.master_key_path()
    secret = await asyncio.to_thread(read_secret, path, purpose="the master key")
    contract = settings.usdt_contract_address or FACTS[settings.tron_network].usdt_contract
    stamp = Stamp(network=settings.tron_network.value, contract=contract)
    storage = await open_storage(settings, NAME, SCHEMA, stamp)
    try:
        store = WalletStore(storage)
        if await store.key_ring() or await store.first_seed():
            return False
        founding, words = new_seed(
            parse_master_key(secret),
            network=settings.tron_network.value,
            at_ms=SystemClock().now_ms(),
        )
        show(words)
        await store.found(founding)
        return True
    finally:
        await storage.close()


async def verify_audit(
    settings: Settings, *, anchors: Sequence[tuple[int, str]], show: Callable[[str], None]
) -> bool:
    """Check the chain of every decision while the service is stopped; True if it is whole.

    While it runs, ``POST /api/v1/audit/verify`` checks the same inside it.

    Args:
        settings: where the database is.
        anchors: numbers and digests that were written down elsewhere.
        show: is given the finding, and the number and digest to write down for the next time.

    Raises:
        StorageLocked: wallet-manager is running.
    """
    contract = settings.usdt_contract_address or FACTS[settings.tron_network].usdt_contract
    stamp = Stamp(network=settings.tron_network.value, contract=contract)
    storage = await open_storage(settings, NAME, SCHEMA, stamp)
    try:
        verified = await verify(storage, anchors=anchors)
    finally:
        await storage.close()
    if (broken := verified.broken) is not None:
        show(f"broken at decision {broken.number}: {broken.detail}")
        return False
    show(f"whole: {verified.count} decisions; write down {verified.count}:{verified.digest}")
    return True


def main(arguments: Sequence[str]) -> int:
    """Run a command of ``python -m services.wallet_manager``; returns the exit status.

    0 is done, 1 not done or not in order, 2 asked for wrongly.
    """
    given = _parser().parse_args(arguments)
    try:
        settings = Settings()
        if given.command == "vault":
            return tend_vault(settings, given, show=print, ask=getpass)
        is_whole = asyncio.run(verify_audit(settings, anchors=given.anchor, show=print))
    except ValidationError as error:
        print(f"{given.command}: {explain(error)}", file=sys.stderr)
        return 2
    except StorageLocked:
        told = {
            "audit": "wallet-manager is running: stop it, or ask it by POST /api/v1/audit/verify",
            "vault": "wallet-manager is starting or belongs to another user",
        }
        print(f"{given.command}: {told[given.command]}", file=sys.stderr)
        return 1
    except (ConfigurationMissing, StorageError, OSError, Problem) as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return 1
    return 0 if is_whole else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.wallet_manager")
    commands = parser.add_subparsers(dest="command", required=True)
    audit = commands.add_parser("audit", help="the log of every decision")
    what = audit.add_subparsers(dest="what", required=True)
    check = what.add_parser("verify", help="check the whole chain while the service is stopped")
    check.add_argument(
        "--anchor",
        type=anchor,
        action="append",
        default=[],
        metavar="NUMBER:DIGEST",
        help="a decision that was written down elsewhere; the end cannot be cut off before it",
    )
    vault = commands.add_parser("vault", help="the keys: lock, unlock, replace the master key")
    vault.add_argument("what", choices=("status", *CHANGES))
    for name in ("passphrase", "new-passphrase"):
        vault.add_argument(
            f"--{name}-fd",
            type=int,
            metavar="FD",
            help="read it from a file descriptor instead of the terminal, up to a line break",
        )
    return parser


def tend_vault(
    settings: Settings,
    given: argparse.Namespace,
    *,
    show: Callable[[str], None],
    ask: Callable[[str], str],
) -> int:
    """Ask the running service, or do it here under the database's lock; returns the exit status.

    Args:
        settings: where the database and its socket are.
        given: ``what``, and the descriptors of passphrases.
        show: is told what the vault's standing is.
        ask: reads a passphrase from the terminal without showing it.

    Raises:
        StorageLocked: the database is in use, and nobody answers at the socket.
        Problem: it was refused.
    """
    path = settings.database_path(NAME).parent / SOCKET
    standing = _told(path, {"command": "status"})
    if standing is None and given.what in {"lock", "unlock"}:
        raise Unavailable("wallet-manager is not running; it locks when it stops")
    is_running = standing is not None
    if standing is None:
        standing = asyncio.run(_done_here(settings, {"command": "status"}))
    request = {"command": given.what, **_passphrases(given, standing, ask)}
    if given.what != "status":
        done = _told(path, request) if is_running else asyncio.run(_done_here(settings, request))
        if done is None:
            raise Unavailable("wallet-manager was stopped meanwhile: look at its status")
        standing = done
    show(_standing(standing, is_running=is_running))
    return 0


def _told(path: Path, request: Mapping[str, str]) -> dict[str, Any] | None:
    """Ask the service and return its answer; None when it is not running."""
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


async def _done_here(settings: Settings, request: dict[str, str]) -> dict[str, Any]:
    network = settings.tron_network
    contract = settings.usdt_contract_address or FACTS[network].usdt_contract
    stamp = Stamp(network=network.value, contract=contract)
    storage = await open_storage(settings, NAME, SCHEMA, stamp)
    try:
        store, clock = WalletStore(storage), SystemClock()
        keeper = Keeper(
            store=store,
            vault=Vault(network=network.value, coin_type=FACTS[network].coin_type),
            audit=Audit(store=store, clock=clock),
            clock=clock,
            files=KeyFiles(settings.master_key_path()),
            network=network.value,
            memory_mib=settings.vault_argon2_memory_mib,
            unlock_ms=0,
        )
        await keeper.start()
        by = f"owner (uid {os.getuid()})"
        return await carried_out(keeper, request, by=by)
    finally:
        await storage.close()


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer.pop("ok"):
        raise Refused(f"{answer['detail']} ({answer['code']})")
    return answer


def _passphrases(
    given: argparse.Namespace, standing: Mapping[str, Any], ask: Callable[[str], str]
) -> dict[str, str]:
    read: dict[str, str] = {}
    if given.what in {"unlock", "rekey", "set-passphrase"} and standing["has_passphrase"]:
        read["passphrase"] = _read_secret(given.passphrase_fd, "Passphrase: ", ask)
    if given.what == "set-passphrase":
        new = _read_secret(given.new_passphrase_fd, "New passphrase: ", ask)
        if given.new_passphrase_fd is None and ask("Again: ") != new:
            raise BadRequest("the two differ; nothing was changed")
        read["new_passphrase"] = new
    return read


def _read_secret(descriptor: int | None, prompt: str, ask: Callable[[str], str]) -> str:
    """Read a passphrase; the same letters typed on another keyboard give the same bytes (NFKC)."""
    if descriptor is None:
        return unicodedata.normalize("NFKC", ask(prompt))
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        line = file.readline(MAX_PASSPHRASE_BYTES + 1)
    if len(line) > MAX_PASSPHRASE_BYTES:
        raise BadRequest(f"a passphrase has at most {MAX_PASSPHRASE_BYTES} bytes")
    try:
        return unicodedata.normalize("NFKC", line.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise BadRequest("a passphrase is text in UTF-8") from None


def _standing(standing: Mapping[str, Any], *, is_running: bool) -> str:
    if is_running:
        state = "locked" if standing["is_locked"] else "open"
    else:
        state = "closed: wallet-manager is not running"
    source = "a passphrase" if standing["has_passphrase"] else "a key file"
    lines = [f"vault: {state}", f"master key: generation {standing['generation']}, from {source}"]
    if standing["locks_at"]:
        lines.append(f"locks at: {standing['locks_at']}")
    if standing["is_rekeying"]:
        lines.append("a re-key was broken off; the next unlock finishes it")
    return "\n".join(lines)


def anchor(text: str) -> tuple[int, str]:
    """Read ``number:digest``; raises ValueError."""
    number, _, digest = text.partition(":")
    if int(number) < 1 or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("an anchor is the number of a decision, a colon, and its 64 hex digits")
    return int(number), digest
