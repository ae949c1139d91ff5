"""Compare what watched addresses hold with what was told of them, a few addresses at a time.

This is how TRX that contracts send is noticed on a node that does not tell of it, and a transfer that
a receipt left out.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from services.tron_client.domain.balances import Balance, read_balance, unexplained
from services.tron_client.domain.blocks import Anchor, InconsistentBlock
from services.tron_client.node.blocks import Tree
from services.tron_client.scanner.stalls import Alarms
from services.tron_client.store.balances import BalanceStore
from services.tron_client.store.sight import Sight
from shared.errors import Problem, Unavailable
from shared.logs import get_logger
from shared.tron import abi
from shared.tron.address import Address, address_bytes, parse_address

log = get_logger(__name__)

UNEXPLAINED: Final = "balance_unexplained"
DOUBTS_TO_ALARM: Final = 2
"""Balances that do not fit before somebody is called: one may have come from a lagging backend."""

MOST_RESCANNED_BLOCKS: Final = 1_200
"""An hour of blocks is scanned once more by itself; of more a person decides."""

_MOST_WAITING: Final = 1_000


class Rescan(Protocol):
    """Has blocks scanned once more."""

    async def __call__(self, first_height: int, last_height: int, *, reason: str) -> object:
        """Schedule a range; raises a Problem when it is not taken on."""
        ...


class BalanceReader(Protocol):
    """A node, as far as balances need it."""

    async def solid_head(self) -> Anchor | None:
        """Return the newest solid block."""
        ...

    async def read_raw(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return a node's answer to a read as it came."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationPolicy:
    """How much is looked at.

    Attributes:
        token: the USDT contract.
        addresses_per_round: each costs two calls of the node, a round two besides.
    """

    token: Address
    addresses_per_round: int


class Reconciliation:
    """Looks at addresses that were lately paid first, and at all others in turn."""

    def __init__(
        self,
        *,
        node: BalanceReader,
        store: BalanceStore,
        sight: Sight,
        policy: ReconciliationPolicy,
        alarms: Alarms,
        rescan: Rescan,
    ) -> None:
        self._node = node
        self._rescan = rescan
        self._store = store
        self._sight = sight
        self._policy = policy
        self._alarms = alarms
        self._moved: dict[str, None] = {}
        self._read: list[Balance] = []
        self._event: int | None = None
        self._cursor: str | None = None

    async def reconcile(self) -> bool:
        """Judge what was read before, and read what is next; never more work at once."""
        if self._sight.progress is None or not len(self._sight.watched):
            return False
        await self._judge_read()
        if not self._read:
            try:
                await self._read_next()
            except Unavailable as problem:  # the next round reads others; nothing waits for this
                log.warning("balance.unread", detail=problem.detail)
        return False

    async def _judge_read(self) -> None:
        """Judge balances once everything up to their block is told."""
        solid_height = self._sight.current().solid.height
        ready = [each for each in self._read if each.height <= solid_height]
        self._read = [each for each in self._read if each.height > solid_height]
        before = await self._store.balances([each.id for each in ready]) if ready else {}
        for balance in ready:
            await self._judge(before.get(balance.id), balance)

    async def _judge(self, before: Balance | None, after: Balance) -> None:
        if before is None:
            await self._store.save(after)
            return
        if after.height <= before.height:
            return
        told = await self._store.transfers_of(after.id)
        found = None if told is None else unexplained(before, after, told)
        if found is not None and before.doubts + 1 < DOUBTS_TO_ALARM:
            await self._store.save(replace(before, doubts=before.doubts + 1))
            self._moved[after.id] = None
            return
        if found is not None:
            await self._call(before, after, found)
        await self._store.save(replace(after, version=before.version))

    async def _call(self, before: Balance, after: Balance, found: str) -> None:
        """Call a person, and look again by itself where that is not much: a receipt may have been short."""
        log.error("balance.unexplained", address=after.id, amount=found)
        is_near = after.height - before.height <= MOST_RESCANNED_BLOCKS
        if is_near:
            try:
                await self._rescan(
                    before.height + 1, after.height, reason="a balance that no transfer explains"
                )
            except Problem as problem:
                log.warning("balance.unsearched", address=after.id, detail=problem.detail)
        await self._alarms.raise_alarm(
            UNEXPLAINED,
            after.id,
            detail=f"{found} came or went between the blocks {before.height} and {after.height}"
            " without a transfer that was told; these blocks are"
            f" {'' if is_near else 'not '}scanned once more by themselves. If a contract sent it,"
            " the node does not tell of internal transactions",
        )

    async def _read_next(self) -> None:
        addresses = await self._next_addresses()
        head = await self._node.solid_head()
        if head is None or not addresses:
            return
        found = [await self._balance(parse_address(each), head.height) for each in addresses]
        if await self._node.solid_head() == head:  # else they may be of different blocks
            self._read = found

    async def _next_addresses(self) -> list[str]:
        """Return a round's addresses: those that moved, then the next of the whole list."""
        if self._event is None:
            self._event = await self._store.feed_end()
        moved, self._event = await self._store.moved_after(self._event)
        for each in await self._store.watched_among(moved):
            if len(self._moved) < _MOST_WAITING:
                self._moved[each] = None
        wanted = list(self._moved)[: self._policy.addresses_per_round]
        for each in wanted:
            del self._moved[each]
        left = self._policy.addresses_per_round - len(wanted)
        if left:
            page = await self._store.watch_page(cursor=self._cursor, limit=left)
            self._cursor = page.next
            wanted += [each.id for each in page.items if each.id not in wanted]
        return wanted

    async def _balance(self, address: Address, height: int) -> Balance:
        account = await self._node.read_raw(
            f"{Tree.SOLID}/getaccount", {"address": address_bytes(address).hex()}
        )
        answer = await self._node.read_raw(
            f"{Tree.SOLID}/triggerconstantcontract",
            {
                "owner_address": address_bytes(address).hex(),
                "contract_address": address_bytes(self._policy.token).hex(),
                "data": abi.encode_balance_of(address).hex(),
            },
        )
        return read_balance(address, account, usdt_micro=_amount(answer), height=height)


def _amount(answer: dict[str, Any]) -> int:
    try:
        return abi.decode_uint256(bytes.fromhex(answer["constant_result"][0]))
    except (KeyError, TypeError, IndexError, ValueError):
        raise InconsistentBlock("a balance of USDT that is none") from None
