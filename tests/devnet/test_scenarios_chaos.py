"""A random mixture: the same seed and the same requests give the same strikes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.devnet.scenario_net import Net, fresh_net, open_net

__all__ = ["fresh_net"]

HEAD, BLOCK = "/wallet/getnowblock", "/wallet/getblockbynum"
ORDER = {"percent": 40, "block_percent": 30, "delay_ms_max": 5, "count": 60}


def told(net: Net) -> list[tuple[Any, ...]]:
    """The strikes without the moments at which they fell."""
    return [
        (each["scenario"], each["node"], each["path"], each["head"], each["note"])
        for each in net.get("log")["strikes"]
    ]


def played(seed: int) -> list[tuple[Any, ...]]:
    """What strikes the same requests and blocks."""
    with open_net() as net:
        net.arm("chaos", seed=seed, **ORDER)
        for number in range(1, 16):
            for at in (0, 1):
                net.breaks(HEAD, at=at)
                net.breaks(BLOCK, at=at, num=number)
            net.breaks("/wallet/gettransactioninfobyblocknum", num=number)
            try:
                net.broadcast(net.transfer(number))
            except (httpx.TransportError, ValueError):
                continue
            finally:
                net.mine(2)
        return told(net)


def test_the_same_seed_gives_the_same_strikes_and_another_seed_others() -> None:
    first, again, other = played(7), played(7), played(8)

    assert first == again
    assert first != other
    assert len({scenario for scenario, *_ in first}) > 5


def test_requests_to_other_paths_in_between_change_nothing() -> None:
    def asked(*, between: bool) -> list[tuple[Any, ...]]:
        with open_net(followers=0) as net:
            net.arm("chaos", seed=3, percent=50, delay_ms_max=5)
            for number in range(1, 21):
                net.breaks(BLOCK, num=number)
                if between:
                    net.breaks(HEAD)
            return [each for each in told(net) if each[2] == BLOCK]

    assert asked(between=False) == asked(between=True)


def test_chaos_strikes_no_more_than_it_was_told_and_is_gone(net: Net) -> None:
    armed = net.arm("chaos", seed=1, percent=100, count=5, only=["http_error"])
    statuses = [net.raw(HEAD).status_code for _ in range(8)]

    assert all(each >= 500 for each in statuses[:5])
    assert statuses[5:] == [200, 200, 200]
    assert net.armed() == []
    assert {each["cause"] for each in net.get("log")["strikes"]} == {armed["id"]}


def test_chaos_keeps_to_its_bounds(net: Net) -> None:
    net.arm("chaos", seed=5, percent=0, block_percent=100, depth_max=1, only=["reorganise"])
    net.mine(20)
    notes = [each["note"] for each in net.get("log")["strikes"]]

    assert len(notes) == 20
    assert all(each.startswith("1 blocks replaced") for each in notes)


def test_what_chaos_began_ends_with_it(net: Net) -> None:
    net.arm("chaos", seed=5, percent=0, block_percent=100, only=["stall_solid", "node_lags"])
    net.mine(3)
    assert len(net.armed()) > 1
    net.delete("scenarios/chaos")

    assert net.armed() == []
    assert net.height() == net.get("clock")["head"]["number"]


@pytest.mark.parametrize("page", [1, 2])
def test_the_log_is_read_in_pages_and_cleared(net: Net, page: int) -> None:
    net.arm("http_error", path=HEAD, count=3)
    for _ in range(3):
        net.raw(HEAD)
    first = net.get(f"log?limit={page}")
    rest = net.get(f"log?after={first['next']}")

    assert [each["seq"] for each in first["strikes"] + rest["strikes"]] == [1, 2, 3]
    assert net.delete("log") == {"strikes": [], "next": 0}


def test_strikes_of_faults_are_in_the_log(net: Net) -> None:
    net.tell("faults", kind="status", path=HEAD)
    net.raw(HEAD)
    strike = net.get("log")["strikes"][0]

    assert (strike["scenario"], strike["node"], strike["path"]) == ("fault.status", 0, HEAD)
