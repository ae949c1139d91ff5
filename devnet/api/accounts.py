"""Accounts and their resources."""

from __future__ import annotations

from typing import Any

from devnet import limits, resources, rewards
from devnet.accounts import Account
from devnet.api.request import Request
from devnet.api.view import View
from devnet.blocks import slot_time_ms
from devnet.chain_pb2 import ResourceCode
from devnet.genesis import GENESIS_TIME_MS
from devnet.json_format import printed, printed_address
from devnet.permissions import permissions_of
from devnet.resources import SUN_PER_TRX, Usage
from devnet.state import ENERGY_WEIGHT, NET_WEIGHT, State
from devnet.witnesses import turns


def get_account(view: View, request: Request) -> Any:
    """An activated account; its usages have faded to now."""
    account = view.state.account(request.address("address"))
    if account is None:
        return {}
    return printed_account(view, account, visible=request.visible)


def printed_account(view: View, account: Account, *, visible: bool) -> dict[str, Any]:
    """An account as JSON."""
    slot = view.moment.slot
    return {
        "address": printed_address(account.address, visible=visible),
        **_without_zeros(_balances(view.state, account)),
        **_net_usage(account, slot),
        "account_resource": _energy_usage(account, slot),
        **_kind(view.state, account, visible=visible),
        **_votes(account, visible=visible),
        **_stake(account),
    }


def get_account_net(view: View, request: Request) -> Any:
    """An account's bandwidth."""
    asked = request.plain_address if request.is_get else request.address
    account = view.state.account(asked("address"))
    if account is None:
        return {}
    return _without_zeros(_net(view.state, account, view.moment.slot))


def get_account_resource(view: View, request: Request) -> Any:
    """An account's bandwidth and energy, beside the chain's totals."""
    account = view.state.account(request.plain_address("address"))
    if account is None:
        return {}
    state, slot = view.state, view.moment.slot
    return _without_zeros(
        {
            **_net(state, account, slot),
            "tronPowerUsed": account.vote_count,
            "tronPowerLimit": account.tron_power_sun // SUN_PER_TRX,
            "EnergyUsed": resources.remaining(account.energy, slot),
            "EnergyLimit": limits.energy_limit(state, account),
            "TotalEnergyLimit": state.parameter("getTotalEnergyCurrentLimit"),
            "TotalEnergyWeight": state.integer(ENERGY_WEIGHT),
        }
    )


def _balances(state: State, account: Account) -> dict[str, int]:
    return {
        "balance": account.balance_sun,
        "create_time": account.created_ms,
        "latest_opration_time": account.last_operation_ms,
        "allowance": rewards.allowance_sun(state, account),
        "latest_withdraw_time": account.last_withdrawal_ms,
        "delegated_frozenV2_balance_for_bandwidth": account.delegated_net_sun,
        "acquired_delegated_frozenV2_balance_for_bandwidth": account.acquired_net_sun,
    }


def _net_usage(account: Account, slot: int) -> dict[str, Any]:
    net = resources.faded(account.net, slot)
    usages = {
        "net_usage": net.amount,
        "free_net_usage": resources.remaining(account.free_net, slot),
    }
    return {
        **_without_zeros(usages),
        "latest_consume_time": _last_use_ms(account.net),
        "latest_consume_free_time": _last_use_ms(account.free_net),
        "net_window_size": net.window,
        "net_window_optimized": True,
    }


def _energy_usage(account: Account, slot: int) -> dict[str, Any]:
    energy = resources.faded(account.energy, slot)
    amounts = {
        "energy_usage": energy.amount,
        "delegated_frozenV2_balance_for_energy": account.delegated_energy_sun,
        "acquired_delegated_frozenV2_balance_for_energy": account.acquired_energy_sun,
    }
    return {
        **_without_zeros(amounts),
        "latest_consume_time_for_energy": _last_use_ms(account.energy),
        "energy_window_size": energy.window,
        "energy_window_optimized": True,
    }


def _kind(state: State, account: Account, *, visible: bool) -> dict[str, Any]:
    """What the account is, and who may sign for it; for a contract nobody may."""
    if account.is_contract:
        return {"type": "Contract"}
    permissions = permissions_of(state, account.address)
    shown: dict[str, Any] = {"owner_permission": printed(permissions.owner, visible=visible)}
    if account.address in turns(state):
        shown["is_witness"] = True
    if permissions.witness is not None:
        shown["witness_permission"] = printed(permissions.witness, visible=visible)
    shown["active_permission"] = [printed(each, visible=visible) for each in permissions.actives]
    return shown


def _votes(account: Account, *, visible: bool) -> dict[str, Any]:
    if not account.votes:
        return {}
    votes = [
        {
            "vote_address": printed_address(vote.witness, visible=visible),
            "vote_count": vote.count,
        }
        for vote in account.votes
    ]
    return {"votes": votes}


def _stake(account: Account) -> dict[str, Any]:
    """frozenV2 always has three entries in one order; the type of bandwidth is the default."""
    stake: dict[str, Any] = {
        "frozenV2": [
            _without_zeros({"amount": account.frozen_net_sun}),
            {"type": "ENERGY", **_without_zeros({"amount": account.frozen_energy_sun})},
            {"type": "TRON_POWER"},
        ]
    }
    if account.unfreezing:
        stake["unfrozenV2"] = [
            {
                **({"type": ResourceCode.Name(each.resource)} if each.resource else {}),
                "unfreeze_amount": each.amount_sun,
                "unfreeze_expire_time": each.expires_ms,
            }
            for each in account.unfreezing
        ]
    return stake


def _net(state: State, account: Account, slot: int) -> dict[str, int]:
    return {
        "freeNetUsed": resources.remaining(account.free_net, slot),
        "freeNetLimit": state.parameter("getFreeNetLimit"),
        "NetUsed": resources.remaining(account.net, slot),
        "NetLimit": limits.net_limit(state, account),
        "TotalNetLimit": state.parameter("getTotalNetLimit"),
        "TotalNetWeight": state.integer(NET_WEIGHT),
    }


def _last_use_ms(usage: Usage) -> int:
    return slot_time_ms(usage.slot, GENESIS_TIME_MS)


def _without_zeros(numbers: dict[str, int]) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number}
