#include "tests/gang/processes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLOT_BYTES = 1 << 20 };

struct table {                       /* shared */
    atomic_ulong at[PROCESSES_MOST]; /* how often each rank has met the others */
    struct slot {
        size_t counts[PROCESSES_MOST], offsets[PROCESSES_MOST];
        unsigned char bytes[SLOT_BYTES];
    } slots[PROCESSES_MOST];
};

void *processes_share(size_t size_bytes)
{
    void *memory =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        BUG("no shared memory of %zu bytes", size_bytes);
    return memory;
}

void processes_unshare(void *memory, size_t size_bytes)
{
    munmap(memory, size_bytes);
}

static enum err meet(struct comm *comm)
{
    struct table *table = comm->own;
    double start = clock_seconds();
    unsigned long mine = atomic_fetch_add(&table->at[comm->rank], 1) + 1;
    for (int rank = 0; rank < comm->size; rank++)
        while (atomic_load(&table->at[rank]) < mine) {
            if (clock_seconds() - start > comm->deadline_s)
                return err_set(ERR_PEER, "rank %d has waited for rank %d", comm->rank, rank);
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
        }
    return ERR_OK;
}

static struct slot *slot_of(const struct comm *comm, int rank)
{
    struct table *table = comm->own;
    return &table->slots[rank];
}

static void put(const struct comm *comm, const void *bytes, size_t size_bytes)
{
    if (size_bytes > SLOT_BYTES)
        BUG("%zu bytes are too many for a gang of processes", size_bytes);
    if (size_bytes > 0)
        memcpy(slot_of(comm, comm->rank)->bytes, bytes, size_bytes);
}

static void take(void *to, const void *from, size_t size_bytes)
{
    if (size_bytes > 0)
        memcpy(to, from, size_bytes);
}

static enum err exchange(struct comm *comm, const void *send, const size_t *send_counts,
                         const size_t *send_offsets, void *receive, const size_t *receive_counts,
                         const size_t *receive_offsets, size_t item_bytes)
{
    enum err err = ERR_OK;
    size_t end = 0;
    for (int rank = 0; rank < comm->size; rank++) {
        struct slot *slot = slot_of(comm, comm->rank);
        slot->counts[rank] = send_counts[rank];
        slot->offsets[rank] = send_offsets[rank];
        if (send_offsets[rank] + send_counts[rank] > end)
            end = send_offsets[rank] + send_counts[rank];
    }
    put(comm, send, end * item_bytes);
    TRY(meet(comm));
    for (int from = 0; from < comm->size; from++) {
        const struct slot *slot = slot_of(comm, from);
        if (slot->counts[comm->rank] != receive_counts[from])
            BUG("rank %d sends %zu items, rank %d expects %zu", from, slot->counts[comm->rank],
                comm->rank, receive_counts[from]);
        take((char *)receive + receive_offsets[from] * item_bytes,
             slot->bytes + slot->offsets[comm->rank] * item_bytes,
             receive_counts[from] * item_bytes);
    }
    TRY(meet(comm));
out:
    return err;
}

static enum err gather_all(struct comm *comm, const void *mine, void *all, const size_t *counts,
                           const size_t *offsets, size_t item_bytes)
{
    enum err err = ERR_OK;
    put(comm, mine, counts[comm->rank] * item_bytes);
    TRY(meet(comm));
    for (int from = 0; from < comm->size; from++)
        take((char *)all + offsets[from] * item_bytes, slot_of(comm, from)->bytes,
             counts[from] * item_bytes);
    TRY(meet(comm));
out:
    return err;
}

static enum err broadcast(struct comm *comm, void *bytes, size_t size_bytes)
{
    enum err err = ERR_OK;
    if (comm->rank == 0)
        put(comm, bytes, size_bytes);
    TRY(meet(comm));
    take(bytes, slot_of(comm, 0)->bytes, size_bytes);
    TRY(meet(comm));
out:
    return err;
}

static enum err any(struct comm *comm, uint32_t *flags)
{
    enum err err = ERR_OK;
    uint32_t all[PROCESSES_MOST];
    TRY(comm_gather_equal(comm, flags, all, sizeof *flags));
    for (int rank = 0; rank < comm->size; rank++)
        *flags |= all[rank];
out:
    return err;
}

static void close_nothing(struct comm *comm)
{
    (void)comm;
}

static _Noreturn void run_rank(const struct processes *processes, int rank, struct table *table,
                               int says)
{
    char local_rank[16];
    struct comm comm = {.rank = rank,
                        .size = processes->size,
                        .deadline_s = processes->deadline_s,
                        .own = table,
                        .exchange = exchange,
                        .gather_all = gather_all,
                        .broadcast = broadcast,
                        .any = any,
                        .close = close_nothing};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(says, STDERR_FILENO);
    snprintf(local_rank, sizeof local_rank, "%d", rank);
    setenv("OMPI_COMM_WORLD_LOCAL_RANK", local_rank, 1); /* as mpirun tells its ranks */
    log_open(LOG_INFO, rank);
    enum err err = processes->work(&comm, processes->own);
    if (err != ERR_OK)
        log_error("%s", err_text());
    _exit(err_exit_code(err));
}

struct child {
    pid_t pid; /* 0: it has ended */
    int hears;
};

static void start(const struct processes *processes, int rank, struct table *table,
                  struct child *child)
{
    int ends[2];
    if (pipe(ends) != 0)
        BUG("no pipe for rank %d", rank);
    fflush(stdout);
    child->pid = fork();
    if (child->pid < 0)
        BUG("no process for rank %d", rank);
    if (child->pid == 0)
        run_rank(processes, rank, table, ends[1]);
    close(ends[1]);
    child->hears = ends[0];
}

/* What has been said by now; a rank that says nothing is not waited for. */
static void hear(const struct child *child, struct ending *ending)
{
    struct pollfd ready = {.fd = child->hears, .events = POLLIN};
    char spare[1024];
    while (poll(&ready, 1, 0) > 0) {
        size_t have = strlen(ending->said), room = sizeof ending->said - 1 - have;
        ssize_t got = read(child->hears, room > 0 ? ending->said + have : spare,
                           room > 0 ? room : sizeof spare);
        if (got <= 0)
            return;
        if (room > 0)
            ending->said[have + (size_t)got] = '\0';
    }
}

static bool look(struct child *child, struct ending *ending, double start_s)
{
    int status = 0;
    hear(child, ending);
    if (child->pid == 0 || waitpid(child->pid, &status, WNOHANG) == 0)
        return child->pid == 0;
    hear(child, ending);
    ending->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    ending->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ending->seconds = clock_seconds() - start_s;
    child->pid = 0;
    return true;
}

static void watch(const struct processes *processes, struct child *children, struct ending *endings)
{
    double start_s = clock_seconds();
    for (bool is_over = false; !is_over;) {
        is_over = true;
        for (int rank = 0; rank < processes->size; rank++)
            is_over = look(&children[rank], &endings[rank], start_s) && is_over;
        for (int rank = 0; rank < processes->size; rank++)
            if (children[rank].pid > 0 && clock_seconds() - start_s > processes->limit_s)
                kill(children[rank].pid, SIGKILL);
        if (!is_over)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

void processes_run(const struct processes *processes, struct ending *endings)
{
    struct child children[PROCESSES_MOST] = {{0}};
    struct table *table = processes_share(sizeof *table);
    if (processes->size > PROCESSES_MOST)
        BUG("a gang of %d processes", processes->size);
    memset(endings, 0, (size_t)processes->size * sizeof *endings);
    for (int rank = 0; rank < processes->size; rank++)
        start(processes, rank, table, &children[rank]);
    watch(processes, children, endings);
    for (int rank = 0; rank < processes->size; rank++)
        close(children[rank].hears);
    processes_unshare(table, sizeof *table);
}
