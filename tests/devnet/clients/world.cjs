'use strict';
// A devnet as a journey meets it: clients of its node, orders to whoever controls it.

const { TronWeb, providers } = require('tronweb');

const TIMEOUT_MS = 10_000;

// A client of one account; the node's TronGrid facade is its event server.
function client(world, key) {
  const provider = () => new providers.HttpProvider(world.node_url, TIMEOUT_MS);
  return new TronWeb({
    fullNode: provider(),
    solidityNode: provider(),
    eventServer: provider(),
    privateKey: key,
  });
}

async function order(world, path, body) {
  const response = await fetch(`${world.control_url}/devnet/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response.json();
}

const mine = (world, blocks = 1) => order(world, 'mine', { blocks });

// The text of the error that a promise ends in, or null where it does not.
const complaint = (promise) =>
  promise.then(
    () => null,
    (error) => error.message ?? String(error),
  );

// What a broadcast was told: nothing, or a code with its message.
function told(tronWeb, reply) {
  if (reply.result === true && reply.code === undefined) return { taken: true };
  return { taken: false, code: reply.code, message: tronWeb.toUtf8(reply.message ?? '') };
}

// Sign, broadcast, mine, and return the receipt.
async function confirmed(world, tronWeb, transaction) {
  const signed = transaction.signature ? transaction : await tronWeb.trx.sign(transaction);
  const reply = await tronWeb.trx.sendRawTransaction(signed);
  if (reply.result !== true) {
    throw new Error(`${reply.code}: ${tronWeb.toUtf8(reply.message ?? '')}`);
  }
  return receipt(world, tronWeb, signed.txID);
}

// The receipt that a transaction gets in the next block.
async function receipt(world, tronWeb, txid) {
  await mine(world);
  return tronWeb.trx.getUnconfirmedTransactionInfo(txid);
}

// Ask the node until something waits for a block; it is a bug of the client's if nothing ever does.
async function whenPending(tronWeb) {
  for (let asked = 0; asked < 10_000; asked += 1) {
    const { pendingSize } = await tronWeb.fullNode.request('wallet/getpendingsize');
    if (pendingSize) return;
  }
  throw new Error('nothing was sent');
}

module.exports = { client, complaint, confirmed, mine, order, receipt, told, whenPending };
