"""What a wallet holds: on chain, as a node tells it at its head, beside what the books say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.wallet_manager.domain.books import (
    Position,
    accounts_of,
    position_id,
    staked,
    unfreezing,
)
from services.wallet_manager.store import WalletStore
from shared.clock import MS_PER_S, Clock
from shared.models.tron_client import AccountView, CallRequest, CallView, SigningContextView
from shared.models.wire import BlockRef
from shared.money import Currency
from shared.tron import abi
from shared.tron.address import Address


class Chain(Protocol):
    """Says what there is: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return the head, among others."""
        ...

    async def account(self, address: Address) -> AccountView:
        """Return an account at the head."""
        ...

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        """Run constant calls at the head."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a node told of an address at its head; shown to people and never spent by.

    Attributes:
        account: resources, stakes and votes.
        amounts: in base units, by account of the journal and currency; a balance of USDT that the
            contract did not give is left out.
        head: the block that was the head when asking ended.
        age_s: how old that block is.
    """

    account: AccountView
    amounts: Mapping[tuple[str, Currency], int]
    head: BlockRef
    age_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Both sides of an address."""

    address: Address
    told: Told
    positions: Mapping[str, Position]

    def lines(self) -> list[tuple[Position, int | None]]:
        """Return each account of the journal with what the chain has of it, None where that is unknown."""
        accounts = accounts_of(self.address)
        return [
            (self.positions[position_id(*account)], self.told.amounts.get(account))
            for account in accounts
        ]


class Beholder:
    """Looks at addresses on chain.

    Args:
        usdt_contract: the token that is USDT.
    """

    def __init__(
        self, *, store: WalletStore, chain: Chain, clock: Clock, usdt_contract: Address
    ) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._usdt = usdt_contract

    async def look(self, address: Address) -> Holdings:
        """Return what an address holds; raises Unavailable when tron-client cannot tell."""
        account = await self._chain.account(address)
        (token,) = await self._chain.call_contracts([balance_call(address, usdt=self._usdt)])
        head = (await self._chain.signing_context()).head
        amounts = amounts_of(account)
        if not token.reverted:
            amounts[address, Currency.USDT] = int(token.result or "0", 16)
        age_ms = max(0, self._clock.now_ms() - head.timestamp_ms)
        return Holdings(
            address=address,
            told=Told(account=account, amounts=amounts, head=head, age_s=age_ms // MS_PER_S),
            positions=await self._store.positions(accounts_of(address)),
        )


def balance_call(owner: Address, *, usdt: Address) -> CallRequest:
    """Return the call that asks USDT for a balance."""
    return CallRequest(
        owner_address=owner, contract_address=usdt, data=abi.encode_balance_of(owner).hex()
    )


def amounts_of(account: AccountView) -> dict[tuple[str, Currency], int]:
    """Return the TRX of an account in sun, by account of the journal: free, staked, on its way back."""
    owner = account.address
    frozen = (*account.frozen, *account.delegated)
    return {
        (owner, Currency.TRX): int(account.balance_sun),
        (staked(owner), Currency.TRX): sum(int(one.amount_sun) for one in frozen),
        (unfreezing(owner), Currency.TRX): sum(int(one.amount_sun) for one in account.unfreezing),
    }
