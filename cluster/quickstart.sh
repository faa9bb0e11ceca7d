#!/usr/bin/env bash
# From a fresh Debian 12 machine to compiled camera bundles: packages, build, Fashion-MNIST, one whole campaign.
# Safe to run again: what is done is not done twice. Needs no network once the packages are there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
started=$SECONDS
say() { printf '[%3d s] %s\n' $((SECONDS - started)) "$*" >&2; }

say "packages"
cluster/setup.sh
say "build"
cluster/build.sh
export PATH=$root/build/bin:$PATH
if [ ! -e data/fashion-mnist ]; then
    say "import Fashion-MNIST"
    glowworm dataset import /usr/share/datasets/fashion-mnist data/fashion-mnist \
        --labels configs/fashion-mnist-labels.txt
fi
say "campaign configs/quickstart.yaml"
glowworm run configs/quickstart.yaml
say "done"
