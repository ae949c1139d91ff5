"""The kinds of contract a transaction may hold, by their names and numbers on the wire."""

from enum import StrEnum
from typing import Final


class ContractKind(StrEnum):
    """The kinds of contract that are recognised, by their names on the wire (Tron.proto)."""

    ACCOUNT_CREATE = "AccountCreateContract"
    TRANSFER = "TransferContract"
    TRANSFER_ASSET = "TransferAssetContract"
    VOTE_WITNESS = "VoteWitnessContract"
    WITHDRAW_BALANCE = "WithdrawBalanceContract"
    CREATE_SMART_CONTRACT = "CreateSmartContract"
    TRIGGER_SMART_CONTRACT = "TriggerSmartContract"
    UPDATE_SETTING = "UpdateSettingContract"
    ACCOUNT_PERMISSION_UPDATE = "AccountPermissionUpdateContract"
    FREEZE_BALANCE_V2 = "FreezeBalanceV2Contract"
    UNFREEZE_BALANCE_V2 = "UnfreezeBalanceV2Contract"
    WITHDRAW_EXPIRE_UNFREEZE = "WithdrawExpireUnfreezeContract"
    DELEGATE_RESOURCE = "DelegateResourceContract"
    UNDELEGATE_RESOURCE = "UnDelegateResourceContract"
    CANCEL_ALL_UNFREEZE_V2 = "CancelAllUnfreezeV2Contract"


KINDS: Final = {
    0: ContractKind.ACCOUNT_CREATE,
    1: ContractKind.TRANSFER,
    2: ContractKind.TRANSFER_ASSET,
    4: ContractKind.VOTE_WITNESS,
    13: ContractKind.WITHDRAW_BALANCE,
    30: ContractKind.CREATE_SMART_CONTRACT,
    31: ContractKind.TRIGGER_SMART_CONTRACT,
    33: ContractKind.UPDATE_SETTING,
    46: ContractKind.ACCOUNT_PERMISSION_UPDATE,
    54: ContractKind.FREEZE_BALANCE_V2,
    55: ContractKind.UNFREEZE_BALANCE_V2,
    56: ContractKind.WITHDRAW_EXPIRE_UNFREEZE,
    57: ContractKind.DELEGATE_RESOURCE,
    58: ContractKind.UNDELEGATE_RESOURCE,
    59: ContractKind.CANCEL_ALL_UNFREEZE_V2,
}
"""Kinds by their numbers (Tron.proto, ContractType)."""
