"""What wallet-manager reads from the environment."""

from pathlib import Path

from pydantic import Field

from shared.config import SERVICES, ServiceSettings, port_variable


class Settings(ServiceSettings):
    """wallet-manager's settings."""

    port: int = Field(
        default=SERVICES["wallet-manager"],
        ge=0,
        le=65_535,
        validation_alias=port_variable("wallet-manager"),
        description="Port of wallet-manager.",
    )
    master_key_file: Path | None = Field(
        default=None,
        validation_alias="MASTER_KEY_FILE",
        description="File with the 32-byte master key in hex. Default: master.key among its secrets.",
    )
    mainnet_signing_enabled: bool = Field(
        default=False,
        validation_alias="MAINNET_SIGNING_ENABLED",
        description="Second switch without which nothing is signed on mainnet.",
    )
    send_lifetime_s: int = Field(
        default=300,
        ge=60,
        le=600,
        validation_alias="SEND_LIFETIME_S",
        description="Chain seconds from the reference block's time until a signed send expires.",
    )
    max_send_attempts: int = Field(
        default=5,
        ge=1,
        le=100,
        validation_alias="MAX_SEND_ATTEMPTS",
        description="Signed transactions for one send; a new one only after the last is proved absent.",
    )
    sign_batch: int = Field(
        default=100,
        ge=1,
        le=200,
        validation_alias="SIGN_BATCH",
        description="Sends signed and submitted together.",
    )
    retry_interval_s: int = Field(
        default=3,
        ge=1,
        le=600,
        validation_alias="SEND_RETRY_INTERVAL_S",
        description="Seconds before a send that has to wait (for funds, for the chain) is looked at again.",
    )
    fee_limit_margin_percent: int = Field(
        default=20,
        ge=0,
        le=200,
        validation_alias="FEE_LIMIT_MARGIN_PERCENT",
        description="What a fee limit adds to the simulated energy.",
    )
    max_head_skew_s: int = Field(
        default=60,
        ge=1,
        le=60,
        validation_alias="MAX_HEAD_SKEW_S",
        description="Largest difference between the chain's head and the clock at which anything is signed.",
    )

    def master_key_path(self) -> Path:
        """Return where the master key is."""
        return self.master_key_file or self.secrets_path("wallet-manager") / "master.key"
