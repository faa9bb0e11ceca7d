/* The page's frame. The sections stand in report_tables.c and report_plots.c. */
#include "cluster/report.h"
#include "base/clock.h"
#include "cluster/html_page.h"
#include "cluster/svg.h"
#include <string.h>

/* "campaign: fashion" in the resolved file. */
static void add_campaign_name(const struct run_results *results, struct text *name)
{
    const char *at = strstr(results->campaign, "campaign:");
    at = at ? at + strlen("campaign:") : "";
    while (*at == ' ' || *at == '"')
        at++;
    size_t length = strcspn(at, "\"\n");
    text_add_bytes(name, at, length);
}

void report_missing(struct text *html, const char *why)
{
    text_add(html, "<p class=\"missing\">%s</p></section>\n", why);
}

void report_write(const struct run_results *results, struct text *html)
{
    char now[32];
    struct text name;
    text_init(&name);
    clock_wall_text(now);
    add_campaign_name(results, &name);
    html_page_begin(html, text_get(&name));
    text_add(html, "<p>Glowworm campaign report, written %.10s %.5s UTC</p>", now, now + 11);
    report_lineage(results, html);
    text_add(html, "</header>\n");
    report_targets(results, html);
    report_front(results, html);
    report_curves(results, html);
    report_phases(results, html);
    report_mistakes(results, html);
    report_bundles(results, html);
    text_add(html, "<section id=\"campaign\"><h2>Campaign</h2><details><summary>The resolved "
                   "campaign file, every "
                   "default written "
                   "out</summary><pre>");
    html_add(html, results->campaign);
    text_add(html, "</pre></details></section>\n");
    html_page_end(html);
    text_fini(&name);
}
