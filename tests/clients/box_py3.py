"""boxsdk 3.x: list, upload, download, rename, move, trash, restore, and follow events."""

import io
import threading

from boxsdk.config import API

from hands import TOKEN, URL, check, content, counters, do, refused

API.BASE_API_URL = URL + "/2.0"
API.UPLOAD_URL = URL + "/api/2.0"
API.OAUTH2_API_URL = URL + "/oauth2"

from boxsdk import Client, OAuth2  # noqa: E402  (the addresses must be set before)
from boxsdk.object.events import UserEventsStreamType  # noqa: E402

client = Client(OAuth2(client_id="c", client_secret="s", access_token=TOKEN))
check(client.user().get().login == "agent@example.test", "users/me")

# Folders and listings.
top = client.folder("0").create_subfolder("boxsdk 3 テスト")
sub = top.create_subfolder("sub")
error = refused(lambda: top.create_subfolder("SUB"), 409, "item_name_in_use")
check(error.context_info["conflicts"][0]["id"] == sub.id, "the conflict names the folder")

# Simple upload, new version, download, range, preflight.
small = content(5000)
file = top.upload_stream(io.BytesIO(small), "small.bin", preflight_check=True, preflight_expected_size=5000)
check(file.sha1 and file.size == 5000 and file.parent.id == top.id, "uploaded")
check(file.content() == small, "downloaded")
check(file.content(byte_range=(1000, 1999)) == small[1000:2000], "a range")
first = file.get()
refused(lambda: top.upload_stream(io.BytesIO(b"x"), "SMALL.BIN"), 409, "item_name_in_use")
second = file.update_contents_with_stream(io.BytesIO(b"second"), etag=first.etag)
check(second.etag != first.etag and file.content() == b"second", "a new version")
refused(lambda: file.update_contents_with_stream(io.BytesIO(b"third"), etag=first.etag), 412, "precondition_failed")
past = list(file.get_previous_versions())
check(len(past) == 1 and past[0].sha1 == first.sha1, "the past version")
check(file.content(file_version=past[0]) == small, "the past version's content")
file.promote_version(past[0])
check(file.content() == small, "promoted")

# Chunked upload.
large = content(21_000_000, 2)
session = top.create_upload_session(len(large), "large.bin")
parts = []
for start in range(0, len(large), session.part_size):
    part = large[start : start + session.part_size]
    parts.append(session.upload_part_bytes(part, start, len(large)))
check(len(list(session.get_parts())) == len(parts) == session.get().num_parts_processed, "parts")
import hashlib  # noqa: E402

committed = session.commit(content_sha1=hashlib.sha1(large).digest(), parts=parts)
check(committed.sha1 == hashlib.sha1(large).hexdigest(), "committed")
check(committed.content() == large, "the large content")
session = committed.create_upload_session(len(large))
uploader = session.get_chunked_uploader_for_stream(io.BytesIO(large[::-1]), len(large))
check(uploader.start().sha1 == hashlib.sha1(large[::-1]).hexdigest(), "a chunked version by the uploader")
session = top.create_upload_session(len(large), "never.bin")
check(session.abort(), "aborted")

# Rename, move, copy, lock.
file.rename("renamed.bin")
file.move(sub)
check(file.get().parent.id == sub.id and file.get().name == "renamed.bin", "renamed and moved")
copy = file.copy(parent_folder=top, name="copy.bin")
check(copy.id != file.id and copy.content() == small, "copied")
check(file.lock().get(fields=["lock"]).lock is not None, "locked")
file.unlock()
names = {item.name for item in top.get_items()}
check(names == {"sub", "large.bin", "copy.bin"}, f"listed by offset {names}")
for n in range(7):
    sub.upload_stream(io.BytesIO(b""), f"empty {n}")
listed = [item.name for item in sub.get_items(limit=3, use_marker=True)]
check(sorted(listed) == sorted([f"empty {n}" for n in range(7)] + ["renamed.bin"]), "listed by marker")
walked = [item.object_type for item in top.get_items(sort="size", direction="DESC", fields=["size", "name"])]
check(walked == ["folder", "file", "file"], "sorted")

# Trash and restore.
file.delete()
refused(lambda: file.get(), 404)
trashed = client.trash().get_item(client.file(file.id))
check(trashed.item_status == "trashed", "in the trash")
check(any(item.id == file.id for item in client.trash().get_items()), "listed in the trash")
client.trash().restore_item(client.file(file.id))
check(client.file(file.id).content() == small, "restored")
sub.delete(recursive=True)
client.trash().restore_item(client.folder(sub.id), name="sub again")
check(client.folder(sub.id).get().name == "sub again", "a folder restored under another name")
copy.delete()
client.trash().permanently_delete_item(client.file(copy.id))
refused(lambda: client.trash().get_item(client.file(copy.id)), 404)

# Events: a page, and the long poll while another user works.
position = client.events().get_latest_stream_position()
do("write", path="/boxsdk 3 テスト/foreign.txt", text="from another user")
page = client.events().get_events(stream_position=position, stream_type=UserEventsStreamType.CHANGES)
kinds = [(event.event_type, event.source.name) for event in page["entries"]]
check(kinds == [("ITEM_UPLOAD", "foreign.txt")], f"a page of events {kinds}")
check(page["entries"][0].created_by.login == "other@example.test", "by another user")
seen = []
started = threading.Event()


def follow():
    stream = client.events().generate_events_with_long_polling(stream_type=UserEventsStreamType.CHANGES)
    started.set()
    for event in stream:
        seen.append((event.event_type, event.source.name))
        if event.event_type == "ITEM_TRASH":
            return


follower = threading.Thread(target=follow, daemon=True)
before = counters().get("realtime", 0)
follower.start()
started.wait(10)
while counters().get("realtime", 0) == before:
    pass
do("rename", path="/boxsdk 3 テスト/foreign.txt", name="foreign 2.txt")
do("trash", path="/boxsdk 3 テスト/foreign 2.txt")
follower.join(20)
check(seen == [("ITEM_RENAME", "foreign 2.txt"), ("ITEM_TRASH", "foreign 2.txt")], f"followed {seen}")

# An expired access token is renewed, once.
pair = do("issue_pair", lifetime_s=3600)
do("expire_token", token=pair["access_token"])
kept = []
oauth = OAuth2(
    client_id="c",
    client_secret="s",
    access_token=pair["access_token"],
    refresh_token=pair["refresh_token"],
    store_tokens=lambda access, refresh: kept.append((access, refresh)),
)
check(Client(oauth).user().get().login == "agent@example.test", "signed in again with the refresh token")
check(len(kept) == 1 and kept[0][1] != pair["refresh_token"], "the refresh token was rotated")
print("all done")
