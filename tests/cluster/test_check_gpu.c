/* What doctor says of GPUs, on those that the host emulates. */
#include "cluster/doctor/doctor.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The check writes what it finds into a pipe, as it does in doctor's child. */
void finding_add(struct findings *findings, enum finding_level level, const char *cure,
                 const char *format, ...)
{
    struct finding finding = {.level = level};
    va_list list;
    snprintf(finding.check, sizeof finding.check, "%s", findings->check);
    snprintf(finding.cure, sizeof finding.cure, "%s", cure);
    va_start(list, format);
    vsnprintf(finding.reason, sizeof finding.reason, format, list);
    va_end(list);
    if (write(findings->out, &finding, sizeof finding) != (ssize_t)sizeof finding)
        fail_msg("the pipe is full");
}

struct seen {
    int count;
    struct finding findings[8];
};

static struct seen look(const char *device, int ranks)
{
    int ends[2];
    struct seen seen = {0};
    struct doctor_subject subject = {.ranks = ranks, .threads = 1};
    snprintf(subject.device, sizeof subject.device, "%s", device);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    struct findings findings = {"GPU", ends[1]};
    check_gpu(&subject, &findings);
    while (seen.count < 8 && read(ends[0], &seen.findings[seen.count], sizeof seen.findings[0]) ==
                                 (ssize_t)sizeof seen.findings[0])
        seen.count++;
    close(ends[0]);
    close(ends[1]);
    return seen;
}

static void expect(const struct seen *seen, enum finding_level level, const char *words)
{
    for (int i = 0; i < seen->count; i++)
        if (seen->findings[i].level == level && strstr(seen->findings[i].reason, words))
            return;
    for (int i = 0; i < seen->count; i++)
        fprintf(stderr, "%d %s\n", seen->findings[i].level, seen->findings[i].reason);
    fail_msg("no finding of level %d says \"%s\"", level, words);
}

static void expect_levels(const struct seen *seen, enum finding_level most)
{
    for (int i = 0; i < seen->count; i++)
        if (seen->findings[i].level > most)
            fail_msg("level %d: %s", seen->findings[i].level, seen->findings[i].reason);
}

static void a_campaign_on_the_processor_needs_none(void **state)
{
    (void)state;
    struct seen seen = look("auto", 1);
    assert_int_equal(seen.count, 1);
    expect(&seen, FINDING_OK, "none: the device is the processor");
}

static void cards_driver_and_nccl_are_named_and_the_device_opened(void **state)
{
    (void)state;
    setenv("GPU_EMULATOR_DEVICES", "2", 1);
    struct seen seen = look("cuda-emulated", 2);
    expect(&seen, FINDING_OK, "the driver has CUDA 13.0, this module was built with 13.0");
    expect(&seen, FINDING_OK, "GPU 0: Emulated GPU, sm_80, 8.6 GB, at 0000:01:00.0");
    expect(&seen, FINDING_OK, "GPU 1: Emulated GPU");
    expect(&seen, FINDING_OK, "NCCL 2.28.9");
    expect(&seen, FINDING_OK, "device cuda-emulated opens: cuda");
    expect_levels(&seen, FINDING_OK);
    unsetenv("GPU_EMULATOR_DEVICES");
}

static void without_nccl_a_gang_is_warned_and_one_rank_is_not(void **state)
{
    (void)state;
    char *library = strdup(getenv("GLOWWORM_NCCL"));
    setenv("GLOWWORM_NCCL", "/nowhere/libnccl.so.2", 1);
    struct seen many = look("cuda-emulated", 2), one = look("cuda-emulated", 1);
    setenv("GLOWWORM_NCCL", library, 1);
    free(library);
    expect(&many, FINDING_WARNING, "through the host, not by NCCL: /nowhere/libnccl.so.2");
    expect(&many, FINDING_WARNING, "install NCCL 2.14 or later");
    expect_levels(&many, FINDING_WARNING);
    expect_levels(&one, FINDING_OK);
}

static void expect_trouble(const char *variable, const char *value, const char *words)
{
    setenv(variable, value, 1);
    struct seen seen = look("cuda-emulated", 1);
    unsetenv(variable);
    expect(&seen, FINDING_PROBLEM, words);
    expect(&seen, FINDING_PROBLEM, "resources.device is cuda-emulated: ");
}

static void what_keeps_the_device_from_opening_is_a_problem_with_its_cure(void **state)
{
    (void)state;
    expect_trouble("GPU_EMULATOR_DRIVER", "0", "no NVIDIA driver is loaded");
    expect_trouble("GPU_EMULATOR_DRIVER", "12040", "install driver 580 or later");
    expect_trouble("GPU_EMULATOR_DEVICES", "0", "no GPU that this process may use");
    expect_trouble("GPU_EMULATOR_CAPABILITY", "75", "compute capability 7.5");
    struct seen seen = look("abacus", 1);
    expect(&seen, FINDING_PROBLEM, "there is no device \"abacus\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_campaign_on_the_processor_needs_none),
        cmocka_unit_test(cards_driver_and_nccl_are_named_and_the_device_opened),
        cmocka_unit_test(without_nccl_a_gang_is_warned_and_one_rank_is_not),
        cmocka_unit_test(what_keeps_the_device_from_opening_is_a_problem_with_its_cure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
