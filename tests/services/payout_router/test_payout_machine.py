"""No sequence of events completes a payout twice or pays it under two keys."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.payout_router.domain import OPEN, Payout, PayoutRefused, PayoutState
from shared.models.wallet_sends import FINAL_SEND_STATES, SendProblem, SendState
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.storage import SqliteStorage
from tests.services.payout_router.desk import Desk, desk_on, open_storage
from tests.support import address

T = TypeVar("T")

MOVES = [state for state in SendState if state is not SendState.QUEUED]


class Payouts(RuleBasedStateMachine):
    """payout-router against a wallet-manager that loses replies and events, refuses and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp())
        self.storage: SqliteStorage | None = None
        self.payouts: dict[str, Payout] = {}
        self.ended: dict[str, PayoutState] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.storage = self.run(open_storage(self.root))
        self.desk: Desk = desk_on(self.storage, self.root)
        self.desk.clock.advance(seconds=1)

    @rule(key=st.sampled_from("abc"), currency=st.sampled_from(Currency))
    def promise(self, key: str, currency: Currency) -> None:
        name = f"{key}-{currency}"
        try:
            payout = self.run(
                self.desk.promise(
                    name,
                    currency=currency,
                    recipient=address(ord(key)),
                    amount=4_000_000_000,
                )
            )
        except PayoutRefused:
            return
        known = self.payouts.setdefault(name, payout)
        assert known.id == payout.id

    @rule(currency=st.sampled_from(Currency), lost=st.integers(0, 2))
    def dispatch(self, currency: Currency, lost: int) -> None:
        self.desk.wallet_manager.loses_replies = lost
        with contextlib.suppress(PeerUnavailable):
            self.run(self.desk.dispatcher.dispatch(currency))
        self.desk.wallet_manager.loses_replies = 0

    @precondition(lambda self: self.payouts)
    @rule(data=st.data(), state=st.sampled_from(MOVES), told=st.booleans())
    def send_moves(self, data: st.DataObject, state: SendState, *, told: bool) -> None:
        manager = self.desk.wallet_manager
        moving = [
            key for key, send in manager.stored.items() if send.state not in FINAL_SEND_STATES
        ]
        if moving:
            manager.becomes(data.draw(st.sampled_from(moving)), state, told=told)

    @precondition(lambda self: self.payouts)
    @rule(data=st.data())
    def an_old_event_is_told_again(self, data: st.DataObject) -> None:
        events = self.desk.wallet_manager.events
        if events:
            self.desk.wallet_manager.tell(data.draw(st.sampled_from(events)).object)

    @precondition(lambda self: self.payouts)
    @rule(data=st.data(), status=st.sampled_from([403, 404, 409, 0]))
    def wallet_manager_changes_its_mind(self, data: st.DataObject, status: int) -> None:
        payout = data.draw(st.sampled_from(list(self.payouts.values())))
        self.desk.wallet_manager.problems.pop(payout.send_key, None)
        if status:
            problem = SendProblem(status=status, code="LUCID_ERR_1400", detail="no")
            self.desk.wallet_manager.problems[payout.send_key] = problem

    @rule()
    def follow(self) -> None:
        self.run(self.desk.follower.follow())

    @rule()
    def reconcile(self) -> None:
        self.run(self.desk.follower.reconcile())

    @rule()
    def the_feed_starts_anew(self) -> None:
        self.desk.wallet_manager.restore()

    @rule(seconds=st.sampled_from([1, 30, 300]))
    def time_passes(self, seconds: int) -> None:
        self.desk.clock.advance(seconds=seconds)

    @rule()
    def the_process_dies_between_commit_and_handover(self) -> None:
        manager = self.desk.wallet_manager
        manager.away = True
        for currency in Currency:
            with contextlib.suppress(PeerUnavailable):
                self.run(self.desk.dispatcher.dispatch(currency))
        manager.away = False

    @invariant()
    def each_payout_is_one_send(self) -> None:
        if self.storage is None:
            return
        keys = {payout.send_key for payout in self.payouts.values()}
        assert set(self.desk.wallet_manager.handed_over) <= keys

    @invariant()
    def ends_are_for_good_and_never_against_the_chain(self) -> None:
        for name, payout in self.payouts.items():
            now = self.run(self.desk.read(payout.id))
            send = self.desk.wallet_manager.stored.get(payout.send_key)
            if name in self.ended:
                assert now.state is self.ended[name]
            elif now.state not in OPEN:
                self.ended[name] = now.state
            if now.state is PayoutState.COMPLETED:
                assert send is not None
                assert send.state is SendState.CONFIRMED
            if now.state is PayoutState.FAILED and send is not None:
                assert send.state is not SendState.CONFIRMED
                assert self.run(self.desk.spent(now)) == 0

    def teardown(self) -> None:
        if self.storage is not None:
            events = self.run(self.desk.events())
            done = [one for one, state in self.ended.items() if state is PayoutState.COMPLETED]
            assert events.count("payout.completed") == len(done)
            self.run(self.storage.close())
        self.loop.close()
        shutil.rmtree(self.root)


TestPayouts = Payouts.TestCase
TestPayouts.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
