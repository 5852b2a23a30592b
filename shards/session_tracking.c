// SPDX-License-Identifier: BSD-3-Clause
//
// CLIENT TRACKING and what belongs to it (Redis documentation: CLIENT TRACKING, Client-side
// caching). Runs on the connection's shard; who turns tracking on reaches every shard by a fan-out,
// because all of them have to take part before the first read, and to find whom it redirects to.
// Called through the table of session.c.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "shards/fanout.h"
#include "shards/session.h"
#include "shards/tracking.h"

// ---- options -----------------------------------------------------------------------------------

/** CLIENT TRACKING on its way over all shards. Its texts are copies behind it. */
struct tracking_call {
    struct tracking_options options;
    const char *error; // what was wrong behind REDIRECT; NULL
    bool on;
    bool counted; // among the fleet's tracking_clients
    struct slice prefixes[];
};

/**
 * Reads the words behind ON or OFF; the error at which it stopped, or NULL. Prefixes are slices of
 * argv, in `prefixes`.
 */
static const char *parse_options(const struct session_call *call, struct tracking_options *o,
                                 struct slice *prefixes) {
    static const struct {
        const char *word;
        enum tracking_mode mode;
    } words[] = {{"bcast", TRACKING_BCAST},
                 {"optin", TRACKING_OPTIN},
                 {"optout", TRACKING_OPTOUT},
                 {"noloop", TRACKING_NOLOOP}};
    *o = (struct tracking_options){.prefixes = prefixes};
    for (int i = 3; i < call->argc; i++) {
        struct slice word = call->argv[i];
        bool more = i + 1 < call->argc, known = false;
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            if (!slice_is(word, words[w].word)) continue;
            o->mode |= words[w].mode;
            known = true;
        }
        if (known) continue;
        if (slice_is(word, "redirect") && more) {
            int64_t id;
            if (o->redirect != 0) return "ERR A client can only redirect to a single other client";
            if (!num_parse_i64(call->argv[++i], &id)) return error_not_integer;
            if (id == 0) return "ERR The client ID you want redirect to does not exist";
            o->redirect = (uint64_t)id;
        } else if (slice_is(word, "prefix") && more) {
            prefixes[o->prefix_count++] = call->argv[++i];
        } else {
            return error_syntax;
        }
    }
    return NULL;
}

/** Whether the options go together, and with what the client has chosen before. */
static const char *check_modes(const struct connection *conn, const struct tracking_options *o) {
    uint32_t mode = o->mode, old = tracking_is_on(conn) ? conn->tracking->mode : 0;
    if (!(mode & TRACKING_BCAST) && o->prefix_count > 0)
        return "ERR PREFIX option requires BCAST mode to be enabled";
    if (old != 0 && ((old ^ mode) & TRACKING_BCAST))
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    if ((mode & TRACKING_BCAST) && (mode & (TRACKING_OPTIN | TRACKING_OPTOUT)))
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if ((mode & TRACKING_OPTIN) && (mode & TRACKING_OPTOUT))
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if (((mode & TRACKING_OPTIN) && (old & TRACKING_OPTOUT)) ||
        ((mode & TRACKING_OPTOUT) && (old & TRACKING_OPTIN)))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    return NULL;
}

static bool overlap(struct slice a, struct slice b) {
    size_t n = a.n < b.n ? a.n : b.n;
    return n == 0 || memcmp(a.p, b.p, n) == 0;
}

static void reply_overlap(struct reply *reply, struct slice a, const char *which, struct slice b) {
    reply_error_format(reply,
                       "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single "
                       "client must not overlap.",
                       (int)a.n, a.p, which, (int)b.n, b.p);
}

/** Whether no key has two of the prefixes; if not, the error has been written. */
static bool check_prefixes(const struct connection *conn, const struct tracking_options *o,
                           struct reply *reply) {
    const struct tracking_client *client = tracking_is_on(conn) ? conn->tracking : NULL;
    for (uint32_t i = 0; i < o->prefix_count; i++) {
        struct slice prefix = o->prefixes[i];
        for (uint32_t j = 0; client && j < client->prefix_count; j++) {
            if (!overlap(client->prefixes[j], prefix)) continue;
            reply_overlap(reply, prefix, "an existing", client->prefixes[j]);
            return false;
        }
        for (uint32_t j = i + 1; j < o->prefix_count; j++) {
            if (!overlap(prefix, o->prefixes[j])) continue;
            reply_overlap(reply, prefix, "another provided", o->prefixes[j]);
            return false;
        }
    }
    return true;
}

// ---- CLIENT TRACKING ---------------------------------------------------------------------------

static void run_tracking(struct shard *s, struct fanout_leg *leg) {
    const struct tracking_call *t = leg->fanout->context;
    if (t->counted) tracking_raise(s);
    if (t->options.redirect != 0)
        leg->number = tracking_accept_redirect(s, t->options.redirect) ? 1 : 0;
}

static void end_tracking(struct connection *conn, const struct tracking_call *t,
                         uint32_t redirect_shard, struct reply *reply) {
    const char *error = t->error;
    if (!error && t->on) error = check_modes(conn, &t->options);
    if (error) {
        reply_error(reply, error);
    } else if (!t->on) {
        tracking_disable(conn);
        reply_ok(reply);
    } else if (check_prefixes(conn, &t->options, reply)) {
        // Counted anew if it is new: the count of the call is taken back in any case.
        if (!tracking_is_on(conn))
            atomic_fetch_add_explicit(&conn->shard->fleet->tracking_clients, 1,
                                      memory_order_relaxed);
        tracking_enable(conn, &t->options, redirect_shard);
        reply_ok(reply);
    }
}

static void finish_tracking(struct fanout *f, struct reply *reply) {
    struct tracking_call *t = f->context;
    struct connection *conn = f->work.connection;
    uint32_t n = f->home->fleet->nshards, shard = 0;
    if (t->options.redirect != 0)
        while (shard < n && fanout_leg_at(f, shard)->number == 0) shard++;
    if (shard == n)
        reply_error(reply, "ERR The client ID you want redirect to does not exist");
    else
        end_tracking(conn, t, shard, reply);
    if (t->counted)
        atomic_fetch_sub_explicit(&f->home->fleet->tracking_clients, 1, memory_order_relaxed);
    mem_free(t);
}

static struct tracking_call *copy_call(const struct tracking_options *o) {
    size_t bytes = slices_bytes(o->prefixes, (int)o->prefix_count);
    size_t size = sizeof(struct tracking_call) + o->prefix_count * sizeof(struct slice);
    struct tracking_call *t = mem_alloc(size + bytes);
    *t = (struct tracking_call){.options = *o};
    slices_copy(t->prefixes, (char *)t + size, o->prefixes, (int)o->prefix_count);
    t->options.prefixes = t->prefixes;
    return t;
}

void client_tracking(struct session_call *call) {
    struct connection *conn = call->connection;
    struct tracking_options options;
    struct slice *prefixes = mem_alloc((size_t)call->argc * sizeof *prefixes);
    const char *error = parse_options(call, &options, prefixes);
    bool on = slice_is(call->argv[2], "on");
    if (!error && !on && !slice_is(call->argv[2], "off")) error = error_syntax;
    struct tracking_call *t = copy_call(&options);
    mem_free(prefixes);
    t->error = error;
    t->on = on && !error;
    // As in Redis, whom it redirects to is looked for before what follows is read.
    if (options.redirect == 0 && !t->on) {
        end_tracking(conn, t, 0, call->reply);
        mem_free(t);
        return;
    }
    t->counted = t->on;
    if (t->counted)
        atomic_fetch_add_explicit(&conn->shard->fleet->tracking_clients, 1, memory_order_relaxed);
    fanout_start(conn, t, run_tracking, finish_tracking);
}

// ---- CLIENT CACHING, TRACKINGINFO, GETREDIR ----------------------------------------------------

void client_caching(struct session_call *call) {
    struct connection *conn = call->connection;
    bool yes = slice_is(call->argv[2], "yes");
    uint32_t wanted = yes ? TRACKING_OPTIN : TRACKING_OPTOUT;
    if (!tracking_is_on(conn)) {
        reply_error(call->reply, "ERR CLIENT CACHING can be called only when the client is in "
                                 "tracking mode with OPTIN or OPTOUT mode enabled");
    } else if (!yes && !slice_is(call->argv[2], "no")) {
        reply_error(call->reply, error_syntax);
    } else if (!(conn->tracking->mode & wanted)) {
        reply_error_format(
            call->reply, "ERR CLIENT CACHING %s is only valid when tracking is enabled in %s mode.",
            yes ? "YES" : "NO", yes ? "OPTIN" : "OPTOUT");
    } else {
        tracking_set_caching(conn, CACHING_GIVEN);
        reply_ok(call->reply);
    }
}

static int64_t redirect_of(const struct connection *conn) {
    return tracking_is_on(conn) ? (int64_t)conn->tracking->redirect : -1;
}

void client_getredir(struct session_call *call) {
    reply_int(call->reply, redirect_of(call->connection));
}

static void reply_flags(const struct connection *conn, struct reply *r) {
    const struct tracking_client *client = conn->tracking;
    uint32_t mode = tracking_is_on(conn) ? client->mode : 0;
    bool said = mode != 0 && client->caching != CACHING_NONE;
    const struct {
        bool shown;
        const char *word;
    } flags[] = {{mode == 0, "off"},
                 {mode & TRACKING_ON, "on"},
                 {mode & TRACKING_BCAST, "bcast"},
                 {mode & TRACKING_OPTIN, "optin"},
                 {(mode & TRACKING_OPTIN) && said, "caching-yes"},
                 {mode & TRACKING_OPTOUT, "optout"},
                 {(mode & TRACKING_OPTOUT) && said, "caching-no"},
                 {mode & TRACKING_NOLOOP, "noloop"},
                 {mode & TRACKING_BROKEN, "broken_redirect"}};
    const size_t count = sizeof flags / sizeof flags[0];
    size_t shown = 0;
    for (size_t i = 0; i < count; i++) shown += flags[i].shown;
    reply_set(r, shown);
    for (size_t i = 0; i < count; i++)
        if (flags[i].shown) reply_bulk_text(r, flags[i].word);
}

void client_trackinginfo(struct session_call *call) {
    const struct connection *conn = call->connection;
    struct reply *r = call->reply;
    reply_map(r, 3);
    reply_bulk_text(r, "flags");
    reply_flags(conn, r);
    reply_bulk_text(r, "redirect");
    reply_int(r, redirect_of(conn));
    reply_bulk_text(r, "prefixes");
    uint32_t count = tracking_is_on(conn) ? conn->tracking->prefix_count : 0;
    reply_array(r, count);
    for (uint32_t i = 0; i < count; i++) reply_bulk_slice(r, conn->tracking->prefixes[i]);
}
