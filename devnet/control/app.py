"""The control listener: plain JSON, amounts as decimal strings, 400 with a reason if unclear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from devnet.address import to_base58
from devnet.api.app import NodeApi
from devnet.chain import Tip
from devnet.contracts.usdt import USDT_CONTRACT
from devnet.control import orders
from devnet.control.orders import BadOrderError
from devnet.control.teller import Teller
from devnet.faults import ArmedFault, Faults
from devnet.genesis import CHAIN_ID, FAUCET, GENESIS_BLOCK_ID, HOLDERS
from devnet.node import Node
from devnet.rejection import RejectedError

Order = dict[str, Any]
Handler = Callable[[Order], Order]
_BLOCKS_BETWEEN_BREATHS = 100


@dataclass(frozen=True, kw_only=True)
class Control:
    """Carries orders out, one method for each path and method.

    Args:
        time_changed: Called when the producer must look at the clock again.
    """

    node: Node
    faults: Faults
    api: NodeApi
    teller: Teller
    time_changed: Callable[[], None]

    def clock(self, _order: Order) -> Order:
        """Chain time, speed and both heights."""
        return {
            "now_ms": self.node.clock.now_ms(),
            "speed": self.node.clock.speed,
            "head": _shown(self.node.chain.head),
            "solid": _shown(self.node.chain.solid),
        }

    def network(self, _order: Order) -> Order:
        """The constants of the chain."""
        return {
            "genesis_block_id": GENESIS_BLOCK_ID,
            "chain_id": CHAIN_ID,
            "usdt_contract": USDT_CONTRACT,
            "faucet": to_base58(FAUCET.key.address),
        }

    def accounts(self, _order: Order) -> Order:
        """The chain's own accounts, keys included: it is a development chain."""
        return {
            "accounts": [
                {
                    "name": holder.key.name,
                    "address": to_base58(holder.key.address),
                    "private_key": holder.key.secret.hex(),
                }
                for holder in HOLDERS
            ]
        }

    def faucet(self, order: Order) -> Order:
        """Send TRX, USDT or both from the faucet account."""
        recipient = orders.address_of(order.get("address"), "address")
        trx, usdt = order.get("trx"), order.get("usdt")
        if trx is None and usdt is None:
            raise BadOrderError("name trx, usdt or both")
        trx_sun = None if trx is None else orders.amount_of(trx, "trx")
        usdt_micro = None if usdt is None else orders.amount_of(usdt, "usdt")

        txids: list[str] = []
        if trx_sun is not None:
            txids.append(self.teller.send_trx(FAUCET.key, recipient, trx_sun))
        if usdt_micro is not None:
            txids.append(self.teller.send_usdt(FAUCET.key, recipient, usdt_micro))
        return {"txids": txids}

    def transfer(self, order: Order) -> Order:
        """Send TRX or USDT from one of the chain's own accounts."""
        sender = orders.key_of(order.get("from"), "from")
        recipient = orders.address_of(order.get("to"), "to")
        amount = orders.amount_of(order.get("amount"), "amount")
        match order.get("currency"):
            case "TRX":
                return {"txid": self.teller.send_trx(sender, recipient, amount)}
            case "USDT":
                return {"txid": self.teller.send_usdt(sender, recipient, amount)}
            case _:
                raise BadOrderError("currency must be TRX or USDT")

    async def mine(self, order: Order) -> Order:
        """Make blocks now; the clock moves to the last one's slot."""
        for made in range(1, orders.count_of(order.get("blocks", 1), "blocks") + 1):
            self.node.mine()
            if made % _BLOCKS_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
        self.time_changed()
        return self.clock(order)

    def speed(self, order: Order) -> Order:
        """Let time run at another speed from now on."""
        self.node.clock.set_speed(orders.speed_of(order.get("speed")))
        self.time_changed()
        return self.clock(order)

    def jump(self, order: Order) -> Order:
        """Skip time forward; the slots in between are missed."""
        self.node.clock.jump(orders.milliseconds_of(order.get("seconds")))
        self.time_changed()
        return self.clock(order)

    def black_list(self, order: Order) -> Order:
        """Change the USDT black list with the next block."""
        address = orders.address_of(order.get("address"), "address")
        listed = orders.flag_of(order.get("listed"), "listed")
        return {"txid": self.teller.black_list(address, listed=listed)}

    def pause(self, order: Order) -> Order:
        """Pause or unpause USDT with the next block."""
        paused = orders.flag_of(order.get("paused"), "paused")
        return {"txid": self.teller.pause(paused=paused)}

    def parameters(self, order: Order) -> Order:
        """Change chain parameters with the next block."""
        return {"txid": self.teller.set_parameters(orders.parameters_of(order))}

    def arm(self, order: Order) -> Order:
        """Arm a fault, or reorganise the chain at once."""
        if order.get("kind") == "reorg":
            return self._reorganise(order)
        self.faults.arm(orders.fault_of(order))
        return self.armed(order)

    def armed(self, _order: Order) -> Order:
        """The faults that are still to come."""
        return {"faults": [_shown_fault(each) for each in self.faults.armed()]}

    def disarm(self, order: Order) -> Order:
        """Forget all faults."""
        self.faults.disarm()
        return self.armed(order)

    def requests(self, _order: Order) -> Order:
        """How often each path of the node was asked."""
        return {"total": self.api.requests.total(), "paths": dict(self.api.requests)}

    def reset_requests(self, order: Order) -> Order:
        """Count from 0 again."""
        self.api.requests.clear()
        return self.requests(order)

    def _reorganise(self, order: Order) -> Order:
        depth = orders.count_of(order.get("depth"), "depth")
        drop = orders.flag_of(order.get("drop", False), "drop")
        try:
            returned = self.node.reorganise(depth, drop=drop)
        except ValueError as error:
            raise BadOrderError(str(error)) from error
        self.time_changed()
        return {
            "head": _shown(self.node.chain.head),
            "returned_txids": [txid.hex() for txid in returned],
        }


def control_app(control: Control) -> Starlette:
    """The paths of the control API."""
    return Starlette(
        routes=[
            _route("GET", "/devnet/clock", control.clock),
            _route("GET", "/devnet/network", control.network),
            _route("GET", "/devnet/accounts", control.accounts),
            _route("POST", "/devnet/faucet", control.faucet),
            _route("POST", "/devnet/transfer", control.transfer),
            _route("POST", "/devnet/mine", control.mine),
            _route("POST", "/devnet/speed", control.speed),
            _route("POST", "/devnet/jump", control.jump),
            _route("POST", "/devnet/usdt/blacklist", control.black_list),
            _route("POST", "/devnet/usdt/pause", control.pause),
            _route("POST", "/devnet/parameters", control.parameters),
            _route("POST", "/devnet/faults", control.arm),
            _route("GET", "/devnet/faults", control.armed),
            _route("DELETE", "/devnet/faults", control.disarm),
            _route("GET", "/devnet/requests", control.requests),
            _route("DELETE", "/devnet/requests", control.reset_requests),
        ]
    )


def _route(method: str, path: str, carry_out: Callable[[Order], Any]) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            result = carry_out(await _order_in(request))
            return _json(await result if asyncio.iscoroutine(result) else result)
        except BadOrderError as error:
            return _json({"error": str(error)}, status=400)
        except RejectedError as error:
            return _json({"error": error.message, "code": error.code}, status=400)

    return Route(path, endpoint, methods=[method])


async def _order_in(request: Request) -> Order:
    body = await request.body()
    if not body.strip():
        return {}
    try:
        order = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadOrderError(f"not JSON: {error}") from error
    if not isinstance(order, dict):
        raise BadOrderError("not a JSON object")
    return order


def _json(document: Any, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(document), status_code=status, media_type="application/json"
    )


def _shown(tip: Tip) -> Order:
    return {"number": tip.number, "block_id": tip.block_id.hex(), "timestamp_ms": tip.time_ms}


def _shown_fault(armed: ArmedFault) -> Order:
    return {
        "kind": armed.fault,
        "left": armed.left,
        "path": armed.path,
        "txid": armed.txid,
        "status": armed.status,
        "body": armed.body,
        "delay_ms": armed.delay_ms,
    }
