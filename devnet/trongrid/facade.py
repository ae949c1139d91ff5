"""The v1 paths: who is asked for, what is shown, and the envelope around it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from devnet.api.exchange import HttpRequest, Reply
from devnet.api.replies import json_reply
from devnet.chain_pb2 import BlockRecord
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.node import Node
from devnet.trongrid.events import Events
from devnet.trongrid.histories import Page, heights, page
from devnet.trongrid.index import AddressIndex, Kind, Place
from devnet.trongrid.items import token_transfer, transaction
from devnet.trongrid.query import (
    OLDEST_FIRST,
    BadQueryError,
    Query,
    parsed_address,
    parsed_number,
    parsed_query,
)
from devnet.trongrid.tokens import Ask, Tokens

PREFIX = "/v1"
# TronWeb asks it whether somebody is there; only the status counts.
HEALTH_PATH = "/healthcheck"
_TXID = re.compile(r"[0-9a-fA-F]{64}")
_PATH = re.compile(r"/v1/(?P<of>\w+)/(?P<which>[^/]+)(?:/(?P<what>[\w/]+?))?/?")

_BAD_NUMBER = "A valid block number is required."

Handler = Callable[[str, Query], Awaitable[Page]]


class Facade:
    """Answers `/v1/*` from the blocks of one node.

    Args:
        ask: The node's own answer to a path, for accounts, tokens and ABIs.
    """

    def __init__(self, *, node: Node, ask: Ask) -> None:
        self._node = node
        self._ask = ask
        self._index = AddressIndex(node)
        self._tokens = Tokens(ask)
        self._events = Events(ask)
        self._handlers: dict[tuple[str, str], Handler] = {
            ("accounts", ""): self._account,
            ("accounts", "transactions"): self._transactions,
            ("accounts", "transactions/trc20"): self._token_transfers,
            ("contracts", "events"): self._contract_events,
            ("transactions", "events"): self._transaction_events,
            ("blocks", "events"): self._block_events,
        }

    async def reply(self, request: HttpRequest) -> Reply:
        """Answer a request; what is wrong with it is said with status 400."""
        if request.path == HEALTH_PATH:
            return json_reply({"success": True})
        match = _PATH.fullmatch(request.path)
        handler = self._handlers.get((match["of"], match["what"] or "")) if match else None
        if match is None or handler is None or request.method not in {"GET", "HEAD"}:
            return _refused("Not Found", 404)
        query = parsed_query(request.path, request.query)
        try:
            found = await handler(match["which"], query)
        except BadQueryError as error:
            return _refused(str(error), 400)
        return json_reply(self._enveloped(found, query, request.headers.get("host", "")))

    def _enveloped(self, found: Page, query: Query, host: str) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "at": self._node.clock.now_ms(),
            "page_size": len(found.items),
        }
        if found.last is not None:
            meta["fingerprint"] = query.fingerprint(found.last)
            meta["links"] = {"next": f"http://{host}{query.link(meta['fingerprint'])}"}
        return {"data": found.items, "success": True, "meta": meta}

    async def _account(self, which: str, query: Query) -> Page:
        holder = parsed_address(which)
        tree = "/walletsolidity" if query.flag("only_confirmed") else "/wallet"
        account = self._ask(f"{tree}/getaccount", address=holder.hex())
        if not account:
            return Page(items=[])
        await self._index.catch_up()
        contracts = dict.fromkeys([USDT_CONTRACT_ADDRESS, *self._index.tokens])
        infos = {each: self._tokens.info(each) for each in contracts}
        balances = [
            {info["address"]: str(balance)}
            for contract, info in infos.items()
            if "symbol" in info and (balance := self._tokens.balance(contract, holder, tree=tree))
        ]
        return Page(items=[{**account, "trc20": balances}])

    async def _transactions(self, which: str, query: Query) -> Page:
        of = parsed_address(which)

        def show(place: Place) -> dict[str, Any] | None:
            return transaction(self._record(place), place, of=of, query=query)

        return await self._page(Kind.TRANSACTION, of, query, show)

    async def _token_transfers(self, which: str, query: Query) -> Page:
        of, contract = parsed_address(which), query.address("contract_address")

        def show(place: Place) -> dict[str, Any] | None:
            item = token_transfer(self._record(place), place, of=of, query=query)
            if item is None or (contract is not None and item.contract != contract):
                return None
            return item.printed(self._tokens.info(item.contract))

        return await self._page(Kind.TOKEN, of, query, show)

    async def _contract_events(self, which: str, query: Query) -> Page:
        contract, name = (
            parsed_address(which, "A valid contract address is required."),
            query.text("event_name"),
        )

        def show(place: Place) -> dict[str, Any] | None:
            event = self._event(place)
            return event if event is not None and name in {"", event["event_name"]} else None

        return await self._page(Kind.EVENT, contract, query, show, of_events=True)

    async def _transaction_events(self, which: str, query: Query) -> Page:
        if not _TXID.fullmatch(which):
            raise BadQueryError("A valid transaction id is required.")
        txid = bytes.fromhex(which)
        height = self._node.chain.height_of(txid)
        if height is None or height not in heights(self._node.chain, query):
            return Page(items=[])
        record = self._node.chain.record(height)
        number = next(at for at, info in enumerate(record.infos) if info.id == txid)
        places = [Place(height, number, at) for at in range(len(record.infos[number].log))]
        return page([place.packed() for place in places], _in_order(query), self._event)

    async def _block_events(self, which: str, query: Query) -> Page:
        chain = self._node.chain
        latest = chain.solid_number if query.flag("only_confirmed") else chain.head.number
        is_latest = which == "latest"
        height = latest if is_latest else parsed_number(which, _BAD_NUMBER)
        if height not in heights(chain, query):
            return Page(items=[])
        infos = chain.record(height).infos
        places = [
            Place(height, number, at).packed()
            for number, info in enumerate(infos)
            for at in range(len(info.log))
        ]
        return page(places, _in_order(query), self._event)

    async def _page(
        self,
        kind: Kind,
        address: bytes,
        query: Query,
        show: Callable[[Place], dict[str, Any] | None],
        *,
        of_events: bool = False,
    ) -> Page:
        await self._index.catch_up()
        within = heights(self._node.chain, query, of_events=of_events)
        return page(self._index.places(kind, address, within), query, show)

    def _event(self, place: Place) -> dict[str, Any] | None:
        confirmed = place.height <= self._node.chain.solid_number
        return self._events.printed(self._record(place), place, confirmed=confirmed)

    def _record(self, place: Place) -> BlockRecord:
        return self._node.chain.record(place.height)


def _in_order(query: Query) -> Query:
    """Within one block or transaction, events come in their own order unless told otherwise."""
    return replace(query, default_order=OLDEST_FIRST)


def _refused(error: str, status: int) -> Reply:
    return json_reply({"success": False, "error": error, "statusCode": status}, status=status)
