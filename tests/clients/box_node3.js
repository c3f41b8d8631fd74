// box-node-sdk 3.x: list, upload, download, rename, move, trash, restore, and follow events.
'use strict';

const http = require('node:http');
const crypto = require('node:crypto');
const BoxSDK = require('box-node-sdk');
const { URL, TOKEN, act, counters, content, check, refused, drained, until, run } = require('./hands.js');

const sdk = new BoxSDK({
  clientID: 'c',
  clientSecret: 's',
  apiRootURL: URL,
  uploadAPIRootURL: `${URL}/api`,
  authorizeRootURL: `${URL}/api`,
  request: { agentClass: http.Agent },
});
const client = sdk.getBasicClient(TOKEN);
const sha1 = (bytes) => crypto.createHash('sha1').update(bytes).digest('hex');

run(async () => {
  check((await client.users.get('me')).login === 'agent@example.test', 'users/me');

  // Folders and listings.
  const top = await client.folders.create('0', 'node 3 テスト');
  const sub = await client.folders.create(top.id, 'sub');
  const conflict = await refused(() => client.folders.create(top.id, 'SUB'), 409, 'item_name_in_use');
  check(conflict.context_info.conflicts[0].id === sub.id, 'the conflict names the folder');

  // Simple upload, new version, download, range, preflight.
  const small = content(5000);
  await client.files.preflightUploadFile(top.id, { name: 'small.bin', size: 5000 });
  const file = (await client.files.uploadFile(top.id, 'small.bin', small)).entries[0];
  check(file.sha1 === sha1(small) && file.size === 5000, 'uploaded');
  const download = async (id, options) => drained(await client.files.getReadStream(id, options));
  check((await download(file.id)).equals(small), 'downloaded');
  check((await download(file.id, { byteRange: [1000, 1999] })).equals(small.subarray(1000, 2000)), 'a range');
  await refused(() => client.files.uploadFile(top.id, 'SMALL.BIN', small), 409, 'item_name_in_use');
  const second = (await client.files.uploadNewFileVersion(file.id, Buffer.from('second'))).entries[0];
  check(second.etag !== file.etag && (await download(file.id)).toString() === 'second', 'a new version');
  const past = await client.files.getVersions(file.id);
  check(past.total_count === 1 && past.entries[0].sha1 === file.sha1, 'the past version');
  check((await download(file.id, { version: past.entries[0].id })).equals(small), "the past version's content");
  await client.files.promoteVersion(file.id, past.entries[0].id);
  check((await download(file.id)).equals(small), 'promoted');

  // Chunked upload.
  const large = content(21_000_000, 2);
  const uploader = await client.files.getChunkedUploader(top.id, large.length, 'large.bin', large);
  const committed = (await uploader.start()).entries[0];
  check(committed.sha1 === sha1(large), 'committed');
  check((await download(committed.id)).equals(large), 'the large content');
  const edited = content(21_000_000, 3);
  const again = await client.files.getNewVersionChunkedUploader(committed.id, edited.length, edited);
  check((await again.start()).entries[0].sha1 === sha1(edited), 'a chunked version');
  const given = await client.files.createUploadSession(top.id, 21_000_000, 'never.bin');
  await client.files.abortUploadSession(given.id);
  await refused(() => client.files.createUploadSession(top.id, 5, 'tiny'), 400, 'file_size_too_small');

  // Rename, move, copy, lock.
  await client.files.update(file.id, { name: 'renamed.bin' });
  const moved = await client.files.move(file.id, sub.id);
  check(moved.parent.id === sub.id && moved.name === 'renamed.bin', 'renamed and moved');
  await refused(() => client.files.update(file.id, { name: 'never', etag: '99' }), 412, 'precondition_failed');
  const copy = await client.files.copy(file.id, top.id, { name: 'copy.bin' });
  check((await download(copy.id)).equals(small), 'copied');
  await client.files.lock(file.id);
  await client.files.unlock(file.id);
  const listed = await client.folders.getItems(top.id, { fields: 'name,size' });
  check(listed.entries.map((item) => item.name).join() === 'sub,copy.bin,large.bin', 'listed by offset');
  for (let n = 0; n < 7; n += 1) await client.files.uploadFile(sub.id, `empty ${n}`, Buffer.alloc(0));
  const names = [];
  for (let marker = ''; marker !== null; ) {
    const page = await client.folders.getItems(sub.id, { usemarker: true, limit: 3, ...(marker && { marker }) });
    names.push(...page.entries.map((item) => item.name));
    marker = page.next_marker || null;
  }
  check(names.length === 8 && new Set(names).size === 8, 'listed by marker');

  // Trash and restore.
  await client.files.delete(copy.id);
  await refused(() => client.files.get(copy.id), 404);
  check((await client.files.getTrashedFile(copy.id)).item_status === 'trashed', 'in the trash');
  check((await client.trash.get()).entries.some((item) => item.id === copy.id), 'listed in the trash');
  check((await client.files.restoreFromTrash(copy.id)).item_status === 'active', 'restored');
  await refused(() => client.folders.delete(sub.id), 400, 'folder_not_empty');
  await client.folders.delete(sub.id, { recursive: true });
  await client.folders.restoreFromTrash(sub.id, { name: 'sub again' });
  check((await client.folders.get(sub.id)).item_collection.total_count === 8, 'a folder restored with all in it');
  await client.files.delete(copy.id);
  await client.files.deletePermanently(copy.id);
  await refused(() => client.files.getTrashedFile(copy.id), 404);

  // Events: a page, and the long poll while another user works.
  const position = await client.events.getCurrentStreamPosition();
  await act('write', { path: '/node 3 テスト/foreign.txt', text: 'from another user' });
  const page = await client.events.get({ stream_position: position, stream_type: 'changes' });
  const kinds = page.entries.map((event) => `${event.event_type} ${event.source.name}`);
  check(kinds.join() === 'ITEM_UPLOAD foreign.txt', `a page of events: ${kinds}`);
  const seen = [];
  const stream = await client.events.getEventStream(undefined, { fetchInterval: 1 });
  const before = (await counters()).realtime ?? 0;
  stream.on('data', (event) => seen.push(`${event.event_type} ${event.source.name}`));
  stream.on('error', (error) => seen.push(`error ${error}`));
  await until(async () => ((await counters()).realtime ?? 0) > before, 'the long poll');
  await act('rename', { path: '/node 3 テスト/foreign.txt', name: 'foreign 2.txt' });
  await act('trash', { path: '/node 3 テスト/foreign 2.txt' });
  await until(() => seen.length >= 2, 'the events');
  check(seen.join() === 'ITEM_RENAME foreign 2.txt,ITEM_TRASH foreign 2.txt', `followed: ${seen}`);

  // An expired access token is renewed.
  const pair = await act('issue_pair', { lifetime_s: 3600 });
  await act('expire_token', { token: pair.access_token });
  const persistent = sdk.getPersistentClient({
    accessToken: pair.access_token,
    refreshToken: pair.refresh_token,
    accessTokenTTLMS: 1,
    acquiredAtMS: 1,
  });
  check((await persistent.users.get('me')).login === 'agent@example.test', 'signed in again with the refresh token');
});
