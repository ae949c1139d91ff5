"""JSON lines on standard output, each with its request id, none with a secret.

An event is ``noun.past`` and constant; values are fields. Redaction works twice: fields whose name
sounds like a secret are blanked, and texts that look like a token or carry one in a URL are cleaned.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, cast

import msgspec
import structlog

REDACTED: Final = "[redacted]"

_SECRET_NAME: Final = re.compile(
    r"(secret|token|password|passphrase|mnemonic|seed|private|authorization|api[-_]?key|signing_key|jwt)",
    re.IGNORECASE,
)
_JWT: Final = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}")
_BEARER: Final = re.compile(r"(?i)\bbearer\s+\S+")
_URL_CREDENTIALS: Final = re.compile(r"(?<=://)[^/?#\s]+@")
_URL_KEY: Final = re.compile(r"(?i)([?&][\w.-]*(?:key|token|secret|password|signature)=)[^&\s]+")
_CHECKOUT: Final = re.compile(r"(/(?:checkout|pay)/)[\w-]{16,}")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being served, for logs and for calls to siblings."""

Event = MutableMapping[str, Any]


def clean_text(text: str) -> str:
    """Blank what looks like a token, a key or credentials inside a text."""
    text = text.encode(errors="backslashreplace").decode()  # half a surrogate pair is not JSON
    text = _JWT.sub(REDACTED, text)
    text = _BEARER.sub(f"Bearer {REDACTED}", text)
    text = _URL_CREDENTIALS.sub(f"{REDACTED}@", text)
    text = _URL_KEY.sub(rf"\1{REDACTED}", text)
    return _CHECKOUT.sub(rf"\1{REDACTED}", text)


def clean(value: object) -> object:
    """Clean a value of any shape: mappings by field name, texts by their look."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {
                clean_text(str(key)): REDACTED if _SECRET_NAME.search(str(key)) else clean(inner)
                for key, inner in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [clean(inner) for inner in value]
        case bytes() | bytearray() | memoryview():
            return REDACTED
        case _:
            return clean_text(str(value))


def _redact(_logger: object, _method: str, event: Event) -> Event:
    event.pop("color_message", None)  # uvicorn's second rendering of the same line
    return cast("Event", clean(dict(event)))


def _add_request_id(_logger: object, _method: str, event: Event) -> Event:
    if current := request_id.get():
        event["request_id"] = current
    return event


def _render(_logger: object, _method: str, event: Event) -> str:
    return msgspec.json.encode(event).decode()


def configure(*, service: str, level: str) -> None:
    """Send this process's logs, the libraries' included, to standard output as JSON lines."""

    def add_service(_logger: object, _method: str, event: Event) -> Event:
        return {"service": service, **event}

    chain: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        add_service,
        _add_request_id,
        structlog.processors.format_exc_info,
        structlog.stdlib.ExtraAdder(),
        _redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    logging.raiseExceptions = (
        False  # a line that cannot be written is not told with all it was made of
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    return structlog.stdlib.get_logger(name)
