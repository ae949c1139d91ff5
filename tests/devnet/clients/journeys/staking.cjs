'use strict';
// TRX staked, lent, voted with and taken back.

const { client, complaint, confirmed, mine, order } = require('../world.cjs');

async function staking(world) {
  const tronWeb = client(world, world.key);
  const builder = tronWeb.transactionBuilder;
  const { owner, known } = world;
  const unconfirmed = { confirmed: false };
  const done = async (building) => confirmed(world, tronWeb, await building);
  const seen = { receipts: {} };
  const { receipts } = seen;

  receipts.freeze = await done(builder.freezeBalanceV2(3_000_000_000, 'ENERGY', owner));
  receipts.freeze_bandwidth = await done(builder.freezeBalanceV2(500_000_000, 'BANDWIDTH', owner));
  seen.resources = await tronWeb.trx.getAccountResources(owner);
  seen.lendable = await tronWeb.trx.getCanDelegatedMaxSize(owner, 'ENERGY', unconfirmed);

  receipts.delegate = await done(builder.delegateResource(1_000_000_000, known, 'ENERGY', owner));
  receipts.lock = await done(
    builder.delegateResource(100_000_000, known, 'BANDWIDTH', owner, true, 1_200),
  );
  seen.lent = await tronWeb.trx.getDelegatedResourceV2(owner, known, unconfirmed);
  seen.partners = await tronWeb.trx.getDelegatedResourceAccountIndexV2(owner, unconfirmed);
  seen.borrower = await tronWeb.trx.getAccountResources(known);
  seen.locked = await complaint(
    done(builder.undelegateResource(100_000_000, known, 'BANDWIDTH', owner)),
  );
  receipts.undelegate = await done(builder.undelegateResource(400_000_000, known, 'ENERGY', owner));
  seen.left = await tronWeb.trx.getDelegatedResourceV2(owner, known, unconfirmed);

  const votes = { [world.witness]: 1_000, [world.witness_2]: 500 };
  receipts.vote = await done(builder.vote(votes, owner));
  seen.votes = (await tronWeb.trx.getUnconfirmedAccount(owner)).votes;

  receipts.unfreeze = await done(builder.unfreezeBalanceV2(700_000_000, 'ENERGY', owner));
  seen.slots = await tronWeb.trx.getAvailableUnfreezeCount(owner, unconfirmed);
  receipts.cancel = await done(builder.cancelUnfreezeBalanceV2(owner));
  receipts.unfreeze_again = await done(builder.unfreezeBalanceV2(200_000_000, 'BANDWIDTH', owner));
  seen.too_early = await complaint(done(builder.withdrawExpireUnfreeze(owner)));

  await order(world, 'jump', { seconds: 14 * 86_400 });
  await mine(world, 2);
  const { timestamp } = (await tronWeb.trx.getCurrentBlock()).block_header.raw_data;
  seen.ripe = await tronWeb.trx.getCanWithdrawUnfreezeAmount(owner, timestamp, unconfirmed);
  receipts.withdraw = await done(builder.withdrawExpireUnfreeze(owner));

  // The votes count since the first block after the jump; what a period earned is due after it.
  await mine(world, 27);
  await order(world, 'jump', { seconds: 6 * 3_600 });
  await mine(world, 2);
  seen.reward = await tronWeb.trx.getUnconfirmedReward(owner);
  receipts.claim = await done(builder.withdrawBlockRewards(owner));
  seen.claimed_twice = await complaint(done(builder.withdrawBlockRewards(owner)));
  seen.account = await tronWeb.trx.getUnconfirmedAccount(owner);
  return seen;
}

module.exports = { staking };
