// SPDX-License-Identifier: BSD-3-Clause
//
// Where the server listens. A change first stops the old sockets listening (shutdown(2)), since a
// new address may overlap with an old one ("*" and 127.0.0.1), and then opens the new ones; when
// that fails, listen(2) brings the old ones back. Shard 0 learns of it when it takes the new
// configuration over. Invariant: a descriptor that shard 0 accepts from is closed by shard 0's
// ports_accept() alone, so its number means the same socket to both. The Unix socket and the port
// of administrators stay as they are for the life of the process.
#include "shards/ports.h"

#include <string.h>

#include "engine/base/log.h"
#include "shards/shard.h"

/** Opens a port on some addresses, for connections of that kind. False: the log says why. */
static bool open_port(struct listener_set *set, enum accept_from from, const char *const *addresses,
                      int count, const struct config *c, int64_t port) {
    char error[256];
    set->tag = from;
    if (listener_open_tcp(set, addresses, count, (uint16_t)port, (int)c->tcp_backlog, error,
                          sizeof error) == 0)
        return true;
    log_line(LOG_WARN, "%s", error);
    return false;
}

/** The same on the addresses of `bind`. */
static bool open_bound(struct listener_set *set, enum accept_from from, const struct config *c,
                       int64_t port) {
    const char *addresses[CONFIG_BIND_MAX];
    for (int i = 0; i < c->bind_count; i++) addresses[i] = c->bind[i];
    return open_port(set, from, addresses, c->bind_count, c, port);
}

/** The port of administrators has addresses of its own. */
static bool open_admin_port(struct listener_set *set, const struct config *c) {
    const char *addresses[CONFIG_BIND_MAX];
    struct slice rest = slice_text(c->admin_bind), word;
    struct buf texts = {0};
    int count = 0;
    char *room = buf_reserve(&texts, rest.n + CONFIG_BIND_MAX); // it does not move
    while (count < CONFIG_BIND_MAX && slice_next_word(&rest, &word)) {
        addresses[count++] = memcpy(room, word.p, word.n);
        room[word.n] = '\0';
        room += word.n + 1;
    }
    if (c->admin_port > 0 && count == 0) log_line(LOG_WARN, "admin-bind names no address");
    bool ok = (c->admin_port == 0 || count > 0) &&
              open_port(set, ACCEPT_ADMIN, addresses, count, c, c->admin_port);
    buf_free(&texts);
    return ok;
}

static bool open_unix_socket(struct listener_set *set, const struct config *c) {
    char error[256];
    set->tag = ACCEPT_UNIX;
    if (c->unixsocket[0] == '\0' ||
        listener_open_unix(set, c->unixsocket, (uint32_t)c->unixsocketperm, (int)c->tcp_backlog,
                           error, sizeof error) == 0)
        return true;
    log_line(LOG_WARN, "%s", error);
    return false;
}

bool ports_open(struct ports *ports, const struct config *c) {
    struct listener_set *set = &ports->open;
    set->patient = true;
    bool ok = open_bound(set, ACCEPT_TCP, c, c->port) && open_unix_socket(set, c) &&
              open_bound(set, ACCEPT_TLS, c, c->tls_port) && open_admin_port(set, c);
    if (ok && set->count == 0) log_line(LOG_WARN, "No port and no Unix socket: nobody can connect");
    if (!ok) listener_close(set);
    return ok;
}

void ports_close(struct ports *ports) {
    listener_close(&ports->open);
    listener_close(&ports->leaving);
}

static bool same_addresses(const struct config *a, const struct config *b) {
    if (a->bind_count != b->bind_count) return false;
    for (int i = 0; i < a->bind_count; i++)
        if (strcmp(a->bind[i], b->bind[i]) != 0) return false;
    return true;
}

/** Opens what only the new configuration has; the old sockets have stopped. NULL, or why not. */
static const char *reopen(const struct ports *ports, const struct config *new, bool rebind,
                          struct ports_change *change) {
    if ((change->tcp && !open_bound(&change->opened, ACCEPT_TCP, new, new->port)) ||
        (change->tls && !open_bound(&change->opened, ACCEPT_TLS, new, new->tls_port)))
        return rebind ? "Failed to bind to specified addresses."
                      : "Unable to listen on this port. Check server logs.";
    // Shard 0 frees the places of the last changes when it takes them over.
    if (ports->open.count + change->opened.count > LISTENER_MAX ||
        ports->leaving.count + change->closed.count > LISTENER_MAX)
        return "Too many changes at once, try again";
    return NULL;
}

bool ports_prepare(struct ports *ports, const struct config *old, const struct config *new,
                   bool has_tls, struct ports_change *change, struct buf *error) {
    bool rebind = !same_addresses(old, new);
    const char *why = NULL;
    *change = (struct ports_change){.tcp = rebind || old->port != new->port,
                                    .tls = rebind || old->tls_port != new->tls_port,
                                    .backlog = (int)new->tcp_backlog};
    if (!change->tcp && !change->tls) return true;
    if (!ports) { // as for all that this fleet could not change
        why = "can't set immutable config";
    } else if (new->shard_ports) {
        why = "The ports of the shards (shard-ports) follow from it";
    } else if (!has_tls && new->tls_port > 0) {
        why = "The server was started without TLS";
    } else {
        if (change->tcp) listener_stop(&ports->open, ACCEPT_TCP, &change->closed);
        if (change->tls) listener_stop(&ports->open, ACCEPT_TLS, &change->closed);
        why = reopen(ports, new, rebind, change);
        if (why) ports_cancel(ports, change);
    }
    if (why)
        buf_printf(error, "CONFIG SET failed (possibly related to argument '%s') - %s",
                   rebind        ? "bind"
                   : change->tcp ? "port"
                                 : "tls-port",
                   why);
    return why == NULL;
}

void ports_commit(struct ports *ports, struct ports_change *change) {
    if (!change->tcp && !change->tls) return;
    for (int i = 0; i < change->opened.count; i++) {
        char text[80];
        listener_own_text(change->opened.fds[i], text, sizeof text);
        log_line(LOG_NOTICE, "CONFIG SET: now listening on %s%s", text,
                 change->opened.tags[i] == ACCEPT_TLS ? " (TLS)" : "");
    }
    listener_move(&ports->leaving, &change->closed);
    listener_move(&ports->open, &change->opened);
}

void ports_cancel(struct ports *ports, struct ports_change *change) {
    if (!change->tcp && !change->tls) return;
    listener_close(&change->opened);
    int error = listener_resume(&ports->open, &change->closed, change->backlog);
    if (error < 0)
        log_line(LOG_WARN, "CONFIG SET: a port that was to be kept can't listen any more: %s",
                 strerror(-error));
}

int ports_accept(struct ports *ports, struct io *io) {
    int error = 0;
    for (int i = 0; i < ports->leaving.count; i++) io_unlisten(io, ports->leaving.fds[i]);
    listener_close(&ports->leaving);
    for (int i = 0; i < ports->open.count && error == 0; i++)
        error = io_listen(io, ports->open.fds[i], (uint32_t)ports->open.tags[i]);
    return error;
}
