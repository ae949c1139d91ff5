"""One engine, one set of images and one stack for all container tests of a run."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import CannotInstall, Engine, cannot_run
from tests.containers.stack import Stack, clone_tree


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "containers: images and the composed stack, with an engine of the tests' own"
    )


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine with the stand-in bases."""
    if "containers" not in str(request.config.getoption("markexpr")):
        pytest.skip("container tests run when they are asked for: make containers")
    reason = cannot_run()
    if reason is not None:
        pytest.skip(f"NO CONTAINER TEST HAS RUN: {reason}")
    work = Path(tempfile.mkdtemp(prefix="lucid-engine-", dir="/var/tmp"))
    try:
        with contextlib.ExitStack() as stack:
            try:
                running = stack.enter_context(Engine(work))
            except CannotInstall as error:
                pytest.skip(f"NO CONTAINER TEST HAS RUN: {error}")
            yield running
    finally:
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="session")
def tree(engine: Engine) -> Path:
    """A clone as a new user makes it, with the images built from it."""
    tree = clone_tree(engine, engine.work / "tree")
    engine.run("make", "images", cwd=tree, timeout_s=900)
    return tree


@pytest.fixture(scope="session")
def stack(engine: Engine, tree: Path) -> Iterator[Stack]:
    """The stack with devnet and debug overlays, up and healthy."""
    stack = Stack(engine, tree)
    stack.up()
    try:
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "0")
