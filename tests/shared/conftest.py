import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from shared import logs


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Configure logging, and give back what was written as parsed lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        logs.configure(service="usdt-manager", level="INFO")
    yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
