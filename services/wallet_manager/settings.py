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
    vault_argon2_memory_mib: int = Field(
        default=64,
        ge=19,
        le=2_048,
        validation_alias="VAULT_ARGON2_MEMORY_MIB",
        description="Memory that making the master key of a new passphrase takes (Argon2id).",
    )
    vault_unlock_s: int = Field(
        default=0,
        ge=0,
        le=2_592_000,
        validation_alias="VAULT_UNLOCK_S",
        description="Seconds after which a vault unlocked by passphrase locks again; 0 is never.",
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
    offline_send_lifetime_s: int = Field(
        default=82_800,
        ge=60,
        le=85_200,
        validation_alias="OFFLINE_SEND_LIFETIME_S",
        description="The same for a send that is signed elsewhere; a day less 20 minutes at most.",
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

    reconcile_accounts: int = Field(
        default=5,
        ge=1,
        le=100,
        validation_alias="RECONCILE_ACCOUNTS",
        description="Accounts whose books are compared with the chain at once, about once a minute; "
        "each costs three calls of the node.",
    )
    address_stock: int = Field(
        default=20,
        ge=0,
        le=1_000,
        validation_alias="ADDRESS_STOCK",
        description="Deposit addresses of a wallet derived and watched ahead, for while tron-client is "
        "away.",
    )

    policy_per_send_usdt: int = Field(
        default=100_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_SEND_USDT",
        description="Most USDT of one send, until a policy is decided on.",
    )
    policy_per_hour_usdt: int = Field(
        default=500_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_HOUR_USDT",
        description="Most USDT of a wallet in a rolling hour, until a policy is decided on.",
    )
    policy_per_day_usdt: int = Field(
        default=2_000_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_DAY_USDT",
        description="Most USDT of a wallet in a rolling day, until a policy is decided on.",
    )
    policy_per_destination_usdt: int = Field(
        default=500_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_DESTINATION_USDT",
        description="Most USDT of a wallet to one address in a rolling day, until a policy is decided on.",
    )
    policy_unproved_per_day_usdt: int = Field(
        default=10_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_UNPROVED_PER_DAY_USDT",
        description="Most USDT of new attempts in a rolling day on the word of one node operator, "
        "until a policy is decided on.",
    )
    policy_approval_above_usdt: int = Field(
        default=100_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_APPROVAL_ABOVE_USDT",
        description="USDT above which one send waits for approvals, until a policy is decided on.",
    )
    policy_per_send_trx: int = Field(
        default=500_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_SEND_TRX",
        description="Most TRX of one send, until a policy is decided on.",
    )
    policy_per_hour_trx: int = Field(
        default=1_000_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_HOUR_TRX",
        description="Most TRX of a wallet in a rolling hour, until a policy is decided on.",
    )
    policy_per_day_trx: int = Field(
        default=5_000_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_DAY_TRX",
        description="Most TRX of a wallet in a rolling day, until a policy is decided on.",
    )
    policy_per_destination_trx: int = Field(
        default=1_000_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_PER_DESTINATION_TRX",
        description="Most TRX of a wallet to one address in a rolling day, until a policy is decided on.",
    )
    policy_unproved_per_day_trx: int = Field(
        default=50_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_UNPROVED_PER_DAY_TRX",
        description="Most TRX of new attempts in a rolling day on the word of one node operator, "
        "until a policy is decided on.",
    )
    policy_approval_above_trx: int = Field(
        default=500_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_APPROVAL_ABOVE_TRX",
        description="TRX above which one send waits for approvals, until a policy is decided on.",
    )
    policy_fees_per_hour_trx: int = Field(
        default=100_000,
        ge=0,
        le=100_000_000_000,
        validation_alias="POLICY_FEES_PER_HOUR_TRX",
        description="Most TRX of worst fees of a wallet in a rolling hour, until a policy is decided on.",
    )
    policy_cooling_off_s: int = Field(
        default=86_400,
        ge=0,
        le=2_592_000,
        validation_alias="POLICY_COOLING_OFF_S",
        description="Seconds of chain time before what a policy change allows more holds.",
    )
    approval_quorum: int = Field(
        default=1,
        ge=1,
        le=20,
        validation_alias="APPROVAL_QUORUM",
        description="People who have to agree to an export, a policy change, an unlock, a large send or "
        "the end of a stop; from 2 on, who asks does not count.",
    )
    approval_lifetime_s: int = Field(
        default=86_400,
        ge=60,
        le=604_800,
        validation_alias="APPROVAL_LIFETIME_S",
        description="Seconds until a request for approval is over.",
    )

    def master_key_path(self) -> Path:
        """Return where the master key is."""
        return self.master_key_file or self.secrets_path("wallet-manager") / "master.key"
