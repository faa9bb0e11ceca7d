#!/usr/bin/env bash
# Banned functions, lengths and layout (docs: how the code reads).
set -u
cd "$(dirname "$0")/../.." || exit 1
failures=0
files=$(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.cu' '*.cuh' '*.cpp' | while read -r f; do [ -e "$f" ] && echo "$f"; done)

bad=$(grep -nE '\b(strcpy|strcat|sprintf|strtok|atoi|atof|gmtime|localtime|rand|alloca)[[:space:]]*\(' $files)
[ -n "$bad" ] && { echo "banned functions:"; echo "$bad"; failures=1; }
bad=$(grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $files)
[ -n "$bad" ] && { echo "left-over marks:"; echo "$bad"; failures=1; }
bad=$(grep -nE '\bexit[[:space:]]*\(' $files | grep -vE '(/main\.c|^tests/|_exit)')
[ -n "$bad" ] && { echo "only main() ends the program:"; echo "$bad"; failures=1; }
bad=$(wc -l $files | awk '$2 != "total" && $1 > 800 {print $2 ": " $1 " lines, split it"}')
[ -n "$bad" ] && { echo "$bad"; failures=1; }
bad=$(awk 'FNR==1{s=0} /^[A-Za-z_].*\)[[:space:]]*$/{h=$0;n=FNR} /^\{/{s=FNR}
    /^\}/{if(s&&FNR-s>100)print FILENAME ":" n ": a function of " FNR-s " lines"; s=0}' $files)
[ -n "$bad" ] && { echo "$bad"; failures=1; }
# Streaming stores are ordered by nothing. rows.c and product.c store for jobs that others write: those who decide
# that a map is streamed end their jobs with the fence.
bad=$(grep -lE '\b(vec_stream|row_can_stream)\(' kernels/cpu/*.c | grep -vE '/(rows|product)\.c$' | xargs grep -L 'vec_stream_fence()')
[ -n "$bad" ] && { echo "streams without vec_stream_fence():"; echo "$bad"; failures=1; }
bad=$(grep -nE '_mm[0-9]*_(stream_|sfence)' $files | grep -v '^kernels/cpu/vec\.h:')
[ -n "$bad" ] && { echo "only kernels/cpu/vec.h streams and fences:"; echo "$bad"; failures=1; }
if command -v clang-format >/dev/null; then
    bad=$(clang-format --dry-run $files 2>&1 | grep -oE '^[^:]+:[0-9]+' | cut -d: -f1 | sort | uniq -c)
    [ -n "$bad" ] && { echo "clang-format would change (file, places):"; echo "$bad"; failures=1; }
else
    echo "clang-format is missing"; failures=1
fi
exit $failures
