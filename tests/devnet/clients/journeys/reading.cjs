'use strict';
// What a wallet asks before it does anything.

const { client, complaint } = require('../world.cjs');

async function reading(world) {
  const tronWeb = client(world, world.key);
  const latest = await tronWeb.trx.getCurrentBlock();
  const number = latest.block_header.raw_data.number;
  await tronWeb.getFullnodeVersion();
  return {
    connected: await tronWeb.isConnected(),
    version: tronWeb.fullnodeVersion,
    latest,
    solid: await tronWeb.trx.getConfirmedCurrentBlock(),
    by_number: await tronWeb.trx.getBlock(number),
    by_id: await tronWeb.trx.getBlock(latest.blockID),
    range: (await tronWeb.trx.getBlockRange(1, 5)).map((b) => b.block_header.raw_data.number),
    missing_block: await complaint(tronWeb.trx.getBlock(number + 1000)),
    missing_transaction: await complaint(tronWeb.trx.getTransaction('00'.repeat(32))),
    balance: await tronWeb.trx.getBalance(world.owner),
    account: await tronWeb.trx.getAccount(world.owner),
    bandwidth: await tronWeb.trx.getBandwidth(world.owner),
    resources: await tronWeb.trx.getAccountResources(world.owner),
    parameters: await tronWeb.trx.getChainParameters(),
    energy_prices: await tronWeb.trx.getEnergyPrices(),
    bandwidth_prices: await tronWeb.trx.getBandwidthPrices(),
    witnesses: (await tronWeb.trx.listSuperRepresentatives()).length,
    nodes: await tronWeb.trx.listNodes(),
    maintenance_in_s: await tronWeb.trx.timeUntilNextVoteCycle(),
    brokerage: await tronWeb.trx.getBrokerage(world.witness),
    exact_balance: await tronWeb.trx.raw.getBalance(world.owner),
    exact_block: await tronWeb.trx.raw.getBlock(number),
  };
}

module.exports = { reading };
