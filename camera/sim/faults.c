#include "camera/sim/faults.h"
#include "camera/sim/node.h"
#include <stdio.h>
#include <string.h>

const struct fault_row fault_rows[FAULT_COUNT] = {
    [FAULT_LOST_PACKETS] = {"lost-packets", "PERCENT", "2", true,
                            "so many packets of images are not sent; asked for again they are"},
    [FAULT_REORDERED_PACKETS] = {"reordered-packets", "PERCENT", "10", true,
                                 "so many packets of images change places with the next"},
    [FAULT_WRONG_FRAME_ID] = {"wrong-frame-id", "N", "1", true,
                              "every Nth image names an inference of another image"},
    [FAULT_CHUNK_GARBAGE] = {"chunk-garbage", "value|length", "value", false,
                             "the inference's chunks hold nonsense, or say a wrong length"},
    [FAULT_SLOW_FLASH] = {"slow-flash", "FACTOR", "10", true, "flash takes so much longer"},
    [FAULT_WRITE_ERROR] = {"write-error", "BYTES", "65536", true,
                           "writing to a file fails from so many bytes on"},
    [FAULT_REFUSED_FILE] = {"refused-file", NULL, NULL, false, "no network's file is understood"},
    [FAULT_STUCK_NODE] = {"stuck-node", "NODE", NULL, false,
                          "the node acknowledges a write and keeps its value"},
    [FAULT_DROPPED_CONNECTION] = {"dropped-connection", "NODE[=N]", "FileOperationExecute=3", false,
                                  "from the Nth write to the node on nothing is answered for as "
                                  "long as --silence says; control is lost, the rest stays"},
    [FAULT_OTHER_MODEL] = {"other-model", "NAME", "Blackfly BFLY-PGE-31S4M", false,
                           "the camera says that it is this model, and has no inference"},
    [FAULT_NEVER_READY] = {"never-ready", NULL, NULL, false, "no inference ever ends"},
};

void fault_row_text(const struct fault_row *row, char text[64])
{
    if (row->argument)
        snprintf(text, 64, row->usual ? "%s[:%s]" : "%s:%s", row->name, row->argument);
    else
        snprintf(text, 64, "%s", row->name);
}

void fault_row_help(const struct fault_row *row, char help[256])
{
    snprintf(help, 256, "%s%s%s", row->help, row->usual ? "; else " : "",
             row->usual ? row->usual : "");
}

static const struct fault_row *find(const char *name, size_t size)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (strlen(fault_rows[i].name) == size && memcmp(fault_rows[i].name, name, size) == 0)
            return &fault_rows[i];
    return NULL;
}

static enum err refuse(const char *name)
{
    struct text known;
    text_init(&known);
    for (int i = 0; i < FAULT_COUNT; i++)
        text_add(&known, "%s%s", i ? ", " : "", fault_rows[i].name);
    enum err err =
        err_set(ERR_USAGE, "there is no fault \"%s\"; there are %s", name, text_get(&known));
    text_fini(&known);
    return err;
}

/* Of those that name a node: is there one? */
static enum err check_node(const struct fault_row *row, const char *argument)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
    if (node_find(name) == NODE_NONE)
        return err_set(ERR_USAGE, "fault %s: there is no node \"%s\"", row->name, name);
    return ERR_OK;
}

/* *number: of a fault whose argument is one. */
static enum err check_argument(const struct fault_row *row, const char *argument, double *number)
{
    enum err err = ERR_OK;
    if (strlen(argument) >= FAULT_ARGUMENT)
        TRY(err_set(ERR_USAGE, "fault %s: an argument has %d characters at most", row->name,
                    FAULT_ARGUMENT - 1));
    if (row->is_number && text_to_double(argument, 0, 1e9, number) != ERR_OK)
        TRY(err_set(ERR_USAGE, "fault %s: %s is a number, not \"%s\"", row->name, row->argument,
                    argument));
    if (strncmp(row->argument, "NODE", 4) == 0)
        TRY(check_node(row, argument));
    if (row == &fault_rows[FAULT_CHUNK_GARBAGE] && strcmp(argument, "value") != 0 &&
        strcmp(argument, "length") != 0)
        TRY(err_set(ERR_USAGE, "fault chunk-garbage is of the value or of the length"));
out:
    return err;
}

enum err faults_add(struct faults *faults, const char *text)
{
    enum err err = ERR_OK;
    size_t size = strcspn(text, ":");
    const struct fault_row *row = find(text, size);
    const char *argument = text[size] ? text + size + 1 : NULL;
    if (!row)
        return refuse(text);
    int id = (int)(row - fault_rows);
    if (argument && !row->argument)
        TRY(err_set(ERR_USAGE, "fault %s takes no argument", row->name));
    argument = argument ? argument : row->usual;
    if (row->argument && !argument)
        TRY(err_set(ERR_USAGE, "fault %s takes one: %s:%s", row->name, row->name, row->argument));
    if (argument)
        TRY(check_argument(row, argument, &faults->number[id]));
    faults->is_on[id] = true;
    snprintf(faults->argument[id], FAULT_ARGUMENT, "%s", argument ? argument : "");
out:
    return err;
}
