#!/usr/bin/env bash
# tally.sh: nothing that failed, and nothing that did not run, passes for green.
set -uo pipefail
tally=$(dirname "$0")/tally.sh
work=$(mktemp -d /tmp/glowworm-tally-XXXXXX)
trap 'rm -rf "$work"' EXIT
failures=0
expect() { # WHAT STATUS LINE, the log on standard input
    local said status
    cat >"$work/log"
    said=$(TALLY_OS_RELEASE=$work/release bash "$tally" "$work/log")
    status=$?
    if [ "$status" != "$2" ] || [ "$said" != "$3" ]; then
        echo "$1: ended with $status, \"$said\"; expected $2, \"$3\""
        failures=1
    fi
}
passed="100% tests passed, 0 tests failed out of 84"
skipped="
The following tests did not run:
	 13 - safetensors_package (Skipped)"
printf 'ID=debian\nVERSION_ID="12"\n' >"$work/release"
expect "two closing lines of ctest and two of ours" 0 "96 passed, 0 failed, 2 skipped" <<<"noise
$passed

100% tests passed, 0 tests failed out of 6
3 passed, 0 failed
3 passed, 0 failed, 2 skipped"
expect "a failure of ctest" 1 "83 passed, 1 failed, 0 skipped" <<<"99% tests passed, 1 tests failed out of 84"
expect "a failure elsewhere" 1 "85 passed, 1 failed, 0 skipped" <<<"$passed
1 passed, 1 failed"
expect "no test at all" 1 "0 passed, 0 failed, 0 skipped" <<<"No tests were found!!!"
expect "tests that a suite skipped" 0 "84 passed, 0 failed, 2 skipped" <<<"[  SKIPPED ] a_full_disk_is_named
[  SKIPPED ] 2 test(s), listed below:
[  SKIPPED ] a_full_disk_is_named
[  SKIPPED ] a_read_only_one_is_read
$passed"
expect "a suite skipped on Debian 12" 1 "83 passed, 1 failed, 0 skipped" <<<"$passed
$skipped"
printf 'ID=debian\nVERSION_ID="13"\n' >"$work/release"
expect "a suite skipped elsewhere" 0 "83 passed, 0 failed, 1 skipped" <<<"$passed
$skipped"
exit $failures
