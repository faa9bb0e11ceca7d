/* What the machine gives a process: limits, processors, memory, the time. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/doctor/doctor.h"
#include "cluster/machine_memory.h"
#include "kernels/cpu/processor.h"
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define FIRST_YEAR 2025
#define LAST_YEAR  2100
#define SKEW_S     2.0

struct limit_row {
    int resource;
    const char *what, *flag; /* of ulimit */
    rlim_t least, wanted;    /* below: a problem, a warning */
    double unit;
    const char *unit_name, *why;
};

/* LMDB maps its stores whole: address space is what their size may reach. */
static const struct limit_row limit_rows[] = {
    {RLIMIT_NOFILE, "open files", "-n", 128, 1024, 1, "", "stores, sockets, logs"},
    {RLIMIT_NPROC, "processes", "-u", 64, 512, 1, "", "ranks and their threads"},
    {RLIMIT_AS, "address space", "-v", (rlim_t)8 << 30, (rlim_t)256 << 30, 1e9, " GB",
     "stores are mapped whole"},
    {RLIMIT_FSIZE, "size of a file", "-f", (rlim_t)1 << 30, (rlim_t)64 << 30, 1e9, " GB",
     "a store is one file"},
    {RLIMIT_MEMLOCK, "locked memory", "-l", 0, (rlim_t)64 << 10, 1e3, " kB",
     "pinned memory of devices"},
};

static bool check_limit(const struct limit_row *row, struct findings *findings)
{
    struct rlimit limit;
    char cure[160];
    if (getrlimit((__rlimit_resource_t)row->resource, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= row->wanted)
        return true;
    bool may_raise = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > limit.rlim_cur;
    if (may_raise)
        snprintf(cure, sizeof cure, "ulimit %s $(ulimit -H %s)", row->flag, row->flag);
    else
        snprintf(cure, sizeof cure,
                 "ask for a higher hard limit of ulimit %s (limits.conf, or the batch system's)",
                 row->flag);
    finding_add(findings, limit.rlim_cur < row->least ? FINDING_PROBLEM : FINDING_WARNING, cure,
                "%s: %.0f%s are allowed, %.0f%s are wanted (%s)", row->what,
                (double)limit.rlim_cur / row->unit, row->unit_name, (double)row->wanted / row->unit,
                row->unit_name, row->why);
    return false;
}

void check_limits(const struct doctor_subject *subject, struct findings *findings)
{
    bool are_right = true;
    (void)subject;
    for (size_t i = 0; i < sizeof limit_rows / sizeof *limit_rows; i++)
        are_right = check_limit(&limit_rows[i], findings) && are_right;
    if (are_right)
        finding_add(findings, FINDING_OK, "",
                    "open files, processes, address space, size of files, locked memory");
}

/* Processors' worth of time that control groups (version 2) allow; infinite: no limit. */
static double find_quota(void)
{
    char *bytes = NULL, path[512];
    size_t size = 0;
    double quota = INFINITY, most = 0, period = 0;
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu.max");
    if (file_read("/proc/self/cgroup", 65536, &bytes, &size) == ERR_OK) {
        const char *group = strstr(bytes, "0::");
        if (group)
            snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/cpu.max", (int)strcspn(group + 3, "\n"),
                     group + 3);
        mem_free(bytes);
    }
    if (file_read(path, 256, &bytes, &size) != ERR_OK)
        return quota;
    if (sscanf(bytes, "%lf %lf", &most, &period) == 2 && period > 0)
        quota = most / period;
    mem_free(bytes);
    return quota;
}

static void check_cores(const struct doctor_subject *subject, const char *level,
                        const struct processor *processor, struct findings *findings)
{
    cpu_set_t ours;
    int cores = sched_getaffinity(0, sizeof ours, &ours) == 0 ? CPU_COUNT(&ours) : 1;
    double allowed = fmin(cores, find_quota());
    int wanted = subject->ranks * subject->threads;
    if (wanted > allowed)
        finding_add(
            findings, FINDING_WARNING, "lower resources.ranks or resources.threads",
            "%s, %s: the campaign wants %d ranks of %d threads, %.1f processors are allowed",
            processor->brand, level, subject->ranks, subject->threads, allowed);
    else
        finding_add(findings, FINDING_OK, "", "%s, %s; %.1f processors are allowed",
                    processor->brand, level, allowed);
}

void check_processor(const struct doctor_subject *subject, struct findings *findings)
{
    static const char *const levels[] = {[ISA_AUTO] = "",
                                         [ISA_V2] = "x86-64-v2",
                                         [ISA_V3] = "x86-64-v3",
                                         [ISA_V4] = "x86-64-v4",
                                         [ISA_V4_BF16] = "x86-64-v4-bf16"};
    struct processor processor;
    processor_read(&processor);
    enum isa isa = processor_isa(&processor);
    if (isa == ISA_AUTO)
        finding_add(findings, FINDING_PROBLEM, "use a machine from after 2009",
                    "%s lacks what x86-64-v2 asks for", processor.brand);
    else
        check_cores(subject, levels[isa], &processor, findings);
}

void check_memory(const struct doctor_subject *subject, struct findings *findings)
{
    struct machine_memory memory;
    (void)subject;
    if (machine_memory_read("", &memory) != ERR_OK)
        finding_add(findings, FINDING_WARNING, "mount /proc", "%s", err_text());
    else
        finding_add(findings, FINDING_OK, "",
                    "%s %.1f GB; \"glowworm plan\" says what a campaign "
                    "takes",
                    memory.whose, (double)memory.total_bytes / 1e9);
}

/* The time a file in the folder gets, against ours: a file server has a clock of its own. NaN: no
 * file can be made. */
static double find_skew(const char *folder)
{
    struct stat status;
    double skew = NAN;
    char *path = file_join(folder, ".glowworm-doctor-XXXXXX");
    int file = mkstemp(path);
    if (file >= 0 && fstat(file, &status) == 0)
        skew = (double)status.st_mtim.tv_sec + (double)status.st_mtim.tv_nsec * 1e-9 -
               (double)clock_wall_ms() / 1000;
    if (file >= 0) {
        close(file);
        unlink(path);
    }
    mem_free(path);
    return skew;
}

static bool is_synchronised(void)
{
    struct timex state = {.modes = 0};
    return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
}

void check_clock(const struct doctor_subject *subject, struct findings *findings)
{
    time_t now = time(NULL);
    struct tm parts;
    double steady = clock_seconds(), skew = find_skew(subject->run_folder);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    int year = gmtime_r(&now, &parts) ? parts.tm_year + 1900 : 0;
    if (year < FIRST_YEAR || year > LAST_YEAR)
        finding_add(findings, FINDING_PROBLEM, "set it: timedatectl set-ntp true",
                    "the clock says that this is the year %d", year);
    else if (clock_seconds() <= steady)
        finding_add(findings, FINDING_PROBLEM, "look at the clock source of the (virtual) machine",
                    "the steady clock stands still");
    else if (fabs(skew) > SKEW_S)
        finding_add(findings, FINDING_WARNING, "synchronise both (NTP)",
                    "the clock of %s's file server differs by %.1f s from this machine's",
                    subject->run_folder, fabs(skew));
    else
        finding_add(findings, FINDING_OK, "", "%04d-%02d-%02d, steady%s", year, parts.tm_mon + 1,
                    parts.tm_mday,
                    is_synchronised() ? ", synchronised"
                                      : "; nobody says that it is synchronised, which Slurm "
                                        "and runs on several nodes want");
}
