// SPDX-License-Identifier: BSD-3-Clause
//
// HyperLogLog commands: PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST. The value is a string that
// clients may read and set like any other, so every command looks whether it is one of ours, and a
// sparse one may prove to be corrupt at any register. Runs on the thread that was given the keys;
// owns no state. Invariant: what is kept as the estimate is that of the registers, or is marked as
// out of date. PFCOUNT keeps it in the value of a single key: the one command that reads for its
// client and writes for the next; on a borrowed keyspace it does not. Called through the table.
#include "engine/commands/hll.h"

#include <math.h>
#include <strings.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/random.h"
#include "engine/encoding/hll.h"

#define ROOM_MAX 300 // bytes that a growing sparse one gets in advance

static const char error_not_one[] = "WRONGTYPE Key is not a valid HyperLogLog string value.";
static const char error_corrupt[] = "INVALIDOBJ Corrupted HLL object detected";

/** The value of a found key; false: it is none, and the error has been written. */
static bool open_found(struct cmd *c, const struct found *f, struct slice *hll) {
    if (cmd_wrong_type(c, f, ENTRY_STRING)) return false;
    char scratch[NUM_I64_TEXT_MAX];
    *hll = entry_string(f->ref.entry, scratch); // an integer is no HyperLogLog: scratch may go
    if (hll_is_one(*hll)) return true;
    reply_error(c->reply, error_not_one);
    return false;
}

static struct slice text_of(const struct entry *e) {
    char scratch[NUM_I64_TEXT_MAX];
    ASSERT(e->encoding != ENC_INT);
    return entry_string(e, scratch);
}

static uint8_t *bytes_of(struct entry *e) { return (uint8_t *)entry_string_bytes(e); }

/** Bytes that may be written to: those of a copy when the string is on its way out to somebody. */
static struct entry *made_writable(struct entry *e) {
    return entry_string_is_writable(e) ? e : entry_string_reserve(e, entry_string_length(e));
}

static struct entry *new_empty(struct cmd *c, struct slice key) {
    struct entry *e = entry_new_raw(key, HLL_EMPTY_BYTES, ENTRY_NO_EXPIRE);
    entry_set_access(e, cmd_new_access(c));
    hll_make_empty(bytes_of(e));
    return e;
}

/** A value that is being changed: the found one, or a new one that is not in the table yet. */
struct target {
    struct found f;
    struct entry *e;
    size_t before;
};

static bool open_target(struct cmd *c, int arg, struct target *t) {
    struct slice hll;
    t->f = cmd_write(c, arg);
    t->e = t->f.ref.entry;
    t->before = 0;
    if (t->e == NULL) {
        t->e = new_empty(c, t->f.key.text);
        return true;
    }
    if (!open_found(c, &t->f, &hll)) return false;
    t->before = entry_memory(t->e);
    return true;
}

/** Puts the changed value in its place; `changes` counts as so many. */
static void close_target(struct target *t, uint64_t changes) {
    t->f.db->keyspace->stats.dirty += changes - 1; // the key's own change counts as one
    if (t->f.ref.entry == NULL)
        db_insert(t->f.db, t->f.key, t->e);
    else
        db_update(t->f.db, t->f.key, &t->f.ref, t->e, t->before);
    db_event(t->f.db, EVENT_STRING, "pfadd", t->f.key.text);
}

/** The value stays what it was, but may have moved on the way. */
static void abandon_target(struct target *t) {
    t->f.ref.entry = t->e;
    db_account(t->f.db, &t->f.ref, t->before);
}

/** Makes the value dense. False: it is corrupt. */
static bool densify(struct target *t) {
    uint8_t dense[HLL_DENSE_BYTES];
    if (!hll_to_dense(text_of(t->e), dense)) return false;
    t->e = entry_string_reserve(t->e, HLL_DENSE_BYTES);
    t->e = entry_string_resize(t->e, HLL_DENSE_BYTES);
    memcpy(bytes_of(t->e), dense, HLL_DENSE_BYTES);
    return true;
}

/** Room for one more step, and for some of those to come, as far as the limit makes sense of it. */
static struct entry *with_room(struct entry *e, size_t bytes_max) {
    size_t needed = entry_string_length(e) + HLL_SPARSE_STEP;
    if (entry_string_room(e) >= needed) return e;
    size_t room = needed + (needed < ROOM_MAX ? needed : ROOM_MAX);
    if (room > bytes_max) room = bytes_max;
    return entry_string_reserve(e, room > needed ? room : needed);
}

/**
 * Raises one register of a value; spot as in hll_sparse_find(). The value may have moved only when
 * the result is HLL_LACKS.
 */
static enum hll_finding raise_register(struct cmd *c, struct target *t, struct hll_mark mark,
                                       struct hll_spot *spot) {
    struct slice hll = text_of(t->e);
    if (hll_encoding(hll) == HLL_SPARSE) {
        const size_t bytes_max = (size_t)c->settings->limits.hll_sparse_max_bytes;
        enum hll_finding finding = hll_sparse_find(hll, mark, spot);
        if (finding != HLL_LACKS) return finding;
        if (hll_sparse_can_set(hll, mark, spot, bytes_max)) {
            t->e = with_room(t->e, bytes_max);
            t->e = entry_string_resize(t->e, hll.n + HLL_SPARSE_STEP);
            size_t n = hll_sparse_set(bytes_of(t->e), hll.n, mark, spot);
            t->e = entry_string_resize(t->e, n);
            return HLL_LACKS;
        }
        if (!densify(t)) return HLL_CORRUPT;
    } else if (hll_dense_has((const uint8_t *)hll.p, mark)) {
        return HLL_HAS;
    }
    t->e = made_writable(t->e);
    hll_dense_set(bytes_of(t->e), mark);
    return HLL_LACKS;
}

void hll_pfadd(struct cmd *c) {
    struct target t;
    if (!open_target(c, 1, &t)) return;
    uint64_t changes = t.f.ref.entry == NULL;
    enum hll_finding finding = HLL_HAS;
    for (int i = 2; i < c->argc && finding != HLL_CORRUPT; i++) {
        struct hll_spot spot = {0};
        finding = raise_register(c, &t, hll_mark(c->argv[i]), &spot);
        changes += finding == HLL_LACKS;
    }
    if (changes > 0) {
        hll_outdate(bytes_of(t.e));
        close_target(&t, changes);
    } else {
        t.e = made_writable(t.e); // as in Redis, whose encoding then shows it
        abandon_target(&t);
    }
    if (finding == HLL_CORRUPT)
        reply_error(c->reply, error_corrupt);
    else
        reply_int(c->reply, changes > 0);
}

// ---- counting ----------------------------------------------------------------------------------

/** Joins the values of all keys from argv[1] on. *dense: one of them is. False: an error. */
static bool join_all(struct cmd *c, uint8_t registers[HLL_REGISTERS], bool *dense) {
    memset(registers, 0, HLL_REGISTERS);
    *dense = false;
    for (int i = 1; i < c->argc; i++) {
        struct slice hll;
        struct found f = cmd_read(c, i);
        if (f.ref.entry == NULL) continue;
        if (!open_found(c, &f, &hll)) return false;
        if (hll_encoding(hll) == HLL_DENSE) *dense = true;
        if (hll_join(hll, registers)) continue;
        reply_error(c->reply, error_corrupt);
        return false;
    }
    return true;
}

static void keep_estimate(struct found *f, uint64_t estimate) {
    keyspace_save_first(f->db, f->ref.entry);
    size_t before = entry_memory(f->ref.entry);
    struct entry *e = made_writable(f->ref.entry);
    hll_set_cached(bytes_of(e), estimate);
    db_update(f->db, f->key, &f->ref, e, before);
}

void hll_pfcount(struct cmd *c) {
    if (c->argc > 2) {
        uint8_t registers[HLL_REGISTERS];
        bool dense;
        if (join_all(c, registers, &dense))
            reply_int(c->reply, (int64_t)hll_estimate_registers(registers));
        return;
    }
    struct slice hll;
    uint64_t estimate = 0;
    struct found f = cmd_read(c, 1);
    if (f.ref.entry != NULL) {
        if (!open_found(c, &f, &hll)) return;
        if (!hll_cached(hll, &estimate)) {
            if (!hll_estimate(hll, &estimate)) {
                reply_error(c->reply, error_corrupt);
                return;
            }
            if (!c->view->frozen) keep_estimate(&f, estimate);
        }
    }
    reply_int(c->reply, (int64_t)estimate);
}

/** Raises the registers of a sparse value one by one; false: it has become dense on the way. */
static bool fill_sparse(struct cmd *c, struct target *t, const uint8_t registers[HLL_REGISTERS]) {
    struct hll_spot spot = {0};
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (registers[i] == 0) continue;
        raise_register(c, t, (struct hll_mark){(uint16_t)i, registers[i]}, &spot);
        if (hll_encoding(text_of(t->e)) == HLL_DENSE) return false;
    }
    return true;
}

void hll_pfmerge(struct cmd *c) {
    uint8_t registers[HLL_REGISTERS];
    bool dense;
    struct target t;
    if (!join_all(c, registers, &dense) || !open_target(c, 1, &t)) return;
    bool is_sparse = hll_encoding(text_of(t.e)) == HLL_SPARSE;
    if (is_sparse && dense) {
        bool valid = densify(&t);
        ASSERT(valid); // it has just been read
        is_sparse = false;
    }
    t.e = made_writable(t.e);
    if (!is_sparse || !fill_sparse(c, &t, registers)) hll_dense_fill(bytes_of(t.e), registers);
    hll_outdate(bytes_of(t.e));
    close_target(&t, 1);
    reply_ok(c->reply);
}

// ---- for tests ---------------------------------------------------------------------------------

/** Makes a found value dense without telling watchers, who would see no other elements. */
static bool debug_densify(struct cmd *c, struct found *f) {
    struct target t = {.f = *f, .e = f->ref.entry};
    uint8_t dense[HLL_DENSE_BYTES];
    if (!hll_to_dense(text_of(t.e), dense)) {
        reply_error(c->reply, error_corrupt);
        return false;
    }
    t.e = db_detach(f->db, f->key, f->ref);
    bool valid = densify(&t);
    ASSERT(valid);
    db_attach(f->db, f->key, t.e);
    f->ref = db_find(f->db, f->key);
    f->db->keyspace->stats.dirty++;
    return true;
}

static void debug_registers(struct cmd *c, struct slice hll) {
    uint8_t registers[HLL_REGISTERS] = {0};
    bool valid = hll_join(hll, registers);
    ASSERT(valid);
    reply_array(c->reply, HLL_REGISTERS);
    for (int i = 0; i < HLL_REGISTERS; i++) reply_int(c->reply, registers[i]);
}

static void debug_decode(struct cmd *c, struct slice hll) {
    struct buf text = {0};
    size_t offset = HLL_HEADER;
    for (struct hll_run run; hll_next_run(hll, &offset, &run);) {
        const char *space = text.len > 0 ? " " : "";
        if (run.value == 0)
            buf_printf(&text, "%s%c:%u", space, run.is_long ? 'Z' : 'z', run.count);
        else
            buf_printf(&text, "%sv:%u,%u", space, run.value, run.count);
    }
    reply_bulk(c->reply, text.p, text.len);
    buf_free(&text);
}

void hll_pfdebug(struct cmd *c) {
    struct slice what = c->argv[1], hll;
    struct found f = cmd_write(c, 2);
    if (f.ref.entry == NULL) {
        reply_error(c->reply, "ERR The specified key does not exist");
        return;
    }
    if (!open_found(c, &f, &hll)) return;
    bool is_sparse = hll_encoding(hll) == HLL_SPARSE;
    if (slice_is(what, "getreg")) {
        if (!is_sparse || debug_densify(c, &f)) debug_registers(c, text_of(f.ref.entry));
    } else if (slice_is(what, "decode")) {
        if (is_sparse)
            debug_decode(c, hll);
        else
            reply_error(c->reply, "ERR HLL encoding is not sparse");
    } else if (slice_is(what, "encoding")) {
        reply_status(c->reply, is_sparse ? "sparse" : "dense");
    } else if (slice_is(what, "todense")) {
        if (!is_sparse || debug_densify(c, &f)) reply_int(c->reply, is_sparse);
    } else {
        reply_error_format(c->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)what.n, what.p);
    }
}

/** Sets random registers of a dense one and reads them back; the first that differs, or -1. */
static int check_registers(struct random *random) {
    uint8_t hll[HLL_DENSE_BYTES] = "HYLL", expected[HLL_REGISTERS], read[HLL_REGISTERS] = {0};
    for (int i = 0; i < HLL_REGISTERS; i++) {
        expected[i] = (uint8_t)random_below(random, 64);
        hll_dense_set(hll, (struct hll_mark){(uint16_t)i, expected[i]});
    }
    hll_join(slice_of(hll, sizeof hll), read);
    for (int i = 0; i < HLL_REGISTERS; i++)
        if (read[i] != expected[i]) return i;
    return -1;
}

#define CHECKED_ELEMENTS 100000

/** Adds elements to a dense and to a sparse one; the error text, or NULL when all is well. */
static const char *check_estimates(struct cmd *c, struct random *random) {
    uint8_t dense[HLL_DENSE_BYTES] = "HYLL";
    struct target sparse = {.e = new_empty(c, SLICE_LITERAL(""))};
    uint64_t seed = random_next(random), checkpoint = 10;
    const char *error = NULL;
    for (uint64_t i = 1; i <= CHECKED_ELEMENTS && error == NULL; i++) {
        uint64_t element = i ^ seed, of_dense, of_sparse;
        struct hll_spot spot = {0};
        struct hll_mark mark = hll_mark(slice_of(&element, sizeof element));
        if (!hll_dense_has(dense, mark)) hll_dense_set(dense, mark);
        raise_register(c, &sparse, mark, &spot);
        if (i != checkpoint) continue;
        bool counted = hll_estimate(slice_of(dense, sizeof dense), &of_dense) &&
                       hll_estimate(text_of(sparse.e), &of_sparse);
        if (!counted || of_dense != of_sparse) error = "TESTFAILED dense/sparse disagree";
        // Six times the standard error, and one element where that is less than one.
        double off = fabs((double)of_dense - (double)i);
        if (off > 1 + 6 * 1.04 / sqrt(HLL_REGISTERS) * (double)i)
            error = "TESTFAILED error too big";
        checkpoint *= 10;
    }
    entry_free(sparse.e);
    return error;
}

void hll_pfselftest(struct cmd *c) {
    struct random random;
    random_init(&random, (uint64_t)c->now_us);
    for (int i = 0; i < 10; i++) {
        int wrong = check_registers(&random);
        if (wrong < 0) continue;
        reply_error_format(c->reply, "TESTFAILED Register %d is not what was set", wrong);
        return;
    }
    const char *error = check_estimates(c, &random);
    if (error != NULL)
        reply_error(c->reply, error);
    else
        reply_ok(c->reply);
}
