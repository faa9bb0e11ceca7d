#include "trainer/emulator/expected.h"
#include "trainer/emulator/emulator.h"
#include "trainer/emulator/readers.h"
#include "trainer/export/bundle.h"
#include "trainer/export/raw_frame.h"
#include "trainer/export/writers.h"
#include <string.h>

/* As bundle_expected_names has them. */
static const enum arithmetic arithmetics[BUNDLE_EXPECTED] = {ARITHMETIC_FP32,
                                                             ARITHMETIC_FP16_SUM32};

struct expected {
    const struct dataset_info *dataset;
    bool is_bgr;
    struct exported net;
    struct emulator *emulators[BUNDLE_EXPECTED];
    struct emulation emulation;
    struct image seen;
    uint8_t *frame;
    float *values;
};

/* All formats are written from the folded network; ONNX takes every one. */
static enum err read_back(const struct folded *folded, struct exported *net)
{
    enum err err = ERR_OK;
    struct bytes onnx = {0};
    TRY(onnx_write(folded, "expected", &onnx));
    TRY(onnx_read(onnx.data, onnx.size, net));
out:
    mem_free(onnx.data);
    return err;
}

enum err expected_open(const struct folded *folded, const struct dataset_info *dataset,
                       struct expected **expected)
{
    enum err err = ERR_OK;
    struct expected *made = mem_alloc(sizeof *made);
    made->dataset = dataset;
    made->is_bgr = folded->is_bgr;
    TRY(read_back(folded, &made->net));
    TRY(emulation_init(&made->net, &made->emulation));
    for (int e = 0; e < BUNDLE_EXPECTED; e++)
        made->emulators[e] = emulator_create(&made->net, arithmetics[e]);
    made->seen.H = made->seen.W = folded->side;
    made->seen.C = folded->channels;
    made->frame = mem_alloc(raw_frame_bytes(folded->side, folded->side));
    made->values = mem_array(exported_values(&made->net.input), sizeof *made->values);
    *expected = made;
    made = NULL;
out:
    expected_close(&made);
    return err;
}

void expected_close(struct expected **expected)
{
    struct expected *closed = *expected;
    if (!closed)
        return;
    for (int e = 0; e < BUNDLE_EXPECTED; e++)
        emulator_destroy(&closed->emulators[e]);
    emulation_fini(&closed->emulation);
    exported_fini(&closed->net);
    mem_free(closed->seen.pixels);
    mem_free(closed->frame);
    mem_free(closed->values);
    mem_free(closed);
    *expected = NULL;
}

enum err expected_answer(struct expected *expected, const struct image *image, float *outputs)
{
    enum err err = ERR_OK;
    int last = expected->net.count - 1;
    size_t count = exported_values(&expected->net.layers[last].out);
    raw_frame_write(image, expected->frame);
    TRY(raw_frame_read(expected->frame, raw_frame_bytes(image->H, image->W), &expected->seen));
    bundle_normalise(expected->dataset, &expected->seen, expected->is_bgr, expected->values);
    for (int e = 0; e < BUNDLE_EXPECTED; e++, outputs += count) {
        emulator_run(expected->emulators[e], expected->values, &expected->emulation);
        memcpy(outputs, expected->emulation.maps[last], count * sizeof *outputs);
    }
out:
    return err;
}
