// SPDX-License-Identifier: BSD-3-Clause
//
// XGROUP and its subcommands, after t_stream.c of Redis 7.2, texts and order of checks included. No
// state; runs on whichever thread runs the command. Invariant: replaying each as it is makes the
// same group, as ids that are "$" mean the same there. Called through the command table.
#include "engine/commands/stream.h"

#include <ctype.h>

#include "engine/commands/introspect.h"
#include "engine/commands/stream_common.h"
#include "engine/keyspace/waiting.h"

/** What XGROUP and XINFO say about words that fit no subcommand. */
static void bad_subcommand(struct cmd *c) {
    int n = c->argv[1].n < 128 ? (int)c->argv[1].n : 128;
    reply_error_format(c->reply,
                       "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try "
                       "XGROUP HELP.",
                       n, c->argv[1].p);
}

struct group_args {
    bool mkstream;
    int64_t entries_read;
};

/** The options of CREATE and SETID, from argument 5 on. */
static bool parse_group(struct cmd *c, bool creates, struct group_args *a) {
    for (int i = 5; i < c->argc; i++) {
        if (creates && slice_is(c->argv[i], "mkstream")) {
            a->mkstream = true;
        } else if (i + 1 < c->argc && slice_is(c->argv[i], "entriesread")) {
            if (!cmd_arg_i64(c, ++i, &a->entries_read)) return false;
            if (a->entries_read >= -1) continue;
            reply_error(c->reply, "ERR value for ENTRIESREAD must be positive or -1");
            return false;
        } else {
            bad_subcommand(c);
            return false;
        }
    }
    return true;
}

/** Opens the stream at argument 2, which must be there unless it may be made. */
static bool open_stream(struct cmd *c, struct change *ch, bool may_be_made) {
    if (!change_open(c, 2, ENTRY_STREAM, ch)) return false;
    if (ch->v.encoding != 0 || may_be_made) return true;
    reply_error(c->reply, "ERR The XGROUP subcommand requires the key to exist. Note that for "
                          "CREATE you may want to use the MKSTREAM option to create an empty "
                          "stream automatically.");
    return false;
}

/** The same, and its group at argument 3. */
static bool open_group(struct cmd *c, struct change *ch, struct stream_group **g) {
    if (!open_stream(c, ch, false)) return false;
    *g = tstream_group(tstream_of(ch->v), c->argv[3]);
    if (*g != NULL) return true;
    struct slice key = c->argv[2], group = c->argv[3];
    reply_error_format(c->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                       (int)group.n, group.p, (int)key.n, key.p);
    return false;
}

static bool is_dollar(struct slice s) { return s.n == 1 && *s.p == '$'; }

void stream_xgroup_create(struct cmd *c) {
    struct group_args a = {.entries_read = -1};
    struct change ch;
    struct stream_id id = STREAM_ID_MIN;
    if (!parse_group(c, true, &a) || !open_stream(c, &ch, a.mkstream)) return;
    if (c->argc > 8) {
        bad_subcommand(c);
        return;
    }
    bool made = ch.v.encoding == 0;
    if (!is_dollar(c->argv[4])) {
        if (!stream__arg_id(c, 4, 0, &id)) return;
    } else if (!made) {
        id = tstream_of(ch.v)->last;
    }
    if (!made && tstream_group(tstream_of(ch.v), c->argv[3]) != NULL) {
        reply_error(c->reply, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    if (made) ch.v = tstream_new();
    tstream_group_add(tstream_of(ch.v), c->argv[3], id, a.entries_read);
    if (made)
        change_close(&ch, 1, NULL);
    else
        change_close_quietly(&ch, 1);
    change_event(&ch, "xgroup-create");
    reply_ok(c->reply);
}

void stream_xgroup_setid(struct cmd *c) {
    struct group_args a = {.entries_read = -1};
    struct change ch;
    struct stream_group *g;
    struct stream_id id;
    if (!parse_group(c, false, &a) || !open_group(c, &ch, &g)) return;
    if (c->argc > 7) {
        bad_subcommand(c);
        return;
    }
    struct slice text = c->argv[4];
    if (is_dollar(text))
        id = tstream_of(ch.v)->last;
    else if (text.n == 1 && (*text.p == '-' || *text.p == '+'))
        id = *text.p == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
    else if (!stream__arg_id(c, 4, 0, &id))
        return;
    g->last = id;
    g->entries_read = a.entries_read;
    change_close_quietly(&ch, 1);
    change_event(&ch, "xgroup-setid");
    reply_ok(c->reply);
}

void stream_xgroup_destroy(struct cmd *c) {
    struct change ch;
    if (!open_stream(c, &ch, false)) return;
    struct stream_group *g = tstream_group(tstream_of(ch.v), c->argv[3]);
    if (g != NULL) {
        tstream_group_remove(tstream_of(ch.v), g);
        change_close_quietly(&ch, 1);
        change_event(&ch, "xgroup-destroy");
        // Who waits for entries of the group has to look, and gets an error.
        waiting_touch(ch.f.db->keyspace, ch.f.db->index, ch.f.key);
    }
    reply_int(c->reply, g != NULL);
}

void stream_xgroup_createconsumer(struct cmd *c) {
    struct change ch;
    struct stream_group *g;
    if (!open_group(c, &ch, &g)) return;
    bool is_new = tstream_consumer(g, c->argv[4]) == NULL;
    if (is_new) {
        tstream_consumer_add(tstream_of(ch.v), g, c->argv[4], c->now_ms);
        change_close_quietly(&ch, 1);
        change_event(&ch, "xgroup-createconsumer");
    }
    reply_int(c->reply, is_new);
}

void stream_xgroup_delconsumer(struct cmd *c) {
    struct change ch;
    struct stream_group *g;
    int64_t pending = 0;
    if (!open_group(c, &ch, &g)) return;
    struct stream_consumer *consumer = tstream_consumer(g, c->argv[4]);
    if (consumer != NULL) {
        pending = (int64_t)consumer->pending.count;
        tstream_consumer_remove(tstream_of(ch.v), g, consumer);
        change_close_quietly(&ch, 1);
        change_event(&ch, "xgroup-delconsumer");
    }
    reply_int(c->reply, pending);
}

void stream_xgroup_help(struct cmd *c) {
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Makes a consumer group that has read up to the id. Options:",
        "    * MKSTREAM",
        "      Makes an empty stream when the key is absent.",
        "    * ENTRIESREAD entries_read",
        "      Says how many entries the group has read (for replication).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Makes a consumer in the group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Removes the consumer with its pending entries.",
        "DESTROY <key> <groupname>",
        "    Removes the group with all its consumers.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Sets up to where the group has read.",
        NULL,
    };
    introspect_help_reply(c->reply, "XGROUP", lines);
}
