/* Whether there is a GPU, whether its driver answers, and whether the campaign's device opens on
 * it. None is fine for the cpu device. */
#include "cluster/doctor/doctor.h"
#include "cluster/timed_command.h"
#include "kernels/device_module.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRIVER_S 10.0

static void check_without(struct findings *findings)
{
    if (access("/dev/nvidia0", F_OK) == 0)
        finding_add(findings, FINDING_WARNING, "install the driver's tools (nvidia-smi)",
                    "/dev/nvidia0 is there, but no nvidia-smi to ask it with");
    else
        finding_add(findings, FINDING_OK, "", "none: the device is the processor");
}

struct hearing {
    const struct doctor_subject *subject;
    struct findings *findings;
};

/* What is missing has its cure in the sentence. */
static void hear(void *own, bool is_missing, const char *text)
{
    const struct hearing *hearing = own;
    bool matters = is_missing && hearing->subject->ranks > 1;
    finding_add(hearing->findings, matters ? FINDING_WARNING : FINDING_OK, "", "%s", text);
}

/* The program knows no more of a module's device than whether it opens; it does not, and the module
 * says why. */
static void check_device(const struct doctor_subject *subject, struct findings *findings)
{
    struct hearing hearing = {subject, findings};
    struct device *device = NULL;
    struct device_cfg cfg = {
        .name = subject->device, .threads = 1, .precision = subject->precision};
    if (device_module_survey(subject->device, hear, &hearing) != ERR_OK ||
        device_open(&cfg, &device) != ERR_OK)
        finding_add(findings, FINDING_PROBLEM,
                    "mend that, run on a node that has it, or set resources.device: cpu",
                    "resources.device is %s: %s", subject->device, err_text());
    else
        finding_add(findings, FINDING_OK, "", "device %s opens: %s", subject->device,
                    device->lineage);
    device_close(&device);
}

/* False: it answers no more, and whoever called it would wait as well. */
static bool check_driver(const struct doctor_subject *subject, struct findings *findings)
{
    static const char *const argv[] = {"nvidia-smi", "-L", NULL};
    struct timed_result result;
    bool is_on_gpu = !device_is_host(subject->device);
    if (timed_command(argv, NULL, &(struct timed_limit){.most_s = DRIVER_S}, &result) != ERR_OK) {
        if (!is_on_gpu)
            check_without(findings);
        return true;
    }
    int first = (int)strcspn(result.output, "\n"), count = 0;
    for (const char *at = result.output; (at = strstr(at, "GPU ")); at += 4)
        count += at == result.output || at[-1] == '\n';
    if (result.is_over)
        finding_add(findings, FINDING_PROBLEM, "the driver hangs: look at dmesg, restart the node",
                    "nvidia-smi did not answer for %.0f s", DRIVER_S);
    else if (result.code != 0 || count == 0)
        finding_add(findings, is_on_gpu ? FINDING_PROBLEM : FINDING_WARNING,
                    "load or update the driver: its module and its library must match",
                    "nvidia-smi ends with %d: %.*s", result.code, first, result.output);
    else
        finding_add(findings, FINDING_OK, "", "%d: %.*s", count, first, result.output);
    return !result.is_over;
}

void check_gpu(const struct doctor_subject *subject, struct findings *findings)
{
    if (check_driver(subject, findings) && !device_is_host(subject->device))
        check_device(subject, findings);
}
