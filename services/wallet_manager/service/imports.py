"""What tron-client was given, compared with what is recorded here, and taken back where it was lost (H5).

tron-client stores send key and bytes before it broadcasts, so whatever left this service is there.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

from services.wallet_manager.domain.books import accounts_of
from services.wallet_manager.domain.fees import worst_of
from services.wallet_manager.domain.reading import meaning_of, rebuilt
from services.wallet_manager.domain.recovery import bears, with_attempt
from services.wallet_manager.domain.sends import Attempt, Hold, Send
from services.wallet_manager.service.books import Books
from services.wallet_manager.service.ledger import Ledger
from services.wallet_manager.service.recount import Found, Recount
from services.wallet_manager.service.views import prices_of, send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.clock import Clock
from shared.ids import NewId
from shared.logs import get_logger
from shared.models.tron_client import SigningContextView
from shared.models.tron_transactions import StoredTransactionsView, StoredTransactionView
from shared.models.wallet_sends import SendState
from shared.tron.address import Address
from shared.tron.decoding import DecodedTransaction, UnexpectedBytes, decode_raw_data

log = get_logger(__name__)

PAGE: Final = 100
LAG_PAGES: Final = 20
"""Pages read again by the next comparison: more transactions than one wallet puts into one block.

tron-client lists them by height, so a later one may come before another of the same height.
"""


class Given(Protocol):
    """Tells what it was given: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return the prices, among others."""
        ...

    async def stored_transactions(
        self, owner: Address, *, cursor: str | None, limit: int
    ) -> StoredTransactionsView:
        """Return a page of what was submitted for an owner, oldest first."""
        ...


class Marks(Protocol):
    """Knows which timestamp marks an attempt (hazard H6): the vault."""

    def stamp_ms(self, send_key: str, attempt: int, *, floor_of_ms: int) -> int:
        """Return the timestamp to try first."""
        ...


class Imports:
    """Compares with tron-client and takes back what was lost."""

    def __init__(
        self,
        *,
        store: WalletStore,
        chain: Given,
        marks: Marks,
        books: Books,
        recount: Recount,
        clock: Clock,
        new_id: NewId,
        max_attempts: int,
    ) -> None:
        self._store = store
        self._chain = chain
        self._marks = marks
        self._books = books
        self._recount = recount
        self._clock = clock
        self._new_id = new_id
        self._max_attempts = max_attempts

    async def is_complete(self, owners: Sequence[Address]) -> bool:
        """True when every transaction that was submitted for these owners is recorded here.

        Each comparison goes on where the last one was, so that it costs what is new.
        """
        for owner in owners:
            name = f"given:{owner}"
            start = await self._store.cursor(name)
            lag: deque[str] = deque(maxlen=LAG_PAGES)
            async for page, cursor in self._pages(owner, start.cursor or None):
                known = await self._store.attempts([one.txid for one in page])
                lost = [one.txid for one in page if one.txid not in known]
                if lost:
                    log.critical("recovery.transactions_missing", owner=owner, first=lost[0])
                    return False
                if cursor is not None:
                    lag.append(cursor)
            if len(lag) == LAG_PAGES:
                await self._store.save_cursor(start, lag[0])
        return True

    async def take_back(self, owner: Address) -> int:
        """Record every transaction that was submitted for an owner, and what became of each.

        Returns:
            How many were not recorded.
        """
        count = 0
        async for page, _ in self._pages(owner, None):
            count += await self._take(owner, page)
            await self._books.apply_fates(page)
        return count

    async def _pages(
        self, owner: Address, cursor: str | None
    ) -> AsyncIterator[tuple[list[StoredTransactionView], str | None]]:
        while True:
            page = await self._chain.stored_transactions(owner, cursor=cursor, limit=PAGE)
            cursor = page.next
            yield page.transactions, cursor
            if cursor is None:
                return

    async def _take(self, owner: Address, page: Sequence[StoredTransactionView]) -> int:
        known = await self._store.attempts([one.txid for one in page])
        lost = [one for one in page if one.txid not in known]
        if not lost:
            return 0
        prices = prices_of(await self._chain.signing_context())
        wallet_id = await self._store.wallet_id_of(owner)
        sends = await self._store.sends_by_key([one.send_key for one in lost])
        ledger = Ledger(self._store)
        await ledger.load(accounts_of(owner))
        change, numbers, found = Change(), dict[str, set[int]](), list[Found]()
        for one in lost:
            decoded = _decoded(one)
            if decoded is None or wallet_id is None:
                log.critical("recovery.unreadable", txid=one.txid)
                continue
            before = sends.get(one.send_key) or await self._forgotten(one, decoded, wallet_id)
            if before.owner != owner:
                before = await self._moved(before, owner, wallet_id, ledger)
            if before.id not in numbers:
                numbers[before.id] = await self._store.attempt_numbers(before.id)
            attempt = self._attempt(before, one, decoded, taken=numbers[before.id])
            numbers[before.id].add(attempt.number)
            spent = Found(
                send=replace(before, attempt=attempt.number - 1),
                hold=worst_of(before, decoded.fee_limit_sun, prices),
                expires_at_ms=attempt.expires_at_ms,
            )
            found.append(spent)
            change.attempt(replace(attempt, counted_ms=self._recount.moment_ms(spent)))
            after = with_attempt(
                before,
                attempt,
                state=SendState.UNKNOWN,
                hold=spent.hold,
                fee_limit_sun=decoded.fee_limit_sun,
                at_ms=self._clock.now_ms(),
            )
            if after is not before:
                ledger.release(owner, before.hold)
                ledger.reserve(owner, after.hold)
            sends[one.send_key] = after
            change.send(after, send_view(after))
        ledger.write(change)
        await self._recount.count(change, found)
        await self._store.commit(change)
        log.warning("recovery.imported", owner=owner, count=len(lost))
        return len(lost)

    async def _moved(self, send: Send, owner: Address, wallet_id: str, ledger: Ledger) -> Send:
        """Return a send that was asked for anew with another wallet as what was signed for it (H4)."""
        await ledger.load(accounts_of(send.owner))
        ledger.release(send.owner, send.hold)
        leaf = await self._store.address(owner)
        return replace(
            send, owner=owner, wallet_id=wallet_id, leaf=leaf.index if leaf else 0, hold=Hold()
        )

    async def _forgotten(
        self, one: StoredTransactionView, decoded: DecodedTransaction, wallet_id: str
    ) -> Send:
        recipient = meaning_of(decoded.operation).recipient
        return rebuilt(
            decoded,
            send_id=self._new_id("snd"),
            send_key=one.send_key,
            wallet_id=wallet_id,
            is_to_own=bool(await self._store.owned([recipient] if recipient else [])),
            at_ms=self._clock.now_ms(),
        )

    def _attempt(
        self,
        send: Send,
        one: StoredTransactionView,
        decoded: DecodedTransaction,
        *,
        taken: set[int],
    ) -> Attempt:
        """Return the attempt under the number that its mark tells, or the next that is free."""
        stamp_ms = decoded.timestamp_ms
        marked = (
            number
            for number in range(1, self._max_attempts + 1)
            if number not in taken
            and bears(self._marks.stamp_ms(send.send_key, number, floor_of_ms=stamp_ms), stamp_ms)
        )
        return Attempt(
            id=one.txid,
            send_id=send.id,
            number=next(marked, max((send.attempt, *taken)) + 1),
            owner=one.owner,
            stamp_ms=stamp_ms,
            raw_data=one.raw_data,
            signature=one.signatures[0],
            collected=tuple(one.signatures[1:]),
            expires_at_ms=decoded.expiration_ms,
            reference_height=0,
            created_at_ms=self._clock.now_ms(),
        )


def _decoded(one: StoredTransactionView) -> DecodedTransaction | None:
    try:
        return decode_raw_data(bytes.fromhex(one.raw_data))
    except UnexpectedBytes:
        return None
