"""The operator's commands: ``python -m services <command>``."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from services import backup, catalogue, check, demo, init, mongodb, move, restore, run

Command = Callable[[Sequence[str]], int]


def _bare(command: Callable[[], int]) -> Command:
    """Make a command of a function that takes no arguments."""

    def run_bare(arguments: Sequence[str]) -> int:
        return _usage() if arguments else command()

    return run_bare


COMMANDS: Final[Mapping[str, tuple[Command, str]]] = {
    "init": (_bare(init.main), "make directories, keys, tokens and the seed, whatever is missing"),
    "run": (_bare(run.main), "run devnet and the six services on this machine"),
    "demo": (_bare(demo.main), "tell the whole story: an invoice paid, payouts confirmed"),
    "backup": (backup.back_up, "write a sealed copy of every running service's database"),
    "check": (check.main, "have every running service check its database as a whole"),
    "restore": (restore.main, "put sealed copies into the place of stopped services' databases"),
    "unseal": (backup.open_sealed, "open a sealed copy with the recovery key"),
    "copy": (move.main, "move stopped services' databases from one engine to the other"),
    "settings": (_bare(catalogue.main), "print every setting and scope as the README has them"),
    "mongodb-roles": (
        _bare(mongodb.main),
        "print the collections that each service's MongoDB role names",
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        _usage()
        return 0 if arguments in (["--help"], ["-h"]) else 2
    command, _ = COMMANDS[arguments[0]]
    return command(arguments[1:])


def _usage() -> int:
    lines = [f"  {name:<13} {told}" for name, (_, told) in COMMANDS.items()]
    print("usage: python -m services <command> [arguments]\n\n" + "\n".join(lines))
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
