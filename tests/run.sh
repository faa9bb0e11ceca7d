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
# One more at a time than there are processors: many suites wait for time to pass.
ctest --test-dir build --output-on-failure -j $(($(nproc) + 1)) --no-tests=error -O "$log" "${selection[@]}" || status=$?
# What suites said is in ctest's own log, and that of those that failed in the other one, too: it gives its closing lines.
tests/ci/tally.sh <(grep -E '^[0-9]+% tests passed|\(Skipped\)$' "$log") build/Testing/Temporary/LastTest.log || status=1
exit $status
