// SPDX-License-Identifier: BSD-3-Clause
//
// ACL LOG: a list of entries, newest first, each one allocation with its texts and one for the
// client's line, which is replaced when the same is denied again. Whoever owns the log calls, one
// at a time. Invariant: at most max entries after each addition.
#include "engine/acl/acl_log.h"

#include "engine/base/alloc.h"

#define SAME_FOR_MS 60000 // what comes again within this time is counted
#define LOOKED_AT   10    // among so many of the newest entries

struct acl_log_entry {
    struct acl_log_entry *next;
    uint64_t id, times;
    int64_t created_ms, updated_ms;
    enum acl_log_reason reason;
    bool in_multi;
    char *client; // with its length: of the last time
    size_t client_length;
    uint32_t object_length, user_length;
    char texts[]; // object, user
};

static struct slice object_of(const struct acl_log_entry *e) {
    return slice_of(e->texts, e->object_length);
}

static struct slice user_of(const struct acl_log_entry *e) {
    return slice_of(e->texts + e->object_length, e->user_length);
}

static bool is_same(const struct acl_log_entry *e, const struct acl_denial *d, int64_t now_ms) {
    int64_t apart = now_ms > e->updated_ms ? now_ms - e->updated_ms : e->updated_ms - now_ms;
    return e->reason == d->reason && e->in_multi == d->in_multi && apart <= SAME_FOR_MS &&
           slice_equal(object_of(e), d->object) && slice_equal(user_of(e), d->user);
}

static void set_client(struct acl_log_entry *e, struct slice client) {
    mem_free(e->client);
    e->client = mem_alloc(client.n + 1);
    if (client.n > 0) memcpy(e->client, client.p, client.n);
    e->client_length = client.n;
}

static struct acl_log_entry *make(const struct acl_denial *d, uint64_t id, int64_t now_ms) {
    struct acl_log_entry *e = mem_calloc(sizeof *e + d->object.n + d->user.n);
    e->id = id;
    e->created_ms = now_ms;
    e->reason = d->reason;
    e->in_multi = d->in_multi;
    e->object_length = (uint32_t)d->object.n;
    e->user_length = (uint32_t)d->user.n;
    struct slice copies[2];
    slices_copy(copies, e->texts, (const struct slice[]){d->object, d->user}, 2);
    return e;
}

static void free_from(struct acl_log *log, struct acl_log_entry **at) {
    while (*at != NULL) {
        struct acl_log_entry *e = *at;
        *at = e->next;
        mem_free(e->client);
        mem_free(e);
        log->count--;
    }
}

/** Takes the entry that counts the same denial out of the list; NULL: there is none. */
static struct acl_log_entry *take_same(struct acl_log *log, const struct acl_denial *d,
                                       int64_t now_ms) {
    struct acl_log_entry **at = &log->first;
    for (int i = 0; i < LOOKED_AT && *at != NULL; i++, at = &(*at)->next) {
        if (!is_same(*at, d, now_ms)) continue;
        struct acl_log_entry *e = *at;
        *at = e->next;
        log->count--;
        return e;
    }
    return NULL;
}

void acl_log_add(struct acl_log *log, const struct acl_denial *denial, uint64_t max,
                 int64_t now_ms) {
    struct acl_log_entry *e = take_same(log, denial, now_ms);
    if (e == NULL) e = make(denial, log->next_id++, now_ms);
    set_client(e, denial->client);
    e->updated_ms = now_ms;
    e->times++;
    e->next = log->first;
    log->first = e;
    log->count++;
    struct acl_log_entry **at = &log->first;
    for (uint64_t i = 0; i < max && *at != NULL; i++) at = &(*at)->next;
    free_from(log, at);
}

void acl_log_reset(struct acl_log *log) { free_from(log, &log->first); }

static void reply_entry(const struct acl_log_entry *e, int64_t now_ms, struct reply *r) {
    static const char *const reasons[] = {[ACL_LOG_COMMAND] = "command",
                                          [ACL_LOG_KEY] = "key",
                                          [ACL_LOG_CHANNEL] = "channel",
                                          [ACL_LOG_AUTH] = "auth"};
    reply_map(r, 10);
    reply_bulk_text(r, "count");
    reply_int(r, (int64_t)e->times);
    reply_bulk_text(r, "reason");
    reply_bulk_text(r, reasons[e->reason]);
    reply_bulk_text(r, "context");
    reply_bulk_text(r, e->in_multi ? "multi" : "toplevel");
    reply_bulk_text(r, "object");
    reply_bulk_slice(r, object_of(e));
    reply_bulk_text(r, "username");
    reply_bulk_slice(r, user_of(e));
    reply_bulk_text(r, "age-seconds");
    reply_double(r, (double)(now_ms - e->updated_ms) / 1000);
    reply_bulk_text(r, "client-info");
    reply_bulk_slice(r, slice_of(e->client, e->client_length));
    reply_bulk_text(r, "entry-id");
    reply_int(r, (int64_t)e->id);
    reply_bulk_text(r, "timestamp-created");
    reply_int(r, e->created_ms);
    reply_bulk_text(r, "timestamp-last-updated");
    reply_int(r, e->updated_ms);
}

void acl_log_reply(const struct acl_log *log, uint64_t count, int64_t now_ms, struct reply *reply) {
    if (count > log->count) count = log->count;
    reply_array(reply, (size_t)count);
    const struct acl_log_entry *e = log->first;
    for (uint64_t i = 0; i < count; i++, e = e->next) reply_entry(e, now_ms, reply);
}
