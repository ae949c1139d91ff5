"""Which path leads to which handler, in which tree, by which method."""

from __future__ import annotations

from devnet.api import (
    absent,
    accounts,
    addresses,
    blocks,
    chain,
    contracts,
    deployment,
    pending,
    signing,
    staking,
    transactions,
)
from devnet.api.builders import BUILDERS, Handler

IN_BOTH_TREES: dict[str, Handler] = {
    "getnowblock": blocks.get_now_block,
    "getblockbynum": blocks.get_block_by_num,
    "getblockbyid": blocks.get_block_by_id,
    "getblock": blocks.get_block,
    "getblockbylimitnext": blocks.get_block_by_limit_next,
    "getblockbylatestnum": blocks.get_block_by_latest_num,
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
    **staking.STAKING_QUERIES,
    **absent.ABSENT_IN_BOTH_TREES,
}

IN_FULL_TREE: dict[str, Handler] = {
    "getaccountresource": accounts.get_account_resource,
    "getaccountnet": accounts.get_account_net,
    "validateaddress": addresses.validate_address,
    "getcontract": contracts.get_contract,
    "getcontractinfo": contracts.get_contract_info,
    "deploycontract": deployment.deploy_contract,
    "getchainparameters": chain.get_chain_parameters,
    "getmemofee": chain.get_memo_fee,
    "listnodes": chain.list_nodes,
    "triggersmartcontract": contracts.trigger_smart_contract,
    "getsignweight": signing.get_sign_weight,
    "getapprovedlist": signing.get_approved_list,
    "gettransactionreceiptbyid": transactions.get_transaction_receipt_by_id,
    "gettransactionfrompending": pending.get_transaction_from_pending,
    "gettransactionlistfrompending": pending.get_transaction_list_from_pending,
    "getpendingsize": pending.get_pending_size,
    "broadcasttransaction": transactions.broadcast_transaction,
    "broadcasthex": transactions.broadcast_hex,
    **BUILDERS,
    **staking.STAKING_BUILDERS,
    **staking.STAKING_FULL_QUERIES,
    **absent.ABSENT_IN_FULL_TREE,
}

# Other paths to servlets of the full tree.
ALIASES = {
    "/net/listnodes": "listnodes",
    "/monitor/getnodeinfo": "getnodeinfo",
}

# Servlets whose doGet is there and does nothing: 200 and an empty body.
SILENT_ON_GET = frozenset(
    {
        "createtransaction",
        "accountpermissionupdate",
        "proposalcreate",
        "triggersmartcontract",
        "triggerconstantcontract",
        "estimateenergy",
        "deploycontract",
        "updatesetting",
        "getsignweight",
        "getapprovedlist",
        *staking.STAKING_SILENT_ON_GET,
    }
)

# Servlets without a doGet: 405.
POST_ONLY = frozenset(
    {
        "broadcasttransaction",
        "broadcasthex",
        "createaccount",
        *staking.STAKING_POST_ONLY,
    }
)

# Servlets that keep an error to themselves: 200 and an empty body.
SILENT_ON_ERROR = frozenset({"validateaddress"})
