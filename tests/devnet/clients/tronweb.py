"""tronweb, asked over a pipe, where Node.js is installed and `make clients` has been run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

HERE: Final = Path(__file__).parent
INSTALLED: Final = Path(__file__).parents[3] / "build" / "clients"


LEAST_NODE: Final = 18


def _what_is_missing() -> str:
    node = shutil.which("node")
    if node is None:
        return "Node.js is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < LEAST_NODE:
        return f"Node.js {LEAST_NODE} is needed, {version.strip()} is installed"
    if not (INSTALLED / ".installed").exists():
        return "tronweb is not installed: make clients"
    return ""


MISSING: Final = _what_is_missing()
needs_tronweb: Final = pytest.mark.skipif(bool(MISSING), reason=MISSING)


class ComplaintError(Exception):
    """What tronweb raised, in its own words."""


class TronWeb:
    """One Node.js process that answers questions until the context is left."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [shutil.which("node") or "node", str(HERE / "main.cjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"NODE_PATH": str(INSTALLED / "node_modules")},
            text=True,
        )

    def ask(self, question: str, **arguments: Any) -> Any:
        """Put one of the questions of `main.cjs`.

        Raises:
            ComplaintError: tronweb raised an error.
            RuntimeError: The process has ended.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"ask": question, **arguments}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"Node.js ended with {process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise ComplaintError(reply["error"])
        return reply.get("answer")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Without input the script ends; a journey that hangs is ended all the same.
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
