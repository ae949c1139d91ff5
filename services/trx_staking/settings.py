"""What trx-staking reads from the environment."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from shared.config import SERVICES, ServiceSettings, port_variable
from shared.money import format_base_units, parse_base_units


def _decimal(value: str) -> str:
    return format_base_units(parse_base_units(value))


AmountSetting = Annotated[str, AfterValidator(_decimal)]
"""A decimal amount with at most six decimals."""


class Settings(ServiceSettings):
    """trx-staking's settings."""

    port: int = Field(
        default=SERVICES["trx-staking"],
        ge=0,
        le=65_535,
        validation_alias=port_variable("trx-staking"),
        description="Port of trx-staking.",
    )
    min_staking_trx: AmountSetting = Field(
        default="1", validation_alias="MIN_STAKING_AMOUNT", description="Smallest stake order."
    )
    max_staking_trx: AmountSetting = Field(
        default="1000000", validation_alias="MAX_STAKING_AMOUNT", description="Largest stake order."
    )
    two_approvers_from_trx: AmountSetting = Field(
        default="50000",
        validation_alias="STAKING_TWO_APPROVERS_FROM",
        description="Orders from this amount on need two approvers, whom nobody collects yet.",
    )
    max_fee_trx: AmountSetting = Field(
        default="3",
        validation_alias="STAKING_MAX_FEE_TRX",
        description="Ceiling of the fees of one stake order, in TRX.",
    )
    staking_deadline_s: int = Field(
        default=86_400,
        ge=60,
        le=2_592_000,
        validation_alias="STAKING_DEADLINE_S",
        description="Seconds after which an order that was not signed fails.",
    )
    dispatch_interval_s: float = Field(
        default=1.0,
        gt=0,
        le=300,
        validation_alias="STAKING_DISPATCH_INTERVAL_S",
        description="Seconds between looks for orders that are due.",
    )
    reconcile_interval_s: float = Field(
        default=60.0,
        gt=0,
        le=3_600,
        validation_alias="STAKING_RECONCILE_INTERVAL_S",
        description="Seconds between rounds that ask about orders of which nothing was heard.",
    )
    reconcile_after_s: int = Field(
        default=120,
        ge=1,
        le=86_400,
        validation_alias="STAKING_RECONCILE_AFTER_S",
        description="Seconds of silence after which an order is asked about.",
    )

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Self:
        if parse_base_units(self.min_staking_trx) > parse_base_units(self.max_staking_trx):
            raise ValueError("MIN_STAKING_AMOUNT is above its maximum")
        return self
