/* A line with latency: a TCP proxy in one thread that holds back every octet for half a round trip.
 *
 *     delay PORT SECONDS     to PORT of the loopback; SECONDS is the round trip
 *
 * It has the order "address". Of a real line it has the latency alone: no slow start, no loss, no limit of
 * bandwidth. What arrives is acknowledged at once, so Nagle's algorithm costs no client anything, and
 * connecting takes no round trip.
 */

#define _GNU_SOURCE
#include "orders.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>

enum { PART = 64 * 1024, MOST = 8 * 1024 * 1024, SECOND = 1000000000 };
enum { WAKING = 150000 }; /* about what being woken adds to half a round trip */

/* Octets that were read together and leave together; none at all stand for the end of what one side says. */
struct part {
    struct part *next;
    struct side *to;
    int64_t due;
    size_t size, sent;
    char octets[];
};

/* One side of a line: its socket, and what is on the way to it. */
struct side {
    int socket;
    struct side *other;
    struct part *due, **last_due; /* what should have left: the socket had no room for it */
    size_t held;                  /* octets on the way */
    bool silent, told;            /* it has said all; it was told that the other has */
};

struct line {
    struct side sides[2];
    struct line *next;
};

static int events, timer;
static int64_t half;
static struct part *waiting, **newest = &waiting; /* for all sides: what is read first is due first */
static struct line *finished;                     /* freed after the batch of events that may name them */

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void set_timer(void) {
    if (!waiting) return;
    struct itimerspec when = {.it_value = {waiting->due / SECOND, waiting->due % SECOND}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void hold(struct side *to, const char *octets, size_t size) {
    struct part *part = allocated(malloc(sizeof *part + size));
    *part = (struct part){.to = to, .due = now() + half, .size = size};
    memcpy(part->octets, octets, size);
    to->held += size;
    *newest = part;
    newest = &part->next;
    if (waiting == part) set_timer();
}

/* Reads all that the side has said, unless the other one is too slow for it. */
static void listen_to(struct side *side) {
    static char octets[PART];
    while (!side->silent && side->other->held < MOST) {
        ssize_t got = recv(side->socket, octets, PART, 0);
        if (got < 0 && errno == EAGAIN) break;
        side->silent = got <= 0;
        hold(side->other, octets, got > 0 ? got : 0);
    }
    setsockopt(side->socket, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
}

static void finish(struct side *side) {
    struct line *line = (struct line *)(side < side->other ? side : side->other);
    for (int at = 0; at < 2; at++) {
        close(line->sides[at].socket);
        line->sides[at].socket = -1;
    }
    line->next = finished;
    finished = line;
}

static void tell(struct side *side) {
    bool was_full = side->held >= MOST;
    for (struct part *part; (part = side->due);) {
        while (part->sent < part->size) {
            const char *from = part->octets + part->sent;
            ssize_t went = send(side->socket, from, part->size - part->sent, MSG_NOSIGNAL);
            if (went < 0 && errno == EAGAIN) return;
            part->sent = went < 0 ? part->size : part->sent + went; /* an error: nobody is there to read it */
        }
        if (!part->size) {
            shutdown(side->socket, SHUT_WR);
            side->told = true;
        }
        side->held -= part->size;
        if (!(side->due = part->next)) side->last_due = &side->due;
        free(part);
    }
    if (was_full) listen_to(side->other);
    if (side->told && side->other->told && side->socket >= 0) finish(side);
}

static void pass_on(void) {
    for (int64_t time = now(); waiting && waiting->due <= time;) {
        struct part *part = waiting;
        struct side *side = part->to;
        if (!(waiting = part->next)) newest = &waiting;
        part->next = NULL;
        *side->last_due = part;
        side->last_due = &part->next;
        tell(side);
    }
    set_timer();
}

static void accept_all(int server, int port) {
    for (;;) {
        int client = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) return;
        struct sockaddr_in address = loopback(port);
        int target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (target < 0 || connect(target, (struct sockaddr *)&address, sizeof address)) fail("connect");
        fcntl(target, F_SETFL, O_NONBLOCK);
        struct line *line = allocated(calloc(1, sizeof *line));
        for (int at = 0; at < 2; at++) {
            struct side *side = &line->sides[at];
            side->socket = at ? target : client;
            side->other = &line->sides[!at];
            side->last_due = &side->due;
            at_once(side->socket);
        }
        for (int at = 0; at < 2; at++)
            watch(events, line->sides[at].socket, EPOLLIN | EPOLLOUT | EPOLLET, &line->sides[at]);
    }
}

int main(int given, char **arguments) {
    if (given != 3) return 2;
    int target = atoi(arguments[1]);
    half = strtod(arguments[2], NULL) * SECOND / 2 - WAKING;
    int port, server = listening(&port);
    prctl(PR_SET_TIMERSLACK, 1);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    events = epoll_create1(EPOLL_CLOEXEC);
    watch(events, STDIN_FILENO, EPOLLIN, NULL);
    watch(events, server, EPOLLIN, &server);
    watch(events, timer, EPOLLIN | EPOLLET, &timer);
    for (;;) {
        struct epoll_event happened[EVENTS];
        int count = epoll_wait(events, happened, EVENTS, -1);
        for (int at = 0; at < count; at++) {
            void *about = happened[at].data.ptr;
            if (about == &server) {
                accept_all(server, target);
            } else if (about == &timer) {
                pass_on();
            } else if (about) {
                tell(about);
                listen_to(about);
            } else {
                order();
                dprintf(STDOUT_FILENO, "{\"host\": \"127.0.0.1\", \"port\": %d}\n", port);
            }
        }
        for (struct line *line; (line = finished);) {
            finished = line->next;
            free(line);
        }
    }
}
