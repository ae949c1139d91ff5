"""What routes are handed: the service, and callers with the right they need."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request

from services.payment_gateway.service.gateway import PaymentGateway
from shared.access import Scope
from shared.auth import Principal
from shared.web.application import service_of
from shared.web.security import KEY_HEADER, MAX_KEY_CHARACTERS, requires


def _service(request: Request) -> PaymentGateway:
    return service_of(request, PaymentGateway)


Service = Annotated[PaymentGateway, Depends(_service)]
Creator = Annotated[Principal, requires(Scope.INVOICES_CREATE)]
Reader = Annotated[Principal, requires(Scope.INVOICES_READ)]
Admin = Annotated[Principal, requires(Scope.OPS_ADMIN)]
WalletReader = Annotated[Principal, requires(Scope.WALLETS_READ)]
UsdtReader = Annotated[Principal, requires(Scope.USDT_READ)]
StakingReader = Annotated[Principal, requires(Scope.STAKING_READ)]
ChainReader = Annotated[Principal, requires(Scope.CHAIN_READ)]

Key = Annotated[str | None, Header(alias=KEY_HEADER, max_length=MAX_KEY_CHARACTERS)]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=512)]
