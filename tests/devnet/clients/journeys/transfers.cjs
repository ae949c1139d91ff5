'use strict';
// TRX sent, with and without a memo, and accounts created.

const { client, complaint, confirmed, mine, told } = require('../world.cjs');

async function transfers(world) {
  const tronWeb = client(world, world.key);
  const builder = tronWeb.transactionBuilder;
  const { owner, recipient } = world;
  const seen = {};

  const built = await builder.sendTrx(recipient, 2_000_000, owner);
  const signed = await tronWeb.trx.sign(built);
  seen.sent = await tronWeb.trx.sendRawTransaction(signed);
  seen.pending = await tronWeb.trx.getTransaction(signed.txID);
  seen.again = told(tronWeb, await tronWeb.trx.sendRawTransaction(signed));
  seen.info_before = await tronWeb.trx.getUnconfirmedTransactionInfo(signed.txID);
  await mine(world);
  seen.activating = await tronWeb.trx.getUnconfirmedTransactionInfo(signed.txID);
  seen.not_solid = await complaint(tronWeb.trx.getConfirmedTransaction(signed.txID));
  await mine(world, 19);
  seen.solid = await tronWeb.trx.getConfirmedTransaction(signed.txID);
  seen.balance = await tronWeb.trx.getBalance(recipient);

  const easy = await tronWeb.trx.sendTransaction(recipient, 3);
  await mine(world);
  seen.easy = await tronWeb.trx.getUnconfirmedTransactionInfo(easy.txid);

  const plain = await builder.sendTrx(recipient, 4, owner);
  const hex = await tronWeb.trx.sign(plain);
  const packed = tronWeb.utils.transaction.txJsonToPb(hex);
  packed.addSignature(Uint8Array.from(Buffer.from(hex.signature[0], 'hex')));
  const bytes = Buffer.from(packed.serializeBinary());
  seen.hex = await tronWeb.trx.sendHexTransaction(bytes.toString('hex'));
  await mine(world);

  // Both ways to a memo: by the node, which is asked for the weights, and without it.
  const bare = await builder.sendTrx(recipient, 5, owner);
  const remote = await builder.addUpdateData(bare, 'né', 'utf8');
  const local = await builder.addUpdateData(bare, 'né', 'utf8', { txLocal: true });
  seen.memos_agree = remote.raw_data_hex === local.raw_data_hex && remote.txID === local.txID;
  seen.memo = await confirmed(world, tronWeb, remote);

  const short = await builder.sendTrx(recipient, 6, owner);
  const long = await builder.extendExpiration(short, 600);
  seen.extended_by_ms = long.raw_data.expiration - short.raw_data.expiration;
  seen.extended = await confirmed(world, tronWeb, long);

  const account = await builder.createAccount(world.stranger, owner);
  seen.created = await confirmed(world, tronWeb, account);
  return seen;
}

// How many bytes transfers of these amounts were charged for, free or not.
async function sizes(world) {
  const tronWeb = client(world, world.key);
  const charged = [];
  for (const amount of world.amounts_sun) {
    const built = await tronWeb.transactionBuilder.sendTrx(world.known, amount, world.owner);
    const { receipt } = await confirmed(world, tronWeb, built);
    charged.push(receipt.net_usage ?? receipt.net_fee / 1000);
  }
  return charged;
}

module.exports = { transfers, sizes };
