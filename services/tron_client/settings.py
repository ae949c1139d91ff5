"""What tron-client reads from the environment."""

from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from services.tron_client.domain.credits import CreditPolicy
from services.tron_client.domain.tokens import Token, parse_token
from services.tron_client.node.client import BROADCAST_NODES
from services.tron_client.node.endpoints import Endpoint, operator_of
from services.tron_client.node.files import is_readable_on_the_way, read_endpoints
from services.tron_client.node.pages import PAGE_ITEMS, Bounds
from services.tron_client.node.proxying import check_proxy, check_reach
from shared.config import (
    SERVICES,
    ConfigurationMissing,
    ServiceSettings,
    port_variable,
    read_secret,
)
from shared.money import BASE_UNITS_PER_COIN, Currency
from shared.tron.networks import Network

NODES: Final = {
    Network.MAINNET: "https://api.trongrid.io",
    Network.SHASTA: "https://api.shasta.trongrid.io",
    Network.NILE: "https://nile.trongrid.io",
    Network.DEVNET: "http://127.0.0.1:18090",
}
"""Where the nodes are unless said otherwise."""

SLOT_MS: Final = 3_000
NOW: Final = "now"

_CALLS_PER_S: Final = 12
"""Below what TronGrid grants a key."""

_CALLS_PER_DAY: Final = 100_000
"""What TronGrid grants a key."""

_TRONGRID: Final = ".trongrid.io"

_DEVNET_POLL_BLOCKS: Final = 1
_POLL_BLOCKS: Final = 10


class Settings(ServiceSettings):
    """tron-client's settings."""

    port: int = Field(
        default=SERVICES["tron-client"],
        ge=0,
        le=65_535,
        validation_alias=port_variable("tron-client"),
        description="Port of tron-client.",
    )
    node_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("TRON_HTTP_ENDPOINT", "TRON_RPC_URL"),
        description="The node's HTTP interface with both trees. Default: by network.",
    )
    node_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("TRONGRID_API_KEY", "TRON_API_KEY"),
        description="TronGrid key; better as the file trongrid-api-key among the secrets.",
    )
    node_calls_per_day: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        validation_alias="NODE_CALLS_PER_DAY",
        description="Calls that the node grants in a UTC day, 0 for any number. Default: TronGrid's 100000.",
    )
    second_node_url: str | None = Field(
        default=None,
        validation_alias="TRON_SECOND_HTTP_ENDPOINT",
        description="A node of another operator; its key is the file second-api-key among the secrets.",
    )
    broadcast_nodes: int = Field(
        default=BROADCAST_NODES,
        ge=1,
        le=16,
        validation_alias="BROADCAST_NODES",
        description="Nodes that are handed the same signed bytes, of different operators first.",
    )
    endpoints_file: Path | None = Field(
        default=None,
        validation_alias="TRON_ENDPOINTS_FILE",
        description="JSON list of nodes with operators, keys and budgets, instead of TRON_HTTP_ENDPOINT.",
    )
    node_proxy_url: str | None = Field(
        default=None,
        validation_alias="NODE_PROXY_URL",
        description="The only way to the nodes: socks5h://host:port, as of Tor, or http://host:port.",
    )
    history_items: int = Field(
        default=5_000,
        ge=200,
        le=20_000,
        validation_alias="HISTORY_ITEMS",
        description="Items after which the history of an address is told incomplete; 200 cost a call.",
    )
    history_timeout_s: int = Field(
        default=20,
        ge=1,
        le=300,
        validation_alias="HISTORY_TIMEOUT_S",
        description="Seconds after which a history asks for no further page.",
    )
    node_timeout_s: int = Field(
        default=8,
        ge=1,
        le=60,
        validation_alias="NODE_TIMEOUT_S",
        description="Seconds for one call of the node, connection included.",
    )
    node_connect_timeout_s: int = Field(
        default=3,
        ge=1,
        le=60,
        validation_alias="NODE_CONNECT_TIMEOUT_S",
        description="Seconds to connect to the node.",
    )
    node_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        validation_alias="NODE_ATTEMPTS",
        description="Tries of a read from the node; broadcasts are tried once.",
    )
    node_concurrency: int = Field(
        default=16,
        ge=1,
        le=256,
        validation_alias="NODE_CONCURRENCY",
        description="Calls under way at once for each of broadcasts, following the chain, and reads.",
    )
    node_calls_per_s: int | None = Field(
        default=None,
        ge=0,
        le=10_000,
        validation_alias="NODE_CALLS_PER_S",
        description="Reads started per second; broadcasts do not wait. Default: 12, on the devnet 0, no limit.",
    )
    node_check_root: bool = Field(
        default=True,
        validation_alias="NODE_CHECK_TRANSACTION_ROOT",
        description="Recompute each block's transaction root and refuse blocks that do not fit.",
    )
    scan_interval_ms: int = Field(
        default=500,
        ge=10,
        le=60_000,
        validation_alias="SCAN_INTERVAL_MS",
        description="Milliseconds between looks for the next block.",
    )
    scan_batch_blocks: int = Field(
        default=20,
        ge=1,
        le=100,
        validation_alias="SCAN_BATCH_BLOCKS",
        description="Blocks in one call when catching up, and the most of one round.",
    )
    scan_start: str = Field(
        default=NOW,
        validation_alias="SCAN_START",
        description="Where an empty database begins: 'now' or the height of the first block to scan.",
    )
    solid_poll_blocks: int | None = Field(
        default=None,
        ge=1,
        le=100,
        validation_alias="SOLID_POLL_BLOCKS",
        description="Blocks between looks at the solid head. Default: 10, on the devnet 1.",
    )
    tokens: str = Field(
        default="",
        validation_alias="TRC20_TOKENS",
        description="Tokens besides USDT whose transfers are told: SYMBOL:CONTRACT:DECIMALS, by commas.",
    )
    agreed_from_usdt: int = Field(
        default=1_000,
        ge=0,
        validation_alias="AGREED_FROM_USDT",
        description="Whole USDT from which a deposit waits until a second operator bears it out.",
    )
    agreed_from_trx: int = Field(
        default=3_000,
        ge=0,
        validation_alias="AGREED_FROM_TRX",
        description="Whole TRX from which a deposit waits until a second operator bears it out.",
    )
    one_word_daily_usdt: int = Field(
        default=10_000,
        ge=0,
        validation_alias="ONE_WORD_DAILY_USDT",
        description="Whole USDT of smaller deposits in a day on one operator's word; mainnet only.",
    )
    one_word_daily_trx: int = Field(
        default=30_000,
        ge=0,
        validation_alias="ONE_WORD_DAILY_TRX",
        description="Whole TRX moved by contracts in a day on one operator's word; mainnet only.",
    )
    held_blocks: int = Field(
        default=30_000,
        ge=200,
        le=1_000_000,
        validation_alias="HELD_BLOCKS",
        description="Block ids kept below the solid one; a transaction lives up to 28,800 blocks.",
    )
    max_head_age_s: int = Field(
        default=120,
        ge=10,
        le=3_600,
        validation_alias="MAX_HEAD_AGE_S",
        description="Chain seconds after which the last scanned block is too old to sign by.",
    )
    rebroadcast_interval_s: int = Field(
        default=12,
        ge=3,
        le=300,
        validation_alias="REBROADCAST_INTERVAL_S",
        description="Chain seconds between broadcasts of the same bytes until a block holds them.",
    )
    submit_timeout_s: int = Field(
        default=5,
        ge=1,
        le=60,
        validation_alias="SUBMIT_TIMEOUT_S",
        description="Seconds a submitter waits for the node; later outcomes are unknown.",
    )
    parameters_interval_s: int = Field(
        default=60,
        ge=1,
        le=3_600,
        validation_alias="PARAMETERS_INTERVAL_S",
        description="Seconds between reads of the chain parameters.",
    )

    reconcile_interval_s: int = Field(
        default=60,
        ge=1,
        le=86_400,
        validation_alias="RECONCILE_INTERVAL_S",
        description="Seconds between looks at what watched addresses hold in solid blocks.",
    )
    reconcile_addresses: int = Field(
        default=2,
        ge=1,
        le=100,
        validation_alias="RECONCILE_ADDRESSES",
        description="Addresses in one such look; each costs two calls of the node.",
    )

    @field_validator("node_url", "second_node_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and (
            urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname
        ):
            raise ValueError("must be an http or https URL")
        return value

    @field_validator("node_proxy_url")
    @classmethod
    def _is_proxy(cls, value: str | None) -> str | None:
        return None if value is None else check_proxy(value)

    @model_validator(mode="after")
    def _nodes_are_named_once(self) -> Self:
        if self.endpoints_file is not None and (self.node_url or self.second_node_url):
            raise ValueError(
                "TRON_ENDPOINTS_FILE and TRON_HTTP_ENDPOINT or TRON_SECOND_HTTP_ENDPOINT exclude each other"
            )
        return self

    @field_validator("scan_start")
    @classmethod
    def _is_start(cls, value: str) -> str:
        if value != NOW and (not value.isascii() or not value.isdigit() or int(value) < 1):
            raise ValueError("must be 'now' or a height from 1")
        return value

    @field_validator("tokens")
    @classmethod
    def _is_tokens(cls, value: str) -> str:
        _tokens(value)
        return value

    def other_tokens(self) -> list[Token]:
        """Return the tokens that are told besides USDT."""
        return _tokens(self.tokens)

    def endpoint_url(self) -> str:
        """Return where the node is."""
        return self.node_url or NODES[self.tron_network]

    def endpoints(self) -> list[Endpoint]:
        """Return the nodes that may be asked, with their keys.

        Raises:
            ConfigurationMissing: the list or a key cannot be used, or a node would be reached in a way
                that gives away what the proxy is there to hide.
        """
        listed = self.endpoints_file
        found = self._named_endpoints() if listed is None else read_endpoints(listed)
        if self.tron_network is not Network.DEVNET:
            check_reach([each.url for each in found], self.node_proxy_url)
        return found

    def _named_endpoints(self) -> list[Endpoint]:
        is_devnet = self.tron_network is Network.DEVNET
        name = "devnet" if is_devnet else "trongrid" if _is_trongrid(self.endpoint_url()) else "own"
        first = self._endpoint(name, self.endpoint_url(), self.api_key())
        if self.second_node_url is None:
            return [first]
        key = self._second_api_key()
        return [first, self._endpoint("second", self.second_node_url, key, priority=1)]

    def _endpoint(self, name: str, url: str, api_key: str | None, *, priority: int = 0) -> Endpoint:
        is_devnet, is_trongrid = self.tron_network is Network.DEVNET, _is_trongrid(url)
        if api_key and not is_devnet and is_readable_on_the_way(url):
            raise ConfigurationMissing(
                f"the {name} node must begin with https:// where there is a key, which others could read"
            )
        calls_per_day = _CALLS_PER_DAY if is_trongrid else 0
        return Endpoint(
            name=name,
            operator=operator_of(url),
            url=url,
            api_key=api_key,
            priority=priority,
            calls_per_s=self.calls_per_s(),
            calls_per_day=(
                calls_per_day if self.node_calls_per_day is None else self.node_calls_per_day
            ),
            concurrency=self.node_concurrency,
            provides_history=is_devnet or is_trongrid,
        )

    def history_bounds(self) -> Bounds:
        """Return how far histories are followed."""
        return Bounds(pages=self.history_items // PAGE_ITEMS, seconds=self.history_timeout_s)

    def start_height(self) -> int | None:
        """Return the first height to scan, None for now."""
        return None if self.scan_start == NOW else int(self.scan_start)

    def poll_blocks(self) -> int:
        """Return how many blocks lie between looks at the solid head."""
        is_devnet = self.tron_network is Network.DEVNET
        return self.solid_poll_blocks or (_DEVNET_POLL_BLOCKS if is_devnet else _POLL_BLOCKS)

    def credit_policy(self) -> CreditPolicy:
        """Return which deposits one operator's word is not enough for."""
        is_mainnet = self.tron_network is Network.MAINNET
        daily = {
            Currency.USDT: self.one_word_daily_usdt * BASE_UNITS_PER_COIN,
            Currency.TRX: self.one_word_daily_trx * BASE_UNITS_PER_COIN,
        }
        return CreditPolicy(
            agreed_from={
                Currency.USDT: self.agreed_from_usdt * BASE_UNITS_PER_COIN,
                Currency.TRX: self.agreed_from_trx * BASE_UNITS_PER_COIN,
            },
            daily=daily if is_mainnet else {},
            needs_second=is_mainnet,
        )

    def slot_ms(self) -> int:
        """Return how long no next block is asked for; the devnet may run faster than its clock is read."""
        return 0 if self.tron_network is Network.DEVNET else SLOT_MS

    def calls_per_s(self) -> int:
        """Return how many reads may start in a second, 0 for any number."""
        if self.node_calls_per_s is not None:
            return self.node_calls_per_s
        return 0 if self.tron_network is Network.DEVNET else _CALLS_PER_S

    def api_key(self) -> str | None:
        """Return the key of the node, from its file or the environment; raises ConfigurationMissing."""
        path = self.secrets_path("tron-client") / "trongrid-api-key"
        if path.exists():
            return read_secret(path, purpose="the TronGrid key").decode().strip()
        return self.node_api_key.get_secret_value() if self.node_api_key else None

    def _second_api_key(self) -> str | None:
        path = self.secrets_path("tron-client") / "second-api-key"
        if not path.exists():
            return None
        return read_secret(path, purpose="the second node's key").decode().strip()


def _is_trongrid(url: str) -> bool:
    return f".{urlsplit(url).hostname}".endswith(_TRONGRID)


def _tokens(text: str) -> list[Token]:
    return [parse_token(each.strip()) for each in text.split(",") if each.strip()]
