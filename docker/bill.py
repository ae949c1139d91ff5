"""Write a bill of materials (CycloneDX 1.5) of what an image adds to its base: bill.py LOCK NAME VERSION.

It is made of the lock alone, so it names exactly the wheels whose hashes were checked, and two builds
write the same bytes.
"""
# ruff: noqa: INP001 - a program of the builder stage, not a package

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

ENTRY: Final = re.compile(
    r"^([a-z0-9.-]+)==(\S+) \\\n((?: {4}--hash=sha256:\w+(?: \\)?\n)+)", re.MULTILINE
)


def component(name: str, version: str, hashes: str) -> dict[str, Any]:
    """Return one wheel as a component; its hashes are those of either architecture."""
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "hashes": [
            {"alg": "SHA-256", "content": digest} for digest in re.findall(r"sha256:(\w+)", hashes)
        ],
    }


def bill(lock: str, name: str, version: str) -> dict[str, Any]:
    """Return the bill of materials of one image."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "version": version}},
        "components": [component(*found) for found in ENTRY.findall(lock)],
    }


if __name__ == "__main__":
    path, image, tag = sys.argv[1:]
    json.dump(bill(Path(path).read_text(), image, tag), sys.stdout, indent=1)
