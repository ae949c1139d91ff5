from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devnet.parameters import NAME_OF_PROPOSAL, PARAMETERS, BadParameterError, check, numbered
from devnet.state import ENERGY_PRICES, MEMO_PRICES, NET_PRICES

MAINNET = {
    "getMaintenanceTimeInterval": 21_600_000,
    "getAccountUpgradeCost": 9_999_000_000,
    "getCreateAccountFee": 100_000,
    "getTransactionFee": 1_000,
    "getWitnessPayPerBlock": 8_000_000,
    "getWitness127PayPerBlock": 128_000_000,
    "getCreateNewAccountFeeInSystemContract": 1_000_000,
    "getCreateNewAccountBandwidthRate": 1,
    "getEnergyFee": 100,
    "getMaxCpuTimeOfOneTx": 80,
    "getTotalEnergyLimit": 180_000_000_000,
    "getTotalEnergyCurrentLimit": 180_000_000_000,
    "getAllowAdaptiveEnergy": 0,
    "getTotalNetLimit": 43_200_000_000,
    "getFreeNetLimit": 600,
    "getUpdateAccountPermissionFee": 100_000_000,
    "getMultiSignFee": 1_000_000,
    "getMemoFee": 1_000_000,
    "getMaxFeeLimit": 15_000_000_000,
    "getUnfreezeDelayDays": 14,
    "getMaxDelegateLockPeriod": 864_000,
    "getAllowCancelAllUnfreezeV2": 1,
    "getAllowDynamicEnergy": 1,
    "getDynamicEnergyThreshold": 5_000_000_000,
    "getDynamicEnergyIncreaseFactor": 2_000,
    "getDynamicEnergyMaxFactor": 34_000,
    "getMaxCreateAccountTxSize": 1_000,
    "getAllowOptimizeBlackHole": 1,
    "getAllowTransactionFeePool": 0,
    "getAllowNewResourceModel": 0,
    "getForbidTransferToContract": 0,
    "getAllowTvmCompatibleEvm": 0,
    "getAllowPBFT": 0,
    "getAllowMarketTransaction": 0,
    "getAllowTvmFreeze": 0,
    "getAllowUpdateAccountName": 0,
    "getAllowProtoFilterNum": 0,
    "getAllowAccountAssetOptimization": 0,
    "getAdaptiveResourceLimitMultiplier": 1_000,
    "getAdaptiveResourceLimitTargetRatio": 10,
    "getProposalExpireTime": 259_200_000,
    "getAllowTvmSelfdestructRestriction": 0,
    "getAllowTvmPrague": 1,
    "getAllowTvmOsaka": 1,
}


def test_the_defaults_are_mainnet_s() -> None:
    """TF 4.1."""
    assert {name: PARAMETERS[name].value for name in MAINNET} == MAINNET
    assert len(NAME_OF_PROPOSAL) == len(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_can_be_set_to_its_own_value_and_not_below_its_range(name: str) -> None:
    parameter = PARAMETERS[name]

    assert numbered({name: parameter.value}) == {parameter.proposal_id: parameter.value}
    with pytest.raises(BadParameterError, match="valid range"):
        numbered({name: parameter.minimum - 1})
    with pytest.raises(BadParameterError, match="valid range"):
        check(parameter.proposal_id, parameter.maximum + 1)


def test_what_is_no_parameter_is_refused() -> None:
    with pytest.raises(BadParameterError, match="no such parameter: getNothing"):
        numbered({"getNothing": 1})
    with pytest.raises(BadParameterError, match="Does not support code : 999"):
        check(999, 1)


def test_the_price_histories_follow_the_prices(world: Any) -> None:
    before = [world.node.pending_state.text(kind) for kind in (ENERGY_PRICES, NET_PRICES)]
    memo = world.node.pending_state.text(MEMO_PRICES)
    head_ms = world.node.chain.head.time_ms
    values = {"getEnergyFee": 210, "getTransactionFee": 140, "getMemoFee": 5, "getFreeNetLimit": 0}

    world.devnet.teller.set_parameters(numbered(values))
    world.mine()

    state = world.node.chain.ledger.head
    assert state.text(ENERGY_PRICES) == f"{before[0]},{head_ms}:210"
    assert state.text(NET_PRICES) == f"{before[1]},{head_ms}:140"
    assert state.text(MEMO_PRICES) == f"{memo},{head_ms}:5"
    assert state.parameter("getFreeNetLimit") == 0


def test_the_chain_s_energy_is_one_figure_under_two_names(world: Any) -> None:
    world.devnet.teller.set_parameters(numbered({"getTotalEnergyCurrentLimit": 90_000_000_000}))
    world.mine()

    state = world.node.chain.ledger.head
    assert state.parameter("getTotalEnergyLimit") == 90_000_000_000
    assert state.parameter("getTotalEnergyTargetLimit") == 6_250_000


def test_parameters_come_into_force_and_survive_a_restart(
    tmp_path: Path, open_world: Callable[[Path], Any]
) -> None:
    world = open_world(tmp_path / "chain.blocks")
    world.mine()
    values = {"getTransactionFee": 40, "getFreeNetLimit": 0, "getUnfreezeDelayDays": 1}
    world.devnet.teller.set_parameters(numbered(values))
    world.mine()
    info = world.confirmed(world.transfer(world.payee.address, 1))
    changed = dict(world.node.chain.ledger.head.changes)
    world.node.close()

    again = open_world(tmp_path / "chain.blocks")

    assert info.receipt.net_fee == 265 * 40
    assert {name: again.node.chain.ledger.head.parameter(name) for name in values} == values
    assert again.node.chain.ledger.head.changes == changed
    again.node.close()
