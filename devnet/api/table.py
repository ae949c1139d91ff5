"""Which path leads to which handler, in which tree, by which method."""

from __future__ import annotations

from devnet.api import accounts, blocks, chain, contracts, transactions
from devnet.api.builders import BUILDERS, Handler

IN_BOTH_TREES: dict[str, Handler] = {
    "getnowblock": blocks.get_now_block,
    "getblockbynum": blocks.get_block_by_num,
    "getblockbyid": blocks.get_block_by_id,
    "getblock": blocks.get_block,
    "getblockbylimitnext": blocks.get_block_by_limit_next,
    "gettransactioninfobyblocknum": blocks.get_transaction_infos_by_block_num,
    "gettransactioncountbyblocknum": blocks.get_transaction_count_by_block_num,
    "gettransactionbyid": transactions.get_transaction_by_id,
    "gettransactioninfobyid": transactions.get_transaction_info_by_id,
    "getaccount": accounts.get_account,
    "triggerconstantcontract": contracts.trigger_constant_contract,
    "estimateenergy": contracts.estimate_energy,
    "getnodeinfo": chain.get_node_info,
    "getenergyprices": chain.get_energy_prices,
    "getbandwidthprices": chain.get_bandwidth_prices,
    "getburntrx": chain.get_burn_trx,
}

IN_FULL_TREE: dict[str, Handler] = {
    "getaccountresource": accounts.get_account_resource,
    "getaccountnet": accounts.get_account_net,
    "validateaddress": accounts.validate_address,
    "getcontract": contracts.get_contract,
    "getchainparameters": chain.get_chain_parameters,
    "triggersmartcontract": contracts.trigger_smart_contract,
    "getsignweight": transactions.get_sign_weight,
    "gettransactionfrompending": transactions.get_transaction_from_pending,
    "gettransactionlistfrompending": transactions.get_transaction_list_from_pending,
    "getpendingsize": transactions.get_pending_size,
    "broadcasttransaction": transactions.broadcast_transaction,
    "broadcasthex": transactions.broadcast_hex,
    **BUILDERS,
}

# Servlets whose doGet is there and does nothing: 200 and an empty body.
SILENT_ON_GET = frozenset(
    {
        "createtransaction",
        "createaccount",
        "triggersmartcontract",
        "triggerconstantcontract",
        "estimateenergy",
        "getsignweight",
    }
)

# Servlets without a doGet: 405.
POST_ONLY = frozenset(
    {
        "broadcasttransaction",
        "broadcasthex",
        "freezebalancev2",
        "unfreezebalancev2",
        "withdrawexpireunfreeze",
    }
)
