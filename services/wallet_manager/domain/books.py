"""The books: what each address holds and has set aside, and the journal of why.

A journal entry is a handful of lines that add up to zero in every currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.wallet_manager.domain.sends import Hold, Send
from shared.models.tron_client import LogView
from shared.models.wallet_manager import SendKind
from shared.money import Currency
from shared.tron.address import Address

CHAIN: Final = "chain"
"""The account that stands for everybody else."""

FEES: Final = "fees"
"""The account that stands for what the chain burned."""


class Overdrawn(Exception):
    """A position would hold less than it has set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What one address holds of one currency by our own journal, at the solid height it has come to.

    Attributes:
        id: ``address:currency``.
        settled: booked, in base units.
        held: set aside for attempts without a verdict.
    """

    id: str
    version: int = 0
    address: Address
    currency: Currency
    settled: int = 0
    held: int = 0

    @property
    def available(self) -> int:
        """What a new send may take."""
        return self.settled - self.held

    def hold(self, amount: int) -> "Position":
        """Set an amount aside; raises Overdrawn if it is not there."""
        if amount > self.available:
            raise Overdrawn(f"{self.id}: {amount} is more than {self.available}")
        return replace(self, held=self.held + amount)

    def release(self, amount: int) -> "Position":
        """Give a hold back."""
        if amount > self.held:
            raise Overdrawn(f"{self.id}: {amount} was never held")
        return replace(self, held=self.held - amount)

    def book(self, amount: int) -> "Position":
        """Add a signed amount to what is settled."""
        return replace(self, settled=self.settled + amount)


def position_id(address: Address, currency: Currency) -> str:
    """Name the position of an address in a currency."""
    return f"{address}:{currency}"


def empty_position(address: Address, currency: Currency) -> Position:
    """Return the position of an address that never held the currency."""
    return Position(id=position_id(address, currency), address=address, currency=currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A signed amount on one account."""

    account: str
    currency: Currency
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntryLine:
    """One line of the journal as stored; its id derives from what it books, so it is booked once.

    Attributes:
        id: entry and number of the line.
        entry_id: what the entry is about.
        order: time-ordered text, for listing an account newest first.
    """

    id: str
    version: int = 0
    entry_id: str
    order: str
    at_ms: int
    kind: str
    account: str
    currency: Currency
    amount: int
    txid: str | None


def entry(
    entry_id: str, postings: Sequence[Posting], *, kind: str, at_ms: int, txid: str | None
) -> tuple[JournalEntryLine, ...]:
    """Make the lines of an entry; raises ValueError unless they balance in every currency."""
    for currency in Currency:
        if sum(posting.amount for posting in postings if posting.currency is currency):
            raise ValueError(f"{entry_id} does not balance in {currency}")
    return tuple(
        JournalEntryLine(
            id=f"{entry_id}#{number}",
            entry_id=entry_id,
            order=f"{at_ms:015d}:{entry_id}#{number}",
            at_ms=at_ms,
            kind=kind,
            account=posting.account,
            currency=posting.currency,
            amount=posting.amount,
            txid=txid,
        )
        for number, posting in enumerate(postings)
    )


def moved(owner: Address, counter: str, currency: Currency, amount: int) -> tuple[Posting, Posting]:
    """Return the postings that take an amount from an address to a counter-account."""
    return (
        Posting(account=owner, currency=currency, amount=-amount),
        Posting(account=counter, currency=currency, amount=amount),
    )


def settlement(
    send: Send, *, executed: bool, fee_sun: int, transfers: Sequence[LogView] = ()
) -> tuple[Posting, ...]:
    """Return what a solid transaction of this send booked: the fee always, the rest if executed.

    Of a token it is what the receipt's logs say left the owner, whatever was meant (hazard H10).
    """
    postings: tuple[Posting, ...] = ()
    if fee_sun:
        postings += moved(send.owner, FEES, Currency.TRX, fee_sun)
    if not executed:
        return postings
    match send.kind:
        case SendKind.TRX_TRANSFER:
            return postings + moved(send.owner, CHAIN, Currency.TRX, send.amount)
        case SendKind.TRC20_TRANSFER:
            left = sum(
                int(log.amount_base_units)
                for log in transfers
                if (log.sender, log.contract_address) == (send.owner, send.contract)
            )
            return postings + (moved(send.owner, CHAIN, Currency.USDT, left) if left else ())
        case SendKind.FREEZE_BALANCE:
            return postings + moved(send.owner, f"staked:{send.owner}", Currency.TRX, send.amount)
        case SendKind.UNFREEZE_BALANCE:
            staked, thawing = f"staked:{send.owner}", f"unfreezing:{send.owner}"
            return (
                *postings,
                Posting(account=staked, currency=Currency.TRX, amount=-send.amount),
                Posting(account=thawing, currency=Currency.TRX, amount=send.amount),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the chain charges, in sun."""

    energy_fee_sun: int
    bandwidth_fee_sun: int
    activation_fee_sun: int
    activation_bandwidth_fee_sun: int
    max_fee_limit_sun: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePlan:
    """What an attempt may cost.

    Attributes:
        fee_limit_sun: for the contract call; covers the whole energy, staked or burned.
        worst_sun: fee limit, bandwidth at burn price and activation together.
    """

    fee_limit_sun: int
    worst_sun: int


WORST_SIZE_BYTES: Final = 400
"""More bandwidth than any transaction built here can take."""


def fee_plan(kind: SendKind, *, energy: int, margin_percent: int, prices: Prices) -> FeePlan:
    """Plan the fee of an attempt from a simulation of its energy."""
    bandwidth_sun = WORST_SIZE_BYTES * prices.bandwidth_fee_sun
    if kind is SendKind.TRC20_TRANSFER:
        with_margin = energy * prices.energy_fee_sun * (100 + margin_percent)
        fee_limit = min(-(-with_margin // 100), prices.max_fee_limit_sun)
        return FeePlan(fee_limit_sun=fee_limit, worst_sun=fee_limit + bandwidth_sun)
    activation_sun = 0
    if kind is SendKind.TRX_TRANSFER:
        activation_sun = prices.activation_fee_sun + prices.activation_bandwidth_fee_sun
    return FeePlan(fee_limit_sun=0, worst_sun=bandwidth_sun + activation_sun)


def hold_for(send: Send, plan: FeePlan) -> Hold:
    """Return the worst that an attempt of this send may take (hazard H15)."""
    match send.kind:
        case SendKind.TRC20_TRANSFER:
            return Hold(trx_sun=plan.worst_sun, usdt_micro=send.amount)
        case SendKind.TRX_TRANSFER | SendKind.FREEZE_BALANCE:
            return Hold(trx_sun=plan.worst_sun + send.amount)
        case SendKind.UNFREEZE_BALANCE:
            return Hold(trx_sun=plan.worst_sun)
