"""What scanning needs in memory: how far it is, who is watched, which transactions are ours."""

import asyncio
from dataclasses import dataclass, field

from services.tron_client.domain.progress import NothingScanned, Progress
from services.tron_client.store import ChainStore
from services.tron_client.store.addresses import AddressSet


@dataclass(slots=True, kw_only=True)
class Sight:
    """The state that the scanner, the watches and the tracker share, and the lock around it.

    Whoever changes the database and this state together holds the lock while doing both, and
    never while asking a node. So an address or a txid that was acknowledged at a height is known
    to the scanner for every later block (H11). Whoever changes the watch list or the rescans holds
    ``watching`` from the look to the end, and takes it before the other.

    Attributes:
        progress: as stored; None before the first block.
        watched: addresses as 20 bytes.
        txids: of followed transactions, as 32 bytes.
    """

    progress: Progress | None
    watched: AddressSet
    txids: set[bytes]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    watching: asyncio.Lock = field(default_factory=asyncio.Lock)

    def current(self) -> Progress:
        """Return the progress; raises NothingScanned before the first block."""
        if self.progress is None:
            raise NothingScanned("no block has been scanned yet", retry_after_s=5)
        return self.progress

    def follows(self, txid: str) -> bool:
        """True when a transaction is looked for in blocks."""
        return bytes.fromhex(txid) in self.txids


async def load(store: ChainStore) -> Sight:
    """Load what is stored."""
    return Sight(
        progress=await store.progress(),
        watched=await store.watched(),
        txids=await store.followed(),
    )
