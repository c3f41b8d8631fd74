// egnyte-js-sdk 2.x: sign in, list, upload, upload in chunks, download, move, copy, lock, delete, and follow events.
'use strict';

const crypto = require('node:crypto');
const { PassThrough } = require('node:stream');
const Egnyte = require('egnyte-js-sdk');
const { URL, TOKEN, act, counters, content, check, drained, until, run } = require('./hands.js');

const { API } = Egnyte.init(URL, { token: TOKEN, QPS: 1000 });
const at = (path) => API.storage.path(path);
const sha512 = (bytes) => crypto.createHash('sha512').update(bytes).digest('hex');

function streamOf(bytes) {
  const stream = new PassThrough();
  stream.end(bytes);
  return stream.pause();
}

/** The call must be refused by the service with this status. */
async function refused(call, status) {
  try {
    await call();
  } catch (error) {
    check(error.statusCode === status, `refused with ${error.statusCode}: ${error.message}`);
    return error;
  }
  throw new Error(`expected a refusal with ${status}`);
}

run(async () => {
  // Signing in.
  const fresh = Egnyte.init(URL, { key: 'key', QPS: 1000 }).API;
  await fresh.auth.requestTokenByPassword('agent', 'secret');
  check((await fresh.auth.getUserInfo()).username === 'agent', 'userinfo with a token by password');
  const dead = Egnyte.init(URL, { token: 'dead', QPS: 1000 }).API;
  await refused(() => dead.events.getCursor(), 401);

  // Folders and listings.
  const start = await API.events.getCursor();
  const top = '/Shared/egnyte js 50% #1 Żółć & + ;';
  check((await at(top).createFolder()).path === top, 'a folder');
  await refused(() => at(top).createFolder(), 403);
  await refused(() => at('/nowhere').createFolder(), 409);
  await refused(() => at(`${top}/Thumbs.db`).createFolder(), 400);
  await at(`${top}/sub`).createFolder();
  check(await at(`${top}/SUB`).exists(), 'names without case');
  check(!(await at(`${top}/absent`).exists()), 'what is absent');

  // Upload, new version, download, stream.
  const small = content(5000);
  const file = `${top}/small.bin`;
  const first = await at(file).storeFile(streamOf(small), 'application/octet-stream', small.length);
  check(first.id && first.group_id, 'uploaded');
  const known = await at(file).get();
  check(known.entry_id === first.id && known.group_id === first.group_id, 'the ids of the upload');
  check(known.checksum === sha512(small) && known.size === 5000, 'metadata');
  const second = await at(file).storeFile(streamOf(Buffer.from('second')), 'text/plain', 6);
  check(second.group_id === first.group_id && second.id !== first.id, 'a new version');
  check((await at(file).download()).body === 'second', 'downloaded');
  const streamed = await at(file).getFileStream(first.id);
  check((await drained(streamed)).equals(small), 'the first version as a stream');
  check((await API.storage.fileId(first.group_id).get()).versions.length === 1, 'by id, with its past version');
  check((await at(file).removeFileVersion(first.id)) === 200, 'one version deleted');
  check((await at(file).get()).num_versions === 1, 'one is left');
  const folder = await at(top).get();
  check(folder.folders.length === 1 && folder.files.length === 1 && folder.total_count === 2, 'listed');
  check((await API.storage.folderId(folder.folder_id).get()).path === top, 'a folder by its id');
  const empty = await at(`${top}/sub`).get();
  check(empty.folders === undefined && empty.files === undefined, 'empty lists are absent');

  // In chunks.
  const size = 10 * 1024 * 1024;
  const large = content(2 * size + 12345, 2);
  const pieces = [large.subarray(0, size), large.subarray(size, 2 * size), large.subarray(2 * size)];
  const verify = (piece) => (told) => check(told === sha512(piece), "a chunk's checksum");
  const uploader = await at(`${top}/large.bin`).startChunkedUpload(pieces[0], 'text/plain', verify(pieces[0]));
  await uploader.sendChunk(pieces[1], 2, verify(pieces[1]));
  const whole = await uploader.sendLastChunk(pieces[2], verify(pieces[2]));
  const big = await at(`${top}/large.bin`).get();
  const composite = `2-3-${size}-${sha512(pieces.map(sha512).join(''))}`;
  check(big.entry_id === whole.id && big.checksum === composite, 'the composite checksum');
  const back = await drained(await at(`${top}/large.bin`).getFileStream());
  check(back.equals(large), 'the large content');

  // Lock.
  const lock = await at(file).lock(null, 1800);
  check(lock.lock_token && lock.timeout === 1800, 'locked');
  check((await at(file).get()).locked === true, 'and shown');
  await refused(() => at(file).unlock('wrong'), 404);
  await at(file).unlock(lock.lock_token);
  check((await at(file).get()).locked === false, 'unlocked');

  // Move, copy, delete.
  await at(file).move(`${top}/sub/moved.bin`);
  check((await at(`${top}/sub/moved.bin`).get()).group_id === first.group_id, 'moved');
  await API.storage.fileId(first.group_id).rename(`${top}/sub/renamed.bin`);
  await at(`${top}/sub/renamed.bin`).copy(`${top}/copy.bin`);
  check((await at(`${top}/copy.bin`).get()).group_id !== first.group_id, 'copied');
  check((await at(`${top}/sub`).remove()) === 200, 'a folder deleted');
  await refused(() => at(`${top}/sub/renamed.bin`).get(), 404);

  // Events: what was done here, then the listener.
  const told = [];
  const page = await API.events.getUpdate({ start, count: 100, emit: (event) => told.push(event) });
  await until(() => told.length === page.body.events.length, 'the emitted events');
  check(page.body.latest_id === told.at(-1).id, 'the position of the page');
  const actions = told.map((event) => `${event.action} ${event.data.target_path.slice(top.length)}`);
  const wanted = ['create ', 'create /small.bin', 'create /large.bin', 'move /sub/moved.bin', 'move /sub/renamed.bin'];
  for (const one of [...wanted, 'copy /copy.bin', 'delete /sub']) check(actions.includes(one), `event ${one}`);
  check(told.every((event) => event.action_source === 'PublicAPI'), 'done by programs');
  const quiet = await API.events.notMy('app').getUpdate({ start, emit: () => {} });
  check(quiet.response.statusCode === 204, 'our own can be suppressed');

  const heard = [];
  const errors = [];
  const listener = await API.events.filter({ folder: top, type: ['file_system'] }).listen({
    start: page.body.latest_id,
    count: 2,
    interval: 2000,
    emit: (event) => heard.push(event),
    error: (error) => errors.push(error),
  });
  for (let n = 0; n < 5; n += 1) await act('write', { path: `${top}/theirs ${n}.txt`, text: 'theirs' });
  await act('write', { path: '/Shared/elsewhere/other.txt', text: 'other' });
  await act('trash', { path: `${top}/theirs 0.txt` });
  await until(() => heard.length >= 6, 'what another user did');
  check(heard.map((event) => event.action).join() === 'create,create,create,create,create,delete', 'heard');

  // A position that is too old fails for as long as the listener keeps it.
  await act('forget_events');
  await refused(() => API.events.getUpdate({ start }), 404);
  listener.stop();
  check(errors.length === 0, 'the listener met no errors');

  // A throttled call is made again by the client; a spent day is not.
  await act('egnyte_quota', { quota: { per_second: 1 } });
  await until(async () => {
    const spent = await Promise.all([at(top).get(), at(top).get()]);
    return spent.every((one) => one.path === top) && (await counters()).throttled >= 1;
  }, 'two calls in a second');
  await act('egnyte_quota', { quota: { per_day: 1 } });
  const over = await refused(() => at(top).get(), 403);
  check(over.RATE === true, 'over the limit of a day');
  await act('egnyte_next_day');
  const answer = await API.manual.promiseRequest({ method: 'GET', url: `${API.manual.getEndpoint()}/v1/userinfo` });
  check(answer.response.headers['x-accesstoken-quota-current'] === '1', 'a new day');
});
