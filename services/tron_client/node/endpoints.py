"""The nodes that may be asked, and how each is to be treated."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_OPERATOR_NAMES: Final = 2
_LONGEST_SHOWN: Final = 15
"""Longer parts of a path may be keys: some providers give each customer a path of its own."""

OWN: Final = "own"
"""The operator of nodes on this machine and in its own networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A node, who runs it, and what may be asked of it.

    Attributes:
        name: what it is called in logs and metrics.
        operator: who runs it; what two of one operator say is one word.
        url: its base, without a key.
        api_key: sent as a header, if there is one.
        priority: those of the lowest number are asked first.
        weight: its share among those of one priority and operator.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How every node is treated.

    Attributes:
        genesis_block_id: of the network they must be of (H17).
        timeout_s: for one try, connection included.
        connect_timeout_s: for the connection.
        attempts: tries of a read where there is one node; where there are more, each is tried.
        proxy_url: the only way out, if there is one.
    """

    genesis_block_id: str
    timeout_s: float
    connect_timeout_s: float
    attempts: int
    proxy_url: str | None = None


def without_key(content: bytes, endpoint: Endpoint) -> bytes:
    """Return what a node said without its key, which some repeat in what they complain of.

    So is what may be a key in the path: "no method /the-key/wallet/..." is a common complaint.
    """
    for key in (endpoint.api_key, *filter(_may_be_key, urlsplit(endpoint.url).path.split("/"))):
        if key:
            content = content.replace(key.encode(), b"[key]")
    return content


def shown(url: str) -> str:
    """Return a URL without anything secret: no credentials, no query, no part that may be a key."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    path = ("..." if _may_be_key(each) else each for each in parts.path.split("/"))
    return urlunsplit((parts.scheme, host + port, "/".join(path), "", ""))


def _may_be_key(part: str) -> bool:
    return len(part) > _LONGEST_SHOWN


def operator_of(url: str) -> str:
    """Name who runs a node by its host: the last two names of it, or its address.

    Two hosts of one domain are one operator's, so that they are never taken for two; so are all that
    only this machine or its own networks reach: private addresses, and names without a dot.
    """
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        names = host.split(".")
        return ".".join(names[-_OPERATOR_NAMES:]) if len(names) > 1 else OWN
    mapped = getattr(address, "ipv4_mapped", None) or address
    return str(mapped) if mapped.is_global else OWN
