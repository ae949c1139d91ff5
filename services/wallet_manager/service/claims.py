"""Transactions of ours on chain that no record explains, and the sends that they turn out to be (H5)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.books import (
    CHAIN,
    UNCLAIMED_KIND,
    accounts_of,
    entry,
    moved,
)
from services.wallet_manager.domain.fees import Prices, worst_of
from services.wallet_manager.domain.reading import facts_of, rebuilt
from services.wallet_manager.domain.recovery import (
    ClaimState,
    NotClaimable,
    Unclaimed,
    bears,
    with_attempt,
)
from services.wallet_manager.domain.sends import Attempt, Send
from services.wallet_manager.service.audit import ITSELF, decided
from services.wallet_manager.service.ledger import Ledger
from services.wallet_manager.service.recount import Found, Recount
from services.wallet_manager.service.rules import SigningRules
from services.wallet_manager.service.views import prices_of, send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.alarms import Alarms
from shared.clock import Clock
from shared.errors import NotFound
from shared.logs import get_logger
from shared.models.tron_client import SigningContextView
from shared.models.tron_transactions import OutgoingTransactionView
from shared.models.wallet_sends import SendState
from shared.storage import Leased, Page
from shared.tron.decoding import DecodedTransaction, UnexpectedBytes, decode_raw_data

log = get_logger(__name__)

NOBODYS_KEY: Final = "nobody:nothing:0"
ALARM: Final = "transaction_unclaimed"


class Marks(Protocol):
    """Knows which timestamp marks an attempt (hazard H6): the vault."""

    def stamp_ms(self, send_key: str, attempt: int, *, floor_of_ms: int) -> int:
        """Return the timestamp to try first."""
        ...


class Pricer(Protocol):
    """Knows what the chain charges: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return the prices, among others."""
        ...


class Claims:
    """Finds which send an unexplained transaction was for, before that send is signed again."""

    def __init__(
        self,
        *,
        store: WalletStore,
        marks: Marks,
        chain: Pricer,
        recount: Recount,
        clock: Clock,
        alarms: Alarms,
        rules: SigningRules,
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._marks = marks
        self._chain = chain
        self._recount = recount
        self._clock = clock
        self._alarms = alarms
        self._rules = rules
        self._books_lock = books_lock
        self._open = 0

    async def load(self) -> None:
        """Count what is unexplained, so that signing need not ask while there is nothing."""
        self._open = await self._store.count_open_claims()

    def open(self) -> int:
        """Return how many transactions are unexplained."""
        return self._open

    async def page(self, state: ClaimState, *, cursor: str | None, limit: int) -> Page[Unclaimed]:
        """Return a page of transactions that were found unexplained, oldest find first."""
        return await self._store.unclaimed_page(state, cursor=cursor, limit=limit)

    async def find(self, outgoing: Sequence[OutgoingTransactionView]) -> int:
        """Keep those transactions that no record explains; returns how many are new."""
        if not outgoing:
            return 0
        prices = prices_of(await self._chain.signing_context())
        txids = [one.txid for one in outgoing]
        async with self._books_lock:
            explained = {*await self._store.attempts(txids), *await self._store.unclaimed(txids)}
            found = [
                _unclaimed(one, prices, found_ms=self._clock.now_ms())
                for one in outgoing
                if one.txid not in explained
            ]
            change, ledger, count = Change(), Ledger(self._store), len(found)
            for one in found:
                await ledger.load(accounts_of(one.owner))
                ledger.reserve(one.owner, one.hold)
                change.claim(one)
            ledger.write(change)
            if count:
                await self._recount.count(
                    change, [await self._spent(one) for one in found if one.facts]
                )
                await self._store.commit(change)
        if count:
            await self._alarms.raise_alarm(
                ALARM, "all", detail=f"{count} transactions of ours have no record here"
            )
        await self.load()
        return count

    async def settle(self, leased: Sequence[Leased[Send]]) -> list[Leased[Send]]:
        """Give each send the transaction that bears its mark, and return those that may be signed.

        One that only does the same as an unexplained transaction waits, until that one's send has
        claimed it or a person has decided; so does one that two transactions bear the mark of.
        """
        if not self._open:
            return list(leased)
        context = await self._chain.signing_context()
        free = []
        for one in leased:
            claims = await self._store.open_claims(facts_of(one.record.operation()))
            marked = [
                (claim, number) for claim in claims if (number := self._number(one.record, claim))
            ]
            if len(marked) == 1:
                change = Change()
                change.lease(one.lease)
                await self._adopt(one.record, *marked[0], context, change)
            elif claims:
                await self._wait(one, claims)
            else:
                free.append(one)
        return free

    async def decide(self, txid: str, *, send_id: str | None, note: str, by: str) -> Unclaimed:
        """Claim a transaction for a send, or dismiss it; raises as these do."""
        if send_id is None:
            return await self.dismiss(txid, note=note, by=by)
        return await self.claim(txid, send_id=send_id, note=note, by=by)

    async def claim(self, txid: str, *, send_id: str, note: str, by: str) -> Unclaimed:
        """Say, as a person, which send a transaction was for.

        Raises:
            NotFound: there is no such transaction or send.
            NotClaimable: it was decided already, or the send means something else or is under way.
        """
        found, send = await self._undecided(txid), await self._store.send(send_id)
        if send is None:
            raise NotFound("there is no such send", send_id=send_id)
        if send.state is not SendState.QUEUED or facts_of(send.operation()) != found.facts:
            raise NotClaimable(
                "the send is not queued, or means another transfer", send_id=send_id, txid=txid
            )
        number = self._number(send, found) or send.attempt + 1
        context = await self._chain.signing_context()
        return await self._adopt(send, found, number, context, Change(), note=note, by=by)

    async def dismiss(self, txid: str, *, note: str, by: str) -> Unclaimed:
        """Say, as a person, that a transaction was no send's; sends that do the same may be signed.

        Raises:
            NotFound: there is no such transaction.
            NotClaimable: it was decided already.
        """
        found = await self._undecided(txid)
        dismissed, change = found.dismissed(_told(by, note)), Change()
        change.claim(dismissed)
        change.decide(
            decided(
                Act.TRANSACTION_DISMISSED,
                txid,
                at_ms=self._clock.now_ms(),
                who=by,
                why=note,
                owner=found.owner,
            )
        )
        async with self._books_lock:
            ledger = Ledger(self._store)
            await ledger.load(accounts_of(found.owner))
            ledger.release(found.owner, found.hold)
            ledger.write(change)
            await self._store.commit(change)
        await self._decided()
        return dismissed

    async def _undecided(self, txid: str) -> Unclaimed:
        found = (await self._store.unclaimed([txid])).get(txid)
        if found is None:
            raise NotFound("no such transaction was found unexplained", txid=txid)
        if found.state is not ClaimState.OPEN:
            raise NotClaimable(f"it is {found.state} already", txid=txid)
        return found

    async def _adopt(
        self,
        send: Send,
        claim: Unclaimed,
        number: int,
        context: SigningContextView,
        change: Change,
        *,
        note: str = "its mark says so",
        by: str = ITSELF,
    ) -> Unclaimed:
        now_ms = self._clock.now_ms()
        attempt = _attempt(send, claim, number, at_ms=now_ms)
        async with self._books_lock:
            ledger = Ledger(self._store)
            await ledger.load(accounts_of(send.owner))
            hold = worst_of(send, claim.fee_limit_sun, prices_of(context))
            after = with_attempt(
                send,
                attempt,
                state=SendState.SIGNED if claim.signature else SendState.UNKNOWN,
                hold=hold,
                fee_limit_sun=claim.fee_limit_sun,
                at_ms=now_ms,
            )
            ledger.release(claim.owner, claim.hold)
            ledger.reserve(send.owner, hold)
            await self._unbook(claim, ledger, change, at_ms=now_ms)
            claimed = claim.claimed(send.id, note=_told(by, note))
            change.attempt(attempt)
            change.claim(claimed)
            change.decide(
                decided(
                    Act.TRANSACTION_CLAIMED,
                    claim.id,
                    at_ms=now_ms,
                    who=by,
                    why=note,
                    send=send.id,
                )
            )
            change.send(after, send_view(after))
            ledger.write(change)
            await self._store.commit(change)
        log.warning("recovery.adopted", txid=claim.id, send_id=send.id, note=note)
        await self._decided()
        return claimed

    async def _unbook(
        self, claim: Unclaimed, ledger: Ledger, change: Change, *, at_ms: int
    ) -> None:
        """Take back what its owner was booked to have paid by it: its send books that now.

        What it brought to an address of ours stays booked, for no send books that.
        """
        lines = await self._store.journal_of([claim.id])
        postings = [
            posting
            for line in lines
            if line.kind == UNCLAIMED_KIND and line.account == claim.owner and line.amount < 0
            for posting in moved(CHAIN, line.account, line.currency, -line.amount)
        ]
        if postings:
            change.journal(
                entry(f"claim:{claim.id}", postings, kind="claimed", at_ms=at_ms, txid=claim.id)
            )
            ledger.book(postings)

    async def _wait(self, one: Leased[Send], claims: Sequence[Unclaimed]) -> None:
        send, now_ms = one.record, self._clock.now_ms()
        txids = ", ".join(claim.id for claim in claims)
        reason = f"a person: transactions without a record did the same already: {txids}"[:300]
        later = send.waiting(reason, due_ms=now_ms + self._rules.retry_ms, at_ms=now_ms)
        change = Change()
        change.lease(one.lease)
        change.send(later, send_view(later) if reason != send.waiting_for else None)
        await self._store.commit(change)
        await self._alarms.raise_alarm(ALARM, send.id, detail=reason)

    async def _decided(self) -> None:
        await self.load()
        if not self._open:
            await self._alarms.clear(ALARM, "all")

    def _number(self, send: Send, claim: Unclaimed) -> int | None:
        """Return as which attempt of a send a transaction counts that bears its mark, None without.

        Of a copy that knows another attempt of that number it is a later one: what was signed for it
        after the copy before was signed once more.
        """
        for number in range(1, self._rules.max_attempts + 1):
            mark = self._marks.stamp_ms(send.send_key, number, floor_of_ms=claim.stamp_ms)
            if bears(mark, claim.stamp_ms):
                return max(number, send.attempt + 1)
        return None

    async def _spent(self, claim: Unclaimed) -> Found:
        decoded = decode_raw_data(bytes.fromhex(claim.raw_data))
        wallet_id = await self._store.wallet_id_of(claim.owner)
        send = _likely(decoded, wallet_id=wallet_id or "", at_ms=claim.found_ms)
        return Found(
            send=send, hold=claim.hold, expires_at_ms=claim.expires_at_ms, moved=claim.succeeded
        )


def _told(by: str, note: str) -> str:
    return note if by == ITSELF else f"{by}: {note}"


def _unclaimed(one: OutgoingTransactionView, prices: Prices, *, found_ms: int) -> Unclaimed:
    decoded = _decoded(one.raw_data)
    found = Unclaimed(
        id=one.txid,
        owner=one.owner,
        facts=None,
        stamp_ms=0,
        raw_data=one.raw_data,
        signature=one.signatures[0] if one.signatures else "",
        expires_at_ms=0,
        fee_limit_sun=0,
        height=one.block.height,
        succeeded=one.succeeded,
        found_ms=found_ms,
    )
    if decoded is None:
        return found
    likely = _likely(decoded, wallet_id="", at_ms=found_ms)
    return replace(
        found,
        facts=facts_of(decoded.operation),
        stamp_ms=decoded.timestamp_ms,
        expires_at_ms=decoded.expiration_ms,
        fee_limit_sun=decoded.fee_limit_sun,
        hold=worst_of(likely, decoded.fee_limit_sun, prices),
    )


def _likely(decoded: DecodedTransaction, *, wallet_id: str, at_ms: int) -> Send:
    return rebuilt(
        decoded,
        send_id="",
        send_key=NOBODYS_KEY,
        wallet_id=wallet_id,
        is_to_own=False,
        at_ms=at_ms,
    )


def _decoded(raw_data: str) -> DecodedTransaction | None:
    try:
        return decode_raw_data(bytes.fromhex(raw_data))
    except UnexpectedBytes:
        return None


def _attempt(send: Send, claim: Unclaimed, number: int, *, at_ms: int) -> Attempt:
    return Attempt(
        id=claim.id,
        send_id=send.id,
        number=number,
        owner=claim.owner,
        stamp_ms=claim.stamp_ms,
        raw_data=claim.raw_data,
        signature=claim.signature,
        expires_at_ms=claim.expires_at_ms,
        reference_height=max(claim.height - 1, 0),
        created_at_ms=at_ms,
    )
