#!/usr/bin/env bash
# Installs the Debian packages Glowworm builds, runs and tests with; does nothing when they are all there. With --tests
# also the few Python packages that Debian does not have, into build/python; where they cannot be had, tests cannot run:
# tests/ci/tally.sh says what that means.
# usage: cluster/setup.sh [--tests] [--bench]
set -euo pipefail

packages=(build-essential cmake pkg-config git ca-certificates
    openmpi-bin libopenmpi-dev libdnnl-dev libopenblas-dev libzmq3-dev
    libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libonnx-dev
    liblmdb-dev libfyaml-dev libjansson-dev libsodium-dev libmicrohttpd-dev
    libvips-dev libjpeg62-turbo-dev zlib1g-dev libaravis-dev dataset-fashion-mnist)
wants_python=no
for option in "$@"; do
    case $option in
    --tests) packages+=(libcmocka-dev clang libclang-rt-dev clang-format slurm-wlm lmdb-utils python3-numpy python3-opencv
        python3-venv file man-db iproute2 aravis-tools-cli aravis-tools); wants_python=yes ;;
    --bench) packages+=(python3-torch libopenblas0-pthread) ;;
    *) echo "setup.sh: unknown option $option (there are --tests and --bench)" >&2; exit 2 ;;
    esac
done

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done

install_python() {
    local root requirements python
    root=$(cd "$(dirname "$0")/.." && pwd)
    requirements=$root/tests/requirements.txt
    python=$root/build/python
    cmp -s "$requirements" "$python/installed.txt" && return
    rm -rf "$python"
    mkdir -p "$root/build"
    if /usr/bin/python3 -m venv "$python" && "$python/bin/python3" -m pip install -q --disable-pip-version-check --retries 4 \
        --only-binary :all: --no-deps --require-hashes -r "$requirements"; then
        cp "$requirements" "$python/installed.txt"
    else
        echo "setup.sh: the packages of tests/requirements.txt could not be installed; the tests that need them cannot run" >&2
    fi
}

if [ ${#missing[@]} -eq 0 ]; then
    [ "$wants_python" = no ] || install_python
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "Glowworm needs these Debian packages. Ask an administrator to run:" >&2
    echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 69
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null || echo "setup.sh: package lists could not be refreshed; trying with the old ones" >&2
apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
[ "$wants_python" = no ] || install_python
