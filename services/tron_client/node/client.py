"""What is asked of a node, with checked values as answers.

An empty answer is None or an empty list: "not there, or not there yet", which callers must never
read as "nothing happened".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.tron_client.domain.blocks import Anchor, Body, InconsistentBlock, Receipt
from services.tron_client.node import Lane, NodeHttp, reading
from services.tron_client.node.blocks import Tree
from services.tron_client.node.errors import NodeRefused, NodeUnavailable, WrongChain
from services.tron_client.node.outcomes import BroadcastResult, Unknown, plain, read_outcome
from shared.tron import abi
from shared.tron.address import Address, address_bytes


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
    """What tron-client asks of a node."""

    def __init__(self, http: NodeHttp, *, checks_root: bool) -> None:
        self._http = http
        self._checks_root = checks_root

    @property
    def url(self) -> str:
        """Where the node is, without anything secret."""
        return self._http.url

    def reason(self) -> str | None:
        """Say what is wrong with the node, or None."""
        return self._http.reason()

    async def block(self, height: int, *, tree: str = Tree.HEAD) -> Body | None:
        """Return a block's body; None when the node has none at that height."""
        answer = await self._chain(f"{tree}/getblockbynum", {"num": height})
        body = reading.read_block(answer, height=height)
        if body is not None:
            self._check(answer)
        return body

    async def blocks(self, first: int, count: int, *, tree: str = Tree.HEAD) -> list[Body]:
        """Return up to ``count`` consecutive bodies from a height on, as far as the node has them."""
        answer = await self._chain(
            f"{tree}/getblockbylimitnext", {"startNum": first, "endNum": first + count}
        )
        bodies = reading.read_blocks(answer, first=first)
        if len(bodies) > count:
            raise InconsistentBlock(f"asked for {count} blocks, got {len(bodies)}")
        for each in answer.get("block", []):
            self._check(each)
        return bodies

    async def receipts(self, height: int, *, tree: str = Tree.HEAD) -> list[Receipt]:
        """Return the receipts a node has for a block; empty also when it does not know the block."""
        return reading.read_receipts(
            await self._chain(f"{tree}/gettransactioninfobyblocknum", {"num": height})
        )

    async def solid_head(self) -> Anchor | None:
        """Return the newest solid block."""
        return reading.read_anchor(await self._chain(f"{Tree.SOLID}/getnowblock", {}))

    async def solid_receipt(self, txid: str) -> Receipt | None:
        """Return the receipt of a solid transaction; None when the node has none."""
        return reading.read_receipt(
            await self._chain(f"{Tree.SOLID}/gettransactioninfobyid", {"value": txid})
        )

    async def parameters(self) -> Mapping[str, int]:
        """Return the chain parameters by their keys; one without a value is 0."""
        return reading.read_parameters(await self._chain("/wallet/getchainparameters", {}))

    async def account(self, address: Address) -> dict[str, Any]:
        """Return an account as the node prints it, empty when it is not activated."""
        return await self._object("/wallet/getaccount", {"address": address_bytes(address).hex()})

    async def resources(self, address: Address) -> dict[str, Any]:
        """Return an account's resources as the node prints them."""
        return await self._object(
            "/wallet/getaccountresource", {"address": address_bytes(address).hex()}
        )

    async def read_raw(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return a node's answer to a read as it came."""
        return await self._object(path, payload)

    async def call(self, *, owner: Address, contract: Address, data: str) -> CallAnswer:
        """Run a constant call at the node's head.

        Raises:
            NodeRefused: there is no such contract, or the node runs no constant calls.
        """
        answer = await self._object(
            "/wallet/triggerconstantcontract",
            {
                "owner_address": address_bytes(owner).hex(),
                "contract_address": address_bytes(contract).hex(),
                "data": data,
            },
        )
        return _call_answer(answer)

    async def broadcast(self, signed: bytes, *, txid: str) -> BroadcastResult:
        """Hand a transaction to the node, once; what is not plainly taken or refused is unknown."""
        try:
            answer = await self._http.ask_once(
                "/wallet/broadcasthex", {"transaction": signed.hex()}
            )
        except (NodeUnavailable, NodeRefused, WrongChain) as error:
            return Unknown(code=None, message=error.detail)
        if not isinstance(answer, dict):
            return Unknown(code=None, message="the node gave no result")
        return read_outcome(answer, txid=txid)

    def _check(self, answer: Any) -> None:
        if self._checks_root:
            reading.check_root(answer)

    async def _chain(self, path: str, payload: dict[str, Any]) -> Any:
        return await self._http.ask(path, payload, lane=Lane.CHAIN)

    async def _object(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.ask(path, payload, lane=Lane.READ)
        return reading.convert(answer, dict[str, Any], what="an answer")


def _call_answer(answer: dict[str, Any]) -> CallAnswer:
    verdict = answer.get("result")
    if not isinstance(verdict, dict):
        raise NodeUnavailable("the node answered a call without a result", retry_after_s=1)
    message = plain(verdict.get("message", ""))
    code = verdict.get("code")
    if code in {None, "SUCCESS"} and verdict.get("result") is True:
        return _ran(answer, message)
    if code == "OTHER_ERROR" and ".vm." in message:
        return CallAnswer(
            output="", energy_used=0, energy_penalty=0, is_reverted=True, failure=message
        )
    raise NodeRefused(f"the node does not run this call: {code} {message}")


def _ran(answer: dict[str, Any], message: str) -> CallAnswer:
    outputs = answer.get("constant_result", [])
    transaction = answer.get("transaction", {})
    returns: Any = transaction.get("ret", [{}]) if isinstance(transaction, dict) else None
    numbers = (answer.get("energy_used", 0), answer.get("energy_penalty", 0))
    is_readable = (
        isinstance(outputs, list)
        and all(isinstance(each, str) and reading.is_hexadecimal(each) for each in outputs)
        and isinstance(returns, list)
        and all(type(number) is int and number >= 0 for number in numbers)
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
