// SPDX-License-Identifier: BSD-3-Clause
//
// How a value is held and what it costs: OBJECT and MEMORY USAGE. Reads only, on the thread that
// has been given the key; owns no state. Invariant: asking does not count as using the key. Called
// through the rows of the command table.
#include "engine/commands/introspect.h"
#include "engine/commands/keys.h"

#define SHARED_INTEGERS 10000      // Redis shares the objects of integers below this one ...
#define SHARED_REFCOUNT 2147483647 // ... and shows this as their reference count

/** Looks up the key of an OBJECT subcommand; false: a null has been written. */
static bool look(struct cmd *c, struct found *f) {
    *f = keys__look_quietly(c, 2);
    if (f->ref.entry != NULL) return true;
    reply_null(c->reply);
    return false;
}

void keys_object_encoding(struct cmd *c) {
    struct found f;
    if (look(c, &f)) reply_bulk_text(c->reply, entry_encoding_name(f.ref.entry));
}

void keys_object_refcount(struct cmd *c) {
    struct found f;
    if (!look(c, &f)) return;
    int64_t value;
    bool shared = f.ref.entry->encoding == ENC_INT && entry_string_i64(f.ref.entry, &value) &&
                  value >= 0 && value < SHARED_INTEGERS;
    reply_int(c->reply, shared ? SHARED_REFCOUNT : 1);
}

#define SWITCHING                                                                              \
    " Please note that when switching between policies at runtime LRU and LFU data will take " \
    "some time to adjust."

void keys_object_idletime(struct cmd *c) {
    struct found f;
    if (!look(c, &f)) return;
    if (c->settings->lfu)
        reply_error(c->reply,
                    "ERR An LFU maxmemory policy is selected, idle time not tracked." SWITCHING);
    else
        reply_int(c->reply, cmd_idle_s(c, f.ref.entry));
}

void keys_object_freq(struct cmd *c) {
    struct found f;
    if (!look(c, &f)) return;
    if (!c->settings->lfu)
        reply_error(c->reply, "ERR An LFU maxmemory policy is not selected, access frequency not "
                              "tracked." SWITCHING);
    else
        reply_int(c->reply, cmd_frequency(c, f.ref.entry));
}

void keys_object_help(struct cmd *c) {
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Tells how the value is held inside.",
        "FREQ <key>",
        "    Tells how often the key is used, as a logarithmic counter.",
        "IDLETIME <key>",
        "    Tells for how many seconds the key has not been used.",
        "REFCOUNT <key>",
        "    Tells how many references the value has.",
        NULL,
    };
    introspect_help_reply(c->reply, "OBJECT", lines);
}

void keys_memory_usage(struct cmd *c) {
    for (int i = 3; i < c->argc; i += 2) {
        int64_t samples = -1;
        bool known = i + 1 < c->argc && slice_is(c->argv[i], "samples");
        if (known && !cmd_arg_i64(c, i + 1, &samples)) return;
        if (samples < 0) {
            reply_error(c->reply, error_syntax);
            return;
        }
    }
    struct found f = cmd_peek(c, 2);
    if (f.ref.entry == NULL)
        reply_null(c->reply);
    else // the entry and its slot in the table; strings need no samples
        reply_int(c->reply, (int64_t)(entry_memory(f.ref.entry) + sizeof *f.ref.slot));
}
