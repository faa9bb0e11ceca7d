/* Softmax cross entropy with smoothed labels and a teacher: a block for each image, which goes over
 * its logits three times (they stay in the multiprocessor's cache): the largest, the sums, the
 * gradient. Loops stay rolled up, so that no register is spilled around the logarithms. The last
 * block adds what images gave, in order. */
#include "kernels/cuda/last_block.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/sums.cuh"

enum { THREADS = 128, SUMS = 4, ROW_SUMS = 3 };

struct loss_arguments {
    struct loss loss;
    float *dlogits; /* (N,K) or NULL */
    double *rows;   /* (ROW_SUMS,N): loss, distillation, whether it is right */
    unsigned *ticket;
};

struct largest {
    float value;
    int at; /* the lowest index of equals */
};

static __device__ __forceinline__ bool is_larger(largest left, largest right)
{
    return left.value > right.value || (left.value == right.value && left.at < right.at);
}

/* A first logit that is no number stays the largest, as any other does not become it. */
static __device__ largest largest_of(const float *logits, int K, shared<float> values,
                                     shared<int> places)
{
    int thread = (int)threadIdx.x;
    largest mine = {gpu_load(logits), 0};
#pragma unroll 1
    for (int k = thread; k < K; k += THREADS) {
        largest other = {gpu_load(logits + k), k};
        mine = is_larger(other, mine) ? other : mine;
    }
    __syncthreads(); /* what was here before has been read */
    values[thread] = mine.value;
    places[thread] = mine.at;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) {
            largest other = {values[thread + half], places[thread + half]};
            if (is_larger(other, mine))
                mine = other;
            values[thread] = mine.value;
            places[thread] = mine.at;
        }
    }
    __syncthreads();
    largest found = {values[0], places[0]};
    return found;
}

/* values[i] becomes the sum of every thread's, over a tree that is always the same. */
static __device__ void sum_up(double (&values)[SUMS], shared<double> room)
{
    int thread = (int)threadIdx.x;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SUMS; i++)
        room[i * THREADS + thread] = values[i];
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
#pragma unroll
        for (int i = 0; thread < half && i < SUMS; i++) {
            values[i] += room[i * THREADS + thread + half];
            room[i * THREADS + thread] = values[i];
        }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SUMS; i++)
        values[i] = room[i * THREADS];
}

struct row { /* of one image: its logits, and what its softmax is made of */
    const float *logits, *teacher;
    float largest, teacher_largest;
    double sum, teacher_sum; /* of exp(logit - largest) */
    double all;              /* sum of logit - largest */
    double taught;           /* the same, each times the teacher's exp */
    int label;
};

static __device__ __forceinline__ float power(const float *logits, int k, float largest)
{
    return expf(gpu_load(logits + k) - largest);
}

static __device__ void row_sums(row *row, int K, shared<double> room)
{
    double sums[SUMS] = {0, 0, 0, 0};
#pragma unroll 1
    for (int k = (int)threadIdx.x; k < K; k += THREADS) {
        double below = (double)gpu_load(row->logits + k) - (double)row->largest;
        sums[0] += (double)power(row->logits, k, row->largest);
        sums[1] += below;
        if (row->teacher) {
            double weight = (double)power(row->teacher, k, row->teacher_largest);
            sums[2] += weight;
            sums[3] += weight * below;
        }
    }
    sum_up(sums, room);
    row->sum = sums[0];
    row->all = sums[1];
    row->teacher_sum = sums[2];
    row->taught = sums[3];
}

/* Cross entropy with smoothed labels: target (1 - smoothing) at the label + smoothing / K. */
static __device__ __forceinline__ double label_loss(const struct loss &loss, const row &row)
{
    double smoothing = (double)loss.smoothing, total = log(row.sum);
    double own = (double)gpu_load(row.logits + row.label) - (double)row.largest - total;
    double all = smoothing == 0 ? 0 : row.all - loss.K * total;
    return -(1 - smoothing) * own - smoothing / loss.K * all;
}

static __device__ void write_row(const loss_arguments &op, const row &row, bool is_right)
{
    const struct loss &loss = op.loss;
    int n = (int)blockIdx.x;
    double sum = 0, distil = 0;
    if (loss.label_weight != 0)
        sum += (double)loss.label_weight * label_loss(loss, row);
    if (row.teacher) {
        distil = log(row.sum) - row.taught / row.teacher_sum;
        sum += (double)loss.distil_weight * distil;
    }
    gpu_store(op.rows + n, sum);
    gpu_store(op.rows + loss.N + n, distil);
    gpu_store(op.rows + 2 * loss.N + n, is_right ? 1.0 : 0.0);
}

static __device__ void write_gradient(const struct loss &loss, const row &row, float *dlogits)
{
    float labels = loss.label_weight, distil = row.teacher ? loss.distil_weight : 0;
    float inverse = 1 / loss.divisor, everywhere = labels * loss.smoothing / (float)loss.K;
    float student_scale = (float)((double)(labels + distil) / row.sum);
    float teacher_scale = row.teacher ? (float)((double)distil / row.teacher_sum) : 0;
#pragma unroll 1
    for (int k = (int)threadIdx.x; k < loss.K; k += THREADS) {
        float target = everywhere;
        if (k == row.label)
            target += labels * (1 - loss.smoothing);
        if (row.teacher)
            target += power(row.teacher, k, row.teacher_largest) * teacher_scale;
        gpu_store(dlogits + k,
                  (power(row.logits, k, row.largest) * student_scale - target) * inverse);
    }
}

/* Each sum of this batch by itself, then added to what is there. */
static __device__ void add_rows(const loss_arguments &op, shared<double> room)
{
    const struct loss &loss = op.loss;
    double sums[SUMS] = {0, 0, 0, 0};
    for (int n = (int)threadIdx.x; n < loss.N; n += THREADS)
#pragma unroll
        for (int i = 0; i < ROW_SUMS; i++)
            sums[i] += gpu_load_fresh(op.rows + i * loss.N + n);
    sum_up(sums, room);
    if (threadIdx.x != 0)
        return;
    gpu_store(loss.sums + LOSS_TOTAL, gpu_load(loss.sums + LOSS_TOTAL) + sums[0]);
    gpu_store(loss.sums + LOSS_DISTIL, gpu_load(loss.sums + LOSS_DISTIL) + sums[1]);
    gpu_store(loss.sums + LOSS_CORRECT, gpu_load(loss.sums + LOSS_CORRECT) + sums[2]);
    gpu_store(loss.sums + LOSS_IMAGES, gpu_load(loss.sums + LOSS_IMAGES) + loss.N);
    if (!isfinite(sums[0]))
        flaw_note(loss.flaw, 0);
}

static __global__ void __launch_bounds__(THREADS) loss_forward_kernel(loss_arguments op)
{
    GPU_SHARED(double, room, SUMS *THREADS);
    GPU_SHARED(float, values, THREADS);
    GPU_SHARED(int, places, THREADS);
    const struct loss &loss = op.loss;
    size_t at = (size_t)blockIdx.x * loss.K;
    row row;
    row.logits = loss.logits + at;
    row.teacher = loss.teacher_logits ? loss.teacher_logits + at : NULL;
    row.label = gpu_load(loss.labels + blockIdx.x);
    row.teacher_largest = 0;
    largest best = largest_of(row.logits, loss.K, values, places);
    row.largest = best.value;
    if (row.teacher)
        row.teacher_largest = largest_of(row.teacher, loss.K, values, places).value;
    row_sums(&row, loss.K, room);
    if (op.dlogits)
        write_gradient(loss, row, op.dlogits + at);
    if (threadIdx.x == 0)
        write_row(op, row, best.at == row.label);
    if (gpu_is_last_block(op.ticket, gridDim.x))
        add_rows(op, room);
}

size_t cuda_loss_forward_plan(const struct work *work, enum precision precision)
{
    (void)precision;
    return ROW_SUMS * (size_t)work->conv.in.N * sizeof(double);
}

void cuda_loss_forward(struct device *device, const struct loss *loss, float *dlogits)
{
    struct cuda *cuda = cuda_of(device);
    struct work work = {};
    work.kind = WORK_LOSS_FORWARD;
    work.conv.in.N = loss->N;
    work.conv.K = loss->K;
    double *rows =
        (double *)cuda_scratch(cuda, &work, cuda_loss_forward_plan(&work, cuda->precision));
    if (!rows)
        return;
    loss_arguments op = {*loss, dlogits, rows, cuda->tickets};
    cuda_launch(cuda, "loss_forward", loss_forward_kernel, dim3((unsigned)loss->N), dim3(THREADS),
                0, &op);
}
