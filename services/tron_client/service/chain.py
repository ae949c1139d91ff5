"""How the chain looks from here: height, age, prices, and what a signer needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.tron_client.domain.parameters import Parameters, read_parameters
from services.tron_client.domain.progress import Progress
from services.tron_client.service.dials import Dials
from services.tron_client.service.vigil import Vigil
from services.tron_client.store.notices import NoticeStore
from services.tron_client.store.sight import Sight
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.tron.address import Address

_NETWORK_IS_SYNCED: Final = "synced"
_NETWORK_LAGS: Final = "lagging"
_NETWORK_UNSEEN: Final = "unreachable"


class Stale(Unavailable):
    """What is known of the chain is too old to act on."""

    code = "LUCID_ERR_9150"
    title = "The chain is out of sight"


class Node(Protocol):
    """A node, as far as the state of the chain needs it."""

    @property
    def url(self) -> str:
        """Where it is, without anything secret."""
        ...

    def reason(self) -> str | None:
        """Say what is wrong with it."""
        ...

    async def parameters(self) -> Mapping[str, int]:
        """Return the chain parameters."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """Which chain this is, and which token counts on it."""

    network: str
    chain_id: int
    genesis_block_id: str
    token: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the chain looks from here."""

    word: str
    block_height: int
    solid_height: int
    scanned_height: int | None
    head_age_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningContext:
    """What a signer needs now."""

    progress: Progress
    parameters: Parameters
    operators: int
    second_head_timestamp_ms: int | None
    paused: str | None


class Outlook:
    """Answers for the state of the chain on one network.

    Attributes:
        facts: which chain it is.
    """

    def __init__(
        self,
        *,
        notices: NoticeStore,
        vigil: Vigil,
        dials: Dials,
        sight: Sight,
        node: Node,
        clock: Clock,
        facts: ChainFacts,
        max_head_age_s: int,
    ) -> None:
        self._notices = notices
        self._vigil = vigil
        self._dials = dials
        self._sight = sight
        self._node = node
        self._clock = clock
        self._max_head_age_s = max_head_age_s
        self.facts = facts
        self._parameters: Parameters | None = None
        self._values: Mapping[str, int] = {}

    @property
    def node_url(self) -> str:
        """Where the node is, without anything secret."""
        return self._node.url

    async def refresh_parameters(self) -> bool:
        """Read the chain parameters again; never more work at once."""
        found = await self._node.parameters()
        now_ms = self._clock.now_ms()
        read = read_parameters(found, now_ms=now_ms)
        await self._notices.note_parameters(found, now_ms=now_ms)
        self._parameters, self._values = read, found
        return False

    def reason(self) -> str | None:
        """Say why callers should not rely on what is known here, or None."""
        age_s = self._head_age_s()
        if age_s is None:
            return self._node.reason() or "no block has been scanned yet"
        if age_s > self._max_head_age_s:
            return self._node.reason() or f"the last block that was scanned is {age_s} s old"
        return None

    def status(self) -> Status:
        """Say how the chain looks."""
        progress, age_s = self._sight.progress, self._head_age_s()
        if progress is None or age_s is None:
            word = _NETWORK_UNSEEN
        else:
            word = _NETWORK_IS_SYNCED if age_s <= self._max_head_age_s else _NETWORK_LAGS
        return Status(
            word=word,
            block_height=progress.head.height if progress else 0,
            solid_height=progress.solid.height if progress else 0,
            scanned_height=progress.head.height if progress else None,
            head_age_s=age_s or 0,
        )

    def parameters(self) -> Parameters:
        """Return the chain parameters as last read; raises Stale before the first time."""
        if self._parameters is None:
            raise Stale("the chain parameters have not been read yet", retry_after_s=2)
        return self._parameters

    def all_parameters(self) -> tuple[Mapping[str, int], int]:
        """Return every chain parameter and when it was read; raises Stale before the first time."""
        return self._values, self.parameters().read_at_ms

    def age_ms(self, at_ms: int) -> int:
        """Return how long ago a moment was."""
        return max(0, self._clock.now_ms() - at_ms)

    def now_ms(self) -> int:
        """Return the time."""
        return self._clock.now_ms()

    def signing_context(self) -> SigningContext:
        """Return what a signer needs; raises Stale when the head is out of sight."""
        progress = self._sight.current()
        age_s = self._head_age_s() or 0
        if age_s > self._max_head_age_s:
            raise Stale(f"the last block that was scanned is {age_s} s old", retry_after_s=3)
        return SigningContext(
            progress=progress,
            parameters=self.parameters(),
            operators=self._vigil.operators.count(),
            second_head_timestamp_ms=self._vigil.operators.second_head_timestamp_ms(),
            paused=self._vigil.reason_to_pause(),
        )

    async def details(self) -> Mapping[str, Any]:
        """Describe the state for operators."""
        progress = self._sight.progress
        return {
            "node_url": self._node.url,
            "node": self._node.reason() or "answers",
            "scanned_height": progress.head.height if progress else None,
            "solid_height": progress.solid.height if progress else None,
            "scanned_from": progress.start.height if progress else None,
            "network_status": self.status().word,
            "signing": self._vigil.reason_to_pause() or "allowed",
            "operators": self._vigil.operators.count(),
            "parameters_age_s": self._parameters_age_s(),
            **await self._dials.standing(),
        }

    def _parameters_age_s(self) -> int | None:
        read = self._parameters
        return None if read is None else self.age_ms(read.read_at_ms) // MS_PER_S

    def _head_age_s(self) -> int | None:
        if self._sight.progress is None:
            return None
        age_ms = self._clock.now_ms() - self._sight.progress.head.timestamp_ms
        return max(0, age_ms // MS_PER_S)
