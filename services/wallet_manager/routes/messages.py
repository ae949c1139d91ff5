"""Routes of messages: signed for a wallet, verified for anybody (TIP-191 version 2)."""

from fastapi import APIRouter

from services.wallet_manager.domain.stops import SigningStopped
from services.wallet_manager.domain.wallets import CannotSign, UnknownWallet
from services.wallet_manager.routes.callers import Admin, Reader, Service
from services.wallet_manager.vault import VaultLocked
from shared.errors import InvalidFields, Unavailable
from shared.models.wallet_manager import (
    MessageText,
    SignedMessageView,
    VerifiedMessageView,
    VerifyMessageRequest,
)
from shared.web.problems import declares

router = APIRouter(prefix="/api/v1", tags=["messages"])


@router.post(
    "/wallets/{wallet_id}/messages/sign",
    responses=declares(
        InvalidFields, UnknownWallet, CannotSign, SigningStopped, VaultLocked, Unavailable
    ),
)
async def sign_message(
    service: Service, caller: Admin, wallet_id: str, body: MessageText
) -> SignedMessageView:
    """Sign a message with the key of the wallet's own address; it can never be a transaction."""
    found = await service.wallets.find(wallet_id)
    signed = await service.messages.sign(found, body, by=caller.name)
    return SignedMessageView(
        address=signed.address, digest=signed.digest.hex(), signature=signed.signature.hex()
    )


@router.post("/messages/verify", responses=declares(InvalidFields))
async def verify_message(
    service: Service, _: Reader, body: VerifyMessageRequest
) -> VerifiedMessageView:
    """Say whether an address signed a message."""
    signer = service.messages.signer(body, body.signature)
    return VerifiedMessageView(valid=signer == body.address, signer=signer)
