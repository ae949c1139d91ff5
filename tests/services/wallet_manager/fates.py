"""A chain and tron-client whose every transaction meets the fate that a test gives it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from services.wallet_manager.domain.sends import Send
from shared.clock import HeldClock
from shared.models.tron_client import TransferView
from shared.models.tron_transactions import (
    OutgoingView,
    SignedTransaction,
    StoredTransactionsView,
    StoredTransactionView,
    SubmittedView,
    TransactionState,
    TransactionView,
)
from shared.models.wallet_sends import SendKind
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.storage import SqliteStorage
from shared.tron.address import Address
from shared.tron.decoding import decode_raw_data
from shared.tron.operation import TransferTrc20, TransferTrx
from tests.services.wallet_manager.till import (
    TRX,
    Chain,
    Till,
    fate,
    stored_view,
    transfer,
    txid_of,
)

WORST_FEES_SUN = {SendKind.TRC20_TRANSFER: 8 * TRX, SendKind.TRX_TRANSFER: 1_400_000}
"""What the chain takes of each kind: never more than was held for it."""

NEVER = 1_000_000


class ClockThatJumps(HeldClock):
    """The machine's own clock: that of the chain, and off it by what a test sets (hazard H2)."""

    def __init__(self, chain: HeldClock) -> None:
        super().__init__(0)
        self._chain = chain
        self.off_ms = 0

    def now_ms(self) -> int:
        return self._chain.now_ms() + self.off_ms


class Crash(BaseException):
    """The process ended here."""


class StorageThatDies:
    """Passes calls on until its fuse is burnt; then the process is gone, before or after a write.

    Attributes:
        committed: how often something was stored.
        then: what is done right after each time, before anything else happens.
    """

    def __init__(self, inner: SqliteStorage) -> None:
        self._inner = inner
        self.calls_left = NEVER
        self.after_the_write = False
        self.committed = 0
        self.then: Callable[[int], Awaitable[None]] | None = None

    @property
    def incarnation(self) -> str:
        return self._inner.incarnation

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        async def mortal(*given: Any, **named: Any) -> Any:
            if self.calls_left <= 0:
                raise Crash
            self.calls_left -= 1
            if self.calls_left == 0 and not self.after_the_write:
                raise Crash
            result = await call(*given, **named)
            if name == "commit":
                self.committed += 1
                if self.then is not None:
                    await self.then(self.committed)
            if self.calls_left == 0:
                raise Crash
            return result

        return mortal


@dataclass(slots=True)
class OnChain:
    """A transaction as the chain and tron-client have it; its state is the word of so many operators."""

    send: Send
    given: SignedTransaction
    state: TransactionState = TransactionState.PENDING
    height: int = 0
    is_forgotten: bool = False
    borne_by: int = 2

    def view(self) -> StoredTransactionView:
        """Return what tron-client remembers of it."""
        fee_sun = WORST_FEES_SUN[self.send.kind]
        txid = txid_of(self.given)
        height = self.height or 120
        told = fate(
            self.send,
            self.state,
            txid=txid,
            fee_sun=fee_sun,
            height=height,
            operators=self.borne_by,
        )
        return stored_view(
            self.given,
            state=told.state,
            block=told.block,
            receipt=told.receipt,
            operators=told.operators,
        )


class ChainWithAFate(Chain):
    """Plays tron-client and the chain behind it: what arrives is moved on by the machine's rules.

    Attributes:
        mood: what happens to the next submission.
        known: every transaction that ever arrived, whatever tron-client forgot of it since.
        verdicts: its feed of transactions; ``transfers`` the one of transfers.
        operators: how many bear a verdict out.
        is_held_back: True while somebody told tron-client to bring nothing to the chain.
        paid: how often money moved for each send key.
        balances: what the chain says the treasury has.
    """

    def __init__(self, clock: HeldClock) -> None:
        super().__init__(clock)
        self.mood = "taken"
        self.known: dict[str, OnChain] = {}
        self.is_held_back = False
        self.operators = 2
        self.told: list[TransactionView] = []
        self.transfers: list[TransferView] = []
        self.paid: dict[str, int] = {}
        self.balances = dict.fromkeys(Currency, 0)
        self.till: Till | None = None
        self.incarnation = 0
        self.solid_height = 200

    async def stored_transactions(
        self, owner: Address, *, cursor: str | None, limit: int
    ) -> StoredTransactionsView:
        assert cursor is None
        found = [
            one.view()
            for one in self.known.values()
            if one.send.owner == owner and not one.is_forgotten
        ]
        assert len(found) <= limit
        return StoredTransactionsView(transactions=found)

    async def outgoing(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingView:
        self.on_chain = []
        for one in self.known.values():
            if one.state in {TransactionState.CONFIRMED, TransactionState.FAILED}:
                paid = one.state is TransactionState.CONFIRMED
                self.lands(one.given, height=one.height, succeeded=paid)
        return await super().outgoing(owners, first_height=first_height, last_height=last_height)

    def forgets(self) -> None:
        """Set tron-client back to before all transactions; it begins to tell anew."""
        self.told = []
        self.incarnation += 1
        for one in self.known.values():
            one.is_forgotten = True

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        mood, self.mood = self.mood, "taken"
        if mood == "dropped":
            raise PeerUnavailable("tron-client did not hear of it")
        if mood == "died before":
            raise Crash
        assert self.till is not None
        for one in transactions:
            send = (await self.till.store.sends_by_key([one.send_key]))[one.send_key]
            self._check(send, one)
            assert not self.is_held_back or txid_of(one) in self.known, "handed over under a stop"
            known = self.known.setdefault(txid_of(one), OnChain(send, one))
            if known.is_forgotten:
                known.is_forgotten = False
                self._tell(txid_of(one), known.state)
        if mood == "lost":
            raise PeerUnavailable("the reply was lost")
        if mood == "died after":
            raise Crash
        return await super().submit(transactions)

    def _check(self, send: Send, given: SignedTransaction) -> None:
        operation = decode_raw_data(bytes.fromhex(given.raw_data)).operation
        assert isinstance(operation, TransferTrc20 | TransferTrx)
        assert operation == send.operation()

    def moves(self, txid: str, end: str) -> None:
        """Take a transaction one step towards an end, if it can go there now."""
        one = self.known[txid]
        over = self.clock.now_ms() > one.given.expires_at_ms
        match one.state, end:
            case TransactionState.PENDING, "lost" if over:
                self._tell(txid, TransactionState.EXPIRED)
            case TransactionState.PENDING, "paid" | "failed" | "forked" if not over:
                self._tell(txid, TransactionState.INCLUDED)
            case TransactionState.INCLUDED, "forked":
                self._tell(txid, TransactionState.PENDING)
            case TransactionState.INCLUDED, "paid" | "failed":
                self.settles(txid, executed=end == "paid")
            case _:
                pass

    def settles(self, txid: str, *, executed: bool) -> None:
        send = self.known[txid].send
        if executed:
            self.paid[send.send_key] = self.paid.get(send.send_key, 0) + 1
            token = send.kind is SendKind.TRC20_TRANSFER
            currency = Currency.USDT if token else Currency.TRX
            self.balances[currency] -= send.amount
            assert send.recipient is not None
            self.transfers.append(
                transfer(
                    send.amount,
                    currency,
                    sender=send.owner,
                    recipient=send.recipient,
                    txid=txid,
                )
            )
        self.balances[Currency.TRX] -= WORST_FEES_SUN[send.kind]
        self._tell(txid, TransactionState.CONFIRMED if executed else TransactionState.FAILED)
        assert min(self.balances.values()) >= 0, "the holds did not cover what was taken"

    def makes_solid(self) -> None:
        """Settle what is in a block: the solid head comes past every block in minutes."""
        for txid, one in self.known.items():
            if one.state is TransactionState.INCLUDED:
                self.settles(txid, executed=True)

    def _tell(self, txid: str, state: TransactionState) -> None:
        one = self.known[txid]
        if one.state is not state:
            self.solid_height += 1
            one.state, one.height = state, self.solid_height
            one.borne_by = self.operators
        if one.is_forgotten:
            return
        fee_sun = WORST_FEES_SUN[one.send.kind]
        told = fate(one.send, state, txid=txid, fee_sun=fee_sun, operators=one.borne_by)
        self.told.append(told)
