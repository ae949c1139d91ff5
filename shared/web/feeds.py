"""The feeds of a service, for its operator: what is kept, and who holds it back."""

from typing import Annotated, Protocol, runtime_checkable

from fastapi import APIRouter, Depends, Request, Response

from shared.access import Scope
from shared.auth import Principal
from shared.feed_keeping import FeedKeeper, UnknownConsumer
from shared.models.operations import FeedsView
from shared.web.application import service_of
from shared.web.problems import declares
from shared.web.security import requires


@runtime_checkable
class KeepsFeeds(Protocol):
    """A service with feeds."""

    @property
    def feeds(self) -> FeedKeeper:
        """Who keeps them."""
        ...


def _keeper(request: Request) -> FeedKeeper:
    service = service_of(request, object)
    if not isinstance(service, KeepsFeeds):
        raise TypeError(f"{type(service).__name__} has no feeds")
    return service.feeds


Keeper = Annotated[FeedKeeper, Depends(_keeper)]
Observer = Annotated[Principal, requires(Scope.OPS_READ)]
Operator = Annotated[Principal, requires(Scope.OPS_ADMIN)]

router = APIRouter(prefix="/api/v1/ops/feeds", tags=["operations"])


@router.get("")
async def feeds(keeper: Keeper, _: Observer) -> FeedsView:
    """Say of every feed what is kept and who has come how far."""
    return FeedsView(feeds=await keeper.standing())


@router.delete("/{feed}/consumers/{name}", status_code=204, responses=declares(UnknownConsumer))
async def dismiss(keeper: Keeper, operator: Operator, feed: str, name: str) -> Response:
    """Forget a consumer that will not come back; what it held back may then be dropped."""
    await keeper.dismiss(feed, name, by=operator.name)
    return Response(status_code=204)
