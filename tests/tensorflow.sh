#!/usr/bin/env bash
# Whether TensorFlow itself reads the GraphDef of bundles, and answers as the supernet did: installs tensorflow-cpu of PyPI
# (1.6 GB, so no part of tests/run.sh) into build/tensorflow, once. usage: tests/tensorflow.sh BUNDLE...
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || { echo "usage: tests/tensorflow.sh BUNDLE..." >&2; exit 2; }
python=$root/build/tensorflow
if ! "$python/bin/python3" -c "import tensorflow" 2>/dev/null; then
    /usr/bin/python3 -m venv --clear "$python"
    "$python/bin/python3" -m pip install -q --disable-pip-version-check tensorflow-cpu
fi
TF_CPP_MIN_LOG_LEVEL=3 exec "$python/bin/python3" "$root/tests/export/read_tensorflow.py" "$@"
