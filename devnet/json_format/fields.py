"""Which fields of bytes hold addresses and which hold text (HttpSelfFormatFieldName)."""

from __future__ import annotations

from functools import cache

from google.protobuf.descriptor import FieldDescriptor

_PACKAGE = "lucid.devnet."
LOG_ADDRESS = "TransactionInfo.Log.address"

_ADDRESSES = frozenset(
    {
        "Account.address",
        "AccountCreateContract.account_address",
        "AccountId.address",
        "BlockHeader.raw.witness_address",
        "DelegatedResource.from",
        "DelegatedResource.to",
        "DelegatedResourceAccountIndex.account",
        "DelegatedResourceAccountIndex.fromAccounts",
        "DelegatedResourceAccountIndex.toAccounts",
        "DelegatedResourceMessage.fromAddress",
        "DelegatedResourceMessage.toAddress",
        "InternalTransaction.caller_address",
        "InternalTransaction.transferTo_address",
        "Key.address",
        "SmartContract.contract_address",
        "SmartContract.origin_address",
        "TransactionInfo.contract_address",
        "TransactionSignWeight.approved_list",
        "Vote.vote_address",
        "VoteWitnessContract.Vote.vote_address",
        "Votes.address",
        "Witness.address",
    }
)
# Wherever a contract message carries one of these, it is an address.
_ADDRESSES_OF_CONTRACTS = frozenset(
    {"owner_address", "to_address", "receiver_address", "contract_address", "vote_address"}
)
_TEXTS = frozenset(
    {
        "Account.account_id",
        "Account.account_name",
        "AccountUpdateContract.account_name",
        "AssetIssueContract.abbr",
        "AssetIssueContract.description",
        "AssetIssueContract.name",
        "AssetIssueContract.url",
        "Return.message",
        "SetAccountIdContract.account_id",
        "TransactionInfo.resMessage",
        "TransferAssetContract.asset_name",
        "WitnessCreateContract.url",
        "WitnessUpdateContract.update_url",
    }
)


def protocol_name(full_name: str) -> str:
    """A message or enum under the name that java-tron knows it by."""
    return full_name.replace(_PACKAGE, "protocol.")


@cache
def is_address(field: FieldDescriptor) -> bool:
    """True for a field that `visible` turns into base58check."""
    if field.full_name.removeprefix(_PACKAGE) in _ADDRESSES:
        return True
    message = field.full_name.rsplit(".", 2)[-2]
    return message.endswith("Contract") and field.name in _ADDRESSES_OF_CONTRACTS


@cache
def is_text(field: FieldDescriptor) -> bool:
    """True for a field that `visible` turns into text."""
    return field.full_name.removeprefix(_PACKAGE) in _TEXTS


@cache
def is_log_address(field: FieldDescriptor) -> bool:
    """True for the one address that is kept without its prefix."""
    return field.full_name.removeprefix(_PACKAGE) == LOG_ADDRESS


@cache
def is_map(field: FieldDescriptor) -> bool:
    """True for a map, which is printed as a list of entries."""
    entry = field.message_type
    return entry is not None and entry.GetOptions().map_entry
