/* RUN/slurm-news.json: what Slurm last said of the job of a run, for whoever looks at the run's
 * folder. Written by the one who waits for the run's end (job_wait.h). Any thread may read. */
#ifndef CLUSTER_SLURM_JOB_NEWS_H
#define CLUSTER_SLURM_JOB_NEWS_H

#include "cluster/slurm/queue.h"
#include <jansson.h>

#define JOB_NEWS_NAME "slurm-news.json" /* inside the run's folder */
#define JOB_NEWS_TEXT 320

struct job_news {
    struct queued queued; /* the last that was known; job "": nothing ever was */
    bool is_silent;       /* Slurm does not answer now */
};

/* ERR_IO, ERR_FULL, ERR_MEMORY. */
MUST_CHECK enum err job_news_write(const char *run_folder, const struct job_news *news);
/* False: there are none. Texts are safe to print. */
bool job_news_read(const char *run_folder, struct job_news *news);

/* "job 12: pending in Slurm (Priority)", "job 12: running on n1", "job 12: ended (CANCELLED)" */
void job_news_text(const struct job_news *news, char text[JOB_NEWS_TEXT]);
/* Returns owned (json_decref). */
json_t *job_news_json(const struct job_news *news);

#endif
