"""Messages signed for a wallet, and verified for anybody (TIP-191 version 2); never a transaction."""

from collections.abc import Callable
from dataclasses import dataclass

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.stops import SigningStopped
from services.wallet_manager.domain.wallets import CannotSign, Wallet
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.vault import SignatureRefused, Vault
from shared.errors import InvalidFields
from shared.models.wallet_manager import MessageText
from shared.tron.address import Address
from shared.tron.tip191 import MessageTooLong, message_signer, tip191_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """A message's digest of 32 bytes, and the 65 bytes of signature over it."""

    address: Address
    digest: bytes
    signature: bytes


class Messages:
    """Signs messages under the same locks as transactions.

    Args:
        held_back: says why nothing is signed for a wallet, or None.
    """

    def __init__(
        self, *, vault: Vault, audit: Audit, held_back: Callable[[str], str | None]
    ) -> None:
        self._vault = vault
        self._audit = audit
        self._held_back = held_back

    async def sign(self, wallet: Wallet, told: MessageText, *, by: str) -> SignedMessage:
        """Sign a message with the key of the wallet's own address; written down before it is shown.

        Raises:
            InvalidFields: the message is no hexadecimal text, or too long.
            CannotSign: the wallet is not active, or its key is elsewhere.
            SigningStopped: somebody or something stopped the signing.
            VaultLocked: the vault is locked.
        """
        message = _bytes_of(told)
        digest = tip191_digest(message)
        key = wallet.require_signing()
        if (reason := self._held_back(wallet.id)) is not None:
            raise SigningStopped(reason, scope=wallet.id)
        try:
            signature = self._vault.sign_message(message, leaf=key)
        except SignatureRefused as refused:
            raise CannotSign(str(refused), wallet_id=wallet.id) from None
        if message_signer(message, signature) != wallet.address:
            raise CannotSign("the key at this leaf is not that of the wallet", wallet_id=wallet.id)
        await self._audit.note(
            self._audit.decision(Act.MESSAGE_SIGNED, wallet.id, who=by, digest=digest.hex())
        )
        return SignedMessage(address=wallet.address, digest=digest, signature=signature)

    def signer(self, told: MessageText, signature: str) -> Address | None:
        """Return whose key signed a message, or None; raises InvalidFields."""
        return message_signer(_bytes_of(told), bytes.fromhex(signature))


def _bytes_of(told: MessageText) -> bytes:
    try:
        raw = bytes.fromhex(told.message) if told.encoding == "hex" else told.message.encode()
        tip191_digest(raw)
    except (MessageTooLong, ValueError) as error:
        said = str(error) if isinstance(error, MessageTooLong) else "it is not what encoding says"
        raise InvalidFields([{"field": "message", "message": said}]) from None
    return raw
