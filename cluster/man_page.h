/* Manual pages in roff, made from what the program knows anyway: the table of commands, and the
 * rows that parse a campaign file. Pure. */
#ifndef CLUSTER_MAN_PAGE_H
#define CLUSTER_MAN_PAGE_H

#include "base/text.h"

void man_page_program(struct text *page);  /* glowworm(1) */
void man_page_campaign(struct text *page); /* glowworm-campaign(5) */
void man_page_scheduler(struct text *page);
void man_page_camera_sim(struct text *page);

#endif
