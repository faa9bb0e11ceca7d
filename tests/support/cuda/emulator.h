/* A GPU for machines without one. The kernels' source compiles for the host against include/, which
 * has CUDA's names; the module that comes of it calls this runtime where it would call CUDA's.
 *
 *   - Threads are fibres (fibre.h). One host thread at a time runs a block of them, warp by warp
 *     and lane by lane, each until it waits (block.cpp); blocks come one after another.
 *   - Device memory lies behind addresses that the host cannot touch, fresh memory is full of NaN,
 *     and each access is checked against what is allocated (memory.cpp). Freed addresses come never
 *     again. Shared memory is full of NaN when a block begins.
 *   - Streams are queues that nothing moves but a host that waits, or their length (streams.cpp).
 *   - What CUDA leaves undefined ends the process (SIGABRT) with a sentence on standard error that
 *     names kernel, block and thread: an access outside an allocation or misaligned, a barrier or
 *     collective that not all live threads reach.
 *
 * The environment, read at every launch and every wait:
 *   GPU_EMULATOR_ORDER=forward | reversed | shuffled[:SEED]: of blocks, of threads between two
 *     barriers, of streams. forward: of streams, only what the host waits for; reversed: all that
 *     may run, and that last.
 * and, of trouble that a machine may have:
 *   GPU_EMULATOR_DEVICES=N (1), GPU_EMULATOR_MEMORY_MB=N (8192; read once),
 *   GPU_EMULATOR_DRIVER=VERSION (13000; less than the runtime's is "too old"),
 *   GPU_EMULATOR_CAPABILITY=N (80), GPU_EMULATOR_MULTIPROCESSORS=N (108),
 *   GPU_EMULATOR_LOST=KERNEL: the card is lost when a kernel of this name should run. Nothing runs
 *     any more, and every call returns an error, until cudaDeviceReset(). */
#ifndef TESTS_SUPPORT_CUDA_EMULATOR_H
#define TESTS_SUPPORT_CUDA_EMULATOR_H
#endif
