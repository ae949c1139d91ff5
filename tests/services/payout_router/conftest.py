from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.payout_router.desk import Desk, desk_on, open_storage


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    storage = await open_storage(tmp_path)
    yield desk_on(storage, tmp_path)
    await storage.close()
