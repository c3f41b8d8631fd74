"""egnyte 0.5.x: sign in, list, upload, upload in chunks, download, move, copy, delete, and follow events."""

import hashlib
import io
import itertools

from egnyte import EgnyteClient, base, exc
from egnyte.resources import File

from hands import TOKEN, URL, check, content, counters, do, sandbox

# The client knows no other scheme than https; the address is set after it has put its own together.
known_init = base.Session.__init__


def init(self, config=None):
    known_init(self, config)
    self._url_prefix = URL + "/"


base.Session.__init__ = init


def raised(kind, call):
    try:
        call()
    except kind as error:
        print("ok", f"refused as {kind.__name__}")
        return error
    raise AssertionError(f"expected {kind.__name__}")


# Signing in.
config = {"domain": "sandbox.test", "api_key": "key", "login": "agent", "password": "secret"}
token = base.get_access_token(config)
client = EgnyteClient({"domain": "sandbox.test", "access_token": token})
check(client.user_info["username"] == "agent", "userinfo with a token by password")
client = EgnyteClient({"domain": "sandbox.test", "access_token": TOKEN})
dead = EgnyteClient({"domain": "sandbox.test", "access_token": "dead"})
raised(exc.NotAuthorized, lambda: dead.user_info)

# Folders and listings.
start = client.events.latest_event_id
check(client.events.oldest_event_id <= start, "the cursor")
top = client.folder("/Shared/egnyte py 50% #1 Zażółć & + ;").create(ignore_if_exists=False)
raised(exc.InsufficientPermissions, lambda: client.folder(top.path).create(ignore_if_exists=False))
top.create()
raised(exc.DuplicateRecordExists, lambda: client.folder("/nowhere").create())
raised(exc.NotFound, lambda: client.folder("/Shared/absent").list())
raised(exc.RequestError, lambda: top.folder("with: colon").create())
sub = top.folder("sub").create()
for n in range(5):
    top.file(f"small {n}.txt").upload(f"text {n}".encode())
listed = client.get(top.path)
check([folder.name for folder in listed.folders] == ["sub"], "folders")
check(sorted(file.name for file in listed.files) == [f"small {n}.txt" for n in range(5)], "files")
check(listed.files[0].checksum == hashlib.sha512(b"text 0").hexdigest(), "the checksum in the listing")
check(not client.get(sub.path).files and not client.get(sub.path).folders, "an empty folder")
private = client.folder("/Private/agent").list()
check(private.is_folder, "the private tree")
raised(exc.InsufficientPermissions, lambda: client.folder("/Private/other").list())

# Upload, new version, download, range.
small = content(5000)
file = top.file("small.bin")
file.upload(io.BytesIO(small))
check(file.download().read() == small and file.size == 5000, "downloaded")
check(file.download((1000, 1999)).read() == small[1000:2000], "a range")
first = file.entry_id
client.file(file.path.replace("small.bin", "SMALL.BIN")).upload(b"second")
again = client.file(file.path)
check(again.entry_id != first and again.num_versions == 2, "another case is another version")
check(again.name == "small.bin" and again.download().read() == b"second", "of the file as it was named")
raised(exc.InsufficientPermissions, lambda: client.file("/Shared/file").upload(b"x"))
raised(exc.NotFound, lambda: top.file("absent/file").upload(b"x"))
raised(exc.RequestError, lambda: top.file("Thumbs.db").upload(b"x"))

# In chunks.
File._upload_chunk_size = 10 * 1024 * 1024
large = content(25_000_000, 2)
big = top.file("large.bin")
big.upload(io.BytesIO(large))
check(counters()["egnyte_chunk"] == 3, "three chunks")
digests = [hashlib.sha512(large[at : at + 10485760]).hexdigest() for at in range(0, len(large), 10485760)]
composite = "2-3-10485760-" + hashlib.sha512("".join(digests).encode()).hexdigest()
check(big.checksum == composite, "the composite checksum")
check(hashlib.sha512(big.download().read()).digest() == hashlib.sha512(large).digest(), "the large content")

# Move, copy, delete.
moved = file.move(sub.path + "/moved.bin")
check(moved.download().read() == b"second", "moved")
raised(exc.NotFound, lambda: file.check())
copied = moved.copy(top.path + "/copy.bin")
check(copied.entry_id != moved.entry_id, "copied")
raised(exc.DuplicateRecordExists, lambda: moved.copy(top.path + "/copy.bin"))
sub.move(top.path + "/sub 2")
check(client.file(top.path + "/sub 2/moved.bin").size == 6, "a folder moved with what is in it")
copied.delete()
client.folder(top.path + "/sub 2").delete()
raised(exc.NotFound, lambda: client.folder(top.path + "/sub 2").check())
raised(exc.InsufficientPermissions, lambda: client.folder("/Shared").delete())

# A throttled call is made again by the client itself.
over = {"status": 403, "headers": [["x-mashery-error-code", "ERR_403_DEVELOPER_OVER_QPS"], ["retry-after", "0"]]}
sandbox("faults", {"call": "egnyte_list", "times": 2, "faults": [{"fault": "answer", **over}]})
check(client.get(top.path).is_folder and counters()["fault_injected"] == 2, "over the limit, twice")

# Events: all of them from the start, then the poller.
seen = []
position = start
while page := client.events.list(position, 7):
    check(len(page) <= 7 and page.total_count == page[-1].id, "a page")
    seen.extend(page)
    position = page.total_count
told = [(event.action, event.data["target_path"].rsplit("/", 1)[1]) for event in seen]
check(told[0][0] == "create" and seen[0].data["is_folder"], "the folder first")
check([event.id for event in seen] == sorted({event.id for event in seen}), "ids rise")
for expected in [
    ("create", "small.bin"),
    ("create", "large.bin"),
    ("move", "moved.bin"),
    ("copy", "copy.bin"),
    ("move", "sub 2"),
    ("delete", "copy.bin"),
    ("delete", "sub 2"),
]:
    check(expected in told, f"event {expected}")
check(sum(one == ("move", "moved.bin") for one in told) == 1, "a move to another name is one event")
renamed = next(event for event in seen if event.action == "move" and not event.data["is_folder"])
check(renamed.data["source_path"] == file.path, "where it came from")
check(all(event.actor == client.user_info["id"] for event in seen), "the actor")
check(not client.events.filter(suppress="app").list(start), "our own can be suppressed")

poller = client.events.filter(folder=top.path)
check(poller.poll() == () and poller.start_id == position, "nothing new")
do("write", path=top.path + "/theirs.txt", text="theirs")
do("write", path="/Shared/elsewhere/other.txt", text="other")
do("rename", path=top.path + "/theirs.txt", name="renamed.txt")
followed = list(itertools.islice(poller, 2))
check([event.action for event in followed] == ["create", "move"], "the poller follows another user")
check(followed[0].action_source == "WebUI" and followed[0].actor != seen[0].actor, "who is somebody else")

# A cursor that is too old.
do("forget_events")
raised(exc.NotFound, lambda: client.events.list(start))
fresh = client.events
check(fresh.oldest_event_id == fresh.latest_event_id > start, "everything is forgotten")
check(client.events.list(fresh.oldest_event_id) == (), "on from the oldest")

print("all done")
