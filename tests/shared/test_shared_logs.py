import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import logs
from shared.logs import REDACTED, clean, clean_text, request_id

part = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=12)
tokens = st.tuples(part, part, part).map(lambda parts: "eyJ" + ".".join(parts))

Written = Callable[[], list[dict[str, Any]]]


def test_a_log_line_is_one_json_object(written: Written) -> None:
    logs.get_logger("a").info("payout.confirmed", fee_sun=345_000, text="two\nlines")
    (line,) = written()
    assert line.pop("at").endswith("Z")
    assert line == {
        "service": "usdt-manager",
        "event": "payout.confirmed",
        "level": "info",
        "fee_sun": 345_000,
        "text": "two\nlines",
    }


def test_lines_below_the_level_are_not_written(written: Written) -> None:
    logs.get_logger("a").debug("node.asked")
    logging.getLogger("a library").debug("noise")
    assert written() == []


def test_a_line_carries_the_id_of_the_request(written: Written) -> None:
    marker = request_id.set("req-7")
    logs.get_logger("a").info("payout.created")
    logging.getLogger("a library").warning("slow")
    request_id.reset(marker)
    logs.get_logger("a").info("payout.created")
    assert [line.get("request_id") for line in written()] == ["req-7", "req-7", None]


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "secret",
        "shared_secret",
        "password",
        "passphrase",
        "mnemonic",
        "seed",
        "private_key",
        "Authorization",
        "api_key",
        "apiKey",
        "TRON-PRO-API-KEY",
        "signing_key",
        "jwt",
    ],
)
def test_a_field_that_sounds_like_a_secret_is_blanked(written: Written, name: str) -> None:
    logs.get_logger("a").info("key.loaded", **{name: "hush", "inner": {name: ["hush"]}})
    (line,) = written()
    assert line[name] == line["inner"][name] == REDACTED


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("sent Bearer abc.def now", f"sent Bearer {REDACTED} now"),
        ("authorization: bearer xyz", f"authorization: Bearer {REDACTED}"),
        ("http://ada:pw@node/x", f"http://{REDACTED}@node/x"),
        ("mongodb://ada:p@ss:w@db:27017/x", f"mongodb://{REDACTED}@db:27017/x"),
        ("https://node/x?api_key=abc&limit=5", f"https://node/x?api_key={REDACTED}&limit=5"),
        ("https://node/x?a=1&apikey=abc", f"https://node/x?a=1&apikey={REDACTED}"),
        ("https://node/x?access_token=abc", f"https://node/x?access_token={REDACTED}"),
        ("https://node/x?api-key=abc", f"https://node/x?api-key={REDACTED}"),
        ("/checkout/abcdefghijklmnop1234", f"/checkout/{REDACTED}"),
        ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2ln", REDACTED),
        ("cut short: eyJhbGciOiJFZERTQSJ9.eyJzdWIi", f"cut short: {REDACTED}"),
        ("https://node/x?mail=a@b", "https://node/x?mail=a@b"),
        ("an ordinary sentence", "an ordinary sentence"),
    ],
)
def test_a_text_that_looks_like_a_secret_is_cleaned(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


def test_an_exceptions_text_is_cleaned(written: Written) -> None:
    secret = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2ln"
    for log in (logs.get_logger("a"), logging.getLogger("a library")):
        try:
            int(f"the node refused {secret}")
        except ValueError:
            log.exception("node.refused")
    for line in written():
        assert "Traceback" in line["exception"]
        assert secret not in json.dumps(line)


def test_a_librarys_message_and_its_extras_are_cleaned(written: Written) -> None:
    logging.getLogger("a library").warning(
        "GET %s", "https://ada:pw@node/x", extra={"token": "hush"}
    )
    (line,) = written()
    assert line["event"] == f"GET https://{REDACTED}@node/x"
    assert line["token"] == REDACTED


@dataclass(frozen=True)
class Address:
    url: str


@pytest.mark.parametrize(
    "value",
    [
        ValueError("http://ada:hush@node"),
        Address(url="http://ada:hush@node"),
        Path("/x?token=hush"),
        b"hush",
        bytearray(b"hush"),
        memoryview(b"hush"),
        {"http://ada:hush@node": 1},
        MappingProxyType({"token": "hush"}),
        ("Bearer hush", {"Bearer hush"}),
        [[[{"deep": ["https://ada:hush@node"]}]]],
    ],
)
def test_a_value_of_any_shape_is_cleaned(written: Written, value: object) -> None:
    logs.get_logger("a").info("thing.told", value=value)
    (line,) = written()
    assert REDACTED in json.dumps(line)
    assert "hush" not in json.dumps(line)


@pytest.mark.parametrize("value", [2**255, -(2**255), "half \ud800 a pair", {(1, 2): 3}, {1, 2}])
def test_a_value_that_json_hardly_knows_is_written_all_the_same(
    written: Written, value: object
) -> None:
    logs.get_logger("a").info("thing.told", value=value)
    (line,) = written()
    assert line["value"]


@pytest.mark.parametrize("value", [None, True, 0, 1.5, 10**18])
def test_plain_values_stay_as_they_are(value: object) -> None:
    assert clean(value) is value


@given(tokens, st.text("<>(){};,'\" \n", max_size=20))
def test_nothing_of_a_token_is_written(token: str, around: str) -> None:
    values = [
        f"{around} {token} {around}",
        f"Bearer {token}",
        {"token": token, "other": [token, {"url": f"https://x/?token={token}"}]},
        ValueError(token),
        token.encode(),
        token[:-10],
    ]
    told = json.dumps(clean({"values": values}))
    assert not any(piece in told for piece in token.split("."))


def test_noisy_libraries_are_quiet(written: Written) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET https://node/?api_key=abc")
    assert written() == []
    assert logging.getLogger("httpx").level == logging.WARNING
