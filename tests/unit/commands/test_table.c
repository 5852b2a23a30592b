// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of the command table: every row against the facts of Redis 7.2
// (tests/data/commands-7.2.tsv), the name index, ids, and key positions. `test_table --print-index`
// prints what table_index.c must hold: run it after adding a row. One thread; owns what it reads.
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/buf.h"
#include "engine/commands/table.h"

// ---- the index ---------------------------------------------------------------------------------

/** Rows that are placed first, so that they are found at the first try. */
static const uint16_t hot_rows[] = {ROW_GET,  ROW_SET,    ROW_INCR,   ROW_DEL, ROW_MGET,
                                    ROW_MSET, ROW_EXISTS, ROW_EXPIRE, ROW_PING};

static void place(uint16_t index[TABLE_INDEX_SIZE], uint32_t id) {
    const char *name = command_by_id(id)->name;
    uint32_t at = table__hash(name, strlen(name));
    while (index[at] != 0 && index[at] != id + 1) at = (at + 1) % TABLE_INDEX_SIZE;
    index[at] = (uint16_t)(id + 1);
}

static void make_index(uint16_t index[TABLE_INDEX_SIZE]) {
    memset(index, 0, TABLE_INDEX_SIZE * sizeof *index);
    for (size_t i = 0; i < sizeof hot_rows / sizeof *hot_rows; i++) place(index, hot_rows[i]);
    for (uint32_t id = 0; id < ROW_TOP_COUNT; id++) place(index, id);
}

static int print_index(void) {
    uint16_t index[TABLE_INDEX_SIZE];
    make_index(index);
    for (uint32_t at = 0; at < TABLE_INDEX_SIZE; at++) {
        if (index[at] == 0) continue;
        printf("    [%u] = ROW_", at);
        for (const char *p = command_by_id(index[at] - 1u)->name; *p != '\0'; p++)
            putchar(*p == '-' ? '_' : toupper((unsigned char)*p));
        printf(" + 1,\n");
    }
    return 0;
}

static void index_is_current(void **state) {
    (void)state;
    uint16_t index[TABLE_INDEX_SIZE];
    make_index(index);
    for (uint32_t at = 0; at < TABLE_INDEX_SIZE; at++)
        assert_int_equal(index[at], table__index[at]);
    for (size_t i = 0; i < sizeof hot_rows / sizeof *hot_rows; i++) {
        const char *name = command_by_id(hot_rows[i])->name;
        assert_int_equal(index[table__hash(name, strlen(name))], hot_rows[i] + 1);
    }
}

static void every_name_is_found_in_any_case(void **state) {
    (void)state;
    uint32_t n;
    const struct command *rows = command_rows(&n);
    assert_int_equal(n, ROW_TOP_COUNT);
    for (uint32_t i = 0; i < n; i++) {
        char name[TABLE_NAME_MAX + 1];
        size_t length = strlen(rows[i].name);
        assert_in_range(length, 1, TABLE_NAME_MAX);
        for (uint32_t variant = 0; variant < 64; variant++) {
            for (size_t k = 0; k < length; k++)
                name[k] = variant >> (k % 6) & 1 ? (char)toupper((unsigned char)rows[i].name[k])
                                                 : rows[i].name[k];
            assert_ptr_equal(command_find(slice_of(name, length)), &rows[i]);
        }
        assert_ptr_not_equal(command_find(slice_of(rows[i].name, length - 1)), &rows[i]);
    }
}

static void other_names_are_not_found(void **state) {
    (void)state;
    static const char *const names[] = {"",
                                        "g",
                                        "gets",
                                        "get ",
                                        "nope",
                                        "config|get",
                                        "bitfield-ro",
                                        "se\x14",
                                        "\7et",
                                        "client\r",
                                        "getrange\xff\xff"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_null(command_find(slice_text(names[i])));
    assert_null(command_find(slice_of("get\0", 4)));
    char longest[4096];
    memset(longest, 'g', sizeof longest);
    for (size_t n = 1; n <= sizeof longest; n += 13)
        assert_null(command_find(slice_of(longest, n)));
    const struct command *config = command_find(slice_text("config"));
    assert_null(command_find_sub(config, slice_text("")));
    assert_null(command_find_sub(config, slice_text("ge")));
    assert_null(command_find_sub(config, slice_of("get\0", 4)));
    assert_null(command_find_sub(command_find(slice_text("get")), slice_text("get")));
}

// ---- rows --------------------------------------------------------------------------------------

static void ids_are_dense_and_names_in_order(void **state) {
    (void)state;
    uint32_t n;
    const struct command *rows = command_rows(&n);
    assert_int_equal(command_count(), ROW_COUNT);
    for (uint32_t id = 0; id < command_count(); id++) {
        assert_non_null(command_by_id(id)->name);
        assert_int_equal(command_by_id(id)->id, id);
    }
    uint32_t seen = n;
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) assert_true(strcmp(rows[i - 1].name, rows[i].name) < 0);
        assert_string_equal(rows[i].name, rows[i].full_name);
        for (uint16_t s = 0; s < rows[i].subcommand_count; s++, seen++) {
            const struct command *sub = &rows[i].subcommands[s];
            char full[80];
            snprintf(full, sizeof full, "%s|%s", rows[i].name, sub->name);
            assert_string_equal(sub->full_name, full);
            assert_ptr_equal(command_find_sub(&rows[i], slice_text(sub->name)), sub);
            assert_ptr_equal(command_by_id(sub->id), sub);
            if (s > 0) assert_true(strcmp(sub[-1].name, sub->name) < 0);
        }
    }
    assert_int_equal(seen, ROW_COUNT); // every subcommand belongs to a container
}

static void rows_can_run_where_they_say(void **state) {
    (void)state;
    for (uint32_t id = 0; id < command_count(); id++) {
        const struct command *row = command_by_id(id);
        bool container = row->subcommand_count > 0;
        if (row->where == WHERE_SESSION)
            assert_null(row->run);
        else if (!container)
            assert_non_null(row->run);
        if (row->where == WHERE_KEYS) assert_true(row->key_spec_count > 0);
        if (row->where == WHERE_ANY) assert_int_equal(row->key_spec_count, 0);
        assert_non_null(row->summary);
        assert_non_null(row->since);
        assert_non_null(row->group);
    }
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_names(struct buf *out, uint32_t bits, const struct table__bit_name *names) {
    const char *found[32];
    size_t n = 0;
    for (; names->name != NULL; names++)
        if (bits & names->bit) found[n++] = names->name;
    qsort(found, n, sizeof *found, by_text);
    for (size_t i = 0; i < n; i++) buf_printf(out, "%s%s", i > 0 ? "," : "", found[i]);
}

static void add_spec(struct buf *out, const struct key_spec *spec) {
    const char *plus = "";
    for (const struct table__bit_name *name = table__key_flag_names; name->name != NULL; name++) {
        if ((spec->flags & name->bit) == 0) continue;
        buf_printf(out, "%s%s", plus, name->name);
        plus = "+";
    }
    if (spec->keyword != NULL)
        buf_append_text(out, ":?");
    else if (spec->begin == 0)
        buf_append_text(out, ":?:?");
    else
        buf_printf(out, ":%d", spec->begin);
    if (spec->keyword == NULL && spec->begin == 0) return;
    if (spec->keynum >= 0)
        buf_printf(out, ":keynum,%d,%d,%d", spec->keynum, spec->keynum + 1, spec->step);
    else
        buf_printf(out, ":range,%d,%d,%d", spec->last, spec->step, spec->limit);
}

/** A row as a line of the facts file, line break included. */
static void describe(struct buf *out, const struct command *row) {
    out->len = 0;
    buf_printf(out, "%s\t%d\t", row->full_name, row->arity);
    add_names(out, row->flags, table__flag_names);
    buf_printf(out, "\t%d\t%d\t%d\t", row->first_key, row->last_key, row->key_step);
    add_names(out, row->acl, table__acl_names);
    buf_append_char(out, '\t');
    for (int i = 0; row->tips != NULL && row->tips[i] != NULL; i++)
        buf_printf(out, "%s%s", i > 0 ? "," : "", row->tips[i]);
    buf_append_char(out, '\t');
    for (int i = 0; i < row->key_spec_count; i++) {
        if (i > 0) buf_append_char(out, ';');
        add_spec(out, &row->key_specs[i]);
    }
    buf_append(out, "\n", 2); // with the terminator
}

static char *read_facts(void) {
    static const char here[] = __FILE__, tail[] = "unit/commands/test_table.c";
    char path[4096];
    snprintf(path, sizeof path, "%.*sdata/commands-7.2.tsv", (int)(sizeof here - sizeof tail),
             here);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("cannot open %s", path);
    char *text = calloc(1, 1 << 20);
    text[0] = '\n';
    size_t n = fread(text + 1, 1, (1 << 20) - 2, file);
    assert_true(n > 0 && feof(file));
    fclose(file);
    return text;
}

static void rows_hold_the_facts(void **state) {
    (void)state;
    char *facts = read_facts();
    struct buf line = {0};
    for (uint32_t id = 0; id < command_count(); id++) {
        char start[80];
        describe(&line, command_by_id(id));
        snprintf(start, sizeof start, "\n%s\t", command_by_id(id)->full_name);
        char *fact = strstr(facts, start);
        if (fact == NULL) fail_msg("no facts about %s", command_by_id(id)->full_name);
        char *end = strchr(++fact, '\n');
        char after = end[1];
        end[1] = '\0';
        assert_string_equal(line.p, fact);
        end[1] = after;
    }
    buf_free(&line);
    free(facts);
}

// ---- key positions -----------------------------------------------------------------------------

/** Compares the key positions of a command line with text such as "1:RO+access 2:OW+update". */
static void expect_keys(const char *line, const char *expected) {
    char words[256], *save = NULL;
    struct slice argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        argv[argc++] = slice_text(w);
    const struct command *row = command_find(argv[0]);
    if (row->subcommand_count > 0) row = command_find_sub(row, argv[1]);
    struct key_position keys[32];
    int n = command_keys(row, argc, argv, keys, 32);
    struct buf out = {0};
    if (n == COMMAND_KEYS_INVALID) buf_append_text(&out, "invalid");
    for (int i = 0; i < n; i++) {
        buf_printf(&out, "%s%d:", i > 0 ? " " : "", keys[i].arg);
        const char *plus = "";
        for (const struct table__bit_name *f = table__key_flag_names; f->name != NULL; f++) {
            if ((keys[i].flags & f->bit) == 0) continue;
            buf_printf(&out, "%s%s", plus, f->name);
            plus = "+";
        }
    }
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, expected);
    buf_free(&out);
}

static void key_positions(void **state) {
    (void)state;
    expect_keys("get a", "1:RO+access");
    expect_keys("ping a", "");
    expect_keys("mget a b c", "1:RO+access 2:RO+access 3:RO+access");
    expect_keys("mset a 1 b 2", "1:OW+update 3:OW+update");
    expect_keys("mset a 1 b", "1:OW+update 3:OW+update");
    expect_keys("bitop and d x y", "2:OW+update 3:RO+access 4:RO+access");
    expect_keys("rename a b", "1:RW+access+delete 2:OW+update");
    expect_keys("object encoding a", "2:RO");
    expect_keys("lcs a b idx", "1:RO+access 2:RO+access");
    expect_keys("set a b", "1:OW+update");
    expect_keys("set a b ex 10 GET", "1:RW+access+update");
    expect_keys("set get get", "1:OW+update");
    expect_keys("bitfield a get u8 0", "1:RO+access");
    expect_keys("bitfield a", "1:RO+access");
    expect_keys("bitfield a get u8 0 overflow sat get u8 8", "1:RO+access");
    expect_keys("bitfield a get u8 0 set u8 0 1", "1:RW+access+update");
    expect_keys("bitfield a get u8", "1:RW+access+update");
    expect_keys("copy a b db 3", "1:RO+access 2:OW+update");
    expect_keys("zunionstore d 2 a b weights 1 2", "1:OW+update 3:RO+access 4:RO+access");
    expect_keys("zunionstore d 3 a b", "invalid");
    expect_keys("xread count 1 streams a b 0 0", "4:RO+access 5:RO+access");
    expect_keys("xread count 1 block 5", "invalid");
    expect_keys("xreadgroup group streams c STREAMS a >", "5:RO+access");
    expect_keys("xreadgroup count 1 group streams streams noack streams streams >", "8:RO+access");
    expect_keys("xreadgroup group g c group g2 streams STREAMS a b > >", "8:RO+access 9:RO+access");
    expect_keys("xread noack streams", "invalid");
    expect_keys("georadius a 1 2 3 km", "1:RO+access");
    expect_keys("georadius a 1 2 3 km count 1 store d", "1:RO+access 9:OW+update");
    expect_keys("sort a by store get store", "1:RO+access");
    expect_keys("sort a limit 0 5 store b get x store d", "1:RO+access 10:OW+update");
    expect_keys("sort_ro a by w_*", "1:RO+access");
    expect_keys("blmpop 0 2 a b left", "3:RW+access+delete 4:RW+access+delete");
    expect_keys("blpop a b 0", "1:RW+access+delete 2:RW+access+delete");
}

static void positions_beyond_the_room_are_counted(void **state) {
    (void)state;
    struct slice argv[101] = {SLICE_LITERAL("del")};
    for (int i = 1; i <= 100; i++) argv[i] = SLICE_LITERAL("k");
    struct key_position keys[3] = {{0, 0}};
    assert_int_equal(command_keys(command_find(argv[0]), 101, argv, keys, 2), 100);
    assert_int_equal(keys[1].arg, 2);
    assert_int_equal(keys[2].arg, 0);
}

static bool is_row(struct slice name) {
    for (uint32_t id = 0; id < command_count(); id++)
        if (slice_is(name, command_by_id(id)->full_name)) return true;
    return false;
}

static void commands_of_redis_are_rows_or_absent(void **state) {
    (void)state;
    char *facts = read_facts();
    uint32_t rows = 0;
    for (char *line = facts; (line = strchr(line, '\n')) != NULL && *++line != '\0';) {
        struct slice name = slice_of(line, strcspn(line, "\t\n"));
        if (*line == '#') continue;
        if (is_row(name) == command_is_absent(name)) fail_msg("%.*s", (int)name.n, name.p);
        rows += is_row(name);
    }
    assert_int_equal(rows, command_count());
    free(facts);
}

// ---- other names -------------------------------------------------------------------------------

static void expect_found(const char *name, uint32_t id) {
    const struct command *row = command_find(slice_text(name));
    if (id == ROW_COUNT ? row != NULL : row == NULL || row->id != id) fail_msg("%s", name);
}

static const char *rename_to(const char *name, const char *now) {
    return command_rename(slice_text(name), slice_text(now));
}

static void commands_can_be_renamed(void **state) {
    (void)state;
    static const char longer[] = "b840fc02d524045429941cc15f59e41cb7be6c52";
    assert_null(rename_to("CONFIG", longer));
    assert_null(rename_to("flushall", ""));
    expect_found("config", ROW_COUNT);
    expect_found(longer, ROW_CONFIG);
    expect_found("B840FC02D524045429941CC15F59E41CB7BE6C52", ROW_CONFIG);
    expect_found("flushall", ROW_COUNT);
    expect_found("", ROW_COUNT);
    expect_found("get", ROW_GET);
    assert_true(command_find_row(slice_text("config"))->id == ROW_CONFIG);
    assert_false(command_can_be_called(command_by_id(ROW_FLUSHALL)));
    assert_true(command_can_be_called(command_by_id(ROW_CONFIG)));
    assert_string_equal(rename_to("config", "x"), "No such command in rename-command");
    assert_string_equal(rename_to("nosuch", "x"), "No such command in rename-command");
    assert_string_equal(rename_to("get", "SET"), "Target command name already exists");
    assert_string_equal(rename_to("get", longer), "Target command name already exists");
    assert_null(rename_to(longer, "short")); // again
    expect_found(longer, ROW_COUNT);
    expect_found("SHORT", ROW_CONFIG);
    assert_null(rename_to("get", "flushall")); // the name is free
    expect_found("flushall", ROW_GET);
    assert_null(rename_to("set", "get"));
    expect_found("get", ROW_SET);
    expect_found("set", ROW_COUNT);
    command_rename_none();
    expect_found("get", ROW_GET);
    expect_found("config", ROW_CONFIG);
    expect_found("short", ROW_COUNT);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--print-index") == 0) return print_index();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_is_current),
        cmocka_unit_test(every_name_is_found_in_any_case),
        cmocka_unit_test(other_names_are_not_found),
        cmocka_unit_test(ids_are_dense_and_names_in_order),
        cmocka_unit_test(rows_can_run_where_they_say),
        cmocka_unit_test(rows_hold_the_facts),
        cmocka_unit_test(key_positions),
        cmocka_unit_test(positions_beyond_the_room_are_counted),
        cmocka_unit_test(commands_of_redis_are_rows_or_absent),
        cmocka_unit_test(commands_can_be_renamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
