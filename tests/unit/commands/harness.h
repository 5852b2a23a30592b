// SPDX-License-Identifier: BSD-3-Clause
//
// A harness for tests of command functions: one or more fresh keyspaces, a view over them,
// settings and a clock that stands still until the test moves it. A command is written as one
// line of text, as in redis-cli, and answered with the reply's bytes as they would go over the
// wire. After every command the keyspaces' invariants are walked, and what the command's effects
// make of a second set of keyspaces, by another clock, must be the same; and around every command
// a snapshot is taken, whose content must be that before the command. Used by the tests of this
// folder and of the serialized form; one thread; the harness owns everything that it hands out, and
// a reply is valid until the next command.
#ifndef TORC_TESTS_UNIT_COMMANDS_HARNESS_H
#define TORC_TESTS_UNIT_COMMANDS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/hash.h"
#include "engine/commands/command.h"
#include "engine/keyspace/keyspace.h"

#define HARNESS_SHARDS_MAX       8
#define HARNESS_DBS              16
#define HARNESS_START_MS         INT64_C(1700000000000)
#define HARNESS_REPLICA_EARLY_MS (INT64_C(3600) * 1000)

struct harness {
    struct keyspace *shards[HARNESS_SHARDS_MAX];
    struct view view;
    struct engine_settings settings;
    uint8_t proto;         // 2 or 3: of the replies
    uint32_t db;           // selected database
    uint32_t flags;        // CMD_CTX_*
    int64_t now_ms;        // the clock: tests add to it
    uint64_t modified;     // how often a key was said to be modified
    char modified_key[64]; // the latest of them, cut
    bool walk;             // check the keyspaces' invariants after every command (default)
    struct buf reply;      // of the latest command, zero-terminated behind its len bytes
    struct buf line;       // the latest command's words, unescaped
    // Effects are replayed into a second set of keyspaces, which must stay equal to the first.
    struct keyspace *replicas[HARNESS_SHARDS_MAX];
    struct view replica_view;
    struct effects effects;
    int64_t replica_late_ms; // how much later it is there: effects must not look at the clock
    uint64_t effects_count;
    struct buf latest_effect; // "pexpireat a 1700000000100", zero-terminated
    struct block block;       // what the latest command waits for, if harness_may_block
    bool may_block;
};

/** Runs an effect on the second set of keyspaces. */
static inline void harness_replay(void *context, uint32_t db, int argc, const struct slice *argv) {
    struct harness *h = context;
    const struct command *spec = command_find(argv[0]);
    assert_non_null(spec);
    if (spec->subcommands && argc > 1) spec = command_find_sub(spec, argv[1]);
    assert_non_null(spec);
    assert_true(spec->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE));
    h->effects_count++;
    h->latest_effect.len = 0;
    for (int i = 0; i < argc; i++) {
        if (i > 0) buf_append_char(&h->latest_effect, ' ');
        buf_append(&h->latest_effect, argv[i].p, argv[i].n);
    }
    *buf_reserve(&h->latest_effect, 1) = '\0';
    struct buf bytes = {0};
    struct reply reply;
    reply_init(&reply, &bytes, 2);
    struct cmd c = {.spec = spec,
                    .argc = argc,
                    .argv = argv,
                    .reply = &reply,
                    .view = &h->replica_view,
                    .settings = &h->settings,
                    .now_ms = h->now_ms + h->replica_late_ms,
                    .now_us = (h->now_ms + h->replica_late_ms) * 1000,
                    .db = db};
    cmd_run(&c);
    if (reply.errors > 0)
        fail_msg("effect '%s' failed: %.*s", h->latest_effect.p, (int)bytes.len, bytes.p);
    buf_free(&bytes);
}

static inline void harness_on_removed(void *context, struct db *db, struct key key,
                                      enum db_removal why) {
    (void)why;
    const struct slice words[] = {SLICE_LITERAL("DEL"), key.text};
    harness_replay(context, db->index, 2, words);
}

static inline void harness_on_part_removed(void *context, struct db *db, struct key key,
                                           struct slice part) {
    const struct slice words[] = {SLICE_LITERAL("HDEL"), key.text, part};
    harness_replay(context, db->index, 3, words);
}

struct harness_content {
    uint64_t keys;
    struct digest digest;
};

static inline void harness_add_entry(void *context, struct entry *e) {
    struct harness_content *content = context;
    content->keys++;
    entry_digest(e, &content->digest);
}

/** What all keyspaces of a set hold, database by database. */
static inline struct harness_content harness_content(struct keyspace *const *set, uint32_t n) {
    struct harness_content all = {0};
    for (uint32_t db = 0; db < HARNESS_DBS; db++) {
        struct digest of_db = {.low = db};
        struct harness_content one = {.digest = of_db};
        for (uint32_t i = 0; i < n; i++)
            table_each(&set[i]->dbs[db].table, harness_add_entry, &one);
        all.keys += one.keys;
        all.digest.low = all.digest.low * 31 + one.digest.low;
        all.digest.high = all.digest.high * 31 + one.digest.high;
    }
    return all;
}

/** A snapshot that begins before a command and ends after it. */
struct harness_saving {
    struct harness *harness;
    struct harness_content dbs[HARNESS_DBS];
    uint64_t saved;
    struct entry *kept[64]; // entries that went, to be saved in the end
    uint32_t kept_db[64], kept_count;
};

static inline bool harness_save(void *context, uint32_t db, struct entry *e, bool goes) {
    struct harness_saving *saving = context;
    if (goes && saving->saved++ % 2 == 0 && saving->kept_count < 64) {
        saving->kept_db[saving->kept_count] = db;
        saving->kept[saving->kept_count++] = e;
        return true;
    }
    harness_add_entry(&saving->dbs[db], e);
    return false;
}

static inline void harness_begin_saving(struct harness *h, struct harness_saving *saving) {
    *saving = (struct harness_saving){.harness = h};
    for (uint32_t db = 0; db < HARNESS_DBS; db++) saving->dbs[db].digest.low = db;
    const struct keyspace_saver saver = {.context = saving, .save = harness_save};
    for (uint32_t i = 0; i < h->view.nshards; i++) keyspace_begin_saving(h->shards[i], &saver);
}

struct harness_rest {
    struct keyspace *keyspace;
    struct harness_content *content;
};

static inline void harness_save_rest(void *context, struct entry *e) {
    struct harness_rest *rest = context;
    if (!keyspace_is_unsaved(rest->keyspace, e)) return;
    harness_add_entry(rest->content, e);
    keyspace_mark_saved(rest->keyspace, e);
}

/** Ends the snapshot: it must hold what was there before the command. */
static inline void harness_end_saving(struct harness *h, struct harness_saving *saving,
                                      const struct harness_content *before, const char *line) {
    struct harness_content all = {0};
    for (uint32_t i = 0; i < saving->kept_count; i++) {
        harness_add_entry(&saving->dbs[saving->kept_db[i]], saving->kept[i]);
        entry_free(saving->kept[i]);
    }
    for (uint32_t i = 0; i < h->view.nshards; i++) {
        for (uint32_t db = 0; db < HARNESS_DBS; db++) {
            struct db *from = keyspace_saving_db(h->shards[i], db);
            struct harness_rest rest = {h->shards[i], &saving->dbs[db]};
            if (from != NULL) table_each(&from->table, harness_save_rest, &rest);
        }
        keyspace_end_saving(h->shards[i]);
    }
    for (uint32_t db = 0; db < HARNESS_DBS; db++) {
        all.keys += saving->dbs[db].keys;
        all.digest.low = all.digest.low * 31 + saving->dbs[db].digest.low;
        all.digest.high = all.digest.high * 31 + saving->dbs[db].digest.high;
    }
    if (all.keys != before->keys || all.digest.low != before->digest.low ||
        all.digest.high != before->digest.high)
        fail_msg("a snapshot around '%s' holds something else than was there before", line);
}

/** Whether replaying the effects has led to the same keys, values and expiries. */
static inline void harness_compare_replica(struct harness *h, const char *line) {
    struct harness_content a = harness_content(h->shards, h->view.nshards);
    struct harness_content b = harness_content(h->replicas, h->view.nshards);
    if (a.keys != b.keys || a.digest.low != b.digest.low || a.digest.high != b.digest.high)
        fail_msg("after '%s' the replayed effects make another keyspace (latest effect: '%s')",
                 line, h->latest_effect.p ? h->latest_effect.p : "none");
}

static inline void harness_on_modified(void *context, struct db *db, struct key key) {
    struct harness *h = context;
    (void)db;
    h->modified++;
    size_t n = key.text.n < sizeof(h->modified_key) - 1 ? key.text.n : sizeof(h->modified_key) - 1;
    memcpy(h->modified_key, key.text.p, n);
    h->modified_key[n] = '\0';
}

/** Makes nshards empty keyspaces; with one, the view has `only`. */
static inline void harness_init(struct harness *h, uint32_t nshards) {
    assert_in_range(nshards, 1, HARNESS_SHARDS_MAX);
    memset(h, 0, sizeof(*h));
    struct keyspace_hooks hooks = {.context = h,
                                   .modified = harness_on_modified,
                                   .removed = harness_on_removed,
                                   .part_removed = harness_on_part_removed};
    for (uint32_t i = 0; i < nshards; i++) {
        h->shards[i] = keyspace_new(HARNESS_DBS, i, 0x746f7263, 1000 + i, &hooks);
        h->replicas[i] = keyspace_new(HARNESS_DBS, i, 0x746f7263, 2000 + i, NULL);
    }
    h->effects = (struct effects){.context = h, .emit = harness_replay};
    h->replica_view.only = nshards == 1 ? h->replicas[0] : NULL;
    h->replica_view.by_shard = h->replicas;
    h->replica_view.nshards = nshards;
    h->view.only = nshards == 1 ? h->shards[0] : NULL;
    h->view.by_shard = h->shards;
    h->view.nshards = nshards;
    h->settings.proto_max_bulk_len = INT64_C(512) * 1024 * 1024;
    h->settings.lfu_log_factor = 10;
    h->settings.lfu_decay_time = 1;
    h->settings.rdb_compression = true;
    h->settings.limits = value_default_limits;
    h->proto = 2;
    h->now_ms = HARNESS_START_MS;
    // Earlier by default, so that nothing expires there by itself before the effect says so.
    h->replica_late_ms = -HARNESS_REPLICA_EARLY_MS;
    h->walk = true;
}

static inline void harness_fini(struct harness *h) {
    for (uint32_t i = 0; i < h->view.nshards; i++) {
        keyspace_free(h->shards[i]);
        keyspace_free(h->replicas[i]);
    }
    buf_free(&h->latest_effect);
    mem_free(h->block.replaced);
    buf_free(&h->reply);
    buf_free(&h->line);
}

static inline const struct command *harness_find(int argc, const struct slice *argv) {
    const struct command *spec = command_find(argv[0]);
    if (!spec) fail_msg("unknown command '%.*s'", (int)argv[0].n, argv[0].p);
    if (spec->subcommands && argc > 1) {
        spec = command_find_sub(spec, argv[1]);
        if (!spec) fail_msg("unknown subcommand '%.*s'", (int)argv[1].n, argv[1].p);
    }
    return spec;
}

/** Runs a command given as words. The reply is at h->reply and returned, zero-terminated. */
static inline const char *harness_run_words(struct harness *h, int argc, const struct slice *argv) {
    struct reply reply;
    h->reply.len = 0;
    reply_init(&reply, &h->reply, h->proto);
    const struct command *spec = harness_find(argc, argv);
    if (spec->arity >= 0 ? argc != spec->arity : argc < -spec->arity) {
        reply_error_format(&reply, "ERR wrong number of arguments for '%s' command",
                           spec->full_name);
    } else {
        struct cmd c = {.spec = spec,
                        .argc = argc,
                        .argv = argv,
                        .reply = &reply,
                        .view = &h->view,
                        .settings = &h->settings,
                        .now_ms = h->now_ms,
                        .now_us = h->now_ms * 1000 + 123,
                        .db = h->db,
                        .flags = h->flags,
                        .effects = &h->effects,
                        .block = h->may_block ? &h->block : NULL};
        mem_free(h->block.replaced);
        h->block = (struct block){0};
        struct harness_content before;
        struct harness_saving saving;
        if (h->walk) before = harness_content(h->shards, h->view.nshards);
        if (h->walk) harness_begin_saving(h, &saving);
        cmd_run(&c);
        if (h->walk) harness_end_saving(h, &saving, &before, argv[0].p);
    }
    for (uint32_t i = 0; h->walk && i < h->view.nshards; i++) {
        assert_true(keyspace_is_valid(h->shards[i]));
    }
    if (h->walk) harness_compare_replica(h, argv[0].p);
    *buf_reserve(&h->reply, 1) = '\0';
    return h->reply.p;
}

static inline int harness_hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/** Reads what follows a backslash at p, appends the byte to out, returns the place behind it. */
static inline const char *harness_escape(const char *p, struct buf *out) {
    if (*p == 'x' && harness_hex(p[1]) >= 0 && harness_hex(p[2]) >= 0) {
        buf_append_char(out, (char)(harness_hex(p[1]) << 4 | harness_hex(p[2])));
        return p + 3;
    }
    buf_append_char(out, (char)(*p == 'n' ? '\n' : *p == 'r' ? '\r' : *p == 't' ? '\t' : *p));
    return p + 1;
}

/** Appends the word at p to out, quotes and escapes ("\xff", "\n") resolved; returns its end. */
static inline const char *harness_word(const char *p, struct buf *out) {
    char quote = *p == '"' || *p == '\'' ? *p++ : '\0';
    while (*p && (quote ? *p != quote : *p != ' ')) {
        if (quote == '"' && *p == '\\') {
            p = harness_escape(p + 1, out);
        } else {
            buf_append_char(out, *p++);
        }
    }
    if (quote && *p != quote) fail_msg("unbalanced quotes in a test's command");
    return quote ? p + 1 : p;
}

/** Runs a command given as one line (printf format): words, "double quoted" or 'single quoted'. */
__attribute__((format(printf, 2, 3))) static inline const char *
harness_run(struct harness *h, const char *format, ...) {
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    assert_true(n >= 0);

    int argc = 0, room = 0;
    size_t *ends = NULL;
    h->line.len = 0;
    for (const char *p = text; *p;) {
        if (*p == ' ') {
            p++;
            continue;
        }
        p = harness_word(p, &h->line);
        if (argc == room) ends = realloc(ends, sizeof(*ends) * (size_t)(room = 2 * room + 8));
        ends[argc++] = h->line.len;
    }
    free(text);
    assert_true(argc > 0);
    buf_append_char(&h->line, '\0'); // a line of one empty word has no bytes otherwise

    struct slice *argv = malloc(sizeof(*argv) * (size_t)argc);
    for (int i = 0; i < argc; i++) {
        size_t start = i ? ends[i - 1] : 0;
        argv[i] = slice_of(h->line.p + start, ends[i] - start);
    }
    free(ends);
    const char *reply = harness_run_words(h, argc, argv);
    free(argv);
    return reply;
}

// ---- what the tests of commands share ----------------------------------------------------------

#define OK          "+OK\r\n"
#define NIL         "$-1\r\n"
#define NONE        "*0\r\n"
#define SYNTAX      "-ERR syntax error\r\n"
#define WRONG_TYPE  "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"

/** cmocka's setup: *state is a harness over so many keyspaces. */
static inline int harness_setup_over(void **state, uint32_t nshards) {
    struct harness *h = malloc(sizeof(*h));
    harness_init(h, nshards);
    *state = h;
    return 0;
}
static inline int harness_setup(void **state) { return harness_setup_over(state, 1); }
static inline int harness_setup_shards(void **state) { return harness_setup_over(state, 4); }

static inline int harness_teardown(void **state) {
    harness_fini(*state);
    free(*state);
    return 0;
}

/** Runs a test's body over one keyspace and over four. */
static inline void harness_over_shards(void (*body)(struct harness *h)) {
    static const uint32_t counts[] = {1, 4};
    for (size_t i = 0; i < 2; i++) {
        struct harness h;
        harness_init(&h, counts[i]);
        body(&h);
        harness_fini(&h);
    }
}

/** Makes test_body() of body(). */
#define OVER_SHARDS(body)                   \
    static void test_##body(void **state) { \
        (void)state;                        \
        harness_over_shards(body);          \
    }

/** Runs a line and compares the whole reply. */
#define EXPECT(h, expected, ...) assert_string_equal(harness_run((h), __VA_ARGS__), (expected))

/** Runs a line and compares the effect that is replayed; "" when there is to be none. */
#define EXPECT_EFFECT(h, expected, ...)                                  \
    do {                                                                 \
        uint64_t before_ = (h)->effects_count;                           \
        harness_run((h), __VA_ARGS__);                                   \
        bool none_ = (expected)[0] == '\0';                              \
        assert_int_equal((h)->effects_count - before_, none_ ? 0 : 1);   \
        if (!none_) assert_string_equal((h)->latest_effect.p, expected); \
    } while (0)

/** Runs a line and checks how many modifications were signalled. */
#define EXPECT_MODIFIED(h, times, ...)                      \
    do {                                                    \
        uint64_t before_ = (h)->modified;                   \
        harness_run((h), __VA_ARGS__);                      \
        assert_int_equal((h)->modified - before_, (times)); \
    } while (0)

#endif
