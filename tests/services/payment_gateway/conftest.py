"""The gateway over a fresh database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.payment_gateway.doubles import Gateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path) as made:
        yield made
