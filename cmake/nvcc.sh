#!/usr/bin/env bash
# Compiles one .cu file and writes what its kernels hold, one a line: file, architecture, registers of a thread, bytes of
# static shared memory and of stack, bytes spilled, kernel. A kernel that spills registers, to memory that nobody planned, is
# warned of, and fails where warnings do.
# usage: nvcc.sh TABLE NVCC_COMMAND... FILE.cu
set -uo pipefail
table=$1 file=${!#}
shift
said=$("$@" -Xptxas -v 2>&1)
status=$?
grep -vE '^ptxas info |^ *[0-9]+ bytes stack frame|^$' <<<"$said" >&2
[ $status -eq 0 ] || exit $status
awk -v file="$(basename "$file")" '
    /Compiling entry function/ { split($0, quoted, "\047"); kernel = quoted[2]; arch = quoted[4]; shared = 0 }
    /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
    /Used [0-9]+ registers/ {
        for (i = 1; i < NF; i++) {
            if ($(i + 1) ~ /^registers/) registers = $i
            if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) shared = $i
        }
        printf "%-20s %s %4d %6d %5d %5d %s\n", file, arch, registers, shared, stack, spilled, kernel
    }' <<<"$said" | c++filt >"$table"
if spills=$(awk '$6 > 0' "$table") && [ -n "$spills" ]; then
    echo "kernels that spill registers (file, architecture, registers, shared, stack, spilled, kernel):" >&2
    echo "$spills" >&2
    [[ " $* " != *" -Werror "* ]] || { rm -f "$table"; exit 1; }
fi
