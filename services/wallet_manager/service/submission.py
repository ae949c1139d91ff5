"""Handing signed bytes to tron-client until it has durably taken them over."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from services.wallet_manager.domain.sends import Send, state_after_broadcast
from services.wallet_manager.service.rules import SigningRules
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.clock import Clock
from shared.logs import get_logger
from shared.models.tron_transactions import SignedTransaction, SubmittedView
from shared.models.wallet_sends import SendState
from shared.peers.caller import PeerRefused

log = get_logger(__name__)


class Carrier(Protocol):
    """Takes over signed bytes: tron-client."""

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        """Take signed transactions over."""
        ...


class Submission:
    """Brings what is signed to tron-client; the same bytes as often as needed."""

    def __init__(
        self,
        *,
        store: WalletStore,
        chain: Carrier,
        clock: Clock,
        rules: SigningRules,
        books_lock: asyncio.Lock,
        held_back: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._rules = rules
        self._books_lock = books_lock
        self._held_back = held_back

    async def submit_signed(self) -> bool:
        """Hand signed bytes to tron-client until it has them; True when there may be more."""
        now_ms = self._clock.now_ms()
        sends = await self._store.due_to_submit(now_ms=now_ms, limit=self._rules.batch)
        if not sends:
            return False
        reasons = {id_: self._held_back(id_) for id_ in {send.wallet_id for send in sends}}
        going = [send for send in sends if reasons[send.wallet_id] is None]
        if len(going) < len(sends):
            await self._put_off([send for send in sends if send not in going], reasons)
        if not going:
            return False
        answers, refused = await self._submitted(await self._signed_bytes(going))
        await self._note_submitted(answers, refused)
        return len(sends) == self._rules.batch

    async def hand_over_again(self) -> None:
        """Give tron-client every transaction under way once more, since it lost what it knew (H5).

        Repeats are harmless; what became of them comes back through the feed.
        """
        for state in (SendState.SUBMITTED, SendState.UNKNOWN, SendState.SEEN):
            cursor: str | None = None
            while True:
                page = await self._store.in_state(state, limit=self._rules.batch, cursor=cursor)
                if signed := await self._signed_bytes(page.items):
                    await self._submitted(signed)
                cursor = page.next
                if cursor is None:
                    break

    async def _put_off(self, held: Sequence[Send], reasons: Mapping[str, str | None]) -> None:
        """Keep signed bytes here while the kill switch is on; they expire by themselves (H23)."""
        now_ms = self._clock.now_ms()
        async with self._books_lock:
            current = await self._store.sends(send.id for send in held)
            change = Change()
            for send in current.values():
                if send.state is not SendState.SIGNED:
                    continue  # the feed was quicker
                reason = reasons[send.wallet_id] or "the kill switch"
                later = send.waiting(reason, due_ms=now_ms + self._rules.retry_ms, at_ms=now_ms)
                change.send(later, send_view(later) if reason != send.waiting_for else None)
            if not change.is_empty():
                await self._store.commit(change)

    async def _signed_bytes(self, sends: Sequence[Send]) -> list[SignedTransaction]:
        """Return what there is to hand over: of a copy, signatures made elsewhere may be missing."""
        attempts = await self._store.attempts([send.txid for send in sends if send.txid])
        return [
            SignedTransaction(
                send_key=send.send_key,
                raw_data=attempts[send.txid].raw_data,
                signatures=attempts[send.txid].signatures,
                expires_at_ms=attempts[send.txid].expires_at_ms,
            )
            for send in sends
            if send.txid and attempts[send.txid].signatures
        ]

    async def _submitted(
        self, transactions: Sequence[SignedTransaction]
    ) -> tuple[list[SubmittedView], dict[str, str]]:
        """Return the answers, and by send key why tron-client did not take a transaction."""
        try:
            return await self._chain.submit(transactions), {}
        except PeerRefused as refusal:
            if len(transactions) == 1:
                key = transactions[0].send_key
                log.warning("send.submission_refused", send_key=key, detail=refusal.detail)
                return [], {key: refusal.detail}
        answers: list[SubmittedView] = []
        refused: dict[str, str] = {}
        for transaction in transactions:  # one bad one must not hold up the rest
            taken, not_taken = await self._submitted([transaction])
            answers += taken
            refused |= not_taken
        return answers, refused

    async def _note_submitted(
        self, answers: Sequence[SubmittedView], refused: Mapping[str, str]
    ) -> None:
        now_ms = self._clock.now_ms()
        async with self._books_lock:
            attempts = await self._store.attempts([answer.txid for answer in answers])
            sends = await self._store.sends(attempt.send_id for attempt in attempts.values())
            change = Change()
            for answer in answers:
                if answer.txid not in attempts:
                    log.error("send.submission_unasked", txid=answer.txid)
                    continue  # an answer about what was never handed over settles nothing
                send = sends[attempts[answer.txid].send_id]
                if send.state is not SendState.SIGNED or send.txid != answer.txid:
                    continue  # the feed was quicker
                state = state_after_broadcast(answer.outcome)
                after = send.moved(state, at_ms=now_ms)
                if state is SendState.UNKNOWN:
                    told = answer.message or answer.code or "the node gave no answer"
                    after = replace(after, waiting_for=f"a verdict: {told}"[:300])
                change.send(after, send_view(after))
            for key, send in (await self._store.sends_by_key(list(refused))).items():
                if send.state is SendState.SIGNED:  # behind the others from now on
                    reason = f"tron-client, which refused it: {refused[key]}"[:300]
                    due_ms = now_ms + self._rules.retry_ms
                    later = send.waiting(reason, due_ms=due_ms, at_ms=now_ms)
                    change.send(later, send_view(later) if reason != send.waiting_for else None)
            if not change.is_empty():
                await self._store.commit(change)
