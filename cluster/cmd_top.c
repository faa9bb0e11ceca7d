/* glowworm top: status, live. One run with its stages and the end of its log, or a list of runs to
 * choose from. What is no terminal gets one status. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/queued_run.h"
#include "cluster/screen.h"
#include "cluster/status/status_text.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MS   1000
#define TAIL_BYTES 65536
#define LABEL      32 /* characters of a folder's name in the list */

struct top {
    int count;
    char **folders; /* (count) borrowed */
    int chosen;     /* the run that is shown, or the row that is marked */
    bool is_list;
    struct found_status *found; /* of the run that is looked at */
    bool has_colour;
};

/* A picture as it grows: no more lines than there are rows. */
struct picture {
    struct text text;
    int rows, columns, used;
    bool has_colour;
};

static void add_line(struct picture *picture, const char *colour, const char *line, size_t size)
{
    if (picture->used == picture->rows)
        return;
    screen_add_line(&picture->text, picture->has_colour ? colour : "", line, size,
                    picture->columns);
    picture->used++;
}

static void add_words(struct picture *picture, const char *colour, const char *line)
{
    add_line(picture, colour, line, strlen(line));
}

typedef const char *choose_colour(const void *own, int line);

static void add_lines(struct picture *picture, const char *text, choose_colour *colour,
                      const void *own)
{
    for (int line = 0; *text; line++) {
        size_t size = strcspn(text, "\n");
        add_line(picture, colour(own, line), text, size);
        text += size + (text[size] == '\n');
    }
}

static const char *head_colour(const void *own, int line)
{
    (void)own;
    return line == 0 ? "1" : "";
}

static const char *state_colour(int state)
{
    switch (state) {
    case STAGE_STATE_RUNNING:
        return "32";
    case STAGE_STATE_BACKING_OFF:
        return "33";
    case STAGE_STATE_FAILED:
        return "31";
    case STAGE_STATE_DONE:
        return "";
    default:
        return "2";
    }
}

/* The first line is the heading. */
static const char *stage_colour(const void *own, int line)
{
    const struct found_status *found = own;
    bool is_stage = line > 0 && line <= found->status.stage_count;
    return is_stage ? state_colour(found->status.stages[line - 1].state) : "4";
}

static const char *plain(const void *own, int line)
{
    (void)own, (void)line;
    return "";
}

static const struct stage_status *stage_of_log(const struct run_status *status)
{
    const struct stage_status *stage = run_status_first(status, STAGE_STATE_RUNNING);
    stage = stage ? stage : run_status_first(status, STAGE_STATE_BACKING_OFF);
    return stage ? stage : run_status_first(status, STAGE_STATE_FAILED);
}

/* Where the last `rows` lines begin. */
static const char *last_lines(const char *bytes, size_t size, int rows)
{
    size_t start = size > 0 && bytes[size - 1] == '\n' ? size - 1 : size;
    for (; start > 0; start--)
        if (bytes[start - 1] == '\n' && --rows == 0)
            break;
    return bytes + start;
}

/* In the rows that are left, but for one. */
static void add_log(struct picture *picture, const char *folder, const struct run_status *status)
{
    const struct stage_status *stage = stage_of_log(status);
    int rows = picture->rows - picture->used - 3;
    char *bytes = NULL, *path = stage ? file_join(folder, stage->log) : NULL;
    size_t size = 0;
    if (stage && stage->log[0] && rows > 0 &&
        file_read_tail(path, TAIL_BYTES, &bytes, &size) == ERR_OK) {
        add_words(picture, "", "");
        add_words(picture, "4", stage->log);
        add_lines(picture, last_lines(bytes, size, rows), plain, NULL);
    }
    mem_free(bytes);
    mem_free(path);
}

static void add_run(struct top *top, struct picture *picture)
{
    struct text text;
    struct table table;
    const char *folder = top->folders[top->chosen];
    text_init(&text);
    if (status_read(folder, top->found) != ERR_OK) {
        add_words(picture, "31", err_text());
        return;
    }
    status_text_head(top->found, folder, &text);
    add_lines(picture, text_get(&text), head_colour, NULL);
    add_words(picture, "", "");
    text.size = 0;
    status_text_stages(top->found, &table);
    table_write(&table, 0, &text);
    add_lines(picture, text_get(&text), stage_colour, top->found);
    table_fini(&table);
    text_fini(&text);
    add_log(picture, folder, &top->found->status);
}

/* The end of a long path says more than its beginning. */
static const char *label_of(const char *folder, char label[LABEL + 4])
{
    size_t size = strlen(folder);
    if (size <= LABEL)
        return folder;
    snprintf(label, LABEL + 4, "...%s", folder + size - LABEL + 3);
    return label;
}

static void add_unread(struct table *table, const char *folder)
{
    char reason[256];
    snprintf(reason, sizeof reason, "%.*s", (int)strcspn(err_text(), "\n"), err_text());
    char label[LABEL + 4];
    const char *cells[] = {label_of(folder, label), "", "?", "", "", "", reason};
    table_add(table, cells);
}

struct marked {
    int line;
};

static const char *row_colour(const void *own, int line)
{
    const struct marked *marked = own;
    return line == marked->line ? "7" : "";
}

/* The heading, and as many runs as there is room for around the marked one. */
static void add_rows(struct top *top, struct picture *picture, const char *text)
{
    int room = picture->rows - picture->used - 2;
    int first = room > 0 && top->chosen >= room ? top->chosen - room + 1 : 0;
    size_t heading = strcspn(text, "\n");
    add_line(picture, "4", text, heading);
    text += heading + 1;
    for (int i = 0; i < first; i++)
        text += strcspn(text, "\n") + 1;
    struct text shown;
    text_init(&shown);
    for (int i = 0; i < room && *text; i++) {
        size_t size = strcspn(text, "\n") + 1;
        text_add_bytes(&shown, text, size);
        text += size;
    }
    add_lines(picture, text_get(&shown), row_colour, &(struct marked){top->chosen - first});
    text_fini(&shown);
}

static void add_list(struct top *top, struct picture *picture)
{
    struct table table;
    struct text text;
    char label[LABEL + 4];
    text_init(&text);
    status_text_begin_runs(&table);
    for (int i = 0; i < top->count; i++)
        if (status_read(top->folders[i], top->found) == ERR_OK)
            status_text_add_run(top->found, label_of(top->folders[i], label), &table);
        else
            add_unread(&table, top->folders[i]);
    table_write(&table, 0, &text);
    add_rows(top, picture, text_get(&text));
    table_fini(&table);
    text_fini(&text);
}

static void draw(struct top *top)
{
    struct picture picture = {.has_colour = top->has_colour};
    screen_size(&picture.rows, &picture.columns);
    picture.rows -= 1;
    if (top->is_list)
        add_list(top, &picture);
    else
        add_run(top, &picture);
    while (picture.used < picture.rows)
        add_words(&picture, "", "");
    picture.rows += 1;
    add_words(&picture, "2",
              top->is_list     ? "up, down: choose   enter: this run   q: leave"
              : top->count > 1 ? "q: back to the list"
                               : "q: leave");
    screen_show(&picture.text);
    text_fini(&picture.text);
}

/* False: that was the last. */
static bool heed_key(struct top *top, int key)
{
    if (key == 'q' || key == SCREEN_ESCAPE) {
        bool is_last = top->is_list || top->count == 1;
        top->is_list = true;
        return !is_last;
    }
    if (!top->is_list)
        return true;
    if ((key == SCREEN_DOWN || key == 'j') && top->chosen + 1 < top->count)
        top->chosen++;
    else if ((key == SCREEN_UP || key == 'k') && top->chosen > 0)
        top->chosen--;
    else if (key == '\r' || key == '\n')
        top->is_list = false;
    return true;
}

static void watch(struct top *top)
{
    int key = 0;
    for (bool goes_on = true; goes_on;) {
        draw(top);
        enum screen_event event = screen_wait(EVERY_MS, &key);
        goes_on = event != SCREEN_END && (event != SCREEN_KEY || heed_key(top, key));
    }
}

/* As if it had not been caught: who waits for us sees which signal it was. */
static void die_of(int number)
{
    if (number == 0)
        return;
    signal(number, SIG_DFL);
    raise(number);
}

enum err cmd_top(int argc, char **argv)
{
    static const struct option options[] = {{NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    const char *no_colour = getenv("NO_COLOR");
    struct top top = {.has_colour = !(no_colour && no_colour[0])};
    if (getopt_long(argc, argv, "", options, NULL) != -1)
        return err_set(ERR_USAGE, "that option is not known");
    if (optind == argc)
        return err_set(ERR_USAGE, "name the folder of a run, or several");
    if (!screen_is_there()) {
        optind = 0; /* read again */
        return cmd_status(argc, argv);
    }
    top.count = argc - optind;
    top.folders = argv + optind;
    top.is_list = top.count > 1;
    top.found = mem_alloc(sizeof *top.found);
    TRY(queued_run_explain(
        top.folders[0],
        status_read(top.folders[0], top.found))); /* a wrong name is better said before */
    TRY(screen_open());
    watch(&top);
    screen_close();
    die_of(screen_signal());
out:
    mem_free(top.found);
    return err;
}
