"""Who may sign blocks, and from which block on enough of them have built on a chain (H9).

A header does not say who the witnesses are, so that the first set is the word of operators. From
there on the chain itself carries it forward: a witness that is new, or has another key, counts only
once two operators agree on it or blocks of enough known witnesses have been built on one of its own.
A single node can therefore bring in nobody whom the known witnesses did not accept.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from services.tron_client.domain.blocks import Anchor, InconsistentBlock, Seal
from services.tron_client.domain.progress import HeldBlock
from shared.errors import Unavailable
from shared.tron.address import ADDRESS_LENGTH, Address, InvalidAddress, address_from_bytes
from shared.tron.blocks import header_signer
from shared.tron.signing import InvalidSignature

SET_ID: Final = "witnesses"

SLOT_MS: Final = 3_000
"""Blocks stand on a grid of this width (java-tron BLOCK_PRODUCED_INTERVAL)."""

MAX_AHEAD_MS: Final = 60_000
"""How far a block may be ahead of the local clock (H2)."""

_REACHED_PERCENT: Final = 30
"""Of the active witnesses may lag behind a solid block (java-tron DposService.updateSolidBlock)."""


class WitnessesDisagree(Unavailable):
    """Operators tell of different witnesses, or too few of them tell."""

    code = "LUCID_ERR_9130"
    title = "The witnesses are not agreed on"


class UnprovenBlock(Unavailable):
    """Too few known witnesses have signed blocks on top of one."""

    code = "LUCID_ERR_9131"
    title = "The block is not proved solid"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Witness:
    """Somebody who makes blocks, and the key that signs them.

    Attributes:
        address: of the witness, as headers name it.
        key: address of its witness permission's key, the same where it has set none.
    """

    address: Address
    key: Address


class Standing(StrEnum):
    """What a signature by a witness is worth.

    ``KNOWN`` counts; ``CANDIDATE`` is followed and does not count; ``STRANGER`` is refused.
    """

    KNOWN = "known"
    CANDIDATE = "candidate"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """What an operator says of the witnesses.

    Attributes:
        active: those that make blocks in this maintenance period.
        next_maintenance_ms: when votes are counted next.
    """

    active: frozenset[Witness]
    next_maintenance_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSet:
    """The witnesses, as far as they are known.

    Attributes:
        id: always the same.
        version: of the record.
        count: how many make blocks at a time; it never becomes less.
        operators: how many agreed when the set was last compared.
        known: whose signatures count.
        leaving: of those, the ones that were no longer active when the set was last compared.
        candidates: whose blocks are followed, and do not count yet.
        due_ms: chain time from which on the set is to be compared again.
    """

    id: str = SET_ID
    version: int = 0
    count: int
    operators: int
    known: tuple[Witness, ...]
    leaving: tuple[Witness, ...] = ()
    candidates: tuple[Witness, ...] = ()
    due_ms: int

    @classmethod
    def first(cls, active: AbstractSet[Witness], *, operators: int, due_ms: int) -> Self:
        """Begin with what operators agree on; raises WitnessesDisagree when that is nobody."""
        if not active:
            raise WitnessesDisagree("there is no active witness", retry_after_s=5)
        known = tuple(sorted(active))
        count = len({each.address for each in known})
        return cls(count=count, operators=operators, known=known, due_ms=due_ms)

    @property
    def needed(self) -> int:
        """How many distinct witnesses make a block solid: 19 of 27."""
        return self.count - self.count * _REACHED_PERCENT // 100

    @property
    def most_candidates(self) -> int:
        """How many may be followed without counting: with more, nothing becomes solid."""
        return self.count - self.needed

    def standing(self, witness: Witness) -> Standing:
        """Say what a witness's signature is worth."""
        if witness in self.known:
            return Standing.KNOWN
        return Standing.CANDIDATE if witness in self.candidates else Standing.STRANGER

    def nominated(self, witness: Witness) -> "WitnessSet":
        """Return it following one more; raises InconsistentBlock when there are too many."""
        if len(self.candidates) >= self.most_candidates:
            raise InconsistentBlock(
                f"{witness.address} would be the {self.most_candidates + 1}th new witness at once"
            )
        return replace(self, candidates=(*self.candidates, witness))

    def vouched(self, witnesses: Iterable[Witness]) -> "WitnessSet":
        """Return it counting candidates on whose blocks enough known witnesses have built."""
        return self.admitting(
            {each for each in witnesses if self.standing(each) is Standing.CANDIDATE}
        )

    def agreed(self, active: AbstractSet[Witness], *, operators: int, due_ms: int) -> "WitnessSet":
        """Return it compared with what operators say.

        Whom two agree on counts from now on. One who is not active any more goes with the second
        comparison that says so, for a fork may bring back blocks from before, and only while no
        fewer witnesses remain than make blocks at a time: no word makes the proof shorter.
        """
        after = self.admitting(active - set(self.known)) if operators > 1 else self
        gone = {each for each in after.known if each not in active}
        dropped = gone & set(self.leaving)
        stay = tuple(each for each in after.known if each not in dropped)
        if len({each.address for each in stay}) < self.count:
            stay = after.known
        return replace(
            after,
            known=stay,
            leaving=tuple(sorted(gone & set(stay))),
            candidates=tuple(each for each in after.candidates if each in active),
            operators=operators,
            due_ms=due_ms,
        )

    def admitting(self, new: AbstractSet[Witness]) -> "WitnessSet":
        """Return it counting these from now on."""
        return replace(
            self,
            known=tuple(sorted({*self.known, *new})),
            candidates=tuple(each for each in self.candidates if each not in new),
        )


def signer_of(seal: Seal) -> Witness:
    """Return who signed a header.

    Raises:
        InconsistentBlock: it names no witness, or nobody has made its signature.
    """
    if len(seal.witness) != ADDRESS_LENGTH:
        raise InconsistentBlock("a header names no witness")
    try:
        witness = address_from_bytes(seal.witness)
        key = header_signer(seal.header, seal.signature)
    except InvalidSignature as error:
        raise InconsistentBlock(f"a header without a witness's signature: {error.reason}") from None
    except InvalidAddress:
        raise InconsistentBlock("a header names no witness") from None
    return Witness(address=witness, key=key)


def check_time(block: Anchor, *, parent: Anchor, now_ms: int) -> None:
    """Check that a block is in a later slot than its parent, and that the slot has begun.

    Raises:
        InconsistentBlock: it is not, or it is too far ahead of the local clock (H2).
    """
    passed_ms = block.timestamp_ms - parent.timestamp_ms
    if passed_ms <= 0 or (passed_ms % SLOT_MS and parent.height):
        raise InconsistentBlock(f"block {block.height} is not in a slot after its parent's")
    if block.timestamp_ms > now_ms + MAX_AHEAD_MS:
        ahead_s = (block.timestamp_ms - now_ms) // 1_000
        raise InconsistentBlock(f"block {block.height} is {ahead_s} s ahead of the local clock")


def solid_height(blocks: Sequence[HeldBlock], witnesses: WitnessSet) -> int | None:
    """Return the highest block at or above which enough known witnesses have signed.

    Args:
        blocks: a chain's newest ones, lowest first.
        witnesses: who counts.

    Returns:
        None when there is none among these.

    Source: java-tron DposService.updateSolidBlock, as seen from the newest block down.
    """
    signed: set[str] = set()
    for block in reversed(blocks):
        if is_known(block, witnesses):
            signed.add(block.witness)
        if len(signed) >= witnesses.needed:
            return block.height
    return None


def is_known(block: HeldBlock, witnesses: WitnessSet) -> bool:
    """Tell whether a held block's signature counts."""
    signer = maker_of(block)
    return signer is not None and witnesses.standing(signer) is Standing.KNOWN


def maker_of(block: HeldBlock) -> Witness | None:
    """Return who signed a held block; None for the one that scanning began after."""
    if not block.witness:
        return None
    return Witness(address=Address(block.witness), key=Address(block.signer))
