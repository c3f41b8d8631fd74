"""boxsdk 10.x (the generated line): list, upload, download, rename, move, trash, restore, and follow events."""

import hashlib
import io
import threading

from box_sdk_gen import (
    BaseUrls,
    BoxClient,
    BoxDeveloperTokenAuth,
    BoxCCGAuth,
    CCGConfig,
    NetworkSession,
)
from box_sdk_gen.managers.chunked_uploads import ChunkedUploadsManager  # noqa: F401
from box_sdk_gen.managers.events import GetEventsStreamType, GetEventStreamQueryParams, GetEventStreamQueryParamsStreamTypeField
from box_sdk_gen.managers.files import CopyFileParent, UpdateFileByIdLock, UpdateFileByIdParent
from box_sdk_gen.managers.folders import CreateFolderParent, GetFolderItemsDirection, GetFolderItemsSort
from box_sdk_gen.managers.uploads import (
    PreflightFileUploadCheckParent,
    UploadFileAttributes,
    UploadFileAttributesParentField,
    UploadFileVersionAttributes,
)

from hands import TOKEN, URL, check, content, counters, do, refused

session = NetworkSession(base_urls=BaseUrls(base_url=URL, upload_url=URL + "/api", oauth_2_url=URL + "/oauth2"))
client = BoxClient(auth=BoxDeveloperTokenAuth(token=TOKEN), network_session=session)
check(client.users.get_user_me().login == "agent@example.test", "users/me")


def upload(parent, name, data, **more):
    attributes = UploadFileAttributes(name=name, parent=UploadFileAttributesParentField(id=parent))
    return client.uploads.upload_file(attributes, io.BytesIO(data), **more).entries[0]


def download(file_id, **more):
    return client.downloads.download_file(file_id, **more).read()


# Folders and listings.
top = client.folders.create_folder("boxsdk 10 テスト", CreateFolderParent(id="0"))
sub = client.folders.create_folder("sub", CreateFolderParent(id=top.id))
refused(lambda: client.folders.create_folder("SUB", CreateFolderParent(id=top.id)), 409, "item_name_in_use")

# Simple upload, new version, download, range, preflight.
small = content(5000)
check(
    client.uploads.preflight_file_upload_check(name="small.bin", size=5000, parent=PreflightFileUploadCheckParent(id=top.id)).upload_url.startswith(URL),
    "preflight",
)
file = upload(top.id, "small.bin", small, content_md_5=hashlib.sha1(small).hexdigest())
check(file.sha_1 == hashlib.sha1(small).hexdigest() and file.size == 5000, "uploaded")
check(download(file.id) == small, "downloaded")
check(download(file.id, range="bytes=1000-1999") == small[1000:2000], "a range")
refused(lambda: upload(top.id, "SMALL.BIN", b"x"), 409, "item_name_in_use")
refused(lambda: upload(top.id, "bad.bin", b"x", content_md_5="0" * 40), 400, "bad_digest")
second = client.uploads.upload_file_version(
    file.id, UploadFileVersionAttributes(name="small.bin"), io.BytesIO(b"second"), if_match=file.etag
).entries[0]
check(second.etag != file.etag and download(file.id) == b"second", "a new version")
refused(
    lambda: client.uploads.upload_file_version(
        file.id, UploadFileVersionAttributes(name="small.bin"), io.BytesIO(b"third"), if_match=file.etag
    ),
    412,
    "precondition_failed",
)
past = client.file_versions.get_file_versions(file.id).entries
check(len(past) == 1 and past[0].sha_1 == file.sha_1, "the past version")
check(download(file.id, version=past[0].id) == small, "the past version's content")
client.file_versions.promote_file_version(file.id, id=past[0].id, type="file_version")
check(download(file.id) == small, "promoted")

# Chunked upload, and a version of which one part is new.
large = content(21_000_000, 2)
committed = client.chunked_uploads.upload_big_file(io.BytesIO(large), "large.bin", len(large), top.id)
check(committed.sha_1 == hashlib.sha1(large).hexdigest(), "committed")
check(download(committed.id) == large, "the large content")
edited = large[:-1] + b"!"
before = counters().get("session_part", 0)
version = client.chunked_uploads.upload_big_file_version(committed.id, io.BytesIO(edited), len(edited))
check(version.sha_1 == hashlib.sha1(edited).hexdigest(), "a chunked version")
check(counters()["session_part"] == before + 1, "only the part that changed was sent")
refused(lambda: client.chunked_uploads.create_file_upload_session(top.id, 5, "tiny"), 400, "file_size_too_small")

# Rename, move, copy, lock.
moved = client.files.update_file_by_id(file.id, name="renamed.bin", parent=UpdateFileByIdParent(id=sub.id))
check(moved.parent.id == sub.id and moved.name == "renamed.bin", "renamed and moved")
refused(lambda: client.files.update_file_by_id(file.id, name="never", if_match=file.etag + "0"), 412, "precondition_failed")
copy = client.files.copy_file(file.id, CopyFileParent(id=top.id), name="copy.bin")
check(copy.id != file.id and download(copy.id) == small, "copied")
locked = client.files.update_file_by_id(file.id, lock=UpdateFileByIdLock(access="lock"), fields=["lock"])
check(locked.lock.created_by.login == "agent@example.test", "locked")
listed = client.folders.get_folder_items(top.id)
check([item.name for item in listed.entries] == ["sub", "copy.bin", "large.bin"], "listed by offset")
for n in range(7):
    upload(sub.id, f"empty {n}", b"")
names, marker = [], None
while True:
    page = client.folders.get_folder_items(sub.id, usemarker=True, limit=3, marker=marker)
    names += [item.name for item in page.entries]
    marker = page.next_marker
    if not marker:
        break
check(sorted(names) == sorted([f"empty {n}" for n in range(7)] + ["renamed.bin"]), f"listed by marker {names}")
by_size = client.folders.get_folder_items(
    top.id, sort=GetFolderItemsSort.SIZE, direction=GetFolderItemsDirection.DESC, fields=["size"]
)
check(by_size.entries[1].size == 21_000_000, "sorted")

# Trash and restore.
client.files.delete_file_by_id(copy.id)
refused(lambda: client.files.get_file_by_id(copy.id), 404)
check(client.trashed_files.get_trashed_file_by_id(copy.id).item_status == "trashed", "in the trash")
check(any(item.id == copy.id for item in client.trashed_items.get_trashed_items().entries), "listed in the trash")
check(client.trashed_files.restore_file_from_trash(copy.id).item_status == "active", "restored")
check(download(copy.id) == small, "with its content")
refused(lambda: client.folders.delete_folder_by_id(sub.id), 400, "folder_not_empty")
client.folders.delete_folder_by_id(sub.id, recursive=True)
client.trashed_folders.restore_folder_from_trash(sub.id, name="sub again")
check(client.folders.get_folder_by_id(sub.id).item_collection.total_count == 8, "a folder restored with all in it")
client.files.delete_file_by_id(copy.id)
client.trashed_files.delete_trashed_file_by_id(copy.id)
refused(lambda: client.trashed_files.get_trashed_file_by_id(copy.id), 404)

# Events: a page, and the long poll while another user works.
now = client.events.get_events(stream_position="now")
do("write", path="/boxsdk 10 テスト/foreign.txt", text="from another user")
page = client.events.get_events(
    stream_type=GetEventsStreamType.CHANGES, stream_position=str(now.next_stream_position), limit=500
)
kinds = [(event.event_type.value, event.source.name) for event in page.entries]
check(kinds == [("ITEM_UPLOAD", "foreign.txt")], f"a page of events {kinds}")
check(client.events.get_events_with_long_polling().entries[0].url.startswith(URL), "the realtime server")
seen = []
stream = client.events.get_event_stream(
    query_params=GetEventStreamQueryParams(stream_type=GetEventStreamQueryParamsStreamTypeField.CHANGES)
)


def follow():
    for event in stream:
        seen.append((event.event_type.value, event.source.name))
        if event.event_type.value == "ITEM_TRASH":
            stream.stop()
            return


before = counters().get("realtime", 0)
follower = threading.Thread(target=follow, daemon=True)
follower.start()
while counters().get("realtime", 0) == before:
    pass
do("rename", path="/boxsdk 10 テスト/foreign.txt", name="foreign 2.txt")
do("trash", path="/boxsdk 10 テスト/foreign 2.txt")
follower.join(20)
check(seen == [("ITEM_RENAME", "foreign 2.txt"), ("ITEM_TRASH", "foreign 2.txt")], f"followed {seen}")

# Client credentials.
auth = BoxCCGAuth(CCGConfig(client_id="c", client_secret="s", user_id="11446499"))
other = BoxClient(auth=auth, network_session=session)
check(other.users.get_user_me().login == "other@example.test", "client credentials for a user")
print("all done")
