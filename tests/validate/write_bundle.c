/* write_bundle FOLDER DEVICE: a tiny bundle for tests of whole programs. */
#include "tests/validate/tiny_bundle.h"
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return fprintf(stderr, "usage: write_bundle FOLDER DEVICE\n"), 2;
    tiny_bundle_write(argv[1], argv[2]);
    return 0;
}
