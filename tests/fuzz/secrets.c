/* The small files of a run's folder that are read by their owner alone: keys, where gangs meet, the
 * page's address, and the word that asks a run to stop. The first byte says which. */
#include "base/file.h"
#include "base/mem.h"
#include "base/wire/key_file.h"
#include "cluster/page/page_address.h"
#include "cluster/status/stop_file.h"
#include "scheduler/rendezvous.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void read_keys(const uint8_t *bytes, size_t size)
{
    struct key_pair pair;
    enum err err = key_file_read(fuzz_put("key", bytes, size), &pair);
    if (err == ERR_OK)
        FUZZ_EXPECT(strlen(pair.public_key) == WIRE_KEY_BYTES - 1 &&
                    strlen(pair.secret_key) == WIRE_KEY_BYTES - 1);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_CONFIG || err == ERR_DATA);
}

static void read_public_key(const uint8_t *bytes, size_t size)
{
    char key[WIRE_KEY_BYTES];
    fuzz_put("key.pub", bytes, size);
    char *path = file_join(fuzz_folder(), "key");
    if (key_file_read_public(path, key) == ERR_OK)
        FUZZ_EXPECT(strlen(key) == WIRE_KEY_BYTES - 1);
    mem_free(path);
}

/* The fields that say whose it is are right ones: what stands behind them is read. */
static void read_rendezvous(const uint8_t *bytes, size_t size)
{
    static struct campaign campaign;
    struct rendezvous found = {.token = "t"};
    char *path = file_join(fuzz_folder(), RENDEZVOUS_NAME), *line = NULL;
    size_t line_bytes = 0;
    FUZZ_EXPECT(rendezvous_write(fuzz_folder(), &campaign, &found) == ERR_OK);
    FUZZ_EXPECT(file_read(path, 4096, &line, &line_bytes) == ERR_OK);
    size_t kept = strlen(line) - strlen("t\t\t\t0\n");
    line = mem_grow(line, line_bytes, kept + size);
    if (size > 0)
        memcpy(line + kept, bytes, size);
    fuzz_put(RENDEZVOUS_NAME, line, kept + size);
    enum err err = rendezvous_read(fuzz_folder(), &campaign, &found);
    FUZZ_EXPECT(err != ERR_OK || (found.port >= 0 && found.port <= 65535 && found.token[0]));
    fuzz_put(RENDEZVOUS_NAME, bytes, size);
    FUZZ_EXPECT(rendezvous_read(fuzz_folder(), &campaign, &found) != ERR_OK);
    mem_free(line);
    mem_free(path);
}

/* It is printed. */
static void read_address(const uint8_t *bytes, size_t size)
{
    char address[PAGE_ADDRESS];
    fuzz_put("page", bytes, size);
    if (page_address_find(fuzz_folder(), address))
        for (const char *at = address; *at; at++)
            FUZZ_EXPECT(*at > ' ' && *at < 0x7f);
}

/* A run is stopped by the word that is meant for it, and by no other. */
static void read_stop(const uint8_t *bytes, size_t size)
{
    static const char ours[] = "stop here 7 8\n";
    static struct run_status status = {.place = "here", .pid = 7, .started_ticks = 8};
    char *folder = file_join(fuzz_folder(), "published");
    FUZZ_EXPECT(file_make_folders(folder) == ERR_OK);
    fuzz_put("published/stop", bytes, size);
    bool is_ours = size >= sizeof ours - 1 && memcmp(bytes, ours, sizeof ours - 1) == 0 &&
                   (size == sizeof ours - 1 || bytes[sizeof ours - 1] == '\0');
    FUZZ_EXPECT(stop_file_take(fuzz_folder(), &status) == is_ours);
    mem_free(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const readers[])(const uint8_t *bytes, size_t size) = {
        read_keys, read_public_key, read_rendezvous, read_address, read_stop};
    if (size > 0)
        readers[bytes[0] % (sizeof readers / sizeof *readers)](bytes + 1, size - 1);
    return 0;
}
