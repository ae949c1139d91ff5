"""Who is taken for the operator of a node that nobody named one for."""

import pytest

from services.tron_client.node.endpoints import OWN, operator_of, shown


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://api.trongrid.io", "https://API.TronGrid.io:8443/jsonrpc"),
        ("https://api.trongrid.io", "https://nile.trongrid.io."),
        ("http://localhost:8090", "http://127.0.0.1:8091"),
        ("http://localhost:8090", "http://[::1]:8091"),
        ("http://10.0.0.5:8090", "http://192.168.1.9:8090"),
        ("http://tron-node:8090", "http://tron-node-2:8090"),
        ("http://[::ffff:10.0.0.5]:8090", "http://[fd00::1]:8090"),
        ("http://169.254.1.1", "http://100.64.0.1"),
    ],
)
def test_h9_two_nodes_that_may_be_one_operators_are_not_taken_for_two(one: str, other: str) -> None:
    assert operator_of(one) == operator_of(other)


@pytest.mark.parametrize(
    ("url", "operator"),
    [
        ("https://api.trongrid.io", "trongrid.io"),
        ("https://rpc.example.org:443/base", "example.org"),
        ("http://8.8.8.8:8090", "8.8.8.8"),
        ("http://[::ffff:8.8.8.8]:8090", "8.8.8.8"),
        ("http://[2001:4860:4860::8888]", "2001:4860:4860::8888"),
        ("http://node:8090", OWN),
    ],
)
def test_an_operator_is_named_by_where_its_node_is(url: str, operator: str) -> None:
    assert operator_of(url) == operator


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://user:pass@node.example:8443/base?key=1#x", "https://node.example:8443/base"),
        (f"https://node.example/{'0a' * 16}/jsonrpc", "https://node.example/.../jsonrpc"),
        ("http://[fd00::1]:8090", "http://[fd00::1]:8090"),
    ],
)
def test_where_a_node_is_is_told_without_anything_that_may_be_a_key(url: str, said: str) -> None:
    assert shown(url) == said
