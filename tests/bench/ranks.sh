#!/usr/bin/env bash
# How much faster are two ranks of one thread than one? Trains the full network of firefly-small on Fashion-MNIST, one
# and two ranks in turn, and prints images/s by the median step. usage: ranks.sh BUILD_FOLDER DATASET [ROUNDS, default 3]
set -euo pipefail
build=$(cd "$1" && pwd) data=$2 rounds=${3:-3}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cat >"$work/ranks.yaml" <<YAML
campaign: ranks
dataset: {path: $data, augment: {colour: no}}
space: $root/configs/spaces/firefly-small.yaml
resolutions: [28]
batch: {global: 256, micro: 32}
teacher: {epochs: 0.3, warmup: 0}
evaluate: {every_epochs: 0}
YAML

images_per_second() { # of so many ranks
    rm -rf "$work/run"
    mpirun -n "$1" --bind-to none --oversubscribe --mca btl self,vader "$build/bin/glowworm-worker" \
        --campaign "$work/ranks.yaml" --stage teacher --run "$work/run" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    grep -o '"event":"step".*"seconds":[0-9.e-]*' "$work/run/metrics/teacher.jsonl" | sed 's/.*"seconds"://' | sort -g |
        awk '{ seconds[NR] = $1 } END { print 256 / seconds[int((NR + 1) / 2)] }'
}

for round in $(seq "$rounds"); do
    one=$(images_per_second 1)
    two=$(images_per_second 2)
    awk -v round="$round" -v one="$one" -v two="$two" \
        'BEGIN { printf "round %d: 1 rank %.0f images/s, 2 ranks %.0f, %.2f times\n", round, one, two, two / one }'
done | tee "$work/table"
awk '{ sub(",", "", $0); ratio = $(NF - 1); if (NR == 1 || ratio < least) least = ratio }
     END { if (least < 1.7) { printf "below 1.7: %.2f\n", least; exit 1 } }' "$work/table"
