#!/usr/bin/env bash
# .ci/run: every part is run whatever the others said, and what it counts at the end is what they counted.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d /tmp/glowworm-ci-run-XXXXXX)
trap 'rm -rf "$work"' EXIT
failures=0
mkdir -p "$work/.ci" "$work/tests/ci"
cp "$root/.ci/run" "$work/.ci/run"
cp "$here/tally.sh" "$work/tests/ci/tally.sh"
part() { # NAME STATUS LINE...
    { echo '#!/usr/bin/env bash'; printf 'echo "%s"\n' "${@:3}"; echo "exit $2"; } >"$work/tests/$1"
    chmod +x "$work/tests/$1"
}
expect() { # WHAT STATUS LINE
    local said status
    said=$("$work/.ci/run" 2>&1)
    status=$?
    if [ "$status" != "$2" ] || [ "$(tail -n 1 <<<"$said")" != "$3" ]; then
        printf '%s: ended with %s, expected %s, "%s"; said:\n%s\n' "$1" "$status" "$2" "$3" "$said"
        failures=1
    fi
}
part run.sh 0 "100% tests passed, 0 tests failed out of 9" "9 passed, 0 failed, 1 skipped"
part builds.sh 0 "3 passed, 0 failed"
part sanitize.sh 0 "5 passed, 0 failed, 0 skipped"
part fuzz.sh 0 "4 passed, 0 failed, 0 skipped"
expect "all is well" 0 "21 passed, 0 failed, 1 skipped"
part builds.sh 1 "2 passed, 1 failed"
expect "a build fails" 1 "20 passed, 1 failed, 1 skipped"
part builds.sh 100 "E: no package of this name"
expect "a part ends before it counts" 1 "18 passed, 1 failed, 1 skipped"
part builds.sh 0 "3 passed, 0 failed"
part sanitize.sh 1 "5 passed, 0 failed, 0 skipped"
expect "a part fails and counts no failure" 1 "21 passed, 1 failed, 1 skipped"
part sanitize.sh 0 "5 passed, 0 failed, 0 skipped"
part fuzz.sh 1 "message: an input crashed it" "3 passed, 1 failed, 0 skipped"
expect "a fuzzer finds something" 1 "20 passed, 1 failed, 1 skipped"
rm "$work/tests/run.sh"
part fuzz.sh 0 "4 passed, 0 failed, 0 skipped"
expect "a part is not there" 1 "12 passed, 1 failed, 0 skipped"
exit $failures
