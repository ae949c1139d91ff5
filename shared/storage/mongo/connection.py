"""The server, one database in it, and how its answers are waited for."""

import asyncio
import contextlib
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Self, TypeVar

import pymongo
from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern

from shared.storage.errors import (
    StorageBusy,
    StorageClosed,
    StorageError,
    StorageUnreachable,
    StorageUnsuitable,
)
from shared.storage.mongo.documents import Stored
from shared.storage.mongo.failures import is_passing, meaning, pause_s
from shared.storage.mongo.names import Names
from shared.storage.mongo.options import MongoOptions
from shared.storage.trouble import Trouble

T = TypeVar("T")

OLDEST_WIRE_VERSION: Final = 17
"""MongoDB 6.0, the first release whose partial indexes take a choice of values."""

RESERVED_CONNECTIONS: Final = 4
"""Not for reads: the writer, the sign of life, the look for events, and one to spare."""

BUILD_S: Final = 6 * 3_600
"""How long the server may take to build an index or to look for documents that need a change."""

MS_PER_S: Final = 1_000


class Connection:
    """A client of one replica set, used from one event loop; ``open`` makes one."""

    def __init__(
        self,
        client: AsyncMongoClient[Stored],
        options: MongoOptions,
        names: Names,
        *,
        queue_limit: int,
    ) -> None:
        self.options = options
        self.names = names
        self.place = options.place
        self.trouble = Trouble()
        self.majority = WriteConcern(
            w="majority", j=True, wtimeout=options.socket_timeout_s * MS_PER_S
        )
        self._client = client
        self._database = client.get_database(
            options.database,
            write_concern=self.majority,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._reads = asyncio.Semaphore(options.pool_size - RESERVED_CONNECTIONS)
        self._queue_limit = queue_limit
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @classmethod
    async def open(
        cls, options: MongoOptions, names: Names, *, service: str, queue_limit: int
    ) -> Self:
        """Connect, and make sure that the server can keep what is promised.

        Raises:
            StorageUnreachable: no primary answers.
            StorageUnsuitable: it is no replica set, or too old, or the URL is none.
            StorageRefused: the user or the password is wrong.
        """
        connection = cls(_client(options, service), options, names, queue_limit=queue_limit)
        try:
            await connection.check_server()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def check_server(self) -> None:
        """Ask the server what it is; raises StorageUnsuitable."""
        try:
            told = await self._client.admin.command("hello")
            await self._database.command("ping")
        except ServerSelectionTimeoutError as error:
            raise self._unselected() from error
        except PyMongoError as error:
            raise meaning(self.place, error) from error
        if "setName" not in told and told.get("msg") != "isdbgrid":
            raise StorageUnsuitable(
                self.place,
                "it is no replica set, and units of several records need one: start mongod with"
                " --replSet and run rs.initiate(), one member is enough",
            )
        if int(told["maxWireVersion"]) < OLDEST_WIRE_VERSION:
            raise StorageUnsuitable(self.place, "it is older than MongoDB 6.0")

    async def now(self) -> Any:
        """Return the server's time."""
        with self.noted():
            return (await self._client.admin.command("hello"))["localTime"]

    def collection(self, name: str) -> AsyncCollection[Stored]:
        """Return a collection by its name in the database."""
        return self._database[name]

    @property
    def engine(self) -> AsyncCollection[Stored]:
        """The service's bookkeeping."""
        return self._database[self.names.engine]

    async def command(self, *command: Any, **options: Any) -> Stored:
        """Run a command on the database."""
        return await self._database.command(*command, **options)

    async def existing(self) -> dict[str, Stored]:
        """Return the collections of the database that the user may see, with their options."""
        cursor = await self._database.list_collections()
        return {each["name"]: each.get("options", {}) async for each in cursor}

    async def create(self, name: str, **options: Any) -> None:
        """Make a collection."""
        await self._database.create_collection(name, check_exists=False, **options)

    def patiently(self) -> AbstractContextManager[object]:
        """Let one answer take as long as building an index does."""
        return pymongo.timeout(BUILD_S)

    def session(self) -> AsyncClientSession:
        """Return a session for transactions."""
        return self._client.start_session()

    @contextlib.asynccontextmanager
    async def moment(self) -> AsyncIterator[AsyncClientSession]:
        """Yield a session whose reads all see one moment.

        It lasts as long as the server keeps its history, five minutes unless it is told otherwise. A
        server that does not say of which moment a read is has one in transactions alone.
        """
        read = {"find": self.names.engine, "limit": 1, "singleBatch": True}
        told = await self._database.command({**read, "readConcern": {"level": "snapshot"}})
        if "atClusterTime" in told["cursor"]:
            async with self._client.start_session(snapshot=True) as session:
                yield session
            return
        async with self._client.start_session() as session:
            await session.start_transaction(read_concern=ReadConcern("snapshot"))
            try:
                yield session
            finally:
                with contextlib.suppress(PyMongoError):
                    await session.abort_transaction()

    async def read(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do a read, of which no more run at once than there are connections.

        Raises:
            StorageBusy: too many reads are waiting.
            StorageClosed: the connection is closing.
        """
        if self._closed:
            raise StorageClosed
        if self._under_way >= self._queue_limit:
            raise self.trouble.note(StorageBusy("too many reads are waiting"))
        self._under_way += 1
        self._idle.clear()
        try:
            async with self._reads:
                with self.noted():
                    return await work()
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def repeat(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something idempotent, again and again until it is done or the time is over.

        Raises:
            StorageError: what the last failure means.
        """
        deadline, attempt = time.monotonic() + self.options.deadline_s, 0
        while True:
            try:
                return await work()
            except PyMongoError as error:
                if not is_passing(error) or time.monotonic() >= deadline:
                    raise self.trouble.note(meaning(self.place, error)) from error
            await asyncio.sleep(pause_s(attempt))
            attempt += 1

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Raise what the driver's failures mean instead of them, and take note of it."""
        try:
            yield
        except PyMongoError as error:
            raise self.trouble.note(meaning(self.place, error)) from error

    async def drain(self) -> None:
        """Refuse further reads and wait for those that are under way."""
        self._closed = True
        await self._idle.wait()

    async def close(self) -> None:
        """Let go of every connection."""
        self._closed = True
        await self._client.close()

    def _unselected(self) -> StorageError:
        known = self._client.topology_description.server_descriptions().values()
        if any(each.server_type_name == "RSGhost" for each in known):
            return StorageUnsuitable(self.place, "its replica set is not initiated: rs.initiate()")
        told = f"no primary within {self.options.selection_timeout_s} s"
        refused = [str(each.error).partition(" (configured")[0] for each in known if each.error]
        return StorageUnreachable(self.place, ": ".join([told, *refused[:1]]))


def _client(options: MongoOptions, service: str) -> AsyncMongoClient[Stored]:
    given: dict[str, Any] = {
        "appname": service,
        "maxPoolSize": options.pool_size,
        "serverSelectionTimeoutMS": options.selection_timeout_s * MS_PER_S,
        "connectTimeoutMS": options.connect_timeout_s * MS_PER_S,
        "socketTimeoutMS": options.socket_timeout_s * MS_PER_S,
        "waitQueueTimeoutMS": options.socket_timeout_s * MS_PER_S,
        "retryWrites": True,
        "retryReads": True,
    }
    if options.user is not None:
        given |= {"username": options.user, "password": options.password}
    if options.ca_file or options.certificate_file:
        given["tls"] = True
    if options.ca_file:
        given["tlsCAFile"] = str(options.ca_file)
    if options.certificate_file:
        given["tlsCertificateKeyFile"] = str(options.certificate_file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error"
            )  # an option that is not understood, such as TLS, would be left out
            return AsyncMongoClient(options.url, **given)
    except (InvalidURI, ConfigurationError, UserWarning, ValueError, OSError) as error:
        # What the driver says of it may quote the password.
        told = f"the driver refuses the URL or the TLS files ({type(error).__name__})"
        raise StorageUnsuitable(options.place, told) from None


async def each_of(cursor: Any) -> AsyncIterator[Stored]:
    """Yield the documents of a cursor and close it, however the reader leaves."""
    try:
        async for document in cursor:
            yield document
    finally:
        await cursor.close()
