// SPDX-License-Identifier: BSD-3-Clause
//
// WAIT, and what session commands ask about the process. Runs on the connection's shard. There are
// no replicas yet, so WAIT for one or more of them lasts for its whole timeout. Invariant: a
// blocked WAIT ends exactly once: by its timer, by CLIENT UNBLOCK, or because its client leaves.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "engine/base/num.h"
#include "engine/base/random.h"
#include "net/listener.h"
#include "shards/multi.h"
#include "shards/session.h"
#include "shards/session_shared.h"

// ---- WAIT --------------------------------------------------------------------------------------

struct wait {
    struct work work; // first member
    struct timer timer;
};

static bool end_wait(struct work *work, const char *error) {
    struct wait *wait = (struct wait *)work;
    struct connection *conn = work->connection;
    timers_cancel(&conn->shard->timers, &wait->timer);
    mem_free(wait);
    struct late_reply late;
    connection_late_begin(conn, &late);
    if (error)
        reply_error(&late.reply, error);
    else
        reply_int(&late.reply, 0);
    connection_late_end(conn, &late);
    return true;
}

static void wait_is_over(struct timer *timer) {
    struct wait *wait = (struct wait *)((char *)timer - offsetof(struct wait, timer));
    end_wait(&wait->work, NULL);
}

void session_wait(struct session_call *call) {
    struct connection *conn = call->connection;
    struct shard *s = conn->shard;
    int64_t replicas, end_ms;
    if (!num_parse_i64(call->argv[1], &replicas)) {
        reply_error(call->reply, error_not_integer);
        return;
    }
    if (!session__timeout(call, 2, &end_ms)) return;
    if (replicas <= 0 || multi_is_running(conn->multi)) {
        reply_int(call->reply, 0);
        return;
    }
    struct wait *wait = mem_calloc(sizeof *wait);
    wait->work.blocking = true;
    wait->work.end = end_wait;
    wait->work.timed = end_ms > 0;
    connection_work_begin(conn, &wait->work);
    int64_t wait_ms = end_ms - s->now_ms;
    if (end_ms > 0 && wait_ms < (INT64_MAX - s->now_ns) / 1000000) // else as good as for ever
        timers_set(&s->timers, &wait->timer, s->now_ns + wait_ms * 1000000, wait_is_over);
}

// ---- shared ------------------------------------------------------------------------------------

bool session__is_local(const struct connection *conn) {
    char peer[160];
    if (conn->is_unix) return true;
    if (listener_peer_text(conn->io.fd, peer, sizeof peer) == 0) return false;
    return strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]", 5) == 0 ||
           strncmp(peer, "[::ffff:127.", 12) == 0;
}

void session__replication_id(struct fleet *fleet, bool change, char out[41]) {
    pthread_mutex_lock(&fleet->admin_lock);
    if (change || fleet->replication_id[0] == '\0') {
        unsigned char secret[20];
        random_secret(secret, sizeof secret);
        for (int i = 0; i < 40; i++)
            fleet->replication_id[i] = "0123456789abcdef"[secret[i / 2] >> (i % 2 ? 0 : 4) & 15];
    }
    memcpy(out, fleet->replication_id, sizeof fleet->replication_id);
    pthread_mutex_unlock(&fleet->admin_lock);
}
