#include "tests/fuzz/emulate.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/emulator/emulator.h"
#include <stdbool.h>

enum { MOST_MACS = 1 << 20, MOST_VALUES = 1 << 16 };

static bool is_small(const struct exported *net)
{
    int64_t macs = 0;
    for (int l = 0; l < net->count; l++)
        macs += exported_macs(&net->layers[l]);
    return macs <= MOST_MACS && net->map_values + exported_values(&net->input) <= MOST_VALUES;
}

void fuzz_emulate(const struct exported *net)
{
    FUZZ_EXPECT(net->count > 0);
    if (!is_small(net))
        return;
    float *image = mem_array(exported_values(&net->input), sizeof *image);
    for (int a = 0; a < ARITHMETICS; a++) {
        struct emulation emulation;
        struct emulator *emulator = emulator_create(net, (enum arithmetic)a);
        FUZZ_EXPECT(emulation_init(net, &emulation) == ERR_OK);
        emulator_run(emulator, image, &emulation);
        for (int l = 0; l < net->count; l++)
            FUZZ_EXPECT(emulation.layers[l].values == exported_values(&net->layers[l].out));
        emulation_fini(&emulation);
        emulator_destroy(&emulator);
    }
    mem_free(image);
}
