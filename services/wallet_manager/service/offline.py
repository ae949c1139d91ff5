"""Transactions that leave unsigned: exported, signed elsewhere, imported, followed (hazard H7).

From the moment the bytes exist they are an attempt: hold kept, txid known, no cancelling. Whoever holds
them may complete them until they expire, so only the chain ends them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final, Protocol

from services.wallet_manager.domain.awaited import Awaited
from services.wallet_manager.domain.sends import (
    Attempt,
    ForeignSignature,
    Hold,
    NotAwaitingSignature,
    Send,
)
from services.wallet_manager.service.ledger import Ledger
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.clock import Clock
from shared.errors import NotFound
from shared.logs import get_logger
from shared.models.tron_client import AccountView, SigningContextView
from shared.models.tron_transactions import OutgoingTransactionView, OutgoingView
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.tron.address import Address
from shared.tron.signing import InvalidSignature, recover_address

log = get_logger(__name__)

BLOCKS: Final = 1_000
PAGE: Final = 100


class Chain(Protocol):
    """Knows accounts and solid blocks: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return the solid head, among others."""
        ...

    async def account(self, address: Address) -> AccountView:
        """Return an account with its permissions."""
        ...

    async def outgoing(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingView:
        """Return transactions of owners in solid blocks, maybe of fewer blocks than asked for."""
        ...


class Offline:
    """Exports unsigned transactions, takes signatures in and follows what left."""

    def __init__(
        self, *, store: WalletStore, chain: Chain, clock: Clock, books_lock: asyncio.Lock
    ) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._books_lock = books_lock

    async def unsigned(self, send_id: str) -> Awaited:
        """Return what is to be signed elsewhere.

        Raises:
            NotFound: there is no such send.
            NotAwaitingSignature: none of its transactions waits for a signature.
            CannotSign: its wallet is not active.
        """
        send = await self._store.send(send_id)
        if send is None:
            raise NotFound("there is no such send", send_id=send_id)
        await self._require_active(send.wallet_id)
        attempt = await self._store.attempt(send.txid) if send.txid else None
        if send.state is not SendState.AWAITING_SIGNATURE or attempt is None:
            raise NotAwaitingSignature(f"it is {send.state}", send_id=send_id)
        threshold, weights = await self._permission(send)
        signers = tuple(_signer(attempt, bytes.fromhex(one)) for one in attempt.signatures)
        return Awaited(
            send=send, attempt=attempt, threshold=threshold, weights=weights, signers=signers
        )

    async def add(self, send_id: str, signatures: Sequence[str]) -> Awaited:
        """Take signatures in; with enough of them the transaction goes on its way.

        A signature that is there already is taken again without harm.

        Raises:
            NotFound: there is no such send.
            NotAwaitingSignature: none of its transactions waits for a signature.
            ForeignSignature: one that no key of the permission made over these bytes; none is kept.
            CannotSign: its wallet is not active.
        """
        awaited = await self.unsigned(send_id)
        for text in signatures:
            signer = _signer(awaited.attempt, bytes.fromhex(text))
            if signer not in awaited.weights:
                raise ForeignSignature(
                    f"{signer} may not sign for this account", signer=signer, send_id=send_id
                )
            if signer in awaited.signers:
                continue
            attempt = replace(awaited.attempt, collected=(*awaited.attempt.collected, text))
            awaited = replace(awaited, attempt=attempt, signers=(*awaited.signers, signer))
        await self._keep(awaited)
        return awaited

    async def follow(self) -> bool:
        """Find out what became of transactions whose time is over; True when there may be more.

        An expired one is proved absent from every solid block from its reference to the first one
        past its expiration. One that is there was completed elsewhere, and is handed on as it is.
        """
        solid = (await self._chain.signing_context()).solid
        cursor: str | None = None
        while True:
            page = await self._store.in_state(
                SendState.AWAITING_SIGNATURE, limit=PAGE, cursor=cursor
            )
            for send in page.items:
                if send.expires_at_ms is not None and solid.timestamp_ms >= send.expires_at_ms:
                    await self._settle(send, solid.height)
            cursor = page.next
            if cursor is None:
                return False

    async def _settle(self, send: Send, solid_height: int) -> None:
        attempt = await self._store.attempt(send.txid or "")
        if attempt is None:
            raise NotAwaitingSignature("its transaction is gone", send_id=send.id)
        found = await self._find(attempt, solid_height)
        async with self._books_lock:
            now = await self._store.send(send.id)
            if now is None or now.state is not SendState.AWAITING_SIGNATURE:
                return
            change = Change()
            if found is not None:
                change.attempt(replace(attempt, collected=tuple(found.signatures)))
                after = replace(now.moved(SendState.SIGNED, at_ms=self._clock.now_ms()), due_ms=0)
            else:
                after = await self._expired(now, change)
            change.send(after, send_view(after))
            await self._store.commit(change)

    async def _find(self, attempt: Attempt, solid_height: int) -> OutgoingTransactionView | None:
        first = attempt.reference_height + 1
        while first <= solid_height:
            last = min(solid_height, first + BLOCKS - 1)
            answer = await self._chain.outgoing(
                [attempt.owner], first_height=first, last_height=last
            )
            for one in answer.transactions:
                if one.txid == attempt.id:
                    return one
            if answer.last_height < first:
                raise NotAwaitingSignature("tron-client has not read those blocks yet")
            first = answer.last_height + 1
        return None

    async def _expired(self, send: Send, change: Change) -> Send:
        ledger = Ledger(self._store)
        await ledger.load((send.owner, currency) for currency in Currency)
        ledger.release(send.owner, send.hold)
        ledger.write(change)
        ended = send.moved(SendState.EXPIRED, at_ms=self._clock.now_ms())
        log.warning("send.never_signed", send_id=send.id, txid=send.txid)
        return replace(
            ended,
            hold=Hold(),
            refusal_rule="expired",
            refusal_detail="nobody completed its signatures in time; proved absent from the chain",
        )

    async def _keep(self, awaited: Awaited) -> None:
        now_ms = self._clock.now_ms()
        async with self._books_lock:
            change = Change()
            change.attempt(awaited.attempt)
            after = awaited.send
            if awaited.is_complete:
                after = replace(after.moved(SendState.SIGNED, at_ms=now_ms), due_ms=now_ms)
            else:
                told = f"signatures: {awaited.weight} of {awaited.threshold} are there"
                after = replace(after, waiting_for=told, updated_at_ms=now_ms)
            change.send(after, send_view(after))
            await self._store.commit(change)

    async def _require_active(self, wallet_id: str) -> None:
        wallet = await self._store.wallet(wallet_id)
        if wallet is not None:
            wallet.require_active()

    async def _permission(self, send: Send) -> tuple[int, Mapping[Address, int]]:
        """Return threshold and weights; an account without permissions is signed for by its own key."""
        told = (await self._chain.account(send.owner)).permissions
        if told is None:
            return 1, {send.owner: 1}
        known = [told.owner, *([told.witness] if told.witness else []), *told.active]
        for one in known:
            if one.permission_id == send.permission_id:
                return one.threshold, {key.address: key.weight for key in one.keys}
        raise NotAwaitingSignature(
            f"the account has no permission {send.permission_id}", send_id=send.id
        )


def _signer(attempt: Attempt, signature: bytes) -> Address:
    digest = sha256(bytes.fromhex(attempt.raw_data)).digest()
    try:
        return recover_address(digest, signature)
    except InvalidSignature as error:
        raise ForeignSignature(error.reason, send_id=attempt.send_id) from None
