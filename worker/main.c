/* glowworm-worker: the MPI program, one process per device. Started by a scheduler it takes stages
 * from it; started by hand it runs one stage of a campaign. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/version/version.h"
#include "scheduler/protocol.h"
#include "worker/address.h"
#include "worker/comm_mpi.h"
#include "worker/serve.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OVERRIDES 64
#define DEADLINE_S    300.0

static const char usage[] =
    "usage: glowworm-worker [--connect ENDPOINT --token-file FILE --lease NUMBER]\n"
    "       glowworm-worker --campaign FILE --stage NAME[,NAME]... [--run FOLDER] [--set "
    "key=value]...\n"
    "Without arguments the scheduler is found through the environment. A token comes from there\n"
    "(GLOWWORM_TOKEN) or from a file of mode 0600. Also: --deadline SECONDS (how long a rank "
    "waits\n"
    "for the others), --check (the ranks find each other, and no more), --debug, --version.\n";

/* Requests to stop so far. The handler only counts; all ranks agree on it at a step boundary. */
static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    if (signals < 100)
        signals++;
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL); /* what a batch system sends before the time is over */
    signal(SIGPIPE, SIG_IGN);
}

struct arguments {
    struct link_cfg link;
    struct address address;
    char token[128];
    struct serve_request request;
    struct campaign_override overrides[MAX_OVERRIDES];
    double deadline_s;
    enum log_level level;
    bool wants_version, is_check;
};

static enum err add_override(struct arguments *arguments, char *text)
{
    char *equals = strchr(text, '=');
    int count = arguments->request.override_count;
    if (!equals || count == MAX_OVERRIDES)
        return err_set(ERR_USAGE, "--set takes key=value, not '%s'", text);
    *equals = '\0';
    arguments->overrides[count] = (struct campaign_override){.key = text, .value = equals + 1};
    arguments->request.override_count++;
    return ERR_OK;
}

static enum err take_option(struct arguments *arguments, int option)
{
    enum err err = ERR_OK;
    long lease = 0;
    switch (option) {
    case 'c':
        arguments->link.endpoint = optarg;
        break;
    case 't':
        TRY(secret_read(optarg, arguments->token, sizeof arguments->token));
        arguments->link.token = arguments->token;
        break;
    case 'T':
        TRY(err_set(ERR_USAGE, "every user of a machine can read a token on a command line: "
                               "use --token-file, or " PROTOCOL_TOKEN " in the environment"));
        break;
    case 'l':
        TRY(text_to_int(optarg, 0, 1L << 62, &lease));
        arguments->link.lease_epoch = (uint64_t)lease;
        break;
    case 'f':
        arguments->request.campaign = optarg;
        break;
    case 's':
        arguments->request.stages = optarg;
        break;
    case 'r':
        arguments->request.folder = optarg;
        break;
    case 'o':
        TRY(add_override(arguments, optarg));
        break;
    case 'd':
        TRY(text_to_double(optarg, 1, 1e6, &arguments->deadline_s));
        break;
    case 'D':
        arguments->level = LOG_DEBUG;
        break;
    case 'C':
        arguments->is_check = true;
        break;
    case 'V':
        arguments->wants_version = true;
        break;
    default:
        TRY(err_set(ERR_USAGE, "that is no option of glowworm-worker"));
    }
out:
    return err;
}

static enum err parse(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {{"connect", required_argument, NULL, 'c'},
                                            {"token-file", required_argument, NULL, 't'},
                                            {"token", required_argument, NULL, 'T'},
                                            {"lease", required_argument, NULL, 'l'},
                                            {"campaign", required_argument, NULL, 'f'},
                                            {"stage", required_argument, NULL, 's'},
                                            {"run", required_argument, NULL, 'r'},
                                            {"set", required_argument, NULL, 'o'},
                                            {"deadline", required_argument, NULL, 'd'},
                                            {"debug", no_argument, NULL, 'D'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"check", no_argument, NULL, 'C'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    *arguments = (struct arguments){.deadline_s = DEADLINE_S, .level = LOG_INFO};
    arguments->request.overrides = arguments->overrides;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        TRY(take_option(arguments, option));
    if (optind < argc)
        TRY(err_set(ERR_USAGE, "'%s' is one argument too many", argv[optind]));
    if (!arguments->request.campaign != !arguments->request.stages)
        TRY(err_set(ERR_USAGE, "--campaign and --stage go together"));
out:
    return err;
}

/* What the command line does not say is in the environment. */
static enum err find_scheduler(struct link_cfg *link, struct address *address)
{
    if (!link->endpoint)
        return link_from_environment(link, address);
    if (!link->token)
        link->token = getenv(PROTOCOL_TOKEN);
    if (!link->token)
        return err_set(ERR_USAGE,
                       "--connect needs --token-file, or " PROTOCOL_TOKEN " in the environment");
    return ERR_OK;
}

/* What "glowworm doctor" starts: every rank hears of every other. */
static enum err check_gang(struct comm *comm)
{
    enum err err = ERR_OK;
    int *ranks = mem_array((size_t)comm->size, sizeof *ranks);
    TRY(comm_gather_equal(comm, &comm->rank, ranks, sizeof *ranks));
    for (int i = 0; i < comm->size; i++)
        if (ranks[i] != i)
            TRY(err_set(ERR_PEER, "rank %d says that it is rank %d", i, ranks[i]));
    if (comm->rank == 0)
        printf("%d ranks found each other\n", comm->size);
out:
    mem_free(ranks);
    return err;
}

static enum err serve(struct arguments *arguments, struct comm *comm, struct rank_work *work)
{
    enum err err = ERR_OK;
    struct serve_cfg cfg = {.comm = comm, .work = work, .signals = &signals};
    log_open(arguments->level, comm->rank);
    if (arguments->is_check) {
        TRY(check_gang(comm));
    } else if (arguments->request.campaign) {
        TRY(serve_request(&cfg, &arguments->request));
    } else {
        TRY(find_scheduler(&arguments->link, &arguments->address));
        TRY(serve_scheduler(&cfg, &arguments->link));
    }
out:
    return err;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct comm comm = {0};
    struct rank_work work = {0};
    file_open_standard();
    enum err err = parse(argc, argv, &arguments);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n%s", err_text(), err == ERR_USAGE ? usage : "");
        return err_exit_code(err);
    }
    if (arguments.wants_version) {
        printf("glowworm-worker %s\n%s", version_text(), version_libraries());
        return 0;
    }
    err = comm_mpi_open(arguments.deadline_s, &work, &comm);
    if (err == ERR_OK) {
        watch_signals(); /* behind MPI_Init, which has handlers of its own */
        err = serve(&arguments, &comm, &work);
    }
    /* all ranks fail with the same error; one voice is enough, unless the gang came apart */
    if (err == ERR_INTERRUPTED && comm.rank == 0)
        log_info("%s", err_text());
    else if (err != ERR_OK && (comm.rank == 0 || err == ERR_PEER))
        log_error("%s", err_text());
    fflush(stdout);
    if (err == ERR_PEER && comm.own)
        comm_mpi_abort(&comm, err_exit_code(err));
    if (comm.own)
        comm.close(&comm);
    /* a scheduler has heard of the stop; at another code than 0 mpirun would kill the other ranks
     * while they finish */
    bool is_stop_known = !arguments.request.campaign && err == ERR_INTERRUPTED;
    return is_stop_known ? 0 : err_exit_code(err);
}
