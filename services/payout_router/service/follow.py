"""Follows every send to its end, whatever is lost on the way."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from services.payout_router.domain import Payout, PayoutState, forget, hear
from services.payout_router.service.reports import payout_of, report_of
from services.payout_router.store import PayoutStore, Step
from shared.clock import Clock
from shared.feeds import FeedFollower
from shared.models.wallet_sends import SendLookupView, SendState, SendView
from shared.models.wire import FeedView

CONSUMER: Final = "payout-router"
LOOKUP_ROWS: Final = 500


class Sends(Protocol):
    """Tells what became of sends: wallet-manager."""

    async def lookup(
        self, *, send_keys: Sequence[str] = (), txids: Sequence[str] = ()
    ) -> SendLookupView:
        """Return sends by key."""
        ...

    async def sends(self, *, after: str, limit: int, wait_s: int) -> FeedView[SendView]:
        """Return the next changes of sends."""
        ...

    async def acknowledge(self, *, consumer: str, cursor: str) -> object:
        """Say how far the feed has been consumed."""
        ...


class Follower:
    """Takes in what became of sends: from the feed, and by asking where the feed was silent.

    Args:
        store: what this service keeps.
        sends: whom to ask.
        clock: the time.
        silence_ms: after how long a payout is asked about of which nothing was heard.
    """

    def __init__(self, *, store: PayoutStore, sends: Sends, clock: Clock, silence_ms: int) -> None:
        self._store = store
        self._sends = sends
        self._clock = clock
        self._silence_ms = silence_ms
        self._feed: FeedFollower[SendView] = FeedFollower(
            pages=sends.sends,
            load_cursor=store.cursor,
            apply=self._apply,
            acknowledge=self._acknowledge,
            resync=self.resync,
        )

    async def follow(self) -> bool:
        """Take in a page of what became of sends."""
        return await self._feed.follow()

    async def reconcile(self) -> bool:
        """Ask about payouts of which nothing was heard for a while; True when there may be more."""
        until_ms = self._clock.now_ms() - self._silence_ms
        silent = await self._store.silent(until_ms=until_ms, limit=LOOKUP_ROWS)
        if silent:
            await self._ask_about(silent)
        return len(silent) == LOOKUP_ROWS

    async def resync(self) -> None:
        """Ask about every open payout, then follow the sends from the beginning of their feed."""
        for state in (PayoutState.PROCESSING, PayoutState.PENDING):
            cursor: str | None = None
            while True:
                page = await self._store.in_state(state, cursor=cursor)
                if page.items:
                    await self._ask_about(page.items)
                cursor = page.next
                if cursor is None:
                    break
        await self._store.change({}, at_ms=self._clock.now_ms(), cursor="")

    async def _apply(self, page: FeedView[SendView]) -> None:
        """Store what a page says together with its cursor; the last word on a send counts."""
        now_ms = self._clock.now_ms()
        steps: dict[str, Step] = {}
        for item in page.items:
            payout_id = payout_of(item.object.send_key)
            if payout_id is not None:
                earlier = steps.get(payout_id)
                steps[payout_id] = _after(
                    earlier, partial(hear, report=report_of(item.object), at_ms=now_ms)
                )
        await self._store.change(steps, at_ms=now_ms, cursor=page.next)

    async def _acknowledge(self, cursor: str) -> object:
        return await self._sends.acknowledge(consumer=CONSUMER, cursor=cursor)

    async def _ask_about(self, payouts: Sequence[Payout]) -> None:
        """Look up sends; one that wallet-manager does not know is handed over again.

        So is one that is queued there: restored from a copy it is not signed before that (H5).
        """
        answer = await self._sends.lookup(send_keys=[payout.send_key for payout in payouts])
        sends = {send.send_key: send for send in answer.sends}
        now_ms = self._clock.now_ms()
        steps: dict[str, Step] = {}
        for payout in payouts:
            send = sends.get(payout.send_key)
            if send is None:
                steps[payout.id] = partial(forget, at_ms=now_ms)
            else:
                heard = partial(hear, report=report_of(send), at_ms=now_ms)
                asked: Step = partial(replace, checked_at_ms=now_ms)
                if send.state is SendState.QUEUED:
                    asked = partial(forget, at_ms=now_ms)
                steps[payout.id] = _after(heard, asked)
        await self._store.change(steps, at_ms=now_ms)


def _after(first: Step | None, second: Step) -> Step:
    return second if first is None else lambda payout: second(first(payout))
