#!/usr/bin/env bash
# What kernels of the CUDA device may say (kernels/cuda/gpu.cuh): whatever would hide from the emulator what they do, or make
# results depend on when a block ran and on which card, is refused.
# usage: tests/lint/gpu.sh [FILE...]   (without: all of kernels/cuda)
set -u
cd "$(dirname "$0")/../.." || exit 1
failures=0
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(git ls-files --cached --others --exclude-standard -- kernels/cuda |
    grep -E '\.(cu|cuh)$' | while read -r f; do [ -e "$f" ] && echo "$f"; done)

refuse() { # WHAT REGEX [FILES WHERE IT MAY BE]
    local bad
    bad=$(grep -nHE "$2" "${files[@]}" | grep -vE "^[^:]*/(${3:-none})\.cuh:" | grep -vE '^[^:]*:[0-9]+: *(/?\*|//)')
    [ -n "$bad" ] || return
    echo "$1:"
    echo "$bad"
    failures=1
}
refuse "a kernel is launched by cuda_launch()" '<<<|cudaLaunch|\bgpu_launch *\(' 'gpu|launch'
refuse "only last_block.cuh fences" '__threadfence|__syncthreads_(count|and|or)|cooperative_groups' last_block
refuse "only ptx.cuh speaks PTX" '\b(asm|__asm__) *(volatile)? *\(' ptx
# Of atomics: the ticket of the last block, and the smallest flaw.
refuse "floats are added in an order of their own, never atomically" '\batomic[A-Z][A-Za-z]* *\(' 'last_block|sums'
refuse "device and shared memory have words of their own (gpu.cuh)" \
    '__shared__|\b__(ld|st)(g|cg|ca|cs|lu|cv|wt|wb) *\(|\bvolatile\b' 'gpu|ptx'
refuse "the source is one for cards and for the emulator" 'GPU_EMULATED|__CUDA_ARCH__' 'gpu|ptx'
refuse "CUDA is used as C" '\bstd::|^ *(class|namespace|using namespace)\b|\b(virtual|throw|new|delete|dynamic_cast)\b[^"]*;' gpu
refuse "kernels are static" '^(template *<[^>]*> *)?__global__'
refuse "work is cut by shape, not by the card" 'multiProcessorCount|MultiProcessorCount|OccupancyMax|__nanosleep|\bclock(64)? *\('
exit $failures
