"""The watch list over HTTP."""

from typing import Final

from fastapi import APIRouter

from services.tron_client.domain.progress import NothingScanned
from services.tron_client.domain.rescans import TooManyRescans
from services.tron_client.routes.callers import Limit, Service, Watcher
from services.tron_client.scanner.coverage import NeverUnwatched
from shared.errors import BadCursor
from shared.feeds import MAX_PAGE
from shared.models.tron_client import (
    UnwatchRequest,
    WatchDigestView,
    WatchListView,
    WatchRequest,
    WatchView,
)
from shared.tron.address import parse_address
from shared.web.problems import declares

PATH: Final = "/api/v1/watches"
MAX_BODY_BYTES: Final = 4_194_304
"""A hundred thousand addresses of 34 characters, with what JSON puts around them."""

router = APIRouter(prefix=PATH, tags=["watches"])


@router.put("", responses=declares(NothingScanned, TooManyRescans))
async def watch(service: Service, _: Watcher, body: WatchRequest) -> WatchView:
    """Watch addresses; every transfer in a later block than the answer's height will be told."""
    watched = await service.coverage.watch(body.addresses, birth_height=body.birth_height)
    return WatchView(watched=watched.count, birth_height=watched.birth_height)


@router.delete("", responses=declares(NeverUnwatched))
async def unwatch(service: Service, _: Watcher, body: UnwatchRequest) -> WatchDigestView:
    """Forget addresses that nobody was ever shown; one that was paid stays, and all with it."""
    await service.coverage.unwatch(body.addresses)
    return await digest(service, _)


@router.get("/digest")
async def digest(service: Service, _: Watcher) -> WatchDigestView:
    """Return the count and digest of the watch list, to compare another list with."""
    found = await service.coverage.digest()
    return WatchDigestView(
        count=found.count, digest=found.digest, rescans_pending=found.rescans_pending
    )


@router.get("", responses=declares(BadCursor))
async def watches(
    service: Service, _: Watcher, cursor: str | None = None, limit: Limit = MAX_PAGE
) -> WatchListView:
    """Return a page of the watch list, ordered by address."""
    page = await service.coverage.page(cursor=cursor, limit=limit)
    return WatchListView(
        addresses=[parse_address(each.id) for each in page.items],
        count=service.coverage.count(),
        next=page.next,
    )
