// SPDX-License-Identifier: BSD-3-Clause
//
// What a connection keeps of its input. Runs on the connection's shard; a blob that a command has
// taken over may by then be in another thread's hands, so nothing but its count is looked at again.
// Invariant: what a client announces makes room for itself only up to INPUT_TRUST times what it has
// really sent. Called by connection.c around the execution of commands.
#include "shards/input.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "shards/lazyfree.h"

#define INPUT_TRUST 8
#define INPUT_SLACK 64 // behind the announced: the options of a SET, say

/** Length of the command at the beginning, as far as it is announced; 0: unknown. */
static size_t announced(const struct connection *conn) {
    const struct resp_parser *parser = &conn->parser;
    if (parser->bulk_left < 0 || parser->args_left == 0) return 0;
    return parser->position + (size_t)parser->bulk_left + 2;
}

static size_t room_for(const struct connection *conn, size_t need) {
    size_t want = announced(conn) + INPUT_SLACK;
    if (want / INPUT_TRUST > need) want = need * INPUT_TRUST;
    return want > need ? want : need;
}

static void use_blob(struct connection *conn, struct blob *b, size_t len) {
    conn->in_blob = b;
    conn->in = (struct buf){.p = b->bytes, .len = len, .cap = b->cap};
}

/** Moves what is kept into a blob. */
static void begin_blob(struct connection *conn, size_t room) {
    size_t waiting = input_waiting(conn);
    struct blob *b = blob_new(slice_of(conn->in.p + conn->in_start, waiting), room);
    buf_free(&conn->in);
    conn->in_start = 0;
    use_blob(conn, b, waiting);
}

void input_append(struct connection *conn, const char *p, size_t n) {
    if (likely(conn->in_blob == NULL)) {
        size_t room = room_for(conn, input_waiting(conn) + n);
        if (room >= COMMAND_TAKE_MIN) begin_blob(conn, room);
    } else if (conn->in.cap - conn->in.len < n) {
        conn->in_blob->start = 0; // a value that was taken from it may have been and gone
        conn->in_blob->len = conn->in.len;
        size_t room = conn->in_start + room_for(conn, input_waiting(conn) + n);
        size_t step = conn->in.cap + conn->in.cap / 4; // many long arguments, a bit for each
        if (room < step) room = step;
        use_blob(conn, blob_resize(conn->in_blob, room), conn->in.len);
    }
    buf_append(&conn->in, p, n);
}

size_t input_share(const struct connection *conn, size_t n) {
    if (likely(conn->in_blob == NULL)) return n;
    size_t waiting = input_waiting(conn), all = announced(conn);
    return all > waiting && all - waiting < n ? all - waiting : n;
}

/** What is left behind a value that was taken over goes into a buffer of its own. */
static void leave_blob(struct connection *conn) {
    struct buf rest = {0};
    buf_append(&rest, conn->in.p + conn->in_start, input_waiting(conn));
    lazyfree_blob(conn->in_blob);
    conn->in_blob = NULL;
    conn->in = rest;
    conn->in_start = 0;
}

void input_tidy(struct connection *conn) {
    if (unlikely(conn->in_blob != NULL) &&
        (conn->in_start == conn->in.len || blob_is_shared(conn->in_blob)))
        leave_blob(conn);
    if (conn->in_start == conn->in.len) {
        conn->in.len = conn->in_start = 0;
        buf_shrink_if_empty(&conn->in, CONNECTION_BUFFER_KEEP);
    } else if (conn->in_start > conn->in.len / 2) {
        buf_consume(&conn->in, conn->in_start);
        conn->in_start = 0;
    }
}

void input_free(struct connection *conn) {
    if (conn->in_blob != NULL) {
        lazyfree_blob(conn->in_blob);
        conn->in_blob = NULL;
        conn->in = (struct buf){0};
    }
    buf_free(&conn->in);
}
