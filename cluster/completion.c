#include "cluster/completion.h"
#include "camera/sim/options.h"
#include "cluster/command.h"
#include "cluster/daemon/daemon_options.h"
#include "trainer/spec/campaign.h"
#include <stdbool.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyz-"

/* The words behind "glowworm" for position 1: every noun once. */
static void add_nouns(struct text *script)
{
    for (const struct command *c = commands; c->noun; c++)
        if (c == commands || strcmp(c->noun, c[-1].noun) != 0)
            text_add(script, "%s ", c->noun);
}

static void add_verbs(struct text *script)
{
    const char *noun = "";
    for (const struct command *c = commands; c->noun; c++) {
        if (!c->verb)
            continue;
        bool is_same = strcmp(noun, c->noun) == 0;
        if (!is_same)
            text_add(script, "%s\n        [%s]=\"", noun[0] ? "\"" : "", c->noun);
        text_add(script, "%s%s", is_same ? " " : "", c->verb);
        noun = c->noun;
    }
    text_add(script, "\"\n");
}

static void add_options(struct text *script)
{
    for (const struct command *c = commands; c->noun; c++) {
        char name[COMMAND_NAME];
        command_name(c, name);
        text_add(script, "        [\"%s\"]=\"", name);
        for (const char *at = strstr(c->usage, "--"); at; at = strstr(at + 2, "--"))
            text_add(script, "%.*s ", (int)(2 + strspn(at + 2, LETTERS)), at);
        text_add(script, "--help\"\n");
    }
}

/* "--format raw|jpeg" says which values there are; "--to FOLDER" does not. */
static void add_values_of(struct text *script, const char *name, const char *option)
{
    size_t size = 2 + strspn(option + 2, LETTERS);
    const char *value = option + size + 1;
    size_t length = option[size] == ' ' ? strspn(value, LETTERS "|") : 0;
    if (length == 0 || !memchr(value, '|', length))
        return;
    text_add(script, "        [\"%s %.*s\"]=\"", name, (int)size, option);
    for (size_t i = 0; i < length; i++)
        text_add(script, "%c", value[i] == '|' ? ' ' : value[i]);
    text_add(script, "\"\n");
}

static void add_values(struct text *script)
{
    for (const struct command *c = commands; c->noun; c++) {
        char name[COMMAND_NAME];
        command_name(c, name);
        for (const char *at = strstr(c->usage, "--"); at; at = strstr(at + 2, "--"))
            add_values_of(script, name, at);
    }
}

/* "key=" of every knob that --set may name: lines of the help that are not indented. */
static void add_keys(struct text *script)
{
    struct text help;
    text_init(&help);
    campaign_help(&help);
    for (const char *line = text_get(&help); *line;) {
        size_t size = strcspn(line, "\n");
        if (line[0] != ' ')
            text_add(script, "%.*s= ", (int)strcspn(line, ":"), line);
        line += size + (line[size] == '\n');
    }
    text_fini(&help);
}

static const char body[] =
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "        offered=$nouns\n"
    "    elif [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"${verbs[$command]-}\" ]; then\n"
    "        offered=${verbs[$command]}\n"
    "    else\n"
    "        [ -z \"${verbs[$command]-}\" ] || command+=\" ${COMP_WORDS[2]}\"\n"
    "        offered=${values[\"$command $previous\"]-}\n"
    "        if [ \"$previous\" = --set ]; then\n"
    "            offered=$keys\n"
    "            compopt -o nospace 2>/dev/null\n"
    "        elif [ -z \"$offered\" ] && [[ $word == -* ]]; then\n"
    "            offered=${options[$command]-}\n"
    "        fi\n"
    "    fi\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$offered\" -- \"$word\")\n"
    "}\n"
    "complete -o default -F _glowworm glowworm\n";

static void add_scheduler(struct text *script)
{
    text_add(script, "complete -f -W \"");
    for (const struct daemon_option *option = daemon_options; option->name; option++)
        text_add(script, "--%s ", option->name);
    text_add(script, "\" glowworm-scheduler\n");
}

static void add_camera_sim(struct text *script)
{
    text_add(script, "complete -f -W \"");
    for (const struct sim_option *option = sim_options; option->name; option++)
        text_add(script, "--%s ", option->name);
    text_add(script, "\" glowworm-camera-sim\n");
}

void completion_bash(struct text *script)
{
    text_add(script,
             "# Completion of glowworm for bash, written by \"glowworm help completion\".\n"
             "_glowworm() {\n"
             "    local word=${COMP_WORDS[COMP_CWORD]} offered\n"
             "    local command=${COMP_WORDS[1]:-none} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
             "    local nouns=\"");
    add_nouns(script);
    text_add(script, "--help --version\"\n    local keys=\"");
    add_keys(script);
    text_add(script, "\"\n    local -A verbs=(");
    add_verbs(script);
    text_add(script, "    )\n    local -A options=(\n");
    add_options(script);
    text_add(script, "    )\n    local -A values=(\n");
    add_values(script);
    text_add(script, "    )\n%s", body);
    add_scheduler(script);
    add_camera_sim(script);
}
