// box-node-sdk 3.x: follows the user stream and the enterprise stream, and prints the id of each event until standard input ends.
'use strict';

const http = require('node:http');
const BoxSDK = require('box-node-sdk');

const URL = process.env.SANDBOX_URL;
const sdk = new BoxSDK({
  clientID: 'c',
  clientSecret: 's',
  apiRootURL: URL,
  uploadAPIRootURL: `${URL}/api`,
  authorizeRootURL: `${URL}/api`,
  request: { agentClass: http.Agent },
});
const client = sdk.getBasicClient(process.env.SANDBOX_TOKEN);

const print = (stream, what) => process.stdout.write(`${stream} ${what}\n`);

async function follow(name, stream) {
  stream.on('data', (event) => print(name, event.event_id));
  stream.on('error', (error) => process.stderr.write(`${name}: ${error}\n`));
}

async function main() {
  const now = await client.events.getCurrentStreamPosition();
  await follow('user', await client.events.getEventStream(now, { fetchInterval: 50, deduplicationFilterSize: 100_000 }));
  const enterprise = await client.events.getEnterpriseEventStream({
    streamPosition: now,
    pollingInterval: 1,
    streamType: 'admin_logs_streaming',
    deduplicationFilterSize: 100_000,
  });
  await follow('enterprise', enterprise);
  print('ready', now);
}

process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
