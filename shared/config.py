"""Settings: read once from the environment, checked all at once, frozen.

Every service extends :class:`ServiceSettings`. Secrets are never settings: a setting may name the
file that holds one, and :func:`read_secret` reads it.
"""

import os
import stat
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.tron.address import parse_address
from shared.tron.networks import Network

SERVICES: Final[dict[str, int]] = {
    "tron-client": 8091,
    "payout-router": 8092,
    "wallet-manager": 8093,
    "usdt-manager": 8094,
    "trx-staking": 8095,
    "payment-gateway": 8096,
}
"""The six services and their ports."""

MONGODB_SCHEMES: Final = ("mongodb://", "mongodb+srv://")

MAX_SECRET_BYTES: Final = 65_536


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class ConfigurationMissing(Exception):
    """Something the operator must provide is not there; the message says what and how."""


def python_name(service: str) -> str:
    """Convert a service's name from the edge (``payout-router``) to Python (``payout_router``)."""
    return service.replace("-", "_")


def port_variable(service: str) -> str:
    """Name the environment variable that moves a service's port: ``PAYOUT_ROUTER_PORT``."""
    return f"{python_name(service).upper()}_PORT"


def _default_data_dir() -> Path:
    return user_data_path("lucid-tron-payments", appauthor=False)


def _peer(service: str) -> str:
    return f"http://{service}:{SERVICES[service]}"


class ServiceSettings(BaseSettings):
    """What every service reads; each adds its own."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_prefix="LUCID_FIELD_",  # fields go by their name in code alone: PORT is somebody else's
        env_ignore_empty=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    tron_network: Network = Field(
        validation_alias="TRON_NETWORK",
        description="mainnet, shasta, nile or devnet; there is no default.",
    )
    log_level: LogLevel = Field(
        default=LogLevel.INFO, validation_alias="LOG_LEVEL", description="How much is logged."
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        validation_alias=AliasChoices("LUCID_DATA_DIR", "DATA_DIRECTORY", "TRON_DATA_DIR"),
        description="Where databases live, one folder a service. Default: the user's data folder; "
        "/data/payment-systems in containers.",
    )
    keys_dir: Path | None = Field(
        default=None,
        validation_alias="KEYS_DIR",
        description="Public keys of the operator and the six services. Default: keys/ in the data folder.",
    )
    secrets_dir: Path | None = Field(
        default=None,
        validation_alias="SECRETS_DIR",
        description="This service's secrets. Default: secrets/<service>/ in the data folder.",
    )
    mongodb_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("MONGODB_URL", "MONGODB_URI"),
        description="A MongoDB replica set, mongodb:// or mongodb+srv://, to keep records in instead of "
        "a file. It may hold user and password; better is a password file.",
    )
    mongodb_database: str = Field(
        default="lucid_payments",
        pattern=r"^[A-Za-z0-9_-]{1,38}$",
        validation_alias="MONGODB_DATABASE",
        description="The database that all six services share.",
    )
    mongodb_user: str | None = Field(
        default=None,
        validation_alias="MONGODB_USER",
        description="Who connects. Default: the service's name where there is a password file, else "
        "what the URL says.",
    )
    mongodb_password_file: Path | None = Field(
        default=None,
        validation_alias="MONGODB_PASSWORD_FILE",
        description="File with that user's password. Default: mongodb.password among the service's "
        "secrets, if it is there.",
    )
    mongodb_ca_file: Path | None = Field(
        default=None,
        validation_alias="MONGODB_CA_FILE",
        description="Authorities that the server's certificate is checked against; turns TLS on.",
    )
    mongodb_certificate_file: Path | None = Field(
        default=None,
        validation_alias="MONGODB_CERTIFICATE_FILE",
        description="Our certificate and its key for the server, in one PEM file; turns TLS on.",
    )
    mongodb_selection_timeout_s: int = Field(
        default=10,
        ge=1,
        le=120,
        validation_alias="MONGODB_SELECTION_TIMEOUT_S",
        description="Seconds that a call waits for a primary.",
    )
    mongodb_connect_timeout_s: int = Field(
        default=5,
        ge=1,
        le=60,
        validation_alias="MONGODB_CONNECT_TIMEOUT_S",
        description="Seconds to connect to a server.",
    )
    mongodb_socket_timeout_s: int = Field(
        default=10,
        ge=1,
        le=20,
        validation_alias="MONGODB_SOCKET_TIMEOUT_S",
        description="Seconds for one answer of a server.",
    )
    mongodb_deadline_s: int = Field(
        default=20,
        ge=1,
        le=300,
        validation_alias="MONGODB_DEADLINE_S",
        description="Seconds for all tries of one write together; a change of primary takes about ten.",
    )
    mongodb_pool_connections: int = Field(
        default=32,
        ge=8,
        le=500,
        validation_alias="MONGODB_POOL_CONNECTIONS",
        description="Connections of a service; four fewer reads are under way at once.",
    )
    mongodb_feed_poll_ms: int = Field(
        default=250,
        ge=10,
        le=5_000,
        validation_alias="MONGODB_FEED_POLL_MS",
        description="Milliseconds that an event of another process of the service stays unnoticed.",
    )
    bind_host: str = Field(
        default="127.0.0.1", validation_alias="BIND_HOST", description="Address to listen on."
    )
    usdt_contract_address: Annotated[str, AfterValidator(parse_address)] | None = Field(
        default=None,
        validation_alias="USDT_CONTRACT_ADDRESS",
        description="The USDT contract. Default: by network.",
    )
    devnet_control_url: str = Field(
        default="http://127.0.0.1:18099",
        validation_alias="DEVNET_CONTROL_URL",
        description="Where the devnet tells its time; used on TRON_NETWORK=devnet alone.",
    )
    tron_client_url: str = Field(
        default=_peer("tron-client"), validation_alias="TRON_CLIENT_URL", description="Sibling."
    )
    payout_router_url: str = Field(
        default=_peer("payout-router"), validation_alias="PAYOUT_ROUTER_URL", description="Sibling."
    )
    wallet_manager_url: str = Field(
        default=_peer("wallet-manager"),
        validation_alias="WALLET_MANAGER_URL",
        description="Sibling.",
    )
    usdt_manager_url: str = Field(
        default=_peer("usdt-manager"), validation_alias="USDT_MANAGER_URL", description="Sibling."
    )
    trx_staking_url: str = Field(
        default=_peer("trx-staking"), validation_alias="TRX_STAKING_URL", description="Sibling."
    )
    payment_gateway_url: str = Field(
        default=_peer("payment-gateway"),
        validation_alias="PAYMENT_GATEWAY_URL",
        description="Sibling.",
    )
    peer_connect_timeout_s: int = Field(
        default=5,
        ge=1,
        le=60,
        validation_alias="PEER_CONNECT_TIMEOUT_S",
        description="Seconds to connect to a sibling.",
    )
    peer_timeout_s: int = Field(
        default=10,
        ge=1,
        le=120,
        validation_alias="PEER_TIMEOUT_S",
        description="Seconds for one call to a sibling, connection included.",
    )
    peer_deadline_s: int = Field(
        default=25,
        ge=1,
        le=300,
        validation_alias="PEER_DEADLINE_S",
        description="Seconds for all tries of one call to a sibling together.",
    )
    peer_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        validation_alias="PEER_ATTEMPTS",
        description="Tries of an idempotent call to a sibling.",
    )
    token_leeway_s: int = Field(
        default=10,
        ge=0,
        le=300,
        validation_alias="TOKEN_LEEWAY_S",
        description="Seconds of clock difference allowed in tokens.",
    )
    max_body_bytes: int = Field(
        default=1_048_576,
        ge=1_024,
        le=67_108_864,
        validation_alias="MAX_BODY_BYTES",
        description="Largest request body.",
    )
    max_concurrent_requests: int = Field(
        default=256,
        ge=1,
        le=10_000,
        validation_alias="MAX_CONCURRENT_REQUESTS",
        description="Requests under way before new ones are answered 503; probes are not counted.",
    )
    max_connections: int = Field(
        default=1_000,
        ge=16,
        le=100_000,
        validation_alias="MAX_CONNECTIONS",
        description="Open connections before new ones are turned away.",
    )
    body_timeout_s: int = Field(
        default=15,
        ge=1,
        le=600,
        validation_alias="BODY_TIMEOUT_S",
        description="Seconds in which a request's body must have come.",
    )
    rate_limit_requests: int = Field(
        default=100,
        ge=1,
        validation_alias="RATE_LIMIT_REQUESTS",
        description="Requests an identity may make per window; services are exempt.",
    )
    rate_limit_burst: int = Field(
        default=200,
        ge=1,
        validation_alias="RATE_LIMIT_BURST",
        description="Requests an identity may make at once after a pause.",
    )
    rate_limit_window_s: int = Field(
        default=60,
        ge=1,
        validation_alias="RATE_LIMIT_WINDOW",
        description="Seconds of that window.",
    )
    backup_interval_s: int = Field(
        default=86_400,
        ge=0,
        le=31_536_000,
        validation_alias="BACKUP_INTERVAL_S",
        description="Seconds from one backup that a service makes by itself to the next; 0 for none.",
    )
    backup_keep: int = Field(
        default=14,
        ge=1,
        le=10_000,
        validation_alias="BACKUP_KEEP",
        description="Sealed copies of a service that stay; older ones are removed after the next.",
    )
    backup_overdue_s: int = Field(
        default=172_800,
        ge=0,
        le=31_536_000,
        validation_alias="BACKUP_OVERDUE_S",
        description="Seconds after which /status and metrics call the last backup overdue; 0 for never.",
    )
    feed_keep_s: int = Field(
        default=2_592_000,
        ge=3_600,
        le=315_360_000,
        validation_alias="FEED_KEEP_S",
        description="Seconds that events of a feed are kept; longer until every consumer has come past them.",
    )
    feed_keep_events: int = Field(
        default=1_000_000,
        ge=1_000,
        le=100_000_000,
        validation_alias="FEED_KEEP_EVENTS",
        description="Events of a feed beyond which the oldest may go, if every consumer has come past them.",
    )
    feed_vanished_s: int = Field(
        default=86_400,
        ge=60,
        le=31_536_000,
        validation_alias="FEED_VANISHED_S",
        description="Seconds that a consumer may leave an event unconsumed before an alarm is raised.",
    )
    loop_jitter_percent: int = Field(
        default=10,
        ge=0,
        le=50,
        validation_alias="LOOP_JITTER_PERCENT",
        description="How far loops drift apart on purpose.",
    )

    @model_validator(mode="after")
    def _data_outside_the_work_tree(self) -> Self:
        tree = Path(__file__).resolve().parents[1]
        if self.tron_network is Network.DEVNET or not (tree / ".git").exists():
            return self
        places = {"LUCID_DATA_DIR": self.data_dir, "SECRETS_DIR": self.secrets_dir}
        for variable, place in places.items():
            if place is not None and place.resolve().is_relative_to(tree):
                raise ValueError(
                    f"{variable} is inside the work tree {tree}: money's data lives outside it (H25)"
                )
        return self

    @field_validator("mongodb_url")
    @classmethod
    def _a_mongodb_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(MONGODB_SCHEMES):
            raise ValueError("it begins with mongodb:// or mongodb+srv://")
        return url

    def keys_path(self) -> Path:
        """Return the folder of public keys."""
        return self.keys_dir or self.data_dir / "keys"

    def secrets_path(self, service: str) -> Path:
        """Return the folder of a service's secrets."""
        return self.secrets_dir or self.data_dir / "secrets" / service

    def backups_path(self) -> Path:
        """Return the folder of sealed copies."""
        return self.data_dir / "backups"

    def database_path(self, service: str) -> Path:
        """Return the path of a service's embedded database."""
        return self.data_dir / service / f"{service}.sqlite3"


def explain(error: ValidationError) -> str:
    """List every setting that is wrong, one a line, without its value."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        place = "".join(f"{part}: " for part in problem["loc"])
        lines.append(f"  {place}{problem['msg'].removeprefix('Value error, ')}")
    return "settings are wrong or missing:\n" + "\n".join(lines)


def read_secret(path: Path, *, purpose: str) -> bytes:
    """Read a secret file that only its owner may read.

    Args:
        path: the file.
        purpose: what it is for, in the operator's words, for the message.

    Raises:
        ConfigurationMissing: it is absent, unreadable, empty, too large or open to others.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_SECRET_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationMissing(
            f"{purpose} is missing: {path} does not exist; run 'python -m services init'"
        ) from None
    except PermissionError:
        raise ConfigurationMissing(
            f"{purpose} cannot be read: give {path} to the user this service runs as (uid 65532 in containers)"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationMissing(f"{purpose} is open to others: run 'chmod 600 {path}'")
    if not content.strip():
        raise ConfigurationMissing(
            f"{purpose} is empty: restore {path}, or remove it and run 'python -m services init'"
        )
    if len(content) > MAX_SECRET_BYTES:
        raise ConfigurationMissing(
            f"{purpose} is larger than {MAX_SECRET_BYTES} bytes, so {path} is something else: restore it"
        )
    return content


def process_environment() -> dict[str, str]:
    """Return a copy of this process's environment, for programs that it starts."""
    return dict(os.environ)  # noqa: TID251 - the one place
