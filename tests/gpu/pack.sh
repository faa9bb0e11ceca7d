#!/usr/bin/env bash
# Packs what run.sh needs, for a machine with a GPU on which nothing can be built or installed: the module, the suites and
# benchmarks (stripped), the libraries they link, spaces, golden numbers, this folder. Below 60 MB.
# usage: tests/gpu/pack.sh FILE.tar.gz [BUILD_FOLDER]   (there: tar xf FILE.tar.gz; cd glowworm-gpu; tests/gpu/run.sh parity)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
file=${1:?usage: tests/gpu/pack.sh FILE.tar.gz [BUILD_FOLDER]}
build=${2:-build}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
to=$folder/glowworm-gpu
cluster/build.sh --tests --target gpu --target glowworm-device-cuda "$build" # needs a CUDA toolkit
mkdir -p "$to/build/bin" "$to/build/lib/glowworm" "$to/lib/loader" "$to/configs" "$to/tests/bench"
tests/gpu/suites.py "$build" >"$to/build/gpu-suites.tsv"
programs=(gpu_steps bench_step bench_train bench_copies test_nccl)
mapfile -t suites < <(cut -f 2 "$to/build/gpu-suites.tsv" | sort -u)
for program in "${programs[@]/#/bin/}" "${suites[@]}"; do
    strip -o "$to/build/$program" "$build/$program"
done
strip -o "$to/build/lib/glowworm/glowworm-device-cuda.so" "$build/lib/glowworm/glowworm-device-cuda.so"
cp -r tests/gpu "$to/tests/gpu"
cp -r configs/spaces "$to/configs/spaces"
cp tests/bench/{against_torch,torch_step,torch_nets,layer_shapes}.py "$to/tests/bench/"
mkdir -p "$to/tests/golden" && cp -r tests/golden/data "$to/tests/golden/data"

# The C library stays beside the loader: it is used only where the machine's own is older.
for program in "$to"/build/bin/*; do ldd "$program"; done | awk '/=> \// {print $3}' | sort -u | while read -r library; do
    case ${library##*/} in
    libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | libresolv.so.2) cp -L "$library" "$to/lib/loader/" ;;
    *) cp -L "$library" "$to/lib/" ;;
    esac
done
for library in libdl.so.2 libpthread.so.0 librt.so.1; do # what a driver asks for
    cp -L "$(dirname "$(ldd "$to/build/bin/gpu_steps" | awk '/libc\.so\.6/ {print $3}')")/$library" "$to/lib/loader/"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$to/lib/loader/"

# torch_step.py asks glowworm for spaces and costs, which needs libraries that nothing else does: its answers come along.
answers=$to/build/answers
mkdir -p "$answers"
answer() {
    "$build/bin/glowworm" "$@" >"$answers/$(echo "$*" | sha256sum | cut -c 1-16)"
}
answer --version
answer space show configs/spaces/mbv3.yaml --json
answer space cost configs/spaces/mbv3.yaml --subnet "k=7 e=6 d=4" --json
answer space cost configs/spaces/mbv3.yaml --subnet "k=3 e=3 d=2" --json
cat >"$to/build/bin/glowworm" <<'SCRIPT'
#!/bin/sh
# What glowworm answered where this folder was packed.
exec cat "$(dirname "$0")/../answers/$(echo "$*" | sha256sum | cut -c 1-16)"
SCRIPT
chmod +x "$to/build/bin/glowworm"
tar -czf "$file" -C "$folder" glowworm-gpu
kilobytes=$(du -k "$file" | cut -f 1)
echo "$file: $((kilobytes / 1024)) MB, $(wc -l <"$to/build/gpu-suites.tsv") suites"
[ "$kilobytes" -le $((60 * 1024)) ] || { echo "that is more than 60 MB" >&2; exit 1; }
