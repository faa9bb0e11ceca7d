#include "tests/kernels/cuda/launches.h"
#include "base/err.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];

void launches_begin(void)
{
    snprintf(path, sizeof path, "/tmp/glowworm-launches-XXXXXX");
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        BUG("no file in /tmp");
    close(descriptor);
    setenv("GPU_EMULATOR_REPORT", path, 1);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        BUG("a launch's line has no %s", key);
    return json_number_value(value);
}

static bool is_one_of(const json_t *memory, void *const *maps, int count)
{
    for (int i = 0; i < count; i++)
        if (json_integer_value(json_object_get(memory, "at")) == (json_int_t)(uintptr_t)maps[i])
            return true;
    return false;
}

static void add_memory(struct launches *launches, const json_t *memory, bool is_map)
{
    double read = number(memory, "read"), written = number(memory, "written");
    launches->read_bytes += read;
    launches->written_bytes += written;
    if (!is_map)
        return;
    launches->map_read_bytes += read;
    launches->map_written_bytes += written;
    launches->map_once_bytes += number(memory, "read_once") + number(memory, "written_once");
    launches->map_sector_bytes += number(memory, "sectors");
    launches->map_used_bytes += number(memory, "used");
}

static void add_launch(struct launches *launches, const json_t *line, void *const *maps, int count)
{
    size_t i;
    json_t *memory;
    launches->count++;
    launches->loaded_bytes += number(line, "loaded");
    launches->stored_bytes += number(line, "stored");
    launches->shared_accesses += number(line, "shared_accesses");
    launches->shared_passes += number(line, "shared_passes");
    json_array_foreach(json_object_get(line, "memory"), i, memory)
        add_memory(launches, memory, is_one_of(memory, maps, count));
}

void launches_end(struct device *device, void *const *maps, int count, struct launches *launches)
{
    json_t *line;
    *launches = (struct launches){0};
    if (device->ops->sync(device) != ERR_OK)
        BUG("%s", err_text());
    unsetenv("GPU_EMULATOR_REPORT");
    FILE *file = fopen(path, "re");
    if (!file)
        BUG("%s is gone", path);
    while ((line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL))) {
        add_launch(launches, line, maps, count);
        json_decref(line);
    }
    fclose(file);
    unlink(path);
}
