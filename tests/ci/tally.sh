#!/usr/bin/env bash
# One line that counts what logs of tests say: "N passed, N failed, N skipped". Read are closing lines of ctest (for which
# a suite that was skipped has passed), cmocka's counts of skipped tests, and lines of this form. A suite is skipped when
# what it needs is not installed: on Debian 12, where cluster/setup.sh can install all of it, it has failed. A single test
# is skipped for want of an instruction set or a privilege. Fails when one failed or none ran. usage: tally.sh LOG...
set -uo pipefail
release=${TALLY_OS_RELEASE:-/etc/os-release}
is_complete=0
grep -q '^ID=debian' "$release" && grep -q '^VERSION_ID="12"' "$release" && is_complete=1
cat "$@" | awk -v is_complete=$is_complete '
    /^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+$/ { failed += $4; passed += $NF - $4 }
    /^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { passed += $1; failed += $3; skipped += $5 }
    /^[ \t]*[0-9]+ - .* \(Skipped\)$/ { passed--; if (is_complete) failed++; else skipped++ }
    /^\[  SKIPPED \] [0-9]+ test\(s\), listed below:$/ { skipped += $4 }
    END {
        printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
        exit failed > 0 || passed == 0
    }'
