"""What the Python clients' scenarios share: the sandbox's own hands, and made-up content."""

import json
import os
import urllib.request

URL = os.environ["SANDBOX_URL"]
TOKEN = os.environ["SANDBOX_TOKEN"]


def sandbox(path, body=None, method=None):
    """Calls the sandbox's own routes, as another user or a test would."""
    request = urllib.request.Request(
        f"{URL}/sandbox/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def do(op, **fields):
    return sandbox("do", {"op": op, **fields})


def counters():
    return sandbox("counters")["counters"]


def content(length, seed=1):
    """Bytes that differ from one place to the next."""
    block = bytes((seed * 31 + n * 7 + n // 251) % 256 for n in range(65536))
    return (block * (length // len(block) + 1))[:length]


def check(condition, what):
    if not condition:
        raise AssertionError(what)
    print("ok", what)


def refused(call, status, code=None):
    """The call must be refused by the service with this status and code."""
    try:
        call()
    except Exception as error:  # every client has a class of its own
        info = getattr(error, "response_info", None)
        got = getattr(info, "status_code", None) or getattr(error, "status", None)
        got_code = getattr(info, "code", None) or getattr(error, "code", None)
        check(got == status and (code is None or got_code == code), f"refused with {got} {got_code}")
        return error
    raise AssertionError(f"expected a refusal with {status}")
