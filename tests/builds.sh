#!/usr/bin/env bash
# Compiles everything, tests and benchmarks too, with warnings as errors: by gcc as the tests run it, by clang for debugging;
# by gcc for release what is installed, kernels of GPUs included where CUDA's toolkit is. usage: tests/builds.sh
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
cluster/setup.sh --tests || exit
passed=0 failed=0
try() { # NAME OPTION OF build.sh...
    local started=$SECONDS
    if cluster/build.sh "${@:2}"; then
        passed=$((passed + 1))
        echo "$1: built without a warning in $((SECONDS - started)) s"
    else
        failed=$((failed + 1))
        echo "$1: does not build"
    fi
}
try "gcc RelWithDebInfo" --tests build
try "gcc Release" build-release -DGLOWWORM_WERROR=ON -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release
try "clang Debug" --tests build-clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
