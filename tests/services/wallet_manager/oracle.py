"""What the caps allow, judged from signed transactions alone: nothing of the implementation's own sums.

When a transaction was signed is read from its bytes: its expiration less the lifetime that all have.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from services.wallet_manager.domain.rulebook import Caps
from services.wallet_manager.domain.sends import Send
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_sends import SendKind
from shared.money import Currency
from tests.services.wallet_manager.fates import WORST_FEES_SUN, OnChain
from tests.services.wallet_manager.till import LIFETIME_MS

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

Spent = tuple[int, int]
"""When it was signed, and how much."""


def currency_of(send: Send) -> Currency:
    return Currency.USDT if send.kind is SendKind.TRC20_TRANSFER else Currency.TRX


def most_in_a_window(spent: Iterable[Spent], length_ms: int) -> int:
    """Return the largest sum of any stretch of so many milliseconds."""
    in_order = sorted(spent)
    most = total = first = 0
    for at_ms, amount in in_order:
        total += amount
        while in_order[first][0] <= at_ms - length_ms:
            total -= in_order[first][1]
            first += 1
        most = max(most, total)
    return most


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Knows the caps of the one wallet that pays.

    Attributes:
        caps: by currency.
        fees_per_hour_sun: the cap on fees.
    """

    caps: Mapping[Currency, Caps]
    fees_per_hour_sun: int

    def check(self, known: Iterable[OnChain]) -> None:
        """Fail if what is on chain, or may still get there, passes any cap."""
        value: dict[Currency, list[Spent]] = defaultdict(list)
        to_one: dict[tuple[Currency, str], list[Spent]] = defaultdict(list)
        fees: list[Spent] = []
        for one in known:
            signed_ms = one.given.expires_at_ms - LIFETIME_MS
            if one.state is TransactionState.EXPIRED:
                continue
            fees.append((signed_ms, WORST_FEES_SUN[one.send.kind]))
            if one.state is not TransactionState.FAILED:
                currency = currency_of(one.send)
                value[currency].append((signed_ms, one.send.amount))
                to_one[currency, str(one.send.recipient)].append((signed_ms, one.send.amount))
        assert most_in_a_window(fees, HOUR_MS) <= self.fees_per_hour_sun, "cap on fees passed"
        for currency, spent in value.items():
            caps = self.caps[currency]
            assert max(amount for _, amount in spent) <= caps.per_send, "cap on one send passed"
            assert most_in_a_window(spent, HOUR_MS) <= caps.per_hour, "cap of the hour passed"
            assert most_in_a_window(spent, DAY_MS) <= caps.per_day, "cap of the day passed"
        for (currency, _), spent in to_one.items():
            limit = self.caps[currency].per_destination
            assert most_in_a_window(spent, DAY_MS) <= limit, "cap on a destination passed"

    def check_unproved(self, again: Mapping[Currency, Iterable[Spent]]) -> None:
        """Fail if new attempts on one operator's word pass their cap."""
        for currency, spent in again.items():
            limit = self.caps[currency].unproved_per_day
            assert most_in_a_window(spent, DAY_MS) <= limit, "cap on unproved attempts passed"
