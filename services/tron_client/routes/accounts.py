"""Accounts and addresses over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path

from services.tron_client.domain.accounts import account_view
from services.tron_client.routes.callers import Reader, Service
from services.tron_client.service.reads import AddressCheck
from shared.clock import rfc3339
from shared.errors import Unavailable
from shared.models.tron_client import AccountView
from shared.models.tron_reads import AccountsRequest, AccountsView, AddressCheckView, HoldingsView
from shared.models.wire import AddressText
from shared.web.problems import declares

AnyText = Annotated[str, Path(max_length=128)]

router = APIRouter(prefix="/api/v1", tags=["accounts"])


@router.post("/accounts/lookup", responses=declares(Unavailable))
async def accounts(service: Service, _: Reader, body: AccountsRequest) -> AccountsView:
    """Return accounts with their USDT as a node tells them now, in the order asked for."""
    as_of_ms = service.chain.now_ms()
    found = await service.reads.holdings(body.addresses)
    return AccountsView(
        accounts=[
            HoldingsView(account=account_view(each.account), usdt_base_units=str(each.usdt))
            for each in found
        ],
        as_of=rfc3339(as_of_ms),
    )


@router.get("/accounts/{address}", responses=declares(Unavailable))
async def account(service: Service, _: Reader, address: AddressText) -> AccountView:
    """Return an account as a node tells it now."""
    return account_view(await service.reads.account(address))


@router.get("/addresses/{text}")
async def address(service: Service, _: Reader, text: AnyText) -> AddressCheckView:
    """Say whether a text is an address, why not, and what is there."""
    return _check_view(await service.reads.check(text))


def _check_view(check: AddressCheck) -> AddressCheckView:
    if check.address is None:
        return AddressCheckView(valid=False, reason=check.reason)
    holder = check.holder
    return AddressCheckView(
        valid=True,
        reason=None,
        written_as=check.written_as,
        address=check.address,
        is_zero=check.is_zero,
        watched=check.is_watched,
        activated=holder and holder.is_activated,
        is_contract=holder and holder.is_contract,
        usdt_blacklisted=holder and holder.is_blacklisted,
    )
