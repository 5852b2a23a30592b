// SPDX-License-Identifier: BSD-3-Clause
//
// Cuts an RDB file into items. The window holds what has been read and not gone past; an item is
// parsed from it as if it were whole, and when the bytes end in its middle, more are read and the
// item is parsed anew, from a window that has grown by half at least: so an item costs a few times
// its length, and a length that a file only claims costs no memory. Expiry, idle time and frequency
// collect in `item` until the record they belong to. Owned by its caller, one thread. Invariant:
// window[0..summed) is in the checksum, in.at is where the next item begins when none is under way.
#include "persistence/rdb_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/crc64.h"
#include "engine/keyspace/entry.h"

#define HEADER_BYTES 9
#define READ_BYTES   ((size_t)256 * 1024)      // asked for at a time, at least
#define WINDOW_KEEP  ((size_t)4 * 1024 * 1024) // a window beyond that is given back after use

enum step {
    STEP_ITEM, // there is an item to tell
    STEP_ON,   // gone past something that is none
    STEP_FAILED
};

void rdb_reader_init(struct rdb_reader *r, rdb_source_fn *source, void *context) {
    *r = (struct rdb_reader){.source = source, .source_context = context};
    r->item.expire_ms = ENTRY_NO_EXPIRE;
    r->item.idle_s = r->item.freq = -1;
    rdb_in_init(&r->in, NULL, 0, 0);
}

void rdb_reader_fini(struct rdb_reader *r) {
    if (r->window != NULL) blob_drop(r->window);
    buf_free(&r->key_made);
    buf_free(&r->made);
}

uint64_t rdb_reader_offset(const struct rdb_reader *r) {
    return r->offset + (uint64_t)(r->in.at - r->in.start);
}

ssize_t rdb_source_fd(void *context, void *p, size_t n) {
    for (;;) {
        ssize_t got = read(*(const int *)context, p, n);
        if (got >= 0) return got;
        if (errno != EINTR) return -errno;
    }
}

void rdb_module_name(uint64_t id, char name[10]) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    id >>= 10; // the version of the module's format
    for (int i = 8; i >= 0; i--, id >>= 6) name[i] = letters[id & 63];
    name[9] = '\0';
}

struct rdb_type_name rdb_type_name(uint8_t type, enum rdb_dialect dialect) {
    static const char *const names[] = {
        [RDB_STRING] = "string",
        [RDB_LIST] = "list, plain",
        [RDB_SET] = "set, plain",
        [RDB_ZSET] = "sorted set, scores as text",
        [RDB_HASH] = "hash, plain",
        [RDB_ZSET_2] = "sorted set, plain",
        [RDB_MODULE_PRE_GA] = "module value, unreleased form",
        [RDB_MODULE_2] = "module value",
        [RDB_HASH_ZIPMAP] = "hash, zipmap",
        [RDB_LIST_ZIPLIST] = "list, ziplist",
        [RDB_SET_INTSET] = "set, intset",
        [RDB_ZSET_ZIPLIST] = "sorted set, ziplist",
        [RDB_HASH_ZIPLIST] = "hash, ziplist",
        [RDB_LIST_QUICKLIST] = "list, quicklist of ziplists",
        [RDB_STREAM_LISTPACKS] = "stream, first form",
        [RDB_HASH_LISTPACK] = "hash, listpack",
        [RDB_ZSET_LISTPACK] = "sorted set, listpack",
        [RDB_LIST_QUICKLIST_2] = "list, quicklist",
        [RDB_STREAM_LISTPACKS_2] = "stream, second form",
        [RDB_SET_LISTPACK] = "set, listpack",
        [RDB_STREAM_LISTPACKS_3] = "stream, third form",
        [RDB_HASH_METADATA_PRE_GA] = "hash with field expiry, 7.4-rc",
        [RDB_HASH_LISTPACK_EX_PRE_GA] = "hash listpack with expiry, 7.4-rc",
        [RDB_HASH_METADATA] = "hash with field expiry",
        [RDB_HASH_LISTPACK_EX] = "hash listpack with expiry",
    };
    struct rdb_type_name name;
    const char *text = NULL;
    if (dialect == RDB_VALKEY && type >= RDB_VALKEY_HASH_2) {
        if (type == RDB_VALKEY_HASH_2) text = "hash with field expiry, Valkey";
    } else if (type < sizeof(names) / sizeof(names[0])) {
        text = names[type];
    }
    if (text != NULL)
        snprintf(name.text, sizeof(name.text), "%s", text);
    else
        snprintf(name.text, sizeof(name.text), "type %u", type);
    return name;
}

/** Whether rdb_load and rdb_in_skip_value know values of that type. */
static bool type_is_known(uint8_t type, enum rdb_dialect dialect) {
    if (type <= RDB_ZSET_2) return true;
    if (type < RDB_HASH_ZIPMAP) return false;
    return type <= (dialect == RDB_VALKEY ? RDB_VALKEY_HASH_2 : RDB_HASH_LISTPACK_EX);
}

/** A key as it can be shown in a message. */
struct shown {
    char text[44];
};
static struct shown show(struct slice key) {
    struct shown s;
    size_t n = 0;
    for (; n < key.n && n < 40; n++) {
        char c = key.p[n];
        s.text[n] = c < ' ' || c > '~' || c == '\'' ? '?' : c;
    }
    if (key.n > n) memcpy(s.text + n - 3, "...", 3);
    s.text[n] = '\0';
    return s;
}

/** Notes what is wrong at a place of the window. */
static enum step __attribute__((format(printf, 3, 4)))
fail_at(struct rdb_reader *r, const uint8_t *place, const char *format, ...) {
    char text[sizeof(r->in.error)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    r->in.at = place;
    rdb_in_fail(&r->in, "%s", text);
    return STEP_FAILED;
}

/** The same for what is gone past: the reader goes on. */
static enum step __attribute__((format(printf, 4, 5)))
tell_unknown(struct rdb_reader *r, enum rdb_item *item, const uint8_t *place, const char *format,
             ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->in.error, sizeof(r->in.error), format, args);
    va_end(args);
    r->in.error_at = r->in.offset + (uint64_t)(place - r->in.start);
    *item = RDB_ITEM_UNKNOWN;
    return STEP_ITEM;
}

static enum step read_header(struct rdb_reader *r) {
    const uint8_t *p = NULL;
    if (!rdb_in_bytes(&r->in, HEADER_BYTES, &p)) return STEP_FAILED;
    int digits;
    if (memcmp(p, "REDIS", 5) == 0) {
        digits = 4;
        r->dialect = RDB_REDIS;
    } else if (memcmp(p, "VALKEY", 6) == 0) {
        digits = 3;
        r->dialect = RDB_VALKEY;
    } else {
        return fail_at(r, p, "Wrong signature trying to load DB from file");
    }
    // As Redis reads it: digits as far as they go.
    int version = 0;
    for (const uint8_t *d = p + HEADER_BYTES - digits; digits > 0; d++, digits--) {
        if (*d < '0' || *d > '9') break;
        version = version * 10 + (*d - '0');
    }
    int oldest = r->dialect == RDB_VALKEY ? RDB_VERSION_VALKEY : RDB_VERSION_OLDEST;
    int newest = r->dialect == RDB_VALKEY ? RDB_VERSION_VALKEY_NEWEST : RDB_VERSION_REDIS;
    if (version < oldest || (version > newest && !r->skip_unknown))
        return fail_at(r, p, "Can't handle RDB format version %d", version);
    r->version = version;
    r->tell_version = version > newest;
    return STEP_ON;
}

static void sum_up(struct rdb_reader *r, const uint8_t *until) {
    size_t end = (size_t)(until - r->in.start);
    ASSERT(end >= r->summed);
    if (!r->ignore_checksum && end > r->summed)
        r->crc = crc64(r->crc, r->in.start + r->summed, end - r->summed);
    r->summed = end;
}

/** What follows RDB_OP_EOF. */
static enum step read_end(struct rdb_reader *r, enum rdb_item *item) {
    const uint8_t *place = r->in.at;
    *item = RDB_ITEM_END;
    if (r->version < RDB_VERSION_CHECKSUM) return STEP_ITEM;
    uint64_t told;
    if (!rdb_in_u64(&r->in, &told)) return STEP_FAILED;
    r->has_checksum = told != 0;
    if (r->ignore_checksum || told == 0) return STEP_ITEM;
    sum_up(r, place);
    if (told == r->crc) return STEP_ITEM;
    return fail_at(r, place, "Wrong RDB checksum expected: (%llx) but got (%llx)",
                   (unsigned long long)r->crc, (unsigned long long)told);
}

/** Two strings; the first must outlive the making of the second. */
static enum step read_aux(struct rdb_reader *r, enum rdb_item *item) {
    if (!rdb_in_string(&r->in, &r->key_made, &r->item.key) ||
        !rdb_in_string(&r->in, &r->made, &r->item.text))
        return STEP_FAILED;
    *item = RDB_ITEM_AUX;
    return STEP_ITEM;
}

static enum step read_numbers(struct rdb_reader *r, int count, enum rdb_item what,
                              enum rdb_item *item) {
    for (int i = 0; i < count; i++) {
        if (!rdb_in_length(&r->in, &r->item.numbers[i])) return STEP_FAILED;
    }
    *item = what;
    return STEP_ITEM;
}

static enum step read_db(struct rdb_reader *r, const uint8_t *start, enum rdb_item *item) {
    uint64_t db;
    if (!rdb_in_length(&r->in, &db)) return STEP_FAILED;
    if (db > INT32_MAX) return fail_at(r, start, "database %llu", (unsigned long long)db);
    r->item.db = (uint32_t)db;
    *item = RDB_ITEM_DB;
    return STEP_ITEM;
}

static enum step read_module_aux(struct rdb_reader *r, enum rdb_item *item) {
    uint64_t id;
    if (!rdb_in_length(&r->in, &id) || !rdb_in_skip_module(&r->in)) return STEP_FAILED;
    char name[10];
    rdb_module_name(id, name);
    r->key_made.len = 0;
    buf_append(&r->key_made, name, 9);
    r->item.key = slice_of(r->key_made.p, 9);
    *item = RDB_ITEM_MODULE_AUX;
    return STEP_ITEM;
}

/** A library in the form of Redis 7.0's release candidates: name, engine, description, code. */
static enum step read_function_pre_ga(struct rdb_reader *r, const uint8_t *start,
                                      enum rdb_item *item) {
    if (!r->skip_unknown) return fail_at(r, start, "Pre-release function format not supported.");
    uint64_t described;
    if (!rdb_in_string(&r->in, &r->key_made, &r->item.key) || !rdb_in_skip_string(&r->in) ||
        !rdb_in_length(&r->in, &described) || (described != 0 && !rdb_in_skip_string(&r->in)) ||
        !rdb_in_skip_string(&r->in))
        return STEP_FAILED;
    return tell_unknown(r, item, start, "function library '%s' in a pre-release format",
                        show(r->item.key).text);
}

/** Opcode 243, which means one thing in a file of Valkey and another in one of Redis. */
static enum step read_243(struct rdb_reader *r, const uint8_t *start, enum rdb_item *item) {
    bool valkey = r->dialect == RDB_VALKEY;
    const char *what = valkey ? "slots that are being imported" : "metadata of modules about a key";
    if (!r->skip_unknown) return fail_at(r, start, "opcode 243 (%s), which cannot be loaded", what);
    uint64_t count, slot;
    const uint8_t *class;
    if ((valkey && !rdb_in_skip_string(&r->in)) || !rdb_in_count(&r->in, 2, &count))
        return STEP_FAILED;
    for (; count > 0; count--) {
        bool ok = valkey ? rdb_in_length(&r->in, &slot) && rdb_in_length(&r->in, &slot)
                         : rdb_in_bytes(&r->in, 4, &class) && rdb_in_skip_module(&r->in);
        if (!ok) return STEP_FAILED;
    }
    return tell_unknown(r, item, start, "opcode 243 (%s)", what);
}

/** A record whose value is of no known type. Modules' values can be gone past. */
static enum step read_unknown_record(struct rdb_reader *r, const uint8_t *start,
                                     enum rdb_item *item) {
    struct rdb_record *record = &r->item;
    struct shown key = show(record->key);
    if (record->type != RDB_MODULE_2) {
        return fail_at(r, start, "unknown value type: %s (key '%s')",
                       rdb_type_name(record->type, r->dialect).text, key.text);
    }
    uint64_t id;
    const uint8_t *value = r->in.at;
    if (!rdb_in_length(&r->in, &id)) return STEP_FAILED;
    char name[10];
    rdb_module_name(id, name);
    if (!r->skip_unknown)
        return fail_at(r, start, "value of module type '%s', which cannot be loaded (key '%s')",
                       name, key.text);
    if (!rdb_in_skip_module(&r->in)) return STEP_FAILED;
    record->value = slice_of(value, (size_t)(r->in.at - value));
    record->is_record = true;
    return tell_unknown(r, item, start, "value of module type '%s'", name);
}

static enum step read_record(struct rdb_reader *r, uint8_t type, const uint8_t *start,
                             enum rdb_item *item) {
    struct rdb_record *record = &r->item;
    record->type = type;
    if (!rdb_in_string(&r->in, &r->key_made, &record->key)) return STEP_FAILED;
    const uint8_t *value = r->in.at;
    record->offset = rdb_reader_offset(r);
    if (!type_is_known(type, r->dialect)) return read_unknown_record(r, start, item);
    if (!rdb_in_skip_value(&r->in, type, (uint8_t)r->dialect)) return STEP_FAILED;
    record->value = slice_of(value, (size_t)(r->in.at - value));
    record->is_record = true;
    *item = RDB_ITEM_RECORD;
    return STEP_ITEM;
}

/** What is told about the next record. */
static enum step read_attribute(struct rdb_reader *r, uint8_t op) {
    struct rdb_record *record = &r->item;
    uint8_t byte;
    uint32_t seconds;
    uint64_t idle;
    bool ok;
    switch (op) {
    case RDB_OP_EXPIRETIME:
        ok = rdb_in_u32(&r->in, &seconds);
        if (ok) record->expire_ms = (int64_t)(int32_t)seconds * 1000;
        break;
    case RDB_OP_EXPIRETIME_MS: ok = rdb_in_i64(&r->in, &record->expire_ms); break;
    case RDB_OP_FREQ:
        ok = rdb_in_byte(&r->in, &byte);
        if (ok) record->freq = byte;
        break;
    default:
        ok = rdb_in_length(&r->in, &idle);
        if (ok) record->idle_s = idle > INT64_MAX ? INT64_MAX : (int64_t)idle;
    }
    return ok ? STEP_ON : STEP_FAILED;
}

/** One opcode or record. */
static enum step read_one(struct rdb_reader *r, enum rdb_item *item) {
    const uint8_t *start = r->in.at;
    uint8_t op;
    if (!rdb_in_byte(&r->in, &op)) return STEP_FAILED;
    switch (op) {
    case RDB_OP_EXPIRETIME:
    case RDB_OP_EXPIRETIME_MS:
    case RDB_OP_FREQ:
    case RDB_OP_IDLE: return read_attribute(r, op);
    case RDB_OP_SELECTDB: return read_db(r, start, item);
    case RDB_OP_RESIZEDB: return read_numbers(r, 2, RDB_ITEM_RESIZE, item);
    case RDB_OP_SLOT_INFO: return read_numbers(r, 3, RDB_ITEM_SLOT, item);
    case RDB_OP_AUX: return read_aux(r, item);
    case RDB_OP_FUNCTION_2:
        *item = RDB_ITEM_FUNCTION;
        return rdb_in_string(&r->in, &r->made, &r->item.text) ? STEP_ITEM : STEP_FAILED;
    case RDB_OP_FUNCTION_PRE_GA: return read_function_pre_ga(r, start, item);
    case RDB_OP_MODULE_AUX: return read_module_aux(r, item);
    case RDB_OP_EOF: r->eof = true; return STEP_ON;
    default: break;
    }
    if (op == RDB_OP_KEY_META && (r->dialect == RDB_VALKEY || r->version > RDB_VERSION_REDIS))
        return read_243(r, start, item);
    if (op >= 128) return fail_at(r, start, "unknown opcode %u", op);
    return read_record(r, op, start, item);
}

/** Gives the bytes before `mark` up. */
static void drop_before(struct rdb_reader *r, size_t mark) {
    struct blob *w = r->window;
    size_t keep = w->len - mark;
    if (w->cap > WINDOW_KEEP && keep < w->cap / 8) {
        r->window = blob_new(slice_of(w->bytes + mark, keep), keep + READ_BYTES);
        blob_drop(w);
    } else if (mark > 0) {
        memmove(w->bytes, w->bytes + mark, keep);
        w->len = keep;
    }
    r->offset += mark;
    r->summed = 0;
}

bool rdb_reader_is_large(const struct rdb_reader *r) {
    return r->item.value.n >= BLOB_MAP_MIN && r->item.value.n >= r->window->len / 2;
}

struct blob *rdb_reader_take(struct rdb_reader *r) {
    struct blob *taken = r->window;
    size_t mark = (size_t)(r->in.at - r->in.start), keep = taken->len - mark;
    sum_up(r, r->in.at);
    r->window = blob_new(slice_of(taken->bytes + mark, keep), keep + READ_BYTES);
    r->offset += mark;
    r->summed = 0;
    rdb_in_init(&r->in, r->window->bytes, keep, r->offset);
    return taken;
}

/**
 * Reads further, so that what begins at `mark` can be tried again. False: there is nothing more, or
 * it cannot be read; `in` says why then.
 */
static bool read_on(struct rdb_reader *r, size_t mark) {
    ssize_t n = 0;
    if (r->window == NULL) r->window = blob_new((struct slice){0}, READ_BYTES);
    if (!r->source_ended) {
        sum_up(r, r->in.start + mark);
        drop_before(r, mark);
        struct blob *w = r->window;
        // A pipe gives little at a time: not each little piece is worth another try.
        size_t enough = w->len + w->len / 2 + 1;
        size_t room = w->len / 2 > READ_BYTES ? w->len / 2 + 1 : READ_BYTES;
        size_t end = w->len + room;
        if (w->cap < end) r->window = w = blob_resize(w, end);
        while (w->len < enough) {
            n = r->source(r->source_context, w->bytes + w->len, end - w->len);
            if (n <= 0) break;
            w->len += (size_t)n;
        }
        r->source_ended = n <= 0;
        bool more = w->len > (size_t)(r->in.end - r->in.start) - mark;
        rdb_in_init(&r->in, w->bytes, w->len, r->offset);
        if (more && n >= 0) return true;
    } else {
        rdb_in_init(&r->in, r->window->bytes, r->window->len, r->offset);
    }
    r->in.at = r->in.end;
    if (n < 0)
        rdb_in_fail(&r->in, "reading failed: %s", strerror((int)-n));
    else
        rdb_in_fail(&r->in, "unexpected end of file");
    return false;
}

/** Prepares for the next item. */
static void forget_item(struct rdb_reader *r) {
    struct rdb_record *item = &r->item;
    if (item->is_record) {
        item->expire_ms = ENTRY_NO_EXPIRE;
        item->idle_s = item->freq = -1;
    }
    item->is_record = false;
    item->key = item->value = item->text = item->raw = (struct slice){0};
    r->in.error[0] = '\0';
}

static enum step read_step(struct rdb_reader *r, enum rdb_item *item) {
    if (r->version == 0) return read_header(r);
    if (r->tell_version) {
        r->tell_version = false;
        return tell_unknown(r, item, r->in.at, "RDB format version %d, newer than what is known",
                            r->version);
    }
    return r->eof ? read_end(r, item) : read_one(r, item);
}

enum rdb_item rdb_reader_next(struct rdb_reader *r) {
    if (r->over) return r->in.failed ? RDB_ITEM_ERROR : RDB_ITEM_END;
    forget_item(r);
    for (;;) {
        enum rdb_item item = RDB_ITEM_ERROR;
        size_t mark = (size_t)(r->in.at - r->in.start);
        switch (read_step(r, &item)) {
        case STEP_ITEM:
            r->item.raw = slice_of(r->in.start + mark, (size_t)(r->in.at - r->in.start) - mark);
            r->item.raw_offset = r->offset + mark;
            if (item == RDB_ITEM_RECORD) r->records++;
            r->over = item == RDB_ITEM_END;
            return item;
        case STEP_ON: break;
        case STEP_FAILED:
            if (r->in.more && read_on(r, mark)) break;
            r->over = true;
            return RDB_ITEM_ERROR;
        }
    }
}
