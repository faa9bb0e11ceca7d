#!/usr/bin/env bash
# Refuses a circle of includes: a file that is needed by what it needs. A .c, its .h and its internal header count as
# one: X.c, X.h, X_internal.h; internal.h of a folder belongs to the folder's face (store/internal.h to store/store.h).
set -eu
cd "$(dirname "$0")/../.."

unit() { # FILE: what it counts as
    local stem=${1%.*}
    [ "${1##*.}" != cu ] || stem=$1 # which nobody includes; its .cuh is others', too
    stem=${stem%_internal}
    [ "${stem##*/}" != internal ] || stem=${stem%/internal}/$(basename "${stem%/internal}")
    echo "$stem"
}

edges() { # "A B": A includes B; a pair of the same word is a unit without includes
    local file line
    git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.cu' '*.cuh' | grep -v '^tests/' | while read -r file; do
        [ -e "$file" ] || continue
        local from
        from=$(unit "$file")
        echo "$from $from"
        sed -nE 's/^#include "([^"]+)".*/\1/p' "$file" | while read -r line; do
            [ ! -e "$line" ] || echo "$from $(unit "$line")"
        done
    done | sort -u
}

# tsort names the members of each circle on standard error.
if circles=$(edges | tsort 2>&1 >/dev/null) && [ -z "$circles" ]; then
    exit 0
fi
echo "files that include each other in a circle (split off what both need):"
echo "$circles"
exit 1
