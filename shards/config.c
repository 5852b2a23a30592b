// SPDX-License-Identifier: BSD-3-Clause
//
// Values of the configuration: making, copying and freeing a struct config, and taking a
// directive's words to its field and back to text by the kind of its row. The main thread makes the
// first one, shard 0 makes changed copies for CONFIG SET; in use it is immutable, so reading needs
// no lock. Invariant: every string field is owned and not NULL, and what config__print writes,
// config__assign accepts.
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "engine/keyspace/events.h"
#include "shards/config_rows.h"

#define HZ_MIN 1
#define HZ_MAX 500

static bool fail(struct buf *error, const char *reason) {
    buf_append_text(error, reason);
    return false;
}

static char *copy_text(struct slice text) {
    char *copy = mem_alloc(text.n + 1);
    if (text.n > 0) memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

static void *field(const struct config *c, const struct config__row *row) {
    ASSERT((row->flags & CONFIG__INERT) == 0);
    return (char *)c + row->offset;
}

static bool holds_string(const struct config__row *row) {
    if ((row->flags & CONFIG__INERT) != 0) return false;
    return row->kind == CONFIG__STRING || row->kind == CONFIG__DIR || row->kind == CONFIG__EVENTS ||
           row->kind == CONFIG__WORDS;
}

static bool holds_bytes(const struct config__row *row) {
    return (row->flags & CONFIG__INERT) == 0 && row->kind == CONFIG__BYTES;
}

static void append_bytes(struct buf *out, const struct buf *bytes) {
    if (bytes->len > 0) buf_append(out, bytes->p, bytes->len);
}

static void set_string(char **at, struct slice text) {
    char *old = *at;
    *at = copy_text(text);
    mem_free(old);
}

// ---- Texts to values ---------------------------------------------------------------------------

static bool parse_octal(struct slice text, int64_t *out) {
    bool negative = text.n > 0 && text.p[0] == '-';
    if (text.n > 20) return false;
    int64_t value = 0;
    for (size_t i = negative ? 1 : 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7') return false;
        value = value * 8 + (text.p[i] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

static bool parse_percent(struct slice text, int64_t *out) {
    if (text.n < 2 || text.p[text.n - 1] != '%') return false;
    return num_parse_i64(slice_of(text.p, text.n - 1), out) && *out >= 0;
}

static bool parse_number(const struct config__row *row, struct slice text, int64_t *out,
                         bool *percent, struct buf *error) {
    *percent = false;
    switch (row->kind) {
    case CONFIG__MEMORY:
        if (num_parse_memory(text, out)) return true;
        if ((row->flags & CONFIG__PERCENT) == 0) {
            return fail(error, "argument must be a memory value");
        }
        *percent = parse_percent(text, out);
        return *percent || fail(error, "argument must be a memory or percent value");
    case CONFIG__OCTAL:
        if (parse_octal(text, out)) return true;
        return fail(error, "argument couldn't be parsed as an octal number");
    default:
        if (num_parse_i64(text, out)) return true;
        return fail(error, "argument couldn't be parsed into an integer");
    }
}

static bool check_range(const struct config__row *row, int64_t value, bool percent,
                        struct buf *error) {
    if (percent) {
        if (value <= -row->lower) return true;
        buf_printf(error, "percentage argument must be less or equal to %lld",
                   (long long)-row->lower);
        return false;
    }
    if (value >= row->lower && value <= row->upper) return true;
    if (row->kind == CONFIG__OCTAL) {
        buf_printf(error, "argument must be between %llo and %llo inclusive",
                   (unsigned long long)row->lower, (unsigned long long)row->upper);
    } else {
        buf_printf(error, "argument must be between %lld and %lld inclusive", (long long)row->lower,
                   (long long)row->upper);
    }
    return false;
}

// The index of text among the row's words, or -1 with the reason.
static int parse_enum(const struct config__row *row, struct slice text, struct buf *error) {
    for (int i = 0; row->words[i] != NULL; i++) {
        if (slice_is(text, row->words[i])) return i;
    }
    buf_append_text(error, "argument(s) must be one of the following: ");
    for (int i = 0; row->words[i] != NULL; i++) {
        buf_printf(error, "%s%s", i > 0 ? ", " : "", row->words[i]);
    }
    return -1;
}

static bool parse_directory(struct slice text, struct buf *out, struct buf *error) {
    char path[PATH_MAX];
    struct stat status;
    int reason = 0;
    char *given = copy_text(text);
    if (realpath(given, path) == NULL || stat(path, &status) != 0) {
        reason = errno;
    } else if (!S_ISDIR(status.st_mode)) {
        reason = ENOTDIR;
    } else if (access(path, X_OK) != 0) {
        reason = errno;
    }
    mem_free(given);
    if (reason != 0) return fail(error, strerror(reason));
    buf_append_text(out, path);
    return true;
}

static void join(const struct slice *words, size_t count, struct buf *out) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_append_char(out, ' ');
        buf_append(out, words[i].p, words[i].n);
    }
}

static bool parse_bind(const struct slice *words, size_t count, struct buf *out,
                       struct buf *error) {
    if (count > CONFIG_BIND_MAX) return fail(error, "Too many bind addresses specified.");
    for (size_t i = 0; i < count; i++) {
        if (words[i].n > 0 || count == 1) continue;
        return fail(error, "a bind address can't be empty");
    }
    join(words, count, out);
    return true;
}

static int find_client_class(struct slice name) {
    if (slice_is(name, "normal")) return CONFIG_CLIENT_NORMAL;
    if (slice_is(name, "slave") || slice_is(name, "replica")) return CONFIG_CLIENT_REPLICA;
    if (slice_is(name, "pubsub")) return CONFIG_CLIENT_PUBSUB;
    return -1;
}

// Changes the classes that the words name; the others in limits stay.
static bool parse_output_limits(const struct slice *words, size_t count,
                                struct config_output_limit *limits, struct buf *error) {
    if (count % 4 != 0) {
        return fail(error, "Wrong number of arguments in buffer limit configuration.");
    }
    for (size_t i = 0; i < count; i += 4) {
        int class = find_client_class(words[i]);
        if (class < 0) {
            return fail(error, "Invalid client class specified in buffer limit configuration.");
        }
        struct config_output_limit *limit = &limits[class];
        if (!num_parse_memory(words[i + 1], &limit->hard_bytes) ||
            !num_parse_memory(words[i + 2], &limit->soft_bytes) ||
            !num_parse_i64(words[i + 3], &limit->soft_seconds) || limit->soft_seconds < 0 ||
            limit->soft_seconds > INT_MAX) {
            return fail(error, "Error in hard, soft or soft_seconds setting in "
                               "buffer limit configuration.");
        }
    }
    return true;
}

static void print_number(const struct config__row *row, int64_t value, struct buf *out) {
    buf_printf(out, row->kind == CONFIG__OCTAL ? "%llo" : "%lld", (long long)value);
}

static bool normalize_words(const struct config__row *row, const struct slice *words, size_t count,
                            struct buf *text, struct buf *error) {
    if (row->check != NULL && !row->check(words, count, error)) return false;
    // replicaof's way of saying nothing; no other directive accepts these words.
    bool nothing = count == 2 && slice_is(words[0], "no") && slice_is(words[1], "one");
    if (!nothing) join(words, count, text);
    return true;
}

static bool normalize_events(struct slice word, struct buf *text, struct buf *error) {
    uint32_t classes;
    if (!event_classes(word, &classes))
        return fail(error, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    event_classes_text(classes, text);
    return true;
}

bool config__normalize(const struct config__row *row, const struct slice *words, size_t count,
                       struct buf *text, struct buf *error) {
    if ((row->flags & CONFIG__MULTI) == 0 && count != 1) {
        return fail(error, "wrong number of arguments");
    }
    for (size_t i = 0; i < count; i++) {
        if (words[i].n == 0 || memchr(words[i].p, '\0', words[i].n) == NULL) continue;
        if (row->kind == CONFIG__BYTES) continue;
        return fail(error, "argument can't contain a zero byte");
    }
    int64_t number;
    bool percent;
    int choice;
    switch (row->kind) {
    case CONFIG__BOOL:
        if (!slice_is(words[0], "yes") && !slice_is(words[0], "no")) {
            return fail(error, "argument must be 'yes' or 'no'");
        }
        buf_append_text(text, slice_is(words[0], "yes") ? "yes" : "no");
        return true;
    case CONFIG__NUMBER:
    case CONFIG__MEMORY:
    case CONFIG__OCTAL:
        if (!parse_number(row, words[0], &number, &percent, error)) return false;
        if (!check_range(row, number, percent, error)) return false;
        if ((row->flags & CONFIG__HZ) != 0 && number < HZ_MIN) number = HZ_MIN;
        if ((row->flags & CONFIG__HZ) != 0 && number > HZ_MAX) number = HZ_MAX;
        print_number(row, number, text);
        if (percent) buf_append_char(text, '%');
        return true;
    case CONFIG__ENUM:
        choice = parse_enum(row, words[0], error);
        if (choice >= 0) buf_append_text(text, row->words[choice]);
        return choice >= 0;
    case CONFIG__STRING:
    case CONFIG__BYTES:
        if (row->check != NULL && !row->check(words, count, error)) return false;
        buf_append(text, words[0].p, words[0].n);
        return true;
    case CONFIG__DIR: return parse_directory(words[0], text, error);
    case CONFIG__BIND: return parse_bind(words, count, text, error);
    case CONFIG__OUTPUT_LIMIT: join(words, count, text); return true;
    case CONFIG__EVENTS: return normalize_events(words[0], text, error);
    case CONFIG__WORDS: return normalize_words(row, words, count, text, error);
    }
    ASSERT(!"a row of unknown kind");
    return false;
}

// ---- Values to fields and back -----------------------------------------------------------------

static void store_bind(struct config *c, const struct slice *words, size_t count) {
    char *fresh[CONFIG_BIND_MAX];
    if (count == 1 && words[0].n == 0) count = 0;
    ASSERT(count <= CONFIG_BIND_MAX);
    for (size_t i = 0; i < count; i++) fresh[i] = copy_text(words[i]);
    for (int i = 0; i < c->bind_count; i++) mem_free(c->bind[i]);
    memset(c->bind, 0, sizeof(c->bind));
    if (count > 0) memcpy(c->bind, fresh, count * sizeof(fresh[0]));
    c->bind_count = (int)count;
}

static bool store_output_limits(struct config *c, const struct slice *words, size_t count,
                                struct buf *error) {
    struct config_output_limit limits[CONFIG_CLIENT_CLASSES];
    memcpy(limits, c->output_limit, sizeof(limits));
    if (!parse_output_limits(words, count, limits, error)) return false;
    memcpy(c->output_limit, limits, sizeof(limits));
    return true;
}

// Puts a text that config__normalize made into the field.
static void store_normal(struct config *c, const struct config__row *row, struct slice text) {
    int64_t number = 0;
    bool ok = true;
    switch (row->kind) {
    case CONFIG__BOOL: *(bool *)field(c, row) = slice_is(text, "yes"); break;
    case CONFIG__NUMBER:
    case CONFIG__MEMORY:
    case CONFIG__OCTAL:
        ok = row->kind == CONFIG__OCTAL ? parse_octal(text, &number) : num_parse_i64(text, &number);
        *(int64_t *)field(c, row) = number;
        break;
    case CONFIG__ENUM: *(int *)field(c, row) = parse_enum(row, text, NULL); break;
    case CONFIG__STRING:
    case CONFIG__DIR:
    case CONFIG__EVENTS:
    case CONFIG__WORDS: set_string(field(c, row), text); break;
    case CONFIG__BYTES:
        ((struct buf *)field(c, row))->len = 0;
        if (text.n > 0) buf_append(field(c, row), text.p, text.n);
        break;
    default: ok = false; break;
    }
    ASSERT(ok);
}

bool config__assign(struct config *c, const struct config__row *row, const struct slice *words,
                    size_t count, struct buf *error) {
    struct buf text = {0};
    bool ok = config__normalize(row, words, count, &text, error);
    if (ok && (row->flags & CONFIG__INERT) == 0) {
        if (row->kind == CONFIG__BIND) {
            store_bind(c, words, count);
        } else if (row->kind == CONFIG__OUTPUT_LIMIT) {
            ok = store_output_limits(c, words, count, error);
        } else {
            store_normal(c, row, slice_of(text.p, text.len));
        }
    }
    buf_free(&text);
    return ok;
}

static void print_output_limits(const struct config *c, struct buf *out) {
    static const char *const names[CONFIG_CLIENT_CLASSES] = {"normal", "slave", "pubsub"};
    for (int i = 0; i < CONFIG_CLIENT_CLASSES; i++) {
        const struct config_output_limit *limit = &c->output_limit[i];
        buf_printf(out, "%s%s %lld %lld %lld", i > 0 ? " " : "", names[i],
                   (long long)limit->hard_bytes, (long long)limit->soft_bytes,
                   (long long)limit->soft_seconds);
    }
}

void config__print(const struct config *c, const struct config__row *row, struct buf *out) {
    if ((row->flags & CONFIG__INERT) != 0) {
        buf_append_text(out, row->fallback);
        return;
    }
    switch (row->kind) {
    case CONFIG__BOOL: buf_append_text(out, *(bool *)field(c, row) ? "yes" : "no"); break;
    case CONFIG__NUMBER:
    case CONFIG__MEMORY:
    case CONFIG__OCTAL: print_number(row, *(int64_t *)field(c, row), out); break;
    case CONFIG__ENUM: buf_append_text(out, row->words[*(int *)field(c, row)]); break;
    case CONFIG__STRING:
    case CONFIG__DIR:
    case CONFIG__EVENTS:
    case CONFIG__WORDS: buf_append_text(out, *(char **)field(c, row)); break;
    case CONFIG__BYTES: append_bytes(out, field(c, row)); break;
    case CONFIG__BIND:
        for (int i = 0; i < c->bind_count; i++) {
            buf_printf(out, "%s%s", i > 0 ? " " : "", c->bind[i]);
        }
        break;
    case CONFIG__OUTPUT_LIMIT: print_output_limits(c, out); break;
    }
}

// ---- Life --------------------------------------------------------------------------------------

struct config *config_new(void) {
    struct config *c = mem_calloc(sizeof(*c));
    const struct config__row *row;
    struct buf error = {0};
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        struct config__words words;
        struct slice text = slice_text(row->fallback);
        if ((row->flags & CONFIG__INERT) != 0) continue;
        if ((row->flags & CONFIG__MULTI) != 0) {
            config__split_spaces(text, &words);
        } else {
            words = (struct config__words){.items = &text, .count = 1};
        }
        // A working directory that is gone is the one default that may fail: then it has no name.
        if (!config__assign(c, row, words.items, words.count, &error)) {
            ASSERT(row->kind == CONFIG__DIR);
            c->dir = copy_text(SLICE_LITERAL("."));
        }
        if ((row->flags & CONFIG__MULTI) != 0) config__words_free(&words);
    }
    buf_free(&error);
    c->active_expire = true;
    c->limits.list_plain_min = value_default_limits.list_plain_min;
    c->file = copy_text(SLICE_LITERAL(""));
    c->users = acl_users_new();
    atomic_init(&c->references, 1);
    return c;
}

struct config *config_copy(const struct config *c) {
    struct config *copy = mem_calloc(sizeof(*copy));
    const struct config__row *row;
    // All but the count, which other threads may be changing.
    memcpy(copy, c, offsetof(struct config, references));
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        if (holds_string(row)) {
            *(char **)field(copy, row) = copy_text(slice_text(*(char **)field(c, row)));
        } else if (holds_bytes(row)) {
            *(struct buf *)field(copy, row) = (struct buf){0};
            append_bytes(field(copy, row), field(c, row));
        }
    }
    for (int i = 0; i < c->bind_count; i++) copy->bind[i] = copy_text(slice_text(c->bind[i]));
    copy->file = copy_text(slice_text(c->file));
    copy->users = acl_users_retain(c->users);
    copy->user_words = (struct acl_list){0};
    copy->renames = (struct buf){0}; // has had its effect
    atomic_init(&copy->references, 1);
    return copy;
}

struct config *config_retain(struct config *c) {
    int before = atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return c;
}

void config_release(struct config *c) {
    int before = atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    const struct config__row *row;
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        if (holds_string(row)) mem_free(*(char **)field(c, row));
        if (holds_bytes(row)) buf_free(field(c, row));
    }
    for (int i = 0; i < c->bind_count; i++) mem_free(c->bind[i]);
    mem_free(c->file);
    acl_users_release(c->users);
    acl_list_clear(&c->user_words);
    buf_free(&c->renames);
    mem_free(c);
}
