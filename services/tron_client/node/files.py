"""Read the operator's list of nodes, strictly: what is not meant is said, entry and field."""

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from services.tron_client.node.decoding import Undecodable, decode
from services.tron_client.node.endpoints import Endpoint
from services.tron_client.node.proxying import HIDDEN
from shared.config import ConfigurationMissing, read_secret

MAX_FILE_BYTES: Final = 65_536
MAX_ENDPOINTS: Final = 32
MAX_KEY_CHARACTERS: Final = 256

_Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
_Operator = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9.-]{0,63}$")]
"""In one way of writing, so that nobody counts as two."""

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: _Name
    operator: _Operator
    url: _Text
    api_key_file: _Text | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    weight: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    calls_per_s: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    calls_per_day: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    provides_history: bool = False


class BadEndpoints(ConfigurationMissing):
    """The list of nodes cannot be used as it is; the message names entry and field, and no key."""


def read_endpoints(path: Path) -> list[Endpoint]:
    """Return the nodes of a JSON list, with their keys, in the order of the file.

    A node has ``name``, ``operator``, ``url``, ``calls_per_s`` and ``calls_per_day`` (0 for no limit),
    and may have ``api_key_file`` (from the list's own folder unless absolute), ``priority``,
    ``weight``, ``concurrency`` and ``provides_history``.

    Raises:
        BadEndpoints: the file is absent, or an entry is malformed, unsafe or there twice.
        ConfigurationMissing: a key's file is absent, or open to others.
    """
    found = _listed(path)
    entries = [_entry(each, number) for number, each in enumerate(found, start=1)]
    _refuse_twins(entries)
    return [_endpoint(each, path.parent) for each in entries]


def _listed(path: Path) -> list[Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadEndpoints(f"the list of nodes {path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise BadEndpoints(f"the list of nodes {path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        found = decode(content)
    except Undecodable as error:
        raise BadEndpoints(f"the list of nodes {path} is {error}") from None
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ENDPOINTS:
        raise BadEndpoints(f"{path} must be a JSON list of 1 to {MAX_ENDPOINTS} nodes")
    return found


def _entry(found: Any, number: int) -> _Entry:
    name = found.get("name") if isinstance(found, dict) else None
    called = f"node {number} ({name})" if isinstance(name, str) else f"node {number}"
    try:
        entry = msgspec.convert(found, _Entry)
    except msgspec.ValidationError as error:
        raise BadEndpoints(f"{called}: {str(error).replace('`$.', '`')}") from None
    problem = _problem_of(entry)
    if problem is not None:
        raise BadEndpoints(f"{called}: url: {problem}")
    return entry


def _problem_of(entry: _Entry) -> str | None:
    """Say what is wrong with where a node is, or None; nothing of the URL is repeated."""
    parts = _parts(entry.url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must begin with https:// or http:// and name a host"
    if parts.username is not None or parts.password is not None:
        return "must not carry credentials"
    if parts.query or parts.fragment or "?" in entry.url or "#" in entry.url:
        return "must end with its path: a key belongs into api_key_file"
    if entry.api_key_file and is_readable_on_the_way(entry.url):
        return "must begin with https:// where there is a key, which others could read"
    return None


def is_readable_on_the_way(url: str) -> bool:
    """Tell whether others could read what is sent there, a key included."""
    parts = urlsplit(url)
    return parts.scheme != "https" and not (parts.hostname or "").endswith(HIDDEN)


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a malformed one is found only now
    except ValueError:
        return None
    return parts if url.isascii() and url.isprintable() and " " not in url else None


def _refuse_twins(entries: list[_Entry]) -> None:
    names: set[str] = set()
    places: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        if entry.name in names:
            raise BadEndpoints(f"node {number} ({entry.name}): name: it is there twice")
        names.add(entry.name)
        first = places.setdefault(_place(entry.url), entry.name)
        if first != entry.name:
            raise BadEndpoints(f"node {number} ({entry.name}): url: it is that of {first}")


def _place(url: str) -> str:
    """Return where a URL leads, however it is written."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.hostname}:{port}{parts.path.rstrip('/')}"


def _endpoint(entry: _Entry, folder: Path) -> Endpoint:
    return Endpoint(
        name=entry.name,
        operator=entry.operator,
        url=entry.url.rstrip("/"),
        api_key=_key(entry, folder),
        priority=entry.priority,
        weight=entry.weight,
        calls_per_s=entry.calls_per_s,
        calls_per_day=entry.calls_per_day,
        concurrency=entry.concurrency,
        provides_history=entry.provides_history,
    )


def _key(entry: _Entry, folder: Path) -> str | None:
    if entry.api_key_file is None:
        return None
    purpose = f"the key of node {entry.name} (api_key_file)"
    key = read_secret(folder / entry.api_key_file, purpose=purpose).decode(errors="replace").strip()
    if not key.isascii() or not key.isprintable() or " " in key or len(key) > MAX_KEY_CHARACTERS:
        raise BadEndpoints(f"node {entry.name}: api_key_file: it holds no key")
    return key
