"""Reduces Box's OpenAPI description to what the sandbox answers: our operations, their responses, the schemas these need.

    python3 reduce_openapi.py box-openapi.json > box-openapi.min.json

Prose and examples are left out; nothing else is changed, so what is kept says what Box says.
"""

import json
import sys

OPERATIONS = """
delete_files_id delete_files_id_trash delete_files_id_versions_id delete_files_upload_sessions_id delete_folders_id
delete_folders_id_trash get_events get_files_id get_files_id_content get_files_id_trash get_files_id_versions
get_files_id_versions_id get_files_upload_sessions_id get_files_upload_sessions_id_parts get_folders_id
get_folders_id_items get_folders_id_trash get_folders_trash_items get_users_me options_events options_files_content
post_files_content post_files_id post_files_id_content post_files_id_copy post_files_id_upload_sessions
post_files_id_versions_current post_files_upload_sessions post_files_upload_sessions_id_commit post_folders
post_folders_id post_folders_id_copy post_oauth2_revoke post_oauth2_token put_files_id put_files_upload_sessions_id
put_folders_id
""".split()

DROPPED = {"description", "example", "examples", "title", "externalDocs", "tags", "summary", "security", "parameters"}


def stripped(node, inside_properties=False):
    if isinstance(node, dict):
        return {
            key: stripped(value, key == "properties" and not inside_properties)
            for key, value in node.items()
            # A property may be called "description"; that one stays.
            if inside_properties or (key not in DROPPED and not key.startswith("x-box-"))
        }
    if isinstance(node, list):
        return [stripped(value) for value in node]
    return node


def references(node, found):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                found.add(value.rsplit("/", 1)[1])
            else:
                references(value, found)
    elif isinstance(node, list):
        for value in node:
            references(value, found)


def main(path):
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    paths, missing = {}, set(OPERATIONS)
    for where, item in spec["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and operation.get("operationId") in OPERATIONS:
                missing.discard(operation["operationId"])
                kept = {"operationId": operation["operationId"], "responses": stripped(operation["responses"])}
                paths.setdefault(where, {})[method] = kept
    if missing:
        sys.exit(f"not in the description: {sorted(missing)}")
    # What an event's source may be is not told by a reference that we could follow.
    wanted = {"File--Full", "Folder--Full"}
    references(paths, wanted)
    schemas = {}
    while wanted:
        name = wanted.pop()
        if name not in schemas:
            schemas[name] = stripped(spec["components"]["schemas"][name])
            references(schemas[name], wanted)
    info = {key: spec["info"][key] for key in ("title", "version", "license") if key in spec["info"]}
    reduced = {
        "openapi": spec["openapi"],
        "info": info,
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }
    json.dump(reduced, sys.stdout, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    print()


main(sys.argv[1])
