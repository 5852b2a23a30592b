// SPDX-License-Identifier: BSD-3-Clause
//
// Single bits, counting and searching bits, and operations over whole strings: SETBIT, GETBIT,
// BITCOUNT, BITPOS, BITOP. Bytes are taken eight at a time wherever there are eight; words are
// loaded by memcpy, so no alignment is asked of a value. Runs on the thread that was given the
// keys; owns no state. Invariant: a range is clipped to the string before a byte is read. Called
// through the command table.
#include "engine/commands/bits.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define WORD   sizeof(uint64_t)
#define STRIPE (4 * WORD) // bytes that the wide loops take at a time

static const char error_bit_offset[] = "ERR bit offset is not an integer or out of range";

static inline uint64_t load(const void *p) {
    uint64_t word;
    memcpy(&word, p, WORD);
    return word;
}

// ---- single bits -------------------------------------------------------------------------------

bool bit__offset(struct cmd *c, int arg, unsigned width, uint64_t *offset) {
    struct slice text = c->argv[arg];
    bool in_widths = width > 0 && text.n > 0 && text.p[0] == '#';
    int64_t value;
    if (in_widths) text = slice_of(text.p + 1, text.n - 1);
    bool valid = num_parse_i64(text, &value);
    // Too large a product wraps, as it does in Redis: it is then refused or not by the same rule.
    if (valid && in_widths) value = (int64_t)((uint64_t)value * width);
    if (!valid || value < 0 || value >> 3 >= c->settings->proto_max_bulk_len) {
        reply_error(c->reply, error_bit_offset);
        return false;
    }
    *offset = (uint64_t)value;
    return true;
}

uint8_t *bit__open(struct cmd *c, struct found *f, uint64_t last, bool *grew) {
    struct entry *e = f->ref.entry;
    size_t length = e != NULL ? entry_string_length(e) : 0;
    *grew = length <= last;
    if (e == NULL) {
        e = entry_new_raw(f->key.text, last + 1, ENTRY_NO_EXPIRE);
        entry_set_access(e, cmd_new_access(c));
        db_attach(f->db, f->key, e);
        db_event(f->db, EVENT_NEW, "new", f->key.text);
    } else if (*grew || !entry_string_is_writable(e)) {
        // Taken out and put back, because that signals nothing: Redis makes the value writable also
        // when no bit changes in the end, and watchers do not hear of it.
        e = db_detach(f->db, f->key, f->ref);
        e = entry_string_resize(e, *grew ? last + 1 : length);
        db_attach(f->db, f->key, e);
    }
    f->ref = (struct table_ref){0};
    return (uint8_t *)entry_string_bytes(e);
}

void bit_setbit(struct cmd *c) {
    static const char error_bit[] = "ERR bit is not an integer or out of range";
    uint64_t offset;
    int64_t on;
    if (!bit__offset(c, 2, 0, &offset) || !cmd_arg_range(c, 3, 0, 1, &on, error_bit)) return;
    struct found f = cmd_write(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    bool grew;
    uint8_t *byte = bit__open(c, &f, offset >> 3, &grew) + (offset >> 3);
    unsigned shift = 7 - (offset & 7);
    int64_t old = *byte >> shift & 1;
    if (grew || old != on) {
        *byte = (uint8_t)((*byte & ~(1u << shift)) | (unsigned)on << shift);
        db_modified(f.db, f.key);
        db_event(f.db, EVENT_STRING, "setbit", f.key.text);
    }
    reply_int(c->reply, old);
}

void bit_getbit(struct cmd *c) {
    uint64_t offset;
    if (!bit__offset(c, 2, 0, &offset)) return;
    struct found f = cmd_read(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = SLICE_LITERAL("");
    if (f.ref.entry != NULL) text = entry_string(f.ref.entry, scratch);
    uint64_t at = offset >> 3;
    reply_int(c->reply, at < text.n ? (uint8_t)text.p[at] >> (7 - (offset & 7)) & 1 : 0);
}

// ---- ranges ------------------------------------------------------------------------------------

/** Bits [from, to) of a string. */
struct bit_range {
    uint64_t from, to;
};

/** Whether argv[arg] says that the range counts bits; false: neither, the error was written. */
static bool parse_unit(struct cmd *c, int arg, bool *bits) {
    *bits = slice_is(c->argv[arg], "bit");
    if (*bits || slice_is(c->argv[arg], "byte")) return true;
    reply_error(c->reply, error_syntax);
    return false;
}

/** Clips inclusive positions, negative from the end, to a string of n bytes. */
static struct bit_range clip(size_t n, int64_t start, int64_t end, bool bits) {
    int64_t total = bits ? (int64_t)n * 8 : (int64_t)n;
    if (start < 0) start = start + total > 0 ? start + total : 0;
    if (end < 0) end = end + total > 0 ? end + total : 0;
    if (end >= total) end = total - 1;
    if (start > end) return (struct bit_range){0, 0};
    uint64_t unit = bits ? 1 : 8;
    return (struct bit_range){(uint64_t)start * unit, ((uint64_t)end + 1) * unit};
}

static inline uint64_t count_word(const uint8_t *p) {
    return (uint64_t)__builtin_popcountll(load(p));
}

/** Set bits in n bytes. */
static inline __attribute__((always_inline)) uint64_t count_bytes_with(const uint8_t *p, size_t n) {
    uint64_t sums[4] = {0};
    for (; n >= STRIPE; n -= STRIPE, p += STRIPE) {
        for (size_t i = 0; i < 4; i++) sums[i] += count_word(p + i * WORD);
    }
    for (; n >= WORD; n -= WORD, p += WORD) sums[0] += count_word(p);
    uint64_t rest = 0;
    memcpy(&rest, p, n);
    return sums[0] + sums[1] + sums[2] + sums[3] + (uint64_t)__builtin_popcountll(rest);
}

#ifdef __x86_64__
// The instruction is younger than the baseline of the architecture: it is asked for at run time.
static __attribute__((target("popcnt"))) uint64_t count_bytes_popcnt(const uint8_t *p, size_t n) {
    return count_bytes_with(p, n);
}

static uint64_t count_bytes(const uint8_t *p, size_t n) {
    return __builtin_cpu_supports("popcnt") ? count_bytes_popcnt(p, n) : count_bytes_with(p, n);
}
#else
static uint64_t count_bytes(const uint8_t *p, size_t n) { return count_bytes_with(p, n); }
#endif

/** Set bits of a range. */
static uint64_t count_range(const uint8_t *p, struct bit_range range) {
    if (range.from >= range.to) return 0;
    size_t first = range.from >> 3, last = (range.to - 1) >> 3;
    uint64_t count = count_bytes(p + first, last - first + 1);
    unsigned before = p[first] >> (8 - (range.from & 7)); // of the first byte, not in the range
    unsigned behind = p[last] & (0xffu >> (((range.to - 1) & 7) + 1)); // of the last one
    return count - (uint64_t)__builtin_popcount(before) - (uint64_t)__builtin_popcount(behind);
}

void bit_count(struct cmd *c) {
    struct found f = cmd_read(c, 1);
    if (f.ref.entry == NULL) { // before the other arguments are looked at
        reply_int(c->reply, 0);
        return;
    }
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    int64_t start = 0, end = -1;
    bool bits = false;
    if (c->argc == 3 || c->argc > 5) {
        reply_error(c->reply, error_syntax);
        return;
    }
    if (c->argc > 3) {
        if (!cmd_arg_i64(c, 2, &start) || !cmd_arg_i64(c, 3, &end)) return;
        if (start < 0 && end < 0 && start > end) { // before the unit is looked at
            reply_int(c->reply, 0);
            return;
        }
    }
    if (c->argc == 5 && !parse_unit(c, 4, &bits)) return;
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = entry_string(f.ref.entry, scratch);
    struct bit_range range = clip(text.n, start, end, bits);
    reply_int(c->reply, (int64_t)count_range((const uint8_t *)text.p, range));
}

/** The first byte of [first, end) that is not `skip`, or end. */
static size_t skip_bytes(const uint8_t *p, size_t first, size_t end, uint8_t skip) {
    uint64_t pattern = skip ? UINT64_MAX : 0;
    while (end - first >= WORD && load(p + first) == pattern) first += WORD;
    while (first < end && p[first] == skip) first++;
    return first;
}

/** Index of the highest bit that is set, counted from the left (0..7); byte is not 0. */
static uint64_t leftmost(unsigned byte) {
    return (uint64_t)__builtin_clz(byte) - (sizeof(unsigned) * 8 - 8);
}

/** The first bit of that value in a range; range.to when there is none. */
static uint64_t find_bit(const uint8_t *p, struct bit_range range, bool value) {
    unsigned flip = value ? 0 : 0xff; // look for a set bit in either case
    size_t byte = range.from >> 3, end = (range.to + 7) >> 3;
    unsigned wanted = (p[byte] ^ flip) & (0xffu >> (range.from & 7));
    if (wanted == 0) {
        byte = skip_bytes(p, byte + 1, end, (uint8_t)flip);
        if (byte == end) return range.to;
        wanted = p[byte] ^ flip;
    }
    uint64_t at = byte * 8 + leftmost(wanted);
    return at < range.to ? at : range.to;
}

void bit_pos(struct cmd *c) {
    int64_t value, start = 0, end = -1;
    bool bits = false;
    if (!cmd_arg_i64(c, 2, &value)) return;
    if (value != 0 && value != 1) {
        reply_error(c->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    struct found f = cmd_read(c, 1);
    if (f.ref.entry == NULL) { // endless zeros; before the other arguments are looked at
        reply_int(c->reply, value ? -1 : 0);
        return;
    }
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    if (c->argc > 6) {
        reply_error(c->reply, error_syntax);
        return;
    }
    if (c->argc > 3 && !cmd_arg_i64(c, 3, &start)) return;
    if (c->argc > 5 && !parse_unit(c, 5, &bits)) return;
    if (c->argc > 4 && !cmd_arg_i64(c, 4, &end)) return;
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = entry_string(f.ref.entry, scratch);
    struct bit_range range = clip(text.n, start, end, bits);
    if (range.from == range.to) {
        reply_int(c->reply, -1);
        return;
    }
    uint64_t at = find_bit((const uint8_t *)text.p, range, value);
    // Without an end the string goes on in zeros, so a clear bit is always found.
    bool found = at < range.to || (value == 0 && c->argc < 5);
    reply_int(c->reply, found ? (int64_t)at : -1);
}

// ---- whole strings -----------------------------------------------------------------------------

enum bit_operation { BITS_AND, BITS_OR, BITS_XOR, BITS_NOT };

static bool parse_operation(struct cmd *c, enum bit_operation *out) {
    static const char *const names[] = {"and", "or", "xor", "not"};
    for (int i = 0; i < 4; i++) {
        if (!slice_is(c->argv[1], names[i])) continue;
        *out = (enum bit_operation)i;
        if (i != BITS_NOT || c->argc == 4) return true;
        reply_error(c->reply, "ERR BITOP NOT must be called with a single source key.");
        return false;
    }
    reply_error(c->reply, error_syntax);
    return false;
}

// Plain loops over words; `into` and `from` do not overlap.
#define COMBINE(name, op)                                                        \
    static void name(char *restrict into, const char *restrict from, size_t n) { \
        size_t i = 0;                                                            \
        for (; i + WORD <= n; i += WORD) {                                       \
            uint64_t word = load(into + i) op load(from + i);                    \
            memcpy(into + i, &word, WORD);                                       \
        }                                                                        \
        for (; i < n; i++) into[i] = (char)(into[i] op from[i]);                 \
    }
COMBINE(combine_and, &)
COMBINE(combine_or, |)
COMBINE(combine_xor, ^)
#undef COMBINE

static void complement(char *restrict into, const char *restrict from, size_t n) {
    size_t i = 0;
    for (; i + WORD <= n; i += WORD) {
        uint64_t word = ~load(from + i);
        memcpy(into + i, &word, WORD);
    }
    for (; i < n; i++) into[i] = (char)~from[i];
}

/** Computes the operation over n strings into `into`: zeroed room for the longest. */
static void combine(enum bit_operation op, const struct slice *from, size_t n, char *into,
                    size_t longest) {
    if (op == BITS_NOT) {
        complement(into, from[0].p, longest);
        return;
    }
    memcpy(into, from[0].p, from[0].n);
    for (size_t i = 1; i < n; i++) {
        if (op == BITS_OR) combine_or(into, from[i].p, from[i].n);
        if (op == BITS_XOR) combine_xor(into, from[i].p, from[i].n);
        if (op == BITS_AND) {
            combine_and(into, from[i].p, from[i].n);
            memset(into + from[i].n, 0, longest - from[i].n); // what is missing counts as zeros
        }
    }
}

struct sources {
    struct slice *texts;
    char (*scratch)[NUM_I64_TEXT_MAX]; // for integers
    size_t count, longest;
};

/** Finds the source strings, argv[3] and on; false: the error has been written. */
static bool find_sources(struct cmd *c, struct sources *out) {
    for (size_t i = 0; i < out->count; i++) {
        struct found f = cmd_read(c, (int)i + 3);
        if (cmd_wrong_type(c, &f, ENTRY_STRING)) return false;
        out->texts[i] = SLICE_LITERAL("");
        if (f.ref.entry != NULL) out->texts[i] = entry_string(f.ref.entry, out->scratch[i]);
        if (out->texts[i].n > out->longest) out->longest = out->texts[i].n;
    }
    return true;
}

/** Stores the result under argv[2], or deletes that key when the result is empty. */
static void store_result(struct cmd *c, enum bit_operation op, const struct sources *from) {
    struct entry *e = NULL;
    if (from->longest > 0) { // first of all: the destination may be among the sources
        e = entry_new_raw(c->argv[2], from->longest, ENTRY_NO_EXPIRE);
        combine(op, from->texts, from->count, entry_string_bytes(e), from->longest);
        entry_set_access(e, cmd_new_access(c));
    }
    struct found f = cmd_write(c, 2);
    if (e != NULL) {
        db_put(f.db, f.key, f.ref, e);
        db_event(f.db, EVENT_STRING, "set", f.key.text);
    } else if (f.ref.entry != NULL) {
        db_delete(f.db, f.key, f.ref);
        db_event(f.db, EVENT_GENERIC, "del", f.key.text);
    }
    reply_int(c->reply, (int64_t)from->longest);
}

void bit_op(struct cmd *c) {
    enum bit_operation op;
    if (!parse_operation(c, &op)) return;
    struct sources sources = {.count = (size_t)c->argc - 3};
    sources.texts = mem_alloc(sources.count * sizeof(*sources.texts));
    sources.scratch = mem_alloc(sources.count * sizeof(*sources.scratch));
    if (find_sources(c, &sources)) store_result(c, op, &sources);
    mem_free(sources.texts);
    mem_free(sources.scratch);
}
