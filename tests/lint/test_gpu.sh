#!/usr/bin/env bash
# gpu.sh refuses what it is there to refuse.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/glowworm-lint-XXXXXX)
trap 'rm -rf "$work"' EXIT
failures=0
while read -r line; do
    printf '%s\n' "$line" >"$work/planted.cu"
    if bash "$here/gpu.sh" "$work/planted.cu" >/dev/null; then
        echo "not refused: $line"
        failures=1
    fi
done <<'END'
fold_kernel<4><<<blocks, threads>>>(op);
cudaLaunchKernel(function, grid, block, list, 0, stream);
__threadfence();
asm volatile("membar.gl;");
atomicAdd(op.sum + c, value);
float old = atomicExch(to, 1.0f);
__shared__ float tile[32];
extern __shared__ unsigned char bytes[];
float x = __ldg(op.x + i);
#ifdef GPU_EMULATED
float x = std::max(a, b);
class tile {
auto *p = new float[4];
template <int N> __global__ void fold_kernel(struct fold op)
int blocks = properties.multiProcessorCount;
END
printf '%s\n' '/* atomicAdd() would depend on the order */' 'static __global__ void fold_kernel(struct fold op)' >"$work/planted.cu"
bash "$here/gpu.sh" "$work/planted.cu" || failures=1
exit $failures
