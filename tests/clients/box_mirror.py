"""A mirror as somebody writes it with the official SDK in an hour: list every folder, fetch what is not there in that length. Used by the benchmarks."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from box_sdk_gen import BaseUrls, BoxClient, BoxDeveloperTokenAuth, NetworkSession

URL = os.environ["SANDBOX_URL"]
TOKEN = os.environ["SANDBOX_TOKEN"]
THREADS = 16

session = NetworkSession(base_urls=BaseUrls(base_url=URL, upload_url=URL + "/api", oauth_2_url=URL + "/oauth2"))
client = BoxClient(auth=BoxDeveloperTokenAuth(token=TOKEN), network_session=session)


def entries(folder):
    marker = None
    while True:
        page = client.folders.get_folder_items(
            folder, fields=["id", "type", "name", "size"], usemarker=True, marker=marker, limit=1000
        )
        yield from page.entries
        marker = page.next_marker
        if not marker:
            return


def fetch(file_id, path):
    staged = path.with_name("." + path.name)
    with open(staged, "wb") as out:
        source = client.downloads.download_file(file_id)
        while part := source.read(1 << 16):
            out.write(part)
        out.flush()
        os.fsync(out.fileno())
    staged.rename(path)


def walk(folder, path, pool, waiting):
    path.mkdir(parents=True, exist_ok=True)
    for entry in entries(folder):
        here = path / entry.name
        if entry.type == "folder":
            walk(entry.id, here, pool, waiting)
        elif not here.exists() or here.stat().st_size != entry.size:
            waiting.append(pool.submit(fetch, entry.id, here))


with ThreadPoolExecutor(THREADS) as pool:
    waiting = []
    walk(sys.argv[1], Path(sys.argv[2]), pool, waiting)
    for one in waiting:
        one.result()
