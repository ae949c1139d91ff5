"""What is asked of a node, with checked values as answers.

An empty answer is None or an empty list: "not there, or not there yet", which callers must never
read as "nothing happened".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.tron_client.domain.blocks import INT64_MAX, Anchor, Body, InconsistentBlock, Receipt
from services.tron_client.node import reading
from services.tron_client.node.blocks import Tree
from services.tron_client.node.errors import CallRefused, NodeUnavailable
from services.tron_client.node.lanes import Lane
from services.tron_client.node.outcomes import (
    Accepted,
    BroadcastResult,
    Unknown,
    merged,
    plain,
    read_outcome,
)
from services.tron_client.node.pool import NodePool
from shared.errors import Unavailable
from shared.tron import abi
from shared.tron.address import Address, address_bytes

T = TypeVar("T")


BROADCAST_NODES: Final = 3
"""How many nodes are handed the same bytes, unless said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """What a constant call gave.

    Attributes:
        output: returned or reverted with, hexadecimal.
        failure: the node's words when it did not run to its end.
    """

    output: str
    energy_used: int
    energy_penalty: int
    is_reverted: bool
    failure: str | None

    def reason(self) -> str | None:
        """Return why it was reverted: the contract's own words, else the node's."""
        if not self.is_reverted:
            return None
        return abi.decode_revert_reason(bytes.fromhex(self.output)) or self.failure


class Node:
    """What tron-client asks of the nodes of a pool.

    Args:
        pool: the nodes.
        checks_root: whether blocks are held against their transaction root.
        lane: what calls of the head tree are for.
        solid_lane: what calls of the solid tree are for.
        broadcast_nodes: how many nodes are handed the same bytes.
    """

    def __init__(
        self,
        pool: NodePool,
        *,
        checks_root: bool,
        lane: Lane = Lane.CHAIN,
        solid_lane: Lane = Lane.VERDICT,
        broadcast_nodes: int = BROADCAST_NODES,
    ) -> None:
        self._pool = pool
        self._checks_root = checks_root
        self._lane = lane
        self._solid_lane = solid_lane
        self._broadcast_nodes = broadcast_nodes

    @property
    def url(self) -> str:
        """Where the node is that is asked first, without anything secret."""
        return self._pool.url

    def reason(self) -> str | None:
        """Say what is wrong when no node is as it should be, or None."""
        return self._pool.reason()

    def for_catching_up(self) -> "Node":
        """Return the same nodes for reading many blocks, all of it in the lane kept for that."""
        return Node(
            self._pool,
            checks_root=self._checks_root,
            lane=Lane.CATCH_UP,
            solid_lane=Lane.CATCH_UP,
        )

    async def block(self, height: int, *, tree: str = Tree.HEAD) -> Body | None:
        """Return a block's body; None when the node has none at that height."""

        def read(answer: Any) -> Body | None:
            body = reading.read_block(answer, height=height)
            if body is not None:
                self._check(answer)
            return body

        return await self._chain(tree, "getblockbynum", {"num": height}, read)

    async def blocks(self, first: int, count: int, *, tree: str = Tree.HEAD) -> list[Body]:
        """Return up to ``count`` consecutive bodies from a height on, as far as the node has them."""

        def read(answer: Any) -> list[Body]:
            bodies = reading.read_blocks(answer, first=first)
            if len(bodies) > count:
                raise InconsistentBlock(f"asked for {count} blocks, got {len(bodies)}")
            for each in answer.get("block", []):
                self._check(each)
            return bodies

        span = {"startNum": first, "endNum": first + count}
        return await self._chain(tree, "getblockbylimitnext", span, read)

    async def receipts(self, height: int, *, tree: str = Tree.HEAD) -> list[Receipt]:
        """Return the receipts a node has for a block; empty also when it does not know the block."""
        payload = {"num": height}
        return await self._chain(
            tree, "gettransactioninfobyblocknum", payload, reading.read_receipts
        )

    async def solid_head(self) -> Anchor | None:
        """Return the newest solid block."""
        return await self._chain(Tree.SOLID, "getnowblock", {}, reading.read_anchor)

    async def solid_receipt(self, txid: str) -> Receipt | None:
        """Return the receipt of a solid transaction; None when the node has none."""
        return await self._chain(
            Tree.SOLID, "gettransactioninfobyid", {"value": txid}, reading.read_receipt
        )

    async def parameters(self) -> Mapping[str, int]:
        """Return the chain parameters by their keys; one without a value is 0."""
        return await self._chain(Tree.HEAD, "getchainparameters", {}, reading.read_parameters)

    async def account(self, address: Address) -> dict[str, Any]:
        """Return an account as the node prints it, empty when it is not activated."""
        return await self.read_raw("/wallet/getaccount", {"address": address_bytes(address).hex()})

    async def resources(self, address: Address) -> dict[str, Any]:
        """Return an account's resources as the node prints them."""
        return await self.read_raw(
            "/wallet/getaccountresource", {"address": address_bytes(address).hex()}
        )

    async def read_raw(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return a node's answer to a read as it came."""
        return await self._pool.ask(path, payload, lane=Lane.READ, read=_read_object)

    async def call(self, *, owner: Address, contract: Address, data: str) -> CallAnswer:
        """Run a constant call at the node's head.

        Raises:
            CallRefused: there is no such contract, or the node runs no constant calls.
        """
        return await self._pool.ask(
            "/wallet/triggerconstantcontract",
            {
                "owner_address": address_bytes(owner).hex(),
                "contract_address": address_bytes(contract).hex(),
                "data": data,
            },
            lane=Lane.READ,
            read=lambda answer: read_call(_read_object(answer)),
        )

    async def broadcast(self, signed: bytes, *, txid: str) -> BroadcastResult:
        """Hand a transaction to several nodes, once; what is not plainly taken or refused is unknown."""

        def judge(answer: Any) -> BroadcastResult:
            if isinstance(answer, Unavailable):
                return Unknown(code=None, message=answer.detail)
            if not isinstance(answer, dict):
                return Unknown(code=None, message="the node gave no result")
            return read_outcome(answer, txid=txid)

        return merged(
            await self._pool.ask_each(
                "/wallet/broadcasthex",
                {"transaction": signed.hex()},
                lane=Lane.BROADCAST,
                at_most=self._broadcast_nodes,
                judge=judge,
                is_enough=lambda outcome: isinstance(outcome, Accepted),
            )
        )

    def _check(self, answer: Any) -> None:
        if self._checks_root:
            reading.check_root(answer)

    async def _chain(
        self, tree: str, method: str, payload: dict[str, Any], read: Callable[[Any], T]
    ) -> T:
        lane = self._solid_lane if tree == Tree.SOLID else self._lane
        return await self._pool.ask(f"{tree}/{method}", payload, lane=lane, read=read)


def _read_object(answer: Any) -> dict[str, Any]:
    return reading.convert(answer, dict[str, Any], what="an answer")


def read_call(answer: dict[str, Any]) -> CallAnswer:
    """Read what a constant call gave.

    Raises:
        CallRefused: the node does not run it.
        NodeUnavailable: the answer is something else.
    """
    verdict = answer.get("result")
    if not isinstance(verdict, dict):
        raise NodeUnavailable("the node answered a call without a result", retry_after_s=1)
    message = plain(verdict.get("message", ""))
    code = verdict.get("code")
    if (code is None or code == "SUCCESS") and verdict.get("result") is True:
        return _ran(answer, message)
    if code == "OTHER_ERROR" and ".vm." in message:
        return CallAnswer(
            output="", energy_used=0, energy_penalty=0, is_reverted=True, failure=message
        )
    raise CallRefused(f"the node does not run this call: {code} {message}")


def _ran(answer: dict[str, Any], message: str) -> CallAnswer:
    outputs = answer.get("constant_result", [])
    transaction = answer.get("transaction", {})
    returns: Any = transaction.get("ret", [{}]) if isinstance(transaction, dict) else None
    numbers = (answer.get("energy_used", 0), answer.get("energy_penalty", 0))
    is_readable = (
        isinstance(outputs, list)
        and all(isinstance(each, str) and reading.is_hexadecimal(each) for each in outputs)
        and isinstance(returns, list)
        and all(type(number) is int and 0 <= number <= INT64_MAX for number in numbers)
    )
    if not is_readable:
        raise NodeUnavailable("the node answered a call with something else", retry_after_s=1)
    failed = any(isinstance(each, dict) and each.get("ret") == "FAILED" for each in returns)
    return CallAnswer(
        output="".join(outputs).lower(),
        energy_used=numbers[0],
        energy_penalty=numbers[1],
        is_reverted=failed,
        failure=message if failed else None,
    )
