"""The books: verdicts and deposits from tron-client's feeds become movements in the journal.

A hold turns into its movement in one commit with the send's new state, the journal and the cursor.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, assert_never

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.books import (
    CHAIN,
    DEPOSIT,
    INTERNAL,
    UNCLAIMED_KIND,
    UNEXPLAINED,
    Posting,
    accounts_of,
    entry,
    is_settled_with,
    moved,
    settlement,
    stirred_by,
)
from services.wallet_manager.domain.sends import (
    ALLOWED,
    Attempt,
    Hold,
    Send,
    came_back,
    paid_as_meant,
    was_given_up,
)
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.ledger import Ledger
from services.wallet_manager.service.spent import SpentBack
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import JOURNAL
from shared.alarms import Alarms
from shared.clock import Clock
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.models.tron_client import TransferState, TransferView
from shared.models.tron_transactions import TransactionState, TransactionView
from shared.models.wallet_manager import WalletStatus
from shared.models.wallet_sends import SendState
from shared.models.wire import BlockRef, FeedView
from shared.money import Currency
from shared.tron.address import Address

log = get_logger(__name__)

VERDICTS: Final = "transactions"
TRANSFERS: Final = "transfers"


class Books:
    """Applies what happened on chain to sends, positions and the journal."""

    def __init__(
        self,
        *,
        store: WalletStore,
        audit: Audit,
        clock: Clock,
        alarms: Alarms,
        max_attempts: int,
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._alarms = alarms
        self._max_attempts = max_attempts
        self._books_lock = books_lock
        self._as_of: BlockRef | None = None
        self._is_explained: Callable[[], bool] = _always

    def end_sends_only_when(self, is_explained: Callable[[], bool]) -> None:
        """Say what has to hold for a send to end as expired.

        As long as a transaction of ours may have no record here, it may be an attempt of that send
        (H5); the send is queued then, and signing asks whose the transaction is before all else.
        """
        self._is_explained = is_explained

    def as_of(self) -> BlockRef | None:
        """Return the solid block whose transfers are all booked, None before that is known."""
        return self._as_of

    async def cursor(self, feed: str) -> str:
        """Return how far a feed has been applied."""
        return (await self._store.cursor(feed)).cursor

    async def restart(self, feed: str) -> None:
        """Begin a feed again; what was applied before is recognised and not applied twice."""
        async with self._books_lock:
            change = Change()
            change.cursor(await self._store.cursor(feed), "")
            if not change.is_empty():
                await self._store.commit(change)

    async def restart_after_loss(self, feed: str) -> None:
        """Begin a feed again whose publisher lost its records or was set back (hazard H5).

        A person has to look: transfers in between may be missing from the new history.
        """
        await self._alarms.raise_alarm(
            "feed_restarted", feed, detail=f"the feed {feed} began anew: events may be missing"
        )
        await self.restart(feed)

    async def apply_verdicts(self, page: FeedView[TransactionView]) -> list[str]:
        """Apply what became of our transactions, with the cursor, in one commit.

        Returns:
            The transactions that are not recorded here, although nobody else submits any (H5).

        Raises:
            Unavailable: one is told to have expired that may still get into a block by the clock here;
                nothing of the page was applied.
        """
        async with self._books_lock:
            change = Change()
            change.cursor(await self._store.cursor(VERDICTS), page.next)
            return await self._apply([item.object for item in page.items], change)

    async def apply_fates(self, fates: Sequence[TransactionView]) -> list[str]:
        """Apply what is known of transactions of ours, wherever it was learned; returns as above."""
        async with self._books_lock:
            return await self._apply(fates, Change())

    async def _apply(self, fates: Sequence[TransactionView], change: Change) -> list[str]:
        ledger = Ledger(self._store)
        attempts = await self._store.attempts([fate.txid for fate in fates])
        sends = await self._store.sends(one.send_id for one in attempts.values())
        await ledger.load(
            account
            for owner in sorted({send.owner for send in sends.values()})
            for account in accounts_of(owner)
        )
        spent = await SpentBack.load(self._store, sends.values())
        for fate in fates:
            attempt = attempts.get(fate.txid)
            if attempt is None:
                continue
            before = sends[attempt.send_id]
            if came_back(before, attempt, fate):
                after = await self._frozen(before, attempt, change)
            else:
                after = self._applied(before, attempt, fate, ledger, change)
                if after is not before:
                    spent.settle(before, attempt, after, operators=fate.operators)
            if after is not before:
                await self._look_at(after)
                sends[attempt.send_id] = after
                is_news = after != replace(before, is_haunted=True)
                change.send(after, send_view(after) if is_news else None)
        ledger.write(change)
        spent.write(change)
        if not change.is_empty():
            await self._store.commit(change)
        return [fate.txid for fate in fates if fate.txid not in attempts]

    async def apply_transfers(self, page: FeedView[TransferView]) -> None:
        """Book confirmed transfers to our addresses, with the cursor, in one commit."""
        async with self._books_lock:
            change = Change()
            change.cursor(await self._store.cursor(TRANSFERS), page.next)
            solid = [
                item.object for item in page.items if item.object.state is TransferState.CONFIRMED
            ]
            ours = await self._store.owned(
                address for one in solid for address in (one.sender, one.recipient)
            )
            ledger = Ledger(self._store)
            await ledger.load((address, currency) for address in ours for currency in Currency)
            booked = await self._booked(solid)
            txids = [one.txid for one in solid]
            explained = await self._store.attempts(txids)
            sends = await self._store.sends(one.send_id for one in explained.values())
            unclaimed = set(await self._store.unclaimed(txids)) - explained.keys()
            for transfer in solid:
                if transfer.transfer_id in booked:
                    continue
                booked.add(transfer.transfer_id)
                attempt = explained.get(transfer.txid)
                if attempt is not None:
                    send = sends[attempt.send_id]
                    payers = set[Address]() if is_settled_with(send, attempt, transfer) else ours
                    self._book(transfer, ours, payers, ledger, change, kind=INTERNAL)
                    if send.owner == transfer.sender and was_given_up(send, attempt):
                        sends[send.id] = held = await self._frozen(send, attempt, change)
                        change.send(held, send_view(held) if held != send else None)
                elif transfer.txid in unclaimed:
                    self._book(transfer, ours, ours, ledger, change, kind=UNCLAIMED_KIND)
                else:
                    self._book(transfer, ours, ours, ledger, change, kind=DEPOSIT)
                    if transfer.sender in ours:
                        await self._freeze_payer(transfer, change)
            ledger.write(change)
            if not change.is_empty():
                await self._store.commit(change)
            self._as_of = page.as_of or self._as_of

    async def _booked(self, transfers: Iterable[TransferView]) -> set[str]:
        ids = {f"transfer:{one.transfer_id}#0": one.transfer_id for one in transfers}
        found = await self._store.storage.get_many(JOURNAL, list(ids)) if ids else {}
        return {ids[line] for line in found}

    def _book(
        self,
        transfer: TransferView,
        ours: set[Address],
        payers: set[Address],
        ledger: Ledger,
        change: Change,
        *,
        kind: str,
    ) -> None:
        """Book a transfer on the side that nothing else books: a send books what leaves by it (H12).

        Args:
            transfer: what moved.
            ours: addresses of ours among both ends.
            payers: those of them whose side no verdict books.
            ledger: the positions.
            change: takes the journal.
            kind: of the entry.
        """
        amount = int(transfer.amount_base_units)
        postings: tuple[Posting, ...] = ()
        if transfer.recipient in ours:
            postings += (
                Posting(account=transfer.recipient, currency=transfer.currency, amount=amount),
                Posting(account=CHAIN, currency=transfer.currency, amount=-amount),
            )
        if transfer.sender in payers:
            kind = UNEXPLAINED if kind == DEPOSIT else kind
            postings += moved(transfer.sender, CHAIN, transfer.currency, amount)
        if not postings:
            return
        lines = entry(
            f"transfer:{transfer.transfer_id}",
            postings,
            kind=kind,
            at_ms=transfer.block.timestamp_ms,
            txid=transfer.txid,
        )
        change.journal(lines)
        ledger.book(postings)

    def _applied(
        self,
        send: Send,
        attempt: Attempt,
        fate: TransactionView,
        ledger: Ledger,
        change: Change,
    ) -> Send:
        if attempt.number != send.attempt:
            return send
        now_ms = self._clock.now_ms()
        match fate.state:
            case TransactionState.PENDING:
                back = _moved_if_allowed(send, SendState.SUBMITTED, now_ms)
                return back if back is send else replace(back, block_height=None)
            case TransactionState.INCLUDED:
                height = fate.block.height if fate.block else None
                seen = _moved_if_allowed(send, SendState.SEEN, now_ms)
                if seen.state is not SendState.SEEN or seen.block_height == height:
                    return seen
                return replace(seen, block_height=height)
            case TransactionState.CONFIRMED | TransactionState.FAILED:
                return self._settled(send, fate, ledger, change)
            case TransactionState.EXPIRED:
                return self._expired(send, attempt, ledger)
            case _:
                assert_never(fate.state)

    def _settled(self, send: Send, fate: TransactionView, ledger: Ledger, change: Change) -> Send:
        executed = fate.state is TransactionState.CONFIRMED
        receipt = fate.receipt
        if receipt is None or fate.block is None:
            raise ValueError(f"the verdict on {fate.txid} came without a receipt")
        state = SendState.FAILED
        if executed:
            as_meant = paid_as_meant(send, receipt.transfers)
            state = SendState.CONFIRMED if as_meant else SendState.SETTLED_DIFFERENTLY
        state = send.ended_by(state)
        if state not in ALLOWED[send.state]:
            return send
        fee_sun = int(receipt.fee_sun)
        postings = settlement(
            send,
            executed=executed,
            fee_sun=fee_sun,
            transfers=receipt.transfers,
            stirred=stirred_by(receipt),
        )
        change.journal(
            entry(
                f"send:{send.id}:{send.attempt}",
                postings,
                kind=f"{send.purpose.value}.{state.value}",
                at_ms=fate.block.timestamp_ms,
                txid=fate.txid,
            )
        )
        ledger.release(send.owner, send.hold)
        ledger.book(postings)
        ended = send.moved(state, at_ms=self._clock.now_ms())
        return replace(ended, fee_sun=fee_sun, block_height=fate.block.height, hold=Hold())

    def _expired(self, send: Send, attempt: Attempt, ledger: Ledger) -> Send:
        if SendState.EXPIRED not in ALLOWED[send.state] or send.state is SendState.QUEUED:
            return send
        if send.hold == Hold():  # given back already: it is frozen, and this word of it is old
            return send
        now_ms = self._clock.now_ms()
        if (
            now_ms < attempt.expires_at_ms
        ):  # it may still get into a block, whoever says otherwise (H1)
            raise Unavailable(f"{attempt.id} is told to have expired before its time")
        ledger.release(send.owner, send.hold)
        may_retry = send.attempt < self._max_attempts and now_ms < send.not_after_ms
        may_retry = (may_retry or not self._is_explained()) and not send.is_haunted
        state = SendState.QUEUED if may_retry else send.ended_by(SendState.EXPIRED)
        after = replace(send.moved(state, at_ms=now_ms), hold=Hold(), block_height=None)
        if may_retry:
            return replace(after, due_ms=now_ms, waiting_for="a new attempt: the last one expired")
        return replace(after, refusal_rule="expired", refusal_detail="proved absent from the chain")

    async def _frozen(self, send: Send, attempt: Attempt, change: Change) -> Send:
        """Lock the wallet and keep the send from ever being signed again: it may be paid (H1)."""
        told = "an attempt that was proved absent is on chain; its wallet is locked"
        await self._alarms.raise_alarm("attempt_came_back", attempt.id, detail=told)
        await self._lock(send.wallet_id, change, why=f"{told}: {attempt.id}")
        held = _moved_if_allowed(send, SendState.UNKNOWN, self._clock.now_ms())
        if held is not send:
            waiting_for = "a person: an attempt proved absent came back on chain"
            held = replace(held, waiting_for=waiting_for)
        is_earlier = attempt.number != send.attempt or send.state is SendState.EXPIRED
        if is_earlier and not send.is_haunted:
            held = replace(held, is_haunted=True)
        return held

    async def _look_at(self, send: Send) -> None:
        """Say what a person has to look at."""
        if send.state is SendState.SETTLED_DIFFERENTLY:
            told = f"{send.txid} succeeded and did not do what was meant; no new attempt is made"
            if send.is_haunted:
                told = "an earlier attempt is on chain, and the last one is not what paid it"
            await self._alarms.raise_alarm("send_settled_differently", send.id, detail=told)

    async def _freeze_payer(self, transfer: TransferView, change: Change) -> None:
        """Lock the wallet of an address that paid without an order: its key may be stolen."""
        told = f"{transfer.sender} paid without an order; its wallet is locked"
        await self._alarms.raise_alarm("transfer_unexplained", transfer.txid, detail=told)
        wallet_id = await self._store.wallet_id_of(transfer.sender)
        if wallet_id is not None:
            await self._lock(wallet_id, change, why=f"{told}: {transfer.txid}")

    async def _lock(self, wallet_id: str, change: Change, *, why: str) -> None:
        wallet = await self._store.wallet(wallet_id)
        if wallet is not None and wallet.status is not WalletStatus.LOCKED:
            change.wallet(wallet.locked())
            change.decide(self._audit.decision(Act.WALLET_LOCKED, wallet_id, why=why))


def _always() -> bool:
    return True


def _moved_if_allowed(send: Send, state: SendState, now_ms: int) -> Send:
    return send.moved(state, at_ms=now_ms) if state in ALLOWED[send.state] else send
