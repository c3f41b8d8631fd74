#!/bin/sh
# Runs a clamd of the test's own in the foreground: clamd.sh DIR [OPTION]... ; DIR/db holds the signatures, the socket is
# DIR/clamd.ctl, further lines of the configuration are the options.
set -eu
dir=$1
shift
{
    echo "DatabaseDirectory $dir/db"
    echo "LocalSocket $dir/clamd.ctl"
    echo "TemporaryDirectory $dir"
    echo "PidFile $dir/clamd.pid"
    echo "Foreground yes"
    echo "AlertExceedsMax yes"
    [ "$(id -u)" != 0 ] || echo "User root"
    for option in "$@"; do
        echo "$option"
    done
} >"$dir/clamd.conf"
exec clamd -c "$dir/clamd.conf"
