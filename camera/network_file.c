#include "camera/network_file.h"
#include "base/mem.h"
#include <string.h>

static void put_u32(uint8_t *at, size_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static size_t get_u32(const uint8_t *at)
{
    return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

enum err network_file_join(const struct caffe_files *files, uint8_t **bytes, size_t *size_bytes)
{
    if (files->prototxt_bytes > UINT32_MAX || files->model_bytes > UINT32_MAX)
        return err_set(ERR_DATA, "Caffe files of 4 GiB or more do not fit a camera's network file");
    size_t size = NETWORK_FILE_HEAD + files->prototxt_bytes + files->model_bytes;
    uint8_t *joined = mem_alloc(size);
    memcpy(joined, NETWORK_FILE_MAGIC, 8);
    put_u32(joined + 8, files->prototxt_bytes);
    put_u32(joined + 12, files->model_bytes);
    if (files->prototxt_bytes)
        memcpy(joined + NETWORK_FILE_HEAD, files->prototxt, files->prototxt_bytes);
    if (files->model_bytes)
        memcpy(joined + NETWORK_FILE_HEAD + files->prototxt_bytes, files->model,
               files->model_bytes);
    *bytes = joined;
    *size_bytes = size;
    return ERR_OK;
}

bool network_file_is_caffe(const void *bytes, size_t size_bytes)
{
    return size_bytes >= NETWORK_FILE_HEAD && memcmp(bytes, NETWORK_FILE_MAGIC, 8) == 0;
}

enum err network_file_split(const void *bytes, size_t size_bytes, struct caffe_files *files)
{
    const uint8_t *at = bytes;
    if (!network_file_is_caffe(bytes, size_bytes))
        return err_set(ERR_DATA, "that is no pair of Caffe files in a camera's network file");
    size_t prototxt = get_u32(at + 8), model = get_u32(at + 12);
    if (prototxt > size_bytes - NETWORK_FILE_HEAD ||
        model != size_bytes - NETWORK_FILE_HEAD - prototxt)
        return err_set(ERR_DATA,
                       "a camera's network file of %zu bytes says that it holds a prototxt of %zu "
                       "and a caffemodel of %zu",
                       size_bytes, prototxt, model);
    *files = (struct caffe_files){.prototxt = at + NETWORK_FILE_HEAD,
                                  .prototxt_bytes = prototxt,
                                  .model = at + NETWORK_FILE_HEAD + prototxt,
                                  .model_bytes = model};
    return ERR_OK;
}
