"""Chain parameters with mainnet's values, and the numbers that proposals know them by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value and, where a proposal may change it, the proposal's number for it.

    Numbers are those of java-tron's ProposalUtil.ProposalType.
    """

    value: int
    proposal_id: int | None = None


# In the order and under the names of java-tron's Wallet.getChainParameters.
PARAMETERS: dict[str, Parameter] = {
    "getMaintenanceTimeInterval": Parameter(21_600_000, 0),
    "getAccountUpgradeCost": Parameter(9_999_000_000, 1),
    "getCreateAccountFee": Parameter(100_000, 2),
    "getTransactionFee": Parameter(1_000, 3),
    "getAssetIssueFee": Parameter(1_024_000_000, 4),
    "getWitnessPayPerBlock": Parameter(8_000_000, 5),
    "getWitnessStandbyAllowance": Parameter(115_200_000_000, 6),
    "getCreateNewAccountFeeInSystemContract": Parameter(1_000_000, 7),
    "getCreateNewAccountBandwidthRate": Parameter(1, 8),
    "getAllowCreationOfContracts": Parameter(1, 9),
    "getRemoveThePowerOfTheGr": Parameter(1, 10),
    "getEnergyFee": Parameter(100, 11),
    "getExchangeCreateFee": Parameter(1_024_000_000, 12),
    "getMaxCpuTimeOfOneTx": Parameter(80, 13),
    "getAllowUpdateAccountName": Parameter(0, 14),
    "getAllowSameTokenName": Parameter(1, 15),
    "getAllowDelegateResource": Parameter(1, 16),
    "getTotalEnergyLimit": Parameter(180_000_000_000, 17),
    "getAllowTvmTransferTrc10": Parameter(1, 18),
    "getTotalEnergyCurrentLimit": Parameter(180_000_000_000, 19),
    "getAllowMultiSign": Parameter(1, 20),
    "getAllowAdaptiveEnergy": Parameter(0, 21),
    "getTotalEnergyTargetLimit": Parameter(12_500_000),
    "getTotalEnergyAverageUsage": Parameter(0),
    "getUpdateAccountPermissionFee": Parameter(100_000_000, 22),
    "getMultiSignFee": Parameter(1_000_000, 23),
    "getAllowAccountStateRoot": Parameter(0, 25),
    "getAllowProtoFilterNum": Parameter(0, 24),
    "getAllowTvmConstantinople": Parameter(1, 26),
    "getAllowTvmSolidity059": Parameter(1, 32),
    "getAllowTvmIstanbul": Parameter(1, 41),
    "getAllowShieldedTRC20Transaction": Parameter(1, 39),
    "getForbidTransferToContract": Parameter(0, 35),
    "getAdaptiveResourceLimitTargetRatio": Parameter(10, 33),
    "getAdaptiveResourceLimitMultiplier": Parameter(1_000, 29),
    "getChangeDelegation": Parameter(1, 30),
    "getWitness127PayPerBlock": Parameter(128_000_000, 31),
    "getAllowMarketTransaction": Parameter(0, 44),
    "getMarketSellFee": Parameter(0, 45),
    "getMarketCancelFee": Parameter(0, 46),
    "getAllowPBFT": Parameter(0, 40),
    "getAllowTransactionFeePool": Parameter(0, 48),
    "getMaxFeeLimit": Parameter(15_000_000_000, 47),
    "getAllowOptimizeBlackHole": Parameter(1, 49),
    "getAllowNewResourceModel": Parameter(0, 51),
    "getAllowTvmFreeze": Parameter(0, 52),
    "getAllowTvmVote": Parameter(1, 59),
    "getAllowTvmLondon": Parameter(1, 63),
    "getAllowTvmCompatibleEvm": Parameter(0, 60),
    "getAllowAccountAssetOptimization": Parameter(0, 53),
    "getFreeNetLimit": Parameter(600, 61),
    "getTotalNetLimit": Parameter(43_200_000_000, 62),
    "getAllowHigherLimitForMaxCpuTimeOfOneTx": Parameter(1, 65),
    "getAllowAssetOptimization": Parameter(1, 66),
    "getAllowNewReward": Parameter(1, 67),
    "getMemoFee": Parameter(1_000_000, 68),
    "getAllowDelegateOptimization": Parameter(1, 69),
    "getUnfreezeDelayDays": Parameter(14, 70),
    "getAllowOptimizedReturnValueOfChainId": Parameter(1, 71),
    "getAllowDynamicEnergy": Parameter(1, 72),
    "getDynamicEnergyThreshold": Parameter(5_000_000_000, 73),
    "getDynamicEnergyIncreaseFactor": Parameter(2_000, 74),
    "getDynamicEnergyMaxFactor": Parameter(34_000, 75),
    "getAllowTvmShangHai": Parameter(1, 76),
    "getAllowCancelAllUnfreezeV2": Parameter(1, 77),
    "getMaxDelegateLockPeriod": Parameter(864_000, 78),
    "getAllowOldRewardOpt": Parameter(1, 79),
    "getAllowEnergyAdjustment": Parameter(1, 81),
    "getMaxCreateAccountTxSize": Parameter(1_000, 82),
    "getAllowStrictMath": Parameter(1, 87),
    "getConsensusLogicOptimization": Parameter(1, 88),
    "getAllowTvmCancun": Parameter(1, 83),
    "getAllowTvmBlob": Parameter(1, 89),
    "getAllowTvmSelfdestructRestriction": Parameter(0, 94),
}

NAME_OF_PROPOSAL = {
    parameter.proposal_id: name
    for name, parameter in PARAMETERS.items()
    if parameter.proposal_id is not None
}
