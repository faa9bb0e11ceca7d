#include "cluster/validate/converter.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"
#include "cluster/timed_command.h"
#include "cluster/validate/conversion_record.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_FILE ((size_t)1 << 30)
#define MOST_S    3600.0 /* of a conversion; the largest network takes minutes */

static enum err copy_file(const char *from, const char *name, const char *to, const char *as)
{
    enum err err = ERR_OK;
    int file = -1;
    size_t size = 0;
    char *bytes = NULL, *source = file_join(from, name), *target = file_join(to, as);
    TRY(file_open_regular(source, &file));
    TRY(file_read_from(file, source, MOST_FILE, &bytes, &size));
    TRY(file_write(target, bytes, size));
out:
    if (file >= 0)
        close(file);
    mem_free(bytes);
    mem_free(target);
    mem_free(source);
    return err;
}

static enum err copy_bundle(const char *bundle, const char *copy)
{
    for (int n = 0; conversion_sources[n]; n++) {
        const char *name = conversion_sources[n];
        enum err err = copy_file(bundle, name, copy, name);
        if (err != ERR_OK && err != ERR_NOT_FOUND)
            return err;
    }
    return ERR_OK;
}

struct conversion {
    const struct converter_cfg *cfg;
    const char *folder;
};

static enum err start(void *own, const char *log_path, struct process *process)
{
    const struct conversion *conversion = own;
    return process_start(&(struct process_cfg){.argv = conversion->cfg->argv,
                                               .log_path = log_path,
                                               .work_folder = conversion->folder},
                         process);
}

/* The last line of what it said. */
static const char *last_line(char *output)
{
    size_t end = strlen(output);
    while (end > 0 && output[end - 1] == '\n')
        output[--end] = '\0';
    char *line = strrchr(output, '\n');
    return line ? line + 1 : output;
}

static enum err convert(const struct converter_cfg *cfg, const char *copy)
{
    struct conversion conversion = {cfg, copy};
    struct timed_result result;
    struct timed_limit limit = {.most_s = MOST_S, .interrupts = cfg->stop};
    enum err err = timed_process(start, &conversion, &limit, &result);
    if (err != ERR_OK)
        return err;
    if (cfg->stop && *cfg->stop)
        return err_set(ERR_INTERRUPTED, "stopped");
    if (result.is_over || result.code != 0)
        return err_set(ERR_FAILED, "%s %s: %s", cfg->argv[0],
                       result.is_over ? "took more than an hour" : "did not convert the network",
                       last_line(result.output));
    err = copy_file(copy, FIREFLY_GRAPH, cfg->bundle, CONVERTED_GRAPH);
    return err == ERR_NOT_FOUND
               ? err_set(ERR_FAILED,
                         "%s ended well, but wrote no " FIREFLY_GRAPH ": its words have to name "
                         "that file for its output (compile.converter)",
                         cfg->argv[0])
               : err;
}

static bool is_installed(const char *program)
{
    return strchr(program, '/') ? access(program, X_OK) == 0 : program_is_in_path(program);
}

enum err converter_run(const struct converter_cfg *cfg)
{
    enum err err = ERR_OK;
    const char *root = getenv("TMPDIR");
    char *copy = NULL;
    if (!is_installed(cfg->argv[0]))
        return err_set(ERR_HELD,
                       "%s has no " FIREFLY_GRAPH ", and its converter %s is not installed here: "
                       "convert it where it is, put " FIREFLY_GRAPH " into the bundle, then give "
                       "this command again",
                       cfg->bundle, cfg->argv[0]);
    copy = file_join(root && root[0] ? root : "/tmp", "glowworm-convert-XXXXXX");
    if (!mkdtemp(copy)) {
        mem_free(copy);
        return err_set(ERR_IO, "no folder can be made for a conversion");
    }
    TRY(copy_bundle(cfg->bundle, copy));
    TRY(convert(cfg, copy));
    TRY(conversion_record_write(cfg->bundle, cfg->argv));
out:
    if (file_remove_folder(copy) != ERR_OK && err == ERR_OK)
        err = err_set(ERR_IO, "%s cannot be removed", copy);
    mem_free(copy);
    return err;
}
