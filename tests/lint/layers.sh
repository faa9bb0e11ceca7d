#!/usr/bin/env bash
# Refuses an include that points the wrong way between rooms, and a library used outside its jail.
set -u
cd "$(dirname "$0")/../.." || exit 1
failures=0

# allow ROOM-REGEX INCLUDE-REGEX: what files of a room may include of ours
check_room() {
    local files=$1 allowed=$2
    local bad
    bad=$(grep -nE '^#include "(base|kernels|trainer|scheduler|worker|camera|cluster)/' $files 2>/dev/null | grep -vE "#include \"($allowed)")
    if [ -n "$bad" ]; then
        echo "an include points the wrong way (allowed here: $allowed):"
        echo "$bad"
        failures=1
    fi
}
list() { git ls-files --cached --others --exclude-standard -- "$@" | grep -E '\.(c|h|cu|cuh|cpp)$'; }

check_room "$(list base)" 'base/'
check_room "$(list kernels)" 'base/|kernels/'
check_room "$(list trainer/spec)" 'base/|trainer/spec/'
# The trainer's rooms, from the ground up; only files of trainer/ itself, which string a stage together, see them all.
room() { check_room "$(list "trainer/$1")" "base/|kernels/|trainer/($1${2:+|$2})/"; }
room gang ''
room supernet 'spec'
room data 'spec'
room checkpoint 'spec'
room record 'spec|data|checkpoint|gang'
room input 'spec|data|gang'
room weights 'spec|supernet|checkpoint'
room evaluate 'spec|supernet|data|checkpoint|gang|input|record'
room train 'spec|supernet|data|checkpoint|gang|input|record'
room search 'spec|evaluate'
room export 'spec|supernet|data'
room emulator 'export'
check_room "$(list trainer)" 'base/|kernels/|trainer/'
check_room "$(list scheduler)" 'base/|trainer/spec/|scheduler/'
check_room "$(list worker)" 'base/|kernels/|trainer/|scheduler/protocol|worker/'
check_room "$(list camera)" 'base/|trainer/(spec|export|emulator)/|trainer/data/demosaic|camera/'

# jail LIBRARY-HEADER-REGEX PATH-REGEX
jail() {
    local bad
    bad=$(list . | xargs grep -lE "#include [<\"]$1" 2>/dev/null | grep -vE "$2")
    if [ -n "$bad" ]; then
        echo "<$1> is included outside its jail ($2):"
        echo "$bad"
        failures=1
    fi
}
jail 'lmdb\.h' '^base/store/'
jail 'zmq\.h' '^base/wire/'
jail 'libfyaml\.h' '^base/yaml/'
jail 'mpi\.h' '^worker/'
jail '(oneapi|dnnl|cblas|openblas)' '^(kernels/cpu/gemm|tests/bench/gemm)'
jail 'vips/' '^(trainer/data/|cluster/predict|tests/)'
jail '(jpeglib|turbojpeg)' '^(trainer/data/|tests/)'
jail 'microhttpd\.h' '^cluster/page/http'
jail '(aravis|arv\.h)' '^(camera/aravis|tests/camera/sim/seen)'
jail 'sodium\.h' '^base/(hash|wire/)'
jail 'cuda' '^(kernels/cuda/|tests/support/cuda/)'
jail 'cudnn' '^kernels/cuda/'
jail 'nccl\.h' '^(kernels/cuda/nccl|tests/support/nccl/)'
exit $failures
