#include "cluster/verdict.h"
#include <string.h>

const char *verdict_word(enum survey_verdict verdict)
{
    switch (verdict) {
    case SURVEY_DONE:
        return "done";
    case SURVEY_NEW:
        return "to do";
    case SURVEY_PARTIAL:
        return "begun";
    case SURVEY_CHANGED:
        return "changed";
    case SURVEY_FOLLOWS:
        return "again";
    case SURVEY_LOST:
        return "lost";
    }
    return "";
}

/* The lines of `why` in one: "a 1 -> 2, b 3 -> 4". */
static void add_lines(const char *why, struct text *line)
{
    for (const char *comma = ""; *why; comma = ", ") {
        size_t size = strcspn(why, "\n");
        text_add(line, "%s%.*s", comma, (int)size, why);
        why += size + (why[size] == '\n');
    }
}

void verdict_explain(const char *name, const struct survey_stage *stage, struct text *line)
{
    switch (stage->verdict) {
    case SURVEY_DONE:
    case SURVEY_NEW:
        break;
    case SURVEY_PARTIAL:
        if (stage->why[0]) {
            text_add(line, "%s goes on from an older checkpoint, since ", name);
            add_lines(stage->why, line);
            break;
        }
        text_add(line, "%s goes on at step %llu", name, (unsigned long long)stage->record.step);
        break;
    case SURVEY_CHANGED:
        text_add(line, "%s: ", name);
        add_lines(stage->why, line);
        break;
    case SURVEY_FOLLOWS:
        text_add(line, "%s: again, since ", name);
        add_lines(stage->why, line);
        break;
    case SURVEY_LOST:
        text_add(line, "%s: again, since ", name);
        add_lines(stage->why, line);
        break;
    }
}
