'use strict';
// Logs as the TronGrid facade tells them.

const { client, complaint, mine } = require('../world.cjs');

const FEE_LIMIT_SUN = 30_000_000;

async function events(world) {
  const tronWeb = client(world, world.key);
  const usdt = await tronWeb.contract().at(world.usdt);
  const txids = [];
  for (const amount of [1, 2, 3]) {
    txids.push(await usdt.transfer(world.known, amount).send({ feeLimit: FEE_LIMIT_SUN }));
    await mine(world);
  }
  const number = (await tronWeb.trx.getCurrentBlock()).block_header.raw_data.number;
  const asked = { eventName: 'Transfer', limit: 2, orderBy: 'block_timestamp,asc' };
  const head = await tronWeb.event.getEventsByContractAddress(world.usdt, asked);
  const rest = await tronWeb.event.getEventsByContractAddress(world.usdt, {
    ...asked,
    fingerprint: head.meta.fingerprint,
  });
  return {
    txids,
    pages: [head, rest],
    of_transaction: await tronWeb.event.getEventsByTransactionID(txids[0]),
    of_block: await tronWeb.event.getEventsByBlockNumber(number),
    of_latest: await tronWeb.event.getEventsOfLatestBlock(),
    confirmed: await tronWeb.event.getEventsByContractAddress(world.usdt, { onlyConfirmed: true }),
    refused: await complaint(tronWeb.event.getEventsByBlockNumber('never')),
  };
}

module.exports = { events };
