// SPDX-License-Identifier: BSD-3-Clause
//
// The rare half of events.h: telling somebody; and the letters of classes. No state; runs on
// whichever thread executes. Called through db_event(), and by the configuration. Invariant: a text
// of classes that was written here reads back as the same bits.
#include "engine/keyspace/events.h"

// In the order in which CONFIG GET shows them.
static const struct {
    char letter;
    enum event_class class;
} letters[] = {{'g', EVENT_GENERIC}, {'$', EVENT_STRING},  {'l', EVENT_LIST},
               {'s', EVENT_SET},     {'h', EVENT_HASH},    {'z', EVENT_ZSET},
               {'x', EVENT_EXPIRED}, {'e', EVENT_EVICTED}, {'t', EVENT_STREAM},
               {'d', EVENT_MODULE},  {'n', EVENT_NEW},     {'K', EVENT_BY_KEY},
               {'E', EVENT_BY_NAME}, {'m', EVENT_KEY_MISS}};
#define LETTERS (sizeof letters / sizeof letters[0])

static uint32_t class_of(char letter) {
    if (letter == 'A') return EVENT_ALL;
    for (size_t i = 0; i < LETTERS; i++)
        if (letters[i].letter == letter) return letters[i].class;
    return 0;
}

bool event_classes(struct slice text, uint32_t *classes) {
    *classes = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint32_t class = class_of(text.p[i]);
        if (class == 0) return false;
        *classes |= class;
    }
    return true;
}

void event_classes_text(uint32_t classes, struct buf *out) {
    uint32_t hidden = 0;
    if ((classes & EVENT_ALL) == EVENT_ALL) {
        buf_append_char(out, 'A');
        hidden = EVENT_ALL;
    }
    for (size_t i = 0; i < LETTERS; i++)
        if (classes & ~hidden & letters[i].class) buf_append_char(out, letters[i].letter);
}

void event__emit(const struct db *db, enum event_class class, const char *name, struct slice key) {
    const struct event_sink *sink = db->keyspace->events;
    if (sink->classes & class) sink->emit(sink->context, db->index, name, key);
}
