"""Commands of the vault: through the socket of the running service, or beside a stopped one."""

import argparse
import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.wallet_manager.cli.door import door_of, own_storage, told
from services.wallet_manager.cli.terminal import Ask, read_new, read_secret
from services.wallet_manager.routes.owner import Owned, carried_out
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.vault import Vault
from services.wallet_manager.vault.keyfiles import KeyFiles
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.tron.networks import FACTS

CHANGES: Final = ("unlock", "lock", "rekey", "set-passphrase")
ASK_FIRST: Final = frozenset({"unlock", "rekey", "set-passphrase"})


def tend_vault(
    settings: Settings, given: argparse.Namespace, *, show: Callable[[str], None], ask: Ask
) -> int:
    """Ask the running service, or do it here under the database's lock; returns the exit status.

    Args:
        settings: where the database and its socket are.
        given: ``what``, ``reason``, and the descriptors of passphrases.
        show: is told what the vault's standing is.
        ask: reads a passphrase from the terminal without showing it.

    Raises:
        StorageLocked: the database is in use, and nobody answers at the socket.
        Problem: it was refused.
    """
    path = door_of(settings)
    standing = told(path, {"command": "status"})
    if standing is None and given.what in {"lock", "unlock"}:
        raise Unavailable("wallet-manager is not running; it locks when it stops")
    is_running = standing is not None
    if standing is None:
        standing = asyncio.run(_done_here(settings, {"command": "status"}))
    request = {
        "command": given.what,
        "reason": given.reason,
        **_passphrases(given, standing, ask),
    }
    if given.what != "status":
        done = told(path, request) if is_running else asyncio.run(_done_here(settings, request))
        if done is None:
            raise Unavailable("wallet-manager was stopped meanwhile: look at its status")
        standing = done
    show(_standing(standing, is_running=is_running))
    return 0


async def _done_here(settings: Settings, request: dict[str, str]) -> dict[str, Any]:
    network = settings.tron_network
    async with own_storage(settings) as storage:
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
        await keeper.look()
        return await carried_out(Owned(keeper), request, by=f"owner (uid {os.getuid()})")


def _passphrases(
    given: argparse.Namespace, standing: Mapping[str, Any], ask: Ask
) -> dict[str, str]:
    read: dict[str, str] = {}
    if given.what in ASK_FIRST and standing["has_passphrase"]:
        read["passphrase"] = read_secret(given.passphrase_fd, "Passphrase: ", ask)
    if given.what == "set-passphrase":
        read["new_passphrase"] = read_new(given.new_passphrase_fd, "New passphrase: ", ask)
    return read


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
