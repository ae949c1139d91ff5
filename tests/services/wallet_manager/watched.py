"""What has to hold whatever happens in whatever order: against the chain, and against sums made of it alone."""

from collections import defaultdict
from pathlib import Path
from typing import Final

from services.wallet_manager.domain.recovery import Stage
from services.wallet_manager.domain.sends import ENDED, Send
from services.wallet_manager.service.recompute import Recompute
from services.wallet_manager.store.schema import ATTEMPTS, SENDS
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.storage import MAX_ROWS
from tests.services.wallet_manager.fates import NEVER
from tests.services.wallet_manager.guards import QUORUM
from tests.services.wallet_manager.machine import CAPS, DAY_S, FEES_PER_HOUR, Engine
from tests.services.wallet_manager.oracle import Oracle, Spent, currency_of
from tests.services.wallet_manager.till import LIFETIME_MS

SHUT: Final = {Stage.INDEXING, Stage.IMPORTING, Stage.MATCHING}
"""Stages that take until nothing can land any more, so that none of them ends within one step."""

UNDER_WAY: Final = {SendState.SIGNED, SendState.SUBMITTED, SendState.SEEN, SendState.UNKNOWN}


class Watched(Engine):
    """An engine of which everything is checked.

    Attributes:
        confirmed: sends as they were when they were first seen confirmed.
        attempts: txids of what was signed; ``noted`` those that the chain knew at the last look.
        was_shut: True when the quarantine after a restore went on at the last look.
        again: new attempts that were signed on one operator's word, by txid.
    """

    def __init__(self) -> None:
        super().__init__()
        self.confirmed: dict[str, Send] = {}
        self.attempts: set[str] = set()
        self.noted: set[str] = set()
        self.was_shut = False
        self.again: dict[str, tuple[Currency, int, int]] = {}
        self.oracle = Oracle(caps=dict.fromkeys(Currency, CAPS), fees_per_hour_sun=FEES_PER_HOUR)

    def restore(self, copy: Path, *, forgets: bool) -> None:
        """Put a copy in the place of the database; what was confirmed may not be so in it."""
        self.confirmed.clear()
        super().restore(copy, forgets=forgets)

    def check(self) -> None:
        """Check everything that holds at every moment."""
        assert max(self.chain.paid.values(), default=0) <= 1, "paid twice"
        calls_left, self.storage.calls_left = self.storage.calls_left, NEVER
        self.run(self._check())
        self.storage.calls_left = calls_left
        self.oracle.check(self.chain.known.values())
        self._check_unproved()

    async def sends(self) -> list[Send]:
        return (await self.disk.list(SENDS, "send_key", limit=MAX_ROWS)).items

    async def _check(self) -> None:
        sends = await self.sends()
        await self._check_books(sends)
        await self._check_attempts(sends)
        for send in sends:
            await self._check_send(send)

    async def _check_books(self, sends: list[Send]) -> None:
        lines = await self.till.journal()
        claims = await self.till.store.open_claims_of(self.owner)
        holds = [*(send.hold for send in sends), *(claim.hold for claim in claims)]
        for currency in Currency:
            position = await self.till.position(self.owner, currency)
            booked = [
                one.amount for one in lines if (one.account, one.currency) == (self.owner, currency)
            ]
            assert position.settled == sum(booked)
            assert position.held == sum(hold.of(currency) for hold in holds)
            assert position.available >= 0 or self.was_restored
            assert not sum(one.amount for one in lines if one.currency is currency)

    async def _check_attempts(self, sends: list[Send]) -> None:
        """Nothing new was signed by a locked vault, under a stop, or without the people it needs."""
        by_id = {send.id: send for send in sends}
        is_shut = self.till.recovery.run.stage in SHUT
        listed = await self.disk.list(ATTEMPTS, "send", limit=MAX_ROWS)
        for one in listed.items:
            if one.id in self.attempts or one.id in self.noted:
                continue
            self.attempts.add(one.id)
            assert self.vault.is_open, "signed with a locked vault"
            assert not self.chain.is_held_back, "signed under a stop"
            assert not self.local.off_ms, "signed by clocks that differ"
            assert not (self.was_shut and is_shut), "signed in quarantine"
            send = by_id[one.send_id]
            if send.amount > CAPS.agreed_above:
                assert len(self.voices.get(send.send_key, ())) >= QUORUM, "signed unagreed"
            if one.number > 1 and self.guards.operators[0] == 1:
                self.again[one.id] = (
                    currency_of(send),
                    one.expires_at_ms - LIFETIME_MS,
                    send.amount,
                )
        self.noted |= self.chain.known.keys()
        self.was_shut = is_shut

    def _check_unproved(self) -> None:
        """New attempts on one operator's word are bounded, but for those that two proved absent."""
        spent: dict[Currency, list[Spent]] = defaultdict(list)
        for txid, (currency, signed_ms, amount) in self.again.items():
            known = self.chain.known.get(txid)
            is_proved = known is not None and known.borne_by > 1
            if not (is_proved and known and known.state is TransactionState.EXPIRED):
                spent[currency].append((signed_ms, amount))
        self.oracle.check_unproved(spent)

    async def _check_send(self, send: Send) -> None:
        assert (send.hold.trx_sun > 0) == (send.state in UNDER_WAY)
        if send.send_key in self.cancelled:
            assert not self.chain.paid.get(send.send_key), "paid although it was cancelled"
        if send.state is SendState.CONFIRMED:
            assert self.confirmed.setdefault(send.send_key, send) == send
        elif send.state in {SendState.FAILED, SendState.EXPIRED, SendState.REFUSED}:
            is_told = self.was_restored and send.send_key in self.turned_down
            assert is_told or not self.chain.paid.get(send.send_key), "ended as dead, and paid"
        attempts = await self.till.attempts(send)
        numbers = [one.number for one in attempts]
        assert numbers == sorted(set(numbers))
        assert numbers[-1:] == ([send.attempt] if send.attempt else [])
        if not self.was_restored:
            assert numbers == list(range(1, send.attempt + 1))
        for earlier in attempts[:-1]:
            known = self.chain.known.get(earlier.id)
            if known is None:  # of a past that another copy took the place of
                assert self.was_restored
                assert earlier.expires_at_ms < self.clock.now_ms()
            else:
                assert known.state is TransactionState.EXPIRED

    def end(self) -> None:
        """Let everything come to its end, and compare the whole with the chain."""
        self.storage.calls_left = NEVER
        self.chain.mood = "taken"
        self.lift()
        self.operators_are(2)
        self.leave_quarantine(["paid"])
        if self.was_restored:
            self.ask_again()
        self._play_on(30)
        self.clock.advance(seconds=4 * DAY_S)  # the last of them is too late by then
        self._play_on(6)
        self.check()
        self.run(self._check_against_the_chain())

    def _play_on(self, rounds: int) -> None:
        for _ in range(rounds):
            self.time_passes(3, ["lost"])
            self.time_passes(0, ["paid"])
            self.run(self._sign_and_submit())
            self.run(self._follow_verdicts(50))
            self.run(self._follow_transfers(50))

    async def _check_against_the_chain(self) -> None:
        assert self.till.alarm_kinds() <= {"transaction_unclaimed"}
        assert self.till.claims.open() == 0
        assert (await Recompute(self.till.store).all()).wrong == ()
        for currency in Currency:
            position = await self.till.position(self.owner, currency)
            assert position.settled == self.chain.balances[currency]
            assert position.held == 0, "a hold leaked"
        for send in await self.sends():
            paid = bool(self.chain.paid.get(send.send_key))
            is_told = self.was_restored and send.send_key in self.turned_down
            assert (send.state is SendState.CONFIRMED) == paid or (is_told and paid)
            assert send.state in ENDED, f"{send.send_key} is {send.state}: {send.waiting_for}"
