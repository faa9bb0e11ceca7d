/* A space, and a sub-network of it: what a checkpoint carries, and a share names. The text of the
 * sub-network follows a line of its own, "---". */
#include "trainer/spec/space.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/spec/subnet.h"
#include <string.h>

/* A sub-network that is taken is written, and reads back as itself. */
static void try_subnet(const struct space *space, const char *text)
{
    struct subnet subnet, again;
    struct text genes;
    if (subnet_parse(space, text, &subnet) != ERR_OK)
        return;
    text_init(&genes);
    subnet_canonical(space, &subnet);
    subnet_format(space, &subnet, &genes);
    FUZZ_EXPECT(subnet_parse(space, text_get(&genes), &again) == ERR_OK);
    FUZZ_EXPECT(subnet_equal(space, &subnet, &again));
    text_fini(&genes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = mem_alloc(size + 1);
    struct space *space = mem_alloc(sizeof *space);
    if (size > 0)
        memcpy(text, bytes, size);
    char *subnet = strstr(text, "\n---\n");
    if (subnet) {
        *subnet = '\0';
        subnet += strlen("\n---\n");
    }
    if (space_parse("space.yaml", text, 1, 10, 3, space) == ERR_OK && subnet)
        try_subnet(space, subnet);
    mem_free(space);
    mem_free(text);
    return 0;
}
