#!/usr/bin/env bash
# Configures and builds into build/ (or the folder given). usage: cluster/build.sh [FOLDER]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$root/build}
log=$folder/build.log
mkdir -p "$folder"
if ! { cmake -S "$root" -B "$folder" && cmake --build "$folder" -j "$(nproc)"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "the build failed; the whole log is $log" >&2
    exit 1
fi
