'use strict';
// What a careless or hostile client sends, and what tronweb makes of the answer.

const { client, complaint, told } = require('../world.cjs');

const FEE_LIMIT_SUN = 30_000_000;

// What a careless or hostile client sends, and what tronweb makes of the answer.
async function refusals(world) {
  const tronWeb = client(world, world.key);
  const builder = tronWeb.transactionBuilder;
  const { owner, recipient } = world;
  const seen = {};
  const sent = async (transaction) =>
    told(tronWeb, await tronWeb.trx.sendRawTransaction(transaction));
  const signed = async (building) => tronWeb.trx.sign(await building);
  const transfer = () => builder.sendTrx(recipient, 1, owner);

  const stolen = await transfer();
  const thief = tronWeb.utils.crypto.signTransaction(world.known_key, await transfer());
  seen.foreign_key = await sent(thief);
  seen.short_signature = await sent({ ...stolen, signature: ['ab'.repeat(64)] });
  seen.long_signature = await sent({ ...stolen, signature: ['ab'.repeat(69)] });
  seen.zero_signature = await sent({ ...stolen, signature: ['00'.repeat(65)] });
  const doubled = await signed(transfer());
  const [signature] = doubled.signature;
  seen.doubled = await sent({ ...doubled, signature: [signature, signature] });
  const altered = structuredClone(await signed(transfer()));
  altered.raw_data.contract[0].parameter.value.amount += 1;
  seen.altered = await sent(altered);

  const foreign = { ref_block_bytes: '0001', ref_block_hash: 'ab'.repeat(8) };
  const header = await tronWeb.trx.getCurrentRefBlockParams();
  const headed = (changes) => ({ blockHeader: { ...header, ...changes } });
  seen.tapos = await sent(await signed(builder.sendTrx(recipient, 2, owner, headed(foreign))));
  const past = { expiration: header.timestamp };
  seen.expired = await sent(await signed(builder.sendTrx(recipient, 3, owner, headed(past))));
  const distant = { expiration: header.timestamp + 2 * 86_400_000 };
  const late = builder.sendTrx(recipient, 4, owner, headed(distant));
  seen.too_distant = await sent(await signed(late));

  seen.too_poor = await sent(await signed(builder.sendTrx(recipient, 10 ** 15, owner)));
  const fat = await builder.addUpdateData(await transfer(), 'ab'.repeat(520_000), 'hex', {
    txLocal: true,
  });
  seen.too_big = await sent(await signed(fat));
  const poor = client(world, world.stranger_key);
  seen.not_activated = told(
    poor,
    await poor.trx.sendRawTransaction(
      await poor.trx.sign(await poor.transactionBuilder.sendTrx(recipient, 1, world.stranger)),
    ),
  );
  seen.no_contract = await complaint(tronWeb.contract().at(recipient));
  seen.trigger_no_contract = await complaint(
    builder.triggerSmartContract(recipient, 'pause()', {}, [], owner),
  );
  const usdt = await tronWeb.contract().at(world.usdt);
  seen.constant_revert = await complaint(
    builder.triggerConstantContract(world.usdt, 'pause()', {}, [], owner),
  );
  seen.send_too_poor = await complaint(
    usdt.transfer(recipient, 1).send({ feeLimit: FEE_LIMIT_SUN }, world.stranger_key),
  );
  seen.hex_garbage = await tronWeb.trx.sendHexTransaction('abcd');
  seen.still_alive = (await tronWeb.trx.getCurrentBlock()).blockID.length;
  return seen;
}

module.exports = { refusals };
