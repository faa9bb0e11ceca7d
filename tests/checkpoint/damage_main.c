/* damage_checkpoint FOLDER NAME KIND: tests/checkpoint/damage.h for the tests of whole commands. */
#include "tests/checkpoint/damage.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const char *const kinds[DAMAGE_KINDS] = {[DAMAGE_BLOB] = "blob",
                                                    [DAMAGE_NO_BLOB] = "no-blob",
                                                    [DAMAGE_MANIFEST] = "manifest",
                                                    [DAMAGE_META] = "meta",
                                                    [DAMAGE_NO_MANIFEST] = "no-manifest"};
    for (int kind = 0; argc == 4 && kind < DAMAGE_KINDS; kind++)
        if (strcmp(argv[3], kinds[kind]) == 0) {
            damage_checkpoint(argv[1], argv[2], (enum damage)kind);
            return 0;
        }
    fprintf(stderr, "usage: damage_checkpoint FOLDER NAME blob|no-blob|manifest|...\n");
    return 2;
}
