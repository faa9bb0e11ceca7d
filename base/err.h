/* Errors: one enum, one idiom (TRY ... out:), one text per thread.
 * A function that can fail returns enum err and sets its out-parameters only on success. err_set()
 * records a sentence for people (what, where, the cure); the text stays until the next err_set() of
 * the same thread. Only main() turns an error into an exit code. Any thread may call everything
 * here. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN   __attribute__((noreturn)) /* CUDA C++ reads this header, too */
#define PRINTF_LIKE(format_index, first_argument)                                                  \
    __attribute__((format(printf, format_index, first_argument)))

enum err {
    ERR_OK = 0,
    ERR_FAILED,      /* the work failed and a retry would fail again: exit 1 */
    ERR_USAGE,       /* the command line is wrong: exit 2 */
    ERR_DATA,        /* an image, checkpoint, message or file is bad: exit 65 */
    ERR_NOT_FOUND,   /* a named thing is not there: exit 65 */
    ERR_NUMERIC,     /* NaN or infinity in training: exit 65 */
    ERR_UNAVAILABLE, /* a service, device or program is not there: exit 69 */
    ERR_IO,          /* reading or writing failed: exit 74 */
    ERR_FULL,        /* no space left on the disk or in the map: exit 74 */
    ERR_MEMORY,      /* a device, pinned or file-sized allocation failed: exit 71 */
    ERR_PEER,        /* a rank, gang or scheduler went away: exit 75, worth a retry */
    ERR_AGAIN,       /* busy or locked: exit 75 */
    ERR_CONFIG,      /* a campaign, space, device or site file is wrong: exit 78 */
    ERR_INTERRUPTED, /* a stop that was asked for: exit 130 */
    ERR_REQUEUE,     /* all is saved, and its job asks to be queued again: exit 85 */
    ERR_HELD         /* a person has to do something first, and the text says what: exit 86 */
};

/* Records the text and returns `code`, so that `return err_set(ERR_DATA, ...)` and
 * TRY(err_set(...)) read well. */
enum err err_set(enum err code, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " in front of the recorded text (where it happened, seen from further up); returns
 * `code`. */
enum err err_prefix(enum err code, const char *format, ...) PRINTF_LIKE(2, 3);

/* The last text of this thread, "" when none; borrowed until the thread's next err_set(). */
const char *err_text(void);

/* The name of a code as logs show it, e.g. "data". */
const char *err_name(enum err code);

/* The code of a name; one that only a later program knows is a failure. */
enum err err_of_name(const char *name);

/* The exit code of the interface (docs: exit codes). */
int err_exit_code(enum err code);

/* One debug-level trace line per frame on the way up; the log has it (base/log.c). */
void err_trace(const char *file, int line, const char *call);

/* We are wrong: prints file, line and sentence, then aborts, in release builds too. */
#define BUG(...) err_bug(__FILE__, __LINE__, __VA_ARGS__)
NORETURN void err_bug(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4);

/* Needs `enum err err` and a label `out:` in the function. The only macro that jumps. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        err = (call);                                                                              \
        if (err != ERR_OK) {                                                                       \
            err_trace(__FILE__, __LINE__, #call);                                                  \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)

#endif
