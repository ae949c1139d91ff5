"""Random histories: what every history of blocks, forks, stalls and restarts has in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devnet.blocklog import BlockLog
from devnet.blocks import block_id_of
from devnet.forks import Fate
from devnet.genesis import CUSTOMERS
from devnet.keys import Key
from devnet.mainchain import MainChain
from devnet.rejection import RejectedError

PEOPLE = [CUSTOMERS[0].key, CUSTOMERS[1].key, Key(name="stranger"), Key(name="passer-by")]
PERSON = st.sampled_from(PEOPLE)
AMOUNT = st.integers(min_value=1, max_value=12_000_000_000)
STEP = st.one_of(
    st.tuples(st.just("trx"), PERSON, PERSON, AMOUNT),
    st.tuples(st.just("usdt"), PERSON, PERSON, AMOUNT),
    st.tuples(st.just("mine"), st.integers(1, 40)),
    st.tuples(st.just("reorganise"), st.integers(1, 20), st.sampled_from(Fate), st.integers(0, 9)),
    st.tuples(st.just("branch"), st.integers(1, 4), st.integers(1, 6)),
    st.tuples(st.just("miss"), st.integers(0, 40)),
    st.tuples(st.just("absent"), st.sets(st.integers(0, 26), max_size=12)),
    st.tuples(st.just("jump"), st.integers(1, 100_000)),
    st.tuples(st.just("drop")),
    st.tuples(st.just("restart")),
)


class History:
    """A devnet on a file, and what was solid in it."""

    def __init__(self, open_world: Callable[[Path], Any], path: Path) -> None:
        self._open = open_world
        self._path = path
        self.world = open_world(path)
        self._solid: dict[int, bytes] = {0: self.world.node.chain.block_id(0)}

    def take(self, step: tuple[Any, ...]) -> None:
        name, *arguments = step
        getattr(self, name)(*arguments)

    def trx(self, sender: Key, recipient: Key, amount: int) -> None:
        self._broadcast(self.world.transfer(recipient.address, amount, by=sender))

    def usdt(self, sender: Key, recipient: Key, amount: int) -> None:
        self._broadcast(self.world.usdt("transfer", recipient.address, amount, by=sender))

    def mine(self, blocks: int) -> None:
        self.world.mine(blocks)

    def reorganise(self, depth: int, fate: Fate, seed: int) -> None:
        if possible := min(depth, self._replaceable):
            self.world.node.reorganise(possible, fate=fate, seed=seed)

    def branch(self, depth: int, length: int) -> None:
        node = self.world.node
        if not (possible := min(depth, self._replaceable)):
            return
        branch = node.fork(possible)
        for _ in range(length):
            if node.extend(branch):
                break

    def miss(self, slots: int) -> None:
        self.world.node.miss_slots(slots)

    def absent(self, places: set[int]) -> None:
        self.world.node.set_absent(places)

    def jump(self, seconds: int) -> None:
        self.world.node.jump(seconds * 1_000)

    def drop(self) -> None:
        for txid in self.world.node.pool.txids()[:1]:
            self.world.node.drop_transaction(txid)

    def restart(self) -> None:
        before = self.world.node.chain
        known = (before.head, before.solid, dict(before.ledger.head.changes))
        solid_state = dict(before.ledger.solid.changes)
        self.world.node.chain.close()
        self.world = self._open(self._path)
        after = self.world.node.chain
        assert (after.head, after.solid, after.ledger.head.changes) == known
        assert after.ledger.solid.changes == solid_state

    def check(self) -> None:
        """Ids chain, and what was solid once is still there."""
        chain = self.world.node.chain
        newest = max(self._solid)
        assert newest <= chain.solid_number <= chain.head.number
        assert chain.block_id(newest) == self._solid[newest]
        for number in range(newest, chain.solid_number + 1):
            self._solid.setdefault(number, chain.block_id(number))
        for number in range(max(1, newest), chain.head.number + 1):
            header = chain.record(number).block.block_header
            assert header.raw_data.number == number
            assert header.raw_data.parentHash == chain.block_id(number - 1)
            assert block_id_of(header) == chain.block_id(number)
            assert all(chain.height_of(info.id) == number for info in chain.record(number).infos)

    @property
    def _replaceable(self) -> int:
        chain = self.world.node.chain
        return int(chain.head.number - chain.solid_number)

    def _broadcast(self, transaction: Any) -> None:
        try:
            self.world.node.broadcast(transaction)
        except RejectedError:
            return


@pytest.mark.property
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, max_size=30))
def test_every_history_is_a_chain_that_a_fresh_replay_agrees_with(
    open_world: Callable[[Path], Any], steps: list[tuple[Any, ...]]
) -> None:
    """H8: solid blocks stay, and the state is that of the surviving blocks and nothing else."""
    with TemporaryDirectory() as folder:
        history = History(open_world, Path(folder) / "chain.blocks")
        for step in steps:
            history.take(step)
            history.check()
        history.restart()
        chain = history.world.node.chain
        for tip, state in ((chain.head, chain.ledger.head), (chain.solid, chain.ledger.solid)):
            fresh = replayed(chain, Path(folder) / f"{tip.number}.blocks", tip.number)
            assert fresh.head == tip
            assert fresh.ledger.head.changes == state.changes
            assert fresh.solid_number <= chain.solid_number
            fresh.close()
        chain.close()


def replayed(chain: Any, path: Path, height: int) -> MainChain:
    """A chain of the surviving blocks up to a height, executed from genesis."""
    path.unlink(missing_ok=True)
    log = BlockLog(path)
    for number in range(height + 1):
        log.append(chain.record(number))
    log.close()
    return MainChain(BlockLog(path))
