// SPDX-License-Identifier: BSD-3-Clause
//
// Saving what a keyspace holds at one instant, while it goes on changing: the epoch bit. Everything
// that changes an entry comes by keyspace_save_first() or one of the db_ functions before; here is
// what begins it and ends it. Runs on the thread that owns the keyspace or has it lent. Invariant:
// outside of beginning and end every entry has the keyspace's bit; in between, exactly those that
// were there at the instant and have not been saved have the other. Called by the snapshot.
#include "engine/base/assert.h"
#include "engine/keyspace/keyspace.h"

void keyspace_begin_saving(struct keyspace *ks, const struct keyspace_saver *saver) {
    ASSERT(!ks->saving && (ks->marks & ENTRY_EPOCH));
    keyspace__forget_flushed(ks);
    ks->saver = *saver;
    ks->saving = true;
    ks->epoch ^= ENTRY_EPOCH;
    for (uint32_t i = 0; i < ks->ndbs; i++) {
        bool empty = db_count(&ks->dbs[i]) == 0;
        ks->dbs[i].saving = (struct db_saving){.index = i, .walked = empty};
    }
}

void keyspace_end_saving(struct keyspace *ks) {
    ASSERT(ks->saving);
    keyspace__forget_flushed(ks);
    ks->saving = false;
}

struct db *keyspace_saving_db(struct keyspace *ks, uint32_t index) {
    for (uint32_t i = 0; i < ks->ndbs; i++)
        if (ks->dbs[i].saving.index == index) return &ks->dbs[i];
    return NULL;
}

__attribute__((noinline)) void keyspace__save(struct db *db, struct entry *e) {
    struct keyspace *ks = db->keyspace;
    ASSERT(db->saving.index != UINT32_MAX);
    ks->saver.save(ks->saver.context, db->saving.index, e, false);
    keyspace_mark_saved(ks, e);
}

struct check {
    const struct keyspace *keyspace;
    bool valid;
};

static void check_epoch(void *context, struct entry *e) {
    struct check *check = context;
    if ((e->flags ^ check->keyspace->epoch) & ENTRY_EPOCH) check->valid = false;
}

bool keyspace__epoch_is_valid(const struct keyspace *ks) {
    struct check check = {ks, true};
    if (ks->saving || !(ks->marks & ENTRY_EPOCH)) return true;
    for (uint32_t i = 0; i < ks->ndbs; i++) table_each(&ks->dbs[i].table, check_epoch, &check);
    return check.valid;
}
