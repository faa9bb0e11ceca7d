/* An ONNX file for both of its readers, and an image through the network where that is small enough
 * to wait for. */
#include "base/mem.h"
#include "tests/fuzz/emulate.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/emulator/readers.h"
#include "trainer/export/onnx_run.h"

#define MOST_VALUES ((size_t)1 << 16)

static void run(struct onnx_net *net)
{
    struct onnx_shape shape = onnx_net_shape(net);
    size_t values = (size_t)shape.channels * (size_t)shape.height * (size_t)shape.width;
    if (values > MOST_VALUES || (size_t)shape.classes > MOST_VALUES)
        return;
    float *image = mem_array(values, sizeof *image);
    float *answers = mem_array(2 * (size_t)shape.classes, sizeof *answers);
    enum err err = onnx_run(net, image, answers, answers + shape.classes);
    FUZZ_EXPECT(err == ERR_OK || err_text()[0]);
    mem_free(image);
    mem_free(answers);
}

static void read_layers(const uint8_t *bytes, size_t size)
{
    struct exported net;
    enum err err = onnx_read(bytes, size, &net);
    FUZZ_EXPECT(err == ERR_OK || err_text()[0]);
    if (err == ERR_OK)
        fuzz_emulate(&net);
    exported_fini(&net);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct onnx_net *net = NULL;
    if (onnx_open(bytes, size, &net) == ERR_OK)
        run(net);
    read_layers(bytes, size);
    onnx_close(&net);
    return 0;
}
