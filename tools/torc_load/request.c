// SPDX-License-Identifier: BSD-3-Clause
/*
 * Compiles command text into request templates and stamps requests out of them.
 *
 * Compiling happens once on the main thread; request_write() runs in the workers for each request
 * and does one copy plus the digits of keys and numbers: no allocation, no formatting. Invariant:
 * the offsets of `holes` and `value_at` ascend and lie within `bytes`.
 */
#include "tools/torc_load/request.h"

#include "tools/torc_load/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MARK    "__key__"
#define DATA_MARK   "__data__"
#define NUMBER_MARK "__number__"

/* How many decimal digits the numbers below `limit` have at most. */
static uint32_t digits_below(uint64_t limit) {
    uint32_t digits = 1;
    for (uint64_t power = 10; power < limit; power *= 10) digits++;
    return digits;
}

const char *request_format_init(struct request_format *f, uint64_t seed) {
    f->digits = digits_below(f->keys);
    f->number_digits = digits_below(f->numbers);
    if (strlen(f->key_prefix) + f->digits > f->key_size)
        return "the prefix and the digits of the largest key do not fit into --key-size";
    struct random_state random;
    random_seed(&random, seed ^ 0x76616c7565u);
    f->value = util_alloc(f->value_max + 1, 1);
    for (uint64_t i = 0; i < f->value_max; i++)
        f->value[i] = (char)('a' + random_below(&random, 26));
    return NULL;
}

/* One word of a command: its text with marks, and whether the text has ended. */
struct word {
    struct bytes text;
    const char *problem;
};

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads one escape behind a backslash inside double quotes; returns the character behind it. */
static const char *read_escape(const char *at, struct bytes *out) {
    char c = *at++;
    int high, low;
    if (c == 'x' && (high = hex_digit(at[0])) >= 0 && (low = hex_digit(at[1])) >= 0) {
        c = (char)(high * 16 + low);
        at += 2;
    } else if (c == 'n') {
        c = '\n';
    } else if (c == 'r') {
        c = '\r';
    } else if (c == 't') {
        c = '\t';
    }
    bytes_add(out, &c, 1);
    return at;
}

/* Reads the word at `at` into `w`; returns the character behind it. */
static const char *read_word(const char *at, struct word *w) {
    char quote = 0;
    w->text.len = 0;
    for (; *at != '\0' && (quote != 0 || !isspace((unsigned char)*at));) {
        char c = *at++;
        if (quote == 0 && (c == '"' || c == '\'')) {
            quote = c;
        } else if (quote != 0 && c == quote) {
            quote = 0;
        } else if (quote == '"' && c == '\\' && *at != '\0') {
            at = read_escape(at, &w->text);
        } else {
            bytes_add(&w->text, &c, 1);
        }
    }
    if (quote != 0) w->problem = "a quote in a --command is not closed";
    return at;
}

static bool starts_with(const char *at, const char *end, const char *mark) {
    size_t len = strlen(mark);
    return (size_t)(end - at) >= len && memcmp(at, mark, len) == 0;
}

/* Writes a key whose digits are zero; returns where its varying digits start in `out`. */
static size_t add_key(struct bytes *out, const struct request_format *f) {
    size_t prefix_len = strlen(f->key_prefix);
    bytes_add(out, f->key_prefix, prefix_len);
    for (size_t i = prefix_len; i < f->key_size; i++) bytes_add(out, "0", 1);
    return out->len - f->digits;
}

static void note_hole(struct request_template *t, size_t at, bool is_number) {
    t->holes = util_realloc(t->holes, (t->hole_count + 1) * sizeof *t->holes);
    t->holes[t->hole_count++] = (struct request_hole){(uint32_t)at, is_number};
}

/* Turns one word into its RESP form at the end of `out`. */
static const char *add_word(struct request_template *t, const struct request_format *f,
                            const struct bytes *text, struct bytes *out) {
    bool varies = f->value_min != f->value_max;
    const char *end = text->data + text->len;
    if (varies && text->len == strlen(DATA_MARK) && starts_with(text->data, end, DATA_MARK)) {
        t->value_at = util_realloc(t->value_at, (t->value_count + 1) * sizeof *t->value_at);
        t->value_at[t->value_count++] = out->len;
        return NULL;
    }
    struct bytes word = {0};
    uint32_t first_hole = t->hole_count;
    const char *problem = NULL;
    for (const char *at = text->data; at < end;) {
        if (starts_with(at, end, KEY_MARK)) {
            note_hole(t, add_key(&word, f), false);
            at += strlen(KEY_MARK);
        } else if (starts_with(at, end, NUMBER_MARK)) {
            note_hole(t, word.len, true);
            for (uint32_t i = 0; i < f->number_digits; i++) bytes_add(&word, "0", 1);
            at += strlen(NUMBER_MARK);
        } else if (starts_with(at, end, DATA_MARK)) {
            if (varies) problem = "with a range of sizes __data__ must be an argument of its own";
            bytes_add(&word, f->value, f->value_max);
            at += strlen(DATA_MARK);
        } else {
            bytes_add(&word, at++, 1);
        }
    }
    bytes_addf(out, "$%zu\r\n", word.len);
    for (uint32_t i = first_hole; i < t->hole_count; i++) t->holes[i].at += (uint32_t)out->len;
    bytes_add(out, word.data, word.len);
    bytes_add(out, "\r\n", 2);
    free(word.data);
    return problem;
}

/* The report's name of the command, and whether nulls in its replies are misses. */
static void name_template(struct request_template *t, const struct bytes *word) {
    static const char *const readers[] = {"GET", "MGET", "HGET", "HMGET", "GETEX", "GETDEL"};
    size_t len = word->len < sizeof t->name - 1 ? word->len : sizeof t->name - 1;
    for (size_t i = 0; i < len; i++) {
        int c = toupper((unsigned char)word->data[i]);
        t->name[i] = isprint(c) ? (char)c : '?';
    }
    t->name[len] = '\0';
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (strcmp(t->name, readers[i]) == 0) t->counts_hits = true;
    }
}

const char *request_compile(struct request_template *t, const struct request_format *f,
                            const char *text) {
    *t = (struct request_template){0};
    struct word w = {0};
    struct bytes body = {0};
    uint32_t words = 0;
    const char *problem = NULL;
    while (problem == NULL) {
        while (isspace((unsigned char)*text)) text++;
        if (*text == '\0') break;
        text = read_word(text, &w);
        if (words++ == 0) name_template(t, &w.text);
        problem = w.problem != NULL ? w.problem : add_word(t, f, &w.text, &body);
    }
    if (problem == NULL && words == 0) problem = "a --command is empty";
    struct bytes whole = {0};
    bytes_addf(&whole, "*%u\r\n", words);
    for (uint32_t i = 0; i < t->hole_count; i++) t->holes[i].at += (uint32_t)whole.len;
    for (uint32_t i = 0; i < t->value_count; i++) t->value_at[i] += whole.len;
    bytes_add(&whole, body.data, body.len);
    t->bytes = whole.data;
    t->len = whole.len;
    t->max_len = whole.len + t->value_count * (f->value_max + 32);
    free(body.data);
    free(w.text.data);
    return problem;
}

void request_template_fini(struct request_template *t) {
    free(t->bytes);
    free(t->holes);
    free(t->value_at);
    *t = (struct request_template){0};
}

/* Writes the last `digits` decimal digits of `number`, zeros in front. */
static inline void write_digits(char *at, uint64_t number, uint32_t digits) {
    for (char *p = at + digits; p > at;) {
        uint64_t rest = number / 10;
        *--p = (char)('0' + (number - rest * 10));
        number = rest;
    }
}

/* Writes "$len CRLF value CRLF" with a size from the range; returns the end. */
static char *write_value(const struct request_format *f, struct key_source *source, char *out) {
    uint64_t size = f->value_min + random_below(&source->random, f->value_max - f->value_min + 1);
    uint32_t digits = digits_below(size + 1);
    *out++ = '$';
    write_digits(out, size, digits);
    out += digits;
    memcpy(out, "\r\n", 2);
    memcpy(out + 2, f->value, size);
    memcpy(out + 2 + size, "\r\n", 2);
    return out + size + 4;
}

/* Writes the digits of the given or the next key, or of a random number. */
static inline void fill_hole(const struct request_format *f, struct key_source *source,
                             const uint64_t *key, bool is_number, char *at) {
    if (is_number)
        write_digits(at, random_below(&source->random, f->numbers), f->number_digits);
    else
        write_digits(at, key != NULL ? *key : keys_next(source), f->digits);
}

/* The general form, for templates with values of varying size. */
static size_t write_varying(const struct request_template *t, const struct request_format *f,
                            struct key_source *source, const uint64_t *given, char *out) {
    char *to = out;
    size_t from = 0;
    const struct request_hole *hole = t->holes;
    const struct request_hole *end = t->holes + t->hole_count;
    for (uint32_t i = 0; i <= t->value_count; i++) {
        size_t until = i < t->value_count ? t->value_at[i] : t->len;
        memcpy(to, t->bytes + from, until - from);
        for (; hole < end && hole->at < until; hole++)
            fill_hole(f, source, given, hole->is_number, to + (hole->at - from));
        to += until - from;
        from = until;
        if (i < t->value_count) to = write_value(f, source, to);
    }
    return (size_t)(to - out);
}

static inline size_t write_request(const struct request_template *t, const struct request_format *f,
                                   struct key_source *source, const uint64_t *key, char *out) {
    if (t->value_count != 0) return write_varying(t, f, source, key, out);
    memcpy(out, t->bytes, t->len);
    for (uint32_t i = 0; i < t->hole_count; i++)
        fill_hole(f, source, key, t->holes[i].is_number, out + t->holes[i].at);
    return t->len;
}

size_t request_write(const struct request_template *t, const struct request_format *f,
                     struct key_source *source, char *out) {
    return write_request(t, f, source, NULL, out);
}

size_t request_write_key(const struct request_template *t, const struct request_format *f,
                         struct key_source *source, uint64_t key, char *out) {
    return write_request(t, f, source, &key, out);
}
