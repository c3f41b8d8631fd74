// box-node-sdk 10.x (the generated line): list, upload, download, rename, move, trash, restore, and follow events.
'use strict';

const crypto = require('node:crypto');
const { Readable } = require('node:stream');
const { BoxClient, BoxDeveloperTokenAuth, BoxCcgAuth, CcgConfig } = require('box-node-sdk');
const { NetworkSession } = require('box-node-sdk/lib/networking/network');
const { BaseUrls } = require('box-node-sdk/lib/networking/baseUrls');
const { URL, TOKEN, act, counters, content, check, refused, drained, until, run } = require('./hands.js');

const networkSession = new NetworkSession({
  baseUrls: new BaseUrls({ baseUrl: URL, uploadUrl: `${URL}/api`, oauth2Url: `${URL}/oauth2` }),
});
const client = new BoxClient({ auth: new BoxDeveloperTokenAuth({ token: TOKEN }), networkSession });
const sha1 = (bytes) => crypto.createHash('sha1').update(bytes).digest('hex');

async function upload(parent, name, bytes, headers) {
  const body = { attributes: { name, parent: { id: parent } }, file: Readable.from([bytes]) };
  return (await client.uploads.uploadFile(body, { headers })).entries[0];
}

async function uploadVersion(id, name, bytes, headers) {
  const body = { attributes: { name }, file: Readable.from([bytes]) };
  return (await client.uploads.uploadFileVersion(id, body, { headers })).entries[0];
}

const download = async (id, options) => drained(await client.downloads.downloadFile(id, options));

run(async () => {
  check((await client.users.getUserMe()).login === 'agent@example.test', 'users/me');

  // Folders and listings.
  const top = await client.folders.createFolder({ name: 'node 10 テスト', parent: { id: '0' } });
  const sub = await client.folders.createFolder({ name: 'sub', parent: { id: top.id } });
  const again = { name: 'SUB', parent: { id: top.id } };
  const conflict = await refused(() => client.folders.createFolder(again), 409, 'item_name_in_use');
  check(conflict.context_info.conflicts[0].id === sub.id, 'the conflict names the folder');

  // Simple upload, new version, download, range, preflight.
  const small = content(5000);
  const free = await client.uploads.preflightFileUploadCheck({ name: 'small.bin', size: 5000, parent: { id: top.id } });
  check(free.uploadUrl.startsWith(URL), 'preflight');
  const file = await upload(top.id, 'small.bin', small, { contentMd5: sha1(small) });
  check(file.sha1 === sha1(small) && file.size === 5000, 'uploaded');
  check((await download(file.id)).equals(small), 'downloaded');
  const range = { headers: { range: 'bytes=1000-1999' } };
  check((await download(file.id, range)).equals(small.subarray(1000, 2000)), 'a range');
  await refused(() => upload(top.id, 'SMALL.BIN', small), 409, 'item_name_in_use');
  await refused(() => upload(top.id, 'bad.bin', small, { contentMd5: '0'.repeat(40) }), 400, 'bad_digest');
  const second = await uploadVersion(file.id, 'small.bin', Buffer.from('second'), { ifMatch: file.etag });
  check(second.etag !== file.etag && (await download(file.id)).toString() === 'second', 'a new version');
  const stale = () => uploadVersion(file.id, 'small.bin', Buffer.from('third'), { ifMatch: file.etag });
  await refused(stale, 412, 'precondition_failed');
  const past = await client.fileVersions.getFileVersions(file.id);
  check(past.totalCount === 1 && past.entries[0].sha1 === file.sha1, 'the past version');
  const old = { queryParams: { version: past.entries[0].id } };
  check((await download(file.id, old)).equals(small), "the past version's content");
  const promote = { requestBody: { id: past.entries[0].id, type: 'file_version' } };
  await client.fileVersions.promoteFileVersion(file.id, promote);
  check((await download(file.id)).equals(small), 'promoted');

  // Chunked upload.
  const large = content(21_000_000, 2);
  const big = await client.chunkedUploads.uploadBigFile(Readable.from([large]), 'large.bin', large.length, top.id);
  check(big.sha1 === sha1(large), 'committed');
  check((await download(big.id)).equals(large), 'the large content');
  const edited = content(21_000_000, 3);
  const session = await client.chunkedUploads.createFileUploadSessionForExistingFile(big.id, { fileSize: edited.length });
  const digest = (bytes) => `sha=${crypto.createHash('sha1').update(bytes).digest('base64')}`;
  const parts = [];
  for (let start = 0; start < edited.length; start += session.partSize) {
    const part = edited.subarray(start, start + session.partSize);
    const contentRange = `bytes ${start}-${start + part.length - 1}/${edited.length}`;
    const headers = { digest: digest(part), contentRange };
    const sent = await client.chunkedUploads.uploadFilePart(session.id, Readable.from([part]), headers);
    parts.push(sent.part);
  }
  const commit = (ifMatch) =>
    client.chunkedUploads.createFileUploadSessionCommit(session.id, { parts }, { digest: digest(edited), ifMatch });
  await refused(() => commit('99'), 412, 'precondition_failed');
  check((await commit(big.etag)).entries[0].sha1 === sha1(edited), 'a chunked version');
  const tiny = { folderId: top.id, fileSize: 5, fileName: 'tiny' };
  await refused(() => client.chunkedUploads.createFileUploadSession(tiny), 400, 'file_size_too_small');

  // Rename, move, copy, lock.
  const to = { requestBody: { name: 'renamed.bin', parent: { id: sub.id } } };
  const moved = await client.files.updateFileById(file.id, to);
  check(moved.parent.id === sub.id && moved.name === 'renamed.bin', 'renamed and moved');
  const never = { requestBody: { name: 'never' }, headers: { ifMatch: '99' } };
  await refused(() => client.files.updateFileById(file.id, never), 412, 'precondition_failed');
  const copy = await client.files.copyFile(file.id, { parent: { id: top.id }, name: 'copy.bin' });
  check((await download(copy.id)).equals(small), 'copied');
  const lock = { requestBody: { lock: { access: 'lock' } }, queryParams: { fields: ['lock'] } };
  check((await client.files.updateFileById(file.id, lock)).lock.createdBy.login === 'agent@example.test', 'locked');
  const listed = await client.folders.getFolderItems(top.id);
  check(listed.entries.map((item) => item.name).join() === 'sub,copy.bin,large.bin', 'listed by offset');
  for (let n = 0; n < 7; n += 1) await upload(sub.id, `empty ${n}`, Buffer.alloc(0));
  const names = [];
  for (let marker; marker !== null; ) {
    const queryParams = { usemarker: true, limit: 3, marker };
    const page = await client.folders.getFolderItems(sub.id, { queryParams });
    names.push(...page.entries.map((item) => item.name));
    marker = page.nextMarker || null;
  }
  check(names.length === 8 && new Set(names).size === 8, 'listed by marker');

  // Trash and restore.
  await client.files.deleteFileById(copy.id);
  await refused(() => client.files.getFileById(copy.id), 404);
  check((await client.trashedFiles.getTrashedFileById(copy.id)).itemStatus === 'trashed', 'in the trash');
  const trashed = await client.trashedItems.getTrashedItems();
  check(trashed.entries.some((item) => item.id === copy.id), 'listed in the trash');
  check((await client.trashedFiles.restoreFileFromTrash(copy.id)).itemStatus === 'active', 'restored');
  await refused(() => client.folders.deleteFolderById(sub.id), 400);
  await client.folders.deleteFolderById(sub.id, { queryParams: { recursive: true } });
  await client.trashedFolders.restoreFolderFromTrash(sub.id, { requestBody: { name: 'sub again' } });
  const restored = await client.folders.getFolderById(sub.id);
  check(restored.itemCollection.totalCount === 8, 'a folder restored with all in it');
  await client.files.deleteFileById(copy.id);
  await client.trashedFiles.deleteTrashedFileById(copy.id);
  await refused(() => client.trashedFiles.getTrashedFileById(copy.id), 404);

  // Events: a page, and the long poll while another user works.
  const now = await client.events.getEvents({ streamPosition: 'now' });
  await act('write', { path: '/node 10 テスト/foreign.txt', text: 'from another user' });
  const streamPosition = String(now.nextStreamPosition);
  const page = await client.events.getEvents({ streamType: 'changes', streamPosition, limit: 500 });
  const kinds = page.entries.map((event) => `${event.eventType} ${event.source.name}`);
  check(kinds.join() === 'ITEM_UPLOAD foreign.txt', `a page of events: ${kinds}`);
  const seen = [];
  const stream = client.events.getEventStream({ streamType: 'changes' });
  const before = (await counters()).realtime ?? 0;
  stream.on('data', (event) => seen.push(`${event.eventType} ${event.source.name}`));
  stream.on('error', (error) => seen.push(`error ${error}`));
  await until(async () => ((await counters()).realtime ?? 0) > before, 'the long poll');
  await act('rename', { path: '/node 10 テスト/foreign.txt', name: 'foreign 2.txt' });
  await act('trash', { path: '/node 10 テスト/foreign 2.txt' });
  await until(() => seen.length >= 2, 'the events');
  check(seen.join() === 'ITEM_RENAME foreign 2.txt,ITEM_TRASH foreign 2.txt', `followed: ${seen}`);

  // Client credentials.
  const auth = new BoxCcgAuth({ config: new CcgConfig({ clientId: 'c', clientSecret: 's', userId: '11446499' }) });
  const other = new BoxClient({ auth, networkSession });
  check((await other.users.getUserMe()).login === 'other@example.test', 'client credentials for a user');
});
