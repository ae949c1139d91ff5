"""usdt-manager's use cases."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from services.usdt_manager.domain import (
    FeePolicy,
    Needs,
    NotUsdt,
    Simulation,
    Standing,
    Token,
    WrongToken,
    judge,
)
from services.usdt_manager.store import UsdtStore
from shared.clock import Clock
from shared.errors import Forbidden, Unavailable
from shared.models.tron_client import CallRequest, CallView, SigningContextView
from shared.models.usdt_manager import PreflightRequest
from shared.models.wallet_sends import Intent, SendKind, SendResult
from shared.money import DECIMALS, MicroUsdt
from shared.tron import abi
from shared.tron.address import EVM_LENGTH, Address, address_from_bytes

T = TypeVar("T")

CALLS_AT_ONCE: Final = 99
MAX_KNOWN: Final = 20_000


class Chain(Protocol):
    """Reads the chain: tron-client."""

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        """Run constant calls."""
        ...

    async def signing_context(self) -> SigningContextView:
        """Return the prices of now."""
        ...


class Sender(Protocol):
    """Takes on intents: wallet-manager."""

    async def send(self, intents: Sequence[Intent]) -> list[SendResult]:
        """Hand intents over."""
        ...


class UsdtManager:
    """Answers for USDT on one network."""

    def __init__(
        self,
        *,
        store: UsdtStore,
        chain: Chain,
        sender: Sender,
        clock: Clock,
        contract: Address,
        policy: FeePolicy,
        standing_kept_ms: int,
    ) -> None:
        self._store = store
        self._chain = chain
        self._sender = sender
        self._clock = clock
        self._policy = policy
        self._standing_kept_ms = standing_kept_ms
        self._known: dict[Address, Standing] = {}
        self.contract = contract

    async def check_token(self) -> bool:
        """Ask the contract what it is and whether it is paused; raises WrongToken.

        Never more work at once: always returns False.
        """
        answers = await self._call(
            self.contract, [abi.encode_symbol(), abi.encode_decimals(), abi.encode_paused()]
        )
        symbol, decimals, paused = answers
        found = Token(
            id=self.contract,
            symbol=_read(abi.decode_string, symbol),
            decimals=_read(abi.decode_uint256, decimals),
            paused=_read(abi.decode_bool, paused),
            checked_at_ms=self._clock.now_ms(),
        )
        if found.decimals != DECIMALS:
            raise WrongToken(f"{self.contract} has {found.decimals} decimals, not {DECIMALS}")
        known = await self._store.token(self.contract)
        await self._store.save_token(replace(found, version=known.version if known else 0))
        return False

    async def token(self) -> Token:
        """Return the token as last checked; raises Unavailable before the first check."""
        token = await self._store.token(self.contract)
        if token is None:
            raise Unavailable("the USDT contract has not been checked yet", retry_after_s=5)
        return token

    async def balance(self, address: Address) -> MicroUsdt:
        """Return what the contract says an address holds, at the node's head."""
        (answer,) = await self._call(address, [abi.encode_balance_of(address)])
        return MicroUsdt(_read(abi.decode_uint256, answer))

    async def preflight(self, request: PreflightRequest) -> tuple[MicroUsdt, list[Needs]]:
        """Say what each transfer needs at most and what speaks against it.

        One transfer is simulated for all, the dearest there is; the black list is asked about each
        recipient that it was not asked about lately.

        Returns:
            The owner's balance and the needs in the order of the transfers.
        """
        token = await self.token()
        context = await self._chain.signing_context()
        owner = request.owner_address
        balance_call, simulation = await self._call(
            owner,
            [
                abi.encode_balance_of(owner),
                abi.encode_transfer(address_from_bytes(os.urandom(EVM_LENGTH)), 1),
            ],
        )
        standings = await self._standings(
            owner, [owner, *(transfer.recipient for transfer in request.transfers)]
        )
        needs = [
            judge(
                Simulation(
                    energy=simulation.energy_used,
                    reverted=simulation.reverted,
                    revert_reason=simulation.revert_reason,
                ),
                paused=token.paused,
                sender_blacklisted=standings[owner].blacklisted,
                recipient_blacklisted=standings[transfer.recipient].blacklisted,
                energy_fee_sun=context.parameters.energy_fee_sun,
                policy=self._policy,
            )
            for transfer in request.transfers
        ]
        return MicroUsdt(_read(abi.decode_uint256, balance_call)), needs

    async def transfer(self, intents: Sequence[Intent], *, caller: str | None) -> list[SendResult]:
        """Hand a service's own intents on to wallet-manager.

        Raises:
            NotUsdt: an intent is anything else than a USDT transfer.
            Forbidden: an intent claims to come from another service than the caller.
        """
        for intent in intents:
            if intent.origin.service != caller:
                raise Forbidden(
                    "intents are taken from the service they originate from", rule="origin"
                )
            if intent.kind is not SendKind.TRC20_TRANSFER:
                raise NotUsdt(f"{intent.send_key} is no token transfer", send_key=intent.send_key)
            if intent.params.contract_address != self.contract:
                raise NotUsdt(f"{intent.send_key} names another contract", send_key=intent.send_key)
        return await self._sender.send(intents)

    async def _standings(
        self, owner: Address, addresses: Sequence[Address]
    ) -> dict[Address, Standing]:
        """Return what the black list says, asking about the owner and those not asked about lately."""
        now_ms = self._clock.now_ms()
        since_ms = now_ms - self._standing_kept_ms
        known = {
            address: standing
            for address in addresses
            if address != owner
            and (standing := self._known.get(address))
            and not standing.blacklisted
            and standing.asked_at_ms >= since_ms
        }
        asked = [address for address in dict.fromkeys(addresses) if address not in known]
        answers = await self._call(owner, [abi.encode_is_black_listed(one) for one in asked])
        for address, answer in zip(asked, answers, strict=True):
            listed = _read(abi.decode_bool, answer)
            known[address] = Standing(blacklisted=listed, asked_at_ms=now_ms)
            self._known.pop(address, None)
            self._known[address] = known[address]
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return known

    async def _call(self, owner: Address, data: Sequence[bytes]) -> list[CallView]:
        calls = [
            CallRequest(owner_address=owner, contract_address=self.contract, data=one.hex())
            for one in data
        ]
        answers: list[CallView] = []
        for start in range(0, len(calls), CALLS_AT_ONCE):
            answers += await self._chain.call_contracts(calls[start : start + CALLS_AT_ONCE])
        return answers


def _read(decode: Callable[[bytes], T], answer: CallView) -> T:
    try:
        return decode(bytes.fromhex(answer.result))
    except abi.InvalidAbi as error:
        raise WrongToken(f"the USDT contract's answer cannot be read: {error}") from None
