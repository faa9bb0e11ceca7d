#include "base/fault.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RULES 16

enum fault_kind { FAULT_IO, FAULT_FULL, FAULT_KILL, FAULT_STOP, FAULT_AGAIN };

struct rule {
    char name[64];
    long call;  /* 1: the first */
    long calls; /* so far */
    enum fault_kind kind;
};

/* The other place with mutable globals (STYLE 24). `armed` lets a process without rules pass. */
enum armed { ARMED_UNREAD, ARMED_NO, ARMED_YES };
static atomic_int armed = ARMED_UNREAD;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[MAX_RULES];
static int rule_count;

/* A rule that cannot be read aborts: a fault test whose fault never happens must not pass. */
static void parse_rule(const char *text)
{
    struct rule rule = {.kind = FAULT_IO};
    char kind[8] = "";
    int fields = sscanf(text, "%63[^:]:%ld:%7s", rule.name, &rule.call, kind);
    if (fields < 2 || rule.call < 1 || rule_count == MAX_RULES)
        BUG("GLOWWORM_FAULT: cannot use \"%s\"; expected NAME:CALL[:kill|stop|full|again]", text);
    if (fields == 3 && strcmp(kind, "kill") == 0)
        rule.kind = FAULT_KILL;
    else if (fields == 3 && strcmp(kind, "stop") == 0)
        rule.kind = FAULT_STOP;
    else if (fields == 3 && strcmp(kind, "full") == 0)
        rule.kind = FAULT_FULL;
    else if (fields == 3 && strcmp(kind, "again") == 0)
        rule.kind = FAULT_AGAIN;
    else if (fields == 3)
        BUG("GLOWWORM_FAULT: \"%s\" is neither kill, stop, full nor again", kind);
    rules[rule_count++] = rule;
}

static void read_rules(void)
{
    const char *text = getenv("GLOWWORM_FAULT");
    char copy[1024];
    rule_count = 0;
    if (text && snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        BUG("GLOWWORM_FAULT is longer than %zu bytes", sizeof copy - 1);
    char *rest = NULL;
    for (char *rule = text ? strtok_r(copy, ",", &rest) : NULL; rule;
         rule = strtok_r(NULL, ",", &rest))
        parse_rule(rule);
    atomic_store(&armed, rule_count > 0 ? ARMED_YES : ARMED_NO);
}

/* The rule that this call of the point sets off, or NULL. Under the lock. */
static const struct rule *count_call(const char *name)
{
    const struct rule *hit = NULL;
    for (struct rule *rule = rules; rule < rules + rule_count; rule++)
        if (strcmp(rule->name, name) == 0 && ++rule->calls == rule->call)
            hit = rule;
    return hit;
}

enum err fault_check(const char *name)
{
    if (atomic_load_explicit(&armed, memory_order_relaxed) == ARMED_NO)
        return ERR_OK;
    pthread_mutex_lock(&lock);
    if (atomic_load(&armed) == ARMED_UNREAD)
        read_rules();
    const struct rule *hit = count_call(name);
    enum fault_kind kind = hit ? hit->kind : FAULT_IO;
    pthread_mutex_unlock(&lock);
    if (!hit)
        return ERR_OK;
    if (kind == FAULT_KILL)
        raise(SIGKILL);
    if (kind == FAULT_STOP) {
        raise(SIGSTOP);
        return ERR_OK;
    }
    enum err code = kind == FAULT_FULL ? ERR_FULL : kind == FAULT_AGAIN ? ERR_AGAIN : ERR_IO;
    return err_set(code, "a fault injected at %s", name);
}

void fault_reset(void)
{
    pthread_mutex_lock(&lock);
    read_rules();
    pthread_mutex_unlock(&lock);
}
