/* The frame of a self-contained page that people keep: head, style, title. Its own header element
 * is left open, for a line of what it is. No state but the text written to. */
#ifndef CLUSTER_HTML_PAGE_H
#define CLUSTER_HTML_PAGE_H

#include "base/text.h"

/* Up to the heading; "</header>" is the caller's. */
void html_page_begin(struct text *html, const char *title);
void html_page_end(struct text *html);

#endif
