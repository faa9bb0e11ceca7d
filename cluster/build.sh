#!/usr/bin/env bash
# Configures and builds into build/ (or the folder given); the tests and benchmarks too with --tests.
# usage: cluster/build.sh [--tests] [FOLDER]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tests=OFF
if [ "${1:-}" = --tests ]; then
    tests=ON
    shift
fi
folder=${1:-$root/build}
log=$folder/build.log
mkdir -p "$folder"
if ! { cmake -S "$root" -B "$folder" -DGLOWWORM_TESTS=$tests && cmake --build "$folder" -j "$(nproc)"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "the build failed; the whole log is $log" >&2
    exit 1
fi
