// SPDX-License-Identifier: BSD-3-Clause
//
// Runs of held requests: a list of the runs' first requests, each with its run behind it, and an
// index from connections to runs. Runs on the executing shard's thread. Invariant: a connection has
// at most one run, whose first request is in the list of runs and in the index; `run_last` is right
// in the first request only. Called by request.c.
#include "shards/held.h"

#include "shards/connection.h"
#include "shards/request.h"

static struct request **chain_of(struct shard *s, const struct connection *conn) {
    uint64_t mixed = (uint64_t)(uintptr_t)conn * UINT64_C(0x9e3779b97f4a7c15);
    return &s->held_index[mixed >> (64 - SHARD_HELD_INDEX_BITS)];
}

/** Makes r, with what is behind it, a run. */
static void run_add(struct shard *s, struct request *r, struct request *last) {
    struct request **chain = chain_of(s, r->connection);
    r->run_last = last;
    r->chain_next = *chain;
    *chain = r;
    r->run_next = NULL;
    if (s->held_last)
        s->held_last->run_next = r;
    else
        s->held_first = r;
    s->held_last = r;
}

static void index_remove(struct shard *s, const struct request *first) {
    struct request **at = chain_of(s, first->connection);
    while (*at != first) {
        ASSERT(*at != NULL);
        at = &(*at)->chain_next;
    }
    *at = first->chain_next;
}

static struct request *run_of(struct shard *s, const struct connection *conn) {
    struct request *first = *chain_of(s, conn);
    while (first && first->connection != conn) first = first->chain_next;
    return first;
}

bool held_has(struct shard *s, const struct connection *conn) {
    return s->held_first && run_of(s, conn);
}

void held_add(struct shard *s, struct request *r) {
    r->held_next = NULL;
    struct request *first = run_of(s, r->connection);
    if (!first) {
        run_add(s, r, r);
        return;
    }
    first->run_last->held_next = r;
    first->run_last = r;
}

void held_poll(struct shard *s, void (*run)(struct shard *s, struct request *r)) {
    struct request *first = s->held_first, *next_run;
    s->held_first = s->held_last = NULL;
    for (; first; first = next_run) {
        next_run = first->run_next;
        struct request *r = first, *last = first->run_last;
        index_remove(s, first);
        while (r && request_is_due(r)) {
            struct request *next = r->held_next;
            run(s, r);
            r = next;
        }
        if (r) run_add(s, r, last);
    }
}

bool held_is_due(const struct shard *s) {
    for (const struct request *first = s->held_first; first; first = first->run_next)
        if (request_is_due(first)) return true;
    return false;
}
