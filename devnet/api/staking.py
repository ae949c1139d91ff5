"""Stakes, loans of resources, votes and rewards: builders and queries."""

from __future__ import annotations

from typing import Any

from devnet import delegation, rewards, staking, witnesses
from devnet.accounts import UNFREEZE_MAX_COUNT, Account
from devnet.address import from_base58
from devnet.api.builders import Handler, builder_of
from devnet.api.request import Request
from devnet.api.view import View
from devnet.chain_pb2 import (
    BANDWIDTH,
    ENERGY,
    CancelAllUnfreezeV2Contract,
    DelegateResourceContract,
    FreezeBalanceV2Contract,
    UnDelegateResourceContract,
    UnfreezeBalanceV2Contract,
    VoteWitnessContract,
    WithdrawBalanceContract,
    WithdrawExpireUnfreezeContract,
)
from devnet.genesis import WITNESSES
from devnet.json_format import JavaError, printed_address
from devnet.json_format.scalars import decoded_hex, foreign_digit
from devnet.lending import Loan, Pair, borrowers, lenders
from devnet.maintenance import next_time_ms
from devnet.resources import SUN_PER_TRX

_HEX_PREFIX = "41"
_URLS = {key.address: f"http://{key.name}.devnet" for key in WITNESSES}


class InvalidAddressError(JavaError):
    """A text that is no address, printed without a Java class."""

    def __init__(self, reason: str) -> None:
        Exception.__init__(self, f"INVALID address, {reason}")


def delegate_resource(view: View, request: Request) -> Any:
    """Build a loan; of bandwidth, a builder leaves the owner what the loan's own bytes need."""
    message = request.message(DelegateResourceContract)
    owner = view.state.account(message.owner_address)
    if owner is not None and message.resource == BANDWIDTH:
        reserve = delegation.reserved_points(view.state, owner)
        delegation.check_available(view.state, message, view.moment, reserve_points=reserve)
    return _build_delegation(view, request)


_build_delegation = builder_of(DelegateResourceContract)


def get_delegated_resource(view: View, request: Request) -> Any:
    """What one account lends to another: without a lock, then with one."""
    asked = request.plain_address if request.is_get else request.address
    pair = Pair(lender=asked("fromAddress"), borrower=asked("toAddress"))
    ends = {
        "from": printed_address(pair.lender, visible=request.visible),
        "to": printed_address(pair.borrower, visible=request.visible),
    }
    loans = [pair.loan(view.state, locked=locked) for locked in (False, True)]
    shown = [{**ends, **_amounts(loan)} for loan in loans if loan is not None]
    return {"delegatedResource": shown} if shown else {}


def get_delegated_resource_account_index(view: View, request: Request) -> Any:
    """Who lends to an account, and to whom it lends."""
    asked = request.plain_address if request.is_get or request.visible else request.address
    address = asked("value")
    if not address:
        return {}
    lists = {
        "fromAccounts": lenders(view.state, address),
        "toAccounts": borrowers(view.state, address),
    }
    return {
        "account": printed_address(address, visible=request.visible),
        **{
            name: [printed_address(each, visible=request.visible) for each in others]
            for name, others in lists.items()
            if others
        },
    }


def get_first_delegated_resource(_view: View, _request: Request) -> Any:
    """What one account lends to another under the first stake rules: nothing on this chain."""
    return {}


def get_first_delegated_resource_account_index(_view: View, request: Request) -> Any:
    """The same for an account's lists, which are empty."""
    asked = request.plain_address if request.is_get or request.visible else request.address
    address = asked("value")
    return {"account": printed_address(address, visible=request.visible)} if address else {}


def get_can_delegated_max_size(view: View, request: Request) -> Any:
    """The stake that an account could lend now; less than 1 TRX is nothing."""
    owner = _owner(view, request)
    resource = request.integer("type") if request.is_get else request.number("type")
    if owner is None or resource not in {BANDWIDTH, ENERGY}:
        return {}
    reserve = delegation.reserved_points(view.state, owner)
    most_sun = delegation.available_sun(
        view.state, owner, resource, view.moment, reserve_points=reserve
    )
    return {"max_size": most_sun} if most_sun >= SUN_PER_TRX else {}


def get_available_unfreeze_count(view: View, request: Request) -> Any:
    """How many more unfreezings may wait."""
    name = "ownerAddress" if request.is_get and request.text("ownerAddress") else "owner_address"
    owner = _owner(view, request, name)
    if owner is None:
        return {}
    count = UNFREEZE_MAX_COUNT - staking.unfreezing_count(owner, view.moment)
    return {"count": count} if count else {}


def get_can_withdraw_unfreeze_amount(view: View, request: Request) -> Any:
    """The stake that may be withdrawn at a time, by default the head block's."""
    read = request.integer if request.is_get else request.number
    owner, time_ms = _owner(view, request), read("timestamp")
    if owner is None or time_ms < 0:
        return {}
    amount_sun = staking.matured_sun(owner, time_ms or view.moment.head_ms)
    return {"amount": amount_sun} if amount_sun else {}


def get_reward(view: View, request: Request) -> Any:
    """An account's rewards, settled or not."""
    address = _any_address(request)
    return {"reward": 0 if address is None else rewards.reward_sun(view.state, address)}


def get_brokerage(_view: View, request: Request) -> Any:
    """The percentage that a witness keeps; no witness here has chosen another."""
    address = _any_address(request)
    return {"brokerage": 0 if address is None else rewards.BROKERAGE_PERCENT}


def list_witnesses(view: View, request: Request) -> Any:
    """All witnesses by address, with the votes of the last maintenance."""
    counted = dict(zip(witnesses.turns(view.state), rewards.cycle(view.state).votes, strict=True))
    shown = []
    for address in sorted(counted):
        record = witnesses.witness(view.state, address)
        numbers = {
            "voteCount": counted[address],
            "totalProduced": record.produced,
            "totalMissed": record.missed,
            "latestBlockNum": record.latest_block,
            "latestSlotNum": record.latest_slot,
        }
        shown.append(
            {
                "address": printed_address(address, visible=request.visible_in_query),
                "url": _URLS[address],
                **{name: number for name, number in numbers.items() if number},
                "isJobs": True,
            }
        )
    return {"witnesses": shown}


def get_next_maintenance_time(view: View, _request: Request) -> Any:
    """When votes are counted next."""
    return {"num": next_time_ms(view.state)}


def _owner(view: View, request: Request, name: str = "owner_address") -> Account | None:
    asked = request.plain_address if request.is_get else request.address
    return view.state.account(asked(name))


def _amounts(loan: Loan) -> dict[str, int]:
    amounts = {
        "frozen_balance_for_bandwidth": loan.net_sun,
        "frozen_balance_for_energy": loan.energy_sun,
        "expire_time_for_bandwidth": loan.net_expires_ms,
        "expire_time_for_energy": loan.energy_expires_ms,
    }
    return {name: amount for name, amount in amounts.items() if amount}


def _any_address(request: Request) -> bytes | None:
    """The address in either form, whatever `visible` says; None if there is none (Util.getAddress)."""
    text = str(request.params.get("address") or "").strip()
    if not text:
        return None
    if text.startswith(_HEX_PREFIX):
        try:
            return decoded_hex(text)
        except ValueError as error:
            raise InvalidAddressError("exception decoding Hex string") from error
    foreign = foreign_digit(text)
    if foreign is not None:
        raise InvalidAddressError(foreign)
    try:
        return from_base58(text)
    except ValueError:
        return None


STAKING_BUILDERS: dict[str, Handler] = {
    "freezebalancev2": builder_of(FreezeBalanceV2Contract),
    "unfreezebalancev2": builder_of(UnfreezeBalanceV2Contract),
    "withdrawexpireunfreeze": builder_of(WithdrawExpireUnfreezeContract),
    "cancelallunfreezev2": builder_of(CancelAllUnfreezeV2Contract),
    "delegateresource": delegate_resource,
    "undelegateresource": builder_of(UnDelegateResourceContract),
    "votewitnessaccount": builder_of(VoteWitnessContract),
    "withdrawbalance": builder_of(WithdrawBalanceContract),
}
STAKING_POST_ONLY = frozenset(STAKING_BUILDERS) - {"votewitnessaccount", "withdrawbalance"}
STAKING_SILENT_ON_GET = frozenset(STAKING_BUILDERS) - STAKING_POST_ONLY

STAKING_QUERIES: dict[str, Handler] = {
    "getdelegatedresource": get_first_delegated_resource,
    "getdelegatedresourceaccountindex": get_first_delegated_resource_account_index,
    "getdelegatedresourcev2": get_delegated_resource,
    "getdelegatedresourceaccountindexv2": get_delegated_resource_account_index,
    "getcandelegatedmaxsize": get_can_delegated_max_size,
    "getavailableunfreezecount": get_available_unfreeze_count,
    "getcanwithdrawunfreezeamount": get_can_withdraw_unfreeze_amount,
    "getReward": get_reward,
    "getBrokerage": get_brokerage,
    "listwitnesses": list_witnesses,
}
STAKING_FULL_QUERIES: dict[str, Handler] = {"getnextmaintenancetime": get_next_maintenance_time}
