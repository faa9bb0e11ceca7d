/* A verdict of somebody's camera, out of which a latency is fitted. */
#include "cluster/validate/fit_verdicts.h"
#include "tests/fuzz/fuzz.h"
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct latency_model known = {1, {1, 1, 1, 1}}, fitted;
    struct latency_point point = {.measured_ms = 0};
    const char *device = NULL;
    bool is_simulated = false;
    json_t *json = json_loadb((const char *)bytes, size, 0, NULL);
    if (fit_take_verdict(json, &point, &device, &is_simulated) == ERR_OK) {
        latency_fit(&point, 1, &known, &fitted);
        FUZZ_EXPECT(isfinite(latency_model_ms(&fitted, &point)));
    }
    json_decref(json);
    return 0;
}
