"""The engines that keep the contract; a new one joins the list here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.storage import (
    Storage,
)
from tests.shared.storage.contract.shop import Engine, MongoEngine, SqliteEngine


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    return MongoEngine(request.getfixturevalue("mongo_place"), tmp_path)


@pytest.fixture
async def storage(engine: Engine) -> AsyncIterator[Storage]:
    opened = await engine.open()
    yield opened
    await opened.close()
