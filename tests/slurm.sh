#!/usr/bin/env bash
# The tests on a real Slurm, which each starts for itself on this host; with --all those, too, that take minutes and are in no
# other script: a node that ends gangs, a lost node whose processes live on, the limit of a job's time, an array of campaigns.
# usage: tests/slurm.sh [--all]   (cluster/setup.sh --tests and cluster/build.sh --tests first)
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
case ${1:-} in
"" | --all) ;;
*) echo "usage: tests/slurm.sh [--all]" >&2; exit 2 ;;
esac
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
failed=0 passed=0
count() { if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }
count ctest --test-dir build --output-on-failure --no-tests=error -R '^slurm_'
if [ "${1:-}" = --all ]; then
    for suite in bad_node long; do count /usr/bin/python3 -B tests/slurm/test_$suite.py build; done
    count /usr/bin/python3 -B tests/slurm/test_handover.py build --all
fi
echo "$passed passed, $failed failed"
exit "$failed"
