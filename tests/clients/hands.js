// What the Node clients' scenarios share: the sandbox's own hands, and made-up content.
'use strict';

const URL = process.env.SANDBOX_URL;
const TOKEN = process.env.SANDBOX_TOKEN;

async function sandbox(path, body) {
  const answer = await fetch(`${URL}/sandbox/v1/${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return answer.json();
}

const act = (op, fields) => sandbox('do', { op, ...fields });
const counters = async () => (await sandbox('counters')).counters;

/** Bytes that differ from one place to the next. */
function content(length, seed = 1) {
  const bytes = Buffer.alloc(length);
  for (let n = 0; n < length; n += 1) bytes[n] = (seed * 31 + n * 7 + (n >> 8)) & 255;
  return bytes;
}

function check(condition, what) {
  if (!condition) throw new Error(`not so: ${what}`);
  console.log('ok', what);
}

/** The call must be refused by the service with this status. */
async function refused(call, status, code) {
  try {
    await call();
  } catch (error) {
    const got = error.statusCode ?? error.responseInfo?.statusCode;
    const body = error.response?.body ?? error.responseInfo?.body;
    check(got === status && (!code || body?.code === code), `refused with ${got} ${body?.code}`);
    return body;
  }
  throw new Error(`expected a refusal with ${status}`);
}

/** The whole of a stream. */
async function drained(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Waits until the condition holds; the time limit is the test's safety net only. */
async function until(condition, what) {
  const end = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((next) => setTimeout(next, 20));
  }
}

function run(main) {
  main().then(
    () => {
      console.log('all done');
      process.exit(0);
    },
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { URL, TOKEN, act, counters, content, check, refused, drained, until, run };
