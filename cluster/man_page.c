#include "cluster/man_page.h"
#include "base/version/version.h"
#include "camera/sim/options.h"
#include "cluster/command.h"
#include "cluster/daemon/daemon_options.h"
#include "trainer/spec/campaign.h"
#include <stdbool.h>
#include <string.h>

/* Text as it is: what roff would take for a request, an escape or a typographic sign is kept from
 * it. */
static void add_plain(struct text *page, const char *words, size_t size)
{
    bool is_line_start = true;
    for (size_t i = 0; i < size; i++) {
        char c = words[i];
        if (is_line_start && (c == '.' || c == '\''))
            text_add(page, "\\&");
        if (c == '\\')
            text_add(page, "\\e");
        else if (c == '-')
            text_add(page, "\\-");
        else if (c == '\'')
            text_add(page, "\\(aq");
        else
            text_add_bytes(page, &c, 1);
        is_line_start = c == '\n';
    }
}

static void add_words(struct text *page, const char *words)
{
    add_plain(page, words, strlen(words));
}

static void add_title(struct text *page, const char *name, int section, const char *what)
{
    text_add(page, ".TH %s %d \"\" \"glowworm %s\"\n.SH NAME\n", name, section, version_text());
    add_words(page, what);
    text_add(page, "\n");
}

static void add_commands(struct text *page)
{
    text_add(page, ".SH COMMANDS\n");
    for (const struct command *c = commands; c->noun; c++) {
        char name[COMMAND_NAME];
        command_name(c, name);
        text_add(page, ".TP\n\\fBglowworm %s\\fR ", name);
        add_words(page, c->usage);
        text_add(page, "\n");
        add_words(page, c->help);
        text_add(page, "\n");
    }
}

void man_page_program(struct text *page)
{
    add_title(page, "GLOWWORM", 1,
              "glowworm - train a Once-For-All network and compile sub-networks for a camera");
    text_add(page, ".SH SYNOPSIS\n\\fBglowworm\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n");
    add_commands(page);
    text_add(page, ".SH EXIT STATUS\n");
    add_words(page, command_exit_codes);
    text_add(
        page,
        ".SH ENVIRONMENT\n"
        ".TP\n.B GLOWWORM_DATA\n"
        "The folder whose configs/ holds spaces and devices, where it is not the one that was\n"
        "installed with the program.\n"
        ".TP\n.B GLOWWORM_ISA_LIMIT\n"
        "Makes this machine one that has no more than this instruction set, e.g. x86-64-v3.\n"
        ".TP\n.B NO_COLOR\nWhen it is set, progress has no colours.\n"
        ".SH SEE ALSO\n"
        ".BR glowworm\\-campaign (5),\n.BR glowworm\\-scheduler (1),\n.BR mpirun (1)\n");
}

static void add_option(struct text *page, const char *name, const char *help)
{
    text_add(page, ".TP\n\\fB");
    add_words(page, name);
    text_add(page, "\\fR\n");
    add_words(page, help);
    text_add(page, "\n");
}

static void add_daemon_options(struct text *page)
{
    for (const struct daemon_option *option = daemon_options; option->name; option++) {
        char name[64];
        daemon_option_text(option, name);
        add_option(page, name, option->help);
    }
}

void man_page_scheduler(struct text *page)
{
    add_title(page, "GLOWWORM-SCHEDULER", 1,
              "glowworm-scheduler - run many campaigns on one machine, by priority");
    text_add(page, ".SH SYNOPSIS\n\\fBglowworm\\-scheduler\\fR [\\fIOPTIONS\\fR]\n"
                   ".SH DESCRIPTION\n");
    add_words(page, daemon_description);
    text_add(page, ".SH OPTIONS\n");
    add_daemon_options(page);
    text_add(page, ".SH EXIT STATUS\n");
    add_words(page, command_exit_codes);
    text_add(page, ".SH ENVIRONMENT\n.TP\n.B GLOWWORM_SCHEDULER\n"
                   "Its folder, for the commands too, where \\-\\-folder does not name one.\n"
                   ".SH SEE ALSO\n.BR glowworm (1)\n");
}

static void add_faults(struct text *page)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        char name[64], help[256];
        fault_row_text(&fault_rows[i], name);
        fault_row_help(&fault_rows[i], help);
        add_option(page, name, help);
    }
}

void man_page_camera_sim(struct text *page)
{
    add_title(page, "GLOWWORM-CAMERA-SIM", 1,
              "glowworm-camera-sim - a simulated Firefly DL on a loopback address");
    text_add(page, ".SH SYNOPSIS\n\\fBglowworm\\-camera\\-sim\\fR [\\fIOPTIONS\\fR]\n"
                   ".SH DESCRIPTION\n");
    add_words(page, sim_description);
    text_add(page, ".SH OPTIONS\n");
    for (const struct sim_option *option = sim_options; option->name; option++) {
        char name[64];
        sim_option_text(option, name);
        add_option(page, name, option->help);
    }
    text_add(page, ".SH FAULTS\n");
    add_faults(page);
    text_add(page, ".SH EXIT STATUS\n");
    add_words(page, command_exit_codes);
    text_add(page, ".SH SEE ALSO\n.BR glowworm (1)\n");
}

/* "key: type, range, default" and, indented by four, its help; the keys of a row begin "    - ". */
static void add_knobs(struct text *page, const char *help)
{
    bool is_in_row = false;
    for (const char *line = help; *line;) {
        size_t size = strcspn(line, "\n");
        const char *text = line + strspn(line, " ");
        bool is_row_key = strncmp(text, "- ", 2) == 0, is_key = text == line || is_row_key;
        text += is_row_key ? 2 : 0;
        if (is_row_key != is_in_row && is_key) {
            text_add(page, is_row_key ? ".RS\n" : ".RE\n");
            is_in_row = is_row_key;
        }
        size_t key = is_key ? strcspn(text, ":") : 0;
        if (is_key) {
            text_add(page, ".TP\n\\fB");
            add_plain(page, text, key);
            text_add(page, "\\fR");
        }
        add_plain(page, text + key, size - (size_t)(text - line) - key);
        text_add(page, "\n");
        line += size + (line[size] == '\n');
    }
    text_add(page, is_in_row ? ".RE\n" : "");
}

void man_page_campaign(struct text *page)
{
    struct text help;
    text_init(&help);
    campaign_help(&help);
    add_title(page, "GLOWWORM-CAMPAIGN", 5, "glowworm-campaign - what glowworm run is to do");
    text_add(page, ".SH DESCRIPTION\n"
                   "A campaign is a YAML file. A key with a dot stands in a section, or as it is:\n"
                   "\\fBglowworm run\\fR \\fIFILE\\fR \\-\\-set \\fIkey\\fR=\\fIvalue\\fR\n"
                   "overrides one.\n.SH KEYS\n");
    add_knobs(page, text_get(&help));
    text_add(page, ".SH SEE ALSO\n.BR glowworm (1)\n");
    text_fini(&help);
}
