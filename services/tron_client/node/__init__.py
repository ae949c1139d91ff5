"""A TRON node's HTTP interface, and the only place that opens a connection to one.

This module knows which chain the node is of, when to ask again and when to be quiet; ``client`` says
what is asked, ``reading`` and ``outcomes`` what the answers mean.
"""

import asyncio
import random
import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import httpx
import msgspec
from prometheus_client import Counter

from services.tron_client.node.errors import NodeRefused, NodeUnavailable, WrongChain
from shared.logs import get_logger
from shared.loop import backoff_s
from shared.metrics import Metrics

log = get_logger(__name__)

Transport = httpx.AsyncBaseTransport
"""The way to a node; tests hand in another."""

MAX_ANSWER_BYTES: Final = 134_217_728

_GENESIS_PATH: Final = "/wallet/getblockbynum"
_KEY_HEADER: Final = "TRON-PRO-API-KEY"
_SUSPENDED: Final = re.compile(r"suspended for (\d{1,5}) ?s")
_SHORTEST_PAUSE_S: Final = 2
_LONGEST_PAUSE_S: Final = 600
_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 2.0
_PASSING: Final = ("lack of computing resources", "exceed", "suspended", "rate limit")
"""Words of refusals that pass with time (java-tron RateLimiterServlet, TronGrid)."""


class Lane(StrEnum):
    """What a call is for; each lane has calls of its own, so that none starves another (H22)."""

    BROADCAST = "broadcast"
    CHAIN = "chain"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A node and how to treat it.

    Attributes:
        url: its base, without a key.
        genesis_block_id: of the network it must be of (H17).
        api_key: sent as a header, if there is one.
        timeout_s: for one try, connection included.
        connect_timeout_s: for the connection.
        attempts: tries of a read.
        concurrency: calls under way at once, in each lane.
        calls_per_s: started by the lanes of reads together, half of them each; 0 for no limit.
    """

    url: str
    genesis_block_id: str
    api_key: str | None
    timeout_s: float
    connect_timeout_s: float
    attempts: int
    concurrency: int
    calls_per_s: int = 0


class NodeHttp:
    """Asks one node; reads are tried again, broadcasts never."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        metrics: Metrics,
        transport: Transport | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._base = httpx.URL(endpoint.url)
        self._lanes = {lane: asyncio.Semaphore(endpoint.concurrency) for lane in Lane}
        self._verifying = asyncio.Lock()
        self._is_verified = False
        self._next_start_s = {Lane.CHAIN: 0.0, Lane.READ: 0.0}
        self._quiet_until_s = 0.0
        self._problem: str | None = "the node has not been asked yet"
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._calls = Counter(
            "lucid_node_calls_total", "Calls of the node.", ("path",), registry=metrics.registry
        )
        self._failures = Counter(
            "lucid_node_failures_total",
            "Calls of the node without a usable answer.",
            ("path",),
            registry=metrics.registry,
        )
        headers = {"Accept": "application/json"}
        if endpoint.api_key:
            headers[_KEY_HEADER] = endpoint.api_key
        self._client = httpx.AsyncClient(
            headers=headers,
            transport=transport,
            timeout=httpx.Timeout(endpoint.timeout_s, connect=endpoint.connect_timeout_s),
            limits=httpx.Limits(max_connections=len(Lane) * endpoint.concurrency),
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        """Where the node is, without anything secret."""
        return str(self._base.copy_with(username=None, password=None, query=None))

    def reason(self) -> str | None:
        """Say what is wrong with the node, or None."""
        return self._problem

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def ask(self, path: str, payload: dict[str, Any], *, lane: Lane) -> Any:
        """Return a node's decoded answer, asking again while that may help.

        Raises:
            NodeUnavailable: no usable answer after all tries, or the node asked for quiet.
            NodeRefused: the node answered with an error that stays.
            WrongChain: it is of another network.
        """
        for attempt in range(1, self._endpoint.attempts + 1):
            try:
                await self._verify()
                return await self._once(path, payload, lane)
            except NodeUnavailable:
                if attempt == self._endpoint.attempts or self._quiet_s() > 0:
                    raise
            pause_s = backoff_s(attempt, base_s=_FIRST_BACKOFF_S, longest_s=_LONGEST_BACKOFF_S)
            await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.5))
        raise AssertionError("a read has at least one attempt")

    async def ask_once(self, path: str, payload: dict[str, Any]) -> Any:
        """Return a node's answer to what must not be repeated here; raises like ``ask``."""
        await self._verify()
        return await self._once(path, payload, Lane.BROADCAST)

    async def _verify(self) -> None:
        """Compare the node's genesis block with the pinned one, before anything else (H17)."""
        if self._is_verified:
            return
        async with self._verifying:
            if not self._is_verified:  # nobody else did it meanwhile
                await self._compare_genesis()

    async def _compare_genesis(self) -> None:
        answer = await self._once(_GENESIS_PATH, {"num": 0}, Lane.CHAIN)
        found = answer.get("blockID") if isinstance(answer, dict) else None
        if not isinstance(found, str):
            raise self._failed(_GENESIS_PATH, "it has no genesis block")
        if found != self._endpoint.genesis_block_id:
            self._problem = (
                f"{self.url} is of another network: its genesis block is {found[:64]},"
                f" not {self._endpoint.genesis_block_id}"
            )
            raise WrongChain(self._problem, retry_after_s=60)
        self._is_verified = True
        self._problem = None
        log.info("node.verified", url=self.url)

    async def _once(self, path: str, payload: dict[str, Any], lane: Lane) -> Any:
        quiet_s = self._quiet_s()
        if quiet_s > 0:
            raise NodeUnavailable("the node asked for quiet", retry_after_s=quiet_s)
        async with self._lanes[lane]:
            await self._pace(lane)
            self._calls.labels(path).inc()
            try:
                async with asyncio.timeout(self._endpoint.timeout_s):
                    status, content = await self._send(path, payload)
            except (httpx.HTTPError, TimeoutError) as error:
                self._is_verified = False
                raise self._failed(path, f"it did not answer ({type(error).__name__})") from None
        return self._judge(path, status, content)

    async def _pace(self, lane: Lane) -> None:
        """Start calls evenly spread; a broadcast never waits."""
        if lane is Lane.BROADCAST or not self._endpoint.calls_per_s:
            return
        now_s = asyncio.get_running_loop().time()
        start_s = max(now_s, self._next_start_s[lane])
        self._next_start_s[lane] = start_s + len(self._next_start_s) / self._endpoint.calls_per_s
        await asyncio.sleep(start_s - now_s)

    async def _send(self, path: str, payload: dict[str, Any]) -> tuple[int, bytes]:
        content = bytearray()
        async with self._client.stream(
            "POST",
            self._base.copy_with(path=self._base.path.rstrip("/") + path),
            content=msgspec.json.encode(payload),
            headers={"Content-Type": "application/json"},
        ) as response:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise httpx.DecodingError("the answer is too large", request=response.request)
        return response.status_code, bytes(content)

    def _judge(self, path: str, status: int, content: bytes) -> Any:
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN}:
            raise self._suspended(path, content)
        try:
            answer = msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._failed(path, f"it answered {status} with text that is no JSON") from None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
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
        if answer.get("statusCode") in {429, 403} or _SUSPENDED.search(text):
            raise self._suspended(path, content)
        if any(word in text for word in _PASSING):
            raise self._failed(path, text)
        raise NodeRefused(f"the node answered {path} with: {text}")

    def _suspended(self, path: str, content: bytes) -> NodeUnavailable:
        told = _SUSPENDED.search(content[:2_000].decode(errors="replace"))
        pause_s = min(int(told[1]) if told else _SHORTEST_PAUSE_S, _LONGEST_PAUSE_S)
        self._quiet_until_s = asyncio.get_running_loop().time() + pause_s
        return self._failed(path, f"it asks for {pause_s} s of quiet")

    def _failed(self, path: str, detail: str) -> NodeUnavailable:
        self._failures.labels(path).inc()
        self._problem = f"the node {self.url}: {detail}"
        log.warning("node.failed", url=self.url, path=path, detail=detail)
        return NodeUnavailable(self._problem, retry_after_s=max(1, self._quiet_s()))

    def _quiet_s(self) -> int:
        left_s = self._quiet_until_s - asyncio.get_running_loop().time()
        return max(0, -int(-left_s // 1))
