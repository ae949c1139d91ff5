"""The operator's commands in a container: keys and seed made once, secrets put in place, backups.

init                  make what is missing; on a network with real money only if setup ran before
setup                 the same, and show the seed and the recovery key this once
mongodb               make the key and the passwords of MongoDB, whatever is missing
token                 print the operator's token
secret SERVICE NAME   put standard input in place as a service's secret
backup                write a sealed copy of every running service's database
"""
# ruff: noqa: INP001 - a program in an image, not a package

import asyncio
import os
import sys
from typing import Final

from pydantic import ValidationError

from services.backup import back_up
from services.init import Layout, initialise, make_keys, make_mongodb_secrets, show
from services.wallet_manager.settings import Settings
from shared.config import MAX_SECRET_BYTES, SERVICES, ConfigurationMissing, explain
from shared.storage import StorageError
from shared.tron.networks import Network

FIRST_SETUP: Final = """\
This installation has no seed yet. It is made where somebody sees it, because its words are shown
once and are never written down by this machine. Make it now, then start the stack:

  docker compose run --rm setup
"""


NOT_OURS: Final = """\
{path} belongs to somebody else than uid {uid}: give the volumes to it, as root on the host; the commands
are in docker/README.md, under 'Secrets and data'
"""


def init(settings: Settings, *, is_shown: bool) -> int:
    """Make what is missing; returns the exit status.

    A finished installation is not opened again, because wallet-manager may be running.
    """
    layout = Layout.of(settings)
    finished = layout.secrets / "operator" / "setup-done"
    if finished.exists():
        for path in make_keys(layout):
            sys.stdout.write(f"made {path}\n")
        return 0
    if not is_shown and settings.tron_network is not Network.DEVNET:
        sys.stderr.write(FIRST_SETUP)
        return 1
    made = asyncio.run(initialise(settings, show=show))
    for path in made.paths:
        sys.stdout.write(f"made {path}\n")
    if made.running:
        sys.stderr.write(
            "whether there is a seed is not known: stop wallet-manager, run this again\n"
        )
        return 1
    finished.touch(mode=0o600)
    return 0


def mongodb(settings: Settings) -> int:
    """Make what MongoDB and its users lack; returns the exit status."""
    for path in make_mongodb_secrets(Layout.of(settings)):
        sys.stdout.write(f"made {path}\n")
    return 0


def token(settings: Settings) -> int:
    """Print the operator's token; returns the exit status."""
    sys.stdout.write(Layout.of(settings).operator_token.read_text().strip() + "\n")
    return 0


def secret(settings: Settings, service: str, name: str) -> int:
    """Write standard input to a service's secret file, replacing it; returns the exit status."""
    if service not in SERVICES or not name.replace("-", "").replace(".", "").isalnum():
        sys.stderr.write(f"secret: SERVICE is one of {', '.join(SERVICES)}; NAME is a file name\n")
        return 2
    content = sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)
    if not content.strip() or len(content) > MAX_SECRET_BYTES:
        sys.stderr.write(f"secret: give 1 to {MAX_SECRET_BYTES} bytes on standard input\n")
        return 2
    path = settings.data_dir / "secrets" / service / name
    draft = path.with_name(name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sys.stdout.write(f"written: {path}\n")
    return 0


def dispatch(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    match arguments:
        case ["init" | "setup" as command]:
            return init(Settings(), is_shown=command == "setup")
        case ["mongodb"]:
            return mongodb(Settings())
        case ["token"]:
            return token(Settings())
        case ["secret", service, name]:
            return secret(Settings(), service, name)
        case ["backup"]:
            return back_up()
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    try:
        sys.exit(dispatch(sys.argv[1:]))
    except ValidationError as error:
        sys.exit(explain(error))
    except PermissionError as error:
        sys.exit(NOT_OURS.format(path=error.filename, uid=os.geteuid()))
    except (ConfigurationMissing, StorageError, OSError) as error:
        sys.exit(str(error))
