// SPDX-License-Identifier: BSD-3-Clause
//
// Events: what happens to keys, told to whoever wants to know, one by one, at the moment it happens
// (Redis documentation: Keyspace notifications). A keyspace has a sink, or none, and then an event
// costs the test of a pointer. The sink is the executing thread's: whoever is lent a keyspace, or
// visits it, puts its own there. Command functions say their events with db_event(); expiry,
// eviction and new keys are said by the keyspace itself.
#ifndef TORC_ENGINE_KEYSPACE_EVENTS_H
#define TORC_ENGINE_KEYSPACE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/assert.h"
#include "engine/base/buf.h"
#include "engine/keyspace/keyspace.h"

/** What an event is about, and (the last two) how it is told. Bits. */
enum event_class {
    EVENT_GENERIC = 1 << 0,   // g: DEL, EXPIRE, RENAME, ...
    EVENT_STRING = 1 << 1,    // $
    EVENT_LIST = 1 << 2,      // l
    EVENT_SET = 1 << 3,       // s
    EVENT_HASH = 1 << 4,      // h
    EVENT_ZSET = 1 << 5,      // z
    EVENT_EXPIRED = 1 << 6,   // x
    EVENT_EVICTED = 1 << 7,   // e
    EVENT_STREAM = 1 << 8,    // t
    EVENT_MODULE = 1 << 9,    // d: never happens, there are no modules
    EVENT_NEW = 1 << 10,      // n: not among A
    EVENT_KEY_MISS = 1 << 11, // m: not among A
    EVENT_BY_KEY = 1 << 12,   // K: told to those who ask about the key
    EVENT_BY_NAME = 1 << 13,  // E: told to those who ask about the event
};
#define EVENT_ALL  ((uint32_t)EVENT_NEW - 1) // A
#define EVENT_WAYS ((uint32_t)(EVENT_BY_KEY | EVENT_BY_NAME))

/** Who is told. The name is a constant; the key's text is valid for the call only. */
struct event_sink {
    void *context;
    uint32_t classes; // event_class bits: of no others it is told
    void (*emit)(void *context, uint32_t db, const char *name, struct slice key);
    /**
     * A key changed, whatever the event; `removed`: its time was over, or it made room. May be
     * NULL.
     */
    void (*modified)(void *context, struct db *db, struct key key, bool removed);
    /** A keyspace was emptied, or one of its databases, or two were swapped. May be NULL. */
    void (*replaced)(void *context, struct keyspace *ks);
};

/** The bits of a text as notify-keyspace-events has it. False: it has an unknown letter. */
bool event_classes(struct slice text, uint32_t *classes);
/** Appends the bits as text, in the form that CONFIG GET shows. */
void event_classes_text(uint32_t classes, struct buf *out);

void event__emit(const struct db *db, enum event_class class, const char *name, struct slice key);

/** Says that this happened to a key. */
static inline void db_event(const struct db *db, enum event_class class, const char *name,
                            struct slice key) {
    if (unlikely(db->keyspace->events != NULL)) event__emit(db, class, name, key);
}

#endif
