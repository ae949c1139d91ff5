"""What a network and a gateway do to requests and replies, whatever these say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from devnet.api.exchange import HttpRequest, Lost, Reply
from devnet.api.replies import (
    closed_by_config,
    closed_on_lite_node,
    json_reply,
    out_of_resources,
)
from devnet.scenarios import parameters
from devnet.scenarios.effect import Effect, Seat, Stage, Undo, Values
from devnet.scenarios.scenario import Occasion, Scenario
from devnet.scenarios.subject import BROADCASTS, Subject
from devnet.trongrid.gate import Limits, exhausted, suspended, suspended_key, too_frequent

_DELAY_MS_MAX = 600_000
_WHOLE_PERCENT = 100
_SECONDS_MAX = 86_400
_PAGE = (
    "<html>\r\n<head><title>{status} {text}</title></head>\r\n<body>\r\n"
    "<center><h1>{status} {text}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n"
    "</html>\r\n"
)
_PAGE_TEXTS = {200: "Welcome", 502: "Bad Gateway", 503: "Service Temporarily Unavailable"}
_REFUSALS: dict[str, Callable[[], Reply]] = {
    "busy": out_of_resources,
    "config": closed_by_config,
    "lite": closed_on_lite_node,
}
_SILENT_MS = parameters.whole(
    "silent_ms",
    "real milliseconds for which the connection stays open without a byte",
    low=0,
    high=_DELAY_MS_MAX,
    default=0,
)
_CARRIED_OUT = parameters.flag(
    "carried_out", "whether the node still does what was asked", default=False
)


def _instead(reply: Reply | Lost, values: Values) -> Effect:
    """A reply in the node's place; if the node is to do it all the same, after it has."""
    if values.get("carried_out"):
        return Effect(change=lambda _subject, _reply: reply)
    return Effect(instead=lambda _subject: reply)


def _request_lost(_stage: Stage, values: Values) -> Effect:
    return Effect(instead=lambda _subject: Lost(), hold_reply_ms=values["silent_ms"])


def _reply_lost(_stage: Stage, values: Values) -> Effect:
    return Effect(change=lambda _subject, _reply: Lost(), hold_reply_ms=values["silent_ms"])


def _connection_reset(_stage: Stage, values: Values) -> Effect:
    return _instead(Lost(reset=True), values)


def _slow(_stage: Stage, values: Values) -> Effect:
    return Effect(hold_ms=values["delay_ms"])


def _slow_reply(_stage: Stage, values: Values) -> Effect:
    return Effect(change=lambda _subject, reply: reply, hold_reply_ms=values["delay_ms"])


def _half_body(_stage: Stage, values: Values) -> Effect:
    def cut(_subject: Subject, reply: Reply) -> Reply | None:
        if not reply.body:
            return None
        return replace(reply, cut_after=len(reply.body) * values["percent"] // _WHOLE_PERCENT)

    return Effect(change=cut)


def _html_page(_stage: Stage, values: Values) -> Effect:
    status = values["status"]
    page = _PAGE.format(status=status, text=_PAGE_TEXTS.get(status, "Error"))
    reply = Reply(status=status, body=page.encode(), content_type="text/html")
    return _instead(reply, values)


def _http_error(_stage: Stage, values: Values) -> Effect:
    reply = json_reply({"Error": values["text"]}, status=values["status"])
    return _instead(reply, values)


def _too_many_requests(_stage: Stage, values: Values) -> Effect:
    reply = too_frequent(values["limit"])
    if values["retry_after_s"]:
        reply = replace(reply, headers={"retry-after": str(values["retry_after_s"])})
    return _instead(reply, values)


def _suspended(stage: Stage, values: Values) -> Effect:
    seconds = values["seconds"]
    reply = suspended_key(seconds, limit=15) if values["form"] == "key" else suspended(seconds)

    def refuse(subject: Subject) -> Reply:
        if values["enforced"]:
            stage.seats[subject.place].app.gate.suspend(seconds)
        return reply

    return Effect(instead=refuse)


def _daily_quota(_stage: Stage, values: Values) -> Effect:
    return _instead(exhausted(values["daily"]), values)


def _refused_by_node(_stage: Stage, values: Values) -> Effect:
    reply = _REFUSALS[values["reason"]]()
    return Effect(instead=lambda _subject: reply)


def _gateway_limits(stage: Stage, values: Values) -> Effect:
    limits = Limits(
        keyed_rps=values["keyed_rps"],
        keyless_rps=values["keyless_rps"],
        daily=values["daily"],
        suspension_s=values["suspension_s"],
    )
    place = values["node"]
    chosen: list[Seat] = [*stage.seats] if place is None else [stage.seats[place]]

    def set_all(to: Limits) -> None:
        for seat in chosen:
            seat.app.gate.set_limits(to)

    def begin() -> str:
        set_all(limits)
        return ""

    return Effect(begin=begin, end=lambda: set_all(Limits()))


def _no_body(_stage: Stage, values: Values) -> Effect:
    return _instead(Reply(status=200), values)


def _stale_reply(stage: Stage, values: Values) -> Effect:
    """One answer from a backend that is behind, as a balancer in front of several gives."""

    def behind(subject: Subject) -> Undo | None:
        node = stage.nodes[subject.place]
        before = node.lag_blocks
        if not subject.name or node.chain.head.number == 0:
            return None
        try:
            node.lag(before + values["blocks_behind"])
        except ValueError:
            return None
        return lambda: node.lag(before)

    return Effect(around=behind)


def _early_solid(_stage: Stage, _values: Values) -> Effect:
    def divert(subject: Subject) -> HttpRequest | None:
        if not subject.is_solid or not subject.name:
            return None
        return replace(subject.request, path=f"/wallet/{subject.name}")

    return Effect(divert=divert)


_STATUS = "HTTP status"
_RATE_MAX = 100_000


def _rate(name: str, meaning: str) -> parameters.Parameter:
    return parameters.whole(name, meaning, low=1, high=_RATE_MAX, default=None)


SCENARIOS = (
    Scenario(
        name="request_lost",
        does="The connection ends without a byte before anything is done.",
        hazards=(4,),
        usual=BROADCASTS,
        parameters=(_SILENT_MS,),
        make=_request_lost,
        example={"count": 2},
        draw=lambda _chance, _bounds: {},
    ),
    Scenario(
        name="reply_lost",
        does="The request is carried out, then the connection ends without a byte.",
        hazards=(4,),
        usual=BROADCASTS,
        parameters=(_SILENT_MS,),
        make=_reply_lost,
        example={"count": 1, "path": "/wallet/broadcasthex"},
        draw=lambda _chance, _bounds: {},
    ),
    Scenario(
        name="connection_reset",
        does="The connection is reset.",
        hazards=(4, 22),
        parameters=(_CARRIED_OUT,),
        make=_connection_reset,
        example={"path": "/wallet/getnowblock"},
        draw=lambda chance, _bounds: {"carried_out": chance.random() < 0.5},  # noqa: PLR2004
    ),
    Scenario(
        name="slow",
        does="The node hears of the request late.",
        hazards=(19, 22),
        parameters=(
            parameters.whole(
                "delay_ms", "real milliseconds", low=1, high=_DELAY_MS_MAX, default=1_000
            ),
        ),
        make=_slow,
        example={"delay_ms": 500, "count": 3},
        draw=lambda chance, bounds: {"delay_ms": chance.randint(1, bounds.delay_ms_max)},
    ),
    Scenario(
        name="slow_reply",
        does="The request is carried out at once, the reply is late.",
        hazards=(4, 22),
        parameters=(
            parameters.whole(
                "delay_ms", "real milliseconds", low=1, high=_DELAY_MS_MAX, default=1_000
            ),
        ),
        make=_slow_reply,
        example={"delay_ms": 500, "path": "/wallet/broadcasttransaction"},
        draw=lambda chance, bounds: {"delay_ms": chance.randint(1, bounds.delay_ms_max)},
    ),
    Scenario(
        name="half_body",
        does="The reply names its length and ends before it.",
        hazards=(4, 8),
        parameters=(
            parameters.whole("percent", "how much of it is sent", low=0, high=99, default=50),
        ),
        make=_half_body,
        example={"path": "/wallet/getblockbynum", "percent": 50},
        draw=lambda chance, _bounds: {"percent": chance.randrange(_WHOLE_PERCENT)},
    ),
    Scenario(
        name="no_body",
        does="Status 200 and no body at all.",
        hazards=(4, 8),
        parameters=(_CARRIED_OUT,),
        make=_no_body,
        example={"path": "/wallet/broadcasthex", "carried_out": True},
        draw=lambda chance, _bounds: {"carried_out": chance.random() < 0.5},  # noqa: PLR2004
    ),
    Scenario(
        name="html_page",
        does="A gateway's page of HTML instead of JSON.",
        hazards=(4, 22),
        parameters=(
            parameters.whole("status", _STATUS, low=200, high=599, default=200),
            _CARRIED_OUT,
        ),
        make=_html_page,
        example={"status": 502, "path": "/wallet/getnowblock"},
        draw=lambda chance, _bounds: {
            "status": chance.choice([*_PAGE_TEXTS]),
            "carried_out": chance.random() < 0.5,  # noqa: PLR2004
        },
    ),
    Scenario(
        name="http_error",
        does="An HTTP status with an error as JSON.",
        hazards=(4, 22),
        parameters=(
            parameters.whole("status", _STATUS, low=400, high=599, default=500),
            parameters.text("text", "what `Error` says", most=1_000, default="internal error"),
            _CARRIED_OUT,
        ),
        make=_http_error,
        example={"status": 503},
        draw=lambda chance, _bounds: {"status": chance.choice([500, 502, 503, 504])},
    ),
    Scenario(
        name="too_many_requests",
        does="429 as TronGrid gives it; nothing is carried out.",
        hazards=(22,),
        parameters=(
            parameters.whole(
                "limit", "requests per second it names", low=1, high=1_000, default=15
            ),
            parameters.whole(
                "retry_after_s",
                "seconds in a retry-after header; 0 sends none",
                low=0,
                high=_SECONDS_MAX,
                default=0,
            ),
        ),
        make=_too_many_requests,
        example={"count": 3},
        draw=lambda _chance, _bounds: {},
    ),
    Scenario(
        name="suspended",
        does="403 with the seconds for which the client is shut out; enforced, everybody really is.",
        hazards=(22,),
        parameters=(
            parameters.whole("seconds", "how long", low=1, high=_SECONDS_MAX, default=5),
            parameters.choice("form", "whose limit it was", ("server", "key"), default="server"),
            parameters.flag("enforced", "shut the node for so many real seconds", default=False),
        ),
        make=_suspended,
        example={"seconds": 30},
        draw=lambda _chance, _bounds: {"seconds": 1},
    ),
    Scenario(
        name="daily_quota",
        does="403 because the day's requests are used up; the body is a text in quotes.",
        hazards=(22,),
        parameters=(
            parameters.whole("daily", "the quota it names", low=1, high=10**9, default=100_000),
        ),
        make=_daily_quota,
        example={"count": 5},
        draw=lambda _chance, _bounds: {},
    ),
    Scenario(
        name="gateway_limits",
        does="Requests are limited as on a public gateway, in real seconds.",
        hazards=(22,),
        occasion=Occasion.LASTING,
        parameters=(
            parameters.node("node", "which node, all if left out", default=None),
            _rate("keyed_rps", "requests per second with a key"),
            _rate("keyless_rps", "requests per second without one"),
            parameters.whole("daily", "requests of a key in all", low=1, high=10**9, default=None),
            parameters.whole(
                "suspension_s",
                "seconds shut out after one too many; 0: 429",
                low=0,
                high=_SECONDS_MAX,
                default=5,
            ),
        ),
        make=_gateway_limits,
        example={"keyless_rps": 10, "suspension_s": 5, "blocks": 20},
    ),
    Scenario(
        name="refused_by_node",
        does="A node that has no time, has the path switched off, or keeps no history, says so.",
        hazards=(22,),
        parameters=(parameters.choice("reason", "why", [*_REFUSALS], default="busy"),),
        make=_refused_by_node,
        example={"reason": "lite", "path": "/wallet/getblockbynum"},
        draw=lambda _chance, _bounds: {"reason": "busy"},
    ),
    Scenario(
        name="head_back",
        does="One answer comes from a backend that is some blocks behind: the head goes back.",
        hazards=(1, 8, 15),
        parameters=(parameters.whole("blocks_behind", "how far", low=1, high=60, default=3),),
        make=_stale_reply,
        example={"blocks_behind": 5, "path": "/wallet/getnowblock"},
        draw=lambda chance, bounds: {"blocks_behind": chance.randint(1, bounds.depth_max)},
    ),
    Scenario(
        name="early_solid",
        does="What is asked of the solid tree is answered at the head.",
        hazards=(8, 9),
        make=_early_solid,
        example={"path": "/walletsolidity/*", "count": 0},
    ),
)
