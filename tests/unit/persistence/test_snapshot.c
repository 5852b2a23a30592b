// SPDX-License-Identifier: BSD-3-Clause
//
// A shard's snapshot beside a model of the instant: whatever is done to the keyspace while it is
// being written, what its chunks decode to is what was there; chunks begin with their database, are
// of bounded size, and their sums are right. Large values, values that go, entries that somebody is
// reading, snapshots that are given up, versions that cannot express what there is.
#include "tests/unit/keyspace/changes.h"
#include "tests/unit/persistence/decode.h"

#define CHUNKS_MAX 100000

struct world {
    struct changes c; // first member
    struct snapshot snapshot;
    struct snapshot_options options;
    struct snapshot_chunk *chunks[CHUNKS_MAX];
    uint32_t chunk_count;
    struct changes_content decoded;
    uint64_t idle, frequencies; // records that told it
    // Keys that somebody reads, by hash modulo this number; 0: none. Those that were put off:
    uint64_t read_of;
    uint64_t put_off[CHANGES_KEYS * CHANGES_DBS];
    uint32_t put_off_db[CHANGES_KEYS * CHANGES_DBS], put_off_count;
};

static void take_chunk(void *context, struct snapshot_chunk *chunk) {
    struct world *w = context;
    assert_true(w->chunk_count < CHUNKS_MAX);
    assert_true(chunk->bytes.len > 0 && (uint8_t)chunk->bytes.p[0] == RDB_OP_SELECTDB);
    w->chunks[w->chunk_count++] = chunk;
}

static bool busy(void *context, uint32_t db, struct entry *e) {
    struct world *w = context;
    uint64_t hash = key_of(w->c.ks, entry_key(e)).hash;
    if (w->read_of == 0 || hash % w->read_of != 0) return false;
    for (uint32_t i = 0; i < w->put_off_count; i++)
        if (w->put_off[i] == hash && w->put_off_db[i] == db) return true;
    w->put_off_db[w->put_off_count] = db;
    w->put_off[w->put_off_count++] = hash;
    return true;
}

/** Nobody reads any more: what was put off is written. */
static void stop_reading(struct world *w) {
    w->read_of = 0;
    for (uint32_t i = 0; i < w->put_off_count; i++) {
        struct db *db = keyspace_saving_db(w->c.ks, w->put_off_db[i]);
        if (db == NULL) continue;
        struct entry *e = table_find_hash(&db->table, w->put_off[i]).entry;
        if (e != NULL) snapshot_write(&w->snapshot, w->put_off_db[i], e);
    }
    w->put_off_count = 0;
}

static void world_init(struct world *w, uint64_t seed, bool tables_later) {
    memset(w, 0, sizeof *w);
    changes_init(&w->c, seed, tables_later);
    w->options = (struct snapshot_options){
        .save = {.version = 12, .compress = seed % 2}, .context = w, .chunk = take_chunk};
}

static void begin(struct world *w) {
    w->chunk_count = 0;
    w->decoded = (struct changes_content){0};
    w->put_off_count = 0;
    snapshot_begin(&w->snapshot, w->c.ks, &w->options, w->c.now_ms);
    w->snapshot.busy = busy;
    w->snapshot.busy_context = w;
}

static bool step(struct world *w, uint32_t budget) {
    return snapshot_step(&w->snapshot, w->c.now_ms, &budget);
}

static void found(void *context, const struct rdb_record *item, struct entry *e) {
    struct world *w = context;
    changes_add(&w->decoded, item->db, e);
    w->idle += item->idle_s >= 0;
    w->frequencies += item->freq >= 0;
}

static void decode(struct world *w) {
    struct decode d;
    decode_begin(&d, w->options.save.version);
    for (uint32_t i = 0; i < w->chunk_count; i++) decode_chunk(&d, w->chunks[i]);
    const char *wrong = decode_end(&d, w, found);
    if (wrong) fail_msg("the file is wrong: %s", wrong);
}

/** Steps until the snapshot is complete, and ends it. */
static void finish(struct world *w) {
    while (!snapshot_is_complete(&w->snapshot)) {
        bool more = step(w, 1 + (uint32_t)random_below(&w->c.random, 20000));
        if (!more) stop_reading(w);
        keyspace_free_step(w->c.ks, 100);
    }
    assert_true(snapshot_end(&w->snapshot) || w->snapshot.discarding);
    assert_true(keyspace_is_valid(w->c.ks));
}

static void some_changes(struct world *w, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) changes_make(&w->c);
}

static void test_a_snapshot_holds_what_was_there(void **state) {
    (void)state;
    struct world *w = malloc(sizeof *w);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        int64_t used = mem_used(), leaving = mem_leaving();
        world_init(w, seed, seed % 3 != 0);
        for (int round = 0; round < 4; round++) {
            some_changes(w, random_below(&w->c.random, 3000));
            struct changes_content before = changes_content_of(w->c.ks);
            begin(w);
            for (int i = 0; i < 300; i++) {
                changes_make(&w->c);
                if (random_below(&w->c.random, 4) == 0)
                    step(w, 1 + (uint32_t)random_below(&w->c.random, 500));
            }
            finish(w);
            decode(w);
            changes_assert_same(&w->decoded, &before);
        }
        changes_fini(&w->c);
        assert_int_equal(mem_used(), used);
        assert_int_equal(mem_leaving(), leaving);
    }
    free(w);
}

static void test_what_is_being_read_is_written_later(void **state) {
    (void)state;
    struct world *w = malloc(sizeof *w);
    uint64_t put_off = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        world_init(w, seed, false);
        some_changes(w, 4000);
        struct changes_content before = changes_content_of(w->c.ks);
        begin(w);
        w->read_of = 1 + random_below(&w->c.random, 3);
        while (step(w, 1000)) {
        }
        put_off += w->put_off_count;
        assert_false(snapshot_is_complete(&w->snapshot) && w->put_off_count > 0 &&
                     w->snapshot.written == w->snapshot.keys);
        stop_reading(w);
        finish(w);
        decode(w);
        changes_assert_same(&w->decoded, &before);
        changes_fini(&w->c);
    }
    assert_true(put_off > 100);
    free(w);
}

static void test_one_that_is_given_up_leaves_nothing_behind(void **state) {
    (void)state;
    struct world *w = malloc(sizeof *w);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        int64_t used = mem_used(), leaving = mem_leaving();
        world_init(w, seed, seed % 2);
        some_changes(w, 3000);
        begin(w);
        uint64_t steps = random_below(&w->c.random, 40);
        for (uint64_t i = 0; i < steps; i++) {
            step(w, 300);
            some_changes(w, 3);
        }
        snapshot_discard(&w->snapshot);
        uint32_t chunks = w->chunk_count;
        some_changes(w, 200);
        finish(w);
        assert_int_equal(w->chunk_count, chunks);
        for (uint32_t i = 0; i < chunks; i++) snapshot_chunk_free(w->chunks[i]);
        // The next one finds all as it should be.
        struct changes_content before = changes_content_of(w->c.ks);
        begin(w);
        some_changes(w, 100);
        finish(w);
        decode(w);
        changes_assert_same(&w->decoded, &before);
        // And one that the end of the process cuts off.
        begin(w);
        for (int i = 0; i < 10; i++) step(w, 300);
        some_changes(w, 50);
        snapshot_abandon(&w->snapshot);
        for (uint32_t i = 0; i < w->chunk_count; i++) snapshot_chunk_free(w->chunks[i]);
        changes_fini(&w->c);
        assert_int_equal(mem_used(), used);
        assert_int_equal(mem_leaving(), leaving);
    }
    free(w);
}

static void test_a_large_value_is_written_in_short_steps(void **state) {
    (void)state;
    struct world *w = malloc(sizeof *w);
    world_init(w, 2, false);
    static char text[8 * 1024 * 1024];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * i >> 7);
    struct key key = key_of(w->c.ks, SLICE_LITERAL("large")),
               goes = key_of(w->c.ks, SLICE_LITERAL("goes"));
    struct db *db = &w->c.ks->dbs[1];
    db_insert(db, key, entry_new_string(key.text, slice_of(text, sizeof text), ENTRY_NO_EXPIRE));
    db_insert(db, goes, entry_new_string(goes.text, slice_of(text, sizeof text), ENTRY_NO_EXPIRE));
    struct changes_content before = changes_content_of(w->c.ks);
    begin(w);
    assert_true(snapshot_is_due(&w->snapshot, db_find(db, key).entry));
    // What goes is not written at once, nor freed.
    db_delete(db, goes, db_find(db, goes));
    assert_int_equal(w->snapshot.written, 0);
    uint64_t steps = 0;
    while (step(w, 1000)) steps++;
    assert_true(steps > 50);
    assert_int_equal(w->snapshot.written, 2);
    assert_false(snapshot_is_due(&w->snapshot, db_find(db, key).entry));
    finish(w);
    assert_int_equal(w->chunk_count, 2);
    for (const struct snapshot_chunk *c = w->chunks[0]; c; c = c->next)
        assert_true(c->bytes.len < SNAPSHOT_CHUNK * 2);
    decode(w);
    changes_assert_same(&w->decoded, &before);
    // In the middle of it a change comes that could not be told to wait.
    before = changes_content_of(w->c.ks);
    begin(w);
    for (int i = 0; i < 10; i++) step(w, 1000);
    db_set_expire(db, key, &(struct table_ref){db_find(db, key).slot, db_find(db, key).entry},
                  w->c.now_ms + 1);
    assert_int_equal(w->snapshot.written, 1);
    finish(w);
    decode(w);
    changes_assert_same(&w->decoded, &before);
    changes_fini(&w->c);
    free(w);
}

static void test_access_information_is_told_as_the_policy_wants(void **state) {
    (void)state;
    struct world *w = malloc(sizeof *w);
    world_init(w, 3, false);
    some_changes(w, 500);
    for (int access = SNAPSHOT_NO_ACCESS; access <= SNAPSHOT_FREQUENCY; access++) {
        w->options.access = (enum snapshot_access)access;
        w->options.lfu_decay_time = 1;
        w->idle = w->frequencies = 0;
        begin(w);
        finish(w);
        uint64_t keys = w->snapshot.keys;
        assert_true(keys > 10);
        decode(w);
        assert_int_equal(w->idle, access == SNAPSHOT_IDLE_TIME ? keys : 0);
        assert_int_equal(w->frequencies, access == SNAPSHOT_FREQUENCY ? keys : 0);
    }
    changes_fini(&w->c);
    free(w);
}

static void test_what_a_version_cannot_express_ends_it(void **state) {
    (void)state;
    struct world *w = malloc(sizeof *w);
    world_init(w, 3, false);
    w->options.save.version = 11;
    some_changes(w, 500);
    struct key key = key_of(w->c.ks, SLICE_LITERAL("k"));
    struct value v = thash_new();
    thash_set(&v, SLICE_LITERAL("f"), SLICE_LITERAL("v"), false, CHANGES_START_MS,
              &value_default_limits);
    thash_set_expire(&v, SLICE_LITERAL("f"), w->c.now_ms + 5000);
    db_insert(&w->c.ks->dbs[0], key, entry_new_value(key.text, v, ENTRY_NO_EXPIRE));
    begin(w);
    finish(w);
    assert_non_null(w->snapshot.obstacle);
    for (uint32_t i = 0; i < w->chunk_count; i++) snapshot_chunk_free(w->chunks[i]);
    changes_fini(&w->c);
    free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_snapshot_holds_what_was_there),
        cmocka_unit_test(test_what_is_being_read_is_written_later),
        cmocka_unit_test(test_one_that_is_given_up_leaves_nothing_behind),
        cmocka_unit_test(test_a_large_value_is_written_in_short_steps),
        cmocka_unit_test(test_access_information_is_told_as_the_policy_wants),
        cmocka_unit_test(test_what_a_version_cannot_express_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
