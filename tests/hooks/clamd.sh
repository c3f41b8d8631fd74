#!/bin/sh
# Runs a clamd of the test's own in the foreground: clamd.sh DIR [OPTION]... ; DIR/db holds the signatures, the socket is
# DIR/clamd.ctl, further lines of the configuration are the options. With --silent-about-limits first, it is not told to speak of them.
set -eu
dir=$1
shift
{
    echo "DatabaseDirectory $dir/db"
    echo "LocalSocket $dir/clamd.ctl"
    echo "TemporaryDirectory $dir"
    echo "PidFile $dir/clamd.pid"
    echo "Foreground yes"
    case "${1:-}" in
    --silent-about-limits) shift ;;
    *) echo "AlertExceedsMax yes" ;;
    esac
    [ "$(id -u)" != 0 ] || echo "User root"
    for option in "$@"; do
        echo "$option"
    done
} >"$dir/clamd.conf"
exec clamd -c "$dir/clamd.conf"
