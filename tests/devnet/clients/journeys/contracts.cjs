'use strict';
// USDT called: read, simulated, transferred, approved; calls that fail; a contract made anew.

const { client, complaint, confirmed, mine, receipt, whenPending } = require('../world.cjs');

const FEE_LIMIT_SUN = 30_000_000;
const SUN_PER_TRX = 1_000_000;
const BLOCKS_UNTIL_SOLID = 20;

async function contracts(world) {
  const tronWeb = client(world, world.key);
  const builder = tronWeb.transactionBuilder;
  const { owner, recipient } = world;
  const usdt = await tronWeb.contract().at(world.usdt);
  const send = { feeLimit: FEE_LIMIT_SUN };
  const seen = {
    name: await usdt.name().call(),
    symbol: await usdt.symbol().call(),
    decimals: await usdt.decimals().call(),
    before: await usdt.balanceOf(owner).call(),
    read: await usdt.read.balanceOf([owner]),
  };

  const transfer = [
    { type: 'address', value: recipient },
    { type: 'uint256', value: 5 },
  ];
  const dry = await builder.triggerConstantContract(
    world.usdt,
    'transfer(address,uint256)',
    {},
    transfer,
    owner,
  );
  seen.simulated = { energy: dry.energy_used, penalty: dry.energy_penalty };

  // Two transfers use up the day's free bytes, so that what follows is paid for.
  for (const amount of [1, 2]) {
    await confirmed(world, tronWeb, await builder.sendTrx(world.known, amount, owner));
  }
  const first = await usdt.transfer(recipient, 1_500_000).send(send);
  seen.first = await receipt(world, tronWeb, first);
  const second = await usdt.write.transfer([recipient, 2_500_000], send);
  seen.second = await receipt(world, tronWeb, second);
  seen.size = (await tronWeb.trx.getTransaction(second)).raw_data_hex.length / 2;
  seen.received = await usdt.balanceOf(recipient).call();

  const approval = await usdt.approve(world.known, '7000000').send(send);
  seen.approved = await receipt(world, tronWeb, approval);
  seen.allowance = await usdt.allowance(owner, world.known).call();
  const spender = await client(world, world.known_key).contract().at(world.usdt);
  const spending = await spender.transferFrom(owner, recipient, 7_000_000).send(send);
  seen.spent = await receipt(world, tronWeb, spending);

  seen.polled = await polled(world, tronWeb, usdt.approve(world.known, 1));
  return seen;
}

async function failures(world) {
  const tronWeb = client(world, world.key);
  const { owner, recipient } = world;
  const usdt = await tronWeb.contract().at(world.usdt);
  const uncovered = () => usdt.transferFrom(world.known, recipient, 1);

  const reverted = await uncovered().send({ feeLimit: FEE_LIMIT_SUN });
  const starved = await usdt.transfer(recipient, 1).send({ feeLimit: 1_000_000 });
  await mine(world);
  return {
    reverted: await tronWeb.trx.getUnconfirmedTransactionInfo(reverted),
    starved: await tronWeb.trx.getUnconfirmedTransactionInfo(starved),
    polled: await complaint(polled(world, tronWeb, uncovered())),
    estimate: await complaint(
      tronWeb.transactionBuilder.estimateEnergy(world.usdt, 'pause()', {}, [], owner),
    ),
  };
}

// A token like the one at an address, made anew with other arguments.
async function deployment(world) {
  const tronWeb = client(world, world.key);
  const builder = tronWeb.transactionBuilder;
  const { owner, known } = world;
  const model = await tronWeb.trx.getContract(world.token);
  const built = await builder.createSmartContract(
    {
      abi: model.abi.entrys.map(asCompiled),
      bytecode: model.bytecode,
      parameters: ['Copy of a token', 'COPY', 2, 1_000],
      name: 'Copy',
      feeLimit: 100 * SUN_PER_TRX,
      userFeePercentage: 30,
      originEnergyLimit: 1_000_000,
    },
    owner,
  );
  const seen = { address: built.contract_address, txid: built.txID };
  seen.created = await confirmed(world, tronWeb, built);
  seen.contract = await tronWeb.trx.getContract(built.contract_address);
  const token = await tronWeb.contract().at(built.contract_address);
  const transfer = await token.transfer(known, 300).send({ feeLimit: FEE_LIMIT_SUN });
  seen.moved = await receipt(world, tronWeb, transfer);
  seen.symbol = await token.symbol().call();
  seen.balances = [await token.balanceOf(owner).call(), await token.balanceOf(known).call()];
  return seen;
}

// An ABI entry as compilers write it, which is how tronweb finds the constructor; nodes capitalise.
function asCompiled(entry) {
  const compiled = { ...entry, type: entry.type.toLowerCase() };
  if (entry.stateMutability) compiled.stateMutability = entry.stateMutability.toLowerCase();
  return compiled;
}

// Send and let tronweb ask the solid node for the result, again and again, until there is one.
async function polled(world, tronWeb, call) {
  const result = call.send({ feeLimit: FEE_LIMIT_SUN, shouldPollResponse: true });
  await Promise.race([whenPending(tronWeb), result]);
  await mine(world, BLOCKS_UNTIL_SOLID);
  return result;
}

module.exports = { contracts, deployment, failures };
