#!/usr/bin/env bash
# Configures and builds into build/ (or the folder given); with --tests the tests and benchmarks too, and every warning
# is an error; with --target only that, and what it needs. What follows the folder goes to cmake.
# usage: cluster/build.sh [--tests] [--target TARGET]... [FOLDER [CMAKE_OPTION...]]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tests=OFF
if [ "${1:-}" = --tests ]; then
    tests=ON
    shift
fi
targets=()
while [ "${1:-}" = --target ]; do
    targets+=(--target "$2")
    shift 2
done
folder=${1:-$root/build}
[ $# -eq 0 ] || shift
log=$folder/build.log
mkdir -p "$folder"
if ! { cmake -S "$root" -B "$folder" -DGLOWWORM_TESTS=$tests -DGLOWWORM_WERROR=$tests "$@" && cmake --build "$folder" -j "$(nproc)" "${targets[@]}"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "the build failed; the whole log is $log" >&2
    exit 1
fi
