"""A copy made after any commit of a busy run is restored, and every send is paid once or dead (H5)."""

import pytest

from shared.models.wallet_sends import SendKind
from shared.money import Currency
from tests.services.wallet_manager.watched import Watched

TOKEN, COIN = SendKind.TRC20_TRANSFER, SendKind.TRX_TRANSFER
LEAST_MOMENTS = 25

pytestmark = pytest.mark.property


def busy(engine: Watched) -> None:
    """Live through whatever the engine does: sends paid, failed, lost, tried again and cancelled."""
    engine.ask(["a", "d"], TOKEN)
    engine.ask(["b", "e"], COIN)
    engine.sign_and_submit()
    engine.live(engine.till.recovery.note_height())
    engine.ask(["c", "f"], TOKEN)
    engine.answer("operator/bob", agrees=True)
    engine.sign_and_submit("lost")
    engine.time_passes(3, ["paid", "failed", "lost", "forked"])
    engine.answer("operator/eve", agrees=True)
    hear_out(engine)
    engine.cancel("c")
    engine.time_passes(301, ["forked", "paid", "lost", "lost"])
    hear_out(engine)
    engine.sign_and_submit("dropped")
    engine.stop()
    engine.ask(["g", "h"], COIN)
    engine.sign_and_submit()
    engine.lift()
    for currency in Currency:
        engine.pay_in(currency)
    engine.ask(["i", "j"], TOKEN)
    for mood in ("taken", "lost", "taken"):
        engine.time_passes(3, ["paid", "forked", "paid", "paid"])
        engine.sign_and_submit(mood)
        hear_out(engine)
    engine.time_passes(70, ["paid"])


def hear_out(engine: Watched) -> None:
    """Read the feeds to their ends, one event at a time."""
    for _ in engine.chain.told:
        engine.hear(1)


def copied_at(moment: int) -> tuple[Watched, int]:
    """Return an engine after the busy run, with a copy made after a commit, and how many there were."""
    engine = Watched()

    async def copies(committed: int) -> None:
        if committed - begun == moment:
            await engine.copy()

    begun = engine.storage.committed
    engine.storage.then = copies
    busy(engine)
    engine.storage.then = None
    return engine, engine.storage.committed - begun


@pytest.mark.parametrize("forgets", [False, True], ids=["remembered", "forgotten"])
def test_h5_a_copy_of_any_moment_of_a_busy_run_pays_every_send_once_or_never(
    *, forgets: bool
) -> None:
    moment, moments = 1, 1
    while moment <= moments:
        engine, moments = copied_at(moment)
        try:
            (copy,) = engine.copies
            engine.check()
            engine.restore(copy, forgets=forgets)
            engine.check()
            engine.leave_quarantine(["paid", "lost"])
            engine.check()
            engine.end()
        finally:
            engine.close()
        moment += 1
    assert moments >= LEAST_MOMENTS
