"""What one signing round works with, and the plan of each attempt: its fee and what stands in its way."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.wallet_manager.domain.books import Position, position_id
from services.wallet_manager.domain.fees import (
    MAX_ENERGY,
    MIN_TRANSFER_ENERGY,
    FeePlan,
    LimitTooLow,
    Prices,
    fee_limit,
    fee_plan,
    hold_for,
)
from services.wallet_manager.domain.meaning import CONTRACT_KINDS
from services.wallet_manager.domain.sends import Rule, Send
from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.service.guard import Desk, Objection
from services.wallet_manager.service.rules import SigningRules
from shared.models.tron_client import CallRequest, CallView, SigningContextView
from shared.models.wallet_sends import SendKind
from shared.money import Currency, format_base_units
from shared.tron import abi
from shared.tron.address import EVM_LENGTH, Address, address_from_bytes
from shared.tron.messages import calldata_of
from shared.tron.operation import ContractCall

MAX_CALLS: Final = 50
"""Constant calls in one request of tron-client; the longest that there are still fit into a body."""

Call = tuple[Address, Address, str]
"""Owner, contract and calldata in hex."""


class Simulator(Protocol):
    """Runs contract calls that change nothing: tron-client."""

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        """Run constant calls."""
        ...


@dataclass(slots=True, kw_only=True)
class Round:
    """What one signing round works with; positions change as sends are signed.

    Attributes:
        simulations: what the contract calls take, by send.
        lanes: sends under way in each lane, oldest first.
        predecessors: sends that others wait for, by send key.
        stamps: marks that are taken, by owner: first marks that were, and those of this round.
        looks_up_stamps: whether the marks after those are looked up; without it, the database refuses
            a round that uses one again.
    """

    now_ms: int
    context: SigningContextView
    prices: Prices
    wallets: dict[str, Wallet]
    simulations: Mapping[str, CallView]
    positions: dict[str, Position]
    lanes: Mapping[str, Sequence[Send]]
    predecessors: Mapping[str, Send]
    desks: list[Desk]
    stamps: set[tuple[Address, int]] = field(default_factory=set)
    looks_up_stamps: bool = False


class Planner:
    """Plans what attempts may cost, from simulations made just before they are signed."""

    def __init__(self, *, chain: Simulator, rules: SigningRules) -> None:
        self._chain = chain
        self._rules = rules

    async def simulate(self, sends: Sequence[Send]) -> dict[str, CallView]:
        """Simulate what the calls of these sends take, all of them at once; answers by send.

        Approvals and other calls run with their own arguments. Of token transfers the dearest there is
        is simulated, once for each owner: it goes to an address that nobody ever paid, since a recipient
        may spend its balance before the block, so every fee limit has to cover that price (an attempt
        that runs out of energy costs its whole limit and pays nobody).
        """
        nobody = address_from_bytes(os.urandom(EVM_LENGTH))
        wanted = {send.id: _call_of(send, nobody) for send in sends if send.kind in CONTRACT_KINDS}
        calls = list(dict.fromkeys(wanted.values()))
        answers: list[CallView] = []
        for start in range(0, len(calls), MAX_CALLS):
            requests = [
                CallRequest(owner_address=owner, contract_address=contract, data=data)
                for owner, contract, data in calls[start : start + MAX_CALLS]
            ]
            answers += await self._chain.call_contracts(requests)
        found = dict(zip(calls, answers, strict=True))
        return {send_id: found[call] for send_id, call in wanted.items()}

    def plan(self, send: Send, round_: Round, *, signatures: int = 1) -> FeePlan | Objection:
        """Return what an attempt may cost, or why it is not to be signed now."""
        limit_sun = 0
        if send.kind in CONTRACT_KINDS:
            limit = self._fee_limit(send, round_)
            if isinstance(limit, Objection):
                return limit
            limit_sun = limit
        plan = fee_plan(send, fee_limit_sun=limit_sun, prices=round_.prices, signatures=signatures)
        return _obstacle(send, plan, round_) or plan

    def _fee_limit(self, send: Send, round_: Round) -> int | Objection:
        simulation = round_.simulations[send.id]
        currency = position_id(send.owner, Currency.USDT)
        is_transfer = send.kind is SendKind.TRC20_TRANSFER
        is_short = is_transfer and round_.positions[currency].available < send.amount
        if simulation.reverted and not is_short:
            told = simulation.revert_reason or "no reason given"
            return Objection(rule="simulation", detail=f"the contract would revert: {told}")
        least = MIN_TRANSFER_ENERGY if is_transfer else 1
        if not simulation.reverted and not least <= simulation.energy_used <= MAX_ENERGY:
            told = f"a simulation that says {simulation.energy_used} energy is not believed"
            return Objection(rule="simulation", detail=told)
        try:
            return fee_limit(
                simulation.energy_used,
                margin_percent=self._rules.margin_percent,
                prices=round_.prices,
            )
        except LimitTooLow as error:
            return Objection(rule=Rule.FEE_CEILING, detail=str(error))


def _call_of(send: Send, nobody: Address) -> Call:
    operation = send.operation()
    if not isinstance(operation, ContractCall):
        raise TypeError(f"{send.id} runs no contract")
    data = calldata_of(operation)
    if send.kind is SendKind.TRC20_TRANSFER:
        data = abi.encode_transfer(nobody, 1)
    return operation.owner, operation.contract, data.hex()


def _obstacle(send: Send, plan: FeePlan, round_: Round) -> Objection | None:
    if plan.worst_sun > send.max_fee_sun:
        told = f"a fee of up to {plan.worst_sun} sun is above the ceiling of {send.max_fee_sun} sun"
        return Objection(rule=Rule.FEE_CEILING, detail=told)
    hold = hold_for(send, plan)
    for currency in Currency:
        available = round_.positions[position_id(send.owner, currency)].available
        if hold.of(currency) > max(available, 0):  # what takes nothing of it needs none
            told = (
                f"insufficient funds: {format_base_units(hold.of(currency))} {currency} needed,"
                f" {format_base_units(max(available, 0))} {currency} available"
            )
            return Objection(rule="funds", detail=told)
    objections = (desk.objection(send, hold) for desk in round_.desks)
    return next((one for one in objections if one is not None), None)
