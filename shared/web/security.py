"""What a route asks of its caller, written on the route."""

from typing import Any, Final, cast

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from shared.access import Scope
from shared.auth import Principal
from shared.config import SERVICES
from shared.errors import Forbidden, KeyRequired, Unauthenticated

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
MAX_KEY_CHARACTERS: Final = 255


class ScopeCheck:
    """A dependency that lets a principal pass who has at least one of the scopes."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> Principal:
        """Return the caller; raises Unauthenticated or MissingScope."""
        principal = principal_of(request)
        if principal is None:
            raise Unauthenticated("send a bearer token in the Authorization header")
        if not principal.scopes & set(self.scopes):
            principal.require(self.scopes[0])
        return principal


def requires(*scopes: Scope) -> Any:
    """Ask the caller for one of these scopes; goes inside ``Annotated[Principal, …]``."""
    return Depends(ScopeCheck(*scopes))


def principal_of(request: Request) -> Principal | None:
    """Return who the edge admitted, or None on an open path without a token."""
    return cast("Principal | None", getattr(request.state, "principal", None))


def require_own_name(principal: Principal, consumer: str) -> None:
    """Let nobody but a service itself say how far that service has come in a feed.

    What it acknowledged may be dropped (hazard H13), so that whoever said it in its name could make it
    lose what it has not read yet (hazard H18).

    Raises:
        Forbidden: the consumer is another service.
    """
    if consumer in SERVICES and principal.service != consumer:
        raise Forbidden(f"{consumer} says itself how far it has come", rule="consumer")


def scopes_asked(dependant: Dependant) -> frozenset[Scope]:
    """Return every scope that a route's own parameters and its router ask for."""
    checks = [dependency.call for dependency in dependant.dependencies]
    return frozenset(
        scope for check in checks if isinstance(check, ScopeCheck) for scope in check.scopes
    )


def idempotency_key(header: str | None, **natural_ids: str | None) -> str:
    """Return the key a money request goes by: the header, else the first natural id in the body.

    Args:
        header: the Idempotency-Key header, if sent.
        natural_ids: body fields that may stand for it, by name.

    Raises:
        KeyRequired: neither is there; the message names both ways out.
    """
    if header:
        return header
    for natural_id in natural_ids.values():
        if natural_id:
            return natural_id
    names = " or ".join(f"'{name}'" for name in natural_ids)
    raise KeyRequired(
        f"send an {KEY_HEADER} header (up to {MAX_KEY_CHARACTERS} characters) or {names} in the body,"
        " so that a repeat of this request cannot pay twice"
    )
