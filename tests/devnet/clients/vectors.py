"""Builds the vectors of `tests/shared/tron/tronweb_vectors.json` anew, by tronweb: `make vectors`.

The file lists what is wanted; `raw_data_hex`, `txid` and `raw_data` are tronweb's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.devnet.clients.tronweb import TronWeb

VECTORS: Final = Path(__file__).parents[2] / "shared" / "tron" / "tronweb_vectors.json"
BY_TRONWEB: Final = ("txid", "raw_data_hex", "raw_data")


def rebuilt(vector: dict[str, Any], tronweb: TronWeb) -> dict[str, Any]:
    """The vector with what tronweb makes of it today."""
    wanted = {name: value for name, value in vector.items() if name not in BY_TRONWEB}
    built = tronweb.ask("build", wanted=wanted)
    return wanted | {name: built[name] for name in BY_TRONWEB}


def read(path: Path) -> list[dict[str, Any]]:
    """The vectors of a file."""
    vectors: list[dict[str, Any]] = json.loads(path.read_text())
    return vectors


def rebuild(path: Path = VECTORS) -> None:
    """Write the file again."""
    with TronWeb() as tronweb:
        vectors = [rebuilt(vector, tronweb) for vector in read(path)]
    path.write_text(json.dumps(vectors, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    rebuild()
