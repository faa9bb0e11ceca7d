#include "cluster/page/page_address.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include <string.h>
#include <unistd.h>

#define NAME   "page"
#define PREFIX "http://127.0.0.1:"

enum err page_address_write(const char *run_folder, const char *address)
{
    char *path = file_join(run_folder, NAME);
    enum err err = secret_write(path, address);
    mem_free(path);
    return err;
}

void page_address_remove(const char *run_folder)
{
    char *path = file_join(run_folder, NAME);
    unlink(path);
    mem_free(path);
}

/* It is printed: nothing but what an address of ours is made of. */
static bool is_address(const char *text)
{
    size_t size =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/.-_");
    return strncmp(text, PREFIX, sizeof PREFIX - 1) == 0 && text[size] == '\0';
}

bool page_address_find(const char *run_folder, char address[PAGE_ADDRESS])
{
    char *path = file_join(run_folder, NAME);
    bool is_found = secret_read(path, address, PAGE_ADDRESS) == ERR_OK && is_address(address);
    mem_free(path);
    return is_found;
}
