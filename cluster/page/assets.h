/* The page's own files (page.html, page.css, page.js beside this), as they are built in. */
#ifndef CLUSTER_PAGE_ASSETS_H
#define CLUSTER_PAGE_ASSETS_H

#include <stddef.h>

struct page_asset {
    const unsigned char *bytes;
    size_t size;
};

extern const struct page_asset page_html, page_css, page_js;

#endif
