import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from shared.access import OPEN_PATHS, Role, Scope
from shared.auth import OPERATOR, Principal
from shared.clock import HeldClock
from shared.config import LogLevel, ServiceSettings
from shared.errors import (
    BadRequest,
    Conflict,
    InsufficientFunds,
    InternalError,
    KeyRequired,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from shared.metrics import Metrics
from shared.models.wire import AmountText
from shared.models.wire import Request as Body
from shared.storage import (
    DuplicateRecord,
    InvalidCursor,
    Schema,
    StorageBusy,
    StorageClosed,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageUnwritable,
)
from shared.tron.networks import Network
from shared.web.application import UnguardedRoute, application, service_of
from shared.web.edge import Edge, Gate, RateLimit, RequestLimits
from shared.web.problems import MEDIA_TYPE, declares
from shared.web.runtime import Runtime, Starter
from shared.web.security import idempotency_key, requires
from shared.web.server import serve
from tests.support import START_MS, Keys, serving, settings_in

pytestmark = pytest.mark.usefixtures("written")

SERVICE = "usdt-manager"
LIMIT_BYTES = 2_000

Written = Callable[[], list[dict[str, Any]]]

Reader = Annotated[Principal, requires(Scope.USDT_READ)]
Sender = Annotated[Principal, requires(Scope.WALLETS_SEND)]


class Shop:
    """The service behind the application."""


class Order(Body):
    """A body."""

    amount: AmountText
    note: str = ""


TROUBLE: dict[str, Exception] = {
    "defect": RuntimeError("the password is hush"),
    "funds": InsufficientFunds("the wallet has 3", available="3", retry_after_s=7),
    "duplicate": DuplicateRecord(collection="orders", index="key", values=("hush",)),
    "cursor": InvalidCursor("hush"),
    "busy": StorageBusy(),
    "full": StorageFull("/data/hush"),
    "closed": StorageClosed(),
    "unwritable": StorageUnwritable("/data/hush", "hush"),
    "corrupt": StorageCorrupt("/data/hush", "hush"),
    "unknown": StorageError("hush"),
}

router = APIRouter(responses=declares(NotFound, Conflict))


@router.get("/whoami")
async def whoami(caller: Reader) -> dict[str, Any]:
    return {"name": caller.name, "role": caller.role, "service": caller.service}


@router.post("/sends")
async def send(_: Sender) -> dict[str, str]:
    return {}


@router.post("/orders/{number}")
async def order(
    request: Request, _: Reader, number: int, body: Order, limit: Annotated[int, Query(le=9)] = 1
) -> dict[str, Any]:
    service_of(request, Shop)
    return {"number": number, "amount": body.amount, "limit": limit}


@router.post("/raw")
async def raw(_: Reader, request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.get("/trouble/{name}")
async def trouble(_: Reader, name: str) -> None:
    raise TROUBLE[name]


@router.get("/torn")
async def torn(_: Reader) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError("cut off")

    return StreamingResponse(parts())


async def open_shop(_: Runtime) -> Shop:
    return Shop()


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(START_MS)


@pytest.fixture
def keys(tmp_path: Path, clock: HeldClock) -> Keys:
    return Keys(tmp_path, clock)


@pytest.fixture
def runtime(tmp_path: Path, clock: HeldClock) -> Runtime:
    settings = settings_in(tmp_path, ServiceSettings, max_body_bytes=LIMIT_BYTES)
    return Runtime(service=SERVICE, settings=settings, clock=clock)


def app_of(
    runtime: Runtime, *routers: APIRouter, build: Any = open_shop, **options: Any
) -> FastAPI:
    return application(
        runtime, build=build, routers=routers or (router,), description="a shop", **options
    )


@pytest.fixture
async def client(runtime: Runtime, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app_of(runtime)) as client:
        client.headers.update(keys.person())
        yield client


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"].endswith(code)
    assert document["instance"] == response.request.url.path
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["title"]
    assert document["detail"]
    return document


async def eventually(holds: Callable[[], Any]) -> None:
    """Wait until something holds that another task brings about."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


# Who comes in


@pytest.mark.parametrize(
    "path", ["/whoami", "/sends", "/nowhere", "/", "/health/", "/docs", "//info"]
)
async def test_without_a_token_every_path_says_401(client: httpx.AsyncClient, path: str) -> None:
    del client.headers["authorization"]
    response = await client.get(path)
    problem(response, 401, "LUCID_ERR_1100")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/docs/oauth2-redirect"])
async def test_the_documentation_needs_a_token(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200
    del client.headers["authorization"]
    problem(await client.get(path), 401, "LUCID_ERR_1100")


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer a b", "bearer \u00e4.b.c"]
)
async def test_a_header_without_a_good_token_says_401(
    client: httpx.AsyncClient, value: str
) -> None:
    response = await client.get("/whoami", headers={b"Authorization": value.encode("latin-1")})
    problem(response, 401, "LUCID_ERR_1100")


async def test_a_known_path_with_a_token_is_served(client: httpx.AsyncClient) -> None:
    response = await client.get("/whoami")
    assert response.json() == {"name": f"{OPERATOR}/ada", "role": "ADMIN", "service": None}
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-lucid-network"] == "devnet"


async def test_h18_headers_of_the_gateway_are_not_believed(client: httpx.AsyncClient) -> None:
    claimed = {
        "X-User-ID": "root",
        "X-User-Role": "SUPER_ADMIN",
        "X-Internal-Token": "hush",
        "X-Forwarded-User": "root",
    }
    response = await client.get("/whoami", headers=claimed)
    assert response.json()["name"] == f"{OPERATOR}/ada"
    assert response.json()["role"] == "ADMIN"
    del client.headers["authorization"]
    problem(await client.get("/whoami", headers=claimed), 401, "LUCID_ERR_1100")


async def test_a_missing_scope_says_403_and_names_it(client: httpx.AsyncClient) -> None:
    told = problem(await client.post("/sends"), 403, "LUCID_ERR_1201")
    assert told["scope"] == "wallets:send"


async def test_a_service_comes_in_with_its_scope(client: httpx.AsyncClient, keys: Keys) -> None:
    token = keys.service("payout-router", audience=SERVICE, scope=Scope.WALLETS_SEND)
    assert (await client.post("/sends", headers=token)).status_code == 200
    problem(await client.get("/whoami", headers=token), 403, "LUCID_ERR_1201")


# What is asked


async def test_an_unknown_path_says_404(client: httpx.AsyncClient) -> None:
    problem(await client.get("/nowhere"), 404, "LUCID_ERR_1300")


async def test_a_method_that_a_path_does_not_take_says_405(client: httpx.AsyncClient) -> None:
    response = await client.delete("/orders/1")
    problem(response, 405, "LUCID_ERR_1301")
    assert response.headers["allow"] == "POST"


async def test_invalid_fields_are_named_and_their_values_are_not(client: httpx.AsyncClient) -> None:
    body = {"amount": 12.75, "note": {"a": "hush"}, "ammount": "hush"}
    response = await client.post("/orders/abc?limit=999999", json=body)
    told = problem(response, 400, "LUCID_ERR_1001")
    assert [error["field"] for error in told["errors"]] == [
        "number",
        "limit",
        "amount",
        "note",
        "ammount",
    ]
    assert "must be a decimal string" in told["detail"]
    assert not any(value in response.text for value in ("hush", "12.75", "999999"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"null", b"\xff", b'{"amount": NaN}'])
async def test_a_body_that_is_no_json_object_says_400(
    client: httpx.AsyncClient, content: bytes
) -> None:
    headers = {"content-type": "application/json"}
    response = await client.post("/orders/1", content=content, headers=headers)
    assert response.status_code == 400
    assert response.headers["content-type"] == MEDIA_TYPE


async def test_a_deeply_nested_body_says_400(client: httpx.AsyncClient) -> None:
    content = b'{"amount":' + b"[" * 900 + b"]" * 900 + b"}"
    headers = {"content-type": "application/json"}
    response = await client.post("/orders/1", content=content, headers=headers)
    assert response.status_code == 400


async def test_many_and_long_mistakes_are_told_in_short(client: httpx.AsyncClient) -> None:
    body = {"amount": "1", "x" * 500: 1} | {str(number): 1 for number in range(100)}
    told = problem(await client.post("/orders/1", json=body), 400, "LUCID_ERR_1001")
    assert len(told["errors"]) == 20
    assert max(len(error["field"]) for error in told["errors"]) == 100


async def test_a_body_beyond_the_limit_is_refused_by_its_length(client: httpx.AsyncClient) -> None:
    for path in ("/orders/1", "/raw", "/nowhere"):
        response = await client.post(path, content=b"x" * (LIMIT_BYTES + 1))
        told = problem(response, 413, "LUCID_ERR_1500")
        assert told["limit_bytes"] == LIMIT_BYTES
    assert (await client.post("/raw", content=b"x" * LIMIT_BYTES)).json() == {"bytes": LIMIT_BYTES}


@pytest.mark.parametrize("path", ["/orders/1", "/raw"])
async def test_a_body_beyond_the_limit_is_refused_as_it_arrives(
    client: httpx.AsyncClient, path: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 500
            yield b"x" * 500

    headers = {"content-type": "application/json"}
    problem(await client.post(path, content=endless(), headers=headers), 413, "LUCID_ERR_1500")
    assert sent <= 2 * LIMIT_BYTES


class Asgi:
    """Calls an edge as a server does, with a body that comes as the test says."""

    def __init__(self, keys: Keys, gate: Gate, app: ASGIApp, limits: RequestLimits) -> None:
        self.answers: list[Message] = []
        self._token = keys.person()["Authorization"]
        self._edge = Edge(
            app,
            gate=gate,
            rate_limit=RateLimit(requests=9, burst=9, window_s=1),
            metrics=Metrics(),
            network="devnet",
            limits=limits,
        )

    async def call(self, receive: Receive, path: str = "/x") -> list[int]:
        headers = [(b"authorization", self._token.encode())]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        await self._edge(scope, receive, self._send)
        return [one["status"] for one in self.answers if one["type"] == "http.response.start"]

    async def _send(self, message: Message) -> None:
        self.answers.append(message)


async def reads_its_body(_: AsgiScope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def test_a_body_that_does_not_come_in_time_is_not_waited_for(
    runtime: Runtime, keys: Keys
) -> None:
    await runtime.trust_keys()
    limits = RequestLimits(max_body_bytes=9, body_timeout_s=0.01, max_concurrent_requests=9)
    server = Asgi(keys, runtime.gate, reads_its_body, limits)
    parts = iter([{"type": "http.request", "body": b"1", "more_body": True}])

    async def dawdle() -> Message:
        for part in parts:
            return part
        await asyncio.Event().wait()
        raise AssertionError("nothing more comes")

    async with asyncio.timeout(5):
        assert await server.call(dawdle) == [408]


async def test_beyond_the_requests_under_way_new_ones_are_turned_away_and_probes_are_not(
    runtime: Runtime, keys: Keys
) -> None:
    await runtime.trust_keys()
    held, go_on = asyncio.Event(), asyncio.Event()

    async def holds(scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/x":
            held.set()
            await go_on.wait()
        await reads_its_body(scope, receive, send)

    async def nothing_more() -> Message:
        return {"type": "http.request"}

    limits = RequestLimits(max_body_bytes=9, body_timeout_s=5, max_concurrent_requests=1)
    server = Asgi(keys, runtime.gate, holds, limits)
    first = asyncio.create_task(server.call(nothing_more))
    await held.wait()
    assert await server.call(nothing_more) == [503]
    assert await server.call(nothing_more, "/health") == [503, 200]
    go_on.set()
    assert await first == [503, 200, 200]


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 5_000, "\u00b2", " 7 7"])
async def test_a_length_that_is_no_number_is_refused(
    client: httpx.AsyncClient, length: str
) -> None:
    headers = {b"content-length": length.encode("latin-1")}
    response = await client.post("/raw", content=b"x", headers=headers)
    problem(response, 413, "LUCID_ERR_1500")


# What goes wrong


async def test_a_defect_says_500_and_nothing_of_itself(
    client: httpx.AsyncClient, runtime: Runtime, written: Written
) -> None:
    response = await client.get("/trouble/defect", headers={"X-Request-ID": "req-7"})
    told = problem(response, 500, InternalError.code)
    assert told["request_id"] == "req-7"
    assert not any(word in response.text for word in ("hush", "Traceback", "RuntimeError", ".py"))
    assert b'route="/trouble/{name}",status="500"' in runtime.metrics.render()
    (line,) = [line for line in written() if line["event"] == "request.crashed"]
    assert line["request_id"] == "req-7"
    assert "RuntimeError" in line["exception"]


async def test_a_problem_is_told_with_its_facts(client: httpx.AsyncClient) -> None:
    response = await client.get("/trouble/funds")
    assert problem(response, 409, InsufficientFunds.code)["available"] == "3"
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("duplicate", 409, Conflict.code),
        ("cursor", 400, "LUCID_ERR_1003"),
        ("busy", 503, Unavailable.code),
        ("full", 503, Unavailable.code),
        ("closed", 503, Unavailable.code),
        ("unwritable", 503, Unavailable.code),
        ("corrupt", 500, InternalError.code),
        ("unknown", 500, InternalError.code),
    ],
)
async def test_what_storage_refuses_has_its_status(
    client: httpx.AsyncClient, name: str, status: int, code: str
) -> None:
    response = await client.get(f"/trouble/{name}")
    problem(response, status, code)
    assert "hush" not in response.text


async def test_an_answer_that_is_cut_off_is_not_completed(runtime: Runtime, keys: Keys) -> None:
    app = app_of(runtime)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        with pytest.raises(RuntimeError, match="cut off"):
            await client.get("/torn", headers=keys.person())


# The request id


async def test_a_request_id_is_echoed(client: httpx.AsyncClient) -> None:
    response = await client.get("/whoami", headers={"X-Request-ID": "a.B-7_"})
    assert response.headers.get_list("x-request-id") == ["a.B-7_"]


@pytest.mark.parametrize("told", ["", "a b", "x" * 129, '"; drop', "\u00e4", "a\tb"])
async def test_a_request_id_of_another_form_is_replaced(
    client: httpx.AsyncClient, told: str
) -> None:
    headers = {b"X-Request-ID": told.encode("latin-1")}
    made = {(await client.get("/whoami", headers=headers)).headers["x-request-id"] for _ in "ab"}
    assert len(made) == 2
    assert told not in made
    assert all(len(one) == 32 for one in made)


# The rate


class Elapsed:
    """A monotonic counter that its holder moves."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_a_bucket_empties_and_fills_again() -> None:
    elapsed = Elapsed()
    limit = RateLimit(requests=60, burst=3, window_s=60, monotonic=elapsed)
    for _ in range(3):
        limit.take("ada")
    with pytest.raises(TooManyRequests) as refusal:
        limit.take("ada")
    assert refusal.value.retry_after_s is not None
    limit.take("bob")
    elapsed.s += refusal.value.retry_after_s
    limit.take("ada")


def test_a_bucket_holds_no_more_than_its_burst() -> None:
    elapsed = Elapsed()
    limit = RateLimit(requests=60, burst=3, window_s=60, monotonic=elapsed)
    elapsed.s += 1_000_000
    for _ in range(3):
        limit.take("ada")
    with pytest.raises(TooManyRequests):
        limit.take("ada")


def test_many_identities_do_not_fill_the_memory() -> None:
    limit = RateLimit(requests=1, burst=1, window_s=60, monotonic=Elapsed())
    limit.take("first")
    for number in range(10_000):
        limit.take(str(number))
    limit.take("first")
    with pytest.raises(TooManyRequests):
        limit.take("9999")


async def test_people_are_limited_and_services_are_not(
    tmp_path: Path, clock: HeldClock, keys: Keys
) -> None:
    settings = ServiceSettings(
        tron_network=Network.DEVNET, data_dir=tmp_path, rate_limit_burst=2, rate_limit_requests=1
    )
    runtime = Runtime(service=SERVICE, settings=settings, clock=clock)
    async with serving(app_of(runtime)) as client:
        answers = [await client.get("/whoami", headers=keys.person()) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        problem(answers[2], 429, "LUCID_ERR_1600")
        assert 1 <= int(answers[2].headers["retry-after"]) <= 60
        other = await client.get("/whoami", headers=keys.person(subject="bob"))
        assert other.status_code == 200
        for _ in range(5):
            token = keys.service("payout-router", audience=SERVICE, scope=Scope.USDT_READ)
            assert (await client.get("/whoami", headers=token)).status_code == 200
        for _ in range(5):
            assert (await client.get("/health", headers=keys.person())).status_code == 200


# Routes that nobody guards


def unguarded(runtime: Runtime, routes: APIRouter) -> None:
    with pytest.raises(UnguardedRoute, match="asks for no scope"):
        app_of(runtime, routes)


def test_a_route_without_a_scope_is_refused_at_construction(runtime: Runtime) -> None:
    routes = APIRouter()
    routes.add_api_route("/open", whoami_of_nobody, methods=["GET"])
    unguarded(runtime, routes)
    nested = APIRouter(prefix="/deeper")
    nested.include_router(routes)
    unguarded(runtime, nested)


def test_a_route_that_only_looks_like_a_probe_is_refused(runtime: Runtime) -> None:
    routes = APIRouter()
    routes.add_api_route("/status", whoami_of_nobody, methods=["POST"])
    unguarded(runtime, routes)


def test_a_route_of_another_kind_is_refused(runtime: Runtime) -> None:
    plain = APIRouter()
    plain.add_route("/plain", plain_whoami)
    unguarded(runtime, plain)
    sockets = APIRouter()

    @sockets.websocket("/socket")
    async def socket(_: WebSocket) -> None: ...

    unguarded(runtime, sockets)
    mounted = APIRouter()
    mounted.mount("/files", FastAPI())
    unguarded(runtime, mounted)


def test_a_scope_may_stand_on_the_router(runtime: Runtime) -> None:
    routes = APIRouter(dependencies=[requires(Scope.USDT_READ)])
    routes.add_api_route("/guarded", whoami_of_nobody, methods=["GET"])
    assert app_of(runtime, routes).title == f"Lucid {SERVICE}"


def test_another_dependency_is_no_scope(runtime: Runtime) -> None:
    routes = APIRouter(dependencies=[Depends(whoami_of_nobody)])
    routes.add_api_route("/open", whoami_of_nobody, methods=["GET"])
    unguarded(runtime, routes)


@pytest.mark.usefixtures("keys")
async def test_an_open_prefix_opens_its_paths_alone(runtime: Runtime) -> None:
    routes = APIRouter()
    routes.add_api_route("/checkout/{token}", whoami_of_nobody, methods=["GET"])
    async with serving(app_of(runtime, routes, open_prefixes=("/checkout/",))) as client:
        assert (await client.get("/checkout/abc")).status_code == 200
        problem(await client.get("/checkout"), 401, "LUCID_ERR_1100")


async def plain_whoami(_: Request) -> Response:
    return Response()


async def whoami_of_nobody() -> dict[str, str]:
    return {}


# Probes


async def test_the_open_paths_are_served_without_a_token(client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]
    for path in sorted(OPEN_PATHS):
        assert (await client.get(path)).status_code == 200, path


async def test_a_bad_token_does_not_close_a_probe(client: httpx.AsyncClient) -> None:
    response = await client.get("/health", headers={"Authorization": "Bearer nonsense"})
    assert response.json()["status"] == "healthy"


async def test_details_are_for_operators(client: httpx.AsyncClient, runtime: Runtime) -> None:
    async def details() -> dict[str, Any]:
        return {"wallets": 7}

    runtime.probes.details = details
    assert (await client.get("/info")).json()["details"] == {"wallets": 7}
    assert (await client.get("/status")).json()["details"] == {"wallets": 7}
    assert (await client.get("/status")).json()["reasons"] == []
    del client.headers["authorization"]
    about = {"service": SERVICE, "version": "0.1.0", "network": "devnet"}
    assert (await client.get("/info")).json() == about
    assert (await client.get("/status")).json() == {"status": "ready", **about}


async def test_details_are_not_for_every_caller(client: httpx.AsyncClient, keys: Keys) -> None:
    answer = await client.get("/info", headers=keys.person(Role.USER))
    assert "details" not in answer.json()


async def test_readiness_says_every_reason(client: httpx.AsyncClient, runtime: Runtime) -> None:
    assert (await client.get("/health/ready")).json()["status"] == "ready"
    runtime.readiness.add("node", lambda: "the node is away")
    runtime.readiness.add("books", lambda: "the books do not balance")
    runtime.readiness.add("fine", lambda: None)
    for path in ("/ready", "/health/ready"):
        response = await client.get(path)
        told = problem(response, 503, "LUCID_ERR_1901")
        assert told["reasons"] == ["the node is away", "the books do not balance"]
        assert response.headers["retry-after"] == "5"
    assert (await client.get("/health")).status_code == 200
    assert "lucid_ready 0.0" in (await client.get("/metrics")).text
    runtime.readiness.remove("node")
    runtime.readiness.add("books", lambda: None)
    assert (await client.get("/ready")).status_code == 200


async def test_metrics_are_text_and_count_under_route_templates(client: httpx.AsyncClient) -> None:
    await client.post("/orders/123456", json={"amount": "1"})
    await client.get("/nowhere/123456")
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'route="/orders/{number}",status="200"' in response.text
    assert 'route="unmatched",status="404"' in response.text
    assert "123456" not in response.text


def test_every_application_has_metrics_of_its_own() -> None:
    one, other = Metrics(), Metrics()
    one.loop_failed("sweep")
    assert b'loop="sweep"' not in other.render()


async def test_every_reference_of_the_api_description_leads_somewhere(
    client: httpx.AsyncClient,
) -> None:
    description = (await client.get("/openapi.json")).json()
    named = set(_references(description))
    known = {f"#/components/schemas/{name}" for name in description["components"]["schemas"]}
    assert named <= known
    told = description["paths"]["/whoami"]["get"]["responses"]["409"]
    assert told["description"] == f"Conflict ({Conflict.code})"
    assert told["content"][MEDIA_TYPE]["schema"]["properties"].keys() >= {"code", "detail"}


async def test_the_api_description_says_what_callers_meet(client: httpx.AsyncClient) -> None:
    description = (await client.get("/openapi.json")).json()
    operations = [
        (path, operation)
        for path, item in description["paths"].items()
        for operation in item.values()
    ]
    for path, operation in operations:
        assert "422" not in operation["responses"], path
        guarded = path not in OPEN_PATHS
        assert ("security" in operation) is guarded, path
        assert ("401" in operation["responses"]) is guarded, path
    assert "HTTPValidationError" not in description["components"]["schemas"]
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for inner in node.values() for found in _references(inner)]
    if isinstance(node, list):
        return [found for inner in node for found in _references(inner)]
    return []


def test_several_problems_of_one_status_are_declared_together() -> None:
    told = declares(Conflict, InsufficientFunds, Conflict)[409]["description"]
    assert told == "Conflict (LUCID_ERR_1400); Insufficient funds (LUCID_ERR_1402)"


# Starting


async def test_a_container_with_nothing_but_its_network_is_healthy_and_says_what_it_lacks(
    tmp_path: Path,
) -> None:
    settings = ServiceSettings(
        tron_network=Network.NILE, log_level=LogLevel.INFO, data_dir=tmp_path
    )
    async with serving(app_of(Runtime(service=SERVICE, settings=settings))) as client:
        for path in ("/health", "/health/live", "/info", "/status", "/stats", "/metrics"):
            assert (await client.get(path)).status_code == 200
        told = problem(await client.get("/ready"), 503, "LUCID_ERR_1901")
        assert len(told["reasons"]) == 1
        assert str(tmp_path / "keys" / f"{OPERATOR}.pub.pem") in told["reasons"][0]
        assert "init" in told["reasons"][0]
        answer = await client.get("/whoami", headers={"Authorization": "Bearer a.b.c"})
        problem(answer, 401, "LUCID_ERR_1100")


async def test_a_service_becomes_ready_without_a_restart_once_its_keys_are_there(
    tmp_path: Path, clock: HeldClock, runtime: Runtime
) -> None:
    async def needs_identity(runtime: Runtime) -> Shop:
        await runtime.peer("tron-client", "http://tron-client")
        return Shop()

    app = app_of(runtime, build=needs_identity)
    async with serving(app) as client:
        assert (await client.get("/ready")).status_code == 503
        keys = Keys(tmp_path, clock)
        await eventually(lambda: app.state.starter.service)
        await eventually(lambda: not runtime.readiness.reasons())
        assert (await client.get("/ready")).status_code == 200
        assert (await client.get("/whoami", headers=keys.person())).status_code == 200


async def test_business_calls_say_503_while_something_is_missing(
    runtime: Runtime, keys: Keys
) -> None:
    async def never(_: Runtime) -> Shop:
        raise OSError("the disk is away")

    async with serving(app_of(runtime, build=never)) as client:
        client.headers.update(keys.person())
        answer = await client.post("/orders/1", json={"amount": "1"})
        assert problem(answer, 503, "LUCID_ERR_1901")["detail"] == "the disk is away"


class Flaky:
    """Builds a shop after it has failed with each of the given errors."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.closed = 0

    async def __call__(self, runtime: Runtime) -> Shop:
        runtime.stack.callback(self._close)
        if self._errors:
            raise self._errors.pop(0)
        return Shop()

    def _close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a defect"),
        AssertionError(),
        Unavailable("a sibling is away"),
        StorageBusy(),
        httpx.InvalidURL("x"),
    ],
)
@pytest.mark.usefixtures("keys")
async def test_whatever_stops_a_start_is_told_and_tried_again(
    runtime: Runtime, error: Exception
) -> None:
    build = Flaky(error)
    async with runtime:
        starter = Starter(build, runtime)
        task = asyncio.create_task(starter.run())
        await asyncio.wait_for(starter.tried.wait(), timeout=5)
        assert str(error) in (starter.reason() or "")
        assert build.closed == 1
        await asyncio.wait_for(task, timeout=5)
        assert starter.reason() is None
        assert build.closed == 1
    assert build.closed == 2


@pytest.mark.usefixtures("keys")
async def test_a_key_file_that_holds_none_is_named(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "trx-staking.pub.pem"
    path.write_bytes(b"half a fi")
    async with serving(app_of(runtime)) as client:
        told = problem(await client.get("/ready"), 503, "LUCID_ERR_1901")
        assert told["reasons"] == [f"{path} is no Ed25519 public key in PEM"]


async def test_a_revocation_counts_as_soon_as_the_keys_are_read_again(
    runtime: Runtime, keys: Keys, tmp_path: Path
) -> None:
    async with serving(app_of(runtime)) as client:
        assert (await client.get("/whoami", headers=keys.person())).status_code == 200
        (tmp_path / "keys" / "revoked.txt").write_text("other\nada-token\n")
        await runtime.trust_keys()
        problem(await client.get("/whoami", headers=keys.person()), 401, "LUCID_ERR_1100")
        assert (await client.get("/whoami", headers=keys.person(subject="bob"))).is_success


@pytest.mark.usefixtures("keys")
async def test_a_database_is_closed_with_the_service(runtime: Runtime) -> None:
    schema = Schema(service=SERVICE, version=1, collections=())

    async def with_storage(runtime: Runtime) -> Shop:
        await runtime.storage(schema)
        return Shop()

    for _ in range(2):  # the second would find the file locked
        again = Runtime(service=SERVICE, settings=runtime.settings, clock=runtime.clock)
        async with serving(app_of(again, build=with_storage)) as client:
            assert (await client.get("/ready")).status_code == 200


@pytest.mark.usefixtures("keys")
async def test_a_devnet_that_is_away_does_not_stop_a_start(tmp_path: Path) -> None:
    runtime = Runtime(
        service=SERVICE,
        settings=settings_in(tmp_path, ServiceSettings),
        transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<html>")),
    )
    async with serving(app_of(runtime)) as client:
        assert (await client.get("/health")).status_code == 200
        await eventually(lambda: any("devnet" in why for why in runtime.readiness.reasons()))


async def test_on_the_devnet_tokens_follow_its_time(tmp_path: Path, keys: Keys) -> None:
    def tell(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"now_ms": 4 * START_MS, "speed": 1})

    runtime = Runtime(
        service=SERVICE,
        settings=settings_in(tmp_path, ServiceSettings),
        transport=httpx.MockTransport(tell),
    )
    async with serving(app_of(runtime)) as client:
        problem(await client.get("/whoami", headers=keys.person()), 401, "LUCID_ERR_1100")
        assert runtime.clock.now_ms() >= 4 * START_MS


def test_settings_that_are_wrong_end_the_process_with_all_reasons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def settings() -> ServiceSettings:
        return ServiceSettings.model_validate({"TRON_NETWORK": "moon", "PEER_ATTEMPTS": 0})

    with pytest.raises(SystemExit) as end:
        serve(SERVICE, settings, lambda _: FastAPI(), lambda _: 0)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "TRON_NETWORK" in told
    assert "PEER_ATTEMPTS" in told


def test_an_application_that_cannot_start_ends_the_process_as_a_failure(tmp_path: Path) -> None:
    @contextlib.asynccontextmanager
    async def broken(app: FastAPI) -> AsyncIterator[None]:
        if app.title:
            raise OSError("the disk is away")
        yield

    with pytest.raises(SystemExit) as end:
        serve(
            SERVICE,
            lambda: settings_in(tmp_path, ServiceSettings),
            lambda _: FastAPI(lifespan=broken),
            lambda _: 0,
        )
    assert end.value.code == 3


# Keys of money requests


def test_the_key_header_goes_before_a_natural_id() -> None:
    assert idempotency_key("header", request_id="body") == "header"
    assert idempotency_key(None, payment_id=None, request_id="body") == "body"


def test_h3_without_a_key_both_ways_out_are_named() -> None:
    with pytest.raises(KeyRequired) as refusal:
        idempotency_key("", request_id=None, order_id="")
    assert isinstance(refusal.value, BadRequest)
    assert "Idempotency-Key" in refusal.value.detail
    assert "'request_id' or 'order_id'" in refusal.value.detail


def test_a_problem_document_is_json_of_the_known_members() -> None:
    told = NotFound("no such order", order="7").document(request_id="r", instance="/x")
    assert json.loads(json.dumps(told)) == {
        "type": "urn:lucid:problem:LUCID_ERR_1300",
        "title": "Not found",
        "status": 404,
        "code": "LUCID_ERR_1300",
        "detail": "no such order",
        "instance": "/x",
        "request_id": "r",
        "order": "7",
    }


def test_no_fact_takes_the_place_of_a_member_of_a_problem_document() -> None:
    facts = {
        "type": "x",
        "title": "Fine",
        "status": 200,
        "code": "OK",
        "instance": "/y",
        "request_id": "q",
        "order": "7",
    }
    problem = NotFound("no such order", **facts)  # type: ignore[arg-type]
    told = problem.document(request_id="r", instance="/x")
    plain = NotFound("no such order", order="7").document(request_id="r", instance="/x")
    assert told == plain
