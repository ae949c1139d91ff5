"""Who has the database open, and who has it alone.

Several processes of a service may share a database. A change of everything in it, such as a migration
or a copy elsewhere, needs it alone: it says so first and looks for the others then, while whoever opens
says that it is there first and looks for that then, so that of two one notices. An engine that gave no
sign of life for ``DEAD_AFTER_S`` counts as dead; should it live on, it finds its receipt gone and
its transactions refused.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from bson.binary import UUID_SUBTYPE, Binary
from pymongo.errors import DuplicateKeyError, OperationFailure

from shared.storage.errors import StorageError, StorageLocked, StorageWithheld
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.names import EXCLUSIVE, receipt_of, session_of
from shared.storage.mongo.seat import Seat

BEAT_S: Final = 5
FRESH_S: Final = 10
"""How long after a sign of life an engine writes without giving another first."""

DEAD_AFTER_S: Final = 40
"""More than ``FRESH_S`` and the longest that one answer of the server may take."""

SESSION: Final = "session"
LOGICAL_SESSION: Final = "logical_session"

_NOW: Final = {"$currentDate": {"at": True}}


class Presence:
    """An open engine, as others see it; ``begin`` makes one.

    Attributes:
        session: names it.
        transactions: the driver's session in which all its transactions are.
    """

    def __init__(self, connection: Connection, session: str, seat: Seat | None) -> None:
        self.session = session
        self.transactions = connection.session()
        self._connection = connection
        self._seat = seat
        self._seen_s = time.monotonic()
        self._beating: asyncio.Task[None] | None = None

    @classmethod
    async def begin(
        cls, connection: Connection, *, folder: Path, alone: bool = False
    ) -> "Presence":
        """Say that this engine is there, and that the one before it in the folder is not any more.

        Args:
            connection: where.
            folder: of the process.
            alone: take the database for this engine alone.

        Raises:
            StorageLocked: somebody has it alone, or has it open when this one wants it alone.
        """
        seat = await asyncio.to_thread(Seat.take, folder)
        presence = cls(connection, uuid.uuid4().hex, seat)
        try:
            await presence._follow_on()
            with connection.noted():
                await connection.engine.insert_one({"_id": receipt_of(presence.session)})
                await connection.engine.update_one(
                    {"_id": session_of(presence.session)}, _NOW, upsert=True
                )
            await (presence._take() if alone else presence._check_free())
        except BaseException:
            await presence.end()
            raise
        presence._beating = asyncio.create_task(presence._beat_for_ever(), name="storage-presence")
        return presence

    async def ensure(self) -> None:
        """Give a sign of life if the last one is not fresh; every write begins with this.

        Raises:
            StorageWithheld: this engine was taken for dead.
        """
        if time.monotonic() - self._seen_s > FRESH_S:
            await self.beat()

    async def beat(self) -> None:
        """Give a sign of life.

        Raises:
            StorageWithheld: this engine was taken for dead.
        """
        began = time.monotonic()
        with self._connection.noted():
            told = await self._connection.engine.update_one({"_id": session_of(self.session)}, _NOW)
        if not told.matched_count:
            place = self._connection.place
            gone = StorageWithheld(place, "this process was taken for dead: restart it")
            raise self._connection.trouble.note(gone)
        self._seen_s = began

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Have the database alone for a while.

        Raises:
            StorageLocked: somebody else has it open.
        """
        await self._take()
        try:
            yield
        finally:
            await self._give_back()

    async def end(self) -> None:
        """Say that this engine is gone; what cannot be said is found out by others in time."""
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating
        with contextlib.suppress(StorageError):
            await self._give_back()
            with self._connection.noted():
                await self.transactions.end_session()
            await self._forget(self.session)
        if self._seat is not None:
            await asyncio.to_thread(self._seat.leave)

    async def _follow_on(self) -> None:
        """End what the predecessor left open, and write down what the successor has to end."""
        if self._seat is None:
            return
        predecessor = self._seat.predecessor
        with self._connection.noted():
            if set(predecessor) >= {SESSION, LOGICAL_SESSION}:
                with contextlib.suppress(OperationFailure, ValueError):  # it ends by itself later
                    logical = Binary(bytes.fromhex(predecessor[LOGICAL_SESSION]), UUID_SUBTYPE)
                    await self._connection.command("killSessions", [{"id": logical}])
                await self._forget(predecessor[SESSION])
            logical_id = bytes(self.transactions.session_id["id"]).hex()
        told = {SESSION: self.session, LOGICAL_SESSION: logical_id}
        await asyncio.to_thread(self._seat.write, told)

    async def _forget(self, session: str) -> None:
        """Remove the traces of an engine."""
        gone = [session_of(session), receipt_of(session)]
        with self._connection.noted():
            await self._connection.engine.delete_many({"_id": {"$in": gone}})

    async def _beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            with contextlib.suppress(StorageError):  # noted, and told by readiness
                await self.beat()

    async def _check_free(self) -> None:
        if await self._taken():
            raise StorageLocked(self._connection.place)

    async def _take(self) -> None:
        engine = self._connection.engine
        await self._check_free()
        with self._connection.noted():
            try:
                await engine.insert_one({"_id": EXCLUSIVE, "session": self.session})
            except DuplicateKeyError as error:
                raise StorageLocked(self._connection.place) from error
        alive, dead = await self._others()
        if alive:
            await self._give_back()
            raise StorageLocked(self._connection.place)
        with self._connection.noted():
            gone = [id_ for each in dead for id_ in (session_of(each), receipt_of(each))]
            await engine.delete_many({"_id": {"$in": gone}})

    async def _give_back(self) -> None:
        with self._connection.noted():
            await self._connection.engine.delete_one({"_id": EXCLUSIVE, "session": self.session})

    async def _taken(self) -> bool:
        """Tell whether another engine that lives has the database alone; a dead one's hold ends."""
        engine = self._connection.engine
        with self._connection.noted():
            held = await engine.find_one({"_id": EXCLUSIVE})
        if held is None or held["session"] == self.session:
            return False
        alive, _ = await self._others()
        if held["session"] in alive:
            return True
        with self._connection.noted():
            await engine.delete_one({"_id": EXCLUSIVE, "session": held["session"]})
        return False

    async def _others(self) -> tuple[set[str], set[str]]:
        """Return the other engines, those that live and those that count as dead."""
        since = await self._connection.now() - timedelta(seconds=DEAD_AFTER_S)
        alive, dead = set[str](), set[str]()
        with self._connection.noted():
            cursor = self._connection.engine.find({"_id": {"$regex": "^session:"}})
            async for each in cursor:
                session = each["_id"].partition(":")[2]
                if session != self.session:
                    (alive if each["at"] > since else dead).add(session)
        return alive, dead
