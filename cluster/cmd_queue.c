/* glowworm queue: what glowworm-scheduler runs, and what of it is to change. */
#include "base/mem.h"
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/daemon/control_client.h"
#include "cluster/daemon/daemon_folder.h"
#include "cluster/daemon/queue_listing.h"
#include "cluster/daemon/submitted.h"
#include "cluster/next_command.h"
#include "cluster/page/page_address.h"
#include "cluster/slurm/job_news.h"
#include "cluster/status/status_text.h"
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_OVER 10 /* of those that are over, without --all */

struct queue_words {
    struct control_client_cfg client;
    bool wants_json, wants_all;
    Gwd__Verb verb;
    int priority;
};

static enum err take_verb(Gwd__Verb verb, struct queue_words *words)
{
    if (words->verb != GWD__VERB__NONE)
        return err_set(ERR_USAGE, "one of --priority, --hold and --release at a time");
    words->verb = verb;
    return ERR_OK;
}

static enum err take_priority(struct queue_words *words)
{
    long priority = 0;
    if (text_to_int(optarg, -1000, 1000, &priority) != ERR_OK)
        return err_set(ERR_USAGE, "--priority takes a number of -1000 to 1000, not \"%s\"", optarg);
    words->priority = (int)priority;
    return take_verb(GWD__VERB__PRIORITY, words);
}

static enum err take(int option, const char *command, struct queue_words *words)
{
    bool is_set = strcmp(command, "queue set") == 0, is_list = strcmp(command, "queue") == 0;
    if (option == 'F')
        words->client.folder = optarg;
    else if (option == 'j' && is_list)
        words->wants_json = true;
    else if (option == 'a' && is_list)
        words->wants_all = true;
    else if (option == 'P' && is_set)
        return take_priority(words);
    else if (option == 'h' && is_set)
        return take_verb(GWD__VERB__HOLD, words);
    else if (option == 'r' && is_set)
        return take_verb(GWD__VERB__RELEASE, words);
    else
        return err_set(ERR_USAGE, "that option is not known, or lacks its value");
    return ERR_OK;
}

static enum err read_options(int argc, char **argv, struct queue_words *words)
{
    static const struct option known[] = {{"folder", required_argument, NULL, 'F'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"all", no_argument, NULL, 'a'},
                                          {"hold", no_argument, NULL, 'h'},
                                          {"priority", required_argument, NULL, 'P'},
                                          {"release", no_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    *words = (struct queue_words){0};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        TRY(take(option, argv[0], words));
out:
    return err;
}

struct listing {
    struct queue_listing told;
    int over; /* of them, still to be listed */
    struct table table;
    json_t *campaigns;
};

struct queue_cells {
    const char *state;
    char now[2048];
};

/* Of one in Slurm what Slurm says, and what the run does there. */
static void find_cells(const struct submitted *campaign, const Gwd__Listed *listed, const char *run,
                       struct queue_cells *cells)
{
    struct job_news news;
    char job[JOB_NEWS_TEXT];
    bool runs = campaign->state == SUBMITTED_RUNNING;
    bool has_news = campaign->may_have_job && job_news_read(campaign->run_folder, &news);
    bool runs_there = has_news && strcmp(news.queued.state, "RUNNING") == 0;
    if (has_news)
        job_news_text(&news, job);
    if (!has_news)
        snprintf(cells->now, sizeof cells->now, "%s", runs ? run : listed->why);
    else if (runs && runs_there)
        snprintf(cells->now, sizeof cells->now, "%s: %s", job, run);
    else
        snprintf(cells->now, sizeof cells->now, "%s%s%s", job, listed->why[0] ? ": " : "",
                 listed->why);
    bool is_in_slurm = runs && submitted_is_for_slurm(campaign) && !runs_there;
    cells->state = is_in_slurm ? "in Slurm" : submitted_state_name(campaign->state);
}

static void add_row(struct listing *listing, const struct submitted *campaign,
                    const Gwd__Listed *listed, const struct found_status *found)
{
    char id[24], priority[24];
    struct queue_cells shown;
    struct run_cells run = {"", "", ""};
    if (found)
        status_text_cells(found, &run);
    snprintf(id, sizeof id, "%llu", (unsigned long long)campaign->id);
    snprintf(priority, sizeof priority, "%d", campaign->priority);
    find_cells(campaign, listed, run.now, &shown);
    const char *cells[] = {id,
                           priority,
                           shown.state,
                           campaign->name,
                           campaign->run_folder,
                           run.done,
                           campaign->state == SUBMITTED_RUNNING ? run.left : "",
                           shown.now};
    table_add(&listing->table, cells);
}

static void add_json(struct listing *listing, const struct submitted *campaign,
                     const Gwd__Listed *listed, const struct found_status *found)
{
    struct job_news news;
    bool has_news =
        campaign->site[0] && campaign->jobs > 0 && job_news_read(campaign->run_folder, &news);
    json_t *json = submitted_json(campaign);
    json_object_set_new(json, "why", json_string(listed->why));
    json_object_set_new(json, "log", json_string(listed->log));
    json_object_set_new(json, "slurm", has_news ? job_news_json(&news) : json_null());
    json_object_set_new(json, "status",
                        found ? status_json(found, campaign->run_folder) : json_null());
    json_array_append_new(listing->campaigns, json);
}

/* Of many that are over people want the last. */
static bool is_left_out(struct listing *listing, const struct queue_words *words,
                        const struct submitted *campaign)
{
    return submitted_is_over(campaign) && listing->over-- > SHOWN_OVER && !words->wants_all &&
           !words->wants_json;
}

static enum err add(struct listing *listing, const struct queue_words *words,
                    const Gwd__Listed *listed)
{
    enum err err = ERR_OK;
    struct submitted campaign = {0};
    struct found_status *found = mem_alloc(sizeof *found);
    TRY(submitted_read(listed->submitted, &campaign));
    if (is_left_out(listing, words, &campaign))
        goto out;
    bool is_read = status_read_published(campaign.run_folder, found) == ERR_OK;
    if (words->wants_json)
        add_json(listing, &campaign, listed, is_read ? found : NULL);
    else
        add_row(listing, &campaign, listed, is_read ? found : NULL);
out:
    submitted_fini(&campaign);
    mem_free(found);
    return err;
}

static int count_over(const Gwd__Reply *reply)
{
    int over = 0;
    for (size_t i = 0; i < reply->n_listed; i++)
        over += reply->listed[i]->submitted->state >= SUBMITTED_DONE;
    return over;
}

static enum err add_all(struct listing *listing, const struct queue_words *words)
{
    enum err err = ERR_OK;
    for (int r = 0; r < listing->told.reply_count; r++)
        listing->over += count_over(listing->told.replies[r]);
    for (int r = 0; r < listing->told.reply_count; r++)
        for (size_t i = 0; i < listing->told.replies[r]->n_listed; i++)
            TRY(add(listing, words, listing->told.replies[r]->listed[i]));
out:
    return err;
}

static void print(const struct listing *listing, const struct queue_words *words)
{
    json_t *json = json_pack("{s:O}", "campaigns", listing->campaigns);
    char *text = words->wants_json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    if (words->wants_json)
        puts(text ? text : "{}");
    else if (listing->table.row_count > 0)
        table_print(&listing->table);
    else
        puts("nothing was submitted");
    free(text);
    json_decref(json);
    if (!words->wants_json) {
        next_command("sooner, or later", "glowworm queue set ID --priority N");
        next_command("take it out", "glowworm queue remove ID");
    }
}

static void listing_init(struct listing *listing)
{
    static const struct table_column columns[] = {
        {"id", TABLE_RIGHT},      {"priority", TABLE_RIGHT},  {"state", TABLE_LEFT},
        {"campaign", TABLE_LEFT}, {"run folder", TABLE_LEFT}, {"done", TABLE_RIGHT},
        {"left", TABLE_RIGHT},    {"now", TABLE_LEFT}};
    *listing = (struct listing){.campaigns = json_array()};
    table_init(&listing->table, columns, 8, 7);
}

static void listing_fini(struct listing *listing)
{
    queue_listing_fini(&listing->told);
    table_fini(&listing->table);
    json_decref(listing->campaigns);
}

/* Its owner's to see, on the machine of the scheduler. */
static void print_page(const struct queue_words *words)
{
    char folder[DAEMON_PATH], address[PAGE_ADDRESS];
    if (daemon_folder_find(words->client.folder, folder) == ERR_OK &&
        page_address_find(folder, address))
        printf("\npage: %s\n", address);
}

enum err cmd_queue(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct queue_words words;
    struct listing listing;
    struct control_client *client = NULL;
    listing_init(&listing);
    TRY(read_options(argc, argv, &words));
    if (optind < argc)
        TRY(err_set(ERR_USAGE,
                    "there is no \"glowworm queue %s\"; \"set\" and \"remove\" there are",
                    argv[optind]));
    TRY(control_client_open(&words.client, &client));
    TRY(queue_listing_ask(client, &listing.told));
    TRY(add_all(&listing, &words));
    print(&listing, &words);
    if (!words.wants_json)
        print_page(&words);
out:
    control_client_close(&client);
    listing_fini(&listing);
    return err;
}

static enum err ask_change(struct control_client *client, const char *id_text,
                           const struct queue_words *words)
{
    enum err err = ERR_OK;
    long id = 0;
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__Change change = GWD__CHANGE__INIT;
    Gwd__Reply *reply = NULL;
    if (text_to_int(id_text, 1, INT32_MAX, &id) != ERR_OK)
        TRY(err_set(ERR_USAGE, "\"%s\" is no number of a campaign: \"glowworm queue\" shows them",
                    id_text));
    change.id = (uint64_t)id;
    change.verb = words->verb;
    change.priority = words->priority;
    request.body_case = GWD__REQUEST__BODY_CHANGE;
    request.change = &change;
    TRY(control_client_ask(client, &request, &reply));
out:
    if (reply)
        gwd__reply__free_unpacked(reply, NULL);
    return err;
}

enum err cmd_queue_set(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct queue_words words;
    struct control_client *client = NULL;
    TRY(read_options(argc, argv, &words));
    if (argc - optind != 1 || words.verb == GWD__VERB__NONE)
        TRY(err_set(ERR_USAGE, "name one campaign by its number, and what is to change"));
    TRY(control_client_open(&words.client, &client));
    TRY(ask_change(client, argv[optind], &words));
out:
    control_client_close(&client);
    return err;
}

enum err cmd_queue_remove(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct queue_words words;
    struct control_client *client = NULL;
    TRY(read_options(argc, argv, &words));
    if (optind == argc)
        TRY(err_set(ERR_USAGE, "name the campaigns by their numbers"));
    words.verb = GWD__VERB__REMOVE;
    TRY(control_client_open(&words.client, &client));
    for (int i = optind; i < argc; i++)
        TRY(ask_change(client, argv[i], &words));
out:
    control_client_close(&client);
    return err;
}
