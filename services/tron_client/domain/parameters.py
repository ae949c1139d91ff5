"""The chain parameters that decide fees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.tron_client.domain.blocks import InconsistentBlock
from shared.clock import rfc3339
from shared.models.tron_client import ChainParametersView, NetworkFeesView
from shared.money import BASE_UNITS_PER_COIN, Sun

_ENERGY: Final = "getEnergyFee"
_BANDWIDTH: Final = "getTransactionFee"
_ACTIVATION: Final = "getCreateNewAccountFeeInSystemContract"
_ACTIVATION_BANDWIDTH: Final = "getCreateAccountFee"
_MEMO: Final = "getMemoFee"
_MULTI_SIGN: Final = "getMultiSignFee"
_PERMISSION_UPDATE: Final = "getUpdateAccountPermissionFee"
_MAX_LIMIT: Final = "getMaxFeeLimit"
READING_ID: Final = "parameters"
FEES: Final = (
    _ENERGY,
    _BANDWIDTH,
    _ACTIVATION,
    _ACTIVATION_BANDWIDTH,
    _MEMO,
    _MULTI_SIGN,
    _PERMISSION_UPDATE,
    _MAX_LIMIT,
)

FIGURES: Final = frozenset({"getTotalEnergyAverageUsage", "getTotalEnergyCurrentLimit"})
"""Listed among the parameters, but moved by use and not by votes (java-tron EnergyProcessor)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What the chain charges, in sun, as of a moment.

    Attributes:
        activation_fee_sun: for making an account by a transfer to it.
        activation_bandwidth_fee_sun: for the bandwidth of that, unless staked bandwidth covers it.
        multi_sign_fee_sun: for a transaction with more than one signature.
        permission_update_fee_sun: for a change of an account's permissions.
        free_bandwidth: points an account has each day.
    """

    energy_fee_sun: Sun
    bandwidth_fee_sun: Sun
    activation_fee_sun: Sun
    activation_bandwidth_fee_sun: Sun
    memo_fee_sun: Sun
    multi_sign_fee_sun: Sun
    permission_update_fee_sun: Sun
    max_fee_limit_sun: Sun
    free_bandwidth: int
    read_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All chain parameters as they were when one of them last changed; kept to notice changes."""

    id: str = READING_ID
    version: int = 0
    values: Mapping[str, int]
    read_at_ms: int


def read_parameters(values: Mapping[str, int], *, now_ms: int) -> Parameters:
    """Pick the parameters; one that a node lists without a value is 0.

    Raises:
        InconsistentBlock: the two without which no fee can be told are not even listed, or a fee is
            below zero.
    """
    if any(values.get(name, 0) < 0 for name in FEES):
        raise InconsistentBlock("a fee among the chain parameters is below zero")
    if _ENERGY not in values or _BANDWIDTH not in values:
        raise InconsistentBlock("the chain parameters lack the prices of energy and bandwidth")
    return Parameters(
        energy_fee_sun=Sun(values[_ENERGY]),
        bandwidth_fee_sun=Sun(values[_BANDWIDTH]),
        activation_fee_sun=Sun(values.get(_ACTIVATION, 0)),
        activation_bandwidth_fee_sun=Sun(values.get(_ACTIVATION_BANDWIDTH, 0)),
        memo_fee_sun=Sun(values.get(_MEMO, 0)),
        multi_sign_fee_sun=Sun(values.get(_MULTI_SIGN, 0)),
        permission_update_fee_sun=Sun(values.get(_PERMISSION_UPDATE, 0)),
        max_fee_limit_sun=Sun(values.get(_MAX_LIMIT, 0)),
        free_bandwidth=values.get("getFreeNetLimit", 0),
        read_at_ms=now_ms,
    )


def parameters_view(parameters: Parameters) -> ChainParametersView:
    """Write the parameters for signers."""
    return ChainParametersView(
        energy_fee_sun=parameters.energy_fee_sun,
        bandwidth_fee_sun=parameters.bandwidth_fee_sun,
        activation_fee_sun=parameters.activation_fee_sun,
        activation_bandwidth_fee_sun=parameters.activation_bandwidth_fee_sun,
        memo_fee_sun=parameters.memo_fee_sun,
        multi_sign_fee_sun=parameters.multi_sign_fee_sun,
        permission_update_fee_sun=parameters.permission_update_fee_sun,
        max_fee_limit_sun=parameters.max_fee_limit_sun,
        free_bandwidth=parameters.free_bandwidth,
    )


def fees_view(parameters: Parameters) -> NetworkFeesView:
    """Write the prices for readers: of one energy, of one byte, and how many sun make one TRX."""
    return NetworkFeesView(
        energy_cost=str(parameters.energy_fee_sun),
        bandwidth_cost=str(parameters.bandwidth_fee_sun),
        sun_cost=str(BASE_UNITS_PER_COIN),
        account_activation_sun=str(parameters.activation_fee_sun),
        account_activation_bandwidth_sun=str(parameters.activation_bandwidth_fee_sun),
        memo_sun=str(parameters.memo_fee_sun),
        max_fee_limit_sun=str(parameters.max_fee_limit_sun),
        as_of=rfc3339(parameters.read_at_ms),
    )
