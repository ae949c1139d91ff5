"""What an operator sees of sends and may do about them: lists, stuck ones, cancelling."""

import asyncio
from collections.abc import Callable

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.sends import NotCancellable, Rule, Send
from services.wallet_manager.domain.stuck import UNDER_WAY, Stuck, stuck
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.clock import Clock
from shared.errors import BadCursor, NotFound
from shared.logs import get_logger
from shared.models.wallet_sends import SendState
from shared.storage import Page

log = get_logger(__name__)


class Oversight:
    """Lists sends and ends those of which nothing was signed.

    Args:
        is_explained: false as long as a transaction of ours may have no record here (hazard H5).
        is_all_back: false besides as long as bytes that left unsigned may have none.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        audit: Audit,
        clock: Clock,
        is_explained: Callable[[], bool],
        is_all_back: Callable[[], bool],
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._is_explained = is_explained
        self._is_all_back = is_all_back
        self._books_lock = books_lock

    async def page(self, state: SendState, *, cursor: str | None, limit: int) -> Page[Send]:
        """Return a page of the sends in a state, longest due first."""
        return await self._store.in_state(state, limit=limit, cursor=cursor)

    async def stuck(
        self, state: SendState | None, *, cursor: str | None, limit: int
    ) -> tuple[list[tuple[Send, Stuck]], str | None]:
        """Return sends that need somebody, of one state or of all, and where to go on."""
        states = UNDER_WAY if state is None else (state,)
        start, place = _place(cursor, states)
        found: list[tuple[Send, Stuck]] = []
        now_ms = self._clock.now_ms()
        for index in range(start, len(states)):
            while True:
                page = await self._store.in_state(states[index], limit=limit, cursor=place)
                found += [(one, why) for one in page.items if (why := stuck(one, now_ms=now_ms))]
                place = page.next
                if len(found) >= limit:  # whole pages, so that none is lost between two
                    return found, _next(index, place, states)
                if place is None:
                    break
        return found, None

    async def cancel(self, send_id: str, *, reason: str, by: str) -> Send:
        """End a send of which nothing is signed; a repeat returns it as it ended.

        Raises:
            NotFound: there is no such send.
            NotCancellable: bytes of it may be on their way, forgotten here or not; only a verdict ends
                it (H7), or the proof that there are none (H5).
        """
        async with self._books_lock:
            send = await self._store.send(send_id)
            if send is None:
                raise NotFound("there is no such send", send_id=send_id)
            if send.refusal_rule == Rule.CANCELLED:
                return send
            if send.state is not SendState.QUEUED:
                raise NotCancellable(
                    f"it is {send.state}: only a verdict ends it", send_id=send_id, state=send.state
                )
            if not await self._is_all_known(send):
                raise NotCancellable(
                    "a transaction of it may be forgotten here: wait until nothing is unexplained",
                    send_id=send_id,
                    state=send.state,
                )
            ended = send.given_up(Rule.CANCELLED, f"{by}: {reason}", at_ms=self._clock.now_ms())
            change = Change()
            change.send(ended, send_view(ended))
            change.decide(
                self._audit.decision(
                    Act.SEND_CANCELLED, send_id, who=by, why=reason, key=send.send_key
                )
            )
            await self._store.commit(change)
        log.warning("send.cancelled", send_id=send_id, by=by)
        return ended

    async def _is_all_known(self, send: Send) -> bool:
        """True when no transaction of a queued send can be anywhere that is not recorded here."""
        wallet = await self._store.wallet(send.wallet_id)
        signs_alone = wallet is not None and wallet.signs_alone and not send.permission_id
        return self._is_explained() if signs_alone else self._is_all_back()


def _place(cursor: str | None, states: tuple[SendState, ...]) -> tuple[int, str | None]:
    if cursor is None:
        return 0, None
    name, _, place = cursor.partition("|")
    if name not in states:
        raise BadCursor("this cursor belongs to another list")
    return states.index(SendState(name)), place or None


def _next(index: int, place: str | None, states: tuple[SendState, ...]) -> str | None:
    if place is not None:
        return f"{states[index]}|{place}"
    return f"{states[index + 1]}|" if index + 1 < len(states) else None
