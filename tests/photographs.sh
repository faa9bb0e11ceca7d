#!/usr/bin/env bash
# A campaign in colour from real photographs to a verdict: Debian's tuxpaint-stamps-default (217 MB, not installed by setup.sh),
# four classes of stamps, a few epochs, a bundle for firefly-dl-colour, checked in the camera's arithmetic and validated on the
# simulated colour camera. Shows that the road holds, not how well such a network can be.
# usage: tests/photographs.sh [BUILD_FOLDER [WORK_FOLDER]]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(realpath "${1:-$root/build}")
stamps=/usr/share/tuxpaint/stamps
[ -d $stamps/animals ] || { echo "needs the photographs of Debian's package: apt-get install tuxpaint-stamps-default" >&2; exit 2; }
if [ $# -ge 2 ]; then
    work=$2 && mkdir -p "$work"
else
    work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
fi
export PATH=$build/bin:$PATH OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mkdir -p "$work/pictures"
for class in animals food plants vehicles; do ln -sfn $stamps/$class "$work/pictures/$class"; done
cat >"$work/stamps.yaml" <<END
campaign: stamps
dataset: {path: $work/data, holdout: 60, augment: {crop: 0.5, flip: yes, colour: yes}}
space: $root/configs/spaces/firefly-tiny.yaml
resolutions: [48, 64]
batch: {global: 32, micro: 16}
teacher: {epochs: 12, rate: 0.05}
shrink: {epochs_scale: 0.03}
evaluate: {calibration_images: 200, calibration_batch: 100, every_epochs: 100}
search: {evaluations: 24, population: 8, targets: [{name: stamp, device: firefly-dl-colour, latency_ms: 25}]}
compile: {formats: [tensorflow, onnx]}
resources: {ranks: 2, threads: 1}
run_folder: $work/run
END
glowworm dataset import "$work/pictures" "$work/data" --side 96 --force
glowworm run "$work/stamps.yaml"
glowworm validate "$work/run/bundles/stamp" --camera simulated
