#!/usr/bin/env bash
# Sets up the peer that tests/bench/against_torch.py measures against: a virtual environment with the newest PyTorch of
# PyPI. PyPI has it with CUDA alone, whose libraries are gigabytes and never called here: the loader wants them
# nevertheless and gets empty ones, compiled on the spot, that know no device. Does nothing where the environment works.
# Needs g++ and Python's headers (python3-dev), as torch.compile does, and room for 2 GB.
# usage: tests/bench/peer.sh [FOLDER, default build/peer]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
peer=${1:-$root/build/peer}
needs=(filelock 'typing-extensions' 'setuptools>=77' sympy networkx jinja2 fsspec numpy) # torch's own, without CUDA's

works() {
    "$peer/bin/python3" -c '
import torch
print("torch", torch.__version__)
assert torch.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)).item() == 9'
}

# A library of that name with every symbol of CUDA that torch's libraries look for, under the versions they ask it for,
# and nothing behind them: 100 is cudaErrorNoDevice.
stub() { # LIBRARY FOLDER, which has: symbols (NAME or NAME@VERSION), versions (LIBRARY VERSION)
    local name=$1 folder=$2 version
    sed -E 's/^([^@]+).*/long \1(void) { return 100; }/' "$folder/symbols" | sort -u >"$folder/stub.c"
    awk -v name="$name" '$1 == name {print $2}' "$folder/versions" | while read -r version; do
        echo "$version { global: $(sed -n "s/@$version\$/;/p" "$folder/symbols" | tr -d '\n') };"
    done >"$folder/stub.map"
    [ -s "$folder/stub.map" ] || echo "{ global: *; };" >"$folder/stub.map"
    gcc -w -fno-builtin -shared -fPIC -Wl,-soname,"$name" -Wl,--version-script="$folder/stub.map" -o "$folder/$name" "$folder/stub.c"
}

stub_cuda() {
    local lib work name
    lib=$("$peer/bin/python3" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/torch/lib
    work=$(mktemp -d)
    nm -D --undefined-only "$lib"/lib*.so | awk '$2 ~ /^(__)?(cu|nccl|nv)/ {print $2}' | sort -u >"$work/symbols"
    readelf -VW "$lib"/lib*.so | awk '/ File: / {file = $5} / Name: / && file ~ /^lib(cu|nccl|nv)/ {print file, $3}' |
        sort -u >"$work/versions"
    for name in $(readelf -d "$lib"/lib*.so | sed -nE 's/.*NEEDED.*\[(lib(cu|nccl|nv)[^]]*)\]/\1/p' | sort -u); do
        stub "$name" "$work"
        cp "$work/$name" "$lib"
    done
    rm -r "$work"
}

if works 2>/dev/null; then
    exit 0
fi
python3 -m venv "$peer"
pip=("$peer/bin/python3" -m pip install -q --disable-pip-version-check --only-binary :all:)
"${pip[@]}" "${needs[@]}"
"${pip[@]}" --no-deps torch
stub_cuda
works
