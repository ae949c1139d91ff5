"""The nodes that may be asked, and how each is to be treated."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_OPERATOR_NAMES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A node, who runs it, and what may be asked of it.

    Attributes:
        name: what it is called in logs and metrics.
        operator: who runs it; what two of one operator say is one word.
        url: its base, without a key.
        api_key: sent as a header, if there is one.
        priority: those of the lowest number are asked first.
        weight: its share among those of one priority.
        calls_per_s: reads started in a second; 0 for no limit.
        calls_per_day: what the operator grants; 0 for no limit.
        concurrency: calls under way at once, in each lane.
        provides_history: whether it keeps histories by address.
    """

    name: str
    operator: str
    url: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    priority: int = 0
    weight: int = 1
    calls_per_s: int = 0
    calls_per_day: int = 0
    concurrency: int = 16
    provides_history: bool = False


def without_key(content: bytes, endpoint: Endpoint) -> bytes:
    """Return what a node said without its key, which some repeat in what they complain of."""
    key = endpoint.api_key
    return content.replace(key.encode(), b"[key]") if key else content


def shown(url: str) -> str:
    """Return a URL without anything secret: no credentials, no query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))


def operator_of(url: str) -> str:
    """Name who runs a node by its host: the last two names of it, or its address.

    Two hosts of one domain are one operator's, so that they are never taken for two.
    """
    host = (urlsplit(url).hostname or "").lower()
    try:
        return str(ip_address(host))
    except ValueError:
        return ".".join(host.split(".")[-_OPERATOR_NAMES:])
