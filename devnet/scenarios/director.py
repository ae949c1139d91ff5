"""Arms scenarios, lets them strike when their occasion comes, and writes down that they did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import msgspec

from devnet.api.exchange import Answer, HttpRequest, Interceptor, Lost, Reply
from devnet.chain import Tip
from devnet.control.contract_orders import ContractOrders
from devnet.control.orders import BadOrderError
from devnet.control.teller import Teller
from devnet.control.told_clock import ToldClock
from devnet.rejection import RejectedError
from devnet.scenarios.chaos import Mixture
from devnet.scenarios.effect import Seat, Stage
from devnet.scenarios.scenario import Armed, Occasion, Scenario
from devnet.scenarios.strikes import StrikeLog
from devnet.scenarios.subject import Subject
from devnet.witness_node import WitnessNode

ARMED_MAX = 1_000
_MS_PER_S = 1_000


class Director:
    """The armed scenarios of one devnet.

    It is the innermost interceptor of every node's listener, and hears of every block.

    Attributes:
        log: The strikes so far.
    """

    def __init__(
        self,
        *,
        scenarios: Mapping[str, Scenario],
        origin: WitnessNode,
        seats: Sequence[Seat],
        teller: Teller,
        told: ToldClock,
        time_changed: Callable[[], None],
    ) -> None:
        self.scenarios = scenarios
        self.log = StrikeLog()
        self._armed: list[Armed] = []
        self._last_id = 0
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._stage = Stage(
            origin=origin,
            seats=seats,
            teller=teller,
            contracts=ContractOrders(teller),
            told=told,
            time_changed=time_changed,
            later=self._do_later,
        )
        origin.watchers.append(self._block_made)
        for place, seat in enumerate(seats):
            seat.app.interceptors.append(self._interceptor(place, seat))

    def arm(self, name: str, order: dict[str, Any]) -> Armed:
        """Arm a scenario; one that strikes at once has struck when this returns.

        Raises:
            BadOrderError: There is no such scenario, the order is unclear, or what it asks for
                is not possible now.
            RejectedError: A transaction that belongs to it is not taken.
        """
        scenario = self.scenario(name)
        if len(self._armed) >= ARMED_MAX:
            raise BadOrderError(f"{ARMED_MAX} scenarios are armed already")
        armed = self._made(scenario, order)
        self._armed.append(armed)
        try:
            self._take_up(armed, self._stage.origin.main.head)
        except (BadOrderError, RejectedError):
            self._forget(armed)
            raise
        except ValueError as error:
            self._forget(armed)
            raise BadOrderError(str(error)) from error
        self._tidy()
        return armed

    def scenario(self, name: str) -> Scenario:
        """The scenario of a name.

        Raises:
            BadOrderError: There is none.
        """
        scenario = self.scenarios.get(name)
        if scenario is None:
            raise BadOrderError(f"no such scenario: {name}; GET /devnet/scenarios lists them")
        return scenario

    def armed(self) -> list[Armed]:
        """What is armed or lasts, oldest first."""
        return list(self._armed)

    def disarm(self, *, name: str | None = None, number: int | None = None) -> int:
        """End what was armed under a name or a number, or all; returns how many there were."""
        ending = [
            each
            for each in self._armed
            if (name is None or each.scenario.name == name) and number in {None, each.id}
        ]
        for each in reversed(ending):
            self._end(each)
        return len(ending)

    def note_fault(self, kind: str, place: int, struck: str) -> None:
        """Write down that a fault struck a path or a transaction of a node."""
        is_path = struck.startswith("/")
        self.log.add(
            at_ms=self._stage.origin.clock.now_ms(),
            scenario=f"fault.{kind}",
            node=place,
            path=struck if is_path else None,
            head=self._stage.origin.main.head.number,
            note="" if is_path else struck,
        )

    def _made(self, scenario: Scenario, order: dict[str, Any], cause: Armed | None = None) -> Armed:
        values = scenario.values(order)
        place = values.get("node")
        if place is not None and place >= len(self._stage.seats):
            raise BadOrderError(f"the nodes are 0 to {len(self._stage.seats) - 1}")
        self._last_id += 1
        return Armed(
            id=self._last_id,
            scenario=scenario,
            order=order,
            values=values,
            effect=scenario.make(self._stage, values),
            left=values.get("count") or None,
            cause=cause,
        )

    # Requests.

    def _interceptor(self, place: int, seat: Seat) -> Interceptor:
        async def intercept(request: HttpRequest, answer: Answer) -> Reply | Lost:
            if not self._armed:
                return await answer(request)
            subject = Subject(place=place, node=seat.node, request=request)
            return await self._played(subject, answer)

        return intercept

    async def _played(self, subject: Subject, answer: Answer) -> Reply | Lost:
        """Answer a request through everything that is armed for it, in the order of arming."""
        striking = self._striking(subject)
        if not striking:
            return await answer(subject.request)
        for each in striking:
            if each.effect.hold_ms and self._strike(each, subject):
                await asyncio.sleep(each.effect.hold_ms / _MS_PER_S)
        for each in striking:
            if each.effect.instead is None or each.is_used_up:
                continue
            instead = each.effect.instead(subject)
            if instead is not None and self._strike(each, subject):
                await asyncio.sleep(each.effect.hold_reply_ms / _MS_PER_S)
                return instead

        reply = await self._answered(striking, subject, answer)
        for each in striking:
            if isinstance(reply, Lost) or each.effect.change is None or each.is_used_up:
                continue
            changed = each.effect.change(subject, reply)
            if changed is not None and self._strike(each, subject):
                await asyncio.sleep(each.effect.hold_reply_ms / _MS_PER_S)
                reply = changed
        return reply

    async def _answered(
        self, striking: list[Armed], subject: Subject, answer: Answer
    ) -> Reply | Lost:
        """Ask the node, as the scenarios let it be asked."""
        request = subject.request
        with ExitStack() as undoing:
            for each in striking:
                if each.is_used_up:
                    continue
                diverted = None if each.effect.divert is None else each.effect.divert(subject)
                if diverted is not None and self._strike(each, subject):
                    request = diverted
                undo = None if each.effect.around is None else each.effect.around(subject)
                if undo is not None:
                    undoing.callback(undo)
                    self._strike(each, subject)
            return await answer(request)

    def _striking(self, subject: Subject) -> list[Armed]:
        """What is armed for a request, with what mixtures add to it."""
        striking: list[Armed] = []
        for each in list(self._armed):
            if isinstance(each.effect, Mixture):
                drawn = None if each.is_used_up else each.effect.for_request(subject)
                if drawn is not None:
                    striking.append(self._made(*drawn, cause=each))
            elif each.matches(subject):
                striking.append(each)
        return striking

    # Blocks.

    def _block_made(self, tip: Tip) -> None:
        due = [do for height, do in self._later if height <= tip.number]
        self._later = [each for each in self._later if each[0] > tip.number]
        for do in due:
            with suppress(RejectedError, ValueError):
                do()
        for each in list(self._armed):
            if each.ends_at is not None and each.ends_at <= tip.number:
                self._end(each)
            elif isinstance(each.effect, Mixture):
                self._mix(each, each.effect, tip)
            else:
                self._try(each, tip)
        self._tidy()

    def _mix(self, armed: Armed, mixture: Mixture, tip: Tip) -> None:
        drawn = None if armed.is_used_up else mixture.for_block(tip)
        if drawn is None:
            return
        part = self._made(*drawn, cause=armed)
        if part.scenario.occasion is Occasion.LASTING:
            self._armed.append(part)
        self._try(part, tip)

    def _try(self, armed: Armed, tip: Tip) -> None:
        """Let it strike, or write down why it could not."""
        try:
            self._take_up(armed, tip)
        except (BadOrderError, RejectedError, ValueError) as error:
            self._note(armed, None, f"not possible: {error}")

    def _take_up(self, armed: Armed, tip: Tip) -> None:
        """Let a scenario strike at a block, begin, or go on; one for requests waits for them."""
        if armed.is_used_up or not armed.includes(tip.number):
            return
        begin, at_block = armed.effect.begin, armed.effect.at_block
        if begin is not None and not armed.begun:
            self._end_others(armed)
            note = begin()
            armed.begun = True
            blocks = armed.values.get("blocks")
            armed.ends_at = tip.number + blocks if blocks else None
            self._strike(armed, None, note)
        elif at_block is not None:
            found = at_block(tip)
            if found is not None and armed.scenario.occasion is Occasion.BLOCK:
                self._strike(armed, None, found)

    def _end_others(self, armed: Armed) -> None:
        for each in list(self._armed):
            if each is not armed and each.begun and each.group == armed.group:
                self._end(each)

    def _do_later(self, blocks: int, do: Callable[[], None]) -> None:
        self._later.append((self._stage.origin.main.head.number + blocks, do))

    # Ends and notes.

    def _strike(self, armed: Armed, subject: Subject | None, note: str = "") -> bool:
        """Count a strike, unless there were enough while the request was held."""
        if armed.is_used_up:
            return False
        armed.count()
        if armed.cause is not None:
            armed.cause.count()
        self._note(armed, subject, note)
        self._tidy()
        return True

    def _note(self, armed: Armed, subject: Subject | None, note: str) -> None:
        cause = armed if armed.cause is None else armed.cause
        self.log.add(
            at_ms=self._stage.origin.clock.now_ms(),
            scenario=armed.scenario.name,
            cause=cause.id,
            node=armed.values.get("node") if subject is None else subject.place,
            path=None if subject is None else subject.path,
            head=self._stage.origin.main.head.number,
            note=note or (_told(armed.order) if armed.cause is not None else ""),
        )

    def _end(self, armed: Armed) -> None:
        """End a scenario and whatever a mixture began; what cannot be ended is written down."""
        self._forget(armed)
        for part in [each for each in self._armed if each.cause is armed]:
            self._end(part)
        if armed.begun and armed.effect.end is not None:
            armed.begun = False
            try:
                armed.effect.end()
            except (RejectedError, ValueError) as error:
                self._note(armed, None, f"not ended: {error}")

    def _tidy(self) -> None:
        """Forget what will not strike again; what lasts stays until its end."""
        head = self._stage.origin.main.head.number
        self._armed = [
            each
            for each in self._armed
            if each.begun or not (each.is_used_up or _has_passed(each, head))
        ]

    def _forget(self, armed: Armed) -> None:
        self._armed = [each for each in self._armed if each is not armed]


def _has_passed(armed: Armed, head: int) -> bool:
    """True if the blocks that it waits for are all made."""
    last = armed.values.get("to_block")
    return armed.scenario.occasion is Occasion.BLOCK and last is not None and last <= head


def _told(order: dict[str, Any]) -> str:
    """What a part of a mixture was told."""
    return msgspec.json.encode(order, order="sorted").decode() if order else ""
