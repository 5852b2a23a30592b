// SPDX-License-Identifier: BSD-3-Clause
//
// SPOP and SRANDMEMBER: members chosen at random. Run on whichever thread was given the keys; no
// state but the generator of the key's keyspace, which a frozen view leaves alone. Invariant: what
// SPOP replays is SREM of what it chose, in pieces, or DEL. Choosing k of n while walking takes
// each member with the probability (still to choose) / (still to come), so that every subset is as
// likely as any other. Called through the rows of the command table.
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/commands/collection.h"
#include "engine/commands/set.h"
#include "engine/types/t_set.h"

#define SREM_MEMBERS  1024 // of one replayed SREM
#define KEEP_FACTOR   5    // SPOP moves what stays when it takes more than so many times that
#define SAMPLE_FACTOR 3    // SRANDMEMBER walks the set when it wants more than this part of it

/** A choice of some of so many members that come one after the other. */
struct choice {
    uint64_t wanted, left;
    struct random *random;
};

static bool choose(struct choice *ch) {
    bool taken = random_below(ch->random, ch->left--) < ch->wanted;
    ch->wanted -= taken;
    return taken;
}

// ---- SPOP --------------------------------------------------------------------------------------

/** Writes what is popped to the reply and to the effect. */
struct popped {
    struct cmd *c;
    struct effect effect;
    size_t members; // of the effect
};

static void popped_begin(struct popped *p, struct cmd *c) {
    p->c = c;
    p->members = 0;
    effect_begin(&p->effect, c, "SREM");
    effect_text(&p->effect, c->argv[1]);
}

static void popped_add(struct popped *p, const struct listpack_item *item) {
    collection_reply_item(p->c->reply, item);
    if (!cmd_has_effects(p->c)) return;
    if (p->members == SREM_MEMBERS) {
        effect_end(&p->effect);
        popped_begin(p, p->c);
    }
    p->members++;
    effect_item(&p->effect, item);
}

static void pop_one(struct cmd *c) {
    struct change ch;
    struct random own;
    struct listpack_item item;
    struct popped popped;
    if (!change_open(c, 1, ENTRY_SET, &ch)) return;
    if (ch.v.encoding == 0) {
        reply_null(c->reply);
        return;
    }
    tset_random(ch.v, collection_random(c, 1, &own), &item);
    popped_begin(&popped, c);
    popped_add(&popped, &item);
    effect_end(&popped.effect);
    tset_remove_item(&ch.v, &item);
    change_close(&ch, 1, "spop");
}

/** Pops while it walks, and makes a new listpack of what stays. */
static struct value pop_from_listpack(struct value v, struct choice *choice, struct popped *p,
                                      const struct value_limits *limits) {
    struct value rest = tset_new_listpack();
    struct tset_iterator it;
    struct listpack_item item;
    tset_iterate(&it, v);
    while (tset_next(&it, &item)) {
        if (choose(choice))
            popped_add(p, &item);
        else
            tset_add_item(&rest, &item, limits);
    }
    return rest;
}

/** Takes the few that stay out at random, then pops all that is left. */
static struct value pop_most(struct value v, uint64_t stay, struct popped *p, struct random *random,
                             const struct value_limits *limits) {
    struct value rest = v.encoding == ENC_SET_INTSET ? tset_new() : tset_new_listpack();
    struct tset_iterator it;
    struct listpack_item item;
    for (; stay > 0; stay--) {
        tset_random(v, random, &item);
        tset_add_item(&rest, &item, limits);
        tset_remove_item(&v, &item);
    }
    tset_iterate(&it, v);
    while (tset_next(&it, &item)) popped_add(p, &item);
    value_free(v);
    return rest;
}

static void pop_some(struct cmd *c, struct change *ch, uint64_t count) {
    const struct value_limits *limits = &c->settings->limits;
    struct random own, *random = collection_random(c, 1, &own);
    struct popped popped;
    uint64_t size = tset_count(ch->v), stay = size - count;
    reply_set(c->reply, count);
    popped_begin(&popped, c);
    if (ch->v.encoding == ENC_SET_LISTPACK) {
        struct choice choice = {.wanted = count, .left = size, .random = random};
        struct value rest = pop_from_listpack(ch->v, &choice, &popped, limits);
        value_free(ch->v);
        ch->v = rest;
    } else if (stay * KEEP_FACTOR > count) {
        struct listpack_item item;
        for (uint64_t i = 0; i < count; i++) {
            tset_random(ch->v, random, &item);
            popped_add(&popped, &item);
            tset_remove_item(&ch->v, &item);
        }
    } else {
        ch->v = pop_most(ch->v, stay, &popped, random, limits);
    }
    effect_end(&popped.effect);
    change_close(ch, count, "spop");
}

/** Pops all members: the key is deleted with them, by the side thread if they are many. */
static void pop_all(struct cmd *c, struct change *ch) {
    struct tset_iterator it;
    struct listpack_item item;
    uint64_t size = tset_count(ch->v);
    reply_set(c->reply, size);
    tset_iterate(&it, ch->v);
    while (tset_next(&it, &item)) collection_reply_item(c->reply, &item);
    struct slice effect[] = {SLICE_LITERAL("DEL"), c->argv[1]};
    cmd_effect(c, 2, effect);
    ch->f.db->keyspace->stats.dirty += size - 1; // and one for the key
    db_delete(ch->f.db, ch->f.key, ch->f.ref);
    change_event(ch, "spop");
    db_event(ch->f.db, EVENT_GENERIC, "del", ch->f.key.text);
}

void set_spop(struct cmd *c) {
    int64_t count;
    struct change ch;
    if (c->argc == 2) {
        pop_one(c);
        return;
    }
    if (c->argc > 3) {
        reply_error(c->reply, error_syntax);
        return;
    }
    if (!cmd_arg_range(c, 2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive"))
        return;
    if (!change_open(c, 1, ENTRY_SET, &ch)) return;
    if (ch.v.encoding == 0 || count == 0)
        reply_set(c->reply, 0);
    else if ((uint64_t)count >= tset_count(ch.v))
        pop_all(c, &ch);
    else
        pop_some(c, &ch, (uint64_t)count);
}

// ---- SRANDMEMBER -------------------------------------------------------------------------------

/** Any members, the same one perhaps more than once. */
static void reply_any(struct cmd *c, struct value v, uint64_t count, struct random *random) {
    struct listpack_item item;
    size_t start = c->reply->out->len;
    reply_array(c->reply, count);
    for (; count > 0 && !collection_draws_too_much(c, start, count); count--) {
        tset_random(v, random, &item);
        collection_reply_item(c->reply, &item);
    }
}

/** So many of all members, chosen while walking. */
static void reply_chosen(struct cmd *c, struct value v, uint64_t count, struct random *random) {
    struct choice choice = {.wanted = count, .left = tset_count(v), .random = random};
    struct tset_iterator it;
    struct listpack_item item;
    reply_array(c->reply, count);
    tset_iterate(&it, v);
    while (choice.wanted > 0 && tset_next(&it, &item))
        if (choose(&choice)) collection_reply_item(c->reply, &item);
}

/** A few members of a large table: drawn until they are distinct, told apart by their place. */
static void reply_few(struct cmd *c, struct value v, uint64_t count, struct random *random) {
    uint64_t room = 16;
    while (room < count * 2) room *= 2;
    const char **seen = mem_calloc(room * sizeof(*seen));
    struct listpack_item item;
    reply_array(c->reply, count);
    while (count > 0) {
        tset_random(v, random, &item);
        ASSERT(!item.is_int);
        uint64_t at = (uintptr_t)item.text.p * UINT64_C(0x9e3779b97f4a7c15) >> 32;
        while (seen[at & (room - 1)] != NULL && seen[at & (room - 1)] != item.text.p) at++;
        if (seen[at & (room - 1)] != NULL) continue;
        seen[at & (room - 1)] = item.text.p;
        collection_reply_item(c->reply, &item);
        count--;
    }
    mem_free(seen);
}

static void random_members(struct cmd *c, int64_t count) {
    struct value v;
    struct random own;
    if (!collection_read(c, 1, ENTRY_SET, &v)) return;
    if (v.encoding == 0 || count == 0) {
        reply_array(c->reply, 0);
        return;
    }
    struct random *random = collection_random(c, 1, &own);
    uint64_t size = tset_count(v);
    if (count < 0 || count == 1) {
        reply_any(c, v, count < 0 ? (uint64_t)-count : 1, random);
    } else if ((uint64_t)count >= size) {
        reply_chosen(c, v, size, random);
    } else if (v.encoding != ENC_SET_HASHTABLE || (uint64_t)count > size / SAMPLE_FACTOR) {
        reply_chosen(c, v, (uint64_t)count, random);
    } else {
        reply_few(c, v, (uint64_t)count, random);
    }
}

void set_srandmember(struct cmd *c) {
    struct value v;
    struct random own;
    struct listpack_item item;
    int64_t count;
    if (c->argc > 3) {
        reply_error(c->reply, error_syntax);
        return;
    }
    if (c->argc == 3) {
        if (!cmd_arg_i64(c, 2, &count)) return;
        if (count != INT64_MIN) {
            random_members(c, count);
            return;
        }
        reply_error_format(c->reply, "ERR value is out of range, value must between %lld and %lld",
                           -9223372036854775807LL, 9223372036854775807LL);
        return;
    }
    if (!collection_read(c, 1, ENTRY_SET, &v)) return;
    if (v.encoding == 0) {
        reply_null(c->reply);
        return;
    }
    tset_random(v, collection_random(c, 1, &own), &item);
    collection_reply_item(c->reply, &item);
}
