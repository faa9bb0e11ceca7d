#include "trainer/data/import_report.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

const char *skip_name(enum skip_kind kind)
{
    static const char *const names[SKIP_KINDS] = {
        "unreadable", "empty", "oversized", "wrong type", "duplicate", "conflict", "misplaced"};
    return names[kind];
}

void import_report_skip(struct import_report *report, enum skip_kind kind, const char *name,
                        const char *reason)
{
    uint32_t count = report->skip_count;
    if ((count & (count - 1)) == 0) /* full at every power of two */
        report->skips = mem_grow(report->skips, count * sizeof *report->skips,
                                 (count ? 2 * (size_t)count : 1) * sizeof *report->skips);
    report->skips[report->skip_count++] = (struct skip){mem_string(name), kind, mem_string(reason)};
    report->kinds[kind]++;
}

void import_report_forget(struct import_report *report, uint32_t keep)
{
    while (report->skip_count > keep) {
        struct skip *skip = &report->skips[--report->skip_count];
        report->kinds[skip->kind]--;
        mem_free(skip->name);
        mem_free(skip->reason);
    }
}

/* A camera of 12 bits leaves a sixteenth of the range. */
int import_report_fitting_bits(const struct import_report *report)
{
    return report->word_count > 0 && report->word_bits <= 12 ? report->word_bits : 0;
}

void import_report_fini(struct import_report *report)
{
    import_report_forget(report, 0);
    mem_free(report->skips);
    memset(report, 0, sizeof *report);
}

/* The most frequent kind that is not told yet; SKIP_KINDS: none is left. */
static int next_kind(const struct import_report *report, const bool *is_told)
{
    int most = SKIP_KINDS;
    for (int kind = 0; kind < SKIP_KINDS; kind++)
        if (!is_told[kind] && report->kinds[kind] > 0 &&
            (most == SKIP_KINDS || report->kinds[kind] > report->kinds[most]))
            most = kind;
    return most;
}

void import_report_count(const struct import_report *report, struct text *text)
{
    bool is_told[SKIP_KINDS] = {false};
    const char *before = ": ";
    if (report->skip_count > 0)
        text_add(text, "skipped %u", report->skip_count);
    for (int kind; (kind = next_kind(report, is_told)) != SKIP_KINDS; before = ", ") {
        text_add(text, "%s%u %s", before, report->kinds[kind], skip_name(kind));
        is_told[kind] = true;
    }
}

static void add_escaped(const char *words, struct text *line)
{
    for (const char *at = words; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < ' ' || byte == 0x7f || byte == '\\')
            text_add(line, "\\x%02x", byte);
        else
            text_add_bytes(line, at, 1);
    }
}

void import_report_line(const struct skip *skip, const char *between, struct text *line)
{
    add_escaped(skip->name, line);
    text_add(line, "%s%s%s", between, skip_name(skip->kind), between);
    add_escaped(skip->reason, line);
}

enum err import_report_save(const struct import_report *report, const char *path)
{
    enum err err = ERR_OK;
    struct text lines;
    text_init(&lines);
    if (report->skip_count == 0) {
        if (unlink(path) != 0 && errno != ENOENT)
            TRY(err_set(ERR_IO, "cannot remove %s: %s", path, strerror(errno)));
        goto out;
    }
    for (uint32_t i = 0; i < report->skip_count; i++) {
        import_report_line(&report->skips[i], "\t", &lines);
        text_add(&lines, "\n");
    }
    TRY(file_write(path, text_get(&lines), lines.size));
out:
    text_fini(&lines);
    return err;
}
