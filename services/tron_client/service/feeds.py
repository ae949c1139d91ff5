"""The feeds of tron-client: transfers, verdicts on submitted transactions, notices."""

from collections.abc import Awaitable, Callable

from services.tron_client.domain.blocks import block_ref
from services.tron_client.store import ChainStore
from services.tron_client.store.schema import (
    NOTICE_FEED,
    TOKEN_FEED,
    TRANSACTION_FEED,
    TRANSFER_FEED,
)
from shared.clock import Clock
from shared.feeds import FeedSource
from shared.models.tron_client import NoticeView, TokenTransferView, TransferView
from shared.models.tron_transactions import TransactionView
from shared.models.wire import BlockRef


def transfer_source(store: ChainStore, clock: Clock) -> FeedSource[TransferView]:
    """Publish transfers of watched addresses."""
    return FeedSource(
        storage=store.storage,
        feed=TRANSFER_FEED,
        view=TransferView,
        clock=clock,
        as_of=_solid_of(store),
    )


def token_transfer_source(store: ChainStore, clock: Clock) -> FeedSource[TokenTransferView]:
    """Publish transfers of the configured tokens other than USDT."""
    return FeedSource(
        storage=store.storage,
        feed=TOKEN_FEED,
        view=TokenTransferView,
        clock=clock,
        as_of=_solid_of(store),
    )


def verdict_source(store: ChainStore, clock: Clock) -> FeedSource[TransactionView]:
    """Publish what became of submitted transactions."""
    return FeedSource(
        storage=store.storage,
        feed=TRANSACTION_FEED,
        view=TransactionView,
        clock=clock,
        as_of=_solid_of(store),
    )


def notice_source(store: ChainStore, clock: Clock) -> FeedSource[NoticeView]:
    """Publish what happened on chain that somebody must know of."""
    return FeedSource(
        storage=store.storage,
        feed=NOTICE_FEED,
        view=NoticeView,
        clock=clock,
        as_of=_solid_of(store),
    )


def _solid_of(store: ChainStore) -> Callable[[], Awaitable[BlockRef | None]]:
    async def solid() -> BlockRef | None:
        progress = await store.progress()
        return None if progress is None else block_ref(progress.solid)

    return solid
