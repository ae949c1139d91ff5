import pytest

from devnet.contracts.usdt import USDT_CONTRACT
from devnet.genesis import GENESIS_BLOCK_ID
from shared.tron.networks import FACTS, Network


def test_every_network_is_pinned_and_none_shares_its_genesis_block() -> None:
    assert set(FACTS) == set(Network)
    assert len({facts.genesis_block_id for facts in FACTS.values()}) == len(Network)
    assert len({facts.chain_id for facts in FACTS.values()}) == len(Network)
    for facts in FACTS.values():
        assert len(facts.genesis_block_id) == 64
        assert facts.genesis_block_id.startswith("0" * 16)


@pytest.mark.parametrize(
    ("network", "chain_id", "coin_type"),
    [
        (Network.MAINNET, 728126428, 195),
        (Network.SHASTA, 2494104990, 1),
        (Network.NILE, 3448148188, 1),
    ],
)
def test_chain_ids_and_coin_types_are_the_published_ones(
    network: Network, chain_id: int, coin_type: int
) -> None:
    assert FACTS[network].chain_id == chain_id
    assert FACTS[network].coin_type == coin_type


def test_the_devnet_is_the_one_in_this_tree() -> None:
    assert FACTS[Network.DEVNET].genesis_block_id == GENESIS_BLOCK_ID
    assert FACTS[Network.DEVNET].usdt_contract == USDT_CONTRACT
    assert FACTS[Network.DEVNET].coin_type == 1
