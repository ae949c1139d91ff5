"""Check who signed each block, and keep up with who may (H9).

The first set is what two operators agree on; with one operator it is that one's word, and an alarm
says so for as long as that lasts. It is compared again after each maintenance.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from services.tron_client.domain.blocks import Anchor, Body, InconsistentBlock
from services.tron_client.domain.progress import HeldBlock
from services.tron_client.domain.witnesses import (
    Roll,
    Standing,
    UnprovenBlock,
    Witness,
    WitnessesDisagree,
    WitnessSet,
    check_time,
    maker_of,
    signer_of,
)
from services.tron_client.node.witnesses import WitnessNode, read_roll
from services.tron_client.store.witnesses import WitnessStore
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.models.alarms import Severity
from shared.storage import StorageError

log = get_logger(__name__)

DISAGREEMENT: Final = "witnesses_disagree"
ONE_OPERATOR: Final = "witnesses_of_one_operator"
SIGNED_TWICE: Final = "witness_signed_twice"
"""Who makes blocks in turn has signed two of one height: its key is in two hands, or it cheats."""
SUBJECT: Final = "witnesses"

PERIOD_MS: Final = 6 * 3_600 * MS_PER_S
"""The longest time between two comparisons: mainnet's maintenance interval."""

_RETRY_MS: Final = 60 * MS_PER_S
_OPERATORS_NEEDED: Final = 2
_DISAGREEMENTS_TO_ALARM: Final = 2
"""Right after a maintenance one operator may know of it before another."""

_MOST_PROOF_BLOCKS: Final = 200
"""Seven rounds of the witnesses: who has not signed within them does not come."""

Operators = Callable[[], Mapping[str, WitnessNode]]
"""Returns the nodes to ask, one of each operator."""


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


class Blocks(Protocol):
    """A node, as far as proving one block needs it."""

    async def blocks(self, first: int, count: int) -> list[Body]:
        """Return consecutive bodies."""
        ...


class Witnesses:
    """The witnesses of one network.

    Args:
        operators: nodes to learn them from.
        expects_two: raise an alarm while there is one operator only; on mainnet.
    """

    def __init__(
        self,
        *,
        operators: Operators,
        store: WitnessStore,
        clock: Clock,
        alarms: Alarms,
        expects_two: bool,
    ) -> None:
        self._operators = operators
        self._store = store
        self._clock = clock
        self._alarms = alarms
        self._expects_two = expects_two
        self._set: WitnessSet | None = None
        self._retry_ms = 0
        self._disagreements = 0

    async def current(self) -> WitnessSet:
        """Return who is known.

        Raises:
            WitnessesDisagree: nothing was learned yet, and operators do not agree.
            NodeUnavailable: nothing was learned yet, and no node tells.
        """
        if self._set is None:
            self._set = await self._store.load() or await self._learn()
        return self._set

    async def check(self, bodies: Sequence[Body], *, parent: Anchor) -> list[Witness]:
        """Check that blocks are each in a slot of their own and signed by a witness.

        Args:
            bodies: consecutive ones.
            parent: of the first.

        Returns:
            Who signed each.

        Raises:
            InconsistentBlock: one is signed by nobody who may, or is out of time.
        """
        signers = []
        for body in bodies:
            check_time(body.anchor, parent=parent, now_ms=self._clock.now_ms())
            signers.append(await self.signer(body))
            parent = body.anchor
        return signers

    async def signer(self, body: Body) -> Witness:
        """Return who signed a block; raises InconsistentBlock when that is nobody who may."""
        await self._keep_up(body.anchor)
        signer = signer_of(body.seal)
        if (await self.current()).standing(signer) is Standing.STRANGER:
            await self._meet(signer, body.anchor)
        return signer

    async def compare(self, body: Body, *, known: HeldBlock) -> None:
        """Check who signed a block that takes the place of a held one of its height.

        Raises:
            InconsistentBlock: nobody who may.
        """
        signer = await self.signer(body)
        if signer != maker_of(known):
            return
        log.error("witness.signed_twice", witness=signer.address, height=known.height)
        await self._alarms.raise_alarm(
            SIGNED_TWICE,
            signer.address,
            detail=f"{signer.address} has signed two blocks {known.height}: {known.id} and"
            f" {body.anchor.block_id}; what is not solid is not final, and is not credited",
            severity=Severity.WARNING,
        )

    async def prove(self, anchor: Anchor, *, chain: Blocks, batch_blocks: int) -> None:
        """Prove a block solid by those on top of it.

        Raises:
            UnprovenBlock: too few known witnesses have signed it and blocks above it.
            InconsistentBlock: the node has another block there, or its blocks do not fit.
        """
        known, signed = await self.current(), set[str]()
        height, last_id = anchor.height, None
        while height < anchor.height + _MOST_PROOF_BLOCKS:
            bodies = await chain.blocks(height, batch_blocks)
            for body in bodies:
                if last_id is None and body.anchor != anchor:
                    raise InconsistentBlock(f"the node has two solid blocks {anchor.height}")
                if last_id is not None and body.parent_id != last_id:
                    raise InconsistentBlock(
                        f"block {body.anchor.height} does not follow its parent"
                    )
                last_id, signer = body.anchor.block_id, signer_of(body.seal)
                if known.standing(signer) is Standing.KNOWN:
                    signed.add(signer.address)
                if len(signed) >= known.needed:
                    return
            if len(bodies) < batch_blocks:
                break
            height += len(bodies)
        raise UnprovenBlock(
            f"only {len(signed)} of {known.needed} witnesses have signed block {anchor.height}"
            " or one above it",
            retry_after_s=3,
        )

    async def vouch(self, solid: Sequence[HeldBlock]) -> None:
        """Count those from now on who made blocks on which enough known witnesses have built."""
        known = await self.current()
        after = known.vouched(maker for each in solid if (maker := maker_of(each)) is not None)
        if after != known:
            new = sorted(set(after.known) - set(known.known))
            await self._save(after)
            log.info("witness.admitted", witnesses=[each.address for each in new])

    async def _save(self, witnesses: WitnessSet) -> None:
        try:
            self._set = await self._store.save(witnesses)
        except StorageError:
            self._set = None  # it may be stored or not: loaded again
            raise

    async def _learn(self) -> WitnessSet:
        rolls = await self._rolls()
        active = _agreed(rolls)
        if active is None or len(rolls) < min(_OPERATORS_NEEDED, len(self._operators())):
            detail = f"{len(rolls)} operators do not agree on who makes blocks"
            await self._alarms.raise_alarm(DISAGREEMENT, SUBJECT, detail=detail)
            raise WitnessesDisagree(detail, retry_after_s=5)
        due_ms = _due_ms(rolls, now_ms=self._clock.now_ms())
        first = WitnessSet.first(active, operators=len(rolls), due_ms=due_ms)
        log.info("witnesses.learned", count=first.count, operators=len(rolls))
        await self._alarms.clear(DISAGREEMENT, SUBJECT)
        await self._mark(len(rolls))
        return await self._store.save(first)

    async def _keep_up(self, block: Anchor) -> None:
        """Compare with what operators say when votes were counted since; a failure waits.

        Blocks of the past are no reason: operators tell of the present alone.
        """
        known, now_ms = await self.current(), self._clock.now_ms()
        is_due = block.timestamp_ms >= max(known.due_ms, self._retry_ms)
        if not is_due or block.timestamp_ms < now_ms - PERIOD_MS:
            return
        self._retry_ms = block.timestamp_ms + _RETRY_MS
        try:
            rolls = await self._rolls()
        except Unavailable as error:
            log.warning("witnesses.unheard", detail=error.detail)
            return
        await self._compare(known, rolls, block)

    async def _compare(self, known: WitnessSet, rolls: Mapping[str, Roll], block: Anchor) -> None:
        active = _agreed(rolls)
        if active is None:
            await self._disagree(rolls)
            return
        self._disagreements = 0
        await self._alarms.clear(DISAGREEMENT, SUBJECT)
        await self._mark(len(rolls))
        due_ms = _due_ms(rolls, now_ms=block.timestamp_ms)
        await self._save(known.agreed(active, operators=len(rolls), due_ms=due_ms))

    async def _meet(self, signer: Witness, block: Anchor) -> None:
        """Take in one who is not known, if an operator tells of it.

        Of a block from before the present period nobody can tell any more: its maker is followed,
        and as every candidate counts only when known witnesses have built on it.
        """
        known = await self.current()
        is_past = block.timestamp_ms < self._clock.now_ms() - PERIOD_MS
        if not is_past:
            rolls = await self._rolls()
            active = _agreed(rolls)
            if active is not None and len(rolls) >= _OPERATORS_NEEDED and signer in active:
                await self._save(known.admitting({signer}))
                return
            if not any(signer in roll.active for roll in rolls.values()):
                raise InconsistentBlock(
                    f"block {block.height} of {signer.address} is signed by {signer.key},"
                    " who is no witness"
                )
        await self._save(known.nominated(signer))
        log.info("witness.nominated", witness=signer.address, key=signer.key)

    async def _rolls(self) -> dict[str, Roll]:
        """Ask every operator at once; raises what the last one failed with when none answers."""
        nodes = self._operators()
        answers = await asyncio.gather(
            *(read_roll(node) for node in nodes.values()), return_exceptions=True
        )
        rolls: dict[str, Roll] = {}
        failure: Unavailable | None = None
        for operator, answer in zip(nodes, answers, strict=True):
            if isinstance(answer, Roll):
                rolls[operator] = answer
            elif isinstance(answer, Unavailable):
                failure = answer
                log.warning("witnesses.unheard", operator=operator, detail=answer.detail)
            else:
                raise answer
        if not rolls and failure is not None:
            raise failure
        return rolls

    async def _disagree(self, rolls: Mapping[str, Roll]) -> None:
        self._disagreements += 1
        if self._disagreements >= _DISAGREEMENTS_TO_ALARM:
            await self._alarms.raise_alarm(
                DISAGREEMENT,
                SUBJECT,
                detail=f"{', '.join(sorted(rolls))} tell of different witnesses",
            )

    async def _mark(self, operators: int) -> None:
        """Say loudly when the witnesses are one operator's word."""
        if not self._expects_two:
            return
        if operators >= _OPERATORS_NEEDED:
            await self._alarms.clear(ONE_OPERATOR, SUBJECT)
            return
        await self._alarms.raise_alarm(
            ONE_OPERATOR,
            SUBJECT,
            detail="who makes blocks is known from one operator alone",
            severity=Severity.WARNING,
        )


def _agreed(rolls: Mapping[str, Roll]) -> frozenset[Witness] | None:
    """Return the active witnesses when all operators that answered tell of the same."""
    told = {roll.active for roll in rolls.values()}
    return told.pop() if len(told) == 1 else None


def _due_ms(rolls: Mapping[str, Roll], *, now_ms: int) -> int:
    """Return when to compare again: at the next maintenance, in a period at the latest."""
    soonest_ms = min(roll.next_maintenance_ms for roll in rolls.values())
    return min(max(soonest_ms, now_ms + _RETRY_MS), now_ms + PERIOD_MS)
