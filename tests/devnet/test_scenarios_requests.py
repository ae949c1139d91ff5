"""Scenarios that strike requests and replies, over real connections."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from devnet.blocks import txid_of
from devnet.json_format import printed_transaction
from devnet.rejection import Code
from tests.devnet.scenario_net import Net, fresh_net

__all__ = ["fresh_net"]

HEAD = "/wallet/getnowblock"


def test_h4_a_request_is_lost_before_anything_is_done(net: Net) -> None:
    payment = net.transfer(1)
    net.arm("request_lost")

    with pytest.raises(httpx.TransportError):
        net.broadcast(payment)
    net.mine()
    assert not net.is_included(payment)
    assert net.armed() == []
    assert net.broadcast(payment)["result"] is True


def test_h4_a_reply_is_lost_after_acceptance(net: Net) -> None:
    payment = net.transfer(1)
    net.arm("reply_lost", count=1)

    assert net.height() == 20  # other paths are spared
    with pytest.raises(httpx.TransportError):
        net.broadcast(payment)
    net.mine()
    assert net.is_included(payment)
    assert net.armed() == []


def test_a_lost_request_can_leave_its_client_in_silence(net: Net) -> None:
    net.arm("request_lost", path=HEAD, silent_ms=200)
    before = time.monotonic_ns()

    assert net.breaks(HEAD)
    assert time.monotonic_ns() - before >= 200_000_000


@pytest.mark.parametrize("carried_out", [False, True])
def test_h4_a_connection_is_reset(net: Net, carried_out: bool) -> None:  # noqa: FBT001 (a case)
    net.arm("connection_reset", path=HEAD, carried_out=carried_out)
    at = urlsplit(net.url())

    with socket.create_connection((at.hostname, at.port)) as connection:
        connection.sendall(b"GET /wallet/getnowblock HTTP/1.1\r\nhost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert net.height() == 20


@pytest.mark.parametrize("name", ["slow", "slow_reply"])
def test_a_reply_is_late_as_often_as_it_was_told(net: Net, name: str) -> None:
    net.arm(name, path=HEAD, delay_ms=150, count=2)
    took_ms = []
    for _ in range(3):
        before = time.monotonic_ns()
        assert net.height() == 20
        took_ms.append((time.monotonic_ns() - before) // 1_000_000)

    assert [each >= 150 for each in took_ms[:2]] == [True, True]
    assert net.strikes() == [name, name]
    assert net.armed() == []


def test_half_a_body_ends_in_the_middle(net: Net) -> None:
    net.arm("half_body", path=HEAD, percent=50)

    with httpx.stream("POST", net.url() + HEAD) as response:
        whole = int(response.headers["content-length"])
        chunks = response.iter_raw()
        assert len(next(chunks)) == whole // 2
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)
    assert net.height() == 20


@pytest.mark.parametrize(
    ("name", "order", "status", "body"),
    [
        ("html_page", {"status": 502}, 502, "502 Bad Gateway"),
        ("html_page", {}, 200, "<html>"),
        ("http_error", {"status": 503, "text": "no"}, 503, '{"Error":"no"}'),
        ("no_body", {}, 200, ""),
        ("too_many_requests", {"limit": 7}, 429, "frequency limit(7)"),
        ("suspended", {"seconds": 30}, 403, "suspended for 30 s"),
        ("suspended", {"seconds": 9, "form": "key"}, 403, '"statusCode":403'),
        ("daily_quota", {"daily": 12}, 403, "Exceed the user daily usage (12)"),
        ("refused_by_node", {"reason": "busy"}, 200, "lack of computing resources"),
        ("refused_by_node", {"reason": "config"}, 404, "unavailable due to config"),
        ("refused_by_node", {"reason": "lite"}, 200, "lite fullnode"),
    ],
)
def test_h22_a_gateway_answers_in_the_node_s_place(
    net: Net, name: str, order: dict[str, Any], status: int, body: str
) -> None:
    net.arm(name, path=HEAD, count=2, **order)
    replies = [net.raw(HEAD) for _ in range(3)]

    assert [each.status_code for each in replies] == [status, status, 200]
    assert all(body in each.text for each in replies[:2])
    assert "blockID" in replies[2].text
    assert net.armed() == []


def test_429_can_say_when_to_come_back(net: Net) -> None:
    net.arm("too_many_requests", path=HEAD, retry_after_s=7)

    assert net.raw(HEAD).headers["retry-after"] == "7"


def test_h4_a_page_can_hide_that_a_broadcast_was_carried_out(net: Net) -> None:
    payment = net.transfer(1)
    net.arm("html_page", path="/wallet/*", carried_out=True)
    body = payment.SerializeToString(deterministic=True).hex()

    assert net.raw("/wallet/broadcasthex", transaction=body).text.startswith("<html>")
    net.mine()
    assert net.is_included(payment)


def test_h22_an_enforced_suspension_shuts_the_whole_node(net: Net) -> None:
    net.arm("suspended", path=HEAD, seconds=60, enforced=True, node=0)

    assert [net.raw(HEAD).status_code for _ in range(2)] == [403, 403]
    assert net.raw("/wallet/getaccount").status_code == 403
    assert net.height(at=1) == 20


def test_h22_gateway_limits_last_until_they_are_disarmed(net: Net) -> None:
    net.arm("gateway_limits", daily=2, node=0)

    assert [net.raw(HEAD).status_code for _ in range(3)] == [200, 200, 403]
    assert net.height(at=1) == 20
    net.delete("scenarios/gateway_limits")
    assert net.height() == 20


def test_h8_the_head_goes_back_for_one_answer(net: Net) -> None:
    net.arm("head_back", path=HEAD, blocks_behind=5)

    assert [net.height(), net.height()] == [15, 20]


def test_h8_the_solid_tree_answers_from_the_head(net: Net) -> None:
    solid = net.height(tree="walletsolidity")
    net.arm("early_solid", path="/walletsolidity/*", count=2)

    assert [net.height(tree="walletsolidity") for _ in range(3)] == [20, 20, solid]


@pytest.mark.parametrize("code", [each.value for each in Code if each is not Code.SUCCESS])
@pytest.mark.parametrize("kept", [False, True])
def test_h4_a_broadcast_gets_any_code_whether_it_is_kept_or_not(
    net: Net,
    code: str,
    kept: bool,  # noqa: FBT001 (a case)
) -> None:
    payment, other = net.transfer(1), net.transfer(2)
    net.arm("broadcast_code", code=code, kept=kept, count=2)
    refused = net.broadcast(payment)
    refused_hex = net.broadcast_hex(other)
    net.mine()

    assert (refused["code"], refused["txid"]) == (code, txid_of(payment).hex())
    assert (refused_hex["result"], refused_hex["code"]) == (False, code)
    assert [net.is_included(each) for each in (payment, other)] == [kept, kept]
    assert net.armed() == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("server_busy", "SERVER_BUSY"), ("false_duplicate", "DUP_TRANSACTION_ERROR")],
)
def test_h4_a_first_broadcast_is_refused_once(net: Net, name: str, code: str) -> None:
    payment = net.transfer(1)
    net.arm(name)

    assert net.broadcast(payment)["code"] == code
    assert net.broadcast(payment)["result"] is True


def test_a_refusal_does_not_outlive_a_broadcast_that_could_not_be_read(net: Net) -> None:
    net.arm("server_busy")
    net.raw("/wallet/broadcasthex", transaction="zz")

    assert net.armed() == ["server_busy"]
    assert net.broadcast(net.transfer(1))["code"] == "SERVER_BUSY"
    assert net.broadcast(net.transfer(2))["result"] is True


def test_h4_an_accepted_transaction_is_forgotten_by_every_node(net: Net) -> None:
    payment, kept = net.transfer(1), net.transfer(2)
    net.arm("transaction_dropped", node=1)

    assert net.broadcast(payment, at=1)["result"] is True
    assert net.broadcast(kept, at=1)["result"] is True
    net.mine(2)
    assert [net.is_included(each) for each in (payment, kept)] == [False, True]


def test_h1_an_accepted_transaction_comes_back_when_nobody_waits_for_it(net: Net) -> None:
    payment = net.transfer(1)
    net.arm("transaction_delayed", for_blocks=5)
    assert net.broadcast(payment)["result"] is True

    net.mine(5)
    assert not net.is_included(payment)
    net.mine(1)
    assert net.is_included(payment)


def test_h7_a_signed_transaction_that_is_only_shown_is_broadcast(net: Net) -> None:
    payment = net.transfer(1)
    raw = payment.raw_data.SerializeToString(deterministic=True).hex()
    net.arm("transaction_leaked")

    shown = printed_transaction(payment, visible=False)
    assert (
        net.ask("/wallet/getsignweight", **shown)["transaction"]["transaction"]["raw_data_hex"]
        == raw
    )
    net.mine()
    assert net.is_included(payment)


def test_only_one_node_one_path_one_transaction_or_some_blocks_are_struck(net: Net) -> None:
    payment = net.transfer(1)
    value = txid_of(payment).hex()
    height = net.paid(payment)
    net.arm("http_error", node=1, path=HEAD)
    net.arm("http_error", txid=value)
    net.arm("http_error", from_block=5, to_block=6, count=2, path="/wallet/getblockbynum")

    assert net.raw(HEAD).status_code == 200
    assert net.raw("/wallet/getblock", at=1).status_code == 200
    assert net.raw(HEAD, at=1).status_code == 500
    assert net.raw("/wallet/gettransactionbyid", value="00" * 32).status_code == 200
    assert net.raw("/wallet/gettransactionbyid", value=value).status_code == 500
    numbers = [4, 5, 7, 6, 5]
    statuses = [net.raw("/wallet/getblockbynum", num=each).status_code for each in numbers]
    assert statuses == [200, 500, 200, 500, 200]
    assert net.armed() == []
    assert height == 21


def test_several_scenarios_strike_one_request_together(net: Net) -> None:
    net.arm("head_back", path=HEAD, blocks_behind=4)
    net.arm("half_body", path=HEAD, percent=0)

    assert net.breaks(HEAD)
    assert net.strikes() == ["head_back", "half_body"]
    assert net.height() == 20


def test_an_armed_scenario_shows_what_is_left_of_it(net: Net) -> None:
    armed = net.arm("http_error", path=HEAD, count=3)
    net.raw(HEAD)
    shown = net.get("scenarios/armed")["armed"]

    assert armed["left"] == 3
    assert [(each["id"], each["left"], each["struck"]) for each in shown] == [(armed["id"], 2, 1)]
    assert net.delete(f"scenarios/armed/{armed['id']}") == {"armed": []}
    assert net.raw(HEAD).status_code == 200


def test_what_has_no_count_strikes_until_it_is_disarmed(net: Net) -> None:
    net.arm("http_error", path=HEAD, count=0)

    assert {net.raw(HEAD).status_code for _ in range(5)} == {500}
    net.delete("scenarios")
    assert net.raw(HEAD).status_code == 200
