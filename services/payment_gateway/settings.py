"""What payment-gateway reads from the environment."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from shared.config import SERVICES, port_variable
from shared.money import Currency, format_base_units, parse_base_units
from shared.outbound import OutboundSettings

MAX_RETRIES = 30


def _amount(text: str) -> str:
    return format_base_units(parse_base_units(text))


def _parse_ladder(text: str) -> tuple[int, ...]:
    steps = tuple(int(part) for part in text.split(",") if part.strip())
    if len(steps) > MAX_RETRIES or any(step < 1 for step in steps):
        raise ValueError(f"must be at most {MAX_RETRIES} whole seconds, separated by commas")
    return steps


def _ladder(text: str) -> str:
    _parse_ladder(text)
    return text


Amount = Annotated[str, AfterValidator(_amount)]


class Settings(OutboundSettings):
    """payment-gateway's settings."""

    port: int = Field(
        default=SERVICES["payment-gateway"],
        ge=0,
        le=65_535,
        validation_alias=port_variable("payment-gateway"),
        description="Port of payment-gateway.",
    )
    min_invoice_usdt: Amount = Field(
        default="1", validation_alias="MIN_INVOICE_USDT", description="Smallest invoice in USDT."
    )
    min_invoice_trx: Amount = Field(
        default="1", validation_alias="MIN_INVOICE_TRX", description="Smallest invoice in TRX."
    )
    dust_usdt: Amount = Field(
        default="0.001",
        validation_alias="INVOICE_DUST_USDT",
        description="USDT transfers below this are not counted.",
    )
    dust_trx: Amount = Field(
        default="0.001",
        validation_alias="INVOICE_DUST_TRX",
        description="TRX transfers below this are not counted.",
    )
    invoice_grace_s: int = Field(
        default=300,
        ge=0,
        le=86_400,
        validation_alias="INVOICE_GRACE_S",
        description="How long after an invoice's end a block may still pay it in time.",
    )
    feed_wait_s: int = Field(
        default=5,
        ge=0,
        le=30,
        validation_alias="INVOICE_FEED_WAIT_S",
        description="How long tron-client is asked to hold back an empty page of transfers.",
    )
    webhook_retry_ladder_s: Annotated[str, AfterValidator(_ladder)] = Field(
        default="5,300,1800,7200,18000,36000,36000,36000,36000,36000,36000,36000",
        validation_alias="WEBHOOK_RETRY_LADDER_S",
        description="Pauses before each further try of a delivery, in seconds.",
    )
    webhook_interval_s: int = Field(
        default=1,
        ge=1,
        le=60,
        validation_alias="WEBHOOK_INTERVAL_S",
        description="Seconds between looks for deliveries that are due.",
    )

    @model_validator(mode="after")
    def _dust_is_small(self) -> Self:
        minimum, dust = self.minimum(), self.dust()
        if any(dust[currency] > minimum[currency] for currency in Currency):
            raise ValueError("INVOICE_DUST_* must not exceed MIN_INVOICE_*")
        return self

    def minimum(self) -> dict[Currency, int]:
        """Return the smallest invoices in base units."""
        return {
            Currency.USDT: parse_base_units(self.min_invoice_usdt),
            Currency.TRX: parse_base_units(self.min_invoice_trx),
        }

    def dust(self) -> dict[Currency, int]:
        """Return the smallest transfers that count, in base units."""
        return {
            Currency.USDT: parse_base_units(self.dust_usdt),
            Currency.TRX: parse_base_units(self.dust_trx),
        }

    def retry_ladder_s(self) -> tuple[int, ...]:
        """Return the pauses before each further try of a delivery."""
        return _parse_ladder(self.webhook_retry_ladder_s)
