/* Whether there is a GPU, and whether its driver answers. None is fine for the cpu device. */
#include "cluster/doctor/doctor.h"
#include "cluster/timed_command.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRIVER_S 10.0

static bool is_on_cpu(const char *device)
{
    return strcmp(device, "cpu") == 0 || strcmp(device, "auto") == 0;
}

static void check_without(const struct doctor_subject *subject, struct findings *findings)
{
    bool has_node = access("/dev/nvidia0", F_OK) == 0;
    if (has_node)
        finding_add(findings, FINDING_WARNING, "install the driver's tools (nvidia-smi)",
                    "/dev/nvidia0 is there, but no nvidia-smi to ask it with");
    else if (is_on_cpu(subject->device))
        finding_add(findings, FINDING_OK, "", "none: the device is the processor");
    else
        finding_add(findings, FINDING_PROBLEM,
                    "run on a node that has one, or set resources.device: cpu",
                    "resources.device is %s, but no GPU is seen here", subject->device);
}

void check_gpu(const struct doctor_subject *subject, struct findings *findings)
{
    static const char *const argv[] = {"nvidia-smi", "-L", NULL};
    struct timed_result result;
    if (timed_command(argv, NULL, &(struct timed_limit){.most_s = DRIVER_S}, &result) != ERR_OK) {
        check_without(subject, findings);
        return;
    }
    int first = (int)strcspn(result.output, "\n"), count = 0;
    for (const char *at = result.output; (at = strstr(at, "GPU ")); at += 4)
        count += at == result.output || at[-1] == '\n';
    if (result.is_over)
        finding_add(findings, FINDING_PROBLEM, "the driver hangs: look at dmesg, restart the node",
                    "nvidia-smi did not answer for %.0f s", DRIVER_S);
    else if (result.code != 0 || count == 0)
        finding_add(findings, is_on_cpu(subject->device) ? FINDING_WARNING : FINDING_PROBLEM,
                    "load or update the driver: its module and its library must match",
                    "nvidia-smi ends with %d: %.*s", result.code, first, result.output);
    else
        finding_add(findings, FINDING_OK, "", "%d: %.*s", count, first, result.output);
}
