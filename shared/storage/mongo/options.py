"""Where the server is and how long it may take: values, without the driver."""

from dataclasses import dataclass, field
from pathlib import Path

MIN_POOL_SIZE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MongoOptions:
    """How to reach a replica set and one database in it.

    Attributes:
        url: ``mongodb://`` or ``mongodb+srv://``; it may hold a password and is never shown.
        database: name of the database.
        user: who connects; None when the URL says it or nobody has to.
        password: of that user, never shown.
        ca_file: authorities that the server's certificate is checked against; turns TLS on.
        certificate_file: our certificate and its key; turns TLS on.
        selection_timeout_s: how long a call waits for a primary.
        connect_timeout_s: how long a connection may take.
        socket_timeout_s: how long an answer may take.
        deadline_s: how long a write is tried again.
        pool_size: connections; at least ``MIN_POOL_SIZE``.
        feed_poll_ms: how long an event of another process stays unnoticed by who waits for it.
    """

    url: str = field(repr=False)
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    selection_timeout_s: int = 10
    connect_timeout_s: int = 5
    socket_timeout_s: int = 10
    deadline_s: int = 20
    pool_size: int = 32
    feed_poll_ms: int = 250

    def __post_init__(self) -> None:
        if self.pool_size < MIN_POOL_SIZE:
            raise ValueError(f"a pool has at least {MIN_POOL_SIZE} connections")

    @property
    def place(self) -> str:
        """Name hosts and database, without user and password."""
        scheme, _, rest = self.url.partition("://")
        hosts = rest.rpartition("@")[2].partition("?")[0].partition("/")[0]
        return f"{scheme}://{hosts}/{self.database}"
