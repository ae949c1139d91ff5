"""Ask the gateways for an address's past; nothing that moves money asks here."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from services.tron_client.domain.history import (
    History,
    NoHistory,
    PastTokenMove,
    PastTransaction,
    Question,
)
from services.tron_client.node.history import past_token_moves, past_transactions
from services.tron_client.node.pages import Bounds, Gateway
from shared.clock import Clock
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.tron.address import Address

log = get_logger(__name__)

AT_ONCE: Final = 2
"""Histories under way; each may cost many calls, and blocks must not wait for them."""

Gateways = Callable[[], Sequence[Gateway]]
"""Returns the nodes that keep histories, in the order in which they are asked."""

T = TypeVar("T", PastTransaction, PastTokenMove)
Asked = Callable[[Gateway, Question, Bounds], Awaitable[History[T]]]


class Histories:
    """Asks one gateway after another; a history comes from one of them alone."""

    def __init__(self, *, gateways: Gateways, usdt: Address, clock: Clock, bounds: Bounds) -> None:
        self.usdt = usdt
        self._gateways = gateways
        self._clock = clock
        self._bounds = bounds
        self._under_way = asyncio.Semaphore(AT_ONCE)

    async def transactions(
        self, address: Address, *, since_ms: int, until_ms: int | None, only_solid: bool
    ) -> History[PastTransaction]:
        """Return the transactions that name an address, newest first.

        Raises:
            ImpossibleSpan: the span ends before it begins.
            NoHistory: no node keeps histories.
            InconsistentHistory: the last one asked contradicts itself.
            Unavailable: the last one asked gave no answer.
        """
        question = Question(
            address=address,
            since_ms=since_ms,
            until_ms=self._end(until_ms),
            only_solid=only_solid,
        )
        return await self._from_somebody(question, past_transactions)

    async def token_moves(
        self,
        address: Address,
        *,
        token: Address | None,
        since_ms: int,
        until_ms: int | None,
        only_solid: bool,
    ) -> History[PastTokenMove]:
        """Return the transfers and approvals of tokens, newest first; raises the same."""
        question = Question(
            address=address,
            since_ms=since_ms,
            until_ms=self._end(until_ms),
            only_solid=only_solid,
            token=token,
        )
        return await self._from_somebody(question, past_token_moves)

    def _end(self, until_ms: int | None) -> int:
        return self._clock.now_ms() if until_ms is None else until_ms

    async def _from_somebody(self, question: Question, ask: Asked[T]) -> History[T]:
        problem: Unavailable = NoHistory(
            "no node here keeps histories by address: name one that does in TRON_ENDPOINTS_FILE"
        )
        async with self._under_way:
            for gateway in self._gateways():
                try:
                    return await ask(gateway, question, self._bounds)
                except Unavailable as error:
                    log.warning("history.failed", operator=gateway.operator, detail=error.detail)
                    problem = error
        raise problem
