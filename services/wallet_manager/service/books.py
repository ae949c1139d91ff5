"""The books: verdicts and deposits from tron-client's feeds become movements in the journal.

A hold turns into its movement in one commit with the send's new state, the journal and the cursor.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, assert_never

from services.wallet_manager.domain.books import (
    CHAIN,
    Position,
    Posting,
    entry,
    moved,
    position_id,
    settlement,
)
from services.wallet_manager.domain.sends import (
    ALLOWED,
    Attempt,
    Hold,
    Send,
    came_back,
    paid_as_meant,
)
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import JOURNAL, Change, WalletStore
from shared.clock import Clock
from shared.logs import get_logger
from shared.models.tron_client import (
    TransactionState,
    TransactionView,
    TransferState,
    TransferView,
)
from shared.models.wallet_manager import SendState, WalletStatus
from shared.models.wire import FeedView
from shared.money import Currency
from shared.tron.address import Address

log = get_logger(__name__)

VERDICTS: Final = "transactions"
TRANSFERS: Final = "transfers"


class Books:
    """Applies what happened on chain to sends, positions and the journal."""

    def __init__(
        self, *, store: WalletStore, clock: Clock, max_attempts: int, books_lock: asyncio.Lock
    ) -> None:
        self._store = store
        self._clock = clock
        self._max_attempts = max_attempts
        self._books_lock = books_lock
        self._alarm: str | None = None

    def alarm(self) -> str | None:
        """Say what needs a person, or None."""
        return self._alarm

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
        self._raise_alarm("feed.restarted", feed)
        await self.restart(feed)

    async def apply_verdicts(self, page: FeedView[TransactionView]) -> None:
        """Apply what became of our transactions, with the cursor, in one commit."""
        async with self._books_lock:
            change = Change()
            change.cursor(await self._store.cursor(VERDICTS), page.next)
            ledger = _Ledger(self._store)
            attempts = await self._store.attempts([item.object.txid for item in page.items])
            sends = await self._store.sends(one.send_id for one in attempts.values())
            await ledger.load(
                (send.owner, currency) for send in sends.values() for currency in Currency
            )
            for item in page.items:
                attempt = attempts.get(item.object.txid)
                if attempt is None:
                    log.warning("transaction.unknown", txid=item.object.txid)
                    continue
                before = sends[attempt.send_id]
                if came_back(before, attempt, item.object):
                    after = await self._frozen(before, item.object, change)
                else:
                    after = self._applied(before, attempt, item.object, ledger, change)
                if after is not before:
                    sends[attempt.send_id] = after
                    change.send(after, send_view(after))
            ledger.write(change)
            if not change.is_empty():
                await self._store.commit(change)

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
            ledger = _Ledger(self._store)
            await ledger.load((address, currency) for address in ours for currency in Currency)
            booked = await self._booked(solid)
            explained = await self._store.attempts([one.txid for one in solid])
            for transfer in solid:
                if transfer.transfer_id in booked:
                    continue
                is_explained = transfer.txid in explained
                self._book(transfer, ours, ledger, change, is_explained=is_explained)
                booked.add(transfer.transfer_id)
                if transfer.sender in ours and not is_explained:
                    await self._lock_owner(transfer.sender, change)
            ledger.write(change)
            if not change.is_empty():
                await self._store.commit(change)

    async def _booked(self, transfers: Iterable[TransferView]) -> set[str]:
        ids = {f"transfer:{one.transfer_id}#0": one.transfer_id for one in transfers}
        found = await self._store.storage.get_many(JOURNAL, list(ids)) if ids else {}
        return {ids[line] for line in found}

    def _book(
        self,
        transfer: TransferView,
        ours: set[Address],
        ledger: "_Ledger",
        change: Change,
        *,
        is_explained: bool,
    ) -> None:
        amount = int(transfer.amount_base_units)
        postings: tuple[Posting, ...] = ()
        kind = "internal" if is_explained else "deposit"
        if transfer.recipient in ours:
            postings += (
                Posting(account=transfer.recipient, currency=transfer.currency, amount=amount),
                Posting(account=CHAIN, currency=transfer.currency, amount=-amount),
            )
        if transfer.sender in ours and not is_explained:
            kind = "unexplained_outflow"
            postings += moved(transfer.sender, CHAIN, transfer.currency, amount)
            self._raise_alarm("transfer.unexplained", transfer.txid)
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
        ledger: "_Ledger",
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
                return self._expired(send, ledger)
            case _:
                assert_never(fate.state)

    def _settled(
        self, send: Send, fate: TransactionView, ledger: "_Ledger", change: Change
    ) -> Send:
        executed = fate.state is TransactionState.CONFIRMED
        receipt = fate.receipt
        if receipt is None or fate.block is None:
            raise ValueError(f"the verdict on {fate.txid} came without a receipt")
        state = SendState.FAILED
        if executed:
            as_meant = paid_as_meant(send, receipt.transfers)
            state = SendState.CONFIRMED if as_meant else SendState.SETTLED_DIFFERENTLY
        if state not in ALLOWED[send.state]:
            return send
        fee_sun = int(receipt.fee_sun)
        postings = settlement(send, executed=executed, fee_sun=fee_sun, transfers=receipt.transfers)
        if state is SendState.SETTLED_DIFFERENTLY:
            self._raise_alarm("send.settled_differently", fate.txid)
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

    def _expired(self, send: Send, ledger: "_Ledger") -> Send:
        if SendState.EXPIRED not in ALLOWED[send.state] or send.state is SendState.QUEUED:
            return send
        now_ms = self._clock.now_ms()
        ledger.release(send.owner, send.hold)
        may_retry = send.attempt < self._max_attempts and now_ms < send.not_after_ms
        state = SendState.QUEUED if may_retry else SendState.EXPIRED
        after = replace(send.moved(state, at_ms=now_ms), hold=Hold(), block_height=None)
        if may_retry:
            return replace(after, due_ms=now_ms, waiting_for="a new attempt: the last one expired")
        return replace(after, refusal_rule="expired", refusal_detail="proved absent from the chain")

    async def _frozen(self, send: Send, fate: TransactionView, change: Change) -> Send:
        """Lock the wallet and keep the send from ever being signed again: it may be paid (H1)."""
        self._raise_alarm("attempt.came_back", fate.txid)
        await self._lock(send.wallet_id, change)
        held = _moved_if_allowed(send, SendState.UNKNOWN, self._clock.now_ms())
        if held is send:
            return send
        return replace(held, waiting_for="a person: an attempt proved absent came back on chain")

    async def _lock_owner(self, address: Address, change: Change) -> None:
        """Lock the wallet of an address that paid without an order: its key may be stolen."""
        deposit = await self._store.address(address)
        wallet = None if deposit else await self._store.wallet_by_address(address)
        wallet_id = deposit.wallet_id if deposit else wallet.id if wallet else None
        if wallet_id is not None:
            await self._lock(wallet_id, change)

    async def _lock(self, wallet_id: str, change: Change) -> None:
        wallet = await self._store.wallet(wallet_id)
        if wallet is not None and wallet.status is not WalletStatus.LOCKED:
            change.wallet(wallet.locked())

    def _raise_alarm(self, event: str, about: str) -> None:
        log.error(event, about=about)
        self._alarm = f"{event}: {about}; a person must look at this"


class _Ledger:
    """The positions that one commit changes."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store
        self._loaded: dict[str, Position] = {}
        self._changed: dict[str, Position] = {}

    async def load(self, pairs: Iterable[tuple[Address, Currency]]) -> None:
        self._loaded = await self._store.positions(pairs)

    def book(self, postings: Iterable[Posting]) -> None:
        for posting in postings:
            id_ = f"{posting.account}:{posting.currency}"
            if id_ in self._loaded:
                self._set(self._loaded[id_].book(posting.amount))

    def release(self, owner: Address, hold: Hold) -> None:
        for currency in Currency:
            if amount := hold.of(currency):
                self._set(self._loaded[position_id(owner, currency)].release(amount))

    def write(self, change: Change) -> None:
        for position in self._changed.values():
            change.position(position)

    def _set(self, position: Position) -> None:
        self._loaded[position.id] = position
        self._changed[position.id] = position


def _moved_if_allowed(send: Send, state: SendState, now_ms: int) -> Send:
    return send.moved(state, at_ms=now_ms) if state in ALLOWED[send.state] else send
