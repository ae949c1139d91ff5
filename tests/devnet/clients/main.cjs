'use strict';
// Asks tronweb: one question a line in, one answer a line out, until the input ends.
//
//   {"ask": …, …}  ->  {"answer": …} or {"error": "…"}

const readline = require('node:readline');
const { TronWeb } = require('tronweb');

const { built } = require('./building.cjs');
const { contracts, deployment, failures } = require('./journeys/contracts.cjs');
const { events } = require('./journeys/events.cjs');
const { multisignature } = require('./journeys/multisignature.cjs');
const { reading } = require('./journeys/reading.cjs');
const { refusals } = require('./journeys/refusals.cjs');
const { staking } = require('./journeys/staking.cjs');
const { sizes, transfers } = require('./journeys/transfers.cjs');

const JOURNEYS = [
  reading,
  transfers,
  sizes,
  contracts,
  deployment,
  failures,
  events,
  staking,
  multisignature,
  refusals,
];

// What is asked offline never gets here.
const tronWeb = new TronWeb({ fullHost: 'http://127.0.0.1:1' });

const QUESTIONS = {
  version: () => TronWeb.version,
  build: ({ wanted }) => built(tronWeb, wanted),
  sign: ({ wanted, key }) =>
    built(tronWeb, wanted)
      .then((transaction) => tronWeb.trx.sign({ ...transaction, txID: transaction.txid }, key))
      .then((signed) => signed.signature[0]),
  sign_message: ({ message, key }) => tronWeb.trx.signMessageV2(Buffer.from(message, 'hex'), key),
  signer_of_message: ({ message, signature }) =>
    tronWeb.trx.verifyMessageV2(Buffer.from(message, 'hex'), signature),
  is_address: ({ text }) => TronWeb.isAddress(text),
  address_of_key: ({ key }) => TronWeb.address.fromPrivateKey(key),
  address_of_phrase: ({ phrase, path }) => TronWeb.fromMnemonic(phrase, path).address,
  ...Object.fromEntries(JOURNEYS.map((journey) => [journey.name, ({ world }) => journey(world)])),
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const question = JSON.parse(line);
    let reply;
    try {
      reply = { answer: await QUESTIONS[question.ask](question) };
    } catch (error) {
      reply = { error: error.message ?? String(error) };
    }
    process.stdout.write(
      `${JSON.stringify(reply, (_, value) => (typeof value === 'bigint' ? `${value}` : value))}\n`,
    );
  }
}

main();
