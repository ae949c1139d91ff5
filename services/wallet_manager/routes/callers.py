"""What every route of wallet-manager takes: the service, and a caller with the right scope."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request

from services.wallet_manager.service import WalletManager
from shared.access import Scope
from shared.auth import Principal
from shared.web.application import service_of
from shared.web.security import KEY_HEADER, MAX_KEY_CHARACTERS, requires


def _service(request: Request) -> WalletManager:
    return service_of(request, WalletManager)


Service = Annotated[WalletManager, Depends(_service)]
Reader = Annotated[Principal, requires(Scope.WALLETS_READ)]
Creator = Annotated[Principal, requires(Scope.WALLETS_CREATE)]
Admin = Annotated[Principal, requires(Scope.WALLETS_ADMIN)]
SenderService = Annotated[Principal, requires(Scope.WALLETS_SEND)]
Key = Annotated[str | None, Header(alias=KEY_HEADER, min_length=1, max_length=MAX_KEY_CHARACTERS)]
Limit = Annotated[int, Query(ge=1, le=100)]
