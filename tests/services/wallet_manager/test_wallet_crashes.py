"""wallet-manager dies at any await, on a chain that loses, drops, fails and expires: paid at most once."""

import random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.wallet_manager.service.books import TRANSFERS, VERDICTS
from shared.config import process_environment
from shared.models.wallet_sends import SendKind
from shared.money import Currency
from tests.services.wallet_manager.fates import WORST_FEES_SUN
from tests.services.wallet_manager.machine import NAMES, Fuse
from tests.services.wallet_manager.watched import Watched

SEEDS = int(process_environment().get("SEEDS", "120"))
"""How many random lives are lived; ``make soak`` asks for more."""

FUSES = st.none() | st.none() | st.none() | st.tuples(st.integers(1, 40), st.booleans())
KINDS = st.sampled_from(list(WORST_FEES_SUN))
MOODS = st.sampled_from(["taken", "taken", "lost", "dropped", "died before", "died after"])
ENDS = st.lists(
    st.sampled_from(["paid", "paid", "failed", "forked", "lost"]), min_size=1, max_size=4
)
SOME_NAMES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)
PEOPLE = st.sampled_from(["operator/ada", "operator/bob", "operator/eve"])


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = Watched()
        for name, kind in zip("abc", [*WORST_FEES_SUN, *WORST_FEES_SUN], strict=False):
            self.engine.ask([name], kind)

    @rule(notes=st.booleans())
    def back_up(self, *, notes: bool) -> None:
        self.engine.back_up(notes=notes)

    @precondition(lambda self: self.engine.copies)
    @rule(
        which=st.integers(0, 100),
        forgets=st.booleans(),
        ends=ENDS,
        asks=st.booleans(),
        waits=st.booleans(),
    )
    def restore(
        self, which: int, ends: list[str], *, forgets: bool, asks: bool, waits: bool
    ) -> None:
        copies = self.engine.copies
        self.engine.restore(copies[which % len(copies)], forgets=forgets)
        if asks:
            self.engine.ask_again()
        if waits:
            self.engine.leave_quarantine(ends)

    @rule(names=SOME_NAMES, kind=KINDS, fuse=FUSES)
    def ask(self, names: list[str], kind: SendKind, fuse: Fuse) -> None:
        self.engine.ask(names, kind, fuse)

    @rule(mood=MOODS, fuse=FUSES)
    def sign_and_submit(self, mood: str, fuse: Fuse) -> None:
        self.engine.sign_and_submit(mood, fuse)

    @rule(names=SOME_NAMES, mood=MOODS, fuse=FUSES)
    def all_at_once(self, names: list[str], mood: str, fuse: Fuse) -> None:
        self.engine.all_at_once(names, mood, fuse)

    @rule(seconds=st.sampled_from([3, 301]), ends=ENDS, mood=MOODS)
    def a_while_passes(self, seconds: int, ends: list[str], mood: str) -> None:
        self.engine.clock.advance(seconds=70)
        self.engine.sign_and_submit(mood)
        self.engine.time_passes(seconds, ends)
        self.engine.time_passes(3, ends)
        self.engine.hear(6)

    @rule(currency=st.sampled_from(list(Currency)))
    def pay_in(self, currency: Currency) -> None:
        self.engine.pay_in(currency)

    @rule(seconds=st.sampled_from([3, 301]), ends=ENDS)
    def time_passes(self, seconds: int, ends: list[str]) -> None:
        self.engine.time_passes(seconds, ends)

    @rule(hours=st.sampled_from([1, 2, 25]))
    def hours_pass(self, hours: int) -> None:
        self.engine.hours_pass(hours)

    @rule(limit=st.integers(1, 6), fuse=FUSES)
    def hear(self, limit: int, fuse: Fuse) -> None:
        self.engine.hear(limit, fuse)

    @rule(feed=st.sampled_from([VERDICTS, TRANSFERS]))
    def begin_again(self, feed: str) -> None:
        self.engine.live(self.engine.till.books.restart(feed))

    @rule(who=PEOPLE, agrees=st.sampled_from([True, True, True, False]), fuse=FUSES)
    def answer(self, who: str, fuse: Fuse, *, agrees: bool) -> None:
        self.engine.answer(who, agrees=agrees, fuse=fuse)

    @rule(name=st.sampled_from(NAMES), fuse=FUSES)
    def cancel(self, name: str, fuse: Fuse) -> None:
        self.engine.cancel(name, fuse)

    @rule()
    def stop(self) -> None:
        self.engine.stop()

    @rule()
    def lift(self) -> None:
        self.engine.lift()

    @rule()
    def lock(self) -> None:
        self.engine.lock()

    @rule()
    def unlock(self) -> None:
        self.engine.unlock()

    @rule(hours=st.sampled_from([-25, -2, 0, 0, 0, 2, 25]))
    def clock_jumps(self, hours: int) -> None:
        self.engine.clock_jumps(hours)

    @rule(count=st.sampled_from([1, 2, 2]))
    def operators_are(self, count: int) -> None:
        self.engine.operators_are(count)

    @invariant()
    def what_has_to_hold_holds(self) -> None:
        self.engine.check()

    def teardown(self) -> None:
        try:
            self.engine.end()
        finally:
            self.engine.close()


TestCrashes = pytest.mark.property(Machine.TestCase)
TestCrashes.settings = settings(
    max_examples=max(25, SEEDS // 5),
    stateful_step_count=50,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink one takes five minutes
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


SEEDS_AT_ONCE = 20
STEPS = 16


ROUNDS = [
    range(first, min(first + SEEDS_AT_ONCE, SEEDS)) for first in range(0, SEEDS, SEEDS_AT_ONCE)
]


@pytest.mark.property
@pytest.mark.parametrize("some", ROUNDS, ids=str)
def test_h5_killed_at_each_step_of_the_engine_every_send_is_paid_once_or_dead(some: range) -> None:
    for seed in some:
        lives(random.Random(seed))  # noqa: S311 - chooses when to die, guards nothing


ACTS = [
    *(["sign"] * 5),
    *(["ask"] * 3),
    *(["pass"] * 2),
    *(["hear"] * 2),
    *(["back up", "restore"] * 2),
    *("at once", "hours", "jump", "right", "stop", "lift", "answer"),
    *("cancel", "lock", "unlock", "pay in"),
]


def lives(chance: random.Random) -> None:
    """Die at a storage call of every step that is chosen, and come back each time."""
    engine = Watched()
    try:
        for kind in WORST_FEES_SUN:
            engine.ask(chance.sample(NAMES, 3), kind)
        for _ in range(STEPS):
            act(engine, chance)
            engine.check()
        engine.end()
    finally:
        engine.close()


def act(engine: Watched, chance: random.Random) -> None:  # noqa: C901, PLR0912 - one line an act
    fuse = (chance.randint(1, 40), chance.random() < 0.5)
    mood = chance.choice(["taken", "lost", "dropped", "died before", "died after"])
    ends = chance.choices(["paid", "failed", "forked", "lost"], k=2)
    match chance.choice(ACTS):
        case "ask":
            engine.ask(chance.choices(NAMES, k=3), chance.choice(list(WORST_FEES_SUN)), fuse)
        case "sign":
            engine.clock.advance(seconds=70)
            engine.sign_and_submit(mood, fuse)
        case "at once":
            engine.all_at_once(chance.choices(NAMES, k=3), mood, fuse)
        case "pass":
            engine.time_passes(chance.choice([3, 301]), ends)
        case "hours":
            engine.hours_pass(chance.choice([1, 25]))
        case "hear":
            engine.hear(6, fuse)
        case "answer":
            engine.answer(chance.choice(["operator/ada", "operator/bob"]), agrees=True, fuse=fuse)
        case "cancel":
            engine.cancel(chance.choice(NAMES), fuse)
        case "jump":
            engine.clock_jumps(chance.choice([-25, 25]))
        case "right":
            engine.clock_jumps(0)
        case "stop":
            engine.stop()
        case "lift":
            engine.lift()
        case "lock":
            engine.lock()
        case "unlock":
            engine.unlock()
        case "pay in":
            engine.pay_in(chance.choice(list(Currency)))
        case "back up":
            engine.back_up(notes=chance.random() < 0.5)
        case "restore" if engine.copies:
            engine.restore(chance.choice(engine.copies), forgets=chance.random() < 0.3)
            engine.ask_again()
            if chance.random() < 0.7:
                engine.leave_quarantine(ends)
