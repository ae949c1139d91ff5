"""What trx-staking publishes: resources of an account, and TRX staked or on its way out."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shared.models.tron_client import FrozenView, ResourcesView, UnfreezingView
from shared.models.wire import (
    AddressText,
    AmountText,
    BaseUnitsText,
    DecimalText,
    NaturalId,
    Request,
    TimeText,
    TxidText,
    View,
)
from shared.tron.operation import Resource


class StakeAction(StrEnum):
    """What a stake order does."""

    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


class StakeState(StrEnum):
    """Where a stake order is."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class StakeRequest(Request):
    """TRX to freeze for a resource, or to unfreeze."""

    wallet_id: Annotated[str, Field(min_length=1, max_length=64)]
    amount: AmountText
    resource: Resource
    request_id: NaturalId | None = None


class StakeView(View):
    """A stake order as it stands."""

    stake_id: str
    action: StakeAction
    state: StakeState
    detail_state: str
    wallet_id: str
    resource: Resource
    amount: DecimalText
    amount_sun: BaseUnitsText
    txid: TxidText | None
    detail: str | None
    created_at: TimeText
    updated_at: TimeText


class StakeListView(View):
    """A page of stake orders, newest first."""

    orders: list[StakeView]
    next: str | None = None


class StakingStatusView(View):
    """What an address has staked, what is thawing, and the resources it has."""

    address: AddressText
    staking_status: str
    frozen: list[FrozenView]
    unfreezing: list[UnfreezingView]
    resources: ResourcesView


class AccountResourcesView(View):
    """Energy and bandwidth of an address that can be used now."""

    address: AddressText
    energy_available: int
    bandwidth_available: int
    resources: ResourcesView
