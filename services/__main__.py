"""The operator's commands: ``python -m services <command>``."""

import sys
from collections.abc import Callable, Mapping
from typing import Final

from services import backup, catalogue, demo, init, mongodb, run

COMMANDS: Final[Mapping[str, tuple[Callable[[], int], str]]] = {
    "init": (init.main, "make directories, keys, tokens and the seed, whatever is missing"),
    "run": (run.main, "run devnet and the six services on this machine"),
    "demo": (demo.main, "tell the whole story: an invoice paid, payouts confirmed"),
    "backup": (backup.back_up, "write a sealed copy of every running service's database"),
    "unseal": (backup.open_sealed, "open a sealed copy with the recovery key"),
    "settings": (catalogue.main, "print every setting and scope as the README has them"),
    "mongodb-roles": (mongodb.main, "print the collections that each service's MongoDB role names"),
}


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        lines = [f"  {name:<13} {told}" for name, (_, told) in COMMANDS.items()]
        print("usage: python -m services <command>\n\n" + "\n".join(lines))
        return 0 if arguments in (["--help"], ["-h"]) else 2
    return COMMANDS[arguments[0]][0]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
