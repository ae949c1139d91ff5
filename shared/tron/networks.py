"""The networks this project knows, pinned by what cannot be imitated: their genesis blocks.

A transaction carries no chain id; what keeps it on its network is its reference block alone, so a
service that has not compared its node's genesis block with the one here must not sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.tron.address import Address, parse_address

COIN_TYPE_TRON: Final = 195
COIN_TYPE_TEST: Final = 1


class Network(StrEnum):
    """A network by the name that settings use."""

    MAINNET = "mainnet"
    SHASTA = "shasta"
    NILE = "nile"
    DEVNET = "devnet"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What distinguishes a network.

    ``genesis_block_id`` is 64 hexadecimal digits; ``chain_id`` its last four bytes, as contracts
    see it (TIP-474); ``coin_type`` the SLIP-44 number of HD paths.
    """

    genesis_block_id: str
    chain_id: int
    usdt_contract: Address
    coin_type: int


def _facts(genesis_block_id: str, usdt_contract: str, coin_type: int) -> NetworkFacts:
    return NetworkFacts(
        genesis_block_id=genesis_block_id,
        chain_id=int(genesis_block_id[-8:], 16),
        usdt_contract=parse_address(usdt_contract),
        coin_type=coin_type,
    )


FACTS: Final[Mapping[Network, NetworkFacts]] = MappingProxyType(
    {
        Network.MAINNET: _facts(
            "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc",
            "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
            COIN_TYPE_TRON,
        ),
        Network.SHASTA: _facts(
            "0000000000000000de1aa88295e1fcf982742f773e0419c5a9c134c994a9059e",
            "TG3XXyExBkPp9nzdajDZsozEu4BkaSJozs",
            COIN_TYPE_TEST,
        ),
        Network.NILE: _facts(
            "0000000000000000d698d4192c56cb6be724a558448e2684802de4d6cd8690dc",
            "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf",
            COIN_TYPE_TEST,
        ),
        Network.DEVNET: _facts(
            "000000000000000041e58762520e288c31f9ee31bb420641b93c2e5d747f7747",
            "TTaZC4WTxTYnaGvg5PrUjkLVivsWM8GFXn",
            COIN_TYPE_TEST,
        ),
    }
)
