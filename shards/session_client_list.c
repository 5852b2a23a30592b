// SPDX-License-Identifier: BSD-3-Clause
//
// CLIENT LIST, KILL and UNBLOCK: what looks at the connections of all shards. Each is a fan-out
// whose legs walk their own shard's connections; the reply is put together at home. Filters are
// parsed first and copied, since the arguments do not outlive the call. Invariant: a connection
// that is being closed already is neither listed nor killed again. Called through the table of
// session.c.
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "net/listener.h"
#include "shards/fanout.h"
#include "shards/pubsub.h"
#include "shards/session.h"
#include "shards/session_shared.h"

enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_OTHER };

/** What TYPE names. There are no masters and replicas so far: these types match nobody. */
static bool parse_type(struct session_call *call, struct slice word, enum client_type *type) {
    *type = TYPE_OTHER;
    if (slice_is(word, "normal"))
        *type = TYPE_NORMAL;
    else if (slice_is(word, "pubsub"))
        *type = TYPE_PUBSUB;
    else if (!slice_is(word, "slave") && !slice_is(word, "replica") && !slice_is(word, "master"))
        reply_error_format(call->reply, "ERR Unknown client type '%.*s'", (int)word.n, word.p);
    return call->reply->errors == 0;
}

/** Whether a client is of the type. */
static bool is_of_type(const struct connection *conn, enum client_type type) {
    if (type == TYPE_ANY) return true;
    return type == (pubsub_is_subscribed(conn) ? TYPE_PUBSUB : TYPE_NORMAL);
}

// ---- list --------------------------------------------------------------------------------------

struct list_filter {
    enum client_type type;
    int count;        // of ids; 0: no such filter
    uint64_t *ids;    // in the order asked for, then once more sorted
    uint64_t *sorted; // into ids
};

/** In front of each line in a leg's text. */
struct list_record {
    uint64_t id;
    const char *line; // set at home
    size_t length;
};

static int compare_ids(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void run_list(struct shard *s, struct fanout_leg *leg) {
    const struct list_filter *filter = leg->fanout->context;
    struct buf *out = &leg->text;
    for (struct connection *conn = s->connections.first; conn; conn = conn->next) {
        if (conn->io_closing || !is_of_type(conn, filter->type)) continue;
        if (filter->count > 0 && !bsearch(&conn->id, filter->sorted, (size_t)filter->count,
                                          sizeof *filter->sorted, compare_ids))
            continue;
        struct list_record record = {.id = conn->id};
        size_t at = out->len;
        buf_append(out, &record, sizeof record);
        connection_describe(conn, out);
        buf_append_char(out, '\n');
        record.length = out->len - at - sizeof record;
        memcpy(out->p + at, &record, sizeof record);
        leg->number++;
    }
}

/** All records of all legs, sorted by id. The caller frees them; lines stay in the legs. */
static struct list_record *collect_records(const struct fanout *f, size_t *count) {
    *count = 0;
    for (uint32_t i = 0; i < f->home->fleet->nshards; i++)
        *count += (size_t)fanout_leg_at(f, i)->number;
    struct list_record *records = mem_alloc((*count + 1) * sizeof *records), *next = records;
    for (uint32_t i = 0; i < f->home->fleet->nshards; i++) {
        const struct buf *text = &fanout_leg_at(f, i)->text;
        for (size_t at = 0; at < text->len; next++) {
            memcpy(next, text->p + at, sizeof *next);
            next->line = text->p + at + sizeof *next;
            at += sizeof *next + next->length;
        }
    }
    ASSERT((size_t)(next - records) == *count);
    qsort(records, *count, sizeof *records, compare_ids); // the id is the first member
    return records;
}

static void finish_list(struct fanout *f, struct reply *reply) {
    struct list_filter *filter = f->context;
    size_t count;
    struct list_record *records = collect_records(f, &count);
    struct buf text = {0};
    for (size_t i = 0; filter->count == 0 && i < count; i++)
        buf_append(&text, records[i].line, records[i].length);
    for (int i = 0; i < filter->count; i++) {
        const struct list_record *record =
            bsearch(&filter->ids[i], records, count, sizeof *records, compare_ids);
        if (record) buf_append(&text, record->line, record->length);
    }
    reply_verbatim(reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
    mem_free(records);
    mem_free(filter->ids);
    mem_free(filter);
}

static bool parse_ids(struct session_call *call, struct list_filter *filter) {
    filter->count = call->argc - 3;
    size_t n = (size_t)filter->count;
    filter->ids = mem_alloc(2 * n * sizeof *filter->ids);
    filter->sorted = filter->ids + n;
    for (int i = 0; i < filter->count; i++) {
        int64_t id;
        if (!num_parse_i64(call->argv[i + 3], &id)) {
            reply_error(call->reply, "ERR Invalid client ID");
            mem_free(filter->ids);
            return false;
        }
        filter->ids[i] = (uint64_t)id;
    }
    memcpy(filter->sorted, filter->ids, n * sizeof *filter->ids);
    qsort(filter->sorted, n, sizeof *filter->sorted, compare_ids);
    return true;
}

void client_list(struct session_call *call) {
    struct list_filter filter = {0};
    if (call->argc == 4 && slice_is(call->argv[2], "type")) {
        if (!parse_type(call, call->argv[3], &filter.type)) return;
    } else if (call->argc > 3 && slice_is(call->argv[2], "id")) {
        if (!parse_ids(call, &filter)) return;
    } else if (call->argc != 2) {
        reply_error(call->reply, error_syntax);
        return;
    }
    struct list_filter *context = mem_alloc(sizeof *context);
    *context = filter;
    fanout_start_for(call->connection, context, run_list, finish_list);
}

// ---- kill --------------------------------------------------------------------------------------

struct kill_filter {
    enum client_type type;
    uint64_t id;                  // 0: any
    char *address, *local, *user; // NULL: any
    bool skip_me, old_form;
};

static char *copy_text(struct slice text) {
    char *copy = mem_alloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

static void kill_filter_free(struct kill_filter *filter) {
    mem_free(filter->address);
    mem_free(filter->local);
    mem_free(filter->user);
    mem_free(filter);
}

static bool is_meant(const struct kill_filter *filter, const struct connection *conn) {
    char text[160];
    if (conn->io_closing || !is_of_type(conn, filter->type)) return false;
    if (filter->id && conn->id != filter->id) return false;
    if (filter->user && !slice_equal(accounts_name(conn), slice_text(filter->user))) return false;
    if (filter->address && (listener_peer_text(conn->io.fd, text, sizeof text) == 0 ||
                            strcmp(text, filter->address) != 0))
        return false;
    return !filter->local || (listener_own_text(conn->io.fd, text, sizeof text) > 0 &&
                              strcmp(text, filter->local) == 0);
}

static void run_kill(struct shard *s, struct fanout_leg *leg) {
    const struct kill_filter *filter = leg->fanout->context;
    const struct connection *me = leg->fanout->work.connection;
    for (struct connection *conn = s->connections.first; conn; conn = conn->next) {
        if ((conn == me && filter->skip_me) || !is_meant(filter, conn)) continue;
        // Who asked still gets the reply.
        if (conn == me)
            connection_close_after_reply(conn);
        else
            connection_close(conn);
        leg->number++;
    }
}

static void finish_kill(struct fanout *f, struct reply *reply) {
    struct kill_filter *filter = f->context;
    int64_t killed = 0;
    for (uint32_t i = 0; i < f->home->fleet->nshards; i++) killed += fanout_leg_at(f, i)->number;
    if (!filter->old_form)
        reply_int(reply, killed);
    else if (killed > 0)
        reply_ok(reply);
    else
        reply_error(reply, "ERR No such client");
    kill_filter_free(filter);
}

static bool parse_kill_id(struct session_call *call, struct slice value, uint64_t *id) {
    int64_t number;
    if (!num_parse_i64(value, &number) || number < 1) {
        reply_error(call->reply, "ERR client-id should be greater than 0");
        return false;
    }
    *id = (uint64_t)number;
    return true;
}

static void replace_text(char **field, struct slice value) {
    mem_free(*field);
    *field = copy_text(value);
}

/** One filter with its value. False: the error has been written. */
static bool parse_kill_option(struct session_call *call, struct slice option, struct slice value,
                              struct kill_filter *filter) {
    if (slice_is(option, "id")) return parse_kill_id(call, value, &filter->id);
    if (slice_is(option, "type")) return parse_type(call, value, &filter->type);
    if (slice_is(option, "addr")) {
        replace_text(&filter->address, value);
    } else if (slice_is(option, "laddr")) {
        replace_text(&filter->local, value);
    } else if (slice_is(option, "user")) {
        replace_text(&filter->user, value);
        if (acl_users_find(call->connection->shard->accounts.users, value) == ACL_NOT_THERE)
            reply_error_format(call->reply, "ERR No such user '%.*s'", (int)value.n, value.p);
    } else if (slice_is(option, "skipme") && slice_is(value, "yes")) {
        filter->skip_me = true;
    } else if (slice_is(option, "skipme") && slice_is(value, "no")) {
        filter->skip_me = false;
    } else {
        reply_error(call->reply, error_syntax);
    }
    return call->reply->errors == 0;
}

void client_kill(struct session_call *call) {
    struct kill_filter *filter = mem_calloc(sizeof *filter);
    filter->old_form = call->argc == 3;
    filter->skip_me = !filter->old_form;
    bool ok = true;
    if (filter->old_form) filter->address = copy_text(call->argv[2]);
    for (int i = 2; ok && !filter->old_form && i < call->argc; i += 2) {
        if (i + 1 < call->argc) {
            ok = parse_kill_option(call, call->argv[i], call->argv[i + 1], filter);
        } else {
            reply_error(call->reply, error_syntax);
            ok = false;
        }
    }
    if (ok)
        fanout_start_for(call->connection, filter, run_kill, finish_kill);
    else
        kill_filter_free(filter);
}

// ---- unblock -----------------------------------------------------------------------------------

struct unblock {
    uint64_t id;
    bool with_error;
};

static void run_unblock(struct shard *s, struct fanout_leg *leg) {
    const struct unblock *unblock = leg->fanout->context;
    for (struct connection *conn = s->connections.first; conn; conn = conn->next) {
        if (conn->id != unblock->id) continue;
        const char *error =
            unblock->with_error ? "UNBLOCKED client unblocked via CLIENT UNBLOCK" : NULL;
        if (conn->work && conn->work->blocking) leg->number = conn->work->end(conn->work, error);
        return;
    }
}

static void finish_unblock(struct fanout *f, struct reply *reply) {
    int64_t unblocked = 0;
    for (uint32_t i = 0; i < f->home->fleet->nshards; i++) unblocked += fanout_leg_at(f, i)->number;
    mem_free(f->context);
    reply_int(reply, unblocked);
}

void client_unblock(struct session_call *call) {
    bool with_error = false;
    int64_t id;
    if (call->argc > 4) {
        session__wrong_subcommand(call, "CLIENT");
        return;
    }
    if (call->argc == 4) {
        with_error = slice_is(call->argv[3], "error");
        if (!with_error && !slice_is(call->argv[3], "timeout")) {
            reply_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
            return;
        }
    }
    if (!num_parse_i64(call->argv[2], &id)) {
        reply_error(call->reply, error_not_integer);
        return;
    }
    struct unblock *context = mem_alloc(sizeof *context);
    *context = (struct unblock){(uint64_t)id, with_error};
    fanout_start_for(call->connection, context, run_unblock, finish_unblock);
}
