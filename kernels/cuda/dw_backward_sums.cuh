/* How the sums of a depthwise backward become the gradients of its weights and the sums of its
 * sink: fp32 in a thread, fp64 from there on, in an order that the shape decides. */
#ifndef KERNELS_CUDA_DW_BACKWARD_SUMS_CUH
#define KERNELS_CUDA_DW_BACKWARD_SUMS_CUH

#include "kernels/cuda/dw_backward.cuh"

/* The threads' gradients of the weights go to the block's, warp after warp. */
template <typename E, int R, int S, int T>
static __device__ __forceinline__ void dw_backward_gather(shared<double> weights,
                                                          const dw_place &place,
                                                          dw_backward_lane<E, R, S, T> *lane)
{
    for (int warp = 0; warp < place.warps; warp++) {
        __syncthreads();
        if (warp != place.warp)
            continue;
#pragma unroll
        for (int tap = 0; tap < R * R; tap++) {
            weights[tap * DW_LANES + place.lane] += (double)lane->dw[tap];
            lane->dw[tap] = 0;
        }
    }
}

/* An item's sums behind a gate, which are its images' own. */
template <typename E>
static __device__ __forceinline__ void
dw_backward_gates(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                  const dw_place &place, const dw_backward_item &item, const sink_sums &sums)
{
    const struct dw_cut &cut = op.cut;
    const int parts = cut.strips * cut.bands, part = item.at.strip * cut.bands + item.at.band;
    double *to = op.gate_parts ? op.gate_parts : op.sink.gate_sums;
    const float mine[GATE_SUMS] = {sums.gated, sums.sum, sums.moment};
    __syncthreads();
#pragma unroll
    for (int i = 0; i < GATE_SUMS; i++)
        memory.sums[i * (int)blockDim.x + (int)threadIdx.x] = (double)mine[i];
    __syncthreads();
    for (int task = place.warp; task < item.at.images * GATE_SUMS; task += place.warps) {
        int image = task / GATE_SUMS, i = task % GATE_SUMS;
        size_t row = (size_t)(item.at.image + image) * parts + part;
        double total = 0;
        for (int tile = 0; tile < cut.columns; tile++)
            total += memory.sums[i * (int)blockDim.x + (image * cut.columns + tile) * GPU_WARP +
                                 place.lane];
        if (place.c < cut.in.C)
            gpu_store(to + (row * GATE_SUMS + i) * cut.in.C + place.c, total);
    }
}

/* An item's sums. */
template <typename E>
static __device__ __forceinline__ void
dw_backward_end(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                const dw_place &place, const dw_backward_item &item, const sink_sums &sums)
{
    if (!op.has_sink)
        return;
    if (op.sink.gate_sums)
        dw_backward_gates(op, memory, place, item, sums);
    if (op.sink.sums) {
        memory.sums[(int)threadIdx.x] += (double)sums.sum;
        memory.sums[(int)(blockDim.x + threadIdx.x)] += (double)sums.moment;
    }
}

/* What this block leaves to the last ones. */
template <typename E, int R>
static __device__ __forceinline__ void dw_backward_leave(const struct dw_backward_args &op,
                                                         const dw_backward_shared<E> &memory,
                                                         const dw_place &place)
{
    const size_t block = (size_t)blockIdx.x * gridDim.y + blockIdx.y;
    float *weights = op.weight_parts + block * R * R * DW_LANES;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < R * R * DW_LANES; i += (int)blockDim.x)
        gpu_store(weights + i, (float)memory.weights[i]);
    for (int i = 0; i < DW_SUMS && place.warp == 0 && op.has_sink && op.sink.sums; i++) {
        double total = 0;
        for (int warp = 0; warp < place.warps; warp++)
            total += memory.sums[i * (int)blockDim.x + warp * GPU_WARP + place.lane];
        gpu_store(op.sum_parts + (block * DW_SUMS + i) * DW_LANES + place.lane, total);
    }
}

struct four_sums {
    double x, y, z, w;
};

/* The weights of a team's groups, in order, by its last block: (R*R,DW_LANES) of each. */
template <int R>
static __device__ __forceinline__ void dw_backward_team(const float *parts, int groups, double *to)
{
    for (int i = (int)threadIdx.x; i < R * R * DW_QUADS; i += (int)blockDim.x) {
        struct four_sums sums = {0, 0, 0, 0};
#pragma unroll 4
        for (int group = 0; group < groups; group++) {
            float4 four = gpu_load_fresh((const float4 *)parts + group * R * R * DW_QUADS + i);
            sums.x += (double)four.x;
            sums.y += (double)four.y;
            sums.z += (double)four.z;
            sums.w += (double)four.w;
        }
        gpu_store((double2 *)to + 2 * i, make_double2(sums.x, sums.y));
        gpu_store((double2 *)to + 2 * i + 1, make_double2(sums.z, sums.w));
    }
}

/* What groups, or teams, have of the weights, in order: into dw. */
template <int R, typename P>
static __device__ __forceinline__ void
dw_backward_add(const struct dw_backward_args &op, const dw_place &place, const P *parts, int count)
{
    for (int tap = place.warp; tap < R * R && place.c < op.cut.in.C; tap += place.warps) {
        float *dw = op.dw + (size_t)tap * op.cut.ld + place.c;
        double total = 0;
#pragma unroll 8
        for (int i = 0; i < count; i++)
            total += (double)gpu_load_fresh(parts + (i * R * R + tap) * DW_LANES + place.lane);
        gpu_store(dw, gpu_load(dw) + (float)total);
    }
}

/* The sums of gates whose images had several items. */
static __device__ __forceinline__ void dw_backward_add_gates(const struct dw_backward_args &op,
                                                             const dw_place &place)
{
    const int C = op.cut.in.C, parts = op.cut.strips * op.cut.bands;
    for (int row = place.warp; row < op.cut.in.N * GATE_SUMS && place.c < C; row += place.warps) {
        int n = row / GATE_SUMS, i = row % GATE_SUMS;
        double total = 0;
        for (int part = 0; part < parts; part++) {
            size_t at = ((size_t)n * parts + part) * GATE_SUMS + i;
            total += gpu_load_fresh(op.gate_parts + at * C + place.c);
        }
        gpu_store(op.sink.gate_sums + (size_t)row * C + place.c, total);
    }
}

static __device__ __forceinline__ void dw_backward_norm(const struct dw_backward_args &op,
                                                        const dw_place &place, shared<double> room)
{
    const int C = op.cut.in.C;
    double total[DW_SUMS];
    dw_total(total, op.sum_parts + (size_t)blockIdx.x * gridDim.y * DW_SUMS * DW_LANES,
             (int)gridDim.y, room, place);
    if (place.warp != 0 || place.c >= C)
        return;
    gpu_store(op.sink.sums + place.c, total[0]);
    gpu_store(op.sink.sums + C + place.c, total[1]);
    if (op.has_norm)
        norm_backward_finish(op.norm, place.c, op.pixels, total[0], total[1]);
}

/* The last block of a team adds up its weights, the last of these those of the teams. True in the
 * block that is left: the weights of this tile are done, and all sums are there. */
template <int R>
static __device__ __forceinline__ bool dw_backward_is_last(const struct dw_backward_args &op,
                                                           const dw_place &place)
{
    const int groups = (int)gridDim.y, tile = (int)blockIdx.x, count = R * R * DW_LANES;
    const int team = (int)blockIdx.y / op.team, first = team * op.team;
    const int members = min(op.team, groups - first);
    const float *parts = op.weight_parts + ((size_t)tile * groups + first) * count;
    double *sums = op.weight_sums + (size_t)tile * op.teams * count;
    if (!gpu_is_last_block(op.tickets + gridDim.x + tile * op.teams + team, (unsigned)members))
        return false;
    if (op.teams == 1) {
        dw_backward_add<R>(op, place, parts, members);
        return true;
    }
    dw_backward_team<R>(parts, members, sums + team * count);
    if (!gpu_is_last_block(op.tickets + tile, (unsigned)op.teams))
        return false;
    dw_backward_add<R>(op, place, sums, op.teams);
    return true;
}

template <typename E, int R>
static __device__ __forceinline__ void dw_backward_finish(const struct dw_backward_args &op,
                                                          const dw_backward_shared<E> &memory,
                                                          const dw_place &place)
{
    dw_backward_leave<E, R>(op, memory, place);
    if (!dw_backward_is_last<R>(op, place) || !op.has_sink)
        return;
    if (op.sink.gate_sums && op.gate_parts)
        dw_backward_add_gates(op, place);
    if (op.sink.sums)
        dw_backward_norm(op, place, memory.sums);
}

#endif
