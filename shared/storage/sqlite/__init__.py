"""The embedded engine: one SQLite file, owned by one process, with one writing thread.

Units of concurrent callers share a transaction and its flush, each behind a savepoint of its own, so
full durability costs less than a commit per unit without it. Reads go to read-only connections.
"""

from shared.storage.sqlite.engine import SqliteStorage

__all__ = ["SqliteStorage"]
