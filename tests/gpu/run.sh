#!/usr/bin/env bash
# What only a machine with a GPU can show. Needs what is here and in build/ (or what pack.sh packed), no network,
# no MPI and no data set; each part ends within 9 minutes, and run again it goes on with what it has not done, or what failed.
# The last lines are a table; the whole of what was said lies in build/gpu/.
# usage: tests/gpu/run.sh parity|sanitize|train|bench [--anew]
#   parity    every suite of operations, gradients, golden files and steps that the emulated GPU runs in CI, on the card
#   sanitize  those of operations under compute-sanitizer: memcheck, racecheck, initcheck (on the emulated GPU: other orders)
#   train     the first steps of every phase beside the CPU's
#   bench     copies, steps and operations; beside PyTorch where python3 has it
# Environment: GLOWWORM_GPU_DEVICE (cuda; cuda-emulated tries this script without a card), GLOWWORM_GPU_SECONDS (480: begin
# nothing later), GLOWWORM_GPU_RESULTS (build/gpu).
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
device=${GLOWWORM_GPU_DEVICE:-cuda}
budget=${GLOWWORM_GPU_SECONDS:-480}
out=${GLOWWORM_GPU_RESULTS:-$root/build/gpu}
part=${1:-}
case $part in
parity | sanitize | train | bench) ;;
*) sed -n '/^# usage/,/^#   bench/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
results=$out/$part.tsv
mkdir -p "$out/logs"
[ "${2:-}" = --anew ] && rm -f "$results"
touch "$results"

is_emulated() { [ "$device" != cuda ]; }

# What pack.sh packed brings libraries; where this machine's C library is older than theirs, the loader, too.
starter=()
if [ -d "$root/lib" ]; then
    export LD_LIBRARY_PATH=$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    build/bin/gpu_steps >/dev/null 2>&1
    [ $? -eq 2 ] || starter=("$root/lib/loader/ld-linux-x86-64.so.2" --library-path "$root/lib/loader:$LD_LIBRARY_PATH")
else # not counted among the 9 minutes
    cluster/build.sh --tests --target gpu --target "glowworm-device-$device" build || exit
    SECONDS=0
fi
export GLOWWORM_DEVICES=$root/build/lib/glowworm:$root/build/tests/devices
[ -d "$root/lib" ] || tests/gpu/suites.py build >build/gpu-suites.tsv || exit

passed=0 failed=0 left=0 skipped=0
note() { # ITEM RESULT SECONDS WORDS
    awk -F '\t' -v item="$1" '$1 != item' "$results" >"$results.new"
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$results.new"
    mv "$results.new" "$results"
}
skip() { # ITEM WHY
    skipped=$((skipped + 1))
    note "$1" "left out" 0 "$2"
}
# ITEM LIMIT_S LAST COMMAND...: once; LAST: a word that begins the line which the table shows ("": the last).
try() {
    local item=$1 limit=$2 last=$3 started=$SECONDS log status=0
    shift 3
    log=$out/logs/$part-${item//[^a-zA-Z0-9._-]/_}.log
    if awk -F '\t' -v item="$item" '$1 == item && $2 == "passed" {found = 1} END {exit !found}' "$results"; then
        passed=$((passed + 1))
        return
    fi
    if [ "$SECONDS" -ge "$budget" ]; then
        left=$((left + 1))
        return
    fi
    [ $((budget + 50 - SECONDS)) -lt "$limit" ] && limit=$((budget + 50 - SECONDS)) # a part ends within 9 minutes
    timeout -k 5 "$limit" env "$@" >"$log" 2>&1 || status=$?
    if [ $status -eq 0 ]; then
        passed=$((passed + 1))
        note "$item" passed $((SECONDS - started)) "$(grep -E "^$last" "$log" | tail -n 1 | cut -c 1-150)"
    else
        failed=$((failed + 1))
        [ $status -eq 124 ] && echo "ended after $limit s" >>"$log"
        note "$item" FAILED $((SECONDS - started)) "$(grep -E 'ERROR|FAILED|error|ended after|:' "$log" | head -n 1 | cut -c 1-150)"
    fi
}
table() {
    echo
    printf '%-52s %-9s %5s  %s\n' "$part on $device" result s ""
    while IFS=$'\t' read -r item result seconds words; do
        printf '%-52s %-9s %5s  %s\n' "$item" "$result" "$seconds" "$words"
    done <"$results"
    echo "$passed passed, $failed failed, $skipped left out$([ $left -gt 0 ] && echo ", $left still to do: run it again")"
}
watcher=
watch_card() { # each second, until unwatch_card
    command -v nvidia-smi >/dev/null || return
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,memory.used --format=csv,noheader,nounits -l 1 \
        >"$out/logs/bench-card.csv" &
    watcher=$!
}
unwatch_card() {
    [ -n "$watcher" ] || return
    kill "$watcher"
    note "the card while this ran" seen "$SECONDS" "$(awk -F ', ' '{sm = $3 > sm ? $3 : sm; memory = $6 > memory ? $6 : memory}
        END {printf "%s, driver %s, up to %d MHz, memory at %d MHz, up to %d MiB in use", $1, $2, sm, $4, memory}' "$out/logs/bench-card.csv")"
}
suite() { # BEFORE NAME PROGRAM WORDS VARIABLES: the line of a suite; BEFORE: words in front of the program
    local before=$1 program=$3 words=$4 variables=$5
    # shellcheck disable=SC2086  # lists of words
    try "$item" 170 '' $variables GLOWWORM_TEST_DEVICE="$device" $more $before "${starter[@]}" build/"$program" $words
}

# Ranks as processes, with NVIDIA's NCCL; on the emulated GPU with the stand-in that its module is.
ranks() {
    local cards
    cards=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ')
    if is_emulated; then
        try ranks 120 '' GLOWWORM_TEST_DEVICE="$device" GLOWWORM_NCCL="$root/build/tests/devices/glowworm-device-$device.so" \
            GPU_EMULATOR_DEVICES=4 "${starter[@]}" build/bin/test_nccl
    elif [ "$cards" -ge 2 ]; then
        try ranks 400 '' GLOWWORM_TEST_DEVICE="$device" "${starter[@]}" build/bin/test_nccl
    else
        skip ranks "exchanges want two cards"
    fi
}
parity() {
    local more=
    ranks
    while IFS=$'\t' read -r name program words variables; do
        item=$name
        suite "" "$name" "$program" "$words" "$variables"
    done <build/gpu-suites.tsv
}

sanitize() {
    local tool more=
    local tools=(memcheck racecheck initcheck) sanitizer
    sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
    if is_emulated; then
        tools=(reversed shuffled:1 shuffled:2)
    elif [ -z "$sanitizer" ]; then
        skip "compute-sanitizer" "it is not installed here"
        return
    fi
    for tool in "${tools[@]}"; do
        while IFS=$'\t' read -r name program words variables; do
            item="$tool $name"
            if is_emulated; then
                more="GPU_EMULATOR_ORDER=$tool" suite "" "$name" "$program" "$words" "$variables"
            else
                suite "$sanitizer --tool $tool --error-exitcode 9 --print-limit 3" "$name" "$program" "$words" "$variables"
            fi
        done < <(grep -E '^kernels_' build/gpu-suites.tsv)
    done
}

train() {
    local precision
    local works=("firefly-tiny 24 64 32" "mbv3 64 32 16" "proxyless 64 32 16" "mbv3 128 64 32")
    is_emulated && works=("firefly-tiny 12 16 8")
    for work in "${works[@]}"; do
        # shellcheck disable=SC2086
        set -- $work
        for precision in fp32 bf16; do
            try "$1 at $2 px, $3 images a step, $precision" 200 '' "${starter[@]}" build/bin/gpu_steps "configs/spaces/$1.yaml" "$2" \
                --device "$device" --precision $precision --global "$3" --micro "$4" --threads "$(nproc)"
        done
    done
}

operations() { # OURS of bench_step --layers beside what a copy reaches
    local ours=$1 copy
    copy=$(grep -oE '"copy_gb_per_second": [0-9.]+' "$out/logs/bench-copies.log" 2>/dev/null | grep -oE '[0-9.]+$')
    [ -n "$copy" ] && awk -v copy="$copy" '/^#/ || !/GB\/s/ {next} {printf "%s  %5.1f %% of a copy\n", $0, 100 * $(NF - 1) / copy}' \
        "$ours" >"${ours%.log}.shares"
}
bench() {
    local precision peer
    local subnets=("r=224 k=7 e=6 d=4:64" "r=224 k=7 e=6 d=4:512" "r=128 k=7 e=6 d=4:512" "r=128 k=3 e=3 d=2:512")
    local space=configs/spaces/mbv3.yaml seconds=3 program=("${starter[@]}" build/bin/bench_step)
    is_emulated && { subnets=("r=12 k=3 e=2 d=1:2"); space=configs/spaces/firefly-tiny.yaml seconds=0; }
    watch_card
    try copies 100 '[{]' "${starter[@]}" build/bin/bench_copies --device "$device" --seconds $seconds
    for one in "${subnets[@]}"; do
        for precision in bf16 fp32; do
            try "${one%:*}, batch ${one##*:}, $precision" 120 '[{]' "${program[@]}" $space "${one%:*}" --device "$device" \
                --batch "${one##*:}" --precision $precision --seconds $seconds
        done
    done
    for precision in bf16 fp32; do
        item="operations of ${subnets[0]%:*}, $precision"
        try "$item" 120 '# total' "${program[@]}" $space "${subnets[0]%:*}" --device "$device" --batch "${subnets[0]##*:}" \
            --precision $precision --layers
        operations "$out/logs/bench-${item//[^a-zA-Z0-9._-]/_}.log"
    done
    if is_emulated; then
        skip "beside PyTorch" "on a card alone"
    elif ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
        skip "beside PyTorch" "python3 has no torch with CUDA here"
    else
        peer=$(command -v python3)
        for one in "biggest, 224 px, batch 64" "biggest, 128 px, batch 512" "smallest, 128 px, batch 512" "width-2 step, 128"; do
            try "beside PyTorch: $one" 400 '\| mbv3' python3 -B tests/bench/against_torch.py build --python "$peer" --device cuda \
                --case "$one" --precision bf16 --rounds 3 --seconds 3 --results "$out/against_torch.json"
        done
    fi
    unwatch_card
}

more=
$part
table
for shares in "$out"/logs/bench-operations*.shares; do
    [ "$part" = bench ] && [ -e "$shares" ] && echo && echo "${shares##*/bench-}, slowest first" && head -n 24 "$shares"
done
[ $failed -eq 0 ] && [ $left -eq 0 ]
