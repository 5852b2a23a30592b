// SPDX-License-Identifier: BSD-3-Clause
//
// Listening sockets and what has to be set on sockets. Stateless but for the set that the caller
// owns; runs on the main thread at start, later for administrators, tuning and address texts on
// shard threads. Addresses follow redis.conf's `bind`. Invariant: a set holds only open,
// non-blocking, close-on-exec sockets that listen (or have been stopped), also after a failure.
// Host names are resolved, as in Redis, and only here.
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/assert.h"

#define KEEPALIVE_PROBES 3

static void set_error(char *error, size_t size, const char *what, const char *where, uint16_t port,
                      const char *why) {
    if (size == 0) return;
    if (where == NULL)
        snprintf(error, size, "%s: %s", what, why);
    else
        snprintf(error, size, "%s %s:%u: %s", what, where, (unsigned)port, why);
}

static int set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/** bind(), and patient where that was asked for: the kernel lets go of an io_uring's sockets some
 *  milliseconds after the end of its process, so the port of a server that was killed may still
 *  listen when the next one starts.
 *  @return 0 or a negative errno; -EADDRINUSE only after all tries. */
static int bind_to(int fd, const struct addrinfo *a, bool patient) {
    enum { BIND_TRIES = 25, BIND_PAUSE_NS = 20000000 };
    for (int tries = 1;; tries++) {
        if (bind(fd, a->ai_addr, a->ai_addrlen) == 0) return 0;
        if (errno != EADDRINUSE || !patient || tries == BIND_TRIES) return -errno;
        nanosleep(&(struct timespec){.tv_nsec = BIND_PAUSE_NS}, NULL);
    }
}

/** One listening socket for one resolved address, or a negative errno. */
static int open_resolved(const struct addrinfo *a, int backlog, bool patient) {
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) return -errno;
    int rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    // IPv4 has sockets of its own, so an IPv6 one must not take its port.
    if (rc == 0 && a->ai_family == AF_INET6) rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (rc == 0) rc = bind_to(fd, a, patient);
    if (rc == 0 && listen(fd, backlog) != 0) rc = -errno;
    if (rc == 0) return fd;
    close(fd);
    return rc;
}

/** Opens one address of `bind` (without its '-'). A descriptor, or a negative errno with *why. */
static int open_address(const char *address, uint16_t port, int backlog, bool patient,
                        const char **why) {
    char service[8];
    bool v6 = strchr(address, ':') != NULL;
    bool any = strcmp(address, "*") == 0 || strcmp(address, "::*") == 0;
    struct addrinfo hints = {
        .ai_family = v6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    int rc = getaddrinfo(any ? NULL : address, service, &hints, &found);
    if (rc != 0) {
        *why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
        return rc == EAI_SYSTEM ? -errno : -EINVAL;
    }
    int fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        fd = open_resolved(a, backlog, patient);
        if (fd >= 0) break;
    }
    freeaddrinfo(found);
    if (fd < 0) *why = strerror(-fd);
    return fd;
}

/** Failures that mean "this host has no such family": passed over, as in Redis. */
static bool family_missing(int error) {
    return error == ENOPROTOOPT || error == EPROTONOSUPPORT || error == ESOCKTNOSUPPORT ||
           error == EPFNOSUPPORT || error == EAFNOSUPPORT;
}

static void add(struct listener_set *set, int fd, int tag) {
    ASSERT(set->count < LISTENER_MAX);
    set->tags[set->count] = tag;
    set->fds[set->count++] = fd;
}

static void close_from(struct listener_set *set, int first) {
    while (set->count > first) {
        int fd = set->fds[--set->count];
        // The kernel lets go of an io_uring's sockets some time after its end. No longer listening,
        // they leave the port to the next server at once.
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
}

int listener_open_tcp(struct listener_set *set, const char *const *addresses, int count,
                      uint16_t port, int backlog, char *error, size_t error_size) {
    static const char what[] = "Could not create server TCP listening socket";
    if (port == 0) return 0;
    int before = set->count;
    for (int i = 0; i < count; i++) {
        const char *address = addresses[i];
        const char *why = NULL;
        bool optional = *address == '-';
        if (optional) address++;
        int fd = -ENOSPC;
        if (set->count < LISTENER_MAX)
            fd = open_address(address, port, backlog, set->patient, &why);
        if (fd >= 0) {
            add(set, fd, set->tag);
            continue;
        }
        if ((optional && fd == -EADDRNOTAVAIL) || family_missing(-fd)) continue;
        set_error(error, error_size, what, address, port, why != NULL ? why : "too many addresses");
        close_from(set, before);
        return fd;
    }
    // Every address was passed over: a server that nobody can reach must not start.
    if (set->count > before || count == 0) return 0;
    set_error(error, error_size, what, addresses[0], port, "none of the addresses is available");
    return -EADDRNOTAVAIL;
}

/** Removes what a server that died left at path; leaves alone what is not a socket. */
static void remove_stale(const char *path) {
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) unlink(path);
}

int listener_open_unix(struct listener_set *set, const char *path, uint32_t perm, int backlog,
                       char *error, size_t error_size) {
    static const char what[] = "Failed opening Unix socket";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int rc = 0;
    int fd = -1;
    if (set->count == LISTENER_MAX)
        rc = -ENOSPC;
    else if (strlen(path) >= sizeof(a.sun_path))
        rc = -ENAMETOOLONG;
    if (rc == 0) {
        memcpy(a.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) rc = -errno;
    }
    if (rc == 0) {
        remove_stale(path);
        if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0) rc = -errno;
    }
    if (rc == 0 && perm != 0 && chmod(path, (mode_t)perm) != 0) rc = -errno;
    if (rc == 0 && listen(fd, backlog) != 0) rc = -errno;
    if (rc < 0) {
        char where[sizeof(a.sun_path) + 64];
        snprintf(where, sizeof(where), "%s %.*s", what, (int)sizeof(a.sun_path), path);
        set_error(error, error_size, where, NULL, 0, strerror(-rc));
        if (fd >= 0) close(fd);
        return rc;
    }
    add(set, fd, set->tag);
    return 0;
}

void listener_stop(struct listener_set *set, int tag, struct listener_set *stopped) {
    int kept = 0;
    for (int i = 0; i < set->count; i++) {
        if (set->tags[i] == tag) {
            shutdown(set->fds[i], SHUT_RDWR);
            add(stopped, set->fds[i], tag);
        } else {
            set->fds[kept] = set->fds[i];
            set->tags[kept++] = set->tags[i];
        }
    }
    set->count = kept;
}

int listener_resume(struct listener_set *set, struct listener_set *stopped, int backlog) {
    int error = 0;
    for (int i = 0; i < stopped->count; i++)
        if (listen(stopped->fds[i], backlog) != 0) error = -errno;
    listener_move(set, stopped);
    return error;
}

void listener_move(struct listener_set *set, struct listener_set *from) {
    for (int i = 0; i < from->count; i++) add(set, from->fds[i], from->tags[i]);
    from->count = 0;
}

void listener_close(struct listener_set *set) { close_from(set, 0); }

void listener_tune(int fd, bool is_unix, int keepalive_s) {
    // A socket that cannot be tuned (the peer has gone already) still works: nothing to report.
    if (is_unix) return;
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (keepalive_s <= 0) return;
    int interval_s = keepalive_s / 3 > 0 ? keepalive_s / 3 : 1;
    (void)set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_s);
    (void)set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
    (void)set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

static size_t address_text(const struct sockaddr_storage *a, socklen_t length, char *out,
                           size_t size) {
    char host[INET6_ADDRSTRLEN] = "?";
    int n;
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)a;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        n = snprintf(out, size, "%s:%u", host, (unsigned)ntohs(in->sin_port));
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        n = snprintf(out, size, "[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
    } else if (a->ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)a;
        size_t room = length > offsetof(struct sockaddr_un, sun_path)
                          ? length - offsetof(struct sockaddr_un, sun_path)
                          : 0;
        n = snprintf(out, size, "%.*s:0", (int)strnlen(un->sun_path, room), un->sun_path);
    } else {
        n = snprintf(out, size, "?:0");
    }
    if (n < 0) return 0;
    return (size_t)n < size ? (size_t)n : size - 1;
}

size_t listener_own_text(int fd, char *out, size_t size) {
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(a);
    if (size == 0) return 0;
    if (getsockname(fd, (struct sockaddr *)&a, &length) != 0) a.ss_family = AF_UNSPEC;
    return address_text(&a, length, out, size);
}

void listener_own_host(int fd, char *out, size_t size) {
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(a);
    const void *address = NULL;
    if (getsockname(fd, (struct sockaddr *)&a, &length) != 0) a.ss_family = AF_UNSPEC;
    if (a.ss_family == AF_INET) address = &((const struct sockaddr_in *)&a)->sin_addr;
    if (a.ss_family == AF_INET6) address = &((const struct sockaddr_in6 *)&a)->sin6_addr;
    if (address == NULL || inet_ntop(a.ss_family, address, out, (socklen_t)size) == NULL)
        out[0] = '\0';
}

size_t listener_peer_text(int fd, char *out, size_t size) {
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(a);
    if (size == 0) return 0;
    if (getpeername(fd, (struct sockaddr *)&a, &length) != 0) a.ss_family = AF_UNSPEC;
    // A Unix client has no name of its own; the path it connected to tells more.
    if (a.ss_family == AF_UNIX) return listener_own_text(fd, out, size);
    return address_text(&a, length, out, size);
}

uint64_t listener_peer_key(int fd) {
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    uint64_t key = 0;
    if (getpeername(fd, (struct sockaddr *)&peer, &n) != 0) return 0;
    if (peer.ss_family == AF_INET) {
        key = ((struct sockaddr_in *)&peer)->sin_addr.s_addr;
    } else if (peer.ss_family == AF_INET6) {
        const struct in6_addr *address = &((struct sockaddr_in6 *)&peer)->sin6_addr;
        size_t from = IN6_IS_ADDR_V4MAPPED(address) ? 12 : 0;
        memcpy(&key, address->s6_addr + from, from ? 4 : 8);
    } else {
        return 0;
    }
    return key != 0 ? key : 1;
}
