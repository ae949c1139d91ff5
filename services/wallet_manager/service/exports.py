"""The journal as comma-separated values, streamed (RFC 4180)."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Final

from services.wallet_manager.domain.books import JournalEntryLine, accounts_of
from services.wallet_manager.store import WalletStore
from shared.clock import rfc3339
from shared.money import format_base_units
from shared.tron.address import Address

PAGE: Final = 1_000
FOREVER_MS: Final = 10**14

COLUMNS: Final = (
    "at",
    "entry_id",
    "line",
    "kind",
    "account",
    "currency",
    "amount",
    "amount_base_units",
    "txid",
)
"""In this order for ever; what is added later comes behind."""


class Exports:
    """Writes down what moved through an address."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store

    async def journal(
        self, owner: Address, *, since_ms: int = 0, until_ms: int = FOREVER_MS
    ) -> AsyncIterator[str]:
        """Write the accounts of an address one after the other, each oldest first.

        Args:
            owner: whose.
            since_ms: beginning of the period, included.
            until_ms: its end, left out.
        """
        yield _written([COLUMNS])
        for account in dict.fromkeys(account for account, _ in accounts_of(owner)):
            cursor: str | None = None
            while True:
                page = await self._store.journal_between(
                    account, since_ms=since_ms, until_ms=until_ms, cursor=cursor, limit=PAGE
                )
                if page.items:
                    yield _written([_row(line) for line in page.items])
                cursor = page.next
                if cursor is None:
                    break


def _row(line: JournalEntryLine) -> tuple[str, ...]:
    return (
        rfc3339(line.at_ms),
        line.entry_id,
        line.id.rpartition("#")[2],
        line.kind,
        line.account,
        line.currency.value,
        format_base_units(line.amount),
        str(line.amount),
        line.txid or "",
    )


def _written(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
