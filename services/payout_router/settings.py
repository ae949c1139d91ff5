"""What payout-router reads from the environment."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from shared.config import SERVICES, ServiceSettings, port_variable
from shared.money import format_base_units, parse_base_units


def _decimal(value: str) -> str:
    return format_base_units(parse_base_units(value))


AmountSetting = Annotated[str, AfterValidator(_decimal)]
"""A decimal amount with at most six decimals."""


class Settings(ServiceSettings):
    """payout-router's settings."""

    port: int = Field(
        default=SERVICES["payout-router"],
        ge=0,
        le=65_535,
        validation_alias=port_variable("payout-router"),
        description="Port of payout-router.",
    )
    min_payout_usdt: AmountSetting = Field(
        default="10", validation_alias="MIN_PAYOUT_AMOUNT", description="Smallest USDT payout."
    )
    max_payout_usdt: AmountSetting = Field(
        default="10000", validation_alias="MAX_PAYOUT_AMOUNT", description="Largest USDT payout."
    )
    daily_payout_usdt: AmountSetting = Field(
        default="10000",
        validation_alias="DAILY_PAYOUT_LIMIT",
        description="Most USDT that one recipient gets in a UTC day.",
    )
    user_max_payout_usdt: AmountSetting = Field(
        default="1000",
        validation_alias="USER_MAX_PAYOUT_AMOUNT",
        description="Largest USDT payout that a USER may ask for.",
    )
    user_daily_payout_usdt: AmountSetting = Field(
        default="5000",
        validation_alias="USER_DAILY_PAYOUT_LIMIT",
        description="Most USDT that one USER pays out in a UTC day.",
    )
    min_payout_trx: AmountSetting = Field(
        default="1", validation_alias="MIN_PAYOUT_TRX", description="Smallest TRX payout."
    )
    max_payout_trx: AmountSetting = Field(
        default="100000", validation_alias="MAX_PAYOUT_TRX", description="Largest TRX payout."
    )
    daily_payout_trx: AmountSetting = Field(
        default="100000",
        validation_alias="DAILY_PAYOUT_LIMIT_TRX",
        description="Most TRX that one recipient gets in a UTC day.",
    )
    user_max_payout_trx: AmountSetting = Field(
        default="1000",
        validation_alias="USER_MAX_PAYOUT_TRX",
        description="Largest TRX payout that a USER may ask for.",
    )
    user_daily_payout_trx: AmountSetting = Field(
        default="5000",
        validation_alias="USER_DAILY_PAYOUT_LIMIT_TRX",
        description="Most TRX that one USER pays out in a UTC day.",
    )
    usdt_max_fee_trx: AmountSetting = Field(
        default="50",
        validation_alias="PAYOUT_MAX_FEE_TRX",
        description="Ceiling of the fees of one USDT payout, in TRX.",
    )
    trx_max_fee_trx: AmountSetting = Field(
        default="3",
        validation_alias="PAYOUT_TRX_MAX_FEE_TRX",
        description="Ceiling of the fees of one TRX payout, in TRX; covers a new account.",
    )
    payout_wallet_id: str | None = Field(
        default=None,
        validation_alias="PAYOUT_WALLET_ID",
        description="The wallet that pays. Default: wallet-manager's treasury.",
    )
    payout_deadline_s: int = Field(
        default=86_400,
        ge=60,
        le=2_592_000,
        validation_alias="PAYOUT_DEADLINE_S",
        description="Seconds after which a payout that was not signed fails.",
    )
    dispatch_batch: int = Field(
        default=50,
        ge=1,
        le=200,
        validation_alias="DISPATCH_BATCH",
        description="Payouts handed over together.",
    )
    dispatch_interval_s: float = Field(
        default=1.0,
        gt=0,
        le=300,
        validation_alias="DISPATCH_INTERVAL_S",
        description="Seconds between looks for payouts that are due.",
    )
    dispatch_lease_s: int = Field(
        default=60,
        ge=5,
        le=600,
        validation_alias="DISPATCH_LEASE_S",
        description="Seconds after which a payout claimed by a process that died is claimed again.",
    )
    reconcile_interval_s: float = Field(
        default=60.0,
        gt=0,
        le=3_600,
        validation_alias="PAYOUT_RECONCILE_INTERVAL_S",
        description="Seconds between rounds that ask about payouts of which nothing was heard.",
    )
    reconcile_after_s: int = Field(
        default=120,
        ge=1,
        le=86_400,
        validation_alias="PAYOUT_RECONCILE_AFTER_S",
        description="Seconds of silence after which a payout is asked about.",
    )

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Self:
        pairs = (
            (self.min_payout_usdt, self.max_payout_usdt, "MIN_PAYOUT_AMOUNT"),
            (self.min_payout_trx, self.max_payout_trx, "MIN_PAYOUT_TRX"),
        )
        for least, most, name in pairs:
            if parse_base_units(least) > parse_base_units(most):
                raise ValueError(f"{name} is above its maximum")
        return self
