"""Transactions that leave unsigned: exported, signed elsewhere, imported, followed (hazard H7).

From the moment the bytes exist they are an attempt: hold kept, txid known, no cancelling. Whoever holds
them may complete them until they expire, so only the chain ends them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final, Protocol

from services.wallet_manager.domain.audit import Act, Decision
from services.wallet_manager.domain.awaited import Awaited
from services.wallet_manager.domain.sends import (
    Attempt,
    ForeignSignature,
    Hold,
    NotAwaitingSignature,
    Send,
)
from services.wallet_manager.domain.stops import SigningStopped
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.ledger import Ledger
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.clock import Clock
from shared.errors import NotFound, Problem
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
    """Exports unsigned transactions, takes signatures in and follows what left.

    Args:
        held_back: says why nothing is signed for a wallet, here or elsewhere, or None.
        is_all_back: false as long as bytes may be under way of which no record is here (hazard H5).
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        chain: Chain,
        audit: Audit,
        clock: Clock,
        held_back: Callable[[str], str | None],
        is_all_back: Callable[[], bool],
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._chain = chain
        self._audit = audit
        self._clock = clock
        self._held_back = held_back
        self._is_all_back = is_all_back
        self._books_lock = books_lock
        self._absent: set[str] = set()

    async def unsigned(self, send_id: str, *, by: str) -> Awaited:
        """Return what is to be signed elsewhere; written down before it is shown.

        Raises:
            NotFound: there is no such send.
            NotAwaitingSignature: none of its transactions waits for a signature.
            CannotSign: its wallet is not active.
            SigningStopped: somebody or something stopped the signing.
        """
        awaited = await self._awaited(send_id)
        exported = self._audit.decision(
            Act.SEND_EXPORTED, send_id, who=by, txid=awaited.attempt.id, owner=awaited.send.owner
        )
        await self._audit.note(exported)
        await self._require_going(awaited.send.wallet_id)  # stopped meanwhile: nothing leaves
        return awaited

    async def _awaited(self, send_id: str) -> Awaited:
        send = await self._store.send(send_id)
        if send is None:
            raise NotFound("there is no such send", send_id=send_id)
        await self._require_going(send.wallet_id)
        attempt = await self._store.attempt(send.txid) if send.txid else None
        if send.state is not SendState.AWAITING_SIGNATURE or attempt is None:
            raise NotAwaitingSignature(f"it is {send.state}", send_id=send_id)
        threshold, weights = await self._permission(send)
        signers = tuple(_signer(attempt, bytes.fromhex(one)) for one in attempt.signatures)
        return Awaited(
            send=send, attempt=attempt, threshold=threshold, weights=weights, signers=signers
        )

    async def add(self, send_id: str, signatures: Sequence[str], *, by: str) -> Awaited:
        """Take signatures in, written down; with enough of them the transaction goes on its way.

        A signature that is there already is taken again without harm.

        Raises:
            NotFound: there is no such send.
            NotAwaitingSignature: none of its transactions waits for a signature.
            ForeignSignature: one that no key of the permission made over these bytes; none is kept.
            CannotSign: its wallet is not active.
            SigningStopped: somebody or something stopped the signing.
        """
        awaited = before = await self._awaited(send_id)
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
        await self._keep(awaited, self._completed(awaited, before, by=by))
        return awaited

    async def follow(self) -> bool:
        """Find out what became of transactions whose time is over; True when there may be more.

        An expired one is proved absent from every solid block from its reference to the first one
        past its expiration, and the local clock is past it, too (H1). One that is there was completed
        elsewhere, and is handed on as it is. What is complete and tron-client refuses is looked for as
        well, since nobody else would ever tell what became of it. None ends while a later attempt of
        its send may be forgotten here.

        Raises:
            Problem: one could not be looked for; the others were all the same.
        """
        troubles: list[Problem] = []
        solid = (await self._chain.signing_context()).solid
        reached_ms = min(solid.timestamp_ms, self._clock.now_ms())
        for state in (SendState.AWAITING_SIGNATURE, SendState.SIGNED):
            cursor: str | None = None
            while True:
                page = await self._store.in_state(state, limit=PAGE, cursor=cursor)
                over = [send for send in page.items if (send.expires_at_ms or 0) <= reached_ms]
                attempts = await self._store.attempts([send.txid or "" for send in over])
                for send in over:
                    attempt = attempts[send.txid or ""]
                    if attempt.signature:
                        continue
                    try:
                        await self._settle(send, attempt, solid.height)
                    except Problem as trouble:
                        troubles.append(trouble)
                cursor = page.next
                if cursor is None:
                    break
        if troubles:
            raise troubles[0]
        return False

    async def _settle(self, send: Send, attempt: Attempt, solid_height: int) -> None:
        found = None if attempt.id in self._absent else await self._find(attempt, solid_height)
        if found is not None and send.state is SendState.SIGNED:
            return  # on its way to tron-client
        async with self._books_lock:
            now = await self._store.send(send.id)
            if now is None or (now.state, now.txid) != (send.state, send.txid):
                return
            if found is None and not self._is_all_back():
                self._absent.add(attempt.id)  # looked for once: solid blocks stay what they are
                return
            change = Change()
            if found is not None:
                change.attempt(replace(attempt, collected=tuple(found.signatures)))
                after = replace(now.moved(SendState.SIGNED, at_ms=self._clock.now_ms()), due_ms=0)
            else:
                after = await self._expired(now, change)
            change.send(after, send_view(after))
            await self._store.commit(change)
        self._absent.discard(attempt.id)

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
        ended = send.moved(send.ended_by(SendState.EXPIRED), at_ms=self._clock.now_ms())
        log.warning("send.never_signed", send_id=send.id, txid=send.txid)
        return replace(
            ended,
            hold=Hold(),
            refusal_rule="expired",
            refusal_detail="nobody completed its signatures in time; proved absent from the chain",
        )

    def _completed(self, awaited: Awaited, before: Awaited, *, by: str) -> Decision:
        signers = awaited.signers[len(before.signers) :]
        return self._audit.decision(
            Act.SEND_COMPLETED,
            awaited.send.id,
            who=by,
            txid=awaited.attempt.id,
            signers=", ".join(signers),
            weight=f"{awaited.weight} of {awaited.threshold}",
        )

    async def _keep(self, awaited: Awaited, completed: Decision) -> None:
        now_ms = self._clock.now_ms()
        async with self._books_lock:
            await self._require_going(awaited.send.wallet_id)  # whoever stops it waits for the lock
            change = Change()
            change.attempt(awaited.attempt)
            change.decide(completed)
            after = awaited.send
            if awaited.is_complete:
                after = replace(after.moved(SendState.SIGNED, at_ms=now_ms), due_ms=now_ms)
            else:
                told = f"signatures: {awaited.weight} of {awaited.threshold} are there"
                after = replace(after, waiting_for=told, updated_at_ms=now_ms)
            change.send(after, send_view(after))
            await self._store.commit(change)

    async def _require_going(self, wallet_id: str) -> None:
        if (reason := self._held_back(wallet_id)) is not None:
            raise SigningStopped(reason, scope=wallet_id)
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
