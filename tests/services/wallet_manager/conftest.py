import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.clock import HeldClock
from tests.services.wallet_manager.till import Chain, Till, open_storage, rules, till_on, vault
from tests.support import START_MS


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    storage = await open_storage(tmp_path)
    clock = HeldClock(START_MS)
    made = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
    )
    await made.recovery.begin()
    yield made
    await storage.close()
