"""wallet-manager's commands, run on its machine by its operator."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path

from pydantic import ValidationError

from services.wallet_manager.cli.audit import anchor, verify_audit
from services.wallet_manager.cli.door import NAME, Refused
from services.wallet_manager.cli.keys import tend_keys
from services.wallet_manager.cli.seed import WORDS, make_seed, tend_seed
from services.wallet_manager.cli.vault import CHANGES, tend_vault
from services.wallet_manager.settings import Settings
from shared.config import ConfigurationMissing, explain
from shared.errors import Problem
from shared.storage import StorageError, StorageLocked

__all__ = [
    "NAME",
    "Refused",
    "anchor",
    "main",
    "make_seed",
    "parser",
    "tend_keys",
    "tend_seed",
    "tend_vault",
    "verify_audit",
]

IN_USE = {
    "audit": "wallet-manager is running: stop it, or ask it by POST /api/v1/audit/verify",
    "key": "wallet-manager is starting or belongs to another user",
    "seed": "wallet-manager is running: stop it first",
    "vault": "wallet-manager is starting or belongs to another user",
}


def main(arguments: Sequence[str]) -> int:
    """Run a command of ``python -m services.wallet_manager``; returns the exit status.

    0 is done, 1 not done or not in order, 2 asked for wrongly.
    """
    given = parser().parse_args(arguments)
    try:
        return _run(Settings(), given)
    except ValidationError as error:
        print(f"{given.command}: {explain(error)}", file=sys.stderr)
        return 2
    except StorageLocked:
        print(f"{given.command}: {IN_USE[given.command]}", file=sys.stderr)
        return 1
    except (ConfigurationMissing, StorageError, OSError, EOFError, Problem) as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return 1


def _run(settings: Settings, given: argparse.Namespace) -> int:
    match given.command:
        case "vault":
            return tend_vault(settings, given, show=print, ask=getpass)
        case "key":
            return tend_keys(settings, given, show=print, ask=getpass)
        case "seed":
            is_seen = sys.stdout.isatty()
            return tend_seed(settings, given, show=print, ask=getpass, is_seen=is_seen)
        case _:
            is_whole = asyncio.run(verify_audit(settings, anchors=given.anchor, show=print))
            return 0 if is_whole else 1


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments; no secret is ever one of them."""
    made = argparse.ArgumentParser(prog="python -m services.wallet_manager")
    commands = made.add_subparsers(dest="command", required=True)
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
    vault.add_argument("--reason", default="", help="why, for the audit log")
    _descriptors(vault, "passphrase", "new-passphrase")
    seed = commands.add_parser("seed", help="make the seed, or restore it from its words")
    seed.add_argument("what", choices=("new", "restore"))
    seed.add_argument("--words", type=int, choices=WORDS, default=WORDS[-1], help="of a new seed")
    seed.add_argument(
        "--with-passphrase",
        action="store_true",
        help="the words have a passphrase of their own (BIP-39); it is lost as they are",
    )
    _descriptors(seed, "words", "words-passphrase")
    _add_keys(commands.add_parser("key", help="bring in one private key, or give one away"))
    return made


def _add_keys(keys: argparse.ArgumentParser) -> None:
    what = keys.add_subparsers(dest="what", required=True)
    bring = what.add_parser("import", help="keep a private key as a wallet of its own")
    bring.add_argument("--user-id", required=True, help="whose wallet it is")
    bring.add_argument("--label", default="", help="for people")
    give = what.add_parser("export", help="write the key of a wallet into an encrypted file")
    give.add_argument("wallet_id", help="wal_… or its address")
    give.add_argument("file", type=Path, help="a new file, of keystore version 3")
    for one, names in ((bring, ("key",)), (give, ("file-passphrase",))):
        one.add_argument("--reason", default="", help="why, for the audit log")
        _descriptors(one, "passphrase", *names)


def _descriptors(command: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        command.add_argument(
            f"--{name}-fd",
            type=int,
            metavar="FD",
            help="read it from a file descriptor instead of the terminal, up to a line break",
        )
