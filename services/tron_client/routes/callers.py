"""What routes are handed: the service, and callers with the right they need."""

from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import StringConstraints

from services.tron_client.service import TronClient
from shared.access import Scope
from shared.auth import Principal
from shared.feeds import MAX_PAGE, MAX_WAIT_S
from shared.web.application import service_of
from shared.web.security import requires


def _service(request: Request) -> TronClient:
    return service_of(request, TronClient)


Service = Annotated[TronClient, Depends(_service)]
Reader = Annotated[Principal, requires(Scope.CHAIN_READ)]
Watcher = Annotated[Principal, requires(Scope.CHAIN_WATCH)]
Submitter = Annotated[Principal, requires(Scope.CHAIN_SUBMIT)]
Operator = Annotated[Principal, requires(Scope.OPS_ADMIN)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Wait = Annotated[int, Query(ge=0, le=MAX_WAIT_S)]
Consumer = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
