// SPDX-License-Identifier: BSD-3-Clause
//
// Intents against a naive reference: flat arrays, everything computed anew at every step. Random
// parts arrive, late and early, whole and by key, are granted, returned and withdrawn; commands
// park and go on. After each step both must agree on who is refused, granted, ready and kept
// waiting.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "shards/intents.h"

#define KEYS      5
#define PARTS_MAX 24
#define OPS_MAX   24

/** What the reference knows of a part or of a parked command. */
struct mirror {
    struct part *part; // NULL: a command (or nothing)
    struct parked *op;
    uint64_t ticket, arrival;
    bool keys[KEYS]; // a command: the one key that it waits for
    bool write, whole, granted, announced, used;
};

struct model {
    struct intents in;
    struct random random;
    struct mirror all[PARTS_MAX + OPS_MAX];
    struct parked *behind_lent[OPS_MAX]; // commands that wait for the lent shard
    int behind_count;
    uint64_t ticket, arrival;
    uint64_t refusals, grants, readied;
};

#define EACH(m, x)                                                             \
    for (struct mirror *x = (m)->all; x < (m)->all + PARTS_MAX + OPS_MAX; x++) \
        if (x->used)

static uint32_t below(struct model *m, uint32_t n) { return (uint32_t)random_below(&m->random, n); }

static bool is_ahead(const struct mirror *a, const struct mirror *b) {
    return a->ticket != b->ticket ? a->ticket < b->ticket : a->arrival < b->arrival;
}

static bool overlap(const struct mirror *a, const struct mirror *b) {
    for (int k = 0; k < KEYS; k++)
        if (a->keys[k] && b->keys[k]) return a->write || b->write;
    return false;
}

/** Whether something ahead of x conflicts with it. */
static bool must_wait(struct model *m, const struct mirror *x) {
    EACH(m, y) {
        if (y == x || !is_ahead(y, x)) continue;
        if (x->whole ? y->part != NULL : overlap(x, y) || y->whole) {
            if (!x->part && y->whole) continue; // a command's wait for its key knows no whole parts
            return true;
        }
    }
    return false;
}

static struct mirror *mirror_new(struct model *m) {
    for (int i = 0; i < PARTS_MAX + OPS_MAX; i++) {
        struct mirror *x = &m->all[i];
        if (x->used) continue;
        *x = (struct mirror){.used = true, .arrival = ++m->arrival};
        return x;
    }
    return NULL;
}

static struct mirror *mirror_of(struct model *m, const struct part *part, const struct parked *op) {
    EACH(m, x) {
        if (part ? x->part == part : x->op == op) return x;
    }
    fail_msg("the reference does not know it");
    return NULL;
}

static bool is_lent(struct model *m) {
    EACH(m, x) {
        if (x->whole && x->announced) return true;
    }
    return false;
}

/** Runs a command: it may have to wait. */
static void try_command(struct model *m, struct parked *op, int key, bool write, bool fresh) {
    assert_int_equal(m->in.lent, is_lent(m));
    if (m->in.lent) {
        intents_park_lent(&m->in, op);
        m->behind_lent[m->behind_count++] = op;
        return;
    }
    bool expected = false;
    uint64_t last = 0;
    EACH(m, x) {
        if (!x->keys[key]) continue;
        if (x->ticket > last) last = x->ticket;
        bool ahead = fresh || (x->part && x->announced);
        expected |= ahead && (write || x->write);
    }
    assert_int_equal(intents_conflict(&m->in, (uint64_t)key, write, !fresh), expected);
    if (!expected) {
        mem_free(op);
        return;
    }
    intents_park(&m->in, op, (uint64_t)key, write);
    struct mirror *x = mirror_new(m);
    x->op = op;
    x->ticket = last;
    x->keys[key] = true;
    x->write = write;
}

/** Drains both lists as a shard does, and checks that they hold what they must. */
static void settle(struct model *m) {
    EACH(m, x) {
        if (x->part && !x->granted && !must_wait(m, x)) x->granted = true;
    }
    for (;;) {
        struct parked *op = intents_next_ready(&m->in);
        if (op) {
            m->readied++;
            int key = (int)below(m, KEYS);
            bool write = below(m, 2);
            int at = 0;
            while (at < m->behind_count && m->behind_lent[at] != op) at++;
            if (at < m->behind_count) {
                m->behind_lent[at] = m->behind_lent[--m->behind_count];
                assert_false(is_lent(m));
            } else {
                struct mirror *x = mirror_of(m, NULL, op);
                assert_false(must_wait(m, x));
                for (key = 0; !x->keys[key];) key++;
                write = x->write;
                x->used = false;
                // Nothing that it waited for is lent again before it has had its turn.
                if (!m->in.lent) assert_false(intents_conflict(&m->in, (uint64_t)key, write, true));
            }
            EACH(m, x) {
                if (x->part && !x->granted && !must_wait(m, x)) x->granted = true;
            }
            try_command(m, op, key, write, false);
            continue;
        }
        struct part *part = intents_next_granted(&m->in);
        if (!part) break;
        struct mirror *x = mirror_of(m, part, NULL);
        assert_true(x->granted && !x->announced);
        x->announced = true;
        m->grants++;
    }
    EACH(m, x) {
        if (x->part) {
            assert_int_equal(x->part->state == PART_GRANTED, x->granted);
            assert_int_equal(x->announced, x->granted);
        } else {
            assert_true(must_wait(m, x));
        }
    }
    if (m->behind_count > 0) assert_true(m->in.lent);
    assert_true(intents_is_valid(&m->in));
}

static uint64_t new_ticket(struct model *m) {
    for (;;) {
        // Mostly the next one; sometimes one that others have overtaken.
        uint64_t ticket = m->ticket + 3;
        if (below(m, 3) == 0 && ticket > 12) ticket -= 1 + below(m, 10);
        bool taken = false;
        EACH(m, x) taken |= x->part && x->ticket == ticket;
        if (taken) {
            m->ticket++;
            continue;
        }
        if (ticket > m->ticket) m->ticket = ticket;
        return ticket;
    }
}

static void arrive(struct model *m) {
    int parts = 0;
    EACH(m, x) parts += x->part != NULL;
    if (parts == PARTS_MAX) return;
    bool whole = below(m, 8) == 0;
    uint32_t count = whole ? 0 : 1 + below(m, 4);
    struct part *part = mem_calloc(sizeof *part + count * sizeof *part->keys);
    struct mirror wanted = {.part = part,
                            .whole = whole,
                            .write = below(m, 2),
                            .used = true,
                            .ticket = new_ticket(m),
                            .arrival = m->arrival + 1};
    part->ticket = wanted.ticket;
    part->whole = whole;
    part->write = wanted.write;
    part->key_count = count;
    for (uint32_t i = 0; i < count; i++) { // hashes may be equal
        uint32_t k = below(m, KEYS);
        part->keys[i].key.hash = k;
        wanted.keys[k] = true;
    }
    bool late = false;
    EACH(m, x) {
        if (x->part && x->granted && x->ticket > wanted.ticket)
            late |= x->whole || whole || overlap(x, &wanted);
    }
    assert_int_equal(intents_register(&m->in, part), !late);
    if (late) {
        assert_int_equal(part->state, PART_REFUSED);
        m->refusals++;
        mem_free(part);
        return;
    }
    *mirror_new(m) = wanted;
}

static void leave(struct model *m) {
    struct mirror *chosen = NULL;
    uint32_t n = 0;
    EACH(m, x) {
        if (x->part && below(m, ++n) == 0) chosen = x;
    }
    if (!chosen) return;
    intents_release(&m->in, chosen->part);
    chosen->used = false;
    mem_free(chosen->part);
}

static void come_as_command(struct model *m) {
    int ops = m->behind_count;
    EACH(m, x) ops += x->op != NULL;
    if (ops == OPS_MAX) return;
    struct parked *op = mem_calloc(sizeof *op);
    try_command(m, op, (int)below(m, KEYS), below(m, 2), true);
}

static void model_run(uint64_t seed, struct model *m) {
    memset(m, 0, sizeof *m);
    random_init(&m->random, seed);
    intents_init(&m->in);
    uint32_t arrivals = 2 + below(m, 6), leaves = 2 + below(m, 6);
    for (int i = 0; i < 400; i++) {
        uint32_t what = below(m, arrivals + leaves + 4);
        if (what < arrivals)
            arrive(m);
        else if (what < arrivals + leaves)
            leave(m);
        else
            come_as_command(m);
        settle(m);
    }
    while (m->in.parts > 0) {
        leave(m);
        settle(m);
    }
    assert_int_equal(m->behind_count, 0);
    EACH(m, x) fail_msg("something was left behind");
    intents_fini(&m->in);
}

static void test_random_against_reference(void **state) {
    (void)state;
    static struct model m;
    uint64_t refusals = 0, grants = 0, readied = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        model_run(seed, &m);
        refusals += m.refusals;
        grants += m.grants;
        readied += m.readied;
    }
    assert_true(refusals > 100 && grants > 10000 && readied > 1000);
}

/** A row of transactions without a gap does not keep a command waiting. */
static void test_parked_command_gets_its_turn(void **state) {
    (void)state;
    struct intents in;
    intents_init(&in);
    struct {
        struct part part;
        struct part_key key;
    } parts[3] = {0};
    struct parked op = {0};
    for (int i = 0; i < 3; i++) {
        struct part *p = &parts[i].part;
        p->ticket = (uint64_t)i + 1;
        p->write = true;
        p->key_count = 1;
        p->keys[0].key.hash = 7;
    }
    assert_true(intents_register(&in, &parts[0].part));
    assert_ptr_equal(intents_next_granted(&in), &parts[0].part);
    assert_true(intents_conflict(&in, 7, true, false));
    intents_park(&in, &op, 7, true);
    assert_true(intents_register(&in, &parts[1].part));
    intents_release(&in, &parts[0].part);
    assert_ptr_equal(intents_next_ready(&in), &op);
    assert_true(intents_conflict(&in, 7, true, false)); // a new command
    assert_false(intents_conflict(&in, 7, true, true)); // this one
    assert_null(intents_next_ready(&in));
    assert_ptr_equal(intents_next_granted(&in), &parts[1].part);
    intents_release(&in, &parts[1].part);
    intents_fini(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_reference),
        cmocka_unit_test(test_parked_command_gets_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
