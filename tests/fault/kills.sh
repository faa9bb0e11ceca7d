#!/usr/bin/env bash
# Random kills of a real campaign, which must change no bit and leave nothing: see kills.py.
# usage: tests/fault/kills.sh COUNT [--seed N] [--build FOLDER]   (FOLDER: build, where nothing is said)
exec /usr/bin/python3 -B "$(dirname "$0")/kills.py" "$@"
