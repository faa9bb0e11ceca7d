/* A gang as processes of ours, under mpirun. */
#include "scheduler/launch_internal.h"

/* It listens nowhere else than on this machine; ranks times threads are what the campaign says, so
 * Open MPI neither counts slots nor binds; root is allowed because a container often has nobody
 * else. */
void launch_local_gang(const struct launch_cfg *cfg, struct words *argv, struct words *environment)
{
    if (cfg->mpirun) {
        words_add(argv, "%s", cfg->mpirun);
        words_add(argv, "-n");
        words_add(argv, "%d", cfg->ranks);
        words_add(argv, "--bind-to");
        words_add(argv, "none");
        words_add(argv, "--oversubscribe");
        words_add_default(environment, "OMPI_ALLOW_RUN_AS_ROOT=1");
        words_add_default(environment, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
        words_add_default(environment, "OMPI_MCA_oob_tcp_if_include=lo");
    }
    words_add(argv, "%s", cfg->worker);
}
