/* A gang for bench_scale: speaks as a real one does, through worker/link, and computes nothing. A
 * training stage is done at once. The gang of an evaluation wants more scores than will ever be
 * measured; it and its helpers hold their shares, say once a second how far they are, and end when
 * they are told to. */
#include "base/clock.h"
#include "base/log.h"
#include "trainer/gang/work.h"
#include "worker/address.h"
#include "worker/link.h"
#include "worker/link_exchange.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WANTED 4000

static struct hash key_of(int number)
{
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_u64(&hasher, (uint64_t)number);
    return hasher_end(&hasher);
}

static void want_all(struct exchange *exchange)
{
    static struct exchange_score scores[WANTED];
    for (int i = 0; i < WANTED; i++)
        scores[i] = (struct exchange_score){
            .key = key_of(i), .subnet = "r=28 k=3 e=3 d=2", .split = SPLIT_HOLDOUT, .detail = 0};
    exchange->want(exchange, EXCHANGE_WANT, scores, WANTED);
}

static enum err measure(struct link *link, const struct assignment *mine, struct rank_work *work)
{
    struct exchange exchange = link_exchange(link);
    struct exchange_event event;
    uint64_t step = 0;
    double said_s = 0;
    if (!mine->is_helper)
        want_all(&exchange);
    exchange.ready(&exchange);
    while (!link_stop_requested(link)) {
        (void)exchange.next(&exchange, &event);
        if (clock_seconds() - said_s < 1)
            continue;
        said_s = clock_seconds();
        atomic_fetch_add(&work->done, 1);
        link_progress(link, &(struct link_progress){.step = ++step,
                                                    .steps = WANTED,
                                                    .images_per_second = 100,
                                                    .accuracy = -1,
                                                    .doing = "measuring"});
    }
    return mine->is_helper ? ERR_INTERRUPTED : link_failed(link, ERR_INTERRUPTED, "stopped", step);
}

static enum err train(struct link *link, const struct assignment *mine)
{
    char path[LINK_PATH + 128], hex[HASH_HEX_BYTES];
    struct hash content = key_of(mine->stage_index);
    hash_hex(&content, hex);
    snprintf(path, sizeof path, "%s/checkpoints/%s", mine->run_folder, hex);
    FILE *file = fopen(path, "w");
    if (file)
        fclose(file);
    return link_done(link, &content, "");
}

int main(void)
{
    enum err err = ERR_OK;
    struct link_cfg cfg = {.ranks = 1, .version = "bench", .lineage = "none"};
    struct address address;
    struct link *link = NULL;
    struct rank_work work = {0};
    struct assignment mine;
    log_open(LOG_INFO, 0);
    TRY(link_from_environment(&cfg, &address));
    cfg.work = &work;
    TRY(link_open(&cfg, &link));
    while ((err = link_take(link, &mine)) == ERR_OK)
        err =
            strcmp(mine.stage, "evaluate") == 0 ? measure(link, &mine, &work) : train(link, &mine);
out:
    if (err != ERR_OK && err != ERR_INTERRUPTED)
        log_error("%s", err_text());
    link_close(&link);
    return err == ERR_INTERRUPTED ? 0 : err_exit_code(err);
}
