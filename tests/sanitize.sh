#!/usr/bin/env bash
# The tests under sanitizers: wrong addresses, leaks and undefined behaviour in the quick suites and a long one, races in the
# suites that have threads. At most 25 minutes on two cores. Left out:
#  - memory and gang_memory, whose limits a sanitizer's own memory exceeds;
#  - gang_interrupted and gang_search, whose many gangs take seconds each to start (late_campaign kills some, too;
#    worker_exchange and shared_scores have the parts of the search);
#  - slurm_sandbox, which runs nothing of ours, and tensorboard_package, whose training takes long (event_log writes, too);
#  - run_stopped_rank, whose limits are seconds of a rank's silence;
#  - validate_sound and validate_faults: at a sanitizer's pace frames of the simulated camera are lost; camera_*, sim_* and validation
#    have their parts;
#  - networks, campaigns and suites of operations on the emulated GPU: under it a suite of half a second takes two minutes, a file of
#    kernels four times as long to compile, so that they are compiled without; the emulator looks at what kernels touch. Its own suites
#    and those of exchanges stay;
#  - what runs again on bf16 or on a lesser instruction set: that is other code in kernels/cpu alone, whose own suites have it.
# usage: tests/sanitize.sh [address|thread]   (without: both)
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
# Suites that start Open MPI, and those of them whose leaks are looked for: every kind of stage of a gang, the road from
# images to bundles.
mpi='^(gang_|late_campaign|run_stopped_rank|run_compile_beside|standard_streams)'
again='_(bf16|pairs|x86-64-v[23])$|^(supernet|subnet_pass|golden|step|kernels_[a-z_]+)_cuda(_86)?$|^cuda_(campaign|device|launches|traffic)$|^gpu_(launches|steps_fp32)$|^run_stopped_rank$|^gang_search|^slurm_sandbox$|^tensorboard_package$|^validate_(sound|faults)$'
mpi_leaks='^gang_identity$'
mpi_leaks_long=(whole_road)
# Threads: of the devices, loaders, the import, the checkpoint writer, stores, links of the scheduler, stages, gangs.
threads=(kernels_team kernels_device kernels_elementwise kernels_linear kernels_loss kernels_pointwise supernet
    data_idx data_folder data_dataset data_loader data_loader_memory data_interrupted skipped safetensors
    checkpoint checkpoint_arranged checkpoint_trouble store store_trouble base_log wire worker_pulse worker_link worker_exchange scheduler_process scheduler_loop scheduler_gang_faults
    tree_sum eval_metrics calibrate step step_arena stage reuse workbench
    sim_camera late_device step_late workbench_late)

asked=${1:-address thread}
case $asked in
"address thread" | address | thread) ;;
*) echo "usage: tests/sanitize.sh [address|thread]" >&2; exit 2 ;;
esac
cluster/setup.sh --tests || exit
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export G_SLICE=always-malloc # GLib's objects one by one from malloc, which the sanitizers know, not from slices of its own
lists=$root/tests/sanitize
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/reports"
common=log_path=$work/reports/report:print_stacktrace=1:allocator_may_return_null=1

# Warnings are tests/builds.sh's: gcc warns of what a sanitizer put there, too.
build() { # FOLDER SANITIZERS [OPTION OF build.sh]...
    local started=$SECONDS
    if cluster/build.sh --tests "${@:3}" "$1" -DGLOWWORM_SANITIZE="$2" -DGLOWWORM_WERROR=OFF; then
        echo "$2: built in $((SECONDS - started)) s"
    else
        echo "0 passed, 1 failed" >>"$work/counts"
        return 1
    fi
}
tests_of() { # FOLDER CTEST_OPTION...
    ctest --test-dir "$1" -N "${@:2}" | sed -nE 's/^ *Test +#[0-9]+: //p'
}
# A report fails the process that wrote it; the files hold those of processes whose end nobody looked at, too. A name that
# is no test any more is a failure.
check() { # FOLDER TEST...
    local wanted started=$SECONDS report
    wanted="^($(IFS='|' && echo "${*:2}"))\$"
    if [ "$(tests_of "$1" -R "$wanted" | wc -l)" -ne $(($# - 1)) ]; then
        echo "sanitize.sh names what is no test: $(comm -23 <(printf '%s\n' "${@:2}" | sort) <(tests_of "$1" | sort) | xargs)"
        echo "0 passed, 1 failed" >>"$work/counts"
    fi
    ctest --test-dir "$1" --output-on-failure -j $(($(nproc) + 1)) --no-tests=error -O "$work/log" -R "$wanted"
    cat "$work/log" >>"$work/counts"
    for report in $(grep -lE 'ERROR: |runtime error: |WARNING: ThreadSanitizer' "$work"/reports/* 2>/dev/null); do
        cat "$report"
        echo "0 passed, 1 failed" >>"$work/counts"
    done
    rm -f "$work"/reports/*
    echo "$1: $(($# - 1)) suites took $((SECONDS - started)) s"
}

address() {
    build build-address address,undefined || return
    export UBSAN_OPTIONS=$common LSAN_OPTIONS=suppressions=$lists/leaks.txt:print_suppressions=0
    export ASAN_OPTIONS=$common:detect_stack_use_after_return=1
    # What also runs on the device that is late runs on no other: that one wraps the CPU's.
    local options=$ASAN_OPTIONS late
    late="^($(tests_of build-address -L quick -R '_late$' | sed 's/_late$//' | paste -sd'|'))\$"
    check build-address $(tests_of build-address -L quick -E "$mpi|$again|$late")
    ASAN_OPTIONS=$options:detect_leaks=0
    check build-address $(tests_of build-address -L quick -R "$mpi" -E "$mpi_leaks|$again")
    # Open MPI's leaks are told from ours by whole stacks, which makes an allocation cost 10 times as much.
    ASAN_OPTIONS=$options:fast_unwind_on_malloc=0
    check build-address $(tests_of build-address -L quick -R "$mpi_leaks") "${mpi_leaks_long[@]}"
}
thread() {
    local name targets=()
    for name in "${threads[@]}"; do targets+=(--target "test_${name%_late}"); done
    build build-thread thread "${targets[@]}" || return
    export TSAN_OPTIONS=$common:suppressions=$lists/races.txt
    check build-thread "${threads[@]}"
}
for part in $asked; do $part; done
tests/ci/tally.sh "$work/counts"
