"""What usdt-manager publishes: USDT balances, what a transfer would need, and transfers on behalf."""

from typing import Annotated

from pydantic import Field

from shared.models.wallet_sends import Intent, SendsView
from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    DecimalText,
    Request,
    View,
)
from shared.money import Currency


class UsdtBalanceView(View):
    """A USDT balance as the contract tells it at the node's head; never used to credit money."""

    address: AddressText
    balance: DecimalText
    balance_base_units: BaseUnitsText
    currency: Currency = Currency.USDT
    contract_address: AddressText


class PlannedTransfer(Request):
    """A transfer to look at before it is promised."""

    recipient: AddressText
    amount_base_units: BaseUnitsText


class PreflightRequest(Request):
    """Transfers that one address would make."""

    owner_address: AddressText
    transfers: Annotated[list[PlannedTransfer], Field(min_length=1, max_length=200)]


class TransferNeeds(View):
    """What one transfer would take and whether anything speaks against it now.

    ``refusal`` names the rule (paused, sender_blacklisted, recipient_blacklisted, would_revert) or is None.
    """

    recipient: AddressText
    amount_base_units: BaseUnitsText
    energy: int
    bandwidth: int
    fee_limit_sun: BaseUnitsText
    refusal: str | None = None
    detail: str | None = None


class PreflightView(View):
    """The needs in the order of the transfers, and what the owner holds now."""

    balance_base_units: BaseUnitsText
    sufficient: bool
    transfers: list[TransferNeeds]


class UsdtTransfersRequest(Request):
    """Intents of kind trc20_transfer to hand on, checked to be USDT."""

    intents: Annotated[list[Intent], Field(min_length=1, max_length=200)]


UsdtTransfersView = SendsView


class TokenView(View):
    """The token as its contract describes itself, checked at start."""

    contract_address: AddressText
    symbol: str
    decimals: int
    verified: bool
