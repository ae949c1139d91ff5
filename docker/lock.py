"""Write docker/requirements.lock: every wheel the images hold, by version and hash, for both architectures.

Run it with the project's interpreter after a change of requirements-prod.txt or constraints.txt.
"""
# ruff: noqa: INP001 - a program beside the images, not a package

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

TREE: Final = Path(__file__).resolve().parents[1]
LOCK: Final = TREE / "docker" / "requirements.lock"
PYTHON: Final = "3.13"
MACHINES: Final = ("x86_64", "aarch64")
HEAD: Final = "# Made by docker/lock.py from requirements-prod.txt and constraints.txt.\n"


def resolved(machine: str) -> dict[str, str]:
    """Return the hash of the wheel of every requirement on one architecture, by `name==version`."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", "--target", "unused", "--implementation", "cp"]
    command += ["--python-version", PYTHON, "--only-binary=:all:"]
    for tag in ("manylinux_2_28", "manylinux2014"):
        command += ["--platform", f"{tag}_{machine}"]
    command += ["--requirement", str(TREE / "requirements-prod.txt")]
    answer = subprocess.run(command, check=True, capture_output=True, cwd=TREE)  # noqa: S603
    hashes = {}
    for item in json.loads(answer.stdout)["install"]:
        about, archive = item["metadata"], item["download_info"]["archive_info"]
        name = about["name"].lower().replace("_", "-")
        hashes[f"{name}=={about['version']}"] = f"sha256:{archive['hashes']['sha256']}"
    return hashes


def main() -> int:
    """Write the file; returns the exit status."""
    found = [resolved(machine) for machine in MACHINES]
    lines = [HEAD]
    for requirement in sorted({name for hashes in found for name in hashes}):
        digests = sorted({hashes[requirement] for hashes in found if requirement in hashes})
        parts = [requirement, *(f"    --hash={digest}" for digest in digests)]
        lines.append(" \\\n".join(parts) + "\n")
    LOCK.write_text("".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
