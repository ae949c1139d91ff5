"""trx-staking's routes."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from services.trx_staking.domain import Order, StakeRefused
from services.trx_staking.service import TrxStaking
from shared.access import Scope
from shared.auth import Principal
from shared.errors import BadCursor, InvalidFields, KeyRequired, KeyReused, NotFound, Unavailable
from shared.models.trx_staking import (
    AccountResourcesView,
    StakeAction,
    StakeListView,
    StakeRequest,
    StakeView,
    StakingStatusView,
)
from shared.models.wire import AddressText
from shared.money import parse_trx
from shared.web.application import service_of
from shared.web.problems import declares
from shared.web.security import (
    KEY_HEADER,
    MAX_KEY_CHARACTERS,
    REPLAYED_HEADER,
    idempotency_key,
    requires,
)


def _service(request: Request) -> TrxStaking:
    return service_of(request, TrxStaking)


Service = Annotated[TrxStaking, Depends(_service)]
Reader = Annotated[Principal, requires(Scope.STAKING_READ)]
Manager = Annotated[Principal, requires(Scope.STAKING_MANAGE)]
KeyHeader = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        max_length=MAX_KEY_CHARACTERS,
        description="Names this request; a repeat under the same key returns the first answer.",
    ),
]

CREATE_PROBLEMS = declares(
    InvalidFields, KeyRequired, StakeRefused, NotFound, KeyReused, Unavailable
)

router = APIRouter(prefix="/api/v1/staking", tags=["staking"])


@router.post("/freeze", status_code=HTTPStatus.CREATED, responses=CREATE_PROBLEMS)
async def freeze(
    service: Service, who: Manager, body: StakeRequest, response: Response, key: KeyHeader = None
) -> StakeView:
    """Stake TRX of a wallet for energy or bandwidth."""
    named = idempotency_key(key, request_id=body.request_id)
    order = _order(body, StakeAction.FREEZE)
    taken = await service.create(order, principal=who.name, key=named)
    _mark(response, replayed=taken.replayed)
    return taken.view


@router.post("/unfreeze", status_code=HTTPStatus.CREATED, responses=CREATE_PROBLEMS)
async def unfreeze(
    service: Service, who: Manager, body: StakeRequest, response: Response, key: KeyHeader = None
) -> StakeView:
    """Begin to take staked TRX of a wallet back."""
    named = idempotency_key(key, request_id=body.request_id)
    order = _order(body, StakeAction.UNFREEZE)
    taken = await service.create(order, principal=who.name, key=named)
    _mark(response, replayed=taken.replayed)
    return taken.view


@router.get("/orders", responses=declares(BadCursor, Unavailable))
async def orders(
    service: Service,
    _: Reader,
    cursor: Annotated[str | None, Query(max_length=2_048)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> StakeListView:
    """List stake orders, newest first."""
    return await service.orders(cursor=cursor, limit=limit)


@router.get("/orders/{stake_id}", responses=declares(NotFound, Unavailable))
async def order(service: Service, _: Reader, stake_id: str) -> StakeView:
    """Return a stake order as it stands."""
    return await service.order(stake_id)


@router.get("/status/{address}", responses=declares(InvalidFields, Unavailable))
async def status(service: Service, _: Reader, address: AddressText) -> StakingStatusView:
    """Return what an address has staked and what is on its way out."""
    return await service.status(address)


@router.get("/resources/{address}", responses=declares(InvalidFields, Unavailable))
async def resources(service: Service, _: Reader, address: AddressText) -> AccountResourcesView:
    """Return the energy and bandwidth that an address can use now."""
    return await service.resources(address)


def _mark(response: Response, *, replayed: bool) -> None:
    if replayed:
        response.headers[REPLAYED_HEADER] = "true"


def _order(body: StakeRequest, action: StakeAction) -> Order:
    return Order(
        action=action,
        wallet_id=body.wallet_id,
        resource=body.resource,
        amount_sun=parse_trx(body.amount),
    )
