#!/usr/bin/env bash
# Looks for bytes that crash one of our readers: every harness of tests/fuzz for SECONDS, under AddressSanitizer, from the
# inputs that were kept on. A find lies in build-fuzz/found/<harness>/ afterwards. With --keep what reaches new code is added
# to tests/fuzz/corpus/<harness>/, as few and as small inputs as do. usage: tests/fuzz.sh [--keep] SECONDS [HARNESS...]
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
keep=0
[ "${1:-}" != --keep ] || { keep=1; shift; }
seconds=${1:-}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: tests/fuzz.sh [--keep] SECONDS [HARNESS...]" >&2; exit 2; }
shift
cluster/setup.sh --tests || exit
folder=build-fuzz
options=(-DCMAKE_C_COMPILER=clang -DGLOWWORM_TESTS=ON -DGLOWWORM_SANITIZE=address,undefined,fuzzer-no-link)
mkdir -p $folder
if ! { cmake -S . -B $folder "${options[@]}" && cmake --build $folder -j "$(nproc)" --target fuzzers; } >$folder/build.log 2>&1; then
    tail -n 40 $folder/build.log
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
# Memory: what a harness may take in all, and at once.
limits=(-rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=20 -max_len=65536)
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$root/tests/sanitize/fuzz_leaks.txt:print_suppressions=0
# A find is printed whole: what a machine of CI keeps is its log.
tell_find() { # HARNESS FILE
    [ -f "$2" ] || { echo "$1 failed without an input: see above"; return; }
    echo "$1: $2, $(stat -c %s "$2") bytes; kept in tests/fuzz/corpus/$1/ it is tried by every test run. base64 -d >input <<'END'"
    base64 -w 120 "$2"
    echo END
}
fuzz() { # HARNESS INPUTS
    local name=$1 found=$folder/found/$1 new=$folder/new/$1 input folders=() runs covered
    mkdir -p "$new"
    for input in $2; do
        if [ -d "$input" ]; then folders+=("$input"); else cp "$input" "$new/"; fi
    done
    if ! "$folder/bin/fuzz_$name" "${limits[@]}" -max_total_time="$seconds" -artifact_prefix="$found/" -print_final_stats=1 \
        "$new" "${folders[@]}" >"$found/log" 2>&1; then
        tail -n 40 "$found/log"
        tell_find "$name" "$(sed -n 's/.*Test unit written to //p' "$found/log" | tail -n 1)"
        return 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log")
    covered=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$found/log" | tail -n 1)
    echo "$name: $runs inputs in $seconds s, $covered branches reached, none crashed it"
}
keep_new() { # HARNESS
    mkdir -p "tests/fuzz/corpus/$1" "$folder/merged/$1"
    "$folder/bin/fuzz_$1" "${limits[@]}" -use_counters=0 -set_cover_merge=1 "$folder/merged/$1" "tests/fuzz/corpus/$1" "$folder/new/$1" \
        >"$folder/found/$1/merge" 2>&1
    cp -n "$folder/merged/$1"/* "tests/fuzz/corpus/$1/"
}
# As many at a time as there are processors; what each has to say is said in one piece.
running=0 names=()
while read -r name inputs; do
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    names+=("$name")
    mkdir -p "$folder/found/$name"
    rm -f "$folder/found/$name/passed"
    { fuzz "$name" "$inputs" && touch "$folder/found/$name/passed"; } >"$folder/found/$name/said" 2>&1 </dev/null &
    running=$((running + 1))
    [ $running -lt "$(nproc)" ] || { wait -n; running=$((running - 1)); }
done <$folder/tests/fuzz/fuzzers
wait
passed=0 failed=0
for name in "${names[@]}"; do
    cat "$folder/found/$name/said"
    if [ -f "$folder/found/$name/passed" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    [ $keep -eq 0 ] || keep_new "$name"
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
