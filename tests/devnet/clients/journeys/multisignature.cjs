'use strict';
// Permissions changed, and two keys signing together.

const { client, complaint, confirmed, told } = require('../world.cjs');

// Every kind of contract that an active permission may allow.
const CONTRACT_KINDS_ALLOWED = '7fff1fc0033efb0f000000000000000000000000000000000000000000000000';

async function multisignature(world) {
  const tronWeb = client(world, world.key);
  const builder = tronWeb.transactionBuilder;
  const { owner, recipient, key, known_key: knownKey } = world;
  const seen = {};

  const update = await shared(world, builder, { permission_name: 'two of two', threshold: 2 });
  seen.update = await confirmed(world, tronWeb, update);
  seen.account = await tronWeb.trx.getUnconfirmedAccount(owner);

  const plain = await builder.sendTrx(recipient, 5_000_000, owner);
  const once = await tronWeb.trx.multiSign(plain, key, 2);
  seen.weight_of_one = await tronWeb.trx.getSignWeight(once, 2);
  seen.approved_by_one = await tronWeb.trx.getApprovedList(once);
  seen.too_light = told(tronWeb, await tronWeb.trx.sendRawTransaction(once));
  const twice = await tronWeb.trx.multiSign(once, knownKey, 2);
  seen.weight_of_two = await tronWeb.trx.getSignWeight(twice, 2);
  seen.approved_by_two = await tronWeb.trx.getApprovedList(twice);
  seen.paid = await confirmed(world, tronWeb, twice);

  seen.outsider = await complaint(tronWeb.trx.multiSign(plain, world.stranger_key, 2));
  seen.no_such_permission = await complaint(tronWeb.trx.multiSign(plain, key, 5));
  const [signature] = once.signature;
  seen.signed_twice = told(
    tronWeb,
    await tronWeb.trx.sendRawTransaction({ ...once, signature: [signature, signature] }),
  );
  const hopeless = await shared(world, builder, { permission_name: 'none', threshold: 3 });
  seen.not_allowed = await complaint(confirmed(world, tronWeb, hopeless));
  return seen;
}

// The owner keeps the account, and shares its active permission with another key.
function shared({ owner, known }, builder, { permission_name, threshold }) {
  const key = (address) => ({ address, weight: 1 });
  return builder.updateAccountPermissions(
    owner,
    { type: 0, permission_name: 'owner', threshold: 1, keys: [key(owner)] },
    null,
    [
      {
        type: 2,
        permission_name,
        threshold,
        operations: CONTRACT_KINDS_ALLOWED,
        keys: [key(owner), key(known)],
      },
    ],
  );
}

module.exports = { multisignature };
