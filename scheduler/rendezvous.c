#include "scheduler/rendezvous.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT     "2" /* of the line: raised when an old reader would misunderstand it */
#define LINE_BYTES 2048

enum field {
    FIELD_FORMAT,
    FIELD_PLACE,
    FIELD_ORDERS,
    FIELD_TOKEN,
    FIELD_SOCKET,
    FIELD_MPI,
    FIELD_PORT,
    FIELDS
};

static void hash_text(const struct text *text, char hex[HASH_HEX_BYTES])
{
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_text(&hasher, text_get(text));
    struct hash hash = hasher_end(&hasher);
    hash_hex(&hash, hex);
}

/* A folder that was moved is another place too: its gangs know it by its path. */
static enum err describe_place(const char *run_folder, char hex[HASH_HEX_BYTES])
{
    struct stat status;
    struct text text;
    char *path = realpath(run_folder, NULL);
    if (!path || stat(path, &status) != 0) {
        int reason = errno;
        free(path);
        return err_set(ERR_IO, "%s: %s", run_folder, strerror(reason));
    }
    text_init(&text);
    text_add(&text, "%s %llu %llu", path, (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    hash_text(&text, hex);
    text_fini(&text);
    free(path);
    return ERR_OK;
}

/* What a gang was told that no stage's key says. */
static void describe_orders(const struct campaign *campaign, char hex[HASH_HEX_BYTES])
{
    struct text text;
    text_init(&text);
    text_add(&text, "%a %d %d\n", campaign->checkpoint.every_seconds, campaign->checkpoint.keep,
             campaign->record.tensorboard);
    text_add(&text, "%s %d %d %d %d %d %a\n", campaign->resources.launcher,
             campaign->resources.nodes,
             campaign_nodes(campaign) > 1 || campaign->resources.helper_jobs > 0,
             campaign->resources.ranks, campaign->resources.threads,
             campaign->resources.loader_threads, campaign->resources.image_cache_bytes);
    text_add(&text, "%s %s %s\n", campaign->resources.device, campaign->resources.isa,
             campaign->resources.lineage);
    hash_text(&text, hex);
    text_fini(&text);
}

enum err rendezvous_write(const char *run_folder, const struct campaign *campaign,
                          const struct rendezvous *rendezvous)
{
    enum err err = ERR_OK;
    char line[LINE_BYTES], place[HASH_HEX_BYTES], orders[HASH_HEX_BYTES];
    char *path = file_join(run_folder, RENDEZVOUS_NAME);
    TRY(describe_place(run_folder, place));
    describe_orders(campaign, orders);
    snprintf(line, sizeof line, FORMAT "\t%s\t%s\t%s\t%s\t%s\t%d", place, orders, rendezvous->token,
             rendezvous->socket_folder, rendezvous->mpi_folder, rendezvous->port);
    TRY(secret_write(path, line));
out:
    mem_free(path);
    return err;
}

/* Cuts the line into its fields. */
static enum err cut(char *line, const char *path, char *fields[FIELDS])
{
    for (int i = 0; i < FIELDS; i++)
        fields[i] = strsep(&line, "\t");
    if (!fields[FIELDS - 1] || line)
        return err_set(ERR_CONFIG, "%s is damaged", path);
    if (strcmp(fields[FIELD_FORMAT], FORMAT) != 0)
        return err_set(ERR_CONFIG, "%s is of another version of this program", path);
    if (!fields[FIELD_TOKEN][0] || strlen(fields[FIELD_TOKEN]) >= RENDEZVOUS_TOKEN ||
        strlen(fields[FIELD_SOCKET]) >= JOURNAL_PATH || strlen(fields[FIELD_MPI]) >= JOURNAL_PATH)
        return err_set(ERR_CONFIG, "%s is damaged", path);
    return ERR_OK;
}

static enum err check_ours(const char *run_folder, const struct campaign *campaign,
                           char *const fields[FIELDS])
{
    enum err err = ERR_OK;
    char place[HASH_HEX_BYTES], orders[HASH_HEX_BYTES];
    TRY(describe_place(run_folder, place));
    describe_orders(campaign, orders);
    if (strcmp(fields[FIELD_PLACE], place) != 0)
        TRY(err_set(ERR_CONFIG, "the run's folder was moved, or is a copy"));
    if (strcmp(fields[FIELD_ORDERS], orders) != 0)
        TRY(err_set(ERR_CONFIG, "the campaign's resources or checkpoint settings were edited"));
out:
    return err;
}

enum err rendezvous_read(const char *run_folder, const struct campaign *campaign,
                         struct rendezvous *rendezvous)
{
    enum err err = ERR_OK;
    char line[LINE_BYTES], *fields[FIELDS];
    long port = 0;
    char *path = file_join(run_folder, RENDEZVOUS_NAME);
    TRY(secret_read(path, line, sizeof line));
    TRY(cut(line, path, fields));
    TRY(check_ours(run_folder, campaign, fields));
    if (text_to_int(fields[FIELD_PORT], 0, 65535, &port) != ERR_OK)
        TRY(err_set(ERR_CONFIG, "%s is damaged", path));
    rendezvous->port = (int)port;
    snprintf(rendezvous->token, sizeof rendezvous->token, "%s", fields[FIELD_TOKEN]);
    snprintf(rendezvous->socket_folder, JOURNAL_PATH, "%s", fields[FIELD_SOCKET]);
    snprintf(rendezvous->mpi_folder, JOURNAL_PATH, "%s", fields[FIELD_MPI]);
out:
    mem_free(path);
    return err;
}

void rendezvous_remove(const char *run_folder)
{
    char *path = file_join(run_folder, RENDEZVOUS_NAME);
    unlink(path);
    mem_free(path);
}
