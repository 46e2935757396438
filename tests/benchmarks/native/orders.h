/* What both servers have in common: a loopback port of their own, orders on stdin, and an end with it.
 *
 * The protocol is that of peers/loop.py: a JSON object a line. No order here has an argument, so nothing is
 * parsed: an order is the one whose quoted name occurs in the line.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BACKLOG = 512 };

static inline void fail(const char *what) {
    perror(what);
    exit(1);
}

static inline void *allocated(void *memory) {
    if (!memory) fail("memory");
    return memory;
}

static inline double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
           1e-6 * (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Port 0 is a free one. */
static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline int listening(int *port) {
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (server < 0 || bind(server, (struct sockaddr *)&address, size)) fail("bind");
    if (listen(server, BACKLOG)) fail("listen");
    getsockname(server, (struct sockaddr *)&address, &size);
    *port = ntohs(address.sin_port);
    return server;
}

static inline void at_once(int socket) {
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static inline void watch(int events, int file, unsigned kinds, void *about) {
    struct epoll_event event = {.events = kinds, .data.ptr = about};
    if (epoll_ctl(events, EPOLL_CTL_ADD, file, &event)) fail("epoll_ctl");
}

/* The next order; the caller answers each with one line. The process ends where stdin does. */
static inline const char *order(void) {
    static char line[4096];
    ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
    if (got <= 0) exit(0);
    line[got] = 0;
    return line;
}

static inline bool asks(const char *given, const char *name) {
    return strstr(given, name) != NULL;
}
