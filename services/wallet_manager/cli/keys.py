"""Single keys: brought in from a terminal, and given away as an encrypted file."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.wallet_manager.cli.door import asked, door_of
from services.wallet_manager.cli.terminal import Ask, read_new, read_secret
from services.wallet_manager.settings import Settings


def tend_keys(
    settings: Settings, given: argparse.Namespace, *, show: Callable[[str], None], ask: Ask
) -> int:
    """Have the running service take a key in or give one away; returns the exit status.

    Args:
        settings: where its socket is.
        given: ``what``, what belongs to it, ``reason``, and the descriptors of secrets.
        show: is told what was done; never a key.
        ask: reads a secret from the terminal without showing it.

    Raises:
        Unavailable: wallet-manager is not running.
        FileExistsError: the file to be written is there already.
        Problem: it was refused.
    """
    path = door_of(settings)
    request = {"reason": given.reason}
    if asked(path, {"command": "status"})["has_passphrase"]:
        request["passphrase"] = read_secret(given.passphrase_fd, "Passphrase: ", ask)
    if given.what == "import":
        request |= {"command": "import", "user_id": given.user_id, "label": given.label}
        request["private_key"] = read_secret(given.key_fd, "Private key in hex: ", ask)
        done = asked(path, request)
        show(f"{done['wallet_id']} {done['address']}")
        if not done["is_watched"]:
            show("tron-client does not watch it yet: GET /api/v1/wallets/<id> until it answers 200")
        return 0
    prompt = "Passphrase of the file: "
    request |= {"command": "export", "wallet_id": given.wallet_id}
    request["file_passphrase"] = read_new(given.file_passphrase_fd, prompt, ask)
    _write(given.file, lambda: asked(path, request)["keystore"])
    show(f"written to {given.file}")
    return 0


def _write(path: Path, content: Callable[[], Any]) -> None:
    """Make a new file first, so that no agreement is used up for one that cannot be written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        try:
            json.dump(content(), file)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise
