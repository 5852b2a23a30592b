// SPDX-License-Identifier: BSD-3-Clause
//
// What the walk of a snapshot asks of the intents: claims of large values that somebody wants to
// change, and of entries that a transaction is reading when the walk comes by; how claims give way
// to whole shards, hurry when somebody waits, and go when the server stops. One bare shard (what
// the walk does not look at is zero), whose transactions stand here as parts. One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/rdb/rdb_format.h"
#include "shards/shard.h"
#include "shards/snapshot_walk.h"

#define LARGE_BYTES ((size_t)1024 * 1024)
#define STEP_NS     1000  // few entries, a small part of a large value
#define STEPS_MAX   10000 // by then whatever is under way has ended

struct world {
    struct fleet *fleet;
    struct shard shard;
    size_t pending;  // what the file is said to have before it
    bool done;       // the snapshot has ended ...
    int error;       // ... like this
    uint64_t chunks; // handed over
};

static void take_chunk(void *context, struct snapshot_chunk *chunk) {
    struct world *w = context;
    w->chunks++;
    snapshot_chunk_free(chunk);
}

static size_t pending(void *context) { return ((struct world *)context)->pending; }

static void is_done(void *context, int error, const char *why) {
    struct world *w = context;
    assert_false(w->done);
    assert_null(why);
    w->done = true;
    w->error = error;
}

static struct world *world_new(void) {
    struct world *w = mem_alloc_aligned(sizeof *w, MAILBOX_LINE);
    memset(w, 0, sizeof *w);
    struct shard *s = &w->shard;
    w->fleet = fleet_new(1, 1, "0123456789012345678901234567890123456789", 0);
    s->magic = SHARD_MAGIC;
    s->fleet = w->fleet;
    s->now_ms = INT64_C(1700000000000);
    s->keyspace = keyspace_new(4, 0, 1, 2, NULL);
    intents_init(&s->intents);
    w->fleet->shards[0] = s;
    w->fleet->keyspaces[0] = s->keyspace;
    return w;
}

static void world_free(struct world *w) {
    assert_null(w->shard.share);
    assert_int_equal(w->shard.intents.parts, 0);
    assert_true(intents_is_valid(&w->shard.intents));
    keyspace_free(w->shard.keyspace);
    intents_fini(&w->shard.intents);
    fleet_free(w->fleet);
    mem_free(w);
}

static struct key key(struct world *w, const char *name) {
    return key_of(w->shard.keyspace, slice_text(name));
}

static void add(struct world *w, const char *name, size_t bytes) {
    char *text = mem_calloc(bytes);
    struct key k = key(w, name);
    struct entry *e = entry_new_string(k.text, slice_of(text, bytes), ENTRY_NO_EXPIRE);
    db_attach(&w->shard.keyspace->dbs[0], k, e);
    mem_free(text);
}

/** The instant: everything that is there is to be written. */
static void begin(struct world *w) {
    const struct snapshot_plan plan = {
        .options = {.save = {.version = RDB_VERSION_DEFAULT}, .context = w, .chunk = take_chunk},
        .step_ns = STEP_NS,
        .context = w,
        .pending = pending,
        .done = is_done};
    assert_int_equal(snapshot_walk_start(&w->shard, &plan), 0);
    assert_int_equal(snapshot_walk_start(&w->shard, &plan), -EBUSY);
    shard_settle(&w->shard);
    assert_non_null(w->shard.share);
    assert_int_equal(w->shard.intents.parts, 0);
}

static uint64_t written(struct world *w) {
    struct snapshot_progress progress;
    snapshot_walk_progress(w->fleet, &progress);
    return progress.written;
}

static void steps(struct world *w, int count) {
    for (int i = 0; i < count && w->shard.share; i++) snapshot_walk_step(&w->shard, false);
}

/** To the end, which is a good one with so many keys. */
static void finish(struct world *w, uint64_t keys) {
    steps(w, STEPS_MAX);
    assert_true(w->done);
    assert_int_equal(w->error, 0);
    assert_int_equal(written(w), keys);
    assert_int_equal(w->shard.intents.parts, 0);
}

/** The next part of a transaction that has been granted, which gets what it asked for; or NULL. */
static struct part *granted(struct world *w) {
    struct part *part = intents_next_granted(&w->shard.intents);
    while (part && !part->transaction) part = intents_next_granted(&w->shard.intents);
    return part;
}

/** Whether a value has still to be written in steps. */
static bool keeps(struct world *w, uint32_t db, const char *name) {
    return w->shard.share && snapshot_walk_keeps(&w->shard, db, key(w, name));
}

/** A transaction's part: over a key (which it has then been lent, if it can be), or the shard. */
static struct part *part_new(struct world *w, const char *name, bool write) {
    struct part *part = mem_calloc(sizeof *part + sizeof(struct part_key));
    part->transaction = (struct transaction *)w; // somebody's
    part->whole = name == NULL;
    part->write = write;
    part->ticket = ++w->fleet->ticket;
    if (name) {
        part->key_count = 1;
        part->keys[0].key = key(w, name);
    }
    assert_true(intents_register(&w->shard.intents, part));
    if (part->state == PART_GRANTED) assert_ptr_equal(granted(w), part);
    return part;
}

static void release(struct world *w, struct part *part) {
    intents_release(&w->shard.intents, part);
    mem_free(part);
}

// ---- values that somebody wants to change ------------------------------------------------------

static bool meets(struct world *w, const char *command, int argc, const struct slice *argv,
                  bool claim) {
    if (!w->shard.share) return false;
    const struct command *spec = command_find(slice_text(command));
    int hashed = argc == 3 ? 1 : 0; // one key: dispatch knows its hash already
    uint64_t hash = hashed ? key_of(w->shard.keyspace, argv[1]).hash : 0;
    return snapshot_walk_meets(&w->shard, 0, spec, argc, argv, hashed, hash, claim);
}

static void a_large_value_is_claimed_once(void **state) {
    (void)state;
    struct world *w = world_new();
    struct intents *in = &w->shard.intents;
    const struct slice large[] = {SLICE_LITERAL("APPEND"), SLICE_LITERAL("large"),
                                  SLICE_LITERAL("x")};
    const struct slice small[] = {SLICE_LITERAL("APPEND"), SLICE_LITERAL("small"),
                                  SLICE_LITERAL("x")};
    const struct slice both[] = {SLICE_LITERAL("MSET"), SLICE_LITERAL("small"), SLICE_LITERAL("x"),
                                 SLICE_LITERAL("large"), SLICE_LITERAL("x")};
    add(w, "large", LARGE_BYTES);
    add(w, "small", 1);
    begin(w);
    assert_true(keeps(w, 0, "large"));
    assert_false(keeps(w, 0, "small"));
    assert_false(keeps(w, 1, "large"));
    assert_true(meets(w, "append", 3, large, false) && meets(w, "mset", 5, both, false));
    assert_false(meets(w, "append", 3, small, true));
    assert_int_equal(in->parts, 0); // only asked
    assert_true(meets(w, "mset", 5, both, true) && meets(w, "append", 3, large, true));
    assert_int_equal(in->parts, 1);
    // Who changes it waits, who reads it does not.
    uint64_t hash = key(w, "large").hash;
    assert_true(intents_conflict(in, hash, true, false));
    assert_false(intents_conflict(in, hash, false, false));
    assert_false(intents_conflict(in, key(w, "small").hash, true, false));
    struct parked writer = {.kind = PARKED_REQUEST};
    intents_park(in, &writer, hash, true);
    for (int i = 0; i < STEPS_MAX && in->parts > 0; i++) snapshot_walk_step(&w->shard, false);
    assert_int_equal(in->parts, 0);
    assert_ptr_equal(intents_next_ready(in), &writer);
    assert_false(keeps(w, 0, "large"));
    assert_false(meets(w, "append", 3, large, true));
    finish(w, 2);
    world_free(w);
}

static void who_waits_is_served_although_the_file_is_behind(void **state) {
    (void)state;
    struct world *w = world_new();
    struct intents *in = &w->shard.intents;
    add(w, "large", LARGE_BYTES);
    add(w, "other", LARGE_BYTES);
    begin(w);
    w->pending = SIZE_MAX;
    steps(w, 100);
    assert_int_equal(written(w), 0);
    assert_true(snapshot_walk_is_paused(&w->shard) && snapshot_walk_sleep_ns(&w->shard) > 0);
    snapshot_walk_claim(&w->shard, 0, key(w, "large"));
    steps(w, 100);
    assert_int_equal(written(w), 0); // nobody waits for it yet
    struct parked writer = {.kind = PARKED_REQUEST};
    intents_park(in, &writer, key(w, "large").hash, true);
    for (int i = 0; i < STEPS_MAX && in->parts > 0; i++) snapshot_walk_step(&w->shard, false);
    assert_ptr_equal(intents_next_ready(in), &writer);
    steps(w, 100);
    assert_int_equal(written(w), 1);
    w->pending = 0;
    finish(w, 2);
    world_free(w);
}

static void a_claim_gives_way_to_a_whole_shard(void **state) {
    (void)state;
    struct world *w = world_new();
    struct intents *in = &w->shard.intents;
    add(w, "large", LARGE_BYTES);
    add(w, "other", LARGE_BYTES);
    begin(w);
    snapshot_walk_claim(&w->shard, 0, key(w, "large"));
    struct part *whole = part_new(w, NULL, true);
    assert_int_equal(whole->state, PART_WAITING);
    // Not while somebody else waits for the value, too.
    struct parked writer = {.kind = PARKED_REQUEST};
    intents_park(in, &writer, key(w, "large").hash, true);
    snapshot_walk_step(&w->shard, false);
    assert_int_equal(in->parts, 2);
    for (int i = 0; i < STEPS_MAX && in->parts > 1; i++) snapshot_walk_step(&w->shard, false);
    assert_ptr_equal(intents_next_ready(in), &writer);
    assert_false(keeps(w, 0, "large"));
    assert_ptr_equal(granted(w), whole);
    // What is lent is not walked, and the shard looks again soon.
    steps(w, 100);
    assert_false(w->done);
    assert_true(snapshot_walk_sleep_ns(&w->shard) > 0);
    release(w, whole);
    finish(w, 2);

    w->done = false;
    begin(w);
    snapshot_walk_claim(&w->shard, 0, key(w, "large"));
    whole = part_new(w, NULL, true);
    snapshot_walk_step(&w->shard, false);
    assert_int_equal(in->parts, 1);
    assert_ptr_equal(granted(w), whole);
    assert_true(keeps(w, 0, "large"));
    release(w, whole);
    finish(w, 2);
    world_free(w);
}

// ---- entries that somebody is reading ----------------------------------------------------------

static void what_is_being_read_is_written_afterwards(void **state) {
    (void)state;
    struct world *w = world_new();
    struct intents *in = &w->shard.intents;
    add(w, "small", 1);
    add(w, "other", 1);
    begin(w);
    struct part *reader = part_new(w, "small", false);
    steps(w, 100);
    // The rest is written; for this one the walk waits, with one claim however often it looks.
    assert_int_equal(written(w), 1);
    assert_false(w->done);
    assert_int_equal(in->parts, 2);
    assert_true(snapshot_walk_sleep_ns(&w->shard) > 0);
    struct part *late = part_new(w, "small", false);
    assert_int_equal(late->state, PART_WAITING); // behind the claim
    release(w, reader);
    assert_int_equal(written(w), 1);
    steps(w, 1);
    assert_int_equal(late->state, PART_GRANTED);
    release(w, late);
    finish(w, 2);
    world_free(w);
}

static void a_claim_that_the_walk_has_passed_stays(void **state) {
    (void)state;
    struct world *w = world_new();
    struct intents *in = &w->shard.intents;
    add(w, "large", LARGE_BYTES);
    begin(w);
    struct part *reader = part_new(w, "large", false);
    snapshot_walk_claim(&w->shard, 0, key(w, "large")); // for who wants to change it
    steps(w, 100);
    assert_int_equal(in->parts, 2); // the walk has not added another
    assert_int_equal(written(w), 0);
    // Were it to give way now, nobody would ever write the entry.
    struct part *whole = part_new(w, NULL, true);
    release(w, reader);
    steps(w, 1);
    assert_int_equal(in->parts, 2);
    for (int i = 0; i < STEPS_MAX && in->parts > 1; i++) snapshot_walk_step(&w->shard, false);
    assert_ptr_equal(granted(w), whole);
    assert_false(keeps(w, 0, "large"));
    release(w, whole);
    finish(w, 1);
    world_free(w);
}

// ---- pace and ends -----------------------------------------------------------------------------

static void a_busy_shard_gives_a_part_of_its_time(void **state) {
    (void)state;
    struct world *w = world_new();
    add(w, "small", 1);
    begin(w);
    for (int i = 0; i < 100; i++) snapshot_walk_step(&w->shard, true); // no time has passed
    assert_int_equal(written(w), 0);
    w->shard.now_ns += 5 * STEP_NS;
    snapshot_walk_step(&w->shard, true);
    assert_int_equal(written(w), 1);
    finish(w, 1);
    world_free(w);
}

static void giving_up_lets_go_of_claims(void **state) {
    (void)state;
    for (int stopping = 0; stopping < 2; stopping++) {
        struct world *w = world_new();
        add(w, "large", LARGE_BYTES);
        begin(w);
        snapshot_walk_claim(&w->shard, 0, key(w, "large"));
        if (stopping)
            w->shard.stopping = true;
        else
            snapshot_walk_abort(w->fleet, -ENOSPC);
        steps(w, STEPS_MAX);
        assert_true(w->done);
        assert_int_equal(w->error, stopping ? -ECANCELED : -ENOSPC);
        assert_int_equal(w->shard.intents.parts, 0);
        assert_false(snapshot_walk_holds(&w->shard));
        world_free(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_value_is_claimed_once),
        cmocka_unit_test(who_waits_is_served_although_the_file_is_behind),
        cmocka_unit_test(a_claim_gives_way_to_a_whole_shard),
        cmocka_unit_test(what_is_being_read_is_written_afterwards),
        cmocka_unit_test(a_claim_that_the_walk_has_passed_stays),
        cmocka_unit_test(a_busy_shard_gives_a_part_of_its_time),
        cmocka_unit_test(giving_up_lets_go_of_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
