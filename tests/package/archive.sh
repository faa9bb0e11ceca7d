#!/usr/bin/env bash
# The commit a program names when its sources came as an archive, whatever repository they were unpacked in.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d /tmp/glowworm-archive-XXXXXX)
trap 'rm -rf "$work"' EXIT

# A repository of ours with the files that know the commit, and one of somebody else around the unpacked archive.
commit() { # FOLDER: everything in it, as one commit
    git -C "$1" init -q
    git -C "$1" add -A
    git -C "$1" -c user.name=test -c user.email=test@localhost commit -q -m "$1"
}
named() { # SOURCE: what commit.cmake makes of it
    cmake -DSOURCE="$1" -DHEADER="$work/commit.h" -DVERSION=0 -DLIBRARIES= -P "$root/base/version/commit.cmake"
    sed -n 's/^#define COMMIT "\(.*\)"$/\1/p' "$work/commit.h"
}
expect() { # WHERE WANTED SOURCE
    local found
    found=$(named "$3")
    [ "$found" = "$2" ] || { echo "$1: commit \"$found\", expected \"$2\""; exit 1; }
}
mkdir -p "$work/ours/base/version" "$work/theirs/unpacked" "$work/theirs/copied"
cp "$root/.gitattributes" "$work/ours/"
cp "$root/base/version/archived" "$work/ours/base/version/"
commit "$work/ours"
ours=$(git -C "$work/ours" rev-parse --short=12 HEAD)
git -C "$work/ours" archive HEAD | tar -x -C "$work/theirs/unpacked"
cp -r "$work/ours/base" "$work/theirs/copied/"
commit "$work/theirs"

expect "a checkout" "$ours" "$work/ours"
expect "an archive in another repository" "$ours" "$work/theirs/unpacked"
expect "a copy without its history" "unknown commit" "$work/theirs/copied"
echo >>"$work/ours/base/version/archived"
expect "a changed checkout" "$ours-changed" "$work/ours"
