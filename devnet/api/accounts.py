"""Accounts and their resources."""

from __future__ import annotations

from typing import Any

import base58

from devnet import address, limits, resources
from devnet.accounts import Account
from devnet.api.request import Request
from devnet.api.view import View
from devnet.blocks import slot_time_ms
from devnet.chain_pb2 import ResourceCode
from devnet.genesis import GENESIS_TIME_MS
from devnet.json_format import printed_address
from devnet.permissions import ACTIVE_PERMISSION, OWNER_PERMISSION, permission_of
from devnet.resources import SUN_PER_TRX, Usage
from devnet.state import ENERGY_WEIGHT, NET_WEIGHT, State

_HEX_LENGTH = 42
_BASE58_LENGTH = 34


def get_account(view: View, request: Request) -> Any:
    """An activated account; its usages have faded to now."""
    account = view.state.account(request.address("address"))
    if account is None:
        return {}
    shown = printed_address(account.address, visible=request.visible)
    return {
        "address": shown,
        **_without_zeros(_balances(account)),
        **_net_usage(account, view.moment.slot),
        "account_resource": _energy_usage(account, view.moment.slot),
        **({"type": "Contract"} if account.is_contract else _permissions(shown)),
        **_stake(account),
    }


def get_account_net(view: View, request: Request) -> Any:
    """An account's bandwidth."""
    account = view.state.account(request.address("address"))
    if account is None:
        return {}
    return _without_zeros(_net(view.state, account, view.moment.slot))


def get_account_resource(view: View, request: Request) -> Any:
    """An account's bandwidth and energy, beside the chain's totals."""
    account = view.state.account(request.address("address"))
    if account is None:
        return {}
    state, slot = view.state, view.moment.slot
    staked_sun = account.frozen_net_sun + account.frozen_energy_sun
    return _without_zeros(
        {
            **_net(state, account, slot),
            "tronPowerLimit": staked_sun // SUN_PER_TRX,
            "EnergyUsed": resources.remaining(account.energy, slot),
            "EnergyLimit": limits.energy_limit(state, account),
            "TotalEnergyLimit": state.parameter("getTotalEnergyCurrentLimit"),
            "TotalEnergyWeight": state.integer(ENERGY_WEIGHT),
        }
    )


def validate_address(_view: View, request: Request) -> Any:
    """In which form a text is an address, if it is one."""
    text = request.text("address")
    try:
        if len(text) == _HEX_LENGTH:
            address.checked(bytes.fromhex(text))
            return {"result": True, "message": "Hex string format"}
        if len(text) == _BASE58_LENGTH:
            address.checked(base58.b58decode_check(text))
            return {"result": True, "message": "Base58check format"}
    except ValueError:
        return {"result": False, "message": "Invalid address"}
    return {"result": False, "message": "Length error"}


def _balances(account: Account) -> dict[str, int]:
    return {
        "balance": account.balance_sun,
        "create_time": account.created_ms,
        "latest_opration_time": account.last_operation_ms,
    }


def _net_usage(account: Account, slot: int) -> dict[str, Any]:
    usages = {
        "net_usage": resources.remaining(account.net, slot),
        "free_net_usage": resources.remaining(account.free_net, slot),
    }
    return {
        **_without_zeros(usages),
        "latest_consume_time": _last_use_ms(account.net),
        "latest_consume_free_time": _last_use_ms(account.free_net),
        "net_window_size": account.net.window,
        "net_window_optimized": True,
    }


def _energy_usage(account: Account, slot: int) -> dict[str, Any]:
    return {
        **_without_zeros({"energy_usage": resources.remaining(account.energy, slot)}),
        "latest_consume_time_for_energy": _last_use_ms(account.energy),
        "energy_window_size": account.energy.window,
        "energy_window_optimized": True,
    }


def _permissions(shown: str) -> dict[str, Any]:
    return {
        "owner_permission": permission_of(shown, OWNER_PERMISSION),
        "active_permission": [permission_of(shown, ACTIVE_PERMISSION)],
    }


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
