// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzzes the configuration. An input is either a file's text as it is, or instructions from which
// lines with real directive names and likely values are put together, so that mutation reaches
// behind the lookup of names. Checked: nothing crashes or leaks, every value in effect reads back
// as itself, a copy is equal, quoting is undone by splitting. Directives cannot reach files here:
// includes are refused and no log is opened.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "shards/config_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pieces[] = {
    "yes",
    "no",
    "0",
    "1",
    "-1",
    "5",
    "70000",
    "1mb",
    "2GB",
    "99999999999999999999",
    "777",
    "50%",
    "\"\"",
    "''",
    "\"a b\"",
    "\"\\x00\"",
    "\"\\xff\\n\"",
    "'it\\'s'",
    "normal",
    "replica",
    "pubsub",
    "60",
    "local",
    "debug",
    "epoll",
    "relaxed",
    "/",
    "/nonexistent",
    "127.0.0.1",
    "-::1",
    "default",
    "on",
    "nopass",
    "~*",
    "&*",
    "+@all",
    "one",
    "\"",
    "\\",
    "#",
    "save",
    "nosave",
    "allkeys-lfu",
};
static const char *const others[] = {"include",  "user", "rename-command",           "loadmodule",
                                     "sentinel", "a.b",  "list-max-ziplist-entries", "\"port\"",
                                     "nosuch",   ""};

static const char *pick_name(unsigned n) {
    const struct config__row *row = config__row_at(n);
    if (row != NULL) return n % 7 == 0 && row->alias != NULL ? row->alias : row->name;
    return others[n % (sizeof(others) / sizeof(others[0]))];
}

// Two bytes choose a directive, then each byte adds a value, until one says that the line ends.
static void assemble(const uint8_t *data, size_t size, struct buf *text) {
    for (size_t i = 0; i + 1 < size;) {
        buf_append_text(text, pick_name((data[i] | data[i + 1] << 8) % 220u));
        for (i += 2; i < size && data[i] % 4 != 0; i++) {
            buf_append_char(text, data[i] % 32 == 1 ? '\t' : ' ');
            buf_append_text(text, pieces[data[i] / 2 % (sizeof(pieces) / sizeof(pieces[0]))]);
        }
        i++;
        buf_append_char(text, '\n');
    }
}

static void check_same(const struct config *a, const struct config *b,
                       const struct config__row *row) {
    struct buf left = {0}, right = {0};
    config__print(a, row, &left);
    config__print(b, row, &right);
    ASSERT(slice_equal(slice_of(left.p, left.len), slice_of(right.p, right.len)));
    buf_free(&left);
    buf_free(&right);
}

static void check_values(const struct config *c) {
    struct config *copy = config_copy(c);
    struct config *fresh = config_new();
    const struct config__row *row;
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        check_same(c, copy, row);
        if ((row->flags & CONFIG__INERT) != 0) continue;
        struct buf text = {0}, error = {0};
        struct config__words words;
        bool multi = (row->flags & CONFIG__MULTI) != 0;
        config__print(c, row, &text);
        struct slice value = slice_of(text.p, text.len);
        if (multi) {
            config__split_spaces(value, &words);
        } else {
            words = (struct config__words){.items = &value, .count = 1};
        }
        bool ok = config__assign(fresh, row, words.items, words.count, &error);
        // Addresses that only quotes can carry have no form for CONFIG SET.
        if (row->kind != CONFIG__BIND) {
            ASSERT(ok);
            check_same(c, fresh, row);
        }
        if (multi) config__words_free(&words);
        buf_free(&text);
        buf_free(&error);
    }
    config_release(copy);
    config_release(fresh);
}

static void check_quoting(struct slice bytes) {
    struct buf quoted = {0};
    struct config__words words;
    buf_append_quoted(&quoted, bytes);
    bool ok = config__split(slice_of(quoted.p, quoted.len), &words);
    ASSERT(ok && words.count == 1 && slice_equal(words.items[0], bytes));
    config__words_free(&words);
    buf_free(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    int64_t before = mem_used();
    struct buf text = {0}, error = {0};
    struct slice bytes = slice_of(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        buf_append(&text, bytes.p, bytes.n);
    } else {
        assemble(data + 1, size - 1, &text);
    }
    struct config *c = config_new();
    struct config_notices notices = {0};
    // Line by line, so that a refused line does not hide the ones behind it.
    struct slice rest = slice_of(text.p, text.len), line;
    while (config__next_line(&rest, &line)) {
        error.len = 0;
        bool ok = config_load_text(c, line, "the fuzzer", &notices, &error);
        ASSERT(ok == (error.len == 0));
    }
    check_values(c);
    check_quoting(bytes);
    struct slice pair[2] = {slice_text(pick_name(data[0])), bytes};
    error.len = 0;
    bool ok = config_set_many(c, pair, 1, true, &error);
    ASSERT(ok == (error.len == 0));
    config_release(c);
    config_notices_free(&notices);
    buf_free(&text);
    buf_free(&error);
    ASSERT(mem_used() == before);
    return 0;
}
