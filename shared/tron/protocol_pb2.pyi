from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AccountType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    Normal: _ClassVar[AccountType]
    AssetIssue: _ClassVar[AccountType]
    Contract: _ClassVar[AccountType]

class ResourceCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BANDWIDTH: _ClassVar[ResourceCode]
    ENERGY: _ClassVar[ResourceCode]
    TRON_POWER: _ClassVar[ResourceCode]
Normal: AccountType
AssetIssue: AccountType
Contract: AccountType
BANDWIDTH: ResourceCode
ENERGY: ResourceCode
TRON_POWER: ResourceCode

class AnyMessage(_message.Message):
    __slots__ = ("type_url", "value")
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    type_url: str
    value: bytes
    def __init__(self, type_url: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class AccountCreateContract(_message.Message):
    __slots__ = ("owner_address", "account_address", "type")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    account_address: bytes
    type: AccountType
    def __init__(self, owner_address: _Optional[bytes] = ..., account_address: _Optional[bytes] = ..., type: _Optional[_Union[AccountType, str]] = ...) -> None: ...

class TransferContract(_message.Message):
    __slots__ = ("owner_address", "to_address", "amount")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TO_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    to_address: bytes
    amount: int
    def __init__(self, owner_address: _Optional[bytes] = ..., to_address: _Optional[bytes] = ..., amount: _Optional[int] = ...) -> None: ...

class VoteWitnessContract(_message.Message):
    __slots__ = ("owner_address", "votes", "support")
    class Vote(_message.Message):
        __slots__ = ("vote_address", "vote_count")
        VOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
        VOTE_COUNT_FIELD_NUMBER: _ClassVar[int]
        vote_address: bytes
        vote_count: int
        def __init__(self, vote_address: _Optional[bytes] = ..., vote_count: _Optional[int] = ...) -> None: ...
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    votes: _containers.RepeatedCompositeFieldContainer[VoteWitnessContract.Vote]
    support: bool
    def __init__(self, owner_address: _Optional[bytes] = ..., votes: _Optional[_Iterable[_Union[VoteWitnessContract.Vote, _Mapping]]] = ..., support: _Optional[bool] = ...) -> None: ...

class WithdrawBalanceContract(_message.Message):
    __slots__ = ("owner_address",)
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    def __init__(self, owner_address: _Optional[bytes] = ...) -> None: ...

class TriggerSmartContract(_message.Message):
    __slots__ = ("owner_address", "contract_address", "call_value", "data", "call_token_value", "token_id")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CALL_VALUE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CALL_TOKEN_VALUE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    contract_address: bytes
    call_value: int
    data: bytes
    call_token_value: int
    token_id: int
    def __init__(self, owner_address: _Optional[bytes] = ..., contract_address: _Optional[bytes] = ..., call_value: _Optional[int] = ..., data: _Optional[bytes] = ..., call_token_value: _Optional[int] = ..., token_id: _Optional[int] = ...) -> None: ...

class FreezeBalanceV2Contract(_message.Message):
    __slots__ = ("owner_address", "frozen_balance", "resource")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FROZEN_BALANCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    frozen_balance: int
    resource: ResourceCode
    def __init__(self, owner_address: _Optional[bytes] = ..., frozen_balance: _Optional[int] = ..., resource: _Optional[_Union[ResourceCode, str]] = ...) -> None: ...

class UnfreezeBalanceV2Contract(_message.Message):
    __slots__ = ("owner_address", "unfreeze_balance", "resource")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    UNFREEZE_BALANCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    unfreeze_balance: int
    resource: ResourceCode
    def __init__(self, owner_address: _Optional[bytes] = ..., unfreeze_balance: _Optional[int] = ..., resource: _Optional[_Union[ResourceCode, str]] = ...) -> None: ...

class WithdrawExpireUnfreezeContract(_message.Message):
    __slots__ = ("owner_address",)
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    def __init__(self, owner_address: _Optional[bytes] = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("address", "weight")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    address: bytes
    weight: int
    def __init__(self, address: _Optional[bytes] = ..., weight: _Optional[int] = ...) -> None: ...

class Permission(_message.Message):
    __slots__ = ("type", "id", "permission_name", "threshold", "parent_id", "operations", "keys")
    class PermissionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        Owner: _ClassVar[Permission.PermissionType]
        Witness: _ClassVar[Permission.PermissionType]
        Active: _ClassVar[Permission.PermissionType]
    Owner: Permission.PermissionType
    Witness: Permission.PermissionType
    Active: Permission.PermissionType
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PERMISSION_NAME_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    type: Permission.PermissionType
    id: int
    permission_name: str
    threshold: int
    parent_id: int
    operations: bytes
    keys: _containers.RepeatedCompositeFieldContainer[Key]
    def __init__(self, type: _Optional[_Union[Permission.PermissionType, str]] = ..., id: _Optional[int] = ..., permission_name: _Optional[str] = ..., threshold: _Optional[int] = ..., parent_id: _Optional[int] = ..., operations: _Optional[bytes] = ..., keys: _Optional[_Iterable[_Union[Key, _Mapping]]] = ...) -> None: ...

class AccountPermissionUpdateContract(_message.Message):
    __slots__ = ("owner_address", "owner", "witness", "actives")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    WITNESS_FIELD_NUMBER: _ClassVar[int]
    ACTIVES_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    owner: Permission
    witness: Permission
    actives: _containers.RepeatedCompositeFieldContainer[Permission]
    def __init__(self, owner_address: _Optional[bytes] = ..., owner: _Optional[_Union[Permission, _Mapping]] = ..., witness: _Optional[_Union[Permission, _Mapping]] = ..., actives: _Optional[_Iterable[_Union[Permission, _Mapping]]] = ...) -> None: ...

class DelegateResourceContract(_message.Message):
    __slots__ = ("owner_address", "resource", "balance", "receiver_address", "lock", "lock_period")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LOCK_FIELD_NUMBER: _ClassVar[int]
    LOCK_PERIOD_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    resource: ResourceCode
    balance: int
    receiver_address: bytes
    lock: bool
    lock_period: int
    def __init__(self, owner_address: _Optional[bytes] = ..., resource: _Optional[_Union[ResourceCode, str]] = ..., balance: _Optional[int] = ..., receiver_address: _Optional[bytes] = ..., lock: _Optional[bool] = ..., lock_period: _Optional[int] = ...) -> None: ...

class UnDelegateResourceContract(_message.Message):
    __slots__ = ("owner_address", "resource", "balance", "receiver_address")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    resource: ResourceCode
    balance: int
    receiver_address: bytes
    def __init__(self, owner_address: _Optional[bytes] = ..., resource: _Optional[_Union[ResourceCode, str]] = ..., balance: _Optional[int] = ..., receiver_address: _Optional[bytes] = ...) -> None: ...

class CancelAllUnfreezeV2Contract(_message.Message):
    __slots__ = ("owner_address",)
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    def __init__(self, owner_address: _Optional[bytes] = ...) -> None: ...

class Transaction(_message.Message):
    __slots__ = ("raw_data", "signature", "ret")
    class Contract(_message.Message):
        __slots__ = ("type", "parameter", "provider", "ContractName", "Permission_id")
        class ContractType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            AccountCreateContract: _ClassVar[Transaction.Contract.ContractType]
            TransferContract: _ClassVar[Transaction.Contract.ContractType]
            TransferAssetContract: _ClassVar[Transaction.Contract.ContractType]
            VoteWitnessContract: _ClassVar[Transaction.Contract.ContractType]
            WithdrawBalanceContract: _ClassVar[Transaction.Contract.ContractType]
            CreateSmartContract: _ClassVar[Transaction.Contract.ContractType]
            TriggerSmartContract: _ClassVar[Transaction.Contract.ContractType]
            UpdateSettingContract: _ClassVar[Transaction.Contract.ContractType]
            AccountPermissionUpdateContract: _ClassVar[Transaction.Contract.ContractType]
            FreezeBalanceV2Contract: _ClassVar[Transaction.Contract.ContractType]
            UnfreezeBalanceV2Contract: _ClassVar[Transaction.Contract.ContractType]
            WithdrawExpireUnfreezeContract: _ClassVar[Transaction.Contract.ContractType]
            DelegateResourceContract: _ClassVar[Transaction.Contract.ContractType]
            UnDelegateResourceContract: _ClassVar[Transaction.Contract.ContractType]
            CancelAllUnfreezeV2Contract: _ClassVar[Transaction.Contract.ContractType]
        AccountCreateContract: Transaction.Contract.ContractType
        TransferContract: Transaction.Contract.ContractType
        TransferAssetContract: Transaction.Contract.ContractType
        VoteWitnessContract: Transaction.Contract.ContractType
        WithdrawBalanceContract: Transaction.Contract.ContractType
        CreateSmartContract: Transaction.Contract.ContractType
        TriggerSmartContract: Transaction.Contract.ContractType
        UpdateSettingContract: Transaction.Contract.ContractType
        AccountPermissionUpdateContract: Transaction.Contract.ContractType
        FreezeBalanceV2Contract: Transaction.Contract.ContractType
        UnfreezeBalanceV2Contract: Transaction.Contract.ContractType
        WithdrawExpireUnfreezeContract: Transaction.Contract.ContractType
        DelegateResourceContract: Transaction.Contract.ContractType
        UnDelegateResourceContract: Transaction.Contract.ContractType
        CancelAllUnfreezeV2Contract: Transaction.Contract.ContractType
        TYPE_FIELD_NUMBER: _ClassVar[int]
        PARAMETER_FIELD_NUMBER: _ClassVar[int]
        PROVIDER_FIELD_NUMBER: _ClassVar[int]
        CONTRACTNAME_FIELD_NUMBER: _ClassVar[int]
        PERMISSION_ID_FIELD_NUMBER: _ClassVar[int]
        type: Transaction.Contract.ContractType
        parameter: AnyMessage
        provider: bytes
        ContractName: bytes
        Permission_id: int
        def __init__(self, type: _Optional[_Union[Transaction.Contract.ContractType, str]] = ..., parameter: _Optional[_Union[AnyMessage, _Mapping]] = ..., provider: _Optional[bytes] = ..., ContractName: _Optional[bytes] = ..., Permission_id: _Optional[int] = ...) -> None: ...
    class Result(_message.Message):
        __slots__ = ("fee", "ret", "contractRet", "assetIssueID", "withdraw_amount", "unfreeze_amount", "shielded_transaction_fee", "withdraw_expire_amount", "cancel_unfreezeV2_amount")
        class code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            SUCESS: _ClassVar[Transaction.Result.code]
            FAILED: _ClassVar[Transaction.Result.code]
        SUCESS: Transaction.Result.code
        FAILED: Transaction.Result.code
        class contractResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            DEFAULT: _ClassVar[Transaction.Result.contractResult]
            SUCCESS: _ClassVar[Transaction.Result.contractResult]
            REVERT: _ClassVar[Transaction.Result.contractResult]
            BAD_JUMP_DESTINATION: _ClassVar[Transaction.Result.contractResult]
            OUT_OF_MEMORY: _ClassVar[Transaction.Result.contractResult]
            PRECOMPILED_CONTRACT: _ClassVar[Transaction.Result.contractResult]
            STACK_TOO_SMALL: _ClassVar[Transaction.Result.contractResult]
            STACK_TOO_LARGE: _ClassVar[Transaction.Result.contractResult]
            ILLEGAL_OPERATION: _ClassVar[Transaction.Result.contractResult]
            STACK_OVERFLOW: _ClassVar[Transaction.Result.contractResult]
            OUT_OF_ENERGY: _ClassVar[Transaction.Result.contractResult]
            OUT_OF_TIME: _ClassVar[Transaction.Result.contractResult]
            JVM_STACK_OVER_FLOW: _ClassVar[Transaction.Result.contractResult]
            UNKNOWN: _ClassVar[Transaction.Result.contractResult]
            TRANSFER_FAILED: _ClassVar[Transaction.Result.contractResult]
            INVALID_CODE: _ClassVar[Transaction.Result.contractResult]
        DEFAULT: Transaction.Result.contractResult
        SUCCESS: Transaction.Result.contractResult
        REVERT: Transaction.Result.contractResult
        BAD_JUMP_DESTINATION: Transaction.Result.contractResult
        OUT_OF_MEMORY: Transaction.Result.contractResult
        PRECOMPILED_CONTRACT: Transaction.Result.contractResult
        STACK_TOO_SMALL: Transaction.Result.contractResult
        STACK_TOO_LARGE: Transaction.Result.contractResult
        ILLEGAL_OPERATION: Transaction.Result.contractResult
        STACK_OVERFLOW: Transaction.Result.contractResult
        OUT_OF_ENERGY: Transaction.Result.contractResult
        OUT_OF_TIME: Transaction.Result.contractResult
        JVM_STACK_OVER_FLOW: Transaction.Result.contractResult
        UNKNOWN: Transaction.Result.contractResult
        TRANSFER_FAILED: Transaction.Result.contractResult
        INVALID_CODE: Transaction.Result.contractResult
        class CancelUnfreezeV2AmountEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: int
            def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
        FEE_FIELD_NUMBER: _ClassVar[int]
        RET_FIELD_NUMBER: _ClassVar[int]
        CONTRACTRET_FIELD_NUMBER: _ClassVar[int]
        ASSETISSUEID_FIELD_NUMBER: _ClassVar[int]
        WITHDRAW_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        UNFREEZE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        SHIELDED_TRANSACTION_FEE_FIELD_NUMBER: _ClassVar[int]
        WITHDRAW_EXPIRE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        CANCEL_UNFREEZEV2_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        fee: int
        ret: Transaction.Result.code
        contractRet: Transaction.Result.contractResult
        assetIssueID: str
        withdraw_amount: int
        unfreeze_amount: int
        shielded_transaction_fee: int
        withdraw_expire_amount: int
        cancel_unfreezeV2_amount: _containers.ScalarMap[str, int]
        def __init__(self, fee: _Optional[int] = ..., ret: _Optional[_Union[Transaction.Result.code, str]] = ..., contractRet: _Optional[_Union[Transaction.Result.contractResult, str]] = ..., assetIssueID: _Optional[str] = ..., withdraw_amount: _Optional[int] = ..., unfreeze_amount: _Optional[int] = ..., shielded_transaction_fee: _Optional[int] = ..., withdraw_expire_amount: _Optional[int] = ..., cancel_unfreezeV2_amount: _Optional[_Mapping[str, int]] = ...) -> None: ...
    class raw(_message.Message):
        __slots__ = ("ref_block_bytes", "ref_block_num", "ref_block_hash", "expiration", "data", "contract", "scripts", "timestamp", "fee_limit")
        REF_BLOCK_BYTES_FIELD_NUMBER: _ClassVar[int]
        REF_BLOCK_NUM_FIELD_NUMBER: _ClassVar[int]
        REF_BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
        EXPIRATION_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        CONTRACT_FIELD_NUMBER: _ClassVar[int]
        SCRIPTS_FIELD_NUMBER: _ClassVar[int]
        TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
        FEE_LIMIT_FIELD_NUMBER: _ClassVar[int]
        ref_block_bytes: bytes
        ref_block_num: int
        ref_block_hash: bytes
        expiration: int
        data: bytes
        contract: _containers.RepeatedCompositeFieldContainer[Transaction.Contract]
        scripts: bytes
        timestamp: int
        fee_limit: int
        def __init__(self, ref_block_bytes: _Optional[bytes] = ..., ref_block_num: _Optional[int] = ..., ref_block_hash: _Optional[bytes] = ..., expiration: _Optional[int] = ..., data: _Optional[bytes] = ..., contract: _Optional[_Iterable[_Union[Transaction.Contract, _Mapping]]] = ..., scripts: _Optional[bytes] = ..., timestamp: _Optional[int] = ..., fee_limit: _Optional[int] = ...) -> None: ...
    RAW_DATA_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    RET_FIELD_NUMBER: _ClassVar[int]
    raw_data: Transaction.raw
    signature: _containers.RepeatedScalarFieldContainer[bytes]
    ret: _containers.RepeatedCompositeFieldContainer[Transaction.Result]
    def __init__(self, raw_data: _Optional[_Union[Transaction.raw, _Mapping]] = ..., signature: _Optional[_Iterable[bytes]] = ..., ret: _Optional[_Iterable[_Union[Transaction.Result, _Mapping]]] = ...) -> None: ...

class BlockHeader(_message.Message):
    __slots__ = ("raw_data", "witness_signature")
    class raw(_message.Message):
        __slots__ = ("timestamp", "txTrieRoot", "parentHash", "number", "witness_id", "witness_address", "version", "accountStateRoot")
        TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
        TXTRIEROOT_FIELD_NUMBER: _ClassVar[int]
        PARENTHASH_FIELD_NUMBER: _ClassVar[int]
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        WITNESS_ID_FIELD_NUMBER: _ClassVar[int]
        WITNESS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
        VERSION_FIELD_NUMBER: _ClassVar[int]
        ACCOUNTSTATEROOT_FIELD_NUMBER: _ClassVar[int]
        timestamp: int
        txTrieRoot: bytes
        parentHash: bytes
        number: int
        witness_id: int
        witness_address: bytes
        version: int
        accountStateRoot: bytes
        def __init__(self, timestamp: _Optional[int] = ..., txTrieRoot: _Optional[bytes] = ..., parentHash: _Optional[bytes] = ..., number: _Optional[int] = ..., witness_id: _Optional[int] = ..., witness_address: _Optional[bytes] = ..., version: _Optional[int] = ..., accountStateRoot: _Optional[bytes] = ...) -> None: ...
    RAW_DATA_FIELD_NUMBER: _ClassVar[int]
    WITNESS_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    raw_data: BlockHeader.raw
    witness_signature: bytes
    def __init__(self, raw_data: _Optional[_Union[BlockHeader.raw, _Mapping]] = ..., witness_signature: _Optional[bytes] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("transactions", "block_header")
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HEADER_FIELD_NUMBER: _ClassVar[int]
    transactions: _containers.RepeatedCompositeFieldContainer[Transaction]
    block_header: BlockHeader
    def __init__(self, transactions: _Optional[_Iterable[_Union[Transaction, _Mapping]]] = ..., block_header: _Optional[_Union[BlockHeader, _Mapping]] = ...) -> None: ...
