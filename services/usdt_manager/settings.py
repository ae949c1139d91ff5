"""What usdt-manager reads from the environment."""

from pydantic import Field

from shared.config import SERVICES, ServiceSettings, port_variable


class Settings(ServiceSettings):
    """usdt-manager's settings."""

    port: int = Field(
        default=SERVICES["usdt-manager"],
        ge=0,
        le=65_535,
        validation_alias=port_variable("usdt-manager"),
        description="Port of usdt-manager.",
    )
    fee_limit_margin_percent: int = Field(
        default=20,
        ge=0,
        le=200,
        validation_alias="USDT_FEE_LIMIT_MARGIN_PERCENT",
        description="What a fee limit adds to the simulated energy.",
    )
    max_fee_limit_trx: int = Field(
        default=50,
        ge=1,
        le=15_000,
        validation_alias="USDT_MAX_FEE_LIMIT_TRX",
        description="Ceiling of a USDT transfer's fee limit.",
    )
    token_check_interval_s: int = Field(
        default=60,
        ge=1,
        le=3_600,
        validation_alias="USDT_TOKEN_CHECK_INTERVAL_S",
        description="Seconds between checks of the contract (decimals, paused, fee).",
    )
    blacklist_recheck_s: int = Field(
        default=600,
        ge=0,
        le=86_400,
        validation_alias="USDT_BLACKLIST_RECHECK_S",
        description="Seconds for which the black list's word that an address is not on it is kept.",
    )
