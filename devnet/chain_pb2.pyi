from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResourceCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BANDWIDTH: _ClassVar[ResourceCode]
    ENERGY: _ClassVar[ResourceCode]
    TRON_POWER: _ClassVar[ResourceCode]
BANDWIDTH: ResourceCode
ENERGY: ResourceCode
TRON_POWER: ResourceCode

class Any(_message.Message):
    __slots__ = ("type_url", "value")
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    type_url: str
    value: bytes
    def __init__(self, type_url: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class Transaction(_message.Message):
    __slots__ = ("raw_data", "signature", "ret")
    class Contract(_message.Message):
        __slots__ = ("type", "parameter", "provider", "ContractName", "Permission_id")
        class ContractType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            AccountCreateContract: _ClassVar[Transaction.Contract.ContractType]
            TransferContract: _ClassVar[Transaction.Contract.ContractType]
            TransferAssetContract: _ClassVar[Transaction.Contract.ContractType]
            VoteAssetContract: _ClassVar[Transaction.Contract.ContractType]
            VoteWitnessContract: _ClassVar[Transaction.Contract.ContractType]
            WitnessCreateContract: _ClassVar[Transaction.Contract.ContractType]
            AssetIssueContract: _ClassVar[Transaction.Contract.ContractType]
            WitnessUpdateContract: _ClassVar[Transaction.Contract.ContractType]
            ParticipateAssetIssueContract: _ClassVar[Transaction.Contract.ContractType]
            AccountUpdateContract: _ClassVar[Transaction.Contract.ContractType]
            FreezeBalanceContract: _ClassVar[Transaction.Contract.ContractType]
            UnfreezeBalanceContract: _ClassVar[Transaction.Contract.ContractType]
            WithdrawBalanceContract: _ClassVar[Transaction.Contract.ContractType]
            UnfreezeAssetContract: _ClassVar[Transaction.Contract.ContractType]
            UpdateAssetContract: _ClassVar[Transaction.Contract.ContractType]
            ProposalCreateContract: _ClassVar[Transaction.Contract.ContractType]
            ProposalApproveContract: _ClassVar[Transaction.Contract.ContractType]
            ProposalDeleteContract: _ClassVar[Transaction.Contract.ContractType]
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
        VoteAssetContract: Transaction.Contract.ContractType
        VoteWitnessContract: Transaction.Contract.ContractType
        WitnessCreateContract: Transaction.Contract.ContractType
        AssetIssueContract: Transaction.Contract.ContractType
        WitnessUpdateContract: Transaction.Contract.ContractType
        ParticipateAssetIssueContract: Transaction.Contract.ContractType
        AccountUpdateContract: Transaction.Contract.ContractType
        FreezeBalanceContract: Transaction.Contract.ContractType
        UnfreezeBalanceContract: Transaction.Contract.ContractType
        WithdrawBalanceContract: Transaction.Contract.ContractType
        UnfreezeAssetContract: Transaction.Contract.ContractType
        UpdateAssetContract: Transaction.Contract.ContractType
        ProposalCreateContract: Transaction.Contract.ContractType
        ProposalApproveContract: Transaction.Contract.ContractType
        ProposalDeleteContract: Transaction.Contract.ContractType
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
        parameter: Any
        provider: bytes
        ContractName: bytes
        Permission_id: int
        def __init__(self, type: _Optional[_Union[Transaction.Contract.ContractType, str]] = ..., parameter: _Optional[_Union[Any, _Mapping]] = ..., provider: _Optional[bytes] = ..., ContractName: _Optional[bytes] = ..., Permission_id: _Optional[int] = ...) -> None: ...
    class Result(_message.Message):
        __slots__ = ("fee", "ret", "contractRet", "withdraw_amount", "unfreeze_amount", "withdraw_expire_amount")
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
        FEE_FIELD_NUMBER: _ClassVar[int]
        RET_FIELD_NUMBER: _ClassVar[int]
        CONTRACTRET_FIELD_NUMBER: _ClassVar[int]
        WITHDRAW_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        UNFREEZE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        WITHDRAW_EXPIRE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        fee: int
        ret: Transaction.Result.code
        contractRet: Transaction.Result.contractResult
        withdraw_amount: int
        unfreeze_amount: int
        withdraw_expire_amount: int
        def __init__(self, fee: _Optional[int] = ..., ret: _Optional[_Union[Transaction.Result.code, str]] = ..., contractRet: _Optional[_Union[Transaction.Result.contractResult, str]] = ..., withdraw_amount: _Optional[int] = ..., unfreeze_amount: _Optional[int] = ..., withdraw_expire_amount: _Optional[int] = ...) -> None: ...
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

class ResourceReceipt(_message.Message):
    __slots__ = ("energy_usage", "energy_fee", "origin_energy_usage", "energy_usage_total", "net_usage", "net_fee", "result", "energy_penalty_total")
    ENERGY_USAGE_FIELD_NUMBER: _ClassVar[int]
    ENERGY_FEE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ENERGY_USAGE_FIELD_NUMBER: _ClassVar[int]
    ENERGY_USAGE_TOTAL_FIELD_NUMBER: _ClassVar[int]
    NET_USAGE_FIELD_NUMBER: _ClassVar[int]
    NET_FEE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ENERGY_PENALTY_TOTAL_FIELD_NUMBER: _ClassVar[int]
    energy_usage: int
    energy_fee: int
    origin_energy_usage: int
    energy_usage_total: int
    net_usage: int
    net_fee: int
    result: Transaction.Result.contractResult
    energy_penalty_total: int
    def __init__(self, energy_usage: _Optional[int] = ..., energy_fee: _Optional[int] = ..., origin_energy_usage: _Optional[int] = ..., energy_usage_total: _Optional[int] = ..., net_usage: _Optional[int] = ..., net_fee: _Optional[int] = ..., result: _Optional[_Union[Transaction.Result.contractResult, str]] = ..., energy_penalty_total: _Optional[int] = ...) -> None: ...

class TransactionInfo(_message.Message):
    __slots__ = ("id", "fee", "blockNumber", "blockTimeStamp", "contractResult", "contract_address", "receipt", "log", "result", "resMessage", "withdraw_amount", "unfreeze_amount", "internal_transactions", "withdraw_expire_amount", "cancel_unfreezeV2_amount")
    class code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SUCESS: _ClassVar[TransactionInfo.code]
        FAILED: _ClassVar[TransactionInfo.code]
    SUCESS: TransactionInfo.code
    FAILED: TransactionInfo.code
    class Log(_message.Message):
        __slots__ = ("address", "topics", "data")
        ADDRESS_FIELD_NUMBER: _ClassVar[int]
        TOPICS_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        address: bytes
        topics: _containers.RepeatedScalarFieldContainer[bytes]
        data: bytes
        def __init__(self, address: _Optional[bytes] = ..., topics: _Optional[_Iterable[bytes]] = ..., data: _Optional[bytes] = ...) -> None: ...
    class CancelUnfreezeV2AmountEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    FEE_FIELD_NUMBER: _ClassVar[int]
    BLOCKNUMBER_FIELD_NUMBER: _ClassVar[int]
    BLOCKTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CONTRACTRESULT_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    RESMESSAGE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    UNFREEZE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    INTERNAL_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_EXPIRE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_UNFREEZEV2_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    fee: int
    blockNumber: int
    blockTimeStamp: int
    contractResult: _containers.RepeatedScalarFieldContainer[bytes]
    contract_address: bytes
    receipt: ResourceReceipt
    log: _containers.RepeatedCompositeFieldContainer[TransactionInfo.Log]
    result: TransactionInfo.code
    resMessage: bytes
    withdraw_amount: int
    unfreeze_amount: int
    internal_transactions: _containers.RepeatedCompositeFieldContainer[InternalTransaction]
    withdraw_expire_amount: int
    cancel_unfreezeV2_amount: _containers.ScalarMap[str, int]
    def __init__(self, id: _Optional[bytes] = ..., fee: _Optional[int] = ..., blockNumber: _Optional[int] = ..., blockTimeStamp: _Optional[int] = ..., contractResult: _Optional[_Iterable[bytes]] = ..., contract_address: _Optional[bytes] = ..., receipt: _Optional[_Union[ResourceReceipt, _Mapping]] = ..., log: _Optional[_Iterable[_Union[TransactionInfo.Log, _Mapping]]] = ..., result: _Optional[_Union[TransactionInfo.code, str]] = ..., resMessage: _Optional[bytes] = ..., withdraw_amount: _Optional[int] = ..., unfreeze_amount: _Optional[int] = ..., internal_transactions: _Optional[_Iterable[_Union[InternalTransaction, _Mapping]]] = ..., withdraw_expire_amount: _Optional[int] = ..., cancel_unfreezeV2_amount: _Optional[_Mapping[str, int]] = ...) -> None: ...

class InternalTransaction(_message.Message):
    __slots__ = ("hash", "caller_address", "transferTo_address", "callValueInfo", "note", "rejected")
    class CallValueInfo(_message.Message):
        __slots__ = ("callValue", "tokenId")
        CALLVALUE_FIELD_NUMBER: _ClassVar[int]
        TOKENID_FIELD_NUMBER: _ClassVar[int]
        callValue: int
        tokenId: str
        def __init__(self, callValue: _Optional[int] = ..., tokenId: _Optional[str] = ...) -> None: ...
    HASH_FIELD_NUMBER: _ClassVar[int]
    CALLER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TRANSFERTO_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CALLVALUEINFO_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    caller_address: bytes
    transferTo_address: bytes
    callValueInfo: _containers.RepeatedCompositeFieldContainer[InternalTransaction.CallValueInfo]
    note: bytes
    rejected: bool
    def __init__(self, hash: _Optional[bytes] = ..., caller_address: _Optional[bytes] = ..., transferTo_address: _Optional[bytes] = ..., callValueInfo: _Optional[_Iterable[_Union[InternalTransaction.CallValueInfo, _Mapping]]] = ..., note: _Optional[bytes] = ..., rejected: _Optional[bool] = ...) -> None: ...

class AccountCreateContract(_message.Message):
    __slots__ = ("owner_address", "account_address", "type")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    account_address: bytes
    type: int
    def __init__(self, owner_address: _Optional[bytes] = ..., account_address: _Optional[bytes] = ..., type: _Optional[int] = ...) -> None: ...

class TransferContract(_message.Message):
    __slots__ = ("owner_address", "to_address", "amount")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TO_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    to_address: bytes
    amount: int
    def __init__(self, owner_address: _Optional[bytes] = ..., to_address: _Optional[bytes] = ..., amount: _Optional[int] = ...) -> None: ...

class SmartContract(_message.Message):
    __slots__ = ("origin_address", "contract_address", "abi", "bytecode", "call_value", "consume_user_resource_percent", "name", "origin_energy_limit", "code_hash", "trx_hash", "version")
    class ABI(_message.Message):
        __slots__ = ("entrys",)
        class Entry(_message.Message):
            __slots__ = ("anonymous", "constant", "name", "inputs", "outputs", "type", "payable", "stateMutability")
            class EntryType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
                __slots__ = ()
                UnknownEntryType: _ClassVar[SmartContract.ABI.Entry.EntryType]
                Constructor: _ClassVar[SmartContract.ABI.Entry.EntryType]
                Function: _ClassVar[SmartContract.ABI.Entry.EntryType]
                Event: _ClassVar[SmartContract.ABI.Entry.EntryType]
                Fallback: _ClassVar[SmartContract.ABI.Entry.EntryType]
                Receive: _ClassVar[SmartContract.ABI.Entry.EntryType]
                Error: _ClassVar[SmartContract.ABI.Entry.EntryType]
            UnknownEntryType: SmartContract.ABI.Entry.EntryType
            Constructor: SmartContract.ABI.Entry.EntryType
            Function: SmartContract.ABI.Entry.EntryType
            Event: SmartContract.ABI.Entry.EntryType
            Fallback: SmartContract.ABI.Entry.EntryType
            Receive: SmartContract.ABI.Entry.EntryType
            Error: SmartContract.ABI.Entry.EntryType
            class StateMutabilityType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
                __slots__ = ()
                UnknownMutabilityType: _ClassVar[SmartContract.ABI.Entry.StateMutabilityType]
                Pure: _ClassVar[SmartContract.ABI.Entry.StateMutabilityType]
                View: _ClassVar[SmartContract.ABI.Entry.StateMutabilityType]
                Nonpayable: _ClassVar[SmartContract.ABI.Entry.StateMutabilityType]
                Payable: _ClassVar[SmartContract.ABI.Entry.StateMutabilityType]
            UnknownMutabilityType: SmartContract.ABI.Entry.StateMutabilityType
            Pure: SmartContract.ABI.Entry.StateMutabilityType
            View: SmartContract.ABI.Entry.StateMutabilityType
            Nonpayable: SmartContract.ABI.Entry.StateMutabilityType
            Payable: SmartContract.ABI.Entry.StateMutabilityType
            class Param(_message.Message):
                __slots__ = ("indexed", "name", "type")
                INDEXED_FIELD_NUMBER: _ClassVar[int]
                NAME_FIELD_NUMBER: _ClassVar[int]
                TYPE_FIELD_NUMBER: _ClassVar[int]
                indexed: bool
                name: str
                type: str
                def __init__(self, indexed: _Optional[bool] = ..., name: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...
            ANONYMOUS_FIELD_NUMBER: _ClassVar[int]
            CONSTANT_FIELD_NUMBER: _ClassVar[int]
            NAME_FIELD_NUMBER: _ClassVar[int]
            INPUTS_FIELD_NUMBER: _ClassVar[int]
            OUTPUTS_FIELD_NUMBER: _ClassVar[int]
            TYPE_FIELD_NUMBER: _ClassVar[int]
            PAYABLE_FIELD_NUMBER: _ClassVar[int]
            STATEMUTABILITY_FIELD_NUMBER: _ClassVar[int]
            anonymous: bool
            constant: bool
            name: str
            inputs: _containers.RepeatedCompositeFieldContainer[SmartContract.ABI.Entry.Param]
            outputs: _containers.RepeatedCompositeFieldContainer[SmartContract.ABI.Entry.Param]
            type: SmartContract.ABI.Entry.EntryType
            payable: bool
            stateMutability: SmartContract.ABI.Entry.StateMutabilityType
            def __init__(self, anonymous: _Optional[bool] = ..., constant: _Optional[bool] = ..., name: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[SmartContract.ABI.Entry.Param, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[SmartContract.ABI.Entry.Param, _Mapping]]] = ..., type: _Optional[_Union[SmartContract.ABI.Entry.EntryType, str]] = ..., payable: _Optional[bool] = ..., stateMutability: _Optional[_Union[SmartContract.ABI.Entry.StateMutabilityType, str]] = ...) -> None: ...
        ENTRYS_FIELD_NUMBER: _ClassVar[int]
        entrys: _containers.RepeatedCompositeFieldContainer[SmartContract.ABI.Entry]
        def __init__(self, entrys: _Optional[_Iterable[_Union[SmartContract.ABI.Entry, _Mapping]]] = ...) -> None: ...
    ORIGIN_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    BYTECODE_FIELD_NUMBER: _ClassVar[int]
    CALL_VALUE_FIELD_NUMBER: _ClassVar[int]
    CONSUME_USER_RESOURCE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ENERGY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    CODE_HASH_FIELD_NUMBER: _ClassVar[int]
    TRX_HASH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    origin_address: bytes
    contract_address: bytes
    abi: SmartContract.ABI
    bytecode: bytes
    call_value: int
    consume_user_resource_percent: int
    name: str
    origin_energy_limit: int
    code_hash: bytes
    trx_hash: bytes
    version: int
    def __init__(self, origin_address: _Optional[bytes] = ..., contract_address: _Optional[bytes] = ..., abi: _Optional[_Union[SmartContract.ABI, _Mapping]] = ..., bytecode: _Optional[bytes] = ..., call_value: _Optional[int] = ..., consume_user_resource_percent: _Optional[int] = ..., name: _Optional[str] = ..., origin_energy_limit: _Optional[int] = ..., code_hash: _Optional[bytes] = ..., trx_hash: _Optional[bytes] = ..., version: _Optional[int] = ...) -> None: ...

class ContractState(_message.Message):
    __slots__ = ("energy_usage", "energy_factor", "update_cycle")
    ENERGY_USAGE_FIELD_NUMBER: _ClassVar[int]
    ENERGY_FACTOR_FIELD_NUMBER: _ClassVar[int]
    UPDATE_CYCLE_FIELD_NUMBER: _ClassVar[int]
    energy_usage: int
    energy_factor: int
    update_cycle: int
    def __init__(self, energy_usage: _Optional[int] = ..., energy_factor: _Optional[int] = ..., update_cycle: _Optional[int] = ...) -> None: ...

class SmartContractDataWrapper(_message.Message):
    __slots__ = ("smart_contract", "runtimecode", "contract_state")
    SMART_CONTRACT_FIELD_NUMBER: _ClassVar[int]
    RUNTIMECODE_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_STATE_FIELD_NUMBER: _ClassVar[int]
    smart_contract: SmartContract
    runtimecode: bytes
    contract_state: ContractState
    def __init__(self, smart_contract: _Optional[_Union[SmartContract, _Mapping]] = ..., runtimecode: _Optional[bytes] = ..., contract_state: _Optional[_Union[ContractState, _Mapping]] = ...) -> None: ...

class CreateSmartContract(_message.Message):
    __slots__ = ("owner_address", "new_contract", "call_token_value", "token_id")
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    NEW_CONTRACT_FIELD_NUMBER: _ClassVar[int]
    CALL_TOKEN_VALUE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    new_contract: SmartContract
    call_token_value: int
    token_id: int
    def __init__(self, owner_address: _Optional[bytes] = ..., new_contract: _Optional[_Union[SmartContract, _Mapping]] = ..., call_token_value: _Optional[int] = ..., token_id: _Optional[int] = ...) -> None: ...

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

class ProposalCreateContract(_message.Message):
    __slots__ = ("owner_address", "parameters")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    OWNER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    owner_address: bytes
    parameters: _containers.ScalarMap[int, int]
    def __init__(self, owner_address: _Optional[bytes] = ..., parameters: _Optional[_Mapping[int, int]] = ...) -> None: ...

class BlockRecord(_message.Message):
    __slots__ = ("block", "infos", "clock_ms")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    INFOS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    block: Block
    infos: _containers.RepeatedCompositeFieldContainer[TransactionInfo]
    clock_ms: int
    def __init__(self, block: _Optional[_Union[Block, _Mapping]] = ..., infos: _Optional[_Iterable[_Union[TransactionInfo, _Mapping]]] = ..., clock_ms: _Optional[int] = ...) -> None: ...
