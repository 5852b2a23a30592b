// SPDX-License-Identifier: BSD-3-Clause
//
// BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any bit of a string, in network order,
// with a choice of what happens on overflow. All operations are parsed before the first is
// carried out, so an error leaves the key alone. A field is read and written through a window of
// nine bytes at most, not bit by bit. Runs on the thread that was given the keys; owns no state.
// Invariant: while writing, the string is long enough for the farthest field that is written.
// Called through the command table.
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/commands/bits.h"
#include "engine/commands/collection.h"

#define WINDOW_MAX 9 // bytes that a field of 64 bits can touch

enum opcode { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

struct field {
    uint64_t offset; // of its first bit
    uint8_t bits;
    bool is_signed;
};

struct operation {
    struct field field;
    int64_t operand; // of SET and INCRBY
    uint8_t opcode, overflow;
};

struct program {
    struct operation *operations;
    size_t count;
    bool writes;
    uint64_t last_bit; // the highest that is written
};

// ---- parsing -----------------------------------------------------------------------------------

/** "i1" to "i64", "u1" to "u63"; false: the error has been written. */
static bool parse_type(struct cmd *c, int arg, struct field *out) {
    struct slice text = c->argv[arg];
    int64_t bits;
    if (text.n > 1 && (text.p[0] == 'i' || text.p[0] == 'u') &&
        num_parse_i64(slice_of(text.p + 1, text.n - 1), &bits)) {
        out->is_signed = text.p[0] == 'i';
        if (bits >= 1 && bits <= (out->is_signed ? 64 : 63)) {
            out->bits = (uint8_t)bits;
            return true;
        }
    }
    reply_error(c->reply,
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                "supported but i64 is.");
    return false;
}

static bool parse_overflow(struct cmd *c, int arg, uint8_t *out) {
    static const char *const names[] = {"wrap", "sat", "fail"};
    for (uint8_t i = 0; i < 3; i++) {
        if (slice_is(c->argv[arg], names[i])) {
            *out = i;
            return true;
        }
    }
    reply_error(c->reply, "ERR Invalid OVERFLOW type specified");
    return false;
}

/** Parses the operation at argv[*at] and moves *at to its end; false: error written. */
static bool parse_operation(struct cmd *c, int *at, struct program *program, uint8_t overflow) {
    struct operation op = {.overflow = overflow};
    struct slice name = c->argv[*at];
    int left = c->argc - *at - 1;
    if (slice_is(name, "get") && left >= 2) {
        op.opcode = FIELD_GET;
    } else if (slice_is(name, "set") && left >= 3) {
        op.opcode = FIELD_SET;
    } else if (slice_is(name, "incrby") && left >= 3) {
        op.opcode = FIELD_INCRBY;
    } else {
        reply_error(c->reply, error_syntax);
        return false;
    }
    if (!parse_type(c, *at + 1, &op.field) ||
        !bit__offset(c, *at + 2, op.field.bits, &op.field.offset)) {
        return false;
    }
    *at += 2;
    if (op.opcode != FIELD_GET) {
        uint64_t last = op.field.offset + op.field.bits - 1;
        program->writes = true;
        if (last > program->last_bit) program->last_bit = last;
        if (!cmd_arg_i64(c, ++*at, &op.operand)) return false;
    }
    program->operations[program->count++] = op;
    return true;
}

static bool parse_program(struct cmd *c, struct program *program) {
    uint8_t overflow = OVERFLOW_WRAP;
    for (int at = 2; at < c->argc; at++) {
        if (slice_is(c->argv[at], "overflow") && at + 1 < c->argc) {
            if (!parse_overflow(c, ++at, &overflow)) return false;
        } else if (!parse_operation(c, &at, program, overflow)) {
            return false;
        }
    }
    return true;
}

// ---- fields ------------------------------------------------------------------------------------

static uint64_t mask_of(unsigned bits) {
    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/** The low bits of raw as a number: sign-extended, or as they are. */
static int64_t interpret(uint64_t raw, unsigned bits, bool is_signed) {
    raw &= mask_of(bits);
    if (is_signed && raw >> (bits - 1)) raw |= ~mask_of(bits);
    return (int64_t)raw;
}

/** Bytes that the field touches, the first of them at index *first. */
static size_t window_of(struct field field, uint64_t *first) {
    *first = field.offset >> 3;
    return (size_t)(((field.offset & 7) + field.bits + 7) >> 3);
}

/** Reads a field; what lies behind the end of the string counts as zeros. */
static int64_t field_read(struct slice text, struct field field) {
    uint64_t first;
    size_t n = window_of(field, &first);
    unsigned __int128 window = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = first + i < text.n ? (uint8_t)text.p[first + i] : 0;
        window = window << 8 | byte;
    }
    unsigned behind = (unsigned)(n * 8 - (field.offset & 7) - field.bits);
    return interpret((uint64_t)(window >> behind), field.bits, field.is_signed);
}

/** Writes the low bits of value. All bytes of the field exist. */
static void field_write(uint8_t *bytes, struct field field, int64_t value) {
    uint64_t first;
    size_t n = window_of(field, &first);
    ASSERT(n <= WINDOW_MAX);
    unsigned behind = (unsigned)(n * 8 - (field.offset & 7) - field.bits);
    unsigned __int128 mask = (unsigned __int128)mask_of(field.bits) << behind;
    unsigned __int128 window = (unsigned __int128)(uint64_t)value << behind & mask;
    for (size_t i = n; i-- > 0; window >>= 8, mask >>= 8) {
        bytes[first + i] = (uint8_t)((bytes[first + i] & ~(uint8_t)mask) | (uint8_t)window);
    }
}

/** The new value of a field that held old; false: it does not fit and OVERFLOW FAIL is in force. */
static bool new_value(const struct operation *op, int64_t old, int64_t *out) {
    const struct field *field = &op->field;
    __int128 max = (__int128)mask_of(field->is_signed ? field->bits - 1 : field->bits);
    __int128 min = field->is_signed ? -max - 1 : 0;
    __int128 value = op->operand;
    if (op->opcode == FIELD_INCRBY) value += old;
    // A SET takes its operand as unsigned where the field is: there -1 is too high, not too low.
    if (op->opcode == FIELD_SET && !field->is_signed) value = (uint64_t)op->operand;
    bool high = value > max, low = value < min;
    // So low that the distance to max leaves 64 bits: Redis takes that for too high, and so do we.
    if (op->opcode == FIELD_SET && low && max - value > INT64_MAX) high = true;
    *out = interpret((uint64_t)value, field->bits, field->is_signed);
    if (!high && !low) return true;
    if (op->overflow == OVERFLOW_SAT) *out = (int64_t)(high ? max : min);
    return op->overflow != OVERFLOW_FAIL;
}

// ---- running -----------------------------------------------------------------------------------

static void run_reading(struct cmd *c, const struct program *program) {
    struct found f = cmd_read(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = SLICE_LITERAL("");
    if (f.ref.entry != NULL) text = entry_string(f.ref.entry, scratch);
    reply_array(c->reply, program->count);
    for (size_t i = 0; i < program->count; i++) {
        reply_int(c->reply, field_read(text, program->operations[i].field));
    }
}

/** One operation on the writable string; true if it counts as a change. */
static bool run_one(struct cmd *c, const struct operation *op, uint8_t *bytes, size_t n,
                    bool grew) {
    int64_t old = field_read(slice_of(bytes, n), op->field), value;
    if (op->opcode == FIELD_GET) {
        reply_int(c->reply, old);
        return false;
    }
    if (!new_value(op, old, &value)) {
        reply_null(c->reply);
        return false;
    }
    field_write(bytes, op->field, value);
    reply_int(c->reply, op->opcode == FIELD_SET ? old : value);
    return grew || value != old;
}

static void run_writing(struct cmd *c, const struct program *program) {
    struct found f = cmd_write(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    uint64_t last = program->last_bit >> 3;
    size_t length = f.ref.entry != NULL ? entry_string_length(f.ref.entry) : 0;
    if (length <= last) length = last + 1;
    bool grew;
    uint64_t changes = 0;
    uint8_t *bytes = bit__open(c, &f, last, &grew);
    reply_array(c->reply, program->count);
    for (size_t i = 0; i < program->count; i++) {
        changes += run_one(c, &program->operations[i], bytes, length, grew);
    }
    if (changes == 0) {
        if (grew) cmd_effect(c, c->argc, c->argv); // nobody is told, but replicas need the zeros
        return;
    }
    db_modified(f.db, f.key);
    db_event(f.db, EVENT_STRING, "setbit", f.key.text);
    f.db->keyspace->stats.dirty += changes - 1; // one is counted there, Redis counts each
}

static void run_program(struct cmd *c, bool may_write) {
    struct program program = {0};
    // An operation takes three arguments at least; one more so that the allocation is never empty.
    program.operations = mem_alloc(((size_t)c->argc / 3 + 1) * sizeof(*program.operations));
    if (parse_program(c, &program)) {
        if (program.writes && !may_write) {
            reply_error(c->reply, "ERR BITFIELD_RO only supports the GET subcommand");
        } else if (program.writes) {
            run_writing(c, &program);
        } else {
            run_reading(c, &program);
        }
    }
    mem_free(program.operations);
}

void bit_field(struct cmd *c) { run_program(c, true); }

void bit_field_ro(struct cmd *c) { run_program(c, false); }
