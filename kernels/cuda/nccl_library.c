#include "kernels/cuda/nccl_library.h"
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libnccl.so.2"
#define CURE    "install NCCL 2.14 or later, or name its library in GLOWWORM_NCCL"

struct symbol {
    const char *name;
    size_t offset; /* of the pointer in struct nccl_library */
};
#define SYMBOL(name, field)                                                                        \
    {                                                                                              \
        name, offsetof(struct nccl_library, field)                                                 \
    }

static const struct symbol symbols[] = {
    SYMBOL("ncclGetVersion", get_version),
    SYMBOL("ncclGetUniqueId", get_unique_id),
    SYMBOL("ncclCommInitRankConfig", comm_init_rank_config),
    SYMBOL("ncclCommGetAsyncError", comm_get_async_error),
    SYMBOL("ncclCommAbort", comm_abort),
    SYMBOL("ncclCommFinalize", comm_finalize),
    SYMBOL("ncclCommDestroy", comm_destroy),
    SYMBOL("ncclGroupStart", group_start),
    SYMBOL("ncclGroupEnd", group_end),
    SYMBOL("ncclSend", send),
    SYMBOL("ncclRecv", recv),
    SYMBOL("ncclAllReduce", all_reduce),
    SYMBOL("ncclGetErrorString", get_error_string),
    SYMBOL("ncclGetLastError", get_last_error),
};

static enum err find_symbols(const char *path, void *handle, struct nccl_library *library)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *found = dlsym(handle, symbols[i].name);
        if (!found)
            return err_set(ERR_UNAVAILABLE, "%s has no %s; " CURE, path, symbols[i].name);
        memcpy((char *)library + symbols[i].offset, &found, sizeof found);
    }
    return ERR_OK;
}

static enum err check_version(const char *path, struct nccl_library *library)
{
    enum err err = ERR_OK;
    TRY(nccl_check(library, NULL, library->get_version(&library->version), "ncclGetVersion"));
    if (library->version < NCCL_LEAST_VERSION)
        err = err_set(ERR_UNAVAILABLE, "%s is of version %d, before 2.14; " CURE, path,
                      library->version);
out:
    return err;
}

enum err nccl_library_load(struct nccl_library *library)
{
    enum err err = ERR_OK;
    struct nccl_library found = {0};
    const char *named = getenv("GLOWWORM_NCCL");
    const char *path = named && named[0] ? named : LIBRARY;
    if (strcmp(path, "none") == 0)
        return err_set(ERR_UNAVAILABLE, "GLOWWORM_NCCL=none");
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return err_set(ERR_UNAVAILABLE, "%s; " CURE, dlerror());
    TRY(find_symbols(path, handle, &found));
    TRY(check_version(path, &found));
    *library = found;
out:
    return err;
}

enum err nccl_check(const struct nccl_library *library, nccl_comm comm, enum nccl_result result,
                    const char *call)
{
    bool is_ours = result == NCCL_INVALID_ARGUMENT || result == NCCL_INVALID_USAGE;
    if (result == NCCL_SUCCESS)
        return ERR_OK;
    const char *more = library->get_last_error(comm);
    return err_set(is_ours ? ERR_UNAVAILABLE : ERR_PEER, "%s: %s%s%s", call,
                   library->get_error_string(result), more && more[0] ? ": " : "",
                   more ? more : "");
}
