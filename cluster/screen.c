#include "cluster/screen.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER        "\033[?1049h\033[?25l" /* the alternate screen, no cursor */
#define LEAVE        "\033[0m\033[?25h\033[?1049l"
#define SLICE_MS     100 /* a signal between looking and waiting is seen after so long */
#define ESCAPE_MS    25  /* the rest of an arrow */
#define DEFAULT_ROWS 24
#define DEFAULT_ROW  80

/* What a handler may touch: the terminal as it was, and what has come. */
static struct termios before;
static volatile sig_atomic_t is_open, has_before, ended_by, is_resized, is_stop_asked;

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

/* Only what a handler may call. */
static void give_back(void)
{
    if (!is_open)
        return;
    is_open = 0;
    ssize_t written = write(STDOUT_FILENO, LEAVE, sizeof LEAVE - 1);
    (void)written;
    if (has_before)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_deadly(int signal)
{
    give_back();
    raise(signal); /* its default action is back already */
}

static void on_signal(int number)
{
    if (number == SIGWINCH || number == SIGCONT)
        is_resized = 1;
    else if (number == SIGTSTP)
        is_stop_asked = 1;
    else
        ended_by = number;
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void watch_signals(void)
{
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        handle(ending[i], on_signal, 0);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        handle(deadly[i], on_deadly, (int)SA_RESETHAND);
    handle(SIGWINCH, on_signal, 0);
    handle(SIGCONT, on_signal, 0);
    handle(SIGTSTP, on_signal, 0);
}

bool screen_is_there(void)
{
    const char *name = getenv("TERM");
    return isatty(STDOUT_FILENO) && name && name[0] && strcmp(name, "dumb") != 0;
}

static void take_over(void)
{
    struct termios raw = before;
    is_open = 1;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (has_before)
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    ssize_t written = write(STDOUT_FILENO, ENTER, sizeof ENTER - 1);
    (void)written;
}

enum err screen_open(void)
{
    if (!screen_is_there())
        return err_set(ERR_UNAVAILABLE,
                       "standard output is no terminal: \"glowworm status\" says the same once");
    has_before = tcgetattr(STDIN_FILENO, &before) == 0; /* else there are no keys */
    watch_signals();
    take_over();
    return ERR_OK;
}

void screen_close(void)
{
    give_back();
}

int screen_signal(void)
{
    return ended_by;
}

/* Ctrl-Z: the shell gets its terminal, and we ours back when it lets us go on. */
static void stop_here(void)
{
    is_stop_asked = 0;
    give_back();
    raise(SIGSTOP);
    take_over();
    is_resized = 1;
}

/* -1: there is none, -2: there will be none. */
static int read_byte(int timeout_ms)
{
    unsigned char byte = 0;
    struct pollfd input = {.fd = has_before ? STDIN_FILENO : -1, .events = POLLIN};
    if (poll(&input, 1, timeout_ms) <= 0)
        return -1;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got == 1)
        return byte;
    return got < 0 && (errno == EINTR || errno == EAGAIN) ? -1 : -2;
}

/* Arrows are an escape and two more characters, which come at once. */
static int read_key(int timeout_ms)
{
    int byte = read_byte(timeout_ms);
    if (byte != '\033')
        return byte;
    int next = read_byte(ESCAPE_MS);
    if (next != '[' && next != 'O')
        return SCREEN_ESCAPE;
    int last = read_byte(ESCAPE_MS);
    return last == 'A' ? SCREEN_UP : last == 'B' ? SCREEN_DOWN : -1;
}

static enum screen_event wait_slice(int timeout_ms, int *key)
{
    int pressed = read_key(timeout_ms);
    if (pressed < 0)
        return pressed == -1 ? SCREEN_NOTHING : SCREEN_END;
    *key = pressed;
    return SCREEN_KEY;
}

enum screen_event screen_wait(int timeout_ms, int *key)
{
    for (int left = timeout_ms; left > 0; left -= SLICE_MS) {
        enum screen_event event = wait_slice(left < SLICE_MS ? left : SLICE_MS, key);
        if (is_stop_asked)
            stop_here();
        if (ended_by)
            return SCREEN_END;
        if (is_resized) {
            is_resized = 0;
            return SCREEN_REDRAW;
        }
        if (event != SCREEN_NOTHING)
            return event;
    }
    return SCREEN_NOTHING;
}

void screen_size(int *rows, int *columns)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;
    *rows = is_known ? size.ws_row : DEFAULT_ROWS;
    *columns = is_known ? size.ws_col : DEFAULT_ROW;
}

void screen_add_line(struct text *picture, const char *colour, const char *line, size_t size_bytes,
                     int columns)
{
    size_t used = 0;
    for (int column = 0; column < columns && used < size_bytes; column++) {
        size_t size = text_character_size(line + used, size_bytes - used);
        used += size > 0 ? size : 1;
    }
    text_add(picture, "%s%s%s", colour[0] ? "\033[" : "", colour, colour[0] ? "m" : "");
    text_add_safe(picture, line, used);
    text_add(picture, "%s\033[K\n", colour[0] ? "\033[0m" : "");
}

/* The last line has no end, which would move all up. */
void screen_show(const struct text *picture)
{
    struct text out;
    size_t size = picture->size > 0 ? picture->size - 1 : 0;
    text_init(&out);
    text_add(&out, "\033[H");
    text_add_bytes(&out, text_get(picture), size);
    text_add(&out, "\033[J");
    for (size_t sent = 0; sent < out.size;) {
        ssize_t put = write(STDOUT_FILENO, out.bytes + sent, out.size - sent);
        if (put < 0 && errno != EINTR)
            break; /* the next wait sees that it is gone */
        sent += put > 0 ? (size_t)put : 0;
    }
    text_fini(&out);
}
