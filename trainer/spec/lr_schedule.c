#include "trainer/spec/lr_schedule.h"
#include "base/rng.h"
#include <math.h>

#define PI               3.14159265358979323846
#define WARMUP_REDUCTION 32 /* the reference warms up from the rate of one of its 32 processes */

static uint64_t whole_steps(double epochs, uint64_t steps_per_epoch)
{
    double steps = floor(epochs * (double)steps_per_epoch + 0.5);
    return steps > 0 ? (uint64_t)steps : 0;
}

static uint64_t stage_steps(const struct phase *phase, uint64_t steps_per_epoch)
{
    return whole_steps(phase->warmup_epochs, steps_per_epoch) +
           whole_steps(phase->epochs, steps_per_epoch);
}

enum err lr_schedule_of(const struct schedule *schedule, int phase, uint32_t images,
                        int global_batch, struct lr_schedule *lr_schedule)
{
    uint64_t per_epoch = images / (uint64_t)global_batch;
    if (per_epoch == 0)
        return err_set(ERR_CONFIG,
                       "%u training images do not fill one batch of %d: lower batch.global or "
                       "dataset.holdout",
                       images, global_batch);
    *lr_schedule = (struct lr_schedule){.steps_per_epoch = per_epoch};
    for (int i = 0; i < phase; i++) {
        uint64_t steps = stage_steps(&schedule->phases[i], per_epoch);
        lr_schedule->first_step += steps;
        lr_schedule->first_epoch += (steps + per_epoch - 1) / per_epoch;
    }
    lr_schedule->warmup = whole_steps(schedule->phases[phase].warmup_epochs, per_epoch);
    lr_schedule->steps = stage_steps(&schedule->phases[phase], per_epoch);
    return ERR_OK;
}

double lr_schedule_rate(const struct lr_schedule *lr_schedule, const struct phase *phase,
                        uint64_t step)
{
    if (step < lr_schedule->warmup) {
        double low = phase->rate / WARMUP_REDUCTION;
        return (double)(step + 1) / (double)lr_schedule->warmup * (phase->rate - low) + low;
    }
    double done = (double)(step - lr_schedule->warmup);
    double all = (double)(lr_schedule->steps - lr_schedule->warmup);
    return 0.5 * phase->rate * (1 + cos(PI * done / all));
}

int lr_schedule_resolution(const struct space *space, uint64_t seed, uint64_t schedule_step)
{
    uint64_t bits = rng(seed, RNG_RESOLUTION, 0, schedule_step, 0);
    return space->resolutions[rng_below(bits, (uint32_t)space->resolution_count)];
}

bool lr_schedule_is_due(const struct lr_schedule *lr_schedule, double every_epochs,
                        uint64_t steps_done)
{
    if (every_epochs <= 0 || steps_done == 0)
        return false;
    /* due when a multiple of the interval was passed by the last step */
    double interval = every_epochs * (double)lr_schedule->steps_per_epoch;
    return floor((double)steps_done / interval) > floor((double)(steps_done - 1) / interval);
}
