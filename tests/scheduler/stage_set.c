#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/scheduler/stage_set.h"
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[SET_COUNT] = {"teacher", "kernel", "evaluate", "compile-best",
                                             "report"};
static const enum stage_kind kinds[SET_COUNT] = {STAGE_TRAIN, STAGE_TRAIN, STAGE_EVALUATE,
                                                 STAGE_COMPILE, STAGE_REPORT};
static const int before[SET_COUNT] = {-1, SET_TEACHER, SET_KERNEL, SET_EVALUATE, SET_COMPILE};

/* ---- what the loop tells */

static void told_started(void *own, const struct gang *gang, bool is_resume, uint64_t step)
{
    struct stage_set *set = own;
    text_add(&set->told, "%s %s %d\n", is_resume ? "resume" : "start", gang->lease.name, (int)step);
    if (set->on_start)
        set->on_start(set, gang);
}

static void told_adopted(void *own, const struct gang *gang)
{
    text_add(&((struct stage_set *)own)->told, "adopted %s %d\n", gang->lease.name,
             gang->lease.attempt);
}

static void told_progress(void *own, const struct gang *gang)
{
    struct stage_set *set = own;
    if (set->stop_count > 0 && gang->stage == set->stop_stage &&
        (int)gang->progress.step >= set->stop_step)
        set->stop = set->stop_count;
}

static void told_warning(void *own, const struct gang *gang, const char *text)
{
    text_add(&((struct stage_set *)own)->told, "warning %s: %s\n", gang->lease.name, text);
}

static void told_done(void *own, const struct gang *gang, double seconds)
{
    (void)seconds;
    text_add(&((struct stage_set *)own)->told, "done %s\n", gang->lease.name);
}

static void told_failed(void *own, const struct gang *gang, enum err error, const char *text,
                        const char *tail, double retry_s)
{
    text_add(&((struct stage_set *)own)->told, "failed %s %s%s: %s\n%s", gang->lease.name,
             err_name(error), retry_s < 0 ? " for good" : "", text, tail);
}

static void told_full(void *own, const char *text)
{
    text_add(&((struct stage_set *)own)->told, "%s%s\n", text ? "no room: " : "room again",
             text ? text : "");
}

/* A checkpoint is a file; set_damage() leaves a word in it that is no step. */
static enum err check_file(void *own, const char *content)
{
    const struct stage_set *set = own;
    char name[128];
    snprintf(name, sizeof name, "checkpoints/%s", content);
    char *bytes = set_read(set, name);
    enum err err = ERR_OK;
    if (!content[0] || !bytes[0])
        err = err_set(ERR_NOT_FOUND, "there is no checkpoint %s", content);
    else if (strcmp(bytes, "damaged") == 0)
        err = err_set(ERR_DATA, "its bytes have changed\nand more of that");
    mem_free(bytes);
    return err;
}

void set_damage(const struct stage_set *set, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/checkpoints/%s", set->folder, content);
    assert_true(file_exists(path));
    assert_int_equal(file_write(path, "damaged", 7), ERR_OK);
}

/* ---- making and editing */

static void make_keys(struct stage_set *set)
{
    for (int i = 0; i < set->graph.count; i++) {
        struct graph_stage *stage = &set->graph.stages[i];
        struct hasher hasher;
        hasher_init(&hasher);
        hasher_add_text(&hasher, stage->inputs);
        for (int j = 0; j < stage->dependency_count; j++)
            hasher_add(&hasher, &set->graph.stages[stage->dependencies[j]].key,
                       sizeof(struct hash));
        stage->key = hasher_end(&hasher);
    }
}

void set_edit(struct stage_set *set, enum set_stage stage, int epochs)
{
    char inputs[64];
    snprintf(inputs, sizeof inputs, "seed=1\n%s.epochs=%d\n", set->graph.stages[stage].name,
             epochs);
    mem_free(set->graph.stages[stage].inputs);
    set->graph.stages[stage].inputs = mem_string(inputs);
    make_keys(set);
}

static void make_graph(struct stage_set *set)
{
    set->graph.count = SET_COUNT;
    for (int i = 0; i < SET_COUNT; i++) {
        struct graph_stage *stage = &set->graph.stages[i];
        snprintf(stage->name, sizeof stage->name, "%s", names[i]);
        stage->kind = kinds[i];
        stage->is_host = kinds[i] == STAGE_COMPILE || kinds[i] == STAGE_REPORT;
        stage->target = kinds[i] == STAGE_COMPILE ? 0 : -1;
        stage->start_stage = i == SET_TEACHER ? -1 : i == SET_KERNEL ? SET_TEACHER : SET_KERNEL;
        stage->teacher_stage = i == SET_KERNEL ? SET_TEACHER : -1;
        if (before[i] >= 0)
            stage->dependencies[stage->dependency_count++] = before[i];
        stage->inputs = mem_string("");
    }
    for (int i = 0; i < SET_COUNT; i++)
        set_edit(set, (enum set_stage)i, 1);
}

void set_add_target(struct stage_set *set)
{
    struct graph_stage *added = &set->graph.stages[SET_REPORT], *report = added + 1;
    *report = *added;
    *added = set->graph.stages[SET_COMPILE];
    snprintf(added->name, sizeof added->name, "compile-small");
    added->target = 1;
    added->inputs = mem_string("");
    report->dependencies[report->dependency_count++] = SET_REPORT;
    set->graph.count++;
    set->campaign.target_count = 2;
    snprintf(set->campaign.targets[1].name, sizeof set->campaign.targets[1].name, "small");
    set_edit(set, SET_REPORT, 1);
    set->cfg.capacity.hosts = 2;
}

void set_add_check(struct stage_set *set)
{
    struct graph_stage *added = &set->graph.stages[SET_REPORT], *report = added + 1;
    *report = *added;
    *added = (struct graph_stage){.name = "check-best",
                                  .kind = STAGE_CHECK,
                                  .is_host = true,
                                  .start_stage = SET_KERNEL,
                                  .teacher_stage = -1,
                                  .dependency_count = 1,
                                  .dependencies = {SET_COMPILE},
                                  .inputs = mem_string("")};
    report->dependencies[report->dependency_count++] = SET_REPORT;
    set->graph.count++;
    set_edit(set, SET_REPORT, 1);
}

void set_script(const struct stage_set *set, const char *target, const char *script)
{
    char path[256];
    snprintf(path, sizeof path, "%s/act-%s", set->folder, target);
    if (script)
        assert_int_equal(file_write(path, script, strlen(script)), ERR_OK);
    else
        assert_int_equal(unlink(path), 0);
}

/* compile and check RUN --target NAME, and report RUN; "fail" in the run's folder makes it fail,
 * set_script() do as a test wants. */
static void make_script(struct stage_set *set)
{
    static const char text[] =
        "#!/bin/sh\n"
        "await() { until [ -e \"$1\" ]; do sleep 0.02; done; }\n"
        "[ -e \"$2/act-$4\" ] && cd \"$2\" && . \"./act-$4\"\n"
        "[ -e \"$2/hang\" ] && { sleep 600 & wait; }\n"
        "[ -e \"$2/fail65\" ] && exit 65\n"
        "[ -e \"$2/fail\" ] && { echo 'the squeeze-excite cannot be written'; exit 78; }\n"
        "echo \"$1 $4\" >> \"$2/hosted\"\n"
        "if [ \"$1\" = compile ]; then rm -rf \"$2/bundles/$4\"; mkdir -p \"$2/bundles/$4\"; "
        "echo '{}' > \"$2/bundles/$4/bundle.json\"\n"
        "elif [ \"$1\" = check ]; then echo '{}' > \"$2/bundles/$4/check.json\"\n"
        "else echo '<html>' > \"$2/report.html\"; fi\n";
    snprintf(set->script, sizeof set->script, "%s/glowworm", set->folder);
    assert_int_equal(file_write(set->script, text, sizeof text - 1), ERR_OK);
    assert_int_equal(chmod(set->script, 0755), 0);
}

static void make_folder(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_make_folders(path), ERR_OK);
    mem_free(path);
}

void set_make(struct stage_set *set, const char *folder)
{
    static const char *const settings[] = {
        "FAKE_STEPS",     "FAKE_STEP_MS", "FAKE_EVERY", "FAKE_FAULT",  "GLOWWORM_FAULT",
        "FAKE_SILENCE_S", "FAKE_GRACE_S", "FAKE_LOCK",  "FAKE_SCORES", "FAKE_NOISE"};
    char mark[32];
    memset(set, 0, sizeof *set);
    snprintf(set->folder, sizeof set->folder, "%s", folder);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        unsetenv(settings[i]);
    fault_reset();
    snprintf(mark, sizeof mark, "%d", getpid());
    setenv("GW_TEST_SET", mark, 1); /* the children's: ours was read before */
    make_folder(folder, "checkpoints");
    make_folder(folder, "results");
    make_script(set);
    make_graph(set);
    set->campaign.target_count = 1;
    snprintf(set->campaign.targets[0].name, sizeof set->campaign.targets[0].name, "best");
    text_init(&set->told);
    set->view = (struct loop_view){.own = set,
                                   .started = told_started,
                                   .adopted = told_adopted,
                                   .progress = told_progress,
                                   .warning = told_warning,
                                   .done = told_done,
                                   .failed = told_failed,
                                   .full = told_full};
    set->cfg = (struct loop_cfg){
        .graph = &set->graph,
        .survey = &set->survey,
        .campaign = &set->campaign,
        .run_folder = set->folder,
        .campaign_path = "campaign.yaml",
        .launch = {.worker = FAKE_WORKER, .glowworm = set->script, .run_folder = set->folder},
        .limits = gang_limits_default(),
        .check = check_file,
        .check_own = set,
        .backoff_ms = 1,
        .look_for_room_s = 0.01,
        .stop_asked = &set->stop,
        .view = &set->view};
}

void set_make_group(struct stage_set *set, char file[200])
{
    static const char group[] = "0::/box\n", none[] = "oom_kill 0\n";
    char path[200];
    snprintf(path, sizeof path, "%s/proc/self", set->folder);
    assert_int_equal(file_make_folders(path), ERR_OK);
    snprintf(path, sizeof path, "%s/proc/self/cgroup", set->folder);
    assert_int_equal(file_write(path, group, sizeof group - 1), ERR_OK);
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/box", set->folder);
    assert_int_equal(file_make_folders(path), ERR_OK);
    snprintf(file, 200, "%s/sys/fs/cgroup/box/memory.events", set->folder);
    assert_int_equal(file_write(file, none, sizeof none - 1), ERR_OK);
    set->cfg.system_root = set->folder;
}

void set_widen(struct stage_set *set)
{
    set->campaign.resources.nodes = set->cfg.launch.nodes = 2;
    setenv("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1", 1);
}

void set_free(struct stage_set *set)
{
    graph_fini(&set->graph);
    survey_fini(&set->survey);
    text_fini(&set->told);
}

/* ---- running */

static enum err with_journal(struct stage_set *set, enum err (*act)(struct stage_set *))
{
    enum err err = ERR_OK;
    struct current_stage current[PLAN_MAX_STAGES];
    const struct graph *graph = &set->graph;
    char *path = file_join(set->folder, "journal");
    struct survey_cfg survey = {
        .graph = graph, .run_folder = set->folder, .check = check_file, .own = set};
    for (int i = 0; i < graph->count; i++)
        current[i] = (struct current_stage){graph->stages[i].name, graph->stages[i].inputs,
                                            &graph->stages[i].key};
    TRY(journal_open(path, JOURNAL_WRITE, &set->cfg.journal));
    survey.journal = set->cfg.journal;
    survey_fini(&set->survey);
    TRY(survey_take(&survey, &set->survey));
    if (act) {
        TRY(journal_set_current(set->cfg.journal, current, graph->count));
        TRY(act(set));
    }
out:
    journal_close(&set->cfg.journal);
    mem_free(path);
    return err;
}

static enum err run_loop(struct stage_set *set)
{
    return loop_run(&set->cfg);
}

enum err set_run(struct stage_set *set)
{
    set->stop = 0;
    return with_journal(set, run_loop);
}

pid_t set_fork(struct stage_set *set)
{
    pid_t child = fork();
    if (child == 0) {
        fault_reset();
        _exit(err_exit_code(set_run(set)));
    }
    return child;
}

void set_survey(struct stage_set *set)
{
    if (with_journal(set, NULL) != ERR_OK)
        fail_msg("survey: %s", err_text());
}

/* ---- checking */

char *set_read(const struct stage_set *set, const char *name)
{
    char *path = file_join(set->folder, name), *bytes = NULL;
    size_t size = 0;
    if (file_read(path, 1 << 20, &bytes, &size) != ERR_OK)
        bytes = mem_string("");
    mem_free(path);
    return bytes;
}

int set_count_steps(const struct stage_set *set, const char *stage, int step)
{
    char wanted[96];
    char *trace = set_read(set, "trace");
    int count = 0;
    size_t size = (size_t)snprintf(wanted, sizeof wanted, "%s step %d\n", stage, step);
    for (const char *line = trace; *line; line = strchr(line, '\n') + 1)
        count += strncmp(line, wanted, size) == 0;
    mem_free(trace);
    return count;
}

static enum err find_socket(const struct attempt_record *record, void *own)
{
    if (record->socket_folder[0]) /* the stage about to start has none yet */
        snprintf(own, SET_ENDPOINT, "ipc://%s/gang", record->socket_folder);
    return ERR_OK;
}

void set_endpoint(struct journal *journal, char endpoint[SET_ENDPOINT])
{
    endpoint[0] = '\0';
    if (journal_attempts(journal, find_socket, endpoint) != ERR_OK || !endpoint[0])
        fail_msg("no attempt with a socket: %s", err_text());
}

int set_count_processes(void)
{
    char mark[64];
    snprintf(mark, sizeof mark, "GW_TEST_SET=%d", getpid());
    return process_kill_marked(mark, NULL);
}

void set_final_content(const struct stage_set *set, int stage, char hex[HASH_HEX_BYTES])
{
    const char *steps = getenv("FAKE_STEPS");
    char key[HASH_HEX_BYTES];
    struct hasher hasher;
    hasher_init(&hasher);
    hash_hex(&set->graph.stages[stage].key, key);
    hasher_add_text(&hasher, key);
    hasher_add_u64(&hasher, steps ? strtoull(steps, NULL, 10) : 20);
    struct hash content = hasher_end(&hasher);
    hash_hex(&content, hex);
}

void set_expect_done(struct stage_set *set)
{
    char expected[HASH_HEX_BYTES];
    set_survey(set);
    for (int i = 0; i < set->graph.count; i++) {
        const struct survey_stage *stage = &set->survey.stages[i];
        if (stage->verdict != SURVEY_DONE)
            fail_msg("%s is not done: verdict %d, %s", set->graph.stages[i].name, stage->verdict,
                     stage->why);
        if (set->graph.stages[i].is_host)
            continue;
        set_final_content(set, i, expected);
        assert_string_equal(stage->record.content, expected);
    }
    int left = set_count_processes();
    if (left > 0)
        fail_msg("%d processes were left running", left);
}

int set_expect_no_way_back(struct stage_set *set)
{
    char *trace = set_read(set, "trace");
    int at = 0, resumed = 0;
    for (const char *line = trace; *line; line = strchr(line, '\n') + 1) {
        int from = -1;
        if (sscanf(line, "kernel starts %d", &from) != 1 &&
            sscanf(line, "kernel resumes %d", &from) != 1)
            continue;
        if (from < at)
            fail_msg("kernel began at step %d after it had begun at %d:\n%s", from, at, trace);
        at = from;
        resumed += from > 0;
    }
    for (int step = 1; step <= 20; step++)
        if (set_count_steps(set, "kernel", step) < 1)
            fail_msg("step %d was never computed", step);
    mem_free(trace);
    return resumed;
}

/* ---- for cmocka */

int set_up(void **state)
{
    char folder[] = "/tmp/gw-loop-XXXXXX";
    struct stage_set *set = mem_alloc(sizeof *set);
    if (!mkdtemp(folder))
        return -1;
    set_make(set, folder);
    *state = set;
    return 0;
}

int tear_down(void **state)
{
    struct stage_set *set = *state;
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    set_count_processes();
    enum err err = file_remove_folder(set->folder);
    set_free(set);
    mem_free(set);
    return err == ERR_OK ? 0 : -1;
}

void expect_run(struct stage_set *set, enum err expected)
{
    enum err err = set_run(set);
    if (err != expected)
        fail_msg("the run ended with %s (%s), expected %s; told:\n%s", err_name(err), err_text(),
                 err_name(expected), text_get(&set->told));
}

void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}
