/* glowworm page: runs in a browser, from their folders, whether they go on, have ended, or run on
 * another machine that shares the disk. */
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/interrupt.h"
#include "cluster/next_command.h"
#include "cluster/page/page.h"
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_TOKEN = 16, LOOK_MS = 500 };

struct page_options {
    int port;
    char token[SECRET_HEX_BYTES]; /* "": a new one */
};

static enum err take_port(const char *text, struct page_options *options)
{
    long port = 0;
    if (text_to_int(text, 1, 65535, &port) != ERR_OK)
        return err_set(ERR_USAGE, "--port takes a number of 1 to 65535, not \"%s\"", text);
    options->port = (int)port;
    return ERR_OK;
}

/* Part of an address, and worth guessing for long. */
static enum err take_token(const char *path, struct page_options *options)
{
    static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    enum err err = ERR_OK;
    TRY(secret_read(path, options->token, sizeof options->token));
    size_t size = strlen(options->token);
    if (size < LEAST_TOKEN || strspn(options->token, fit) != size)
        TRY(err_set(ERR_CONFIG, "%s: a token has %d to %d letters, digits, - and _", path,
                    LEAST_TOKEN, SECRET_HEX_BYTES - 1));
out:
    return err;
}

static enum err read_options(int argc, char **argv, struct page_options *options)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"token-file", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'p')
            TRY(take_port(optarg, options));
        else if (option == 't')
            TRY(take_token(optarg, options));
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (optind == argc)
        TRY(err_set(ERR_USAGE, "name the folder of a run, or several"));
    for (int i = optind; i < argc; i++)
        if (!file_is_folder(argv[i]))
            TRY(err_set(ERR_NOT_FOUND, "there is no folder %s", argv[i]));
out:
    return err;
}

static enum err say_where(const struct page *page, int port)
{
    char host[128] = "";
    gethostname(host, sizeof host - 1);
    printf("page: %s\n", page_address(page));
    if (fflush(stdout) != 0)
        return err_set(ERR_IO, "standard output cannot be written");
    next_command("from another machine, then the same address there", "ssh -L %d:127.0.0.1:%d %s",
                 port, port, host);
    return ERR_OK;
}

enum err cmd_page(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct page_options options = {0};
    struct page *page = NULL;
    TRY(read_options(argc, argv, &options));
    struct page_cfg cfg = {.count = argc - optind,
                           .folders = (const char *const *)argv + optind,
                           .source = PAGE_ANY_RUN,
                           .port = options.port,
                           .token = options.token[0] ? options.token : NULL};
    interrupt_watch();
    TRY(page_open(&cfg, &page));
    TRY(say_where(page, page_port(page)));
    while (*interrupt_count() == 0)
        poll(NULL, 0, LOOK_MS);
out:
    page_close(&page);
    return err;
}
