from collections.abc import Iterator

import pytest

from tests.mongo_server import Place, database, described, server


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """One server for all tests of a process; the tests fail when there is none."""
    with server() as url:
        yield url


@pytest.fixture
def mongo_place(mongo_url: str) -> Iterator[Place]:
    """A database of the test's own."""
    with database(mongo_url) as place:
        yield place


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which server the tests of the MongoDB engine ran against."""
    reports = [
        each
        for kind in ("passed", "failed", "error")
        for each in terminalreporter.stats.get(kind, ())
    ]
    if any("mongodb" in getattr(each, "keywords", {}) for each in reports):
        terminalreporter.write_line(f"MongoDB: {described()}")
