"""Waits for something outside this process to come true."""

import time
from collections.abc import Callable

import httpx


def wait_until(reached: Callable[[], bool], goal: str, *, timeout_s: float = 90) -> None:
    """Look again and again; fails with the goal's name when the time is over."""
    deadline = time.monotonic() + timeout_s
    last = ""
    while time.monotonic() < deadline:
        try:
            if reached():
                return
        except (httpx.HTTPError, AssertionError, RuntimeError) as error:
            last = str(error)
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_s} s: {goal} {last}")
