"""Transactions that happen once: their bodies and their commits are repeated within a deadline.

The drivers' helpers differ in what they repeat, and none knows whether a commit came through that
nobody answered. Each transaction therefore writes its own name into a receipt, one document for each
open engine. Whoever does not know how a commit ended finds the name there, or it did not happen.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from shared.storage.errors import StorageBusy, StorageUncertain, StorageWithheld
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.documents import Stored
from shared.storage.mongo.failures import TRANSIENT, UNKNOWN_COMMIT, is_passing, meaning, pause_s
from shared.storage.mongo.names import receipt_of
from shared.storage.mongo.presence import Presence

NAME: Final = "transaction"
OUTCOME: Final = "outcome"

Body = Callable[[AsyncClientSession, str], Awaitable[Stored]]
"""What a transaction does, given its name; returns its outcome, small, as a document."""


class _Again(Exception):
    """Nothing of the transaction happened, and it may when it is tried again."""


class _InDoubt(Exception):
    """Nobody knows whether the transaction happened."""


class Transactions:
    """Runs transactions of one open engine, one at a time.

    Args:
        connection: where.
        presence: of the engine, whose receipt exists.
    """

    def __init__(self, connection: Connection, presence: Presence) -> None:
        self._connection = connection
        self._session = presence.transactions
        self._receipt = receipt_of(presence.session)

    async def run(self, body: Body) -> Stored:
        """Carry out a transaction exactly once and return its outcome.

        Raises:
            StorageBusy: others kept changing the same records until the deadline.
            StorageUnreachable: the server did not answer until the deadline.
            StorageUncertain: it went away over the commit, and did not come back until then.
            StorageWithheld: this engine was shut out.
        """
        name, attempt, doubtful = uuid.uuid4().hex, 0, False
        deadline = time.monotonic() + self._connection.options.deadline_s
        while True:
            try:
                if doubtful and (outcome := await self._found(name)) is not None:
                    return outcome
                doubtful = False
                return await self._attempt(name, body, deadline)
            except _InDoubt as error:
                doubtful, cause = True, error.__cause__
            except _Again as error:
                cause = error.__cause__
            if time.monotonic() >= deadline:
                raise self._given_up(cause, doubtful=doubtful) from cause
            await asyncio.sleep(pause_s(attempt))
            attempt += 1

    async def _attempt(self, name: str, body: Body, deadline: float) -> Stored:
        session = self._session
        await session.start_transaction(
            read_concern=ReadConcern("snapshot"), write_concern=self._connection.majority
        )
        try:
            outcome = await body(session, name)
            await self._sign(session, name, outcome)
        except BaseException as error:
            with contextlib.suppress(PyMongoError):  # the server ends it by itself
                await session.abort_transaction()
            if isinstance(error, PyMongoError):
                raise self._judged(error) from error
            raise
        await self._commit(deadline)
        return outcome

    async def _commit(self, deadline: float) -> None:
        """Commit, and ask again for as long as the answer is not known."""
        attempt = 0
        while True:
            try:
                await self._session.commit_transaction()
            except PyMongoError as error:
                if not is_passing(error) and not error.has_error_label(UNKNOWN_COMMIT):
                    raise meaning(self._connection.place, error) from error
                if error.has_error_label(TRANSIENT) or time.monotonic() >= deadline:
                    raise _InDoubt from error
            else:
                return
            await asyncio.sleep(pause_s(attempt))
            attempt += 1

    async def _sign(self, session: AsyncClientSession, name: str, outcome: Stored) -> None:
        signed = await self._connection.engine.update_one(
            {"_id": self._receipt}, {"$set": {NAME: name, OUTCOME: outcome}}, session=session
        )
        if not signed.matched_count:
            raise StorageWithheld(
                self._connection.place, "this process was taken for dead and shut out: restart it"
            )

    async def _found(self, name: str) -> Stored | None:
        """Return the outcome of a transaction that came through; None when it did not."""
        try:
            receipt = await self._connection.engine.find_one({"_id": self._receipt})
        except PyMongoError as error:
            raise _InDoubt from error
        if receipt is None or receipt.get(NAME) != name:
            return None
        outcome: Stored = receipt[OUTCOME]
        return outcome

    def _judged(self, error: PyMongoError) -> Exception:
        return _Again() if is_passing(error) else meaning(self._connection.place, error)

    def _given_up(self, cause: BaseException | None, *, doubtful: bool) -> Exception:
        place = self._connection.place
        if doubtful:
            return StorageUncertain(place)
        if isinstance(cause, PyMongoError):
            return meaning(place, cause)
        return StorageBusy(f"{place} is too busy")
