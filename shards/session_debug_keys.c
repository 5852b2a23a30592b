// SPDX-License-Identifier: BSD-3-Clause
//
// DEBUG's subcommands that look at keys: OBJECT, DIGEST, DIGEST-VALUE, HTSTATS, HTSTATS-KEY and
// LISTPACK. Each runs as a reading transaction of its own over its keys, or over whole shards, on
// the connection's shard; so they see one state of all shards, and are refused inside MULTI, where
// EXEC may have locked the keys for itself. Invariant: nothing is changed, access times included.
// Called by session_debug.c.
#include <stdio.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "engine/encoding/listpack.h"
#include "engine/encoding/quicklist.h"
#include "shards/multi.h"
#include "shards/session.h"
#include "shards/session_shared.h"
#include "shards/transaction.h"

typedef void answer_fn(struct cmd *c);

/** A subcommand with copied arguments that waits for its transaction. */
struct question {
    struct connection *connection;
    const struct command *spec;
    answer_fn *answer;
    int argc;
    struct slice argv[];
};

// ---- object ------------------------------------------------------------------------------------

/** Bytes of a length in front of what it counts, as in a snapshot. */
static size_t length_bytes(size_t n) {
    return n < 64 ? 1 : n < 16384 ? 2 : n <= UINT32_MAX ? 5 : 9;
}

/**
 * What the value would take in a snapshot: a string exactly; of a collection, what it takes in
 * memory.
 */
static size_t serialized_length(const struct entry *e) {
    int64_t number;
    if (entry_type(e) != ENTRY_STRING) return value_memory(entry_value(e));
    size_t n = entry_string_length(e);
    if (e->encoding == ENC_INT && entry_string_i64(e, &number)) {
        if (number >= INT8_MIN && number <= INT8_MAX) return 2;
        if (number >= INT16_MIN && number <= INT16_MAX) return 3;
        if (number >= INT32_MIN && number <= INT32_MAX) return 5;
    }
    return n + length_bytes(n);
}

/** The entry of argument 2; NULL: there is none, and the error has been written. */
static const struct entry *find(struct cmd *c) {
    struct found f = cmd_peek(c, 2);
    if (f.ref.entry == NULL) reply_error(c->reply, error_no_such_key);
    return f.ref.entry;
}

/** What only long lists have to tell. */
static void add_quicklist(struct buf *out, const struct quicklist *ql) {
    size_t bytes = 0;
    for (const struct quicklist_node *node = ql->head; node != NULL; node = node->next)
        bytes += node->bytes;
    buf_printf(out,
               " ql_nodes:%zu ql_avg_node:%.2f ql_listpack_max:%d ql_compressed:%d "
               "ql_uncompressed_size:%zu",
               ql->nodes, (double)ql->count / (double)ql->nodes, ql->fill, ql->depth != 0, bytes);
}

static void answer_object(struct cmd *c) {
    const struct entry *e = find(c);
    if (e == NULL) return;
    struct buf text = {0};
    buf_printf(&text,
               "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%u",
               (const void *)e, entry_encoding_name(e), serialized_length(e), entry_access(e),
               c->settings->lfu ? 0 : cmd_idle_s(c, e));
    if (e->encoding == ENC_LIST_QUICKLIST) add_quicklist(&text, entry_value(e).object);
    *buf_reserve(&text, 1) = '\0';
    reply_status(c->reply, text.p);
    buf_free(&text);
}

// ---- digests -----------------------------------------------------------------------------------

/** 40 hex digits; all of them 0 for the digest of nothing. */
static void reply_digest(struct reply *reply, const struct digest *d) {
    char text[41];
    uint32_t third = (uint32_t)((d->low ^ d->high) * 0x9e3779b97f4a7c15u >> 32);
    snprintf(text, sizeof text, "%016llx%016llx%08x", (unsigned long long)d->low,
             (unsigned long long)d->high, third);
    reply_status(reply, text);
}

/** Equal for equal values under whatever keys; with an expiry, whichever, is another value. */
static void answer_digest_value(struct cmd *c) {
    reply_array(c->reply, (uint64_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        struct digest d = {0};
        struct found f = cmd_peek(c, i);
        if (f.ref.entry != NULL) {
            entry_value_digest(f.ref.entry, &d);
            if (entry_expire_ms(f.ref.entry) != ENTRY_NO_EXPIRE)
                digest_add(&d, slice_text("expires"));
        }
        reply_digest(c->reply, &d);
    }
}

static void add_entry(void *context, struct entry *e) { entry_digest(e, context); }

/** The view's keyspaces one after the other: i from 0; NULL after the last. */
static struct keyspace *keyspace_at(const struct view *view, uint32_t i) {
    if (view->only != NULL) return i == 0 ? view->only : NULL;
    return i < view->nshards ? view->by_shard[i] : NULL;
}

static void answer_digest(struct cmd *c) {
    struct digest all = {0};
    uint32_t ndbs = keyspace_at(c->view, 0)->ndbs;
    for (uint32_t number = 0; number < ndbs; number++) {
        struct digest of_db = {0}, own = {0};
        uint64_t count = 0;
        struct keyspace *ks;
        for (uint32_t i = 0; (ks = keyspace_at(c->view, i)) != NULL; i++) {
            table_each(&ks->dbs[number].table, add_entry, &of_db);
            count += db_count(&ks->dbs[number]);
        }
        if (count == 0) continue;
        digest_add(&own, slice_of(&number, sizeof number));
        digest_add(&own, slice_of(&of_db, sizeof of_db));
        digest_join(&all, &own);
    }
    reply_digest(c->reply, &all);
}

// ---- tables ------------------------------------------------------------------------------------

static void describe_db(struct buf *out, const struct db *db) {
    const struct table *t = &db->table;
    buf_printf(out, "[Shard %u, database %u]\n", db->keyspace->shard, db->index);
    buf_printf(out, " buckets: %llu\n entries: %llu\n with expiry: %llu\n",
               (unsigned long long)t->nbuckets, (unsigned long long)db_count(db),
               (unsigned long long)db_expires(db));
    buf_printf(out, " entries per bucket: %.2f\n overflow bytes: %zu\n table bytes: %zu\n",
               t->nbuckets != 0 ? (double)t->count / (double)t->nbuckets : 0.0, t->overflow,
               table_memory(t));
}

static void answer_htstats(struct cmd *c) {
    int64_t number;
    if (!cmd_arg_i64(c, 2, &number)) return;
    if (number < 0 || number >= (int64_t)keyspace_at(c->view, 0)->ndbs) {
        reply_error(c->reply, "ERR Out of range database");
        return;
    }
    struct buf text = {0};
    struct keyspace *ks;
    for (uint32_t i = 0; (ks = keyspace_at(c->view, i)) != NULL; i++)
        describe_db(&text, &ks->dbs[number]);
    reply_verbatim(c->reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
}

static void answer_htstats_key(struct cmd *c) {
    const struct entry *e = find(c);
    if (e == NULL) return;
    if (e->encoding != ENC_SET_HASHTABLE && e->encoding != ENC_HASH_HASHTABLE &&
        e->encoding != ENC_ZSET_SKIPLIST) {
        reply_error(c->reply, "ERR The value stored at the specified key is not represented using "
                              "an hash table");
        return;
    }
    struct value v = entry_value(e);
    struct buf text = {0};
    buf_printf(&text, "[%s]\n elements: %zu\n bytes: %zu\n", value_encoding_name(v.encoding),
               value_length(v), value_memory(v));
    reply_verbatim(c->reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
}

// ---- listpacks ---------------------------------------------------------------------------------

static void add_element(struct buf *out, size_t number, const uint8_t *p) {
    struct listpack_item item;
    listpack_get(p, &item);
    if (item.is_int) {
        buf_printf(out, "%zu: integer %lld\n", number, (long long)item.number);
        return;
    }
    buf_printf(out, "%zu: %zu bytes ", number, item.text.n);
    buf_append(out, item.text.p, item.text.n);
    buf_append_char(out, '\n');
}

static void answer_listpack(struct cmd *c) {
    const struct entry *e = find(c);
    if (e == NULL) return;
    bool packed = e->encoding == ENC_LIST_LISTPACK || e->encoding == ENC_SET_LISTPACK ||
                  e->encoding == ENC_HASH_LISTPACK || e->encoding == ENC_HASH_LISTPACK_EX ||
                  e->encoding == ENC_ZSET_LISTPACK;
    if (!packed) {
        reply_error(c->reply, "ERR Not a listpack encoded object.");
        return;
    }
    const uint8_t *lp = entry_value(e).object;
    struct buf text = {0};
    size_t number = 0;
    buf_printf(&text, "%zu bytes, %zu elements\n", listpack_bytes(lp), listpack_count(lp));
    for (const uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p))
        add_element(&text, number++, p);
    reply_verbatim(c->reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
}

// ---- the commands ------------------------------------------------------------------------------

static void run(struct transaction *t, void *context) {
    struct question *question = context;
    struct connection *conn = question->connection;
    struct late_reply late;
    connection_late_begin(conn, &late);
    struct cmd c = {.spec = question->spec,
                    .argc = question->argc,
                    .argv = question->argv,
                    .reply = &late.reply,
                    .view = transaction_view(t),
                    .settings = &conn->shard->settings,
                    .now_ms = transaction_now_ms(t),
                    .now_us = conn->shard->now_us,
                    .db = conn->db,
                    .flags = CMD_CTX_NO_TOUCH};
    question->answer(&c);
    transaction_late_end(t, &late);
    mem_free(question);
}

static struct question *copy_question(struct session_call *call, answer_fn *answer) {
    size_t slices = (size_t)call->argc * sizeof(struct slice);
    struct question *q = mem_alloc(sizeof *q + slices + slices_bytes(call->argv, call->argc));
    q->connection = call->connection;
    q->spec = call->spec;
    q->answer = answer;
    q->argc = call->argc;
    slices_copy(q->argv, (char *)(q->argv + q->argc), call->argv, call->argc);
    return q;
}

/** Whether a client of a shard port asks for keys that its node does not have. */
static bool is_elsewhere(const struct session_call *call, int last) {
    if (!connection_is_node(call->connection)) return false;
    const struct shard *s = call->connection->shard;
    for (int i = 2; i <= last; i++)
        if (shard_of_key(s, call->argv[i]) != s->id) return true;
    return false;
}

/** Asks about arguments 2 to `last`, or, with last 0, about all that the client knows of. */
static void ask(struct session_call *call, answer_fn *answer, int last) {
    struct connection *conn = call->connection;
    struct question *q = copy_question(call, answer);
    struct transaction *t = transaction_new(conn, false, conn->db, run, q);
    for (int i = 2; i <= last; i++) transaction_add_key(t, call->argv[i], true);
    if (last == 0)
        transaction_add_whole(t, connection_is_node(conn) ? conn->shard->id : UINT32_MAX);
    transaction_start(t);
}

bool session__debug_keys(struct session_call *call) {
    static const struct {
        const char *name;
        answer_fn *answer;
        int argc_min, argc_max;
        bool keys; // 2: a key; further ones too where more than one is allowed
    } rows[] = {
        {"object", answer_object, 3, 3, true},
        {"digest", answer_digest, 2, 2, false},
        {"digest-value", answer_digest_value, 2, INT32_MAX, true},
        {"htstats", answer_htstats, 3, 4, false},
        {"htstats-key", answer_htstats_key, 3, 4, true},
        {"listpack", answer_listpack, 3, 3, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!slice_is(call->argv[1], rows[i].name)) continue;
        if (call->argc < rows[i].argc_min || call->argc > rows[i].argc_max) return false;
        int last = !rows[i].keys ? 0 : rows[i].argc_max > 4 ? call->argc - 1 : 2;
        if (multi_is_running(call->connection->multi))
            reply_error(call->reply, "ERR DEBUG on keys is not allowed inside MULTI");
        else if (last == 1)
            reply_array(call->reply, 0);
        else if (is_elsewhere(call, last))
            reply_error(call->reply, error_no_such_key);
        else
            ask(call, rows[i].answer, last);
        return true;
    }
    return false;
}
