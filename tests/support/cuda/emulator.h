/* A GPU for machines without one. The kernels' source compiles for the host against include/, which
 * has CUDA's names; the module that comes of it calls this runtime where it would call CUDA's.
 *
 *   - Threads are fibres (fibre.h). One host thread at a time runs a block of them, warp by warp
 *     and lane by lane, each until it waits (block.cpp); blocks come one after another.
 *   - Device memory lies behind addresses that the host cannot touch, fresh memory is full of NaN,
 *     and each access is checked against what is allocated (memory.cpp). Freed addresses come never
 *     again. Shared memory is full of NaN when a block begins.
 *   - Streams are queues that nothing moves but a host that waits, or their length (queue.h).
 *   - cp.async's data lands when its thread waits for it; until then nobody may use the place.
 *   - Two threads of a block that use one place of memory, one of them storing, must be ordered by
 *     __syncthreads, or in a warp by __syncwarp (use.h); shuffles and votes order nothing. Blocks
 *     of a launch may not use what another one stores, but behind a ticket (races.cpp).
 *   - What CUDA leaves undefined ends the process (SIGABRT) with a sentence on standard error that
 *     names kernel, block and thread: an access outside an allocation or misaligned, a race, a
 *     barrier or collective that not all live threads reach, a copy that nobody waits for. A plain
 *     access to device memory is a SIGSEGV that says so.
 *
 * The environment is read at every launch and every wait:
 *
 *   - GPU_EMULATOR_ORDER=forward, reversed, shuffled or shuffled:SEED: of blocks, of threads
 *     between two barriers, of streams. forward: of streams, only what the host waits for;
 *     reversed: all that may run, and that last.
 *   - GPU_EMULATOR_RACES=0: races in device memory are not looked for. They take half of the time
 *     of small kernels, and eight times the memory that is used.
 *   - GPU_EMULATOR_REPORT=PATH: what a launch does is counted, and appended there as a line of JSON
 *     when it has run. Wait for the device in front of a change of it.
 *
 * Of a report's line (launches.py prints it for people) all but the counts of banks are bytes:
 *
 *   - loaded, stored: what threads asked for;
 *   - sectors, used: 32 for each sector that an instruction of a warp touches, and which of those
 *     its lanes asked for (counters.cpp says how lanes that run one after another are brought
 *     together);
 *   - shared_accesses, shared_passes: the turns of 32 banks that instructions of warps would take
 *     of shared memory without bank conflicts, and what they took; shared: that of a block;
 *   - memory: of each allocation that was used its address (at), its size, and what is above;
 *     besides
 *   - read, written: 32 for each sector that a block touches, however often, added over blocks:
 *     what comes from beyond a multiprocessor that keeps all;
 *   - read_once, written_once: what the launch touches at all.
 *
 * And of the trouble that a machine may have:
 *
 *   - GPU_EMULATOR_DEVICES=N (1), GPU_EMULATOR_MEMORY_MB=N (8192; read once),
 *     GPU_EMULATOR_CAPABILITY=N (80), GPU_EMULATOR_MULTIPROCESSORS=N (108);
 *   - GPU_EMULATOR_DRIVER=VERSION (13000; less than the runtime's is "too old");
 *   - GPU_EMULATOR_LOST=KERNEL: the card is lost when a kernel of this name should run. Nothing
 *     runs any more, and every call returns an error, until cudaDeviceReset(). */
#ifndef TESTS_SUPPORT_CUDA_EMULATOR_H
#define TESTS_SUPPORT_CUDA_EMULATOR_H
#endif
