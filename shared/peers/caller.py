"""One careful HTTP caller for all siblings: time-outs, deadlines, and retries of what is idempotent.

A sibling's 4xx is an answer and is passed on as it stands. Anything else that is not a success means
"not known": the caller may repeat the same request, and must not conclude that nothing happened.
"""

import asyncio
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import httpx
import msgspec
from pydantic import BaseModel, ValidationError

from shared.access import Scope
from shared.auth import ServiceIdentity
from shared.errors import NotFound, Problem, Unavailable
from shared.logs import get_logger, request_id

log = get_logger(__name__)

View = TypeVar("View", bound=BaseModel)

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_MAX_ANSWER_BYTES: Final = 33_554_432
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


class PeerRefused(Problem):
    """A sibling answered 4xx; status, code, detail and facts are the sibling's own."""

    def __init__(self, *, peer: str, status: int, document: Mapping[str, Any]) -> None:
        known = {"type", "title", "status", "code", "detail", "instance", "request_id"}
        super().__init__(str(document.get("detail", f"{peer} answered {status}")))
        self.facts = {key: value for key, value in document.items() if key not in known}
        self.status = status  # type: ignore[misc]  # the sibling's, not the class's
        self.code = str(document.get("code", "LUCID_ERR_1000"))  # type: ignore[misc]
        self.title = str(document.get("title", "Refused"))  # type: ignore[misc]
        self.peer = peer


class PeerUnavailable(Unavailable):
    """A sibling did not give an answer; whether it acted is not known."""

    code = "LUCID_ERR_1902"
    title = "A sibling service is unavailable"


class PeerHttp:
    """Calls one sibling.

    Args:
        peer: its name, which is also the audience of the tokens.
        base_url: where it listens.
        client: the shared connection pool; its transport may be another in tests.
        identity: signs the tokens.
        timeout_s: for one try.
        deadline_s: for all tries and pauses together.
        attempts: tries of an idempotent call.
    """

    def __init__(
        self,
        *,
        peer: str,
        base_url: str,
        client: httpx.AsyncClient,
        identity: ServiceIdentity,
        timeout_s: float,
        deadline_s: float,
        attempts: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.peer = peer
        self._base_url = base_url.rstrip("/")
        self._client = client
        self._identity = identity
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._attempts = attempts
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing

    async def get(
        self,
        path: str,
        view: type[View],
        *,
        scope: Scope,
        params: Mapping[str, str | int] | None = None,
        wait_s: float = 0,
    ) -> View:
        """GET a view; ``wait_s`` is how long the sibling was asked to hold the answer back."""
        content = await self._repeated("GET", path, scope, params=params, wait_s=wait_s)
        return self._parse(content, view)

    async def put(self, path: str, body: BaseModel, view: type[View], *, scope: Scope) -> View:
        """PUT a body; repeats are harmless by definition."""
        return self._parse(await self._repeated("PUT", path, scope, body=body), view)

    async def post_keyed(
        self, path: str, body: BaseModel, view: type[View], *, scope: Scope, key: str | None = None
    ) -> View:
        """POST something that carries its own identity (or ``key``), so that it may be repeated."""
        content = await self._repeated("POST", path, scope, body=body, key=key)
        return self._parse(content, view)

    def segment(self, name: str) -> str:
        """Return a name that came from outside, for use as one segment of a path.

        Raises:
            PeerRefused: it could lead to another route (hazard H18); no object has such a name.
        """
        if not _SEGMENT.fullmatch(name):
            document = {"code": NotFound.code, "title": NotFound.title, "detail": "no such object"}
            raise PeerRefused(peer=self.peer, status=NotFound.status, document=document)
        return name

    async def _repeated(
        self,
        method: str,
        path: str,
        scope: Scope,
        *,
        params: Mapping[str, str | int] | None = None,
        body: BaseModel | None = None,
        key: str | None = None,
        wait_s: float = 0,
    ) -> bytes:
        deadline_s = self._monotonic() + self._deadline_s + wait_s
        for attempt in range(1, self._attempts + 1):
            try:
                request = self._request(method, path, scope, params=params, body=body, key=key)
                left_s = deadline_s - self._monotonic()
                return await self._once(request, min(self._timeout_s + wait_s, left_s))
            except PeerUnavailable:
                pause_s = self._pause_s(attempt)
                if attempt == self._attempts or self._monotonic() + pause_s >= deadline_s:
                    raise
            await asyncio.sleep(pause_s)
        raise AssertionError("a caller has at least one attempt")

    def _pause_s(self, attempt: int) -> float:
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * (1 << (attempt - 1)))
        return pause_s * self._random.uniform(0.5, 1.5)

    def _request(
        self,
        method: str,
        path: str,
        scope: Scope,
        *,
        params: Mapping[str, str | int] | None,
        body: BaseModel | None,
        key: str | None,
    ) -> httpx.Request:
        headers = {
            "Authorization": f"Bearer {self._identity.token(audience=self.peer, scope=scope)}",
            "Accept": "application/json",
        }
        if current := request_id.get():
            headers["X-Request-ID"] = current
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = body.model_dump_json(exclude_none=True).encode()
        return self._client.build_request(
            method, self._base_url + path, params=params, content=content, headers=headers
        )

    async def _once(self, request: httpx.Request, limit_s: float) -> bytes:
        try:
            async with asyncio.timeout(limit_s):
                response = await self._client.send(request)
        except (httpx.HTTPError, TimeoutError) as error:
            raise PeerUnavailable(
                f"{self.peer} did not answer ({type(error).__name__})",
                retry_after_s=2,
                peer=self.peer,
            ) from None
        return self._judge(response)

    def _judge(self, response: httpx.Response) -> bytes:
        content = response.content
        if response.is_success and len(content) <= _MAX_ANSWER_BYTES:
            return content
        document = _document(content)
        status = response.status_code
        if 400 <= status < 500 and status not in {401, 408, 429}:  # noqa: PLR2004
            raise PeerRefused(peer=self.peer, status=status, document=document)
        log.warning(
            "peer.unavailable", peer=self.peer, status=status, detail=document.get("detail")
        )
        raise PeerUnavailable(
            f"{self.peer} answered {status}: {document.get('detail', 'no detail')}",
            retry_after_s=2,
            peer=self.peer,
        )

    def _parse(self, content: bytes, view: type[View]) -> View:
        try:
            return view.model_validate_json(content)
        except ValidationError as error:
            fields = [".".join(map(str, wrong["loc"])) for wrong in error.errors()[:10]]
            log.warning("peer.misunderstood", peer=self.peer, view=view.__name__, fields=fields)
            raise PeerUnavailable(
                f"{self.peer} answered something that is no {view.__name__}", peer=self.peer
            ) from None


def absent(error: PeerRefused) -> bool:
    """True when the sibling said that there is no such object."""
    return error.status == NotFound.status


def _document(content: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
