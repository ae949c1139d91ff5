'use strict';
// Transactions built by tronweb alone, without a node.

// How tronweb is asked for each contract; `f` are the fields as Tron.proto names them.
const BUILDERS = {
  AccountCreateContract: (b, f, o) => b.createAccount(f.account_address, f.owner_address, o),
  TransferContract: (b, f, o) => b.sendTrx(f.to_address, f.amount, f.owner_address, o),
  TransferAssetContract: (b, f, o) =>
    b.sendToken(f.to_address, f.amount, f.asset_name, f.owner_address, o),
  VoteWitnessContract: (b, f, o) =>
    b.vote(
      Object.fromEntries(f.votes.map((vote) => [vote.vote_address, vote.vote_count])),
      f.owner_address,
      o,
    ),
  WithdrawBalanceContract: (b, f, o) => b.withdrawBlockRewards(f.owner_address, o),
  CreateSmartContract: (b, f, o) => b.createSmartContract({ ...f, ...o }, f.owner_address),
  TriggerSmartContract: async (b, f, o) => {
    const options = { ...o, callValue: f.call_value ?? 0, txLocal: true };
    const reply = await b.triggerSmartContract(
      f.contract_address,
      f.function_selector,
      options,
      f.parameters,
      f.owner_address,
    );
    return reply.transaction;
  },
  UpdateSettingContract: (b, f, o) =>
    b.updateSetting(f.contract_address, f.consume_user_resource_percent, f.owner_address, o),
  AccountPermissionUpdateContract: (b, f, o) =>
    b.updateAccountPermissions(f.owner_address, f.owner, f.witness, f.actives, o),
  FreezeBalanceV2Contract: (b, f, o) =>
    b.freezeBalanceV2(f.frozen_balance, f.resource, f.owner_address, o),
  UnfreezeBalanceV2Contract: (b, f, o) =>
    b.unfreezeBalanceV2(f.unfreeze_balance, f.resource, f.owner_address, o),
  WithdrawExpireUnfreezeContract: (b, f, o) => b.withdrawExpireUnfreeze(f.owner_address, o),
  DelegateResourceContract: (b, f, o) =>
    b.delegateResource(
      f.balance,
      f.receiver_address,
      f.resource,
      f.owner_address,
      f.lock ?? false,
      f.lock_period,
      o,
    ),
  UnDelegateResourceContract: (b, f, o) =>
    b.undelegateResource(f.balance, f.receiver_address, f.resource, f.owner_address, o),
  CancelAllUnfreezeV2Contract: (b, f, o) => b.cancelUnfreezeBalanceV2(f.owner_address, o),
};

async function built(tronWeb, { kind, fields, header, fee_limit, permission_id, memo }) {
  const builder = tronWeb.transactionBuilder;
  const options = { blockHeader: header, permissionId: permission_id };
  if (fee_limit !== undefined) options.feeLimit = fee_limit;
  const plain = await BUILDERS[kind](builder, fields, options);
  const transaction =
    memo === undefined
      ? plain
      : await builder.addUpdateData(plain, memo, 'hex', { txLocal: true });
  return {
    txid: transaction.txID,
    raw_data_hex: transaction.raw_data_hex,
    raw_data: transaction.raw_data,
  };
}

module.exports = { built };
