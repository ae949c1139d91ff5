"""The books: what each address holds and has set aside, and the journal of why.

A journal entry is a handful of lines that add up to zero in every currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.wallet_manager.domain.sends import Attempt, Send
from shared.models.tron_client import TransferView
from shared.models.tron_transactions import LogView, ReceiptView
from shared.models.wallet_sends import SendKind, SendState
from shared.money import Currency
from shared.tron.address import Address

CHAIN: Final = "chain"
"""The account that stands for everybody else."""

FEES: Final = "fees"
"""The account that stands for what the chain burned."""


DEPOSIT: Final = "deposit"
"""Money that somebody else sent."""

INTERNAL: Final = "internal"
"""Money that a send of ours brought to an address of ours; never a deposit (hazard H12)."""

UNEXPLAINED: Final = "unexplained_outflow"
"""Money that left without an order."""

CORRECTED: Final = "corrected"
"""What a person knows the chain to have more or less than the books."""

UNCLAIMED_KIND: Final = "unclaimed"
"""What moved by a transaction of ours whose record was lost, until it is known which send it was."""


_PAID_IN: Final = {
    SendKind.TRX_TRANSFER: Currency.TRX,
    SendKind.TRC20_TRANSFER: Currency.USDT,
}
"""What the kinds pay in whose settlement books what left."""


class Overdrawn(Exception):
    """A position would hold less than it has set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What one address holds of one currency by our own journal, at the solid height it has come to.

    Attributes:
        id: ``account:currency``; the account is the address, or ``staked:`` or ``unfreezing:`` before it.
        settled: booked, in base units.
        held: set aside for attempts without a verdict.
        short: what a node has less than it should; not spent until that is explained (hazard H15).
    """

    id: str
    version: int = 0
    address: Address
    currency: Currency
    settled: int = 0
    held: int = 0
    short: int = 0

    @property
    def account(self) -> str:
        """The account of the journal that it sums up."""
        return self.id.rpartition(":")[0]

    @property
    def available(self) -> int:
        """What a new send may take."""
        return self.settled - self.held - self.short

    def told(self, amount: int) -> "Position":
        """Return it after a node said what there is: it lowers what may be spent, and never raises it."""
        return replace(self, short=max(0, self.settled - self.held - amount))

    def hold(self, amount: int) -> "Position":
        """Set an amount aside; raises Overdrawn if it is not there."""
        if amount > self.available:
            raise Overdrawn(f"{self.id}: {amount} is more than {self.available}")
        return replace(self, held=self.held + amount)

    def reserve(self, amount: int) -> "Position":
        """Set an amount aside for what left already, whether it is there or not."""
        return replace(self, held=self.held + amount)

    def release(self, amount: int) -> "Position":
        """Give a hold back."""
        if amount > self.held:
            raise Overdrawn(f"{self.id}: {amount} was never held")
        return replace(self, held=self.held - amount)

    def book(self, amount: int) -> "Position":
        """Add a signed amount to what is settled."""
        return replace(self, settled=self.settled + amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A position that is not what its journal and its sends say.

    Attributes:
        position: as it is stored.
        settled: what the journal adds up to.
        held: what the sends under way set aside.
    """

    position: Position
    settled: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """How many positions were computed again, and which are wrong."""

    positions: int
    wrong: tuple[Wrong, ...]


def position_id(account: str, currency: Currency) -> str:
    """Name the position of an account in a currency."""
    return f"{account}:{currency}"


def empty_position(account: str, currency: Currency) -> Position:
    """Return the position of an account that never held the currency."""
    owner = Address(account.rpartition(":")[2])
    return Position(id=position_id(account, currency), address=owner, currency=currency)


def staked(owner: Address) -> str:
    """Name the account of what an address has staked."""
    return f"staked:{owner}"


def unfreezing(owner: Address) -> str:
    """Name the account of what an address is taking out of staking."""
    return f"unfreezing:{owner}"


def accounts_of(owner: Address) -> tuple[tuple[str, Currency], ...]:
    """Return every account of an address that has a position."""
    return (
        (owner, Currency.TRX),
        (owner, Currency.USDT),
        (staked(owner), Currency.TRX),
        (unfreezing(owner), Currency.TRX),
    )


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


def order_at(at_ms: int) -> str:
    """Return what the order of every line of a moment begins with, and of none before it is above."""
    return f"{at_ms:015d}"


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
            order=f"{order_at(at_ms)}:{entry_id}#{number}",
            at_ms=at_ms,
            kind=kind,
            account=posting.account,
            currency=posting.currency,
            amount=posting.amount,
            txid=txid,
        )
        for number, posting in enumerate(postings)
    )


def moved(owner: str, counter: str, currency: Currency, amount: int) -> tuple[Posting, Posting]:
    """Return the postings that take an amount from an account to another."""
    return (
        Posting(account=owner, currency=currency, amount=-amount),
        Posting(account=counter, currency=currency, amount=amount),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stirred:
    """What a receipt says that staking operations moved, in sun.

    Attributes:
        claimed_sun: rewards that came in.
        withdrawn_sun: what came back from unfreezing; an unfreeze takes it along, too.
        restaked_sun: what was on its way out and is staked again.
    """

    claimed_sun: int = 0
    withdrawn_sun: int = 0
    restaked_sun: int = 0


def stirred_by(receipt: ReceiptView) -> Stirred:
    """Return what a receipt says that staking operations moved."""
    return Stirred(
        claimed_sun=int(receipt.claimed_sun),
        withdrawn_sun=int(receipt.withdrawn_sun),
        restaked_sun=int(receipt.restaked_sun),
    )


def settlement(
    send: Send,
    *,
    executed: bool,
    fee_sun: int,
    transfers: Sequence[LogView] = (),
    stirred: Stirred = Stirred(),
) -> tuple[Posting, ...]:
    """Return what a solid transaction of this send booked: the fee always, the rest if executed.

    Of a token it is what the receipt's logs say left the owner, whatever was meant (hazard H10), and
    of a stake what the receipt says came back.
    """
    postings: tuple[Posting, ...] = ()
    if fee_sun:
        postings += moved(send.owner, FEES, Currency.TRX, fee_sun)
    if not executed:
        return postings
    if send.kind is SendKind.TRC20_TRANSFER:
        left = sum(
            int(log.amount_base_units)
            for log in transfers
            if (log.sender, log.contract_address) == (send.owner, send.contract)
        )
        return postings + (moved(send.owner, CHAIN, Currency.USDT, left) if left else ())
    return postings + _sun_moved(send, stirred)


def is_settled_with(send: Send, attempt: Attempt, transfer: TransferView) -> bool:
    """True when the verdict on an attempt books what a transfer of it took, as ``settlement`` does.

    A call takes what it was allowed to, from anybody who allowed it; and an attempt that was proved
    absent has no verdict of its own when it comes back, unless it is the last one of a send that goes on.
    """
    if attempt.number != send.attempt or send.state is SendState.EXPIRED:
        return False
    return transfer.sender == send.owner and transfer.currency is _PAID_IN.get(send.kind)


def _sun_moved(send: Send, stirred: Stirred) -> tuple[Posting, ...]:
    owner, stake, thaw = send.owner, staked(send.owner), unfreezing(send.owner)
    flows: list[tuple[str, str, int]] = []
    match send.kind:
        case SendKind.TRX_TRANSFER:
            flows = [(owner, CHAIN, send.amount)]
        case SendKind.FREEZE_BALANCE:
            flows = [(owner, stake, send.amount)]
        case SendKind.UNFREEZE_BALANCE:
            flows = [(stake, thaw, send.amount), (thaw, owner, stirred.withdrawn_sun)]
        case SendKind.CANCEL_UNFREEZE:
            flows = [(thaw, stake, stirred.restaked_sun), (thaw, owner, stirred.withdrawn_sun)]
        case SendKind.WITHDRAW_UNFROZEN:
            flows = [(thaw, owner, stirred.withdrawn_sun)]
        case SendKind.CLAIM_REWARDS:
            flows = [(CHAIN, owner, stirred.claimed_sun)]
        case _:
            pass
    return tuple(
        posting
        for source, target, amount in flows
        if amount
        for posting in moved(source, target, Currency.TRX, amount)
    )
