"""Accounts compared with the chain all the time, a few in every round (hazard H15).

A node is asked what there is at its head. What there is less than there should be is not spent from
that moment on. The judgement comes once the books have come to that block: what the journal says of that
very moment has to be what the node said, but for transactions that still have no verdict.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.books import (
    CHAIN,
    CORRECTED,
    accounts_of,
    entry,
    moved,
    position_id,
)
from services.wallet_manager.domain.reconciliation import (
    Finding,
    Measured,
    NotBookable,
    compare,
)
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.books import Books
from services.wallet_manager.service.holdings import Chain, amounts_of, balance_call
from services.wallet_manager.service.ledger import Ledger
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.alarms import Alarms
from shared.logs import get_logger
from shared.money import Currency, format_base_units
from shared.storage import DuplicateRecord
from shared.tron.address import Address

log = get_logger(__name__)

ALARM: Final = "books_differ"
PAGE: Final = 1_000


class Reconciliation:
    """Goes round the positions, measures, and judges what was measured before.

    A round is over when its blocks are solid, about a minute later; each account costs the node three
    calls.

    Args:
        accounts_per_round: at most; fewer where the head moves on before they are told.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        chain: Chain,
        books: Books,
        audit: Audit,
        alarms: Alarms,
        usdt_contract: Address,
        books_lock: asyncio.Lock,
        accounts_per_round: int,
    ) -> None:
        self._store = store
        self._chain = chain
        self._books = books
        self._audit = audit
        self._alarms = alarms
        self._usdt = usdt_contract
        self._books_lock = books_lock
        self._cursor: str | None = None
        self._in_wallets = False
        self._most = accounts_per_round
        self._round = accounts_per_round
        self._measured: list[Measured] = []

    async def work(self) -> bool:
        """Judge what was measured, if the books have come so far, and measure the next few."""
        if self._measured:
            solid = self._books.as_of()
            if solid is None or solid.height < max(one.height for one in self._measured):
                return False
            measured, self._measured = self._measured, []
            for one in measured:
                await self._judge(one)
        owners, cursor = await self._next_owners()
        if not owners:  # on to what comes after them at once
            self._go_on(cursor)
            owners, cursor = await self._next_owners()
        self._measured = await self._measure(owners)
        if owners and not self._measured and self._round > 1:
            self._round //= 2  # the same again, fewer at once: else none would ever be judged
            return False
        self._round = min(self._most, self._round + 1)
        self._go_on(cursor)
        return False

    def _go_on(self, cursor: str | None) -> None:
        self._cursor = cursor
        if cursor is None:
            self._in_wallets = not self._in_wallets

    async def book(
        self,
        owner: Address,
        account: str,
        currency: Currency,
        difference: int,
        *,
        by: str,
        why: str,
    ) -> Finding:
        """Book a difference that a person can explain, such as what an imported key had before.

        Raises:
            NotBookable: the last look found another difference, or none, or it is booked already.
        """
        id_ = position_id(account, currency)
        async with self._books_lock:
            finding = (await self._store.findings([id_])).get(id_)
            if finding is None or finding.owner != owner:
                raise NotBookable("this account was not compared yet", account=account)
            finding.require(difference)
            ledger, change = Ledger(self._store), Change()
            await ledger.load([(account, currency)])
            postings = moved(CHAIN, account, currency, difference)
            entry_id = f"corrected:{id_}:{finding.height}"
            change.journal(
                entry(entry_id, postings, kind=CORRECTED, at_ms=finding.at_ms, txid=None)
            )
            ledger.book(postings)
            ledger.write(change)
            facts = {"currency": currency.value, "difference": str(difference)}
            change.decide(
                self._audit.decision(Act.BOOKS_CORRECTED, account, who=by, why=why, **facts)
            )
            try:
                await self._store.commit(change)
            except DuplicateRecord:
                raise NotBookable("this difference is booked already", account=account) from None
            settled = finding.settled()
            await self._store.save_finding(settled)
        await self._alarms.clear(ALARM, id_)
        return settled

    async def report(self, owner: Address) -> list[Finding]:
        """Return how the accounts of an address compared, those that were looked at."""
        ids = [position_id(*account) for account in accounts_of(owner)]
        found = await self._store.findings(ids)
        return [found[id_] for id_ in ids if id_ in found]

    async def _next_owners(self) -> tuple[list[Address], str | None]:
        """Return the next addresses with money in the books, and then wallets without any.

        A key that was brought in may have had money before, of which the books cannot know.
        """
        if not self._in_wallets:
            page = await self._store.all_positions(cursor=self._cursor, limit=self._round)
            found = {one.address for one in page.items if one.settled or one.held}
            return sorted(found), page.next
        wallets = await self._store.wallets(cursor=self._cursor, limit=self._round)
        accounts = [account for wallet in wallets.items for account in accounts_of(wallet.address)]
        positions = (await self._store.positions(accounts)).values()
        known = {one.address for one in positions if one.settled or one.held}
        return sorted({one.address for one in wallets.items} - known), wallets.next

    async def _measure(self, owners: Sequence[Address]) -> list[Measured]:
        """Ask what there is; nothing counts that was told while the head moved."""
        if not owners:
            return []
        before = (await self._chain.signing_context()).head
        accounts = [await self._chain.account(owner) for owner in owners]
        tokens = await self._chain.call_contracts(
            [balance_call(owner, usdt=self._usdt) for owner in owners]
        )
        head = (await self._chain.signing_context()).head
        found: list[Measured] = []
        for account, token in zip(accounts, tokens, strict=True):
            amounts = amounts_of(account)
            if not token.reverted:
                amounts[account.address, Currency.USDT] = int(token.result or "0", 16)
            found += [
                Measured(
                    account=name,
                    currency=currency,
                    amount=amount,
                    height=head.height,
                    at_ms=head.timestamp_ms,
                )
                for (name, currency), amount in amounts.items()
            ]
        await self._lower(found)
        return found if before.block_id == head.block_id else []

    async def _lower(self, measured: Sequence[Measured]) -> None:
        """Keep what a node says is missing from being spent, at once; what is more changes nothing."""
        async with self._books_lock:
            pairs = [(one.account, one.currency) for one in measured]
            positions = await self._store.positions(pairs)
            for one in measured:
                position = positions[position_id(one.account, one.currency)]
                told = position.told(one.amount)
                if told.short != position.short:
                    log.error("books.short", account=one.account, short=told.short)
                    await self._store.save_position(told)

    async def _judge(self, measured: Measured) -> None:
        id_ = position_id(measured.account, measured.currency)
        owner = Address(measured.account.rpartition(":")[2])
        async with self._books_lock:
            position = (await self._store.positions([(measured.account, measured.currency)]))[id_]
            books = position.settled - await self._booked_since(measured)
            in_flight = await self._in_flight(owner, measured)
        before = (await self._store.findings([id_])).get(id_)
        finding = compare(before, measured, owner=owner, books=books, in_flight=in_flight)
        await self._store.save_finding(finding)
        if finding.wants_a_person:
            more = format_base_units(finding.difference)
            told = f"the chain has {more} {finding.currency} more than the books since block"
            await self._alarms.raise_alarm(ALARM, id_, detail=f"{told} {finding.since_height}")
        elif finding.is_explained:
            await self._alarms.clear(ALARM, id_)

    async def _booked_since(self, measured: Measured) -> int:
        """Return what was booked of later blocks than the one that was measured."""
        total, cursor = 0, None
        while True:
            page = await self._store.journal_after(
                measured.account, after_ms=measured.at_ms, cursor=cursor, limit=PAGE
            )
            total += sum(line.amount for line in page.items if line.currency is measured.currency)
            cursor = page.next
            if cursor is None:
                return total

    async def _in_flight(self, owner: Address, measured: Measured) -> int:
        """Return what may have been taken by transactions that were signed before and lack a verdict.

        One that was seen in a later block took nothing yet. Else a wallet that always has something on
        its way would hide what is missing for ever.
        """
        if measured.account != owner:
            return 0
        sends = await self._store.under_way(owner)
        attempts = await self._store.attempts([send.txid for send in sends if send.txid])
        return sum(
            send.hold.of(measured.currency)
            for send in sends
            if send.txid in attempts
            and attempts[send.txid].created_at_ms <= measured.at_ms
            and (send.block_height is None or send.block_height <= measured.height)
        )
