// SPDX-License-Identifier: BSD-3-Clause
//
// Fan-outs: made and ended on the home shard, their legs run on every shard. A leg belongs to the
// shard that it was sent to until it comes back; `missing` counts the legs that are away. Called
// by session commands and, for messages, by the pass of shard.c.
#include "shards/fanout.h"

#include "engine/base/alloc.h"

struct fanout_leg *fanout_leg_at(const struct fanout *f, uint32_t i) {
    ASSERT(i < f->home->fleet->nshards);
    return (struct fanout_leg *)((char *)f->legs + (size_t)i * MAILBOX_LINE);
}
_Static_assert(sizeof(struct fanout_leg) <= MAILBOX_LINE, "a leg has a cache line of its own");

static void finish(struct fanout *f) {
    struct connection *conn = f->work.connection;
    struct late_reply late;
    connection_late_begin(conn, &late);
    f->finish(f, &late.reply);
    for (uint32_t i = 0; i < f->home->fleet->nshards; i++) buf_free(&fanout_leg_at(f, i)->text);
    mem_free(f->legs);
    mem_free(f);
    connection_late_end(conn, &late);
}

static void start(struct connection *conn, bool everywhere, void *context,
                  void (*run)(struct shard *s, struct fanout_leg *leg),
                  void (*finish_fn)(struct fanout *f, struct reply *reply)) {
    struct shard *s = conn->shard;
    uint32_t n = s->fleet->nshards;
    struct fanout *f = mem_calloc(sizeof *f);
    f->home = s;
    f->context = context;
    f->run = run;
    f->finish = finish_fn;
    f->missing = everywhere ? n : 1;
    f->legs = mem_alloc_aligned((size_t)n * MAILBOX_LINE, MAILBOX_LINE);
    connection_work_begin(conn, &f->work);
    for (uint32_t i = 0; i < n; i++) {
        struct fanout_leg *leg = fanout_leg_at(f, i);
        *leg = (struct fanout_leg){.fanout = f, .shard = i};
        if (everywhere && i != s->id) shard_send(s, i, MESSAGE_FANOUT, leg);
    }
    struct fanout_leg *own = fanout_leg_at(f, s->id);
    run(s, own);
    fanout_leg_returned(s, own);
}

void fanout_start(struct connection *conn, void *context,
                  void (*run)(struct shard *s, struct fanout_leg *leg),
                  void (*finish_fn)(struct fanout *f, struct reply *reply)) {
    start(conn, true, context, run, finish_fn);
}

void fanout_start_for(struct connection *conn, void *context,
                      void (*run)(struct shard *s, struct fanout_leg *leg),
                      void (*finish_fn)(struct fanout *f, struct reply *reply)) {
    start(conn, !connection_is_node(conn), context, run, finish_fn);
}

void fanout_leg_arrive(struct shard *s, struct fanout_leg *leg) {
    ASSERT(leg->shard == s->id);
    leg->fanout->run(s, leg);
    shard_send(s, leg->fanout->home->id, MESSAGE_FANNED, leg);
}

void fanout_leg_returned(struct shard *s, struct fanout_leg *leg) {
    struct fanout *f = leg->fanout;
    ASSERT(f->home == s && f->missing > 0);
    if (--f->missing == 0) finish(f);
}
