/* An SMTP server that takes everything and keeps nothing, in one thread: for clients that sink.py is too
 * slow for. It has sink.py's orders "address" and "count", and the same offers, but no STARTTLS.
 *
 *     sink [--without KEYWORD]... [--pem FILE]     with a key and a certificate: TLS from the first octet
 *
 * Commands out of order are answered with 503, and the connection ends: that client is not worth measuring.
 */

#define _GNU_SOURCE
#include "orders.h"

#include <signal.h>
#include <stdint.h>
#include <strings.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
static SSL_CTX *context;
#endif

enum { INPUT = 128 * 1024 };
enum mode { COMMAND, CONTENT, CHUNK, LOGIN };

/* One connection. input[start..end) has been received and not been read yet. */
struct session {
    int socket;
    unsigned awaited; /* EPOLLIN, or EPOLLOUT while replies do not fit into the socket */
    enum mode mode;
    bool mail, recipient, last, ending;
    const char *const *prompts; /* what AUTH has still to ask */
    size_t left;                /* octets that the chunk still has */
    size_t start, end;
    char *output;
    size_t sent, filled, room;
#ifdef WITH_TLS
    SSL *tls;
#endif
    char input[INPUT];
};

static const char *const OFFERS[] = {
    "PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600", "CHUNKING", "AUTH PLAIN LOGIN",
};
static const char *const PLAIN_PROMPTS[] = {"", NULL};
static const char *const LOGIN_PROMPTS[] = {"VXNlcm5hbWU6", "UGFzc3dvcmQ6", NULL};

static const char TAKEN[] = "250 2.0.0 Ok: taken\r\n", OK[] = "250 2.0.0 Ok\r\n";
static char hello[512];
static int events;
static long messages;

static void reply(struct session *session, const char *text) {
    size_t size = strlen(text);
    if (session->filled + size > session->room) {
        session->room = 2 * (session->filled + size);
        session->output = allocated(realloc(session->output, session->room));
    }
    memcpy(session->output + session->filled, text, size);
    session->filled += size;
}

static void refuse(struct session *session, const char *text) {
    reply(session, text);
    session->ending = true;
}

/* ---------------------------------------------------------------- octets in and out */

/* What one try moved: octets, 0 if the socket has none or no room, -1 if the connection is gone. */
static ssize_t moved(ssize_t octets) {
    if (octets > 0) return octets;
    return octets < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

#ifdef WITH_TLS
static ssize_t moved_by_tls(struct session *session, int octets) {
    if (octets > 0) return octets;
    int error = SSL_get_error(session->tls, octets);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}
#endif

static ssize_t receive(struct session *session) {
    if (session->start) {
        memmove(session->input, session->input + session->start, session->end - session->start);
        session->end -= session->start;
        session->start = 0;
    }
    ssize_t got;
#ifdef WITH_TLS
    if (session->tls) { /* a record has 16 KiB at most; replies wait until all that came has been read */
        ssize_t all = 0;
        do {
            got = moved_by_tls(
                session, SSL_read(session->tls, session->input + session->end, INPUT - session->end));
            if (got > 0) session->end += got, all += got;
        } while (got > 0 && session->end < INPUT);
        return all ? all : got;
    }
#endif
    got = moved(recv(session->socket, session->input + session->end, INPUT - session->end, 0));
    if (got > 0) session->end += got;
    return got;
}

/* True once every reply has left; false while the client must read first, or if it is gone. */
static bool flush(struct session *session) {
    while (session->sent < session->filled) {
        const char *from = session->output + session->sent;
        size_t size = session->filled - session->sent;
        ssize_t went;
#ifdef WITH_TLS
        if (session->tls)
            went = moved_by_tls(session, SSL_write(session->tls, from, size));
        else
#endif
            went = moved(send(session->socket, from, size, MSG_NOSIGNAL));
        if (went < 0) session->ending = true;
        if (went <= 0) return false;
        session->sent += went;
    }
    session->sent = session->filled = 0;
    return true;
}

/* ---------------------------------------------------------------- SMTP */

static void took(struct session *session) {
    messages++;
    session->mail = session->recipient = false;
    session->mode = COMMAND;
}

/* Looks for the final dot; from dot to dot, which memchr is fast at. */
static bool read_content(struct session *session) {
    char *end = session->input + session->end;
    char *dot = session->input + session->start + 2;
    while (dot < end && (dot = memchr(dot, '.', end - dot))) {
        if (end - dot >= 3 && !memcmp(dot - 2, "\r\n.\r\n", 5)) {
            session->start = dot + 3 - session->input;
            took(session);
            reply(session, TAKEN);
            return true;
        }
        dot++;
    }
    size_t kept = session->end - session->start < 4 ? session->end - session->start : 4;
    session->start = session->end - kept; /* it may be an end cut off */
    return false;
}

static bool read_chunk(struct session *session) {
    size_t there = session->end - session->start;
    size_t part = there < session->left ? there : session->left;
    session->start += part;
    session->left -= part;
    if (session->left) return false;
    session->mode = COMMAND;
    if (session->last) took(session);
    reply(session, TAKEN);
    return true;
}

static void prompt(struct session *session) {
    session->mode = *session->prompts ? LOGIN : COMMAND;
    if (!*session->prompts) {
        reply(session, "235 2.7.0 Welcome\r\n");
        return;
    }
    reply(session, "334 ");
    reply(session, *session->prompts++);
    reply(session, "\r\n");
}

/* The first four letters, in capitals. */
#define VERB(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static uint32_t verb(const char *line) {
    const unsigned char *letters = (const unsigned char *)line;
    return VERB(letters[0], letters[1], letters[2], letters[3]) & 0xDFDFDFDF;
}

/* line ends with a zero and is at least four octets long. */
static void command(struct session *session, const char *line) {
    switch (verb(line)) {
        case VERB('M', 'A', 'I', 'L'):
            if (session->mail) return refuse(session, "503 5.5.1 Nested MAIL\r\n");
            session->mail = true;
            return reply(session, OK);
        case VERB('R', 'C', 'P', 'T'):
            if (!session->mail) return refuse(session, "503 5.5.1 MAIL first\r\n");
            session->recipient = true;
            return reply(session, OK);
        case VERB('D', 'A', 'T', 'A'):
            if (!session->recipient) return refuse(session, "503 5.5.1 RCPT first\r\n");
            session->mode = CONTENT;
            session->start -= 2; /* its line end, for a content that begins with a dot */
            return reply(session, "354 Go on\r\n");
        case VERB('B', 'D', 'A', 'T'): {
            if (!session->recipient) return refuse(session, "503 5.5.1 RCPT first\r\n");
            char *rest;
            session->left = strtoul(line + 4, &rest, 10);
            session->last = !strcasecmp(rest, " LAST");
            session->mode = CHUNK;
            return;
        }
        case VERB('R', 'S', 'E', 'T'):
            session->mail = session->recipient = false;
            return reply(session, OK);
        case VERB('N', 'O', 'O', 'P'):
            return reply(session, OK);
        case VERB('E', 'H', 'L', 'O'):
            return reply(session, hello);
        case VERB('H', 'E', 'L', 'O'):
            return reply(session, "250 sink\r\n");
        case VERB('A', 'U', 'T', 'H'): {
            bool login = !strncasecmp(line, "AUTH LOGIN", 10);
            if (!login && strncasecmp(line, "AUTH PLAIN", 10))
                return reply(session, "504 5.5.4 Unknown mechanism\r\n");
            session->prompts = (login ? LOGIN_PROMPTS : PLAIN_PROMPTS) + (line[10] == ' ');
            return prompt(session);
        }
        case VERB('Q', 'U', 'I', 'T'):
            return refuse(session, "221 2.0.0 Bye\r\n");
        default:
            return reply(session, "500 5.5.1 Unknown command\r\n");
    }
}

static bool read_line(struct session *session) {
    char *line = session->input + session->start;
    char *newline = memchr(line, '\n', session->end - session->start);
    if (!newline) {
        if (session->end - session->start == INPUT) session->ending = true;
        return false;
    }
    session->start = newline + 1 - session->input;
    if (session->mode == LOGIN) {
        prompt(session);
        return true;
    }
    if (newline - line < 5 || newline[-1] != '\r') {
        refuse(session, "500 5.5.2 Not a command\r\n");
        return false;
    }
    newline[-1] = 0;
    command(session, line);
    newline[-1] = '\r'; /* DATA looks at it again */
    return true;
}

/* Reads all that is there; the replies wait in output. */
static void take(struct session *session) {
    bool more = true;
    while (more && !session->ending) {
        switch (session->mode) {
            case CONTENT: more = read_content(session); break;
            case CHUNK: more = read_chunk(session); break;
            default: more = read_line(session);
        }
    }
}

/* ---------------------------------------------------------------- connections */

static void expect(struct session *session, unsigned kind) {
    if (session->awaited == kind) return;
    session->awaited = kind;
    struct epoll_event event = {.events = kind, .data.ptr = session};
    if (epoll_ctl(events, EPOLL_CTL_MOD, session->socket, &event)) fail("epoll_ctl");
}

static void end(struct session *session) {
#ifdef WITH_TLS
    if (session->tls) {
        SSL_shutdown(session->tls);
        ERR_clear_error();
        SSL_free(session->tls);
    }
#endif
    close(session->socket);
    free(session->output);
    free(session);
}

static void serve(struct session *session) {
    for (;;) {
        if (!flush(session)) {
            if (session->ending) return end(session);
            return expect(session, EPOLLOUT);
        }
        if (session->ending) return end(session);
        ssize_t got = receive(session);
        if (got < 0) return end(session);
        if (!got) return expect(session, EPOLLIN);
        take(session);
#ifdef WITH_TLS
        if (session->tls) continue; /* OpenSSL may hold more than the socket shows */
#endif
        if (flush(session) && !session->ending) return expect(session, EPOLLIN);
    }
}

static void accept_all(int server) {
    for (;;) {
        int client = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) return;
        at_once(client);
        struct session *session = allocated(calloc(1, sizeof *session));
        session->socket = client;
        session->awaited = EPOLLIN;
#ifdef WITH_TLS
        if (context) {
            session->tls = allocated(SSL_new(context));
            SSL_set_fd(session->tls, client);
            SSL_set_accept_state(session->tls); /* SSL_read and SSL_write then shake hands first */
        }
#endif
        watch(events, client, EPOLLIN, session);
        reply(session, "220 sink ESMTP\r\n");
        serve(session);
    }
}

static void use_tls(const char *pem) {
#ifdef WITH_TLS
    context = allocated(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(context, pem) == 1 &&
        SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) == 1)
        return;
    ERR_print_errors_fp(stderr);
#endif
    fprintf(stderr, "no TLS with %s\n", pem);
    exit(1);
}

static void write_hello(int given, char **arguments) {
    strcpy(hello, "250-sink\r\n");
    char *last = hello;
    for (size_t at = 0; at < sizeof OFFERS / sizeof *OFFERS; at++) {
        bool left_out = false;
        for (int word = 1; word < given; word++)
            left_out |= !strncmp(OFFERS[at], arguments[word], strcspn(OFFERS[at], " ")) &&
                        !strcmp(arguments[word - 1], "--without");
        if (left_out) continue;
        last = hello + strlen(hello);
        sprintf(last, "250-%s\r\n", OFFERS[at]);
    }
    last[3] = ' ';
}

int main(int given, char **arguments) {
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    for (int word = 2; word < given; word++)
        if (!strcmp(arguments[word - 1], "--pem")) use_tls(arguments[word]);
    write_hello(given, arguments);
    int port, server = listening(&port);
    events = epoll_create1(EPOLL_CLOEXEC);
    watch(events, STDIN_FILENO, EPOLLIN, NULL);
    watch(events, server, EPOLLIN, &server);
    for (;;) {
        struct epoll_event happened[EVENTS];
        int count = epoll_wait(events, happened, EVENTS, -1);
        for (int at = 0; at < count; at++) {
            void *about = happened[at].data.ptr;
            if (about == &server) {
                accept_all(server);
            } else if (about) {
                serve(about);
            } else if (asks(order(), "\"count\"")) {
                dprintf(STDOUT_FILENO, "{\"messages\": %ld, \"cpu\": %.6f}\n", messages, cpu_seconds());
            } else {
                dprintf(STDOUT_FILENO, "{\"host\": \"127.0.0.1\", \"port\": %d}\n", port);
            }
        }
    }
}
