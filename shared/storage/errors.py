"""What storage refuses, as classes with facts.

After any of them but StorageUncertain nothing of the unit is stored.

::

    StorageError
    ├── GuardFailed             a guard of the unit said no: load again, decide again
    │   ├── DuplicateRecord     the id or a unique index already holds these values
    │   ├── StaleRecord         the record changed since it was loaded
    │   ├── RecordMissing       the record is not there
    │   └── LeaseLost           another owner holds the lease by now, or it was released
    ├── StorageBusy             the queue is full or the time is over: a repeat may succeed
    ├── StorageFull             the disk is full
    ├── StorageCorrupt          the file is damaged or is not a database
    ├── StorageLocked           another process owns the file
    ├── StorageWithheld         half filled, half restored or moved elsewhere: not to be used
    ├── StorageUnwritable       a path cannot be written, with the fix
    ├── StorageUnreachable      the server does not answer
    ├── StorageUnsuitable       the server is not one to keep money's books on, with the reason
    ├── StorageRefused          the server refuses the user, the password or the role
    ├── StorageUncertain        the server went away over the unit: it may be stored
    ├── StorageClosed           the engine was closed
    ├── WrongStamp              the database belongs to something else
    │   ├── WrongService        … another service
    │   ├── WrongNetwork        … another network
    │   ├── WrongContract       … another token contract
    │   └── SchemaTooNew        … a newer release of this service
    ├── InvalidCursor           the cursor was not issued by this list or feed
    ├── FeedTrimmed             events after the cursor are gone: never a skip
    └── LimitExceeded           more was asked for than a call may carry
"""

from typing import ClassVar


class StorageError(Exception):
    """The root of everything that storage refuses."""


class GuardFailed(StorageError):
    """A guard of the unit failed; the unit did nothing."""


class DuplicateRecord(GuardFailed):
    """An id or a unique index already holds these values.

    Attributes:
        collection: name of the collection.
        index: name of the unique index, or ``"id"``.
        values: what was to be stored in the fields of that index, in their order.
    """

    def __init__(
        self, *, collection: str, index: str, values: tuple[str | int | None, ...] = ()
    ) -> None:
        super().__init__(f"{collection}: {index} already holds {values!r}")
        self.collection = collection
        self.index = index
        self.values = values


class StaleRecord(GuardFailed):
    """The record's version is not the one that was loaded.

    Attributes:
        collection: name of the collection.
        id: the record.
        version: the version that was expected.
    """

    def __init__(self, *, collection: str, id: str, version: int) -> None:  # noqa: A002 - the record's own word
        super().__init__(f"{collection} {id} is no longer at version {version}")
        self.collection = collection
        self.id = id
        self.version = version


class RecordMissing(GuardFailed):
    """There is no such record.

    Attributes:
        collection: name of the collection.
        id: the record.
    """

    def __init__(self, *, collection: str, id: str) -> None:  # noqa: A002 - the record's own word
        super().__init__(f"{collection} {id} does not exist")
        self.collection = collection
        self.id = id


class LeaseLost(GuardFailed):
    """The fencing token is not ours any more.

    Attributes:
        collection: name of the collection.
        id: the record that was leased.
        token: the token that was held.
    """

    def __init__(self, *, collection: str, id: str, token: int) -> None:  # noqa: A002 - the record's own word
        super().__init__(f"the lease {token} on {collection} {id} is lost")
        self.collection = collection
        self.id = id
        self.token = token


class StorageBusy(StorageError):
    """The queue is full or the time is over, and what was asked for was not begun."""

    def __init__(self, detail: str = "the storage queue is full") -> None:
        super().__init__(detail)


class StorageFull(StorageError):
    """The disk is full.

    Attributes:
        path: the database.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"no space left for {path}")
        self.path = path


class StorageCorrupt(StorageError):
    """The database is damaged, or is not one.

    Attributes:
        path: the database.
        detail: the first findings.
    """

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path} is damaged: {detail}; put it aside and restore the newest backup")
        self.path = path
        self.detail = detail


class StorageLocked(StorageError):
    """Another process, or another engine of this one, owns the database.

    Attributes:
        path: the database.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is open in another process")
        self.path = path


class StorageWithheld(StorageError):
    """The database is not to be used: it is not complete, or another has taken its place.

    Attributes:
        path: the database.
        told: what happened and what to do.
    """

    def __init__(self, path: str, told: str) -> None:
        super().__init__(f"{path} is withheld: {told}")
        self.path = path
        self.told = told


class StorageUnwritable(StorageError):
    """A path cannot be written.

    Attributes:
        path: the exact path.
        fix: what to do about it.
    """

    def __init__(self, path: str, fix: str) -> None:
        super().__init__(f"{path} cannot be written: {fix}")
        self.path = path
        self.fix = fix


class StorageUnreachable(StorageError):
    """The database server does not answer.

    Attributes:
        path: the server and the database.
        detail: what was tried.
    """

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path} does not answer: {detail}")
        self.path = path
        self.detail = detail


class StorageUnsuitable(StorageError):
    """The database server is not one to work with.

    Attributes:
        path: the server and the database.
        told: what is wrong and what to do.
    """

    def __init__(self, path: str, told: str) -> None:
        super().__init__(f"{path} cannot be used: {told}")
        self.path = path
        self.told = told


class StorageRefused(StorageError):
    """The database server refuses the user, the password or what the user may do.

    Attributes:
        path: the server and the database.
        told: what was refused and what to do.
    """

    def __init__(self, path: str, told: str) -> None:
        super().__init__(f"{path} refuses: {told}")
        self.path = path
        self.told = told


class StorageUncertain(StorageError):
    """The server went away while the unit was being committed: load again to see whether it is stored.

    Attributes:
        path: the server and the database.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} went away over a commit, so the unit may be stored or not")
        self.path = path


class StorageClosed(StorageError):
    """The engine was closed before the call."""

    def __init__(self) -> None:
        super().__init__("the storage is closed")


class WrongStamp(StorageError):
    """The database carries another stamp and is left untouched.

    Attributes:
        path: the database.
        expected: what this process is configured for.
        found: what the database says.
    """

    what: ClassVar[str] = "stamp"

    def __init__(self, path: str, *, expected: str, found: str) -> None:
        super().__init__(f"{path} is for {self.what} {found}, this process for {expected}")
        self.path = path
        self.expected = expected
        self.found = found


class WrongService(WrongStamp):
    """The database belongs to another service."""

    what = "service"


class WrongNetwork(WrongStamp):
    """The database belongs to another network."""

    what = "network"


class WrongContract(WrongStamp):
    """The database belongs to another token contract."""

    what = "contract"


class SchemaTooNew(WrongStamp):
    """The database was written by a newer release."""

    what = "schema version"


class InvalidCursor(StorageError):
    """The cursor was not issued by this list, or lies beyond the end of this feed.

    Attributes:
        cursor: what was handed in.
    """

    def __init__(self, cursor: str) -> None:
        super().__init__("this cursor was not issued here")
        self.cursor = cursor


class FeedTrimmed(StorageError):
    """Events after the cursor are gone: the consumer has to resync.

    Attributes:
        feed: name of the feed.
        after: the cursor.
        start: number of the oldest event that is still there.
    """

    def __init__(self, *, feed: str, after: int, start: int) -> None:
        super().__init__(f"feed {feed} starts at {start}, events after {after} are gone")
        self.feed = feed
        self.after = after
        self.start = start


class LimitExceeded(StorageError):
    """More was asked for than one call may carry.

    Attributes:
        what: the thing that is limited.
        limit: the most that is allowed.
        got: what was asked for.
    """

    def __init__(self, what: str, *, limit: int, got: int) -> None:
        super().__init__(f"{what}: {got} is beyond the limit of {limit}")
        self.what = what
        self.limit = limit
        self.got = got
