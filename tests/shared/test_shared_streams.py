"""Feeds as Server-Sent Events."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import Message

from shared.clock import HeldClock
from shared.errors import BadCursor, Overloaded
from shared.feeds import FeedLost, FeedSource
from shared.models.wire import View
from shared.storage import Feed, Schema, SqliteStorage, Stamp, Unit
from shared.web.server import Server
from shared.web.streams import FeedStream, Streams, streams_of
from tests.support import START_MS

NEWS = Feed("news")
SCHEMA = Schema(service="usdt-manager", version=1, collections=(), feeds=(NEWS,))


class Note(View):
    text: str


class Listener:
    """A client of a stream, by hand: hears what is sent and hangs up when told."""

    def __init__(self) -> None:
        self.heard = ""
        self.ended = False
        self._news = asyncio.Event()
        self._gone = asyncio.Event()

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.heard += message.get("body", b"").decode()
        self.ended = message["type"] == "http.response.body" and not message.get("more_body")
        self._news.set()

    def hang_up(self) -> None:
        self._gone.set()

    async def until(self, text: str) -> None:
        while text not in self.heard:
            self._news.clear()
            await self._news.wait()

    def ids(self) -> list[str]:
        lines = self.heard.splitlines()
        return [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    stamp = Stamp(network="devnet", contract="usdt")
    opened = await SqliteStorage.open(tmp_path / "news.sqlite3", SCHEMA, stamp)
    yield opened
    await opened.close()


@pytest.fixture
def source(storage: SqliteStorage) -> FeedSource[Note]:
    return FeedSource(storage=storage, feed=NEWS, view=Note, clock=HeldClock(START_MS))


async def publish(storage: SqliteStorage, *texts: str) -> None:
    unit = Unit()
    for text in texts:
        unit.publish(
            NEWS, id=f"evt_{text}", type="note.written", at_ms=START_MS, object={"text": text}
        )
    await storage.commit(unit)


def heard_by(stream: FeedStream, listener: Listener) -> "asyncio.Task[None]":
    scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}}
    return asyncio.create_task(stream(scope, listener.receive, listener.send))


async def test_a_stream_tells_what_is_there_and_then_what_comes(
    storage: SqliteStorage, source: FeedSource[Note]
) -> None:
    await publish(storage, "one")
    streams, listener = Streams(), Listener()
    async with asyncio.timeout(10):
        sending = heard_by(await streams.open(source, after=""), listener)
        await listener.until("one")
        await publish(storage, "two", "three")
        await listener.until("three")
        streams.close()
        await sending
    assert listener.ids() == [f"{storage.incarnation}.{number}" for number in (1, 2, 3)]
    assert listener.heard.count("event: note.written\n") == 3
    assert listener.ended


async def test_who_comes_back_goes_on_after_the_last_event_it_had(
    storage: SqliteStorage, source: FeedSource[Note]
) -> None:
    await publish(storage, "one", "two")
    streams, listener = Streams(longest_s=0), Listener()
    async with asyncio.timeout(10):
        await heard_by(await streams.open(source, after=f"{storage.incarnation}.1"), listener)
    assert listener.ids() == [f"{storage.incarnation}.2"]


async def test_a_quiet_stream_says_that_it_is_alive(source: FeedSource[Note]) -> None:
    streams, listener = Streams(longest_s=0), Listener()
    async with asyncio.timeout(10):
        await heard_by(await streams.open(source, after=""), listener)
    assert ": alive\n\n" in listener.heard
    assert listener.ended


async def test_streams_are_bounded_and_a_place_is_given_back_however_one_ends(
    source: FeedSource[Note],
) -> None:
    streams, listener = Streams(limit=1), Listener()
    async with asyncio.timeout(10):
        sending = heard_by(await streams.open(source, after=""), listener)
        await listener.until("alive")
        with pytest.raises(Overloaded):
            await streams.open(source, after="")
        listener.hang_up()
        await sending
        assert streams.count == 0
        with pytest.raises(BadCursor):
            await streams.open(source, after="nonsense")
        assert streams.count == 0
        other = Listener()
        broken = heard_by(await streams.open(source, after=""), other)
        await other.until("alive")
        broken.cancel()
        with pytest.raises(asyncio.CancelledError):
            await broken
    assert streams.count == 0


class Deaf(Listener):
    """A client that holds its connection open and reads no more than the beginning."""

    async def send(self, message: Message) -> None:
        await super().send(message)
        if message.get("body"):
            await asyncio.Event().wait()


class Counted:
    """A source that counts the pages it is asked for."""

    def __init__(self, source: FeedSource[Note]) -> None:
        self._source = source
        self.pages = 0

    async def page(self, *, after: str, limit: int, wait_s: int) -> Any:
        self.pages += 1
        return await self._source.page(after=after, limit=limit, wait_s=wait_s)


async def test_who_does_not_read_holds_one_page_and_loses_its_place_in_the_end(
    storage: SqliteStorage, source: FeedSource[Note]
) -> None:
    await publish(storage, *(f"n{number}" for number in range(500)))
    counted: Any = Counted(source)
    streams = Streams(limit=1, longest_s=0, last_words_s=0.05)
    listener = Deaf()
    async with asyncio.timeout(10):
        await heard_by(await streams.open(counted, after=""), listener)
    assert counted.pages == 1
    assert streams.count == 0
    assert not listener.ended


async def test_no_stream_begins_once_the_service_is_stopping(source: FeedSource[Note]) -> None:
    streams = Streams()
    streams.close()
    with pytest.raises(Overloaded):
        await streams.open(source, after="")


async def test_h13_a_stream_from_before_what_is_kept_is_refused(
    storage: SqliteStorage, source: FeedSource[Note]
) -> None:
    await publish(storage, "one", "two")
    await storage.trim_feed(NEWS, keep_after_ms=START_MS + 1)
    await publish(storage, "three")
    with pytest.raises(FeedLost):
        await Streams().open(source, after=f"{storage.incarnation}.1")


class Failing:
    """A source whose second page fails in one way."""

    def __init__(self, source: FeedSource[Note], problem: Exception) -> None:
        self._source = source
        self._problem = problem
        self._pages = 0

    async def page(self, *, after: str, limit: int, wait_s: int) -> Any:
        self._pages += 1
        if self._pages > 1:
            raise self._problem
        return await self._source.page(after=after, limit=limit, wait_s=wait_s)


async def test_h13_a_stream_that_lost_events_says_so_and_ends(source: FeedSource[Note]) -> None:
    failing: Any = Failing(source, FeedLost("gone"))
    listener = Listener()
    async with asyncio.timeout(10):
        await heard_by(await Streams().open(failing, after=""), listener)
    assert 'event: problem\ndata: {"code": "LUCID_ERR_1404"}' in listener.heard
    assert listener.ended


async def test_a_server_that_stops_does_not_wait_for_its_streams(
    source: FeedSource[Note],
) -> None:
    app = FastAPI()
    app.state.streams = Streams()

    @app.get("/stream")
    async def stream() -> FeedStream:
        return await streams_of(app).open(source, after="")

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=60))
    async with asyncio.timeout(20):
        running = asyncio.create_task(server.serve(sockets=[listener]))
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("GET", f"http://127.0.0.1:{port}/stream") as answer,
        ):
            lines = answer.aiter_lines()
            async for line in lines:
                if line.startswith(": alive"):
                    break
            server.should_exit = True
            async for _ in lines:
                pass
        await running
    assert streams_of(app).count == 0
