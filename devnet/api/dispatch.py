"""From a request's path and method to a handler, and from its document or error to a reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from devnet.api import table
from devnet.api.builders import Handler
from devnet.api.exchange import HttpRequest, Reply
from devnet.api.replies import json_reply, method_not_allowed, not_found
from devnet.api.request import Request, parsed_request
from devnet.api.view import BlockPrinter, View
from devnet.json_format import JavaError, ParseError, is_true
from devnet.node import Node
from devnet.rejection import RejectedError

_VALIDATE_ERROR = "org.tron.core.exception.ContractValidateException"
# What java-tron keeps in 32 bits stays a number where 64-bit integers become texts.
_SHORT_INTEGERS = frozenset({"Permission_id", "version", "id", "parent_id", "type", "port"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A handler with the view it looks at."""

    name: str
    handler: Handler
    view: View


class Dispatcher:
    """`/wallet/*` at the head of a node's chain and `/walletsolidity/*` at its solid height."""

    def __init__(self, node: Node) -> None:
        printer = BlockPrinter()
        full = View(node=node, printer=printer, solid=False)
        solid = View(node=node, printer=printer, solid=True)
        self._endpoints = {
            f"/wallet/{name}": Endpoint(name=name, handler=handler, view=full)
            for name, handler in (table.IN_BOTH_TREES | table.IN_FULL_TREE).items()
        } | {
            f"/walletsolidity/{name}": Endpoint(name=name, handler=handler, view=solid)
            for name, handler in table.IN_BOTH_TREES.items()
        }
        self._endpoints |= {
            path: self._endpoints[f"/wallet/{name}"] for path, name in table.ALIASES.items()
        }

    def ask(self, path: str, **params: Any) -> Any:
        """The document that a path answers with, asked from within and in hex.

        Raises:
            JavaError: A parameter does not fit.
        """
        endpoint = self._endpoints[path]
        asked = Request(params=params, visible=False, visible_in_query=False)
        return endpoint.handler(endpoint.view, asked)

    def reply(self, request: HttpRequest) -> Reply:
        """Answer as java-tron's servlets do: errors come with status 200."""
        endpoint = self._endpoints.get(request.path)
        if endpoint is None:
            return not_found(request)
        is_get = request.method in {"GET", "HEAD"}
        if not is_get and request.method != "POST":
            return method_not_allowed(request)
        if is_get and endpoint.name in table.POST_ONLY:
            return method_not_allowed(request)
        if is_get and endpoint.name in table.SILENT_ON_GET:
            return Reply()
        return self._asked(endpoint, request, is_get=is_get)

    def _asked(self, endpoint: Endpoint, request: HttpRequest, *, is_get: bool) -> Reply:
        try:
            asked = parsed_request(
                is_get=is_get,
                query=request.query,
                body=request.body,
                content_type=request.headers.get("content-type", ""),
            )
            document = endpoint.handler(endpoint.view, asked)
        except ParseError as error:
            document = _error(error.within(request.body.decode("utf-8", "replace")))
        except JavaError as error:
            document = _error(error)
        except RejectedError as error:
            document = _error(JavaError(_VALIDATE_ERROR, error.detail))
        else:
            if is_get and is_true(asked.params.get("int64_as_string")):
                document = _with_texts(document)
            return json_reply(document)
        if endpoint.name in table.SILENT_ON_ERROR:
            return Reply()
        return json_reply(document)


def _error(error: JavaError) -> dict[str, str]:
    return {"Error": str(error)}


def _with_texts(document: Any) -> Any:
    """The document with 64-bit integers as texts (int64_as_string, since 4.8.2)."""
    match document:
        case msgspec.Raw():
            return _with_texts(msgspec.json.decode(document))
        case dict():
            return {
                name: value
                if isinstance(value, int) and name in _SHORT_INTEGERS
                else _with_texts(value)
                for name, value in document.items()
            }
        case list():
            return [_with_texts(each) for each in document]
        case int() if not isinstance(document, bool):
            return str(document)
        case _:
            return document
