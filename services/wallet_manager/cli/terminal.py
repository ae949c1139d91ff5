"""Secrets as they are typed: without an echo, or out of a file descriptor."""

import os
import unicodedata
from collections.abc import Callable
from typing import Final

from shared.errors import BadRequest

MAX_SECRET_BYTES: Final = 1_024

Ask = Callable[[str], str]
"""Reads a line from the terminal without showing it."""


def read_secret(descriptor: int | None, prompt: str, ask: Ask) -> str:
    """Read a secret; the same letters typed on another keyboard give the same bytes (NFKC).

    Raises:
        BadRequest: what comes out of the descriptor is too long or no text.
    """
    if descriptor is None:
        return unicodedata.normalize("NFKC", ask(prompt))
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        line = file.readline(MAX_SECRET_BYTES + 1)
    if len(line) > MAX_SECRET_BYTES:
        raise BadRequest(f"a secret has at most {MAX_SECRET_BYTES} bytes")
    try:
        return unicodedata.normalize("NFKC", line.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise BadRequest("a secret is text in UTF-8") from None


def read_new(descriptor: int | None, prompt: str, ask: Ask) -> str:
    """Read a secret that is typed twice on a terminal; raises BadRequest where the two differ."""
    new = read_secret(descriptor, prompt, ask)
    if descriptor is None and read_secret(None, "Again: ", ask) != new:
        raise BadRequest("the two differ; nothing was changed")
    return new
