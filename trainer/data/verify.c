/* Verification: every record is read, hashed and decoded; threads take runs of records, results are
 * put in order afterwards, so the report does not depend on the threads. */
#include "base/mem.h"
#include "trainer/data/dataset.h"
#include "trainer/data/jpeg.h"
#include "trainer/data/record.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN 256 /* records taken at once */

struct verifying {
    const struct dataset *dataset;
    uint32_t count;
    struct hash *hashes; /* (count) */
    bool *is_read;       /* (count) its hash is known */
    pthread_mutex_t lock;
    uint32_t next;               /* under lock */
    enum err err;                /* under lock: why not all could be read, ... */
    char text[1024];             /* ...in words */
    struct dataset_check *check; /* faults: under lock */
    uint32_t fault_room;
};

/* The error of dataset_visit() in this thread says nothing of the record: no memory, too many
 * readers, a disk that does not answer. Nothing more is taken. */
static void give_up(struct verifying *verifying, enum err err)
{
    pthread_mutex_lock(&verifying->lock);
    if (verifying->err == ERR_OK)
        snprintf(verifying->text, sizeof verifying->text, "%s", err_text());
    verifying->err = err;
    verifying->next = verifying->count;
    pthread_mutex_unlock(&verifying->lock);
}

/* The error of dataset_visit() in this thread becomes a fault. */
static void add_fault(struct verifying *verifying, uint32_t number)
{
    struct dataset_fault fault = {.record = number};
    const char *path = dataset_path(verifying->dataset);
    const char *text = err_text(), *found = strstr(text, path); /* "record 3 of ... PATH: reason" */
    snprintf(fault.reason, sizeof fault.reason, "%s", found ? found + strlen(path) + 2 : text);
    if (dataset_record_name(verifying->dataset, number, fault.name, sizeof fault.name) != ERR_OK)
        snprintf(fault.name, sizeof fault.name, "?");
    pthread_mutex_lock(&verifying->lock);
    struct dataset_check *check = verifying->check;
    if (check->fault_count == verifying->fault_room) {
        uint32_t room = 2 * verifying->fault_room + 16;
        check->faults = mem_grow(check->faults, check->fault_count * sizeof *check->faults,
                                 room * sizeof *check->faults);
        verifying->fault_room = room;
    }
    check->faults[check->fault_count++] = fault;
    pthread_mutex_unlock(&verifying->lock);
}

struct check_of { /* one record */
    struct verifying *verifying;
    struct jpeg_decoder *decoder;
    uint32_t number;
};

static enum err check_record(uint32_t index, const struct record *record, void *own)
{
    struct check_of *check = own;
    (void)index;
    struct hash hash = record_hash(record->stored, record->stored_bytes);
    check->verifying->hashes[check->number] = hash;
    check->verifying->is_read[check->number] = true;
    if (!record_is_intact(record->stored, &hash))
        return err_set(ERR_DATA, "its bytes are not those that were imported");
    if (record->format == IMAGE_RAW)
        return ERR_OK;
    struct jpeg_request request = {.bytes = record->picture,
                                   .size_bytes = record->picture_bytes,
                                   .H = record->H,
                                   .W = record->W,
                                   .C = record->C,
                                   .shrink = 1,
                                   .area = {0, 0, record->H, record->W}};
    struct pixels pixels;
    struct area area;
    return jpeg_decode(check->decoder, &request, &pixels, &area);
}

static void *work(void *own)
{
    struct verifying *verifying = own;
    const struct dataset_info *info = dataset_info(verifying->dataset);
    struct check_of check = {
        .verifying = verifying,
        .decoder = jpeg_decoder_create(info->max_height, info->max_width, info->channels)};
    for (;;) {
        pthread_mutex_lock(&verifying->lock);
        uint32_t first = verifying->next;
        uint32_t left = verifying->count - first, run = left < RUN ? left : RUN;
        verifying->next += run;
        pthread_mutex_unlock(&verifying->lock);
        if (run == 0)
            break;
        for (check.number = first; check.number < first + run; check.number++) {
            enum err err =
                dataset_visit(verifying->dataset, &check.number, 1, check_record, &check);
            if (err == ERR_DATA)
                add_fault(verifying, check.number);
            else if (err != ERR_OK)
                give_up(verifying, err);
            if (err != ERR_OK && err != ERR_DATA)
                break;
        }
    }
    jpeg_decoder_destroy(&check.decoder);
    return NULL;
}

static int compare_faults(const void *left, const void *right)
{
    const struct dataset_fault *l = left, *r = right;
    return l->record < r->record ? -1 : l->record > r->record;
}

static void compare_content(struct verifying *verifying)
{
    const struct dataset_info *info = dataset_info(verifying->dataset);
    struct hasher hasher;
    record_begin_content(&hasher, info);
    for (uint32_t i = 0; i < verifying->count; i++)
        if (verifying->is_read[i])
            hasher_add(&hasher, verifying->hashes[i].bytes, HASH_BYTES);
    verifying->check->content_found = hasher_end(&hasher);
    verifying->check->content_agrees = hash_equal(&verifying->check->content_found, &info->content);
}

enum err dataset_verify(const struct dataset *dataset, int threads, struct dataset_check *check)
{
    const struct dataset_info *info = dataset_info(dataset);
    struct verifying verifying = {
        .dataset = dataset, .count = info->train_count + info->test_count, .check = check};
    memset(check, 0, sizeof *check);
    verifying.hashes = mem_array(verifying.count, sizeof *verifying.hashes);
    verifying.is_read = mem_array(verifying.count, sizeof *verifying.is_read);
    pthread_mutex_init(&verifying.lock, NULL);
    pthread_t *others = mem_array((size_t)threads, sizeof *others);
    int started = 0; /* this thread works too, so fewer are no error */
    while (started < threads - 1 && pthread_create(&others[started], NULL, work, &verifying) == 0)
        started++;
    work(&verifying);
    for (int i = 0; i < started; i++)
        pthread_join(others[i], NULL);
    if (check->fault_count > 0)
        qsort(check->faults, check->fault_count, sizeof *check->faults, compare_faults);
    compare_content(&verifying);
    pthread_mutex_destroy(&verifying.lock);
    mem_free(others);
    mem_free(verifying.hashes);
    mem_free(verifying.is_read);
    return verifying.err == ERR_OK ? ERR_OK : err_set(verifying.err, "%s", verifying.text);
}
