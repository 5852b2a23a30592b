// SPDX-License-Identifier: BSD-3-Clause
//
// Keeps docs/configuration.md true: the tables between its markers are made from the rows of the
// configuration, and this test fails when they differ. Run with --write to bring the page up to
// date. Reads the page of the source tree that it was compiled from; nothing else is touched.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shards/config_rows.h"

#define BEGIN "<!-- generated: begin -->\n"
#define END   "<!-- generated: end -->\n"

static void append_values(struct buf *out, const struct config__row *row) {
    switch (row->kind) {
    case CONFIG__BOOL: buf_append_text(out, "yes, no"); break;
    case CONFIG__OCTAL: buf_printf(out, "0 to %llo (octal)", (long long)row->upper); break;
    case CONFIG__MEMORY:
    case CONFIG__NUMBER:
        if (row->kind == CONFIG__MEMORY) buf_append_text(out, "memory, ");
        if (row->upper == INT64_MAX) {
            buf_printf(out, "from %lld", (long long)row->lower);
        } else {
            buf_printf(out, "%lld to %lld", (long long)row->lower, (long long)row->upper);
        }
        break;
    case CONFIG__ENUM:
        for (int i = 0; row->words[i] != NULL; i++) {
            buf_printf(out, "%s%s", i > 0 ? ", " : "", row->words[i]);
        }
        break;
    case CONFIG__STRING:
    case CONFIG__BYTES: buf_append_text(out, "text"); break;
    case CONFIG__DIR: buf_append_text(out, "directory"); break;
    case CONFIG__BIND: buf_append_text(out, "addresses"); break;
    case CONFIG__OUTPUT_LIMIT: buf_append_text(out, "class, memory, memory, seconds"); break;
    case CONFIG__EVENTS: buf_append_text(out, "letters"); break;
    case CONFIG__WORDS: buf_append_text(out, "words"); break;
    }
}

static const char *shown(const char *value) { return value[0] == '\0' ? "\"\"" : value; }

static void append_acted(struct buf *out, bool own) {
    const struct config__row *row;
    buf_append_text(out, "| directive | values | default | CONFIG SET | what it does |\n"
                         "| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        if ((row->flags & CONFIG__INERT) != 0 || own != ((row->flags & CONFIG__OWN) != 0)) continue;
        const char *when = "yes";
        if ((row->flags & CONFIG__PROTECTED) != 0) when = "protected";
        if ((row->flags & CONFIG__IMMUTABLE) != 0) when = "no";
        buf_printf(out, "| `%s` | ", row->name);
        append_values(out, row);
        buf_printf(out, " | `%s` | %s | %s |\n", shown(row->fallback), when, row->note);
    }
}

static void append_stops(struct buf *out) {
    const struct config__row *row;
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        if (row->stop == NULL) continue;
        buf_printf(out, "- `%s` other than `%s`: %s\n", row->name, shown(row->fallback), row->stop);
    }
}

static void append_inert(struct buf *out) {
    const struct config__row *row;
    buf_append_text(out, "| directive | CONFIG GET answers | why it does nothing |\n"
                         "| --- | --- | --- |\n");
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        if ((row->flags & CONFIG__INERT) == 0) continue;
        buf_printf(out, "| `%s`", row->name);
        if (row->alias != NULL) buf_printf(out, ", `%s`", row->alias);
        buf_printf(out, " | `%s` | %s |\n", shown(row->fallback), row->note);
    }
}

static void append_tables(struct buf *out) {
    buf_append_text(out, "\n## torc's own directives\n\n");
    append_acted(out, true);
    buf_append_text(out, "\n## Redis's directives that torc acts on\n\n");
    append_acted(out, false);
    buf_append_text(out,
                    "\n## What stops the start\n\n"
                    "Passing these over would leave the server less safe, or serving something\n"
                    "else, than its configuration says:\n\n");
    append_stops(out);
    buf_append_text(out, "- `loadmodule`, `sentinel`, settings of modules\n"
                         "\n## Redis's directives that torc does not act on\n\n");
    append_inert(out);
    buf_append_char(out, '\n');
}

// This file's own name, less what is known of it, is the root of the tree.
static void find_page(struct buf *path) {
    static const char self[] = "tests/unit/shards/test_config_docs.c";
    size_t n = strlen(__FILE__), tail = sizeof(self) - 1;
    ASSERT(n >= tail && strcmp(__FILE__ + n - tail, self) == 0);
    buf_append(path, __FILE__, n - tail);
    buf_append(path, "docs/configuration.md", sizeof("docs/configuration.md"));
}

// Puts fresh tables between the markers of the page.
static void refresh(const struct buf *page, struct buf *out) {
    const char *begin = memmem(page->p, page->len, BEGIN, strlen(BEGIN));
    const char *end = memmem(page->p, page->len, END, strlen(END));
    ASSERT(begin != NULL && end != NULL && begin < end);
    begin += strlen(BEGIN);
    buf_append(out, page->p, (size_t)(begin - page->p));
    append_tables(out);
    buf_append(out, end, page->len - (size_t)(end - page->p));
}

static void test_page_is_up_to_date(void **state) {
    (void)state;
    struct buf path = {0}, page = {0}, fresh = {0};
    find_page(&path);
    assert_int_equal(config__read_file(path.p, &page), 0);
    refresh(&page, &fresh);
    if (page.len != fresh.len || memcmp(page.p, fresh.p, page.len) != 0) {
        fail_msg("%s is out of date: run this test with --write", path.p);
    }
    buf_free(&path);
    buf_free(&page);
    buf_free(&fresh);
}

static int write_page(void) {
    struct buf path = {0}, page = {0}, fresh = {0};
    find_page(&path);
    int result = config__read_file(path.p, &page);
    FILE *f = NULL;
    if (result == 0) {
        refresh(&page, &fresh);
        f = fopen(path.p, "w");
    }
    bool ok = f != NULL && fwrite(fresh.p, 1, fresh.len, f) == fresh.len;
    if (f != NULL) ok = fclose(f) == 0 && ok;
    if (!ok) perror(path.p);
    buf_free(&path);
    buf_free(&page);
    buf_free(&fresh);
    return ok ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--write") == 0) return write_page();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page_is_up_to_date)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
