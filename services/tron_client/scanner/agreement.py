"""Confirm incoming transfers only as far as one node's word reaches; a second operator bears out more.

What is not borne out stays ``seen`` with its reason, is asked about again until it is, and is then
confirmed once. A contradiction is never resolved here: it calls a person and waits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from services.tron_client.domain.blocks import InconsistentBlock, Receipt
from services.tron_client.domain.credits import (
    DAY_MS,
    Cause,
    CreditPolicy,
    Doubt,
    amount_of,
    bears_out,
    currency_of,
    is_signed,
    left_of,
)
from services.tron_client.domain.transfers import Transfer
from services.tron_client.node.client import CallAnswer
from services.tron_client.node.errors import NodeRefused
from services.tron_client.store.credits import CreditStore, Release
from services.tron_client.store.sight import Sight
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.ledger_clock import LedgerClock
from shared.logs import get_logger
from shared.models.alarms import Severity
from shared.models.tron_client import TransferState
from shared.storage.tally import Tally
from shared.tron import abi
from shared.tron.address import Address, evm_bytes

log = get_logger(__name__)

DISAGREEMENT: Final = "operators_disagree"
WAITING: Final = "credit_unconfirmed"

_AT_ONCE: Final = 50
_WORDS_NEEDED: Final = 2
_TRIES_TO_ALARM: Final = 3
"""A second operator that lags by a block or two is no reason to call anybody."""

_HOUR_MS: Final = 3_600 * MS_PER_S
_DAY_BUCKETS: Final = 26
"""Hours that a rolling day may touch, and one to spare."""


class Operator(Protocol):
    """A node, as far as bearing out a transfer asks it."""

    async def solid_receipt(self, txid: str) -> Receipt | None:
        """Return the receipt of a solid transaction."""
        ...

    async def account(self, address: Address) -> dict[str, Any]:
        """Return an account as the node prints it."""
        ...

    async def call(self, *, owner: Address, contract: Address, data: str) -> CallAnswer:
        """Run a constant call."""
        ...


Operators = Callable[[], Mapping[str, Operator]]
"""Returns the nodes to ask, one of each operator; the first is the one that is followed, if it can be."""


class Alarms(Protocol):
    """Where a person is called."""

    async def raise_alarm(
        self, kind: str, subject: str, *, detail: str, severity: Severity = Severity.CRITICAL
    ) -> object:
        """Raise an alarm, or count it once more."""
        ...

    async def clear(self, kind: str, subject: str) -> object:
        """Note that its cause is gone."""
        ...


Words = Mapping[str, Cause | None]
"""What a second operator said of transfers, by id: None where it bears one out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """Transfers as they are to be stored, with what is stored beside them."""

    transfers: tuple[Transfer, ...]
    doubts: tuple[Doubt, ...] = ()
    sums: tuple[Tally, ...] = ()


class Agreement:
    """Judges what may be confirmed.

    Args:
        operators: nodes of the operators.
        ledger: the time by which daily sums are counted.
    """

    def __init__(
        self,
        *,
        operators: Operators,
        store: CreditStore,
        sight: Sight,
        clock: Clock,
        ledger: LedgerClock,
        policy: CreditPolicy,
        alarms: Alarms,
    ) -> None:
        self._operators = operators
        self._store = store
        self._sight = sight
        self._clock = clock
        self._ledger = ledger
        self._policy = policy
        self._alarms = alarms

    async def weigh(self, transfers: Sequence[Transfer], *, block_ms: int) -> Words:
        """Ask a second operator about those that need one; to be done without holding a lock.

        Args:
            transfers: what solid blocks hold.
            block_ms: time of the newest of them.
        """
        if self._policy.daily:
            await self._ledger.observe(block_ms)
        large = [each for each in transfers if self._is_credit(each) and self._needs_second(each)]
        known = await self._store.doubts([each.id for each in large])
        return {each.id: await self._second_word(each) for each in large if each.id not in known}

    async def sift(self, confirmed: Sequence[Transfer], words: Words) -> Sifted:
        """Divide transfers of solid blocks, given as confirmed, into those that are and doubts.

        The result is to be stored together, under the lock that this was called under. Transfers
        that are in doubt already are left to ``retry``.
        """
        known = await self._store.doubts([each.id for each in confirmed])
        sums = await self._sums()
        passed, doubts, now_ms = [], [], self._clock.now_ms()
        for transfer in confirmed:
            if transfer.id in known:
                continue
            cause = self._cause(transfer, words, sums)
            if cause is None:
                passed.append(transfer)
                continue
            doubts.append(Doubt.begun(transfer, cause, now_ms=now_ms))
            passed.extend(await self._still_seen(transfer))
        changed = tuple(after for before, after in sums.values() if after != before)
        return Sifted(transfers=tuple(passed), doubts=tuple(doubts), sums=changed)

    async def require_gone(self, transfers: Sequence[Transfer]) -> None:
        """Ask every operator for what was seen at the head and is not in the solid block.

        A receipt that leaves a log out must not take a deposit back on one answer; whoever is not
        heard or knows nothing holds up nothing.

        Raises:
            InconsistentBlock: one has it: the block is to be read again.
        """
        for transfer in transfers:
            for name, node in self._operators().items():
                try:
                    receipt = await node.solid_receipt(transfer.txid)
                except Unavailable as error:
                    log.warning("credit.unheard", operator=name, detail=error.detail)
                    continue
                if receipt is not None and bears_out(receipt, transfer):
                    raise InconsistentBlock(
                        f"by {name} {transfer.txid} moves what the solid block"
                        f" {transfer.height} does not tell of"
                    )

    async def retry(self) -> bool:
        """Look again at doubts that are due; returns True when there are more."""
        due = await self._store.due(now_ms=self._clock.now_ms(), limit=_AT_ONCE)
        for doubt in due:
            await self._look_again(doubt)
        return len(due) == _AT_ONCE

    def _cause(
        self, transfer: Transfer, words: Words, sums: dict[str, tuple[Tally, Tally]]
    ) -> Cause | None:
        """Say why a transfer cannot be confirmed; what one word is enough for is added up."""
        if not self._is_credit(transfer):
            return None
        if transfer.id in words:
            return words[transfer.id]
        if self._needs_second(transfer):
            return Cause.UNASKED
        if is_signed(transfer):
            return None
        return None if self._adds_up(transfer, sums) else Cause.DAILY_SUM

    def _is_credit(self, transfer: Transfer) -> bool:
        return evm_bytes(transfer.recipient) in self._sight.watched

    def _needs_second(self, transfer: Transfer) -> bool:
        """What is signed needs one only where there is one."""
        if not self._policy.is_large(transfer):
            return False
        if len(self._operators()) > 1:
            return True
        is_money = currency_of(transfer) is not None
        return self._policy.needs_second and is_money and not is_signed(transfer)

    def _adds_up(self, transfer: Transfer, sums: dict[str, tuple[Tally, Tally]]) -> bool:
        currency = currency_of(transfer)
        if currency is None or currency not in self._policy.daily:
            return True
        before, tally = sums[currency]
        now_ms, amount = self._ledger.now_ms(), amount_of(transfer)
        if tally.rolling(DAY_MS, at_ms=now_ms) + amount > self._policy.daily[currency]:
            return False
        sums[currency] = (before, tally.add(amount, at_ms=now_ms))
        return True

    async def _sums(self) -> dict[str, tuple[Tally, Tally]]:
        """Return what was credited on one word: as stored, and as it becomes."""
        names = [currency.value for currency in self._policy.daily]
        stored = await self._store.sums(names)
        tallies = {
            name: stored.get(name) or Tally.begin(name, width_ms=_HOUR_MS, kept=_DAY_BUCKETS)
            for name in names
        }
        return {name: (tally, tally) for name, tally in tallies.items()}

    async def _still_seen(self, transfer: Transfer) -> list[Transfer]:
        """Return the transfer as seen if that is news: it was not, or it said something else."""
        seen = replace(transfer, state=TransferState.SEEN)
        stored = await self._store.transfer(transfer.id)
        is_told = stored is not None and stored.state is TransferState.SEEN and stored.says(seen)
        return [] if is_told else [seen]

    async def _look_again(self, doubt: Doubt) -> None:
        transfer = await self._store.transfer(doubt.id)
        if transfer is None or transfer.state is not TransferState.SEEN:
            await self._store.release(Release(doubt=doubt, transfer=None))
            return
        cause = await self._second_word(transfer)
        # a new day makes up for silence, not for somebody who says otherwise
        waits_for_sum = doubt.cause is Cause.DAILY_SUM and cause is not Cause.DISAGREEMENT
        async with self._sight.lock:
            sums = await self._sums()
            if cause is not None and waits_for_sum and self._adds_up(transfer, sums):
                cause = None
            if cause is None:
                changed = tuple(after for before, after in sums.values() if after != before)
                confirmed = transfer.moved_to(TransferState.CONFIRMED)
                await self._store.release(Release(doubt=doubt, transfer=confirmed, sums=changed))
        if cause is None:
            log.info("credit.borne_out", transfer=transfer.id, tries=doubt.tries + 1)
            await self._alarms.clear(WAITING, transfer.id)
            await self._alarms.clear(DISAGREEMENT, transfer.id)
            return
        kept = Cause.DAILY_SUM if waits_for_sum else cause
        after = doubt.again(kept, now_ms=self._clock.now_ms())
        await self._store.wait(after)
        await self._call(transfer, after)

    async def _call(self, transfer: Transfer, doubt: Doubt) -> None:
        if doubt.cause is Cause.UNHEARD and doubt.tries < _TRIES_TO_ALARM:
            return
        await self._alarms.raise_alarm(
            WAITING,
            transfer.id,
            detail=f"{transfer.amount_base_units} base units to {transfer.recipient} in block"
            f" {transfer.height} are not confirmed: {doubt.cause}",
            severity=Severity.WARNING,
        )

    async def _second_word(self, transfer: Transfer) -> Cause | None:
        """Ask the operators until two bear a transfer out; None when they do.

        The first one is asked too: while its nodes fail, blocks are read from another's, and what one
        operator says twice is one word.
        """
        operators = self._operators()
        if len(operators) < _WORDS_NEEDED:
            return Cause.NO_SECOND_OPERATOR
        first, words = next(iter(operators.values())), 0
        for name, node in operators.items():
            try:
                said = await self._says(node, first, transfer)
            except Unavailable as error:
                log.warning("credit.unheard", operator=name, detail=error.detail)
                said = None
            if said is False:
                return await self._contradicted(transfer, name)
            words += said is True
            if words == _WORDS_NEEDED:
                return None
        return Cause.UNHEARD

    async def _says(self, node: Operator, first: Operator, transfer: Transfer) -> bool | None:
        try:
            receipt = await node.solid_receipt(transfer.txid)
        except NodeRefused:  # it keeps no receipts
            return await self._holds_both(node, first, transfer)
        if receipt is None:
            return None
        said = bears_out(receipt, transfer)
        return await self._holds_both(node, first, transfer) if said is None else said

    async def _holds_both(self, node: Operator, first: Operator, transfer: Transfer) -> bool | None:
        """True when by both operators the recipient holds it besides all else that is told of it.

        Less says nothing: it may be spent.
        """
        others = await self._store.others_of(transfer)
        if others is None:
            return None
        amounts = [await _balance(each, transfer) for each in (first, node)]
        return True if min(amounts) >= amount_of(transfer) + left_of(others, transfer) else None

    async def _contradicted(self, transfer: Transfer, operator: str) -> Cause:
        log.error("credit.contradicted", transfer=transfer.id, operator=operator)
        await self._alarms.raise_alarm(
            DISAGREEMENT,
            transfer.id,
            detail=f"{operator} does not have {transfer.amount_base_units} base units to"
            f" {transfer.recipient} in block {transfer.height}",
        )
        return Cause.DISAGREEMENT


async def _balance(node: Operator, transfer: Transfer) -> int:
    """Return what a transfer's recipient holds of what it moves, in base units."""
    if transfer.contract is None:
        balance = (await node.account(transfer.recipient)).get("balance", 0)
        return balance if type(balance) is int else 0
    answer = await node.call(
        owner=transfer.recipient,
        contract=transfer.contract,
        data=abi.encode_balance_of(transfer.recipient).hex(),
    )
    try:
        return abi.decode_uint256(bytes.fromhex(answer.output))
    except ValueError:
        raise InconsistentBlock("a balance that is no number") from None
