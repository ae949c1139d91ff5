"""An account as a node tells it at its head; never used to credit money."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from services.tron_client.domain.blocks import INT64_MAX, InconsistentBlock
from services.tron_client.domain.permissions import (
    Permissions,
    PrintedPermission,
    permissions_view,
    read_address,
    read_permissions,
)
from shared.clock import rfc3339
from shared.models.tron_client import (
    AccountView,
    FrozenView,
    ResourcesView,
    UnfreezingView,
    VoteView,
)
from shared.money import Sun, format_base_units
from shared.tron.address import Address
from shared.tron.operation import Resource

_RESOURCES: Final = {
    "": Resource.BANDWIDTH,
    "BANDWIDTH": Resource.BANDWIDTH,
    "ENERGY": Resource.ENERGY,
}
"""Staking names as nodes print them; bandwidth is the default and is left out."""


_Amount = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""Up to the last millisecond that has a date of four digits."""


class _Frozen(msgspec.Struct):
    type: str = ""
    amount: _Amount = 0


class _Unfrozen(msgspec.Struct):
    type: str = ""
    unfreeze_amount: _Amount = 0
    unfreeze_expire_time: _Moment = 0


class _Vote(msgspec.Struct):
    vote_address: str = ""
    vote_count: _Amount = 0


class _AccountResource(
    msgspec.Struct,
    rename={
        "delegated": "delegated_frozenV2_balance_for_energy",
        "received": "acquired_delegated_frozenV2_balance_for_energy",
    },
):
    delegated: _Amount = 0
    received: _Amount = 0


class _Account(
    msgspec.Struct,
    rename={
        "frozen": "frozenV2",
        "unfrozen": "unfrozenV2",
        "delegated_bandwidth": "delegated_frozenV2_balance_for_bandwidth",
        "received_bandwidth": "acquired_delegated_frozenV2_balance_for_bandwidth",
    },
):
    address: str = ""
    type: str = ""
    balance: _Amount = 0
    allowance: _Amount = 0
    frozen: list[_Frozen] = []
    unfrozen: list[_Unfrozen] = []
    delegated_bandwidth: _Amount = 0
    received_bandwidth: _Amount = 0
    account_resource: _AccountResource = msgspec.field(default_factory=_AccountResource)
    votes: list[_Vote] = []
    owner_permission: PrintedPermission | None = None
    witness_permission: PrintedPermission | None = None
    active_permission: list[PrintedPermission] = []


class _Resources(
    msgspec.Struct,
    rename={
        "free_limit": "freeNetLimit",
        "free_used": "freeNetUsed",
        "staked_limit": "NetLimit",
        "staked_used": "NetUsed",
        "energy_limit": "EnergyLimit",
        "energy_used": "EnergyUsed",
    },
):
    free_limit: _Amount = 0
    free_used: _Amount = 0
    staked_limit: _Amount = 0
    staked_used: _Amount = 0
    energy_limit: _Amount = 0
    energy_used: _Amount = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Staked:
    """TRX staked for a resource; on its way out when there is a time."""

    resource: Resource
    amount_sun: Sun
    available_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account with its resources.

    Attributes:
        delegated: TRX staked here whose resource others use; not part of ``frozen``.
        received: TRX staked by others whose resource is used here.
        votes: for witnesses, by address.
        rewards_sun: of votes, not taken out yet; they outlast the votes.
        permissions: None where the node prints none.
    """

    address: Address
    is_activated: bool
    is_contract: bool
    balance_sun: Sun
    free_bandwidth_limit: int
    free_bandwidth_used: int
    staked_bandwidth_limit: int
    staked_bandwidth_used: int
    energy_limit: int
    energy_used: int
    frozen: tuple[Staked, ...]
    unfreezing: tuple[Staked, ...]
    delegated: tuple[Staked, ...] = ()
    received: tuple[Staked, ...] = ()
    votes: tuple[tuple[Address, int], ...] = ()
    rewards_sun: Sun = Sun(0)  # noqa: RUF009 - a number
    permissions: Permissions | None = None


def read_account(
    address: Address, account: Mapping[str, Any], resources: Mapping[str, Any]
) -> Account:
    """Read a node's two answers about an account; empty ones mean that it is not activated.

    Raises:
        InconsistentBlock: they are malformed.
    """
    try:
        said = msgspec.convert(account, _Account)
        has = msgspec.convert(resources, _Resources)
    except msgspec.ValidationError as error:
        raise InconsistentBlock(f"an account is malformed: {error}") from None
    return Account(
        address=address,
        is_activated=bool(account),
        is_contract=said.type == "Contract",
        balance_sun=Sun(said.balance),
        free_bandwidth_limit=has.free_limit,
        free_bandwidth_used=has.free_used,
        staked_bandwidth_limit=has.staked_limit,
        staked_bandwidth_used=has.staked_used,
        energy_limit=has.energy_limit,
        energy_used=has.energy_used,
        frozen=tuple(
            _staked(each.type, each.amount, None)
            for each in said.frozen
            if _counts(each.type, each.amount)
        ),
        unfreezing=tuple(
            _staked(each.type, each.unfreeze_amount, each.unfreeze_expire_time)
            for each in said.unfrozen
            if _counts(each.type, each.unfreeze_amount)
        ),
        delegated=_lent(said.delegated_bandwidth, said.account_resource.delegated),
        received=_lent(said.received_bandwidth, said.account_resource.received),
        votes=tuple((read_address(each.vote_address), each.vote_count) for each in said.votes),
        rewards_sun=Sun(said.allowance),
        permissions=read_permissions(
            said.owner_permission, said.witness_permission, said.active_permission
        ),
    )


def _lent(bandwidth_sun: int, energy_sun: int) -> tuple[Staked, ...]:
    both = (("BANDWIDTH", bandwidth_sun), ("ENERGY", energy_sun))
    return tuple(_staked(kind, amount, None) for kind, amount in both if amount)


def _counts(kind: str, amount: int) -> bool:
    """Tell stakes from the empty entries that nodes print for every resource."""
    return amount > 0 and kind in _RESOURCES


def _staked(kind: str, amount: int, available_at_ms: int | None) -> Staked:
    return Staked(
        resource=_RESOURCES[kind], amount_sun=Sun(amount), available_at_ms=available_at_ms
    )


def account_view(account: Account) -> AccountView:
    """Write an account for the wire."""
    return AccountView(
        address=account.address,
        activated=account.is_activated,
        is_contract=account.is_contract,
        balance=format_base_units(account.balance_sun),
        balance_sun=str(account.balance_sun),
        resources=ResourcesView(
            free_bandwidth_limit=account.free_bandwidth_limit,
            free_bandwidth_used=account.free_bandwidth_used,
            staked_bandwidth_limit=account.staked_bandwidth_limit,
            staked_bandwidth_used=account.staked_bandwidth_used,
            energy_limit=account.energy_limit,
            energy_used=account.energy_used,
        ),
        frozen=_frozen_views(account.frozen),
        unfreezing=[
            UnfreezingView(
                resource=each.resource,
                amount_sun=str(each.amount_sun),
                available_at=rfc3339(each.available_at_ms or 0),
            )
            for each in account.unfreezing
        ],
        delegated=_frozen_views(account.delegated),
        received=_frozen_views(account.received),
        votes=[VoteView(witness=witness, count=count) for witness, count in account.votes],
        rewards_sun=str(account.rewards_sun),
        permissions=permissions_view(account.permissions),
    )


def _frozen_views(stakes: Iterable[Staked]) -> list[FrozenView]:
    return [FrozenView(resource=each.resource, amount_sun=str(each.amount_sun)) for each in stakes]
