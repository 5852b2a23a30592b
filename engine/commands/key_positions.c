// SPDX-License-Identifier: BSD-3-Clause
//
// Which arguments of a command are keys, and what the command does to them: the evaluation of a
// row's key specs over actual arguments. Routing asks it for every command with keys, so one key in
// one spec is a straight line. Pure functions; any thread. Invariant: a position that is returned
// is a valid index of argv. Callers: shards/ for routing and intents, COMMAND GETKEYS.
#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "engine/commands/table.h"

struct range {
    int first, last, step;
};

/** Where XREAD and XREADGROUP say STREAMS: groups and consumers may have that name, too. */
static int streams_word(int argc, const struct slice *argv) {
    for (int i = 1; i < argc; i++) {
        if (slice_is(argv[i], "streams")) return i;
        if (slice_is(argv[i], "block") || slice_is(argv[i], "count"))
            i++;
        else if (slice_is(argv[i], "group"))
            i += 2;
        else if (!slice_is(argv[i], "noack"))
            break;
    }
    return argc;
}

/** Where a spec's keyword stands; argc: nowhere. */
static int find_keyword(const struct key_spec *spec, int argc, const struct slice *argv) {
    if (strcmp(spec->keyword, "streams") == 0) return streams_word(argc, argv);
    int at = spec->from;
    while (at < argc && !slice_is(argv[at], spec->keyword)) at++;
    return at;
}

/** The argv range that a spec covers; false when a count argument makes no sense. */
static bool spec_range(const struct key_spec *spec, int argc, const struct slice *argv,
                       struct range *out) {
    int first = spec->begin, last;
    if (spec->keyword != NULL) {
        first = find_keyword(spec, argc, argv) + 1;
        if (first >= argc) return false;
    }
    if (spec->keynum >= 0) {
        int64_t count;
        int at = first + spec->keynum;
        if (at >= argc || !num_parse_i64(argv[at], &count)) return false;
        if (count < 1 || count > argc - at - 1) return false;
        first = at + 1;
        last = first + ((int)count - 1) * spec->step;
    } else if (spec->last >= 0) {
        last = first + spec->last;
    } else if (spec->limit == 0) {
        last = argc + spec->last;
    } else {
        last = first + (argc - first) / spec->limit + spec->last;
    }
    *out = (struct range){first, last, spec->step};
    return first < argc && last < argc && last >= first;
}

/** SORT: the key that the last STORE names is written. */
static int sort_destination(int argc, const struct slice *argv) {
    int found = 0;
    for (int i = 2; i < argc; i++) {
        if (slice_is(argv[i], "limit"))
            i += 2;
        else if (slice_is(argv[i], "get") || slice_is(argv[i], "by"))
            i++;
        else if (slice_is(argv[i], "store") && i + 1 < argc)
            found = ++i;
    }
    return found;
}

/** GEORADIUS and its like: of several STORE and STOREDIST options the last one counts. */
static int georadius_destination(int argc, const struct slice *argv, int from) {
    int found = 0;
    for (int i = from; i + 1 < argc; i++)
        if (slice_is(argv[i], "store") || slice_is(argv[i], "storedist")) found = ++i;
    return found;
}

/** MIGRATE: the keys behind KEYS, which counts only when the argument for the one key is empty. */
static struct range migrate_keys(int argc, const struct slice *argv) {
    struct range one = {3, 3, 1}, none = {0, 0, 1};
    for (int i = 6; i < argc; i++) {
        if (slice_is(argv[i], "auth"))
            i++;
        else if (slice_is(argv[i], "auth2"))
            i += 2;
        else if (slice_is(argv[i], "keys"))
            return argv[3].n > 0 || i + 1 == argc ? none : (struct range){i + 1, argc - 1, 1};
    }
    return one;
}

/** A key that a function finds, not a spec; 0: none. */
static int special_key(const struct command *spec, const struct key_spec *ks, int argc,
                       const struct slice *argv) {
    if (spec->id == ROW_SORT && ks->flags & KEY_OW) return sort_destination(argc, argv);
    if (ks->keyword != NULL && strcmp(ks->keyword, "store") == 0)
        return georadius_destination(argc, argv, ks->from);
    return 0; // SORT's patterns name no arguments; STOREDIST has been found with STORE
}

static bool is_special(const struct command *spec, const struct key_spec *ks) {
    if (ks->keyword == NULL) return ks->begin == 0;
    return spec->id == ROW_GEORADIUS || spec->id == ROW_GEORADIUSBYMEMBER;
}

bool command_roams(const struct command *spec, int argc, const struct slice *argv) {
    if (likely((spec->flags & COMMAND_PATTERN_KEYS) == 0)) return false;
    // Also where the word is another option's argument: what is brought together then is too much.
    for (int i = 2; i + 1 < argc; i++) {
        if (!slice_is(argv[i], "by") && !slice_is(argv[i], "get")) continue;
        struct slice pattern = argv[i + 1];
        if (pattern.n > 0 && memchr(pattern.p, '*', pattern.n) != NULL) return true;
    }
    return false;
}

/** SET overwrites; with GET it reads as well. */
static uint16_t flags_of_set(int argc, const struct slice *argv) {
    for (int i = 3; i < argc; i++)
        if (slice_is(argv[i], "get")) return KEY_RW | KEY_ACCESS | KEY_UPDATE;
    return KEY_OW | KEY_UPDATE;
}

/**
 * BITFIELD only reads while all its operations are GETs; what it does not understand counts as a
 * write.
 */
static uint16_t flags_of_bitfield(int argc, const struct slice *argv) {
    const uint16_t writes = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    for (int i = 2; i < argc;) {
        if (slice_is(argv[i], "get") && argc - i > 2)
            i += 3;
        else if (slice_is(argv[i], "overflow") && argc - i > 1)
            i += 2;
        else
            return writes;
    }
    return KEY_RO | KEY_ACCESS;
}

static uint16_t flags_of(const struct command *spec, uint16_t flags, int argc,
                         const struct slice *argv) {
    if (likely((flags & KEY_VARIABLE_FLAGS) == 0)) return flags;
    switch (spec->id) {
    case ROW_SET: return flags_of_set(argc, argv);
    case ROW_BITFIELD: return flags_of_bitfield(argc, argv);
    default: return flags;
    }
}

int command_keys(const struct command *spec, int argc, const struct slice *argv,
                 struct key_position *out, int max) {
    int n = 0;
    for (int s = 0; s < spec->key_spec_count; s++) {
        const struct key_spec *ks = &spec->key_specs[s];
        if (ks->flags & KEY_NOT_KEY) continue;
        struct range range = {0, 0, 1};
        if (spec->id == ROW_MIGRATE) {
            if (s == 0) range = migrate_keys(argc, argv); // for both
            if (range.first == 0) continue;
        } else if (is_special(spec, ks)) {
            range.first = range.last = special_key(spec, ks, argc, argv);
            if (range.first == 0) continue;
        } else if (!spec_range(ks, argc, argv, &range)) {
            // An option that was not given, or PFMERGE without sources.
            if (s > 0 && (ks->keyword != NULL || ks->begin >= argc)) continue;
            return COMMAND_KEYS_INVALID;
        }
        uint16_t flags = flags_of(spec, ks->flags, argc, argv);
        for (int i = range.first; i <= range.last; i += range.step, n++)
            if (n < max) out[n] = (struct key_position){i, flags};
    }
    return n;
}

void key_list_init(struct key_list *list, const struct command *spec, int argc,
                   const struct slice *argv) {
    const int few = sizeof list->few / sizeof list->few[0];
    list->at = list->few;
    list->count = command_keys(spec, argc, argv, list->at, few);
    if (list->count > few) {
        list->at = mem_alloc((size_t)list->count * sizeof *list->at);
        command_keys(spec, argc, argv, list->at, list->count);
    } else if (list->count < 0) {
        list->count = 0;
    }
}

void key_list_fini(struct key_list *list) {
    if (list->at != list->few) mem_free(list->at);
}
