/* What people and programs say to glowworm-scheduler, what it answers, and a row of its store. */
#include "base/mem.h"
#include "cluster/daemon/control_server.h"
#include "cluster/daemon/submitted.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

/* What was accepted is written and read back as it was. */
static void write_and_read(const struct submitted *submitted)
{
    Gwd__Submitted message;
    struct submitted again;
    submitted_write(submitted, &message);
    size_t size = gwd__submitted__get_packed_size(&message);
    uint8_t *packed = mem_alloc(size + 1);
    FUZZ_EXPECT(gwd__submitted__pack(&message, packed) == size);
    Gwd__Submitted *read = gwd__submitted__unpack(NULL, size, packed);
    FUZZ_EXPECT(read && submitted_read(read, &again) == ERR_OK);
    FUZZ_EXPECT(again.id == submitted->id && again.word_count == submitted->word_count &&
                strcmp(again.text, submitted->text) == 0 &&
                strcmp(again.run_folder, submitted->run_folder) == 0);
    json_decref(submitted_json(&again));
    submitted_fini(&again);
    gwd__submitted__free_unpacked(read, NULL);
    mem_free(packed);
}

static void read_request(const uint8_t *bytes, size_t size)
{
    struct submitted submitted;
    Gwd__Request *request = control_read_request(bytes, size);
    if (!request)
        return;
    if (request->body_case == GWD__REQUEST__BODY_SUBMIT &&
        submitted_accept(request->submit, &submitted) == ERR_OK) {
        submitted.id = 1;
        write_and_read(&submitted);
        submitted_fini(&submitted);
    }
    gwd__request__free_unpacked(request, NULL);
}

static void read_row(const uint8_t *bytes, size_t size)
{
    struct submitted submitted;
    Gwd__Submitted *row = gwd__submitted__unpack(NULL, size, bytes);
    if (row && submitted_read(row, &submitted) == ERR_OK) {
        write_and_read(&submitted);
        submitted_fini(&submitted);
    }
    if (row)
        gwd__submitted__free_unpacked(row, NULL);
}

static void read_reply(const uint8_t *bytes, size_t size)
{
    Gwd__Reply *reply = gwd__reply__unpack(NULL, size, bytes);
    if (!reply)
        return;
    for (size_t i = 0; i < reply->n_listed; i++) {
        struct submitted submitted;
        const Gwd__Submitted *row = reply->listed[i]->submitted;
        if (row && submitted_read(row, &submitted) == ERR_OK)
            submitted_fini(&submitted);
    }
    gwd__reply__free_unpacked(reply, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    read_request(bytes, size);
    read_row(bytes, size);
    read_reply(bytes, size);
    return 0;
}
