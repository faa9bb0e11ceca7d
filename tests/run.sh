#!/usr/bin/env bash
# The tests; the last line counts them. usage: tests/run.sh [--all]   (without --all: the quick ones)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
selection=(-L quick)
case ${1:-} in
"") ;;
--all) selection=() ;;
*) echo "usage: tests/run.sh [--all]" >&2; exit 2 ;;
esac
cluster/setup.sh --tests
cluster/build.sh --tests
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
status=0
log=$root/build/tests.log
ctest --test-dir build --output-on-failure -j "$(nproc)" --no-tests=error -O "$log" "${selection[@]}" || status=$?
tests/ci/tally.sh "$log" build/Testing/Temporary/LastTest.log || status=1
exit $status
