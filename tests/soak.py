"""Run what chance decides for much longer than the tests do: ``make soak``, as long as there is patience.

``SEEDS`` lives of the send engine, ``DEATHS`` kills of the real process, ``SCANS`` runs of two thousand
blocks with every fault of a node, each with another seed unless ``SCAN_SEED`` is set. A failure prints
the seed that repeats it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tqdm import tqdm

from shared.config import process_environment

TREE: Final = Path(__file__).parent.parent
DEFAULTS: Final = {"SEEDS": "500", "DEATHS": "60", "DEATHS_SEED": "", "SCANS": "3"}
WALLET_MANAGER: Final = "tests/services/wallet_manager"
CHAOS: Final = "tests/services/tron_client/test_scanning_chaos.py"
_BAR: Final = "  {n_fmt}/{total_fmt} |{bar:24}| {elapsed}<{remaining}  {desc}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One run of pytest.

    Attributes:
        what: is shown beside the bar.
        paths: of its tests.
        marker: that they bear.
        told: environment of this part alone.
    """

    what: str
    paths: tuple[str, ...]
    marker: str = "property"
    told: Mapping[str, str] = field(default_factory=dict)

    def command(self, *options: str) -> list[str]:
        """Return the command that runs it."""
        pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0"]
        return [*pytest, "-m", self.marker, *options, *self.paths]

    def environment(self) -> dict[str, str]:
        """Return what it is told."""
        asked = {key: value for key, value in DEFAULTS.items() if value}
        return {**asked, **process_environment(), **self.told}


def parts() -> Iterator[Part]:
    """Return what is run, in order."""
    crashes = (
        f"{WALLET_MANAGER}/test_wallet_crashes.py",
        f"{WALLET_MANAGER}/test_wallet_moments.py",
    )
    yield Part(what="lives of the send engine", paths=crashes)
    scans = int(process_environment().get("SCANS") or DEFAULTS["SCANS"])
    for number in range(1, scans + 1):
        yield Part(what=f"chaos of blocks, {number} of {scans}", paths=(CHAOS,))
    killed = (f"{WALLET_MANAGER}/test_wallet_killed.py",)
    seed = process_environment().get("DEATHS_SEED") or str(int.from_bytes(os.urandom(3), "big"))
    yield Part(what="kills", paths=killed, marker="system", told={"DEATHS_SEED": seed})


def main() -> int:
    """Run every part; returns 1 when anything failed."""
    started = time.monotonic()
    failed = [part.what for part in parts() if not _passes(part)]
    end = f"failed: {', '.join(failed)}" if failed else "all passed"
    sys.stdout.write(f"{time.monotonic() - started:.0f} s; {end}\n")
    return 1 if failed else 0


def _passes(part: Part) -> bool:
    with tqdm(total=_count(part), desc=part.what, bar_format=_BAR) as bar:
        run = subprocess.Popen(
            part.command("-vv", "--tb=short", "--show-capture=stdout"),
            cwd=TREE,
            env=part.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        told: list[str] = []
        for line in run.stdout or ():
            told.append(line)
            bar.update(" PASSED" in line or " FAILED" in line or " ERROR" in line)
        status = run.wait()
    if status:
        sys.stdout.writelines(told)
    return status == 0


def _count(part: Part) -> int:
    listed = subprocess.run(
        part.command("--collect-only", "-q"),
        cwd=TREE,
        env=part.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return sum(
        int(line.rpartition(": ")[2]) for line in listed.stdout.splitlines() if ".py: " in line
    )


if __name__ == "__main__":
    sys.exit(main())
