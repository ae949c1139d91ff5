"""One TRON node's HTTP interface: asks once, and knows which chain it is of and when to be quiet."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
import msgspec
from prometheus_client import Counter

from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.node.breakers import Breaker, BreakerState
from services.tron_client.node.budgets import Budget
from services.tron_client.node.decoding import Undecodable, decode
from services.tron_client.node.endpoints import Endpoint, Treatment, shown, without_key
from services.tron_client.node.errors import NodeRefused, NodeUnavailable, WrongChain
from services.tron_client.node.lanes import Lane, Pacer
from services.tron_client.node.proxying import ThroughProxy
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.metrics import Metrics

log = get_logger(__name__)

T = TypeVar("T")

Transport = httpx.AsyncBaseTransport
"""The way to a node; tests hand in another."""

MAX_ANSWER_BYTES: Final = 134_217_728

_GENESIS_PATH: Final = "/wallet/getblockbynum"
_GENESIS: Final = {"num": 0}
_GATEWAY_PATH: Final = "/v1"
_KEY_HEADER: Final = "TRON-PRO-API-KEY"
_PAUSED: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN)
"""No set: what a node says need not be anything that a set can look for."""

_SUSPENDED: Final = re.compile(r"suspended for (\d{1,5}) ?s")
_SHORTEST_PAUSE_S: Final = 2
_LONGEST_PAUSE_S: Final = 600
_PASSING: Final = ("lack of computing resources", "exceed", "suspended", "rate limit")
"""Words of refusals that pass with time (java-tron RateLimiterServlet, TronGrid)."""


class NodeCounters:
    """Counts calls of all nodes."""

    def __init__(self, metrics: Metrics) -> None:
        self._calls = Counter(
            "lucid_node_calls_total",
            "Calls of nodes.",
            ("endpoint", "lane", "path", "outcome"),
            registry=metrics.registry,
        )

    def count(self, endpoint: str, lane: Lane, path: str, outcome: str) -> None:
        """Count a call that came to its end."""
        self._calls.labels(endpoint, lane.value, path, outcome).inc()


class NodeState(StrEnum):
    """How a node stands."""

    READY = "ready"
    QUIET = "quiet"
    OPEN = "open"
    WRONG_CHAIN = "wrong_chain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a node last said of its head.

    Attributes:
        height: of the block.
        timestamp_ms: of the block.
        at_ms: when it was said.
    """

    height: int
    timestamp_ms: int
    at_ms: int


class NodeHttp:
    """Asks one node, one time each; which node, and whether again, is for the pool to say.

    Attributes:
        endpoint: the node.
        budget: its calls of the day.
        breaker: whether it is left alone.
        head: what it last said of its head, None before the first time.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        treatment: Treatment,
        *,
        counters: NodeCounters,
        transport: Transport | None = None,
        now_s: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int],
    ) -> None:
        self.endpoint = endpoint
        self.budget = Budget(endpoint.name, endpoint.calls_per_day, now_ms=now_ms)
        self.breaker = Breaker(now_s=now_s)
        self.head: Head | None = None
        self._treatment = treatment
        self._counters = counters
        self._now_s = now_s
        self._base = httpx.URL(endpoint.url)
        self._lanes = {lane: asyncio.Semaphore(endpoint.concurrency) for lane in Lane}
        self._pacer = Pacer(endpoint.calls_per_s, now_s=now_s)
        self._verifying = asyncio.Lock()
        self._is_verified = False
        self._unverified: Unavailable | None = None
        self._genesis_failures = 0
        self._wrong_chain: str | None = None
        self._quiet_until_s = 0.0
        self._problem: str | None = "the node has not been asked yet"
        connections = len(Lane) * endpoint.concurrency
        if transport is None and treatment.proxy_url is not None:
            transport = ThroughProxy(treatment.proxy_url, connections=connections)
        self._client = httpx.AsyncClient(
            headers={"Accept": "application/json"}
            | ({_KEY_HEADER: endpoint.api_key} if endpoint.api_key else {}),
            transport=transport,
            timeout=httpx.Timeout(treatment.timeout_s, connect=treatment.connect_timeout_s),
            limits=httpx.Limits(max_connections=connections),
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        """Where the node is, without anything secret."""
        return shown(self.endpoint.url)

    @property
    def operator(self) -> str:
        """Who runs it."""
        return self.endpoint.operator

    @property
    def wrong_chain(self) -> str | None:
        """Say that it is of another network, or None."""
        return self._wrong_chain

    @property
    def state(self) -> NodeState:
        """How it stands."""
        if self._wrong_chain is not None:
            return NodeState.WRONG_CHAIN
        if self.quiet_s() > 0:
            return NodeState.QUIET
        return NodeState.READY if self.breaker.state is BreakerState.CLOSED else NodeState.OPEN

    def reason(self) -> str | None:
        """Say what is wrong with the node, or None."""
        return self._problem

    def quiet_s(self) -> int:
        """Return for how many seconds it asked to be left alone."""
        return max(0, -int(-(self._quiet_until_s - self._now_s()) // 1))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def post(self, path: str, payload: Mapping[str, Any], *, lane: Lane) -> Any:
        """Return the node's decoded answer.

        Raises:
            NodeUnavailable: no usable answer, it asked for quiet, or its calls of the day are spent.
            NodeRefused: it answered with an error that stays.
            WrongChain: it is of another network.
        """
        return await self.ask(path, payload, lane=lane, read=_as_it_came)

    async def ask(
        self, path: str, payload: Mapping[str, Any], *, lane: Lane, read: Callable[[Any], T]
    ) -> T:
        """Return the node's answer, read; one that cannot be read is a failure like any other.

        Raises:
            InconsistentBlock: the answer contradicts itself.
            Unavailable: like ``post``.
        """
        await self._verify(lane)
        return await self._once(path, lane, payload=payload, read=read)

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the decoded answer to a GET; raises like ``post``."""
        await self._verify(Lane.READ)
        return await self._once(path, Lane.READ, query=query, read=_as_it_came)

    async def _verify(self, lane: Lane) -> None:
        """Compare the node's genesis block with the pinned one, before anything else (H17).

        Calls that come meanwhile share what comes of it: they would otherwise wait in a row for a
        node that hangs.
        """
        if self._is_verified:
            return
        self._require_leave(lane)
        failures = self._genesis_failures
        async with self._verifying:
            if not self._is_verified:  # nobody else did it meanwhile
                await self._compare_once(failures)

    async def _compare_once(self, failures: int) -> None:
        if self._unverified is not None and self._genesis_failures != failures:
            raise self._unverified
        try:
            await self._compare_genesis()
        except Unavailable as error:
            self._unverified, self._genesis_failures = error, self._genesis_failures + 1
            raise

    async def _compare_genesis(self) -> None:
        """Ask in the lane that never waits: a broadcast may be waiting for this (H22)."""
        answer = await self._once(_GENESIS_PATH, Lane.BROADCAST, payload=_GENESIS, read=_as_it_came)
        found = answer.get("blockID") if isinstance(answer, dict) else None
        if not isinstance(found, str):
            raise self._failed(_GENESIS_PATH, "it has no genesis block")
        if found != self._treatment.genesis_block_id:
            self._wrong_chain = self._problem = (
                f"{self.url} is of another network: its genesis block is {found[:64]},"
                f" not {self._treatment.genesis_block_id}"
            )
            raise WrongChain(self._problem, retry_after_s=60)
        self._is_verified = True
        self._problem = self._wrong_chain = None
        log.info("node.verified", endpoint=self.endpoint.name, url=self.url)

    async def _once(
        self,
        path: str,
        lane: Lane,
        *,
        payload: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        read: Callable[[Any], T],
    ) -> T:
        self._require_leave(lane)
        async with self._lanes[lane]:
            await asyncio.sleep(self._pacer.delay_s(lane))
            self._require_leave(lane)
            self.budget.count()
            label = _GATEWAY_PATH if path.startswith(_GATEWAY_PATH) else path
            self.breaker.begin()
            try:
                answer = read(await self._answer(path, payload, query))
            except NodeRefused:
                self.breaker.succeed()
                self._counters.count(self.endpoint.name, lane, label, "refused")
                raise
            except NodeUnavailable:
                self.breaker.fail()
                self._counters.count(self.endpoint.name, lane, label, "failed")
                raise
            except InconsistentBlock as error:
                self.breaker.fail()
                self._counters.count(self.endpoint.name, lane, label, "inconsistent")
                self._failed(path, str(error.detail))
                raise
            except BaseException:
                self.breaker.abandon()
                self._counters.count(self.endpoint.name, lane, label, "abandoned")
                raise
            if path == _GENESIS_PATH and payload == _GENESIS:
                self.breaker.abandon()  # knowing where it is says little of how it works
            else:
                self.breaker.succeed()
            self._counters.count(self.endpoint.name, lane, label, "answered")
            return answer

    def _require_leave(self, lane: Lane) -> None:
        quiet_s = self.quiet_s()
        if quiet_s > 0:
            raise NodeUnavailable("the node asked for quiet", retry_after_s=quiet_s)
        if not self.budget.admits(lane):
            told = f"{self.endpoint.name}: the day's calls for {lane} are spent"
            raise NodeUnavailable(told, retry_after_s=60)

    async def _answer(
        self, path: str, payload: Mapping[str, Any] | None, query: Mapping[str, str] | None
    ) -> Any:
        try:
            async with asyncio.timeout(self._treatment.timeout_s):
                status, content = await self._send(path, payload, query)
        except (httpx.HTTPError, OSError) as error:  # httpx lets errors of TLS pass as they are
            self._is_verified = False
            missing = f"it did not answer ({type(error).__name__})"
        else:
            return self._judge(path, status, content)
        # Told once the error is over: a log that cannot be written shows what was being handled.
        raise self._failed(path, missing)

    async def _send(
        self, path: str, payload: Mapping[str, Any] | None, query: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path)
        request = self._client.build_request(
            "GET" if payload is None else "POST",
            url,
            params=query,
            content=None if payload is None else msgspec.json.encode(payload),
            headers=None if payload is None else {"Content-Type": "application/json"},
        )
        content = bytearray()
        response = await self._client.send(request, stream=True)
        try:
            if "," in response.headers.get("Content-Encoding", ""):
                raise httpx.DecodingError("the answer is packed twice", request=request)
            async for chunk in response.aiter_bytes():  # what is packed once grows a thousandfold
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise httpx.DecodingError("the answer is too large", request=request)
        finally:
            await response.aclose()
        return response.status_code, without_key(bytes(content), self.endpoint)

    def _judge(self, path: str, status: int, content: bytes) -> Any:
        if status in _PAUSED:
            raise self._suspended(path, content)
        try:
            answer = decode(content)
        except Undecodable as error:
            self._is_verified = self._is_verified and status < HTTPStatus.INTERNAL_SERVER_ERROR
            raise self._failed(path, f"it answered {status} with {error}") from None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._is_verified = False  # behind a proxy it may be another node that comes back (H17)
            raise self._failed(path, f"it answered {status}")
        if isinstance(answer, dict):
            self._judge_error(path, answer, content)
        if status != HTTPStatus.OK:
            raise NodeRefused(f"the node answered {status} to {path}")
        if self._is_verified:
            self._problem = None
        return answer

    def _judge_error(self, path: str, answer: dict[str, Any], content: bytes) -> None:
        error = answer.get("Error", answer.get("error") if answer.get("success") is False else None)
        if error is None:
            return
        text = str(error)[:300]
        if answer.get("statusCode") in _PAUSED or _SUSPENDED.search(text):
            raise self._suspended(path, content)
        if any(word in text for word in _PASSING):
            raise self._failed(path, text)
        raise NodeRefused(f"the node answered {path} with: {text}")

    def _suspended(self, path: str, content: bytes) -> NodeUnavailable:
        told = _SUSPENDED.search(content[:2_000].decode(errors="replace"))
        pause_s = min(int(told[1]) if told else _SHORTEST_PAUSE_S, _LONGEST_PAUSE_S)
        self._quiet_until_s = max(self._quiet_until_s, self._now_s() + pause_s)
        return self._failed(path, f"it asks for {pause_s} s of quiet")

    def _failed(self, path: str, detail: str) -> NodeUnavailable:
        self._problem = f"the node {self.url}: {detail}"
        log.warning(
            "node.failed", endpoint=self.endpoint.name, url=self.url, path=path, detail=detail
        )
        return NodeUnavailable(self._problem, retry_after_s=max(1, self.quiet_s()))


def _as_it_came(answer: Any) -> Any:
    return answer
