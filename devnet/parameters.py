"""Chain parameters with mainnet's values, and the numbers that proposals know them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_LARGEST = 100_000_000_000_000_000
_SUPPLY = 100_000_000_000
_HOUR_MS = 3_600_000


class BadParameterError(ValueError):
    """There is no such parameter, or it cannot have this value."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value, the number that a proposal knows it by, and the values that it may have.

    Numbers and ranges are those of java-tron's ProposalUtil. The node only lets most switches be
    turned on; here they can be turned off as well. Two figures that the node measures itself have
    no number there, and one above 1,000 here.
    """

    value: int
    proposal_id: int
    minimum: int = 0
    maximum: int = _LARGEST


# In the order and under the names of java-tron's Wallet.getChainParameters.
PARAMETERS: dict[str, Parameter] = {
    "getMaintenanceTimeInterval": Parameter(21_600_000, 0, 81_000, 24 * _HOUR_MS),
    "getAccountUpgradeCost": Parameter(9_999_000_000, 1),
    "getCreateAccountFee": Parameter(100_000, 2),
    "getTransactionFee": Parameter(1_000, 3),
    "getAssetIssueFee": Parameter(1_024_000_000, 4),
    "getWitnessPayPerBlock": Parameter(8_000_000, 5),
    "getWitnessStandbyAllowance": Parameter(115_200_000_000, 6),
    "getCreateNewAccountFeeInSystemContract": Parameter(1_000_000, 7),
    "getCreateNewAccountBandwidthRate": Parameter(1, 8),
    "getAllowCreationOfContracts": Parameter(1, 9, 0, 1),
    "getRemoveThePowerOfTheGr": Parameter(1, 10, 0, 1),
    "getEnergyFee": Parameter(100, 11),
    "getExchangeCreateFee": Parameter(1_024_000_000, 12),
    "getMaxCpuTimeOfOneTx": Parameter(80, 13, 10, 400),
    "getAllowUpdateAccountName": Parameter(0, 14, 0, 1),
    "getAllowSameTokenName": Parameter(1, 15, 0, 1),
    "getAllowDelegateResource": Parameter(1, 16, 0, 1),
    "getTotalEnergyLimit": Parameter(180_000_000_000, 17),
    "getAllowTvmTransferTrc10": Parameter(1, 18, 0, 1),
    "getTotalEnergyCurrentLimit": Parameter(180_000_000_000, 19),
    "getAllowMultiSign": Parameter(1, 20, 0, 1),
    "getAllowAdaptiveEnergy": Parameter(0, 21, 0, 1),
    "getTotalEnergyTargetLimit": Parameter(12_500_000, 1_001),
    "getTotalEnergyAverageUsage": Parameter(0, 1_002),
    "getUpdateAccountPermissionFee": Parameter(100_000_000, 22, 0, _SUPPLY),
    "getMultiSignFee": Parameter(1_000_000, 23, 0, _SUPPLY),
    "getAllowAccountStateRoot": Parameter(0, 25, 0, 1),
    "getAllowProtoFilterNum": Parameter(0, 24, 0, 1),
    "getAllowTvmConstantinople": Parameter(1, 26, 0, 1),
    "getAllowTvmSolidity059": Parameter(1, 32, 0, 1),
    "getAllowTvmIstanbul": Parameter(1, 41, 0, 1),
    "getAllowShieldedTRC20Transaction": Parameter(1, 39, 0, 1),
    "getForbidTransferToContract": Parameter(0, 35, 0, 1),
    "getAdaptiveResourceLimitTargetRatio": Parameter(10, 33, 1, 1_000),
    "getAdaptiveResourceLimitMultiplier": Parameter(1_000, 29, 1, 10_000),
    "getChangeDelegation": Parameter(1, 30, 0, 1),
    "getWitness127PayPerBlock": Parameter(128_000_000, 31),
    "getAllowMarketTransaction": Parameter(0, 44, 0, 1),
    "getMarketSellFee": Parameter(0, 45, 0, 10_000_000_000),
    "getMarketCancelFee": Parameter(0, 46, 0, 10_000_000_000),
    "getAllowPBFT": Parameter(0, 40, 0, 1),
    "getAllowTransactionFeePool": Parameter(0, 48, 0, 1),
    "getMaxFeeLimit": Parameter(15_000_000_000, 47),
    "getAllowOptimizeBlackHole": Parameter(1, 49, 0, 1),
    "getAllowNewResourceModel": Parameter(0, 51, 0, 1),
    "getAllowTvmFreeze": Parameter(0, 52, 0, 1),
    "getAllowTvmVote": Parameter(1, 59, 0, 1),
    "getAllowTvmLondon": Parameter(1, 63, 0, 1),
    "getAllowTvmCompatibleEvm": Parameter(0, 60, 0, 1),
    "getAllowAccountAssetOptimization": Parameter(0, 53, 0, 1),
    "getFreeNetLimit": Parameter(600, 61, 0, 100_000),
    "getTotalNetLimit": Parameter(43_200_000_000, 62, 0, 1_000_000_000_000),
    "getAllowHigherLimitForMaxCpuTimeOfOneTx": Parameter(1, 65, 0, 1),
    "getAllowAssetOptimization": Parameter(1, 66, 0, 1),
    "getAllowNewReward": Parameter(1, 67, 0, 1),
    "getMemoFee": Parameter(1_000_000, 68, 0, 1_000_000_000),
    "getAllowDelegateOptimization": Parameter(1, 69, 0, 1),
    "getUnfreezeDelayDays": Parameter(14, 70, 1, 365),
    "getAllowOptimizedReturnValueOfChainId": Parameter(1, 71, 0, 1),
    "getAllowDynamicEnergy": Parameter(1, 72, 0, 1),
    "getDynamicEnergyThreshold": Parameter(5_000_000_000, 73),
    "getDynamicEnergyIncreaseFactor": Parameter(2_000, 74, 0, 10_000),
    "getDynamicEnergyMaxFactor": Parameter(34_000, 75, 0, 100_000),
    "getAllowTvmShangHai": Parameter(1, 76, 0, 1),
    "getAllowCancelAllUnfreezeV2": Parameter(1, 77, 0, 1),
    "getMaxDelegateLockPeriod": Parameter(864_000, 78, 0, 10_512_000),
    "getAllowOldRewardOpt": Parameter(1, 79, 0, 1),
    "getAllowEnergyAdjustment": Parameter(1, 81, 0, 1),
    "getMaxCreateAccountTxSize": Parameter(1_000, 82, 500, 10_000),
    "getAllowStrictMath": Parameter(1, 87, 0, 1),
    "getConsensusLogicOptimization": Parameter(1, 88, 0, 1),
    "getAllowTvmCancun": Parameter(1, 83, 0, 1),
    "getAllowTvmBlob": Parameter(1, 89, 0, 1),
    "getAllowTvmSelfdestructRestriction": Parameter(0, 94, 0, 1),
    "getProposalExpireTime": Parameter(259_200_000, 92, 1, 31_536_003_000),
    "getAllowTvmPrague": Parameter(1, 95, 0, 1),
    "getAllowTvmOsaka": Parameter(1, 96, 0, 1),
}

NAME_OF_PROPOSAL = {parameter.proposal_id: name for name, parameter in PARAMETERS.items()}


def numbered(values: Mapping[str, int]) -> dict[int, int]:
    """Parameters by their proposal numbers, as a ProposalCreateContract carries them.

    Raises:
        BadParameterError: There is none of a name, or a value is out of its range.
    """
    return {_known(name).proposal_id: _checked(name, value) for name, value in values.items()}


def check(number: int, value: int) -> None:
    """Ask that a proposal may set a parameter to a value.

    Raises:
        BadParameterError: It may not; the text is the node's.
    """
    name = NAME_OF_PROPOSAL.get(number)
    if name is None:
        raise BadParameterError(f"Does not support code : {number}")
    _checked(name, value)


def _known(name: str) -> Parameter:
    parameter = PARAMETERS.get(name)
    if parameter is None:
        raise BadParameterError(f"no such parameter: {name}")
    return parameter


def _checked(name: str, value: int) -> int:
    parameter = PARAMETERS[name]
    if not parameter.minimum <= value <= parameter.maximum:
        raise BadParameterError(
            "Bad chain parameter value, "
            f"valid range is [{parameter.minimum},{parameter.maximum}]: {name}"
        )
    return value
