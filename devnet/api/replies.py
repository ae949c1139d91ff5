"""Replies that no handler gives: a servlet container's pages and a node that has no time."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

from devnet.api.exchange import HttpRequest, Reply

_PAGE = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>
<title>Error {status} {message}</title>
</head>
<body><h2>HTTP ERROR {status} {message}</h2>
<table>
<tr><th>URI:</th><td>{path}</td></tr>
<tr><th>STATUS:</th><td>{status}</td></tr>
<tr><th>MESSAGE:</th><td>{message}</td></tr>
<tr><th>SERVLET:</th><td>-</td></tr>
</table>

</body>
</html>
"""


def json_reply(document: Any, *, status: int = 200) -> Reply:
    """A document as JSON."""
    return Reply(status=status, body=msgspec.json.encode(document))


def error_page(request: HttpRequest, status: int, message: str) -> Reply:
    """Jetty's own answer: a page of HTML, or JSON where the client prefers it."""
    if _prefers_json(request.headers.get("accept", "")):
        document = {"url": request.path, "status": str(status), "message": message}
        return Reply(
            status=status,
            body=msgspec.json.encode(document),
            content_type="application/json",
        )
    page = _PAGE.format(status=status, message=escape(message), path=escape(request.path))
    return Reply(
        status=status,
        body=page.encode("latin-1", "replace"),
        content_type="text/html;charset=iso-8859-1",
    )


def not_found(request: HttpRequest) -> Reply:
    """No servlet is mapped to the path."""
    return error_page(request, 404, "Not Found")


def method_not_allowed(request: HttpRequest) -> Reply:
    """The servlet does not know the method."""
    message = f"HTTP method {request.method} is not supported by this URL"
    return error_page(request, 405, message)


def too_large(request: HttpRequest) -> Reply:
    """The body is longer than node.http.maxMessageSize (since 4.8.2)."""
    return error_page(request, 413, "Payload Too Large")


def out_of_resources() -> Reply:
    """A node of one's own that limits requests says so with status 200 (RateLimiterServlet)."""
    return json_reply(
        {"Error": "class java.lang.IllegalAccessException : lack of computing resources"}
    )


def closed_by_config() -> Reply:
    """The API is switched off on this node (HttpApiAccessFilter)."""
    return json_reply({"Error": "this API is unavailable due to config"}, status=404)


def closed_on_lite_node() -> Reply:
    """A lite node has no history; what it says is no JSON (LiteFnQueryHttpFilter)."""
    return Reply(body=b"this API is closed because this node is a lite fullnode")


def _prefers_json(accept: str) -> bool:
    """True if JSON is the first of the types a client accepts that Jetty can write."""
    for each in accept.split(","):
        kind = each.partition(";")[0].strip().lower()
        if kind in {"text/html", "text/*", "*/*"}:
            return False
        if kind in {"application/json", "text/json"}:
            return True
    return False
