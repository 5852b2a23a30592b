// SPDX-License-Identifier: BSD-3-Clause
//
// Who wants snapshots made, and is told what came of them: clients' asks, which come from and go to
// their shards by messages, signals, and the end of the server, which has a last one made first.
// The ends of an ask run on the client's shard, everything else on shard 0.
// Invariant: every ask is answered exactly once, also when the server ends.
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "shards/loading.h"
#include "shards/snapshots_parts.h"

#define SHUTDOWN_ATTEMPTS 3 // last snapshots, as long as something has changed after each

// ---- asks --------------------------------------------------------------------------------------

static void end_ask(struct snapshot_ask *ask) {
    struct connection *conn = ask->work.connection;
    bool good = ask->error == NULL && ask->status != NULL && !conn->shard->stopping;
    if (ask->then != NULL && good) {
        connection_hold(conn);
        connection_work_leave(conn);
        ask->then(conn, ask->context);
        connection_drop(conn);
        mem_free(ask);
        return;
    }
    if (ask->otherwise != NULL) ask->otherwise(conn, ask->context);
    struct late_reply late;
    connection_late_begin(conn, &late);
    if (ask->error != NULL)
        reply_error(&late.reply, ask->error);
    else if (ask->status != NULL)
        reply_status(&late.reply, ask->status);
    mem_free(ask);
    connection_late_end(conn, &late);
}

void snapshots_ask_answered(struct shard *s, struct snapshot_ask *ask) {
    ASSERT(ask->home == s->id);
    end_ask(ask);
}

static void answer(struct snapshots *sn, struct snapshot_ask *ask, const char *status,
                   const char *error) {
    struct shard *s = sn->fleet->shards[0];
    ask->status = status;
    ask->error = error;
    if (ask->home == s->id)
        end_ask(ask);
    else
        shard_send(s, ask->home, MESSAGE_ANSWER, ask);
}

void snapshots__answer_all(struct snapshots *sn, enum snapshot_ask_kind kind, const char *status,
                           const char *error) {
    struct snapshot_ask *ask = sn->asks, *others = NULL, *next;
    sn->asks = NULL;
    for (; ask != NULL; ask = next) {
        next = ask->next;
        if (ask->kind == kind) {
            answer(sn, ask, status, error);
        } else {
            ask->next = others;
            others = ask;
        }
    }
    ASSERT(sn->asks == NULL);
    sn->asks = others;
}

static void send_ask(struct connection *conn, struct snapshot_ask ask_of) {
    struct shard *s = conn->shard;
    struct snapshot_ask *ask = mem_alloc(sizeof *ask);
    *ask = ask_of;
    ask->home = s->id;
    connection_work_begin(conn, &ask->work);
    if (s->id == 0)
        snapshots_ask_arrive(s, ask);
    else
        shard_send(s, 0, MESSAGE_ASK, ask);
}

void snapshots_ask(struct connection *conn, enum snapshot_ask_kind kind,
                   const struct shutdown_words *words) {
    struct snapshot_ask ask = {.kind = kind};
    if (words != NULL) ask.words = *words;
    send_ask(conn, ask);
}

void snapshots_save_and_then(struct connection *conn,
                             void (*then)(struct connection *conn, void *context),
                             void (*otherwise)(struct connection *conn, void *context),
                             void *context) {
    send_ask(conn,
             (struct snapshot_ask){
                 .kind = ASK_SAVE_NEXT, .then = then, .otherwise = otherwise, .context = context});
}

/** Those who have waited for the end of the one before. */
static void begin_later_ones(struct snapshots *sn, struct shard *s) {
    struct snapshot_ask *ask = sn->later, *next;
    sn->later = NULL;
    if (ask == NULL) return;
    for (; ask != NULL; ask = next) {
        next = ask->next;
        ask->next = sn->asks;
        sn->asks = ask;
    }
    if (sn->stopping)
        snapshots__answer_all(sn, ASK_SAVE_NEXT, NULL, "ERR");
    else if (sn->phase == PHASE_IDLE)
        snapshots__begin(sn, s);
}

// ---- shutdown ----------------------------------------------------------------------------------

static void leave(struct snapshots *sn) {
    struct fleet *fleet = sn->fleet;
    atomic_store(&fleet->leaving, true);
    if (fleet->on_shutdown) fleet->on_shutdown(fleet);
}

static void cancel_shutdown(struct snapshots *sn, const struct shard *s) {
    struct snapshot_ask *ask = sn->leaving.ask;
    sn->leaving = (struct leaving){0};
    snapshots__update_gates(sn, s->config);
    if (ask != NULL) answer(sn, ask, NULL, "ERR Errors trying to SHUTDOWN. Check logs.");
}

static void save_for_shutdown(struct snapshots *sn, struct shard *s) {
    sn->leaving.attempts++;
    sn->for_shutdown = true;
    snapshots__begin(sn, s);
}

/** A snapshot has ended, and a shutdown has been waiting for that. */
static void go_on_leaving(struct snapshots *sn, struct shard *s, int error) {
    struct leaving *l = &sn->leaving;
    if (l->aborted) {
        cancel_shutdown(sn, s);
    } else if (l->attempts == 0) { // it was one that stood in the way
        save_for_shutdown(sn, s);
    } else if (error == 0 && l->attempts < SHUTDOWN_ATTEMPTS &&
               snapshots__all_dirty(s) != sn->instant_dirty) {
        // A write that was on its way when writes were stopped: it has been answered, so it counts.
        save_for_shutdown(sn, s);
    } else if (error == 0) {
        leave(sn);
    } else if (l->force) {
        log_line(LOG_WARN, "The last snapshot has failed; ending all the same (FORCE)");
        leave(sn);
    } else {
        log_line(LOG_WARN, "The last snapshot has failed, so torc goes on");
        cancel_shutdown(sn, s);
    }
}

void snapshots__ended(struct snapshots *sn, struct shard *s, int error) {
    if (sn->leaving.wanted && !sn->stopping)
        go_on_leaving(sn, s, error);
    else
        begin_later_ones(sn, s);
}

static void shut_down(struct snapshots *sn, struct shard *s, const struct shutdown_words *words,
                      struct snapshot_ask *ask) {
    bool save = words->save || (s->config->save[0] != '\0' && !words->nosave);
    if (loading_is_on(s->fleet)) save = false; // half a dataset must not take the whole one's place
    if (sn->leaving.wanted) {
        if (save) {
            if (ask != NULL) answer(sn, ask, NULL, "ERR Errors trying to SHUTDOWN. Check logs.");
            return;
        }
        if (ask != NULL) {
            ask->next = sn->asks;
            sn->asks = ask;
        }
        leave(sn);
        return;
    }
    log_line(LOG_NOTICE, "User requested shutdown...");
    sn->leaving = (struct leaving){.wanted = true, .force = words->force, .ask = ask};
    if (!save) {
        leave(sn);
        return;
    }
    log_line(LOG_NOTICE, "A last snapshot is made before the end");
    snapshots__update_gates(sn, s->config);
    if (sn->phase == PHASE_IDLE)
        save_for_shutdown(sn, s);
    else
        snapshots__give_up(sn, -ECANCELED);
}

static void abort_shutdown(struct snapshots *sn, struct snapshot_ask *ask) {
    bool possible = sn->leaving.wanted && !atomic_load(&sn->fleet->leaving);
    if (!possible) {
        answer(sn, ask, NULL, "ERR No shutdown in progress.");
        return;
    }
    log_line(LOG_NOTICE, "The shutdown is called off");
    sn->leaving.aborted = true;
    snapshots__give_up(sn, -ECANCELED);
    answer(sn, ask, "OK", NULL);
}

void snapshots_ask_arrive(struct shard *s, struct snapshot_ask *ask) {
    ASSERT(s->id == 0);
    struct snapshots *sn = s->fleet->snapshots;
    if (sn->stopping) {
        answer(sn, ask, NULL, "ERR");
    } else if (ask->kind == ASK_SHUTDOWN) {
        shut_down(sn, s, &ask->words, ask);
    } else if (ask->kind == ASK_SHUTDOWN_ABORT) {
        abort_shutdown(sn, ask);
    } else if (ask->kind == ASK_SAVE_NEXT && sn->phase != PHASE_IDLE) {
        ask->next = sn->later;
        sn->later = ask;
    } else if (sn->phase != PHASE_IDLE) {
        answer(sn, ask, NULL, "ERR Background save already in progress");
    } else {
        ask->next = sn->asks;
        sn->asks = ask;
        snapshots__begin(sn, s);
    }
}

static void heed_signal(struct shard *s, struct note *note) {
    (void)note;
    struct snapshots *sn = s->fleet->snapshots;
    int number = atomic_exchange(&sn->signal, 0);
    const char *text =
        number == SIGINT ? s->config->shutdown_on_sigint : s->config->shutdown_on_sigterm;
    struct shutdown_words words = config_shutdown_words(slice_text(text));
    if (!sn->stopping) shut_down(sn, s, &words, NULL);
}

void snapshots_signal(struct fleet *fleet, int number) {
    struct snapshots *sn = fleet->snapshots;
    int none = 0;
    if (!atomic_compare_exchange_strong(&sn->signal, &none, number)) return; // one is on its way
    sn->signal_note.run = heed_signal;
    note_post(fleet->shards[0], &sn->signal_note);
}

void snapshots_stop(struct shard *s) {
    struct snapshots *sn = s->fleet->snapshots;
    if (sn == NULL) return;
    sn->stopping = true;
    snapshots__give_up(sn, -ECANCELED);
    struct snapshot_ask *ask = sn->leaving.ask;
    sn->leaving.ask = NULL;
    if (ask != NULL) answer(sn, ask, NULL, NULL);
    snapshots__answer_all(sn, ASK_SHUTDOWN, NULL, NULL);
}
