// SPDX-License-Identifier: BSD-3-Clause
//
// Keeps docs/compatibility.md true: the commands that it lists as absent, in backquotes between its
// two markers, must be those of Redis 7.2 (tests/data/commands-7.2.tsv) that the command table does
// not have. A container that is absent stands for its subcommands. One thread; reads two files of
// the source tree that it was compiled from and changes nothing.
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/buf.h"
#include "engine/commands/command.h"

#define BEGIN     "<!-- absent commands: begin -->"
#define END       "<!-- absent commands: end -->"
#define NAMES_MAX 512
#define NAME_SIZE 40

struct names {
    char text[NAMES_MAX][NAME_SIZE];
    size_t count;
};

static void add_name(struct names *names, const char *p, size_t n) {
    assert_true(names->count < NAMES_MAX && n > 0 && n < NAME_SIZE);
    char *to = names->text[names->count++];
    for (size_t i = 0; i < n; i++) to[i] = (char)tolower((unsigned char)p[i]);
    to[n] = '\0';
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void sort_names(struct names *names) {
    qsort(names->text, names->count, NAME_SIZE, by_text);
}

/** The text of a file of the source tree, zero-terminated. */
static void read_file(const char *path_in_tree, struct buf *out) {
    static const char here[] = __FILE__, self[] = "tests/unit/commands/test_compatibility_doc.c";
    char path[4096];
    snprintf(path, sizeof path, "%.*s%s", (int)(sizeof here - sizeof self), here, path_in_tree);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("cannot open %s", path);
    size_t n;
    do {
        char *p = buf_reserve(out, 65536);
        n = fread(p, 1, 65536, file);
        out->len += n;
    } while (n > 0);
    fclose(file);
    buf_append_char(out, '\0');
}

static bool is_known(const char *name, size_t n) {
    const char *bar = memchr(name, '|', n);
    const struct command *row = command_find(slice_of(name, bar ? (size_t)(bar - name) : n));
    if (row == NULL || bar == NULL) return row != NULL;
    return command_find_sub(row, slice_of(bar + 1, n - (size_t)(bar + 1 - name))) != NULL;
}

/** Redis's commands that the table does not have, a space between container and subcommand. */
static void find_absent(struct names *absent) {
    struct buf facts = {0};
    read_file("tests/data/commands-7.2.tsv", &facts);
    size_t lines = 0;
    for (const char *line = facts.p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        size_t n = strcspn(line, "\t\n");
        if (*line == '#' || n == 0) continue;
        lines++;
        const char *bar = memchr(line, '|', n);
        bool covered = bar != NULL && !is_known(line, (size_t)(bar - line));
        if (is_known(line, n) || covered) continue;
        add_name(absent, line, n);
        char *own_bar = strchr(absent->text[absent->count - 1], '|');
        if (own_bar != NULL) *own_bar = ' ';
    }
    assert_true(lines > 300); // the file was understood
    buf_free(&facts);
}

/** What stands in backquotes between the markers of the page. */
static void find_listed(struct names *listed) {
    struct buf page = {0};
    read_file("docs/compatibility.md", &page);
    const char *begin = strstr(page.p, BEGIN), *end = strstr(page.p, END);
    assert_true(begin != NULL && end != NULL && begin < end);
    for (const char *open = strchr(begin, '`'); open != NULL && open < end;) {
        const char *close = strchr(open + 1, '`');
        assert_true(close != NULL && close < end);
        add_name(listed, open + 1, (size_t)(close - open - 1));
        open = strchr(close + 1, '`');
    }
    buf_free(&page);
}

static void page_lists_what_is_absent(void **state) {
    (void)state;
    static struct names absent, listed;
    find_absent(&absent);
    find_listed(&listed);
    sort_names(&absent);
    sort_names(&listed);
    size_t a = 0, l = 0, wrong = 0;
    while (a < absent.count || l < listed.count) {
        int order = a == absent.count   ? 1
                    : l == listed.count ? -1
                                        : strcmp(absent.text[a], listed.text[l]);
        if (order < 0)
            print_error("absent, but not listed: %s\n", absent.text[a]);
        else if (order > 0)
            print_error("listed, but there (or no command of Redis 7.2): %s\n", listed.text[l]);
        wrong += order != 0;
        a += order <= 0;
        l += order >= 0;
    }
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(page_lists_what_is_absent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
