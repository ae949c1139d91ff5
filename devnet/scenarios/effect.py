"""What an armed scenario does, and what it can lay its hands on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from devnet.api.app import NodeApi
from devnet.api.exchange import HttpRequest, Lost, Reply
from devnet.chain import Tip
from devnet.control.contract_orders import ContractOrders
from devnet.control.teller import Teller
from devnet.control.told_clock import ToldClock
from devnet.json_format import is_true
from devnet.node import Node
from devnet.scenarios.subject import Subject
from devnet.witness_node import WitnessNode

Values = dict[str, Any]
Undo = Callable[[], None]
Twist = Callable[[Subject, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A node with what listens for it."""

    node: Node
    app: NodeApi


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The devnet as scenarios find it.

    Attributes:
        origin: The node that makes the blocks; it has the first seat.
        time_changed: To be called when slots, speed or time are not as they were.
        later: Has something done once so many more blocks were made.
    """

    origin: WitnessNode
    seats: Sequence[Seat]
    teller: Teller
    contracts: ContractOrders
    told: ToldClock
    time_changed: Callable[[], None]
    later: Callable[[int, Callable[[], None]], None]

    @property
    def nodes(self) -> list[Node]:
        """All nodes, in the order of their numbers."""
        return [seat.node for seat in self.seats]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The moments at which a scenario steps in; most have one.

    Whatever returns None has not struck.

    Attributes:
        hold_ms: Real milliseconds to wait before the node hears of a request.
        instead: A reply in the node's place.
        divert: Another request than the one that came.
        around: A state of the node for one request, and how to end it.
        change: Another reply than the node's.
        hold_reply_ms: Real milliseconds to wait before the changed reply is sent.
        at_block: What happens when a block is made; returns what there is to say about it.
        begin: What is so from now on; returns what there is to say about it.
        end: The end of it.
    """

    hold_ms: int = 0
    instead: Callable[[Subject], Reply | Lost | None] | None = None
    divert: Callable[[Subject], HttpRequest | None] | None = None
    around: Callable[[Subject], Undo | None] | None = None
    change: Callable[[Subject, Reply], Reply | Lost | None] | None = None
    hold_reply_ms: int = 0
    at_block: Callable[[Tip], str | None] | None = None
    begin: Callable[[], str] | None = None
    end: Callable[[], None] | None = None


def twisting(twist: Twist) -> Effect:
    """Changes the document of a reply; a twist that returns None leaves it as it is.

    Documents in which numbers are texts (int64_as_string) are left alone.
    """

    def change(subject: Subject, reply: Reply) -> Reply | None:
        if is_true(subject.asked.params.get("int64_as_string")):
            return None
        document = decoded(reply)
        twisted = None if document is None else twist(subject, document)
        return None if twisted is None else with_document(reply, twisted)

    return Effect(change=change)


def decoded(reply: Reply) -> Any:
    """The document of a reply, None if there is none."""
    try:
        return msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def with_document(reply: Reply, document: Any) -> Reply:
    """The same reply with another document."""
    return replace(reply, body=msgspec.json.encode(document))
