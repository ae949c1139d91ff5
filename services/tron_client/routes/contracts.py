"""Constant calls of contracts over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from services.tron_client.abi_reader import NotReadable, UnknownContract
from services.tron_client.domain.parameters import Parameters
from services.tron_client.node.client import CallAnswer
from services.tron_client.routes.callers import Reader, Service
from services.tron_client.service.chain import Stale
from services.tron_client.service.reads import Estimate
from shared.clock import rfc3339
from shared.errors import Unavailable
from shared.models.tron_client import CallRequest, CallsRequest, CallsView, CallView
from shared.models.tron_reads import EstimateRequest, EstimateView
from shared.models.wire import AddressText, Request, View
from shared.web.problems import declares

router = APIRouter(prefix="/api/v1/contracts", tags=["contracts"])


class ReadRequest(Request):
    """A view function and what it is given; integers may be strings."""

    function: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_$][A-Za-z0-9_$]{0,127}$")]
    arguments: Annotated[list[Any], Field(default_factory=list, max_length=16)]


class ReadView(View):
    """What a view function returned: integers as strings, bytes in hexadecimal."""

    result: Any


@router.post("/estimate", responses=declares(Stale, Unavailable))
async def estimate(service: Service, _: Reader, body: EstimateRequest) -> EstimateView:
    """Say how much energy a call would use now, and what that costs at the chain's price."""
    prices = service.chain.parameters()
    found = await service.reads.estimate(
        CallRequest(
            owner_address=body.owner_address,
            contract_address=body.contract_address,
            data=body.data,
        )
    )
    return _estimate_view(found, prices, age_ms=service.chain.age_ms(prices.read_at_ms))


@router.post("/calls", responses=declares(Unavailable))
async def calls(service: Service, _: Reader, body: CallsRequest) -> CallsView:
    """Run constant calls; a revert is a result."""
    answers = await service.reads.call(body.calls)
    return CallsView(calls=[_call_view(answer) for answer in answers])


@router.post("/{address}/read", responses=declares(NotReadable, UnknownContract, Unavailable))
async def read_contract(
    service: Service, _: Reader, address: AddressText, body: ReadRequest
) -> ReadView:
    """Call a view function by its name in the contract's own ABI."""
    result = await service.reads.read_contract(address, body.function, body.arguments)
    return ReadView(result=result)


def _estimate_view(found: Estimate, prices: Parameters, *, age_ms: int) -> EstimateView:
    answer = found.answer
    return EstimateView(
        energy_used=answer.energy_used,
        energy_penalty=answer.energy_penalty,
        energy_factor=found.energy_factor,
        energy_fee_sun=str(prices.energy_fee_sun),
        burned_sun=str(answer.energy_used * prices.energy_fee_sun),
        energy_available=found.energy_available,
        reverted=answer.is_reverted,
        revert_reason=answer.reason(),
        prices_as_of=rfc3339(prices.read_at_ms),
        prices_age_ms=age_ms,
    )


def _call_view(answer: CallAnswer) -> CallView:
    return CallView(
        result=answer.output,
        energy_used=answer.energy_used,
        energy_penalty=answer.energy_penalty,
        reverted=answer.is_reverted,
        revert_reason=answer.reason(),
    )
