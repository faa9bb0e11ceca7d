/* What Slurm says and what is said of it: a site's file, sinfo, squeue, the environment of a job,
 * the words of an srun, slurm.json and slurm-news.json. The first byte says which: i, n, or a
 * number. */
#include "base/mem.h"
#include "cluster/slurm/intent.h"
#include "cluster/slurm/job_news.h"
#include "cluster/slurm/preflight.h"
#include "cluster/slurm/queue.h"
#include "cluster/slurm/site.h"
#include "scheduler/allocation.h"
#include "scheduler/bad_nodes.h"
#include "tests/fuzz/fuzz.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void expect_plain(const char *text)
{
    FUZZ_EXPECT(text[0] != '-');
    for (const char *at = text; *at; at++)
        FUZZ_EXPECT(isalnum((unsigned char)*at) || strchr("_.-+/:", *at));
}

/* Whatever becomes an argument of sbatch is a word without anything in it. */
static void read_site(const char *text)
{
    static struct site site;
    if (site_load(fuzz_put("site.yaml", text, strlen(text)), &site) != ERR_OK)
        return;
    expect_plain(site.partition);
    expect_plain(site.account);
    for (int i = 0; i < site.module_count; i++)
        expect_plain(site.modules[i]);
    for (int i = 0; i < site.argument_count; i++)
        FUZZ_EXPECT(strncmp(site.arguments[i], "--", 2) == 0 &&
                    !strpbrk(site.arguments[i], " ;$`\n"));
}

static void read_sinfo(const char *text)
{
    const struct job_needs all[] = {
        {.partition = ""},
        {.partition = "gpu", .nodes = 2, .cpus = 4, .memory_mib = 512, .gpus = 2},
        {.partition = "cpu", .time_seconds = 600, .signal_seconds = 120}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        enum err err = preflight_check(text, &all[i]);
        FUZZ_EXPECT(err == ERR_OK || (err == ERR_CONFIG && err_text()[0]));
    }
}

static void read_squeue(const char *text)
{
    struct queued found;
    queue_find_in(text, "glowworm-1", &found);
    FUZZ_EXPECT(!found.is_there || (found.job[0] && found.state[0]));
}

static void read_environment(const char *text)
{
    struct allocation allocation;
    setenv("SLURM_JOB_ID", "7", 1);
    setenv("SLURMD_NODENAME", "n1", 1);
    setenv("SLURM_JOB_NUM_NODES", "2", 1);
    setenv("SLURM_NODEID", "0", 1);
    setenv("SLURM_CPUS_ON_NODE", "4", 1);
    setenv("SLURM_JOB_CPUS_PER_NODE", text, 1);
    if (allocation_read(&allocation) == ERR_OK)
        FUZZ_EXPECT(allocation.cpus_of_each > 0);
    setenv("SLURM_JOB_CPUS_PER_NODE", "4(x2)", 1);
    setenv("SLURM_MEM_PER_NODE", text, 1);
    if (allocation_read(&allocation) == ERR_OK)
        FUZZ_EXPECT(allocation.memory_mib >= 0);
    unsetenv("SLURM_MEM_PER_NODE");
}

static void read_srun(const char *text)
{
    struct blame blame;
    bad_nodes_blame(text, &blame);
    expect_plain(blame.node);
    bad_nodes_blame_word(text, &blame);
    expect_plain(blame.node);
}

/* Whatever can be read of it is written and reads back as itself. */
static void read_intent(const char *text)
{
    struct intent intent, again;
    const char *folder = fuzz_folder();
    fuzz_put(INTENT_NAME, text, strlen(text));
    intent_read(folder, &intent);
    FUZZ_EXPECT(intent_write(folder, &intent) == ERR_OK);
    intent_read(folder, &again);
    FUZZ_EXPECT(memcmp(&intent, &again, sizeof intent) == 0);
}

static void read_news(const char *text)
{
    struct job_news news;
    char said[JOB_NEWS_TEXT];
    fuzz_put(JOB_NEWS_NAME, text, strlen(text));
    if (!job_news_read(fuzz_folder(), &news))
        return;
    job_news_text(&news, said);
    for (const char *at = said; *at; at++)
        FUZZ_EXPECT((unsigned char)*at >= ' ');
    FUZZ_EXPECT(job_news_write(fuzz_folder(), &news) == ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const readers[])(const char *text) = {read_site, read_sinfo, read_squeue,
                                                        read_environment, read_srun};
    if (size == 0)
        return 0;
    char *text = mem_alloc(size);
    memcpy(text, bytes + 1, size - 1);
    if (bytes[0] == 'i')
        read_intent(text);
    else if (bytes[0] == 'n')
        read_news(text);
    else
        readers[bytes[0] % (sizeof readers / sizeof *readers)](text);
    mem_free(text);
    return 0;
}
