/* The files' form: records of {length, its check, an Event, its check}, little-endian, checks being
 * masked CRC-32C (tensorflow/core/lib/io/record_writer.cc). */
#include "trainer/record/tensorboard.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/record/tensorboard.pb-c.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SCALARS = 32, TAG_BYTES = 96 };
#define PREFIX  "events.out.tfevents."
#define VERSION "brain.Event:2" /* of the files: a START takes back, whatever the tag */

struct tensorboard {
    int file;
    char *path;
    uint64_t step;
    size_t count;
    char tags[MAX_SCALARS][TAG_BYTES];
    float values[MAX_SCALARS];
};

static void put_le(struct text *record, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        text_add_bytes(record, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

/* Masked: a check of bytes that hold checks themselves would be weak. */
static void put_check(struct text *record, const void *bytes, size_t size)
{
    uint32_t crc = crc32c(bytes, size);
    put_le(record, (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8u), 4);
}

static enum err write_all(const struct tensorboard *tensorboard, const struct text *record)
{
    for (size_t done = 0; done < record->size;) {
        ssize_t put = write(tensorboard->file, record->bytes + done, record->size - done);
        if (put < 0 && errno != EINTR)
            return err_set(errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO,
                           "cannot write %s: %s", tensorboard->path, strerror(errno));
        done += put > 0 ? (size_t)put : 0;
    }
    return ERR_OK;
}

static enum err write_event(const struct tensorboard *tensorboard, Tensorboard__Event *event)
{
    struct text record;
    event->wall_time = (double)clock_wall_ms() / 1000.0;
    size_t size = tensorboard__event__get_packed_size(event);
    uint8_t *packed = mem_alloc(size);
    tensorboard__event__pack(event, packed);
    text_init(&record);
    put_le(&record, size, 8);
    put_check(&record, record.bytes, 8);
    text_add_bytes(&record, packed, size);
    put_check(&record, packed, size);
    enum err err = write_all(tensorboard, &record);
    text_fini(&record);
    mem_free(packed);
    return err;
}

static enum err write_head(const struct tensorboard *tensorboard, uint64_t first_step)
{
    enum err err = ERR_OK;
    Tensorboard__Event version = TENSORBOARD__EVENT__INIT, start = TENSORBOARD__EVENT__INIT;
    Tensorboard__SessionLog session = TENSORBOARD__SESSION_LOG__INIT;
    version.file_version = (char *)VERSION;
    session.status = 1;
    start.session_log = &session;
    start.has_step = 1;
    start.step = (int64_t)first_step;
    TRY(write_event(tensorboard, &version));
    TRY(write_event(tensorboard, &start));
out:
    return err;
}

/* The number of a file of ours, 0 of another. */
static unsigned number_of(const char *name)
{
    unsigned number = 0;
    return sscanf(name, PREFIX "%9u", &number) == 1 ? number : 0;
}

/* The highest number there is; removes the files unless they are kept. */
static enum err look_at_older(const struct tensorboard_cfg *cfg, unsigned *last)
{
    DIR *folder = opendir(cfg->folder);
    if (!folder)
        return err_set(ERR_IO, "cannot open %s: %s", cfg->folder, strerror(errno));
    *last = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        unsigned number = number_of(entry->d_name);
        *last = number > *last ? number : *last;
        if (number > 0 && !cfg->is_resume)
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
    return ERR_OK;
}

static enum err create_file(struct tensorboard *tensorboard, const struct tensorboard_cfg *cfg)
{
    enum err err = ERR_OK;
    char name[64];
    unsigned last = 0;
    TRY(file_make_folders(cfg->folder));
    TRY(look_at_older(cfg, &last));
    snprintf(name, sizeof name, PREFIX "%06u", last + 1);
    tensorboard->path = file_join(cfg->folder, name);
    tensorboard->file =
        open(tensorboard->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (tensorboard->file < 0)
        TRY(err_set(ERR_IO, "cannot create %s: %s", tensorboard->path, strerror(errno)));
out:
    return err;
}

enum err tensorboard_open(const struct tensorboard_cfg *cfg, struct tensorboard **result)
{
    enum err err = ERR_OK;
    struct tensorboard *tensorboard = mem_alloc(sizeof *tensorboard);
    tensorboard->file = -1;
    TRY(create_file(tensorboard, cfg));
    TRY(write_head(tensorboard, cfg->first_step));
    *result = tensorboard;
    tensorboard = NULL;
out:
    tensorboard_close(&tensorboard);
    return err;
}

static void close_file(struct tensorboard *tensorboard)
{
    if (tensorboard->file >= 0)
        close(tensorboard->file);
    tensorboard->file = -1;
}

void tensorboard_close(struct tensorboard **tensorboard)
{
    if (!*tensorboard)
        return;
    close_file(*tensorboard);
    mem_free((*tensorboard)->path);
    mem_free(*tensorboard);
    *tensorboard = NULL;
}

void tensorboard_begin(struct tensorboard *tensorboard, uint64_t step)
{
    if (!tensorboard)
        return;
    tensorboard->step = step;
    tensorboard->count = 0;
}

void tensorboard_scalar(struct tensorboard *tensorboard, const char *tag, double value)
{
    if (!tensorboard)
        return;
    if (tensorboard->count == MAX_SCALARS)
        BUG("more than %d scalars of a step", MAX_SCALARS);
    snprintf(tensorboard->tags[tensorboard->count], TAG_BYTES, "%s", tag);
    tensorboard->values[tensorboard->count++] = (float)value;
}

void tensorboard_end(struct tensorboard *tensorboard)
{
    Tensorboard__Scalar scalars[MAX_SCALARS], *list[MAX_SCALARS];
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    if (!tensorboard || tensorboard->file < 0 || tensorboard->count == 0)
        return;
    for (size_t i = 0; i < tensorboard->count; i++) {
        tensorboard__scalar__init(&scalars[i]);
        scalars[i].tag = tensorboard->tags[i];
        scalars[i].simple_value = tensorboard->values[i];
        list[i] = &scalars[i];
    }
    summary.n_value = tensorboard->count;
    summary.value = list;
    event.summary = &summary;
    event.has_step = 1;
    event.step = (int64_t)tensorboard->step;
    if (write_event(tensorboard, &event) == ERR_OK)
        return;
    log_warn("TensorBoard is told no more of this stage, which goes on: %s", err_text());
    close_file(tensorboard);
}
