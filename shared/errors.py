"""The errors that callers see, each with a status, a stable code and the facts.

::

    Problem
    ├── BadRequest            400  LUCID_ERR_1000  malformed input, with the field
    │   ├── InvalidFields     400  LUCID_ERR_1001
    │   ├── KeyRequired       400  LUCID_ERR_1002  a money POST without a key
    │   └── BadCursor         400  LUCID_ERR_1003
    ├── Unauthenticated       401  LUCID_ERR_1100
    ├── Forbidden             403  LUCID_ERR_1200  a policy or a scope says no
    │   └── MissingScope      403  LUCID_ERR_1201
    ├── NotFound              404  LUCID_ERR_1300
    ├── Conflict              409  LUCID_ERR_1400
    │   ├── KeyReused         409  LUCID_ERR_1401  same key, other body
    │   └── InsufficientFunds 409  LUCID_ERR_1402  with the amounts
    ├── BodyTooLarge          413  LUCID_ERR_1500
    ├── BodyTooSlow           408  LUCID_ERR_1501
    ├── TooManyRequests       429  LUCID_ERR_1600
    └── Unavailable           503  LUCID_ERR_1900  a peer, a node or a setting is missing
        ├── NotReady          503  LUCID_ERR_1901
        └── Overloaded        503  LUCID_ERR_1903

Services add their own beside the domain that raises them, in the range of their port's last two
digits (payout-router 8092: LUCID_ERR_92xx).
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

TYPE_URI_PREFIX = "urn:lucid:problem:"


class Problem(Exception):
    """Something a caller is told about, as ``application/problem+json`` (RFC 9457).

    Attributes:
        status: HTTP status.
        code: stable machine-readable code.
        title: what kind of problem this is, the same for every occurrence.
        detail: this occurrence, in a sentence.
        facts: extension members: strings, integers, lists and mappings of them.
        retry_after_s: seconds after which a repeat may succeed, if that is known.
    """

    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "LUCID_ERR_1999"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, retry_after_s: int | None = None, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts: Mapping[str, object] = facts
        self.retry_after_s = retry_after_s

    def document(self, *, request_id: str, instance: str) -> dict[str, object]:
        """Return the RFC 9457 members of this occurrence, and the facts: no fact takes a member's place."""
        members: dict[str, object] = {
            "type": f"{TYPE_URI_PREFIX}{self.code}",
            "title": self.title,
            "status": int(self.status),
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
        }
        return {**self.facts, **members}


class BadRequest(Problem):
    """The request is malformed."""

    status = HTTPStatus.BAD_REQUEST
    code = "LUCID_ERR_1000"
    title = "Malformed request"


class InvalidFields(BadRequest):
    """One or more fields are wrong; ``errors`` lists each field with its reason."""

    code = "LUCID_ERR_1001"
    title = "Invalid fields"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        named = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
        super().__init__(named or "the request body is invalid", errors=errors)


class KeyRequired(BadRequest):
    """A POST that moves money came without an idempotency key or natural id."""

    code = "LUCID_ERR_1002"
    title = "Idempotency key required"


class BadCursor(BadRequest):
    """A cursor was not issued by this list or feed."""

    code = "LUCID_ERR_1003"
    title = "Invalid cursor"


class Unauthenticated(Problem):
    """No token, or one that does not verify."""

    status = HTTPStatus.UNAUTHORIZED
    code = "LUCID_ERR_1100"
    title = "Authentication required"


class Forbidden(Problem):
    """The caller is known and a rule says no; ``rule`` names it."""

    status = HTTPStatus.FORBIDDEN
    code = "LUCID_ERR_1200"
    title = "Forbidden"


class MissingScope(Forbidden):
    """The token lacks the scope that the route needs."""

    code = "LUCID_ERR_1201"
    title = "Missing scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"this call needs the scope {scope}", scope=scope)


class NotFound(Problem):
    """There is no such object, or none that this caller may see."""

    status = HTTPStatus.NOT_FOUND
    code = "LUCID_ERR_1300"
    title = "Not found"


class Conflict(Problem):
    """The object's state does not allow it."""

    status = HTTPStatus.CONFLICT
    code = "LUCID_ERR_1400"
    title = "Conflict"


class KeyReused(Conflict):
    """The idempotency key was used before with another body."""

    code = "LUCID_ERR_1401"
    title = "Idempotency key reused"


class InsufficientFunds(Conflict):
    """The wallet cannot cover it; the amounts are among the facts."""

    code = "LUCID_ERR_1402"
    title = "Insufficient funds"


class BodyTooLarge(Problem):
    """The body exceeds the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "LUCID_ERR_1500"
    title = "Body too large"


class BodyTooSlow(Problem):
    """The body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "LUCID_ERR_1501"
    title = "Body too slow"


class TooManyRequests(Problem):
    """The caller exceeds its rate."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "LUCID_ERR_1600"
    title = "Too many requests"


class Unavailable(Problem):
    """A peer, a node or the database is away; the request changed nothing that a repeat would double."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "LUCID_ERR_1900"
    title = "Unavailable"


class NotReady(Unavailable):
    """This service lacks something it needs before it can take business calls."""

    code = "LUCID_ERR_1901"
    title = "Not ready"


class Overloaded(Unavailable):
    """As many requests are under way as this service takes on."""

    code = "LUCID_ERR_1903"
    title = "Overloaded"


class InternalError(Problem):
    """A defect of ours; the details are in the log under the request id."""
