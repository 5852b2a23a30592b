// SPDX-License-Identifier: BSD-3-Clause
/*
 * Opening, greeting, sending and closing for one connection.
 *
 * Runs in the worker that owns the connection. The greeting (HELLO, AUTH, SELECT) is done with a
 * blocking socket and a time limit, since nothing is measured yet; the socket is made non-blocking
 * behind it. Invariant: bytes go out in the order given: nothing is sent past pending bytes.
 */
#include "tools/torc_load/connection.h"

#include "tools/torc_load/util.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_tcp(const char *host, uint64_t port, const char **why) {
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error = getaddrinfo(host, service, &hints, &list);
    if (error != 0) {
        *why = gai_strerror(error);
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            int saved = errno;
            close(fd);
            errno = saved;
            fd = -1;
        }
    }
    freeaddrinfo(list);
    int yes = 1;
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void add_word(struct bytes *out, const char *text, size_t len) {
    bytes_addf(out, "$%zu\r\n", len);
    bytes_add(out, text, len);
    bytes_add(out, "\r\n", 2);
}

/* Writes the greeting's requests; returns how many replies to expect. */
static int build_greeting(const struct options *o, struct bytes *out) {
    int count = 0;
    const char *colon = o->auth != NULL ? strchr(o->auth, ':') : NULL;
    const char *password = colon != NULL ? colon + 1 : o->auth;
    if (o->auth != NULL) {
        bytes_addf(out, "*%d\r\n$4\r\nAUTH\r\n", colon != NULL ? 3 : 2);
        if (colon != NULL) add_word(out, o->auth, (size_t)(colon - o->auth));
        add_word(out, password, strlen(password));
        count++;
    }
    if (o->resp == 3) {
        bytes_addf(out, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
        count++;
    }
    if (o->db != 0) {
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)o->db);
        bytes_addf(out, "*2\r\n$6\r\nSELECT\r\n");
        add_word(out, number, strlen(number));
        count++;
    }
    return count;
}

static bool send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* Reads `count` replies with the blocking socket. */
static bool read_replies(struct connection *c, int count, char *problem, size_t problem_size) {
    char buffer[4096];
    while (count > 0) {
        ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            snprintf(problem, problem_size, "greeting: %s",
                     got == 0 ? "connection closed by the server" : strerror(errno));
            return false;
        }
        const char *cursor = buffer;
        while (count > 0 && cursor < buffer + got) {
            enum reply_result result = reply_feed(&c->parser, &cursor, buffer + got);
            if (result == REPLY_BAD || (result == REPLY_DONE && c->parser.has_error)) {
                snprintf(problem, problem_size, "greeting: %s", c->parser.error);
                return false;
            }
            if (result == REPLY_DONE && c->parser.type != '>') count--;
        }
    }
    return true;
}

static bool greet(struct connection *c, const struct options *o, char *problem,
                  size_t problem_size) {
    struct bytes greeting = {0};
    int count = build_greeting(o, &greeting);
    struct timeval limit = {.tv_sec = (time_t)o->stall_seconds + 1};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    bool ok = send_all(c->fd, greeting.data, greeting.len);
    free(greeting.data);
    if (!ok) {
        snprintf(problem, problem_size, "greeting: %s", strerror(errno));
        return false;
    }
    return read_replies(c, count, problem, problem_size);
}

bool connection_open(struct connection *c, const struct options *o, uint32_t ring_size,
                     char *problem, size_t problem_size) {
    c->ring_size = ring_size;
    c->ring = util_alloc(ring_size, sizeof *c->ring);
    if (o->cache_aside) c->missed = util_alloc(ring_size, sizeof *c->missed);
    reply_init(&c->parser);
    const char *why = NULL;
    c->fd = o->socket != NULL ? connect_unix(o->socket) : connect_tcp(o->host, o->port, &why);
    if (c->fd < 0) {
        snprintf(problem, problem_size, "cannot connect: %s", why != NULL ? why : strerror(errno));
        return false;
    }
    if (!greet(c, o, problem, problem_size)) return false;
    int flags = fcntl(c->fd, F_GETFL);
    if (flags < 0 || fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        snprintf(problem, problem_size, "fcntl: %s", strerror(errno));
        return false;
    }
    return true;
}

/* Sends what the socket takes now; the number of bytes, or -1 when the connection is lost. */
static ssize_t send_some(int fd, const char *data, size_t len) {
    size_t done = 0;
    while (done < len) {
        ssize_t sent = send(fd, data + done, len - done, MSG_NOSIGNAL);
        if (sent >= 0) {
            done += (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)done;
}

bool connection_send(struct connection *c, const char *data, size_t len) {
    if (c->pending_len == 0) {
        ssize_t sent = send_some(c->fd, data, len);
        if (sent < 0) return false;
        data += sent;
        len -= (size_t)sent;
    }
    if (len == 0) return true;
    if (c->pending_len + len > c->pending_cap) {
        c->pending_cap = (c->pending_len + len) * 2;
        c->pending = util_realloc(c->pending, c->pending_cap);
    }
    memcpy(c->pending + c->pending_len, data, len);
    c->pending_len += len;
    return true;
}

bool connection_flush(struct connection *c) {
    ssize_t sent = send_some(c->fd, c->pending + c->pending_at, c->pending_len - c->pending_at);
    if (sent < 0) return false;
    c->pending_at += (size_t)sent;
    if (c->pending_at == c->pending_len) c->pending_at = c->pending_len = 0;
    return true;
}

void connection_fini(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    free(c->ring);
    free(c->missed);
    free(c->pending);
    *c = (struct connection){.fd = -1};
}
