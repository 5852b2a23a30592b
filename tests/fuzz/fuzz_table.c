// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for the keyspace: the input is a program of small operations (set, expire, append,
// delete, detach, flush, swap, scan, time passing, expiry steps) on a keyspace of three databases
// and 512 possible keys, run beside a plain reference. A wrong answer or a broken invariant aborts.
// Built with libFuzzer, with tests/fuzz/driver.c, or alone (-DFUZZ_STANDALONE: arguments are the
// number of random inputs and a seed). One thread.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/random.h"
#include "engine/keyspace/keyspace.h"

#define KEYS     512
#define DBS      3
#define START_MS INT64_C(1700000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model {
    bool in[DBS][KEYS];
    uint32_t len[DBS][KEYS];
    int64_t expire_ms[DBS][KEYS];
};

struct run {
    const uint8_t *p, *end;
    struct keyspace *ks;
    struct model m;
    int64_t now_ms;
    int64_t latest_ms; // the latest time that an expiry step was told: clocks may be set back
    bool seen[KEYS];
};

static uint32_t take(struct run *r) { return r->p < r->end ? *r->p++ : 0; }

static struct slice name_of(char out[300], uint32_t number) {
    // Every 16th key is long enough for a length word.
    int n = snprintf(out, 300, number % 16 == 0 ? "%0280u" : "k%u", number);
    return slice_of(out, (size_t)n);
}

static int64_t take_expiry(struct run *r) {
    static const int64_t units_ms[] = {10, 200, 9000, 400000, 30000000, INT64_C(3000000000)};
    uint32_t unit = take(r) % 8;
    return unit >= 6 ? ENTRY_NO_EXPIRE : r->now_ms - 100 + units_ms[unit] * (int64_t)take(r);
}

static void see(void *context, struct entry *e) {
    struct run *r = context;
    struct slice key = entry_key(e);
    unsigned number = 0;
    char text[300];
    memcpy(text, key.p, key.n);
    text[key.n] = '\0';
    ASSERT(sscanf(text[0] == 'k' ? text + 1 : text, "%u", &number) == 1 && number < KEYS);
    r->seen[number] = true;
}

/** One step on one key; returns after the reference has followed. */
static void change_key(struct run *r, uint32_t what, uint32_t d, uint32_t number) {
    static const char text[3000] = {'v'};
    struct model *m = &r->m;
    struct db *db = &r->ks->dbs[d];
    char name[300];
    struct key key = key_of(r->ks, name_of(name, number));
    struct table_ref ref = db_find(db, key);
    if (ref.entry == NULL) {
        ASSERT(!m->in[d][number] || (m->expire_ms[d][number] != ENTRY_NO_EXPIRE &&
                                     m->expire_ms[d][number] < r->latest_ms));
        m->in[d][number] = false;
    } else {
        ASSERT(m->in[d][number] && entry_expire_ms(ref.entry) == m->expire_ms[d][number]);
        ASSERT(entry_string_length(ref.entry) == m->len[d][number]);
    }
    if (what == 0) {
        m->in[d][number] = true;
        m->len[d][number] = take(r) * (take(r) % 12);
        m->expire_ms[d][number] = take_expiry(r);
        struct slice value = slice_of(text, m->len[d][number]);
        db_set_string(db, key, ref, value, m->expire_ms[d][number]);
    } else if (ref.entry == NULL) {
        return;
    } else if (what == 1) {
        m->expire_ms[d][number] = take_expiry(r);
        db_set_expire(db, key, &ref, m->expire_ms[d][number]);
    } else if (what == 2) {
        size_t before = entry_memory(ref.entry);
        m->len[d][number] = take(r) * (take(r) % 12);
        db_update(db, key, &ref, entry_string_resize(ref.entry, m->len[d][number]), before);
    } else if (what == 3) {
        db_delete(db, key, ref);
        m->in[d][number] = false;
    } else {
        db_attach(db, key, db_detach(db, key, ref));
    }
}

static void swap(struct run *r, uint32_t a, uint32_t b) {
    keyspace_swap(r->ks, a, b, 0);
    struct model was = r->m;
    memcpy(r->m.in[a], was.in[b], sizeof(was.in[a]));
    memcpy(r->m.in[b], was.in[a], sizeof(was.in[b]));
    memcpy(r->m.len[a], was.len[b], sizeof(was.len[a]));
    memcpy(r->m.len[b], was.len[a], sizeof(was.len[b]));
    memcpy(r->m.expire_ms[a], was.expire_ms[b], sizeof(was.expire_ms[a]));
    memcpy(r->m.expire_ms[b], was.expire_ms[a], sizeof(was.expire_ms[b]));
}

/** A whole scan; every key of the reference that expiry cannot have taken is seen. */
static void scan(struct run *r, uint32_t d) {
    memset(r->seen, 0, sizeof(r->seen));
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&r->ks->dbs[d].table, cursor, see, r);
    } while (cursor != 0);
    for (uint32_t i = 0; i < KEYS; i++) {
        bool stays = r->m.in[d][i] && r->m.expire_ms[d][i] == ENTRY_NO_EXPIRE;
        ASSERT(!stays || r->seen[i]);
        ASSERT(!r->seen[i] || r->m.in[d][i]);
    }
}

static void step(struct run *r) {
    static const int64_t spans_ms[] = {
        1, 90, 2000, 100000, 5000000, INT64_C(900000000), -3000, INT64_C(-90000000)};
    uint32_t what = take(r);
    uint32_t d = what / 32 % DBS;
    switch (what % 32) {
    case 0:
        keyspace_flush(r->ks, d);
        memset(r->m.in[d], 0, sizeof(r->m.in[d]));
        break;
    case 1: swap(r, d, take(r) % DBS); break;
    case 2: scan(r, d); break;
    case 3:
    case 4:
        r->now_ms += spans_ms[take(r) % 8] * (int64_t)(1 + take(r) % 4);
        if (r->now_ms < START_MS) r->now_ms = START_MS;
        break;
    case 5:
    case 6:
        if (r->now_ms > r->latest_ms) r->latest_ms = r->now_ms;
        keyspace_expire_step(r->ks, r->now_ms, 1 + take(r));
        break;
    case 7:
        // A run of neighbouring keys, so that tables grow and shrink.
        for (uint32_t n = take(r), first = take(r), op = take(r) % 5; n != 0; n--) {
            change_key(r, op, d, (first + n) % KEYS);
        }
        break;
    default: change_key(r, take(r) % 5, d, (take(r) << 8 | take(r)) % KEYS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct run *r = calloc(1, sizeof(*r));
    ASSERT(r != NULL);
    r->p = data;
    r->end = data + size;
    r->now_ms = START_MS;
    r->ks = keyspace_new(DBS, 0, 1234, 1, NULL);
    for (uint32_t i = 0; r->p < r->end; i++) {
        step(r);
        if (i % 32 == 0) ASSERT(keyspace_is_valid(r->ks));
    }
    ASSERT(keyspace_is_valid(r->ks));
    keyspace_free(r->ks);
    free(r);
    return 0;
}

#ifdef FUZZ_STANDALONE
int main(int argc, char **argv) {
    uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static uint8_t input[4096];
    for (uint64_t i = 0; i < runs; i++) {
        struct random random;
        random_init(&random, seed + i);
        size_t n = random_below(&random, sizeof(input));
        for (size_t k = 0; k < n; k++) input[k] = (uint8_t)random_next(&random);
        LLVMFuzzerTestOneInput(input, n);
    }
    printf("%llu runs from seed %llu: no finding\n", (unsigned long long)runs,
           (unsigned long long)seed);
    return 0;
}
#endif
