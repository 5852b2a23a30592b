// SPDX-License-Identifier: BSD-3-Clause
//
// What values look like in serialized form: byte for byte what Redis 7.2.6 answers to DUMP (the
// constants are its payloads) where order and form are the same; the older forms and those of
// fields that expire against their descriptions; one piece at a time against all at once; and that
// rdb_load reads all of it. Values are made by commands, in the harness of the commands' tests.
// One thread.
#include <lzf.h>

#include "engine/base/crc64.h"
#include "engine/base/random.h"
#include "engine/rdb/rdb_load.h"
#include "engine/rdb/rdb_save.h"
#include "tests/unit/commands/harness.h"

/** Runs commands, separated by semicolons, about the key k of an empty harness. */
static void make(struct harness *h, const char *commands) {
    harness_init(h, 1);
    h->walk = false;
    char *copy = strdup(commands), *rest = copy;
    for (char *line; (line = strsep(&rest, ";")) != NULL;) {
        const char *reply = harness_run(h, "%s", line);
        if (reply[0] == '-') fail_msg("%s: %s", line, reply);
    }
    free(copy);
}

static const struct entry *made(struct harness *h) {
    struct db *db = &h->shards[0]->dbs[0];
    const struct entry *e = db_find(db, key_of(h->shards[0], SLICE_LITERAL("k"))).entry;
    assert_non_null(e);
    return e;
}

/** Whether two texts are the same but for blanks in the second. */
static bool same_digits(const char *is, const char *should) {
    for (; *should != '\0'; should++)
        if (*should != ' ' && *is++ != *should) return false;
    return *is == '\0';
}

/** Type byte and value in hexadecimal digits; freed by the caller. */
static char *save_hex(const struct entry *e, const struct rdb_save *how) {
    struct buf out = {0}, hex = {0};
    buf_append_char(&out, (char)rdb_save_type(e, how));
    rdb_save_value(&out, e, how);
    for (size_t i = 0; i < out.len; i++) buf_printf(&hex, "%02x", (uint8_t)out.p[i]);
    buf_append_char(&hex, '\0');
    buf_free(&out);
    return hex.p;
}

static void expect(const char *commands, int version, bool compress, const char *hex) {
    struct harness h;
    const struct rdb_save how = {.version = version, .compress = compress};
    make(&h, commands);
    char *is = save_hex(made(&h), &how);
    if (!same_digits(is, hex))
        fail_msg("%s, version %d:\n  is     %s\n  should %s", commands, version, is, hex);
    mem_free(is);
    harness_fini(&h);
}

// ---- as Redis 7.2.6 ----------------------------------------------------------------------------

static const struct known {
    const char *commands;
    bool compress;
    const char *hex;
} known[] = {
    {"set k 0", true, "00c000"},
    {"set k -128", true, "00c080"},
    {"set k 128", true, "00c18000"},
    {"set k -32769", true, "00c2ff7fffff"},
    {"set k 2147483647", true, "00c2ffffff7f"},
    {"set k 2147483648", true, "000a32313437343833363438"},
    {"set k 9223372036854775807", true, "001339323233333732303336383534373735383037"},
    {"set k abc", true, "0003616263"},
    {"set k \"\"", true, "0000"},
    {"set k 007", true, "0003303037"},
    {"set k 12345678901234567890", true, "00143132333435363738393031323334353637383930"},
    {"set k aaaaaaaaaaaaaaaaaaaa", true, "00146161616161616161616161616161616161616161"},
    {"set k aaaaaaaaaaaaaaaaaaaaa", true, "00c30615016161e00a00"},
    {"set k ababababababababababababababababababababababababababababababababababab"
     "ababababab",
     true, "00c30a405002616261e04201016162"},
    {"set k ababababababababababababababababababababababababababababababababababab"
     "ababababab",
     false,
     "0040506162616261626162616261626162616261626162616261626162616261626162616261"
     "6261626162616261626162616261626162616261626162616261626162616261626162616261"
     "62616261626162"},
    {"set k 1;append k 2", true, "00c00c"},
    {"set k xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", false,
     "0040407878787878787878787878787878787878787878787878787878787878787878787878"
     "7878787878787878787878787878787878787878787878787878787878"},
    {"rpush k 1 2 3 a b c -1 1000 100000 10000000000", true,
     "1201022b2b0000000a00010102010301816102816202816302dfff02c3e802f2a0860104f400"
     "e40b540200000009ff"},
    {"rpush k hello hello hello hello hello hello hello hello hello hello hello he"
     "llo",
     true, "120102c314405b0c5b0000000c008568656c6c6f06e043060106ff"},
    {"rpush k hello hello hello hello hello hello hello hello hello hello hello he"
     "llo",
     false,
     "120102405b5b0000000c008568656c6c6f068568656c6c6f068568656c6c6f068568656c6c6f"
     "068568656c6c6f068568656c6c6f068568656c6c6f068568656c6c6f068568656c6c6f068568"
     "656c6c6f068568656c6c6f068568656c6c6f06ff"},
    {"sadd k 1 2 3", true, "0b0e0200000003000000010002000300"},
    {"sadd k 1 70000 -5", true, "0b140400000003000000fbffffff0100000070110100"},
    {"sadd k 10000000000", true, "0b10080000000100000000e40b5402000000"},
    {"sadd k a 1 bc", true, "1410100000000300816102010182626303ff"},
    {"hset k f v n 17", true, "1012120000000400816602817602816e021101ff"},
    {"hset k field zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", true,
     "10c316404f0e4f0000000200856669656c6406bf7ae035000140ff"},
    {"zadd k 1 a 2.5 b -inf c inf d -3 e 1e300 f 0.1 g", true,
     "113e3e0000000e00816302842d696e6605816502dffd0281670283302e310481610201018162"
     "0283322e35048166028631652b3330300781640283696e6604ff"},
    {"xadd k 1-1 f v;xadd k 2-5 f w;xadd k 3-0 g 17 h x", false,
     "150110000000000000000100000000000000013e3e0000001800030100010101816602000102"
     "01000100018176020401020101010401817702040100010201dfff0202018167021101816802"
     "8178020801ff030300010100000300"},
    {"xadd k 1-1 f v;xadd k 2-5 f w;xdel k 1-1;xgroup create k grp 2-5;xgroup crea"
     "te k other 0 entriesread 1",
     false,
     "1501100000000000000001000000000000000128280000000f00010101010101816602000103"
     "010001000181760204010201010104018177020401ff01020502050101020203677270020581"
     "ffffffffffffffff0000056f746865720000010000"},
    {"xadd k 5-0 a b;xdel k 5-0", false, "1500000500000005000100"},
};

static void test_known(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        expect(known[i].commands, 11, known[i].compress, known[i].hex);
}

// Larger ones: the commands' numbers are i * 7919 % 10007, or i + 1 and i for streams; the length
// and the checksum of Redis's payload, uncompressed.
static const struct known_large {
    const char *command;
    int count;
    size_t bytes;
    uint64_t sum;
} known_large[] = {
    {"rpush k element:%d", 3000, 41740, UINT64_C(0x0d0a2487b7074623)},
    {"lpush k %d", 3000, 10766, UINT64_C(0x6d509be6fecc6d79)},
    {"zadd k %d m:%d", 200, 2991, UINT64_C(0x2c008e7d9d76d862)},
    {"zadd k %d.5 %d", 300, 3308, UINT64_C(0x30f9903c4bfecafa)},
    {"sadd k %d", 512, 1045, UINT64_C(0x95d89bd9db1d26d6)},
    {"xadd k %d-1 f %d", 250, 2757, UINT64_C(0x5ef38ac2ba3fbd88)},
};

static void make_large(struct harness *h, const char *command, int count) {
    harness_init(h, 1);
    h->walk = false;
    bool stream = command[0] == 'x';
    for (int i = 0; i < count; i++) {
        int number = i * 7919 % 10007;
        char line[100];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof line, command, stream ? i + 1 : number, stream ? i : number);
#pragma GCC diagnostic pop
        assert_true(harness_run(h, "%s", line)[0] != '-');
    }
}

static void test_known_large(void **state) {
    (void)state;
    const struct rdb_save how = {.version = 11};
    for (size_t i = 0; i < sizeof known_large / sizeof known_large[0]; i++) {
        struct harness h;
        struct buf out = {0};
        make_large(&h, known_large[i].command, known_large[i].count);
        buf_append_char(&out, (char)rdb_save_type(made(&h), &how));
        rdb_save_value(&out, made(&h), &how);
        buf_append(&out, "\x0b\0", 2);
        assert_int_equal(out.len + 8, known_large[i].bytes);
        assert_int_equal(crc64(0, out.p, out.len), known_large[i].sum);
        buf_free(&out);
        harness_fini(&h);
    }
}

// ---- other versions ----------------------------------------------------------------------------

static void test_older(void **state) {
    (void)state;
    // A ziplist: total, offset of the last element, count, elements, end.
    static const char numbers[] = "rpush k 0 12 13 -1 127 128 -32768 32768 8388607 8388608 "
                                  "2147483648 ab";
    expect(numbers, 9, false,
           "0e013e 3e000000 39000000 0c00 00f1 02fd 02fe0d 03feff 03fe7f 03c08000 04c00080 "
           "04f0008000 05f0ffff7f 05d000008000 06e00000008000000000 0a026162 ff");
    expect("hset k f v", 9, false, "0d11 11000000 0d000000 0200 000166 030176 ff");
    expect("hset k f v", 10, false, "100d 0d0000000200 816602 817602 ff");
    expect("zadd k 1 a 2.5 b", 9, false,
           "0c18 18000000 12000000 0400 000161 03f2 020162 0303322e35 ff");
    expect("zadd k 1 a", 10, false, "110c 0c0000000200 816102 0101 ff");
    expect("sadd k 1 2", 9, false, "0b0c 02000000 02000000 0100 0200");
    expect("sadd k a 1", 10, false, "0202 0161 c001");
    expect("rpush k a", 10, false, "120102 0a 0a0000000100 816102 ff");
    expect("set k 1", 9, false, "00c001");
    expect("xadd k 1-1 f v", 9, false,
           "0f01 10 00000000000000010000000000000001 1d "
           "1d0000000a000101000101018166020001020100010001817602 0401ff 01 0101 00");
}

static void test_fields_that_expire(void **state) {
    (void)state;
    struct harness h;
    const struct rdb_save v11 = {.version = 11}, v12 = {.version = 12};
    make(&h, "hset k f v;hpexpireat k 1800000000000 fields 1 f");
    assert_string_equal(rdb_save_obstacle(made(&h), &v11), "hash field expiration");
    assert_null(rdb_save_obstacle(made(&h), &v12));
    harness_fini(&h);
    static const char small[] = "hset k f v;hpexpireat k 1800000000000 fields 1 f";
    expect(small, 12, false,
           "19 00505c18a3010000 17 170000000300 816602817602f400505c18a301000009ff");
    // None expires any more: Redis keeps the wide form, which older versions do not know.
    static const char none[] = "hset k f v;hpexpireat k 1800000000000 fields 1 f;"
                               "hpersist k fields 1 f";
    expect(none, 12, false, "19 0000000000000000 0f 0f0000000300 816602817602 0001 ff");
    expect(none, 11, false, "10 0d 0d0000000200 816602817602 ff");
    expect(none, 9, false, "0d 11 110000000d0000000200 000166 030176 ff");
    static const char x65[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    char command[200], hex[400];
    snprintf(command, sizeof command, "hset k f %s", x65);
    size_t n = (size_t)snprintf(hex, sizeof hex, "040101664041");
    for (int i = 0; i < 65; i++) n += (size_t)snprintf(hex + n, sizeof hex - n, "78");
    expect(command, 12, false, hex);
    snprintf(command, sizeof command, "hset k f %s;hpexpireat k 1800000000000 fields 1 f", x65);
    n = (size_t)snprintf(hex, sizeof hex, "1800505c18a3010000 01 01 0166 4041");
    for (int i = 0; i < 65; i++) n += (size_t)snprintf(hex + n, sizeof hex - n, "78");
    expect(command, 12, false, hex);
}

static void test_pending_of_streams(void **state) {
    (void)state;
    // The harness's clock stands at 1700000000000 (0x18bcfe56800).
    static const char commands[] =
        "xadd k 1-1 f v;xgroup create k g 0;xreadgroup group g c streams k >;"
        "xgroup createconsumer k g d";
#define NODE                                               \
    "01"                                                   \
    "10"                                                   \
    "00000000000000010000000000000001"                     \
    "1d"                                                   \
    "1d0000000a000101000101018166020001020100010001817602" \
    "0401ff"
#define PENDING "00000000000000010000000000000001"
#define CLOCK   "0068e5cf8b010000"
// The last id; then what version 10 added: first id, deleted ids, entries added.
#define IDS     "0101"
#define ADDED  \
    IDS "0000" \
        "01"
// One group, g; what is pending; and two consumers, of which one has that.
#define GROUP \
    "01"      \
    "0167" IDS
#define GIVEN               \
    "01" PENDING CLOCK "01" \
    "02"
    expect(commands, 9, false,
           "0f" NODE "01" IDS GROUP GIVEN "0163" CLOCK "01" PENDING "0164" CLOCK "00");
    expect(commands, 10, false,
           "13" NODE "01" IDS ADDED GROUP "01" GIVEN "0163" CLOCK "01" PENDING "0164" CLOCK "00");
    expect(commands, 11, false,
           "15" NODE "01" IDS ADDED GROUP "01" GIVEN "0163" CLOCK CLOCK "01" PENDING "0164" CLOCK
           "ffffffffffffffff"
           "00");
#undef IDS
#undef ADDED
#undef GROUP
#undef GIVEN
#undef NODE
#undef PENDING
#undef CLOCK
}

// ---- in steps ----------------------------------------------------------------------------------

/** Writes the entry in steps of random size; the buffer is emptied after each. */
static void save_in_steps(struct buf *out, const struct entry *e, const struct rdb_save *how,
                          struct random *r) {
    struct rdb_saving s;
    struct buf part = {0};
    uint64_t most = random_below(r, 3) == 0 ? 2 : 1000000;
    bool more = true;
    rdb_saving_begin(&s, e, how);
    while (more) {
        part.len = 0;
        more = rdb_saving_step(&s, &part, (size_t)random_below(r, most));
        buf_append(out, part.p, part.len);
    }
    rdb_saving_end(&s);
    buf_free(&part);
}

/** What has been written must be read as the same value. */
static void check_load(const struct entry *e, const struct rdb_save *how, const struct buf *bytes) {
    struct rdb_load load = {.limits = &value_default_limits};
    struct digest before = {0}, after = {0};
    struct rdb_in in;
    struct entry *loaded;
    rdb_in_init(&in, bytes->p, bytes->len, 0);
    enum rdb_loaded result = rdb_load_entry(&load, &in, rdb_save_type(e, how), SLICE_LITERAL("k"),
                                            ENTRY_NO_EXPIRE, &loaded);
    if (result != RDB_LOADED) fail_msg("type %d: %s", rdb_save_type(e, how), in.error);
    assert_int_equal(rdb_in_left(&in), 0);
    // Before version 10 there is no count of all entries of a stream, nor the highest deleted one.
    if (entry_type(e) != ENTRY_STREAM || how->version >= 10) {
        entry_value_digest(e, &before);
        entry_value_digest(loaded, &after);
        assert_memory_equal(&before, &after, sizeof before);
    }
    entry_free(loaded);
    rdb_load_fini(&load);
}

static void check_steps(const struct entry *e, uint64_t seed) {
    struct random r;
    random_init(&r, seed);
    for (int version = 9; version <= 12; version++)
        for (int compress = 0; compress < 2; compress++) {
            const struct rdb_save how = {.version = version, .compress = compress != 0};
            struct buf whole = {0}, steps = {0};
            if (rdb_save_obstacle(e, &how) != NULL) continue;
            rdb_save_value(&whole, e, &how);
            save_in_steps(&steps, e, &how, &r);
            assert_int_equal(whole.len, steps.len);
            assert_memory_equal(whole.p, steps.p, whole.len);
            check_load(e, &how, &whole);
            buf_free(&whole);
            buf_free(&steps);
        }
}

/** A string of n bytes that is compressible where `plain` is not set. */
static void set_long(struct harness *h, const char *command, size_t n, bool plain) {
    char *text = mem_alloc(n + 1);
    struct random r;
    random_init(&r, n);
    for (size_t i = 0; i < n; i++)
        text[i] = plain ? (char)random_next(&r) : (char)('a' + (i / 7 * i) % 5);
    struct slice words[8];
    int argc = 0;
    char *copy = strdup(command), *rest = copy;
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        words[argc++] = strcmp(word, "%") == 0 ? slice_of(text, n) : slice_text(word);
    assert_true(harness_run_words(h, argc, words)[0] != '-');
    free(copy);
    mem_free(text);
}

static void test_steps(void **state) {
    (void)state;
    struct harness h;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        make(&h, known[i].commands);
        check_steps(made(&h), i);
        harness_fini(&h);
    }
    static const char *const large[] = {"rpush k item:%d", "sadd k m:%d", "zadd k %d m:%d",
                                        "hset k f:%d v%d", "sadd k %d",   "xadd k %d-1 f %d",
                                        "append k %d",     "rpush k %d"};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        make_large(&h, large[i], 1500);
        check_steps(made(&h), i);
        harness_fini(&h);
    }
}

static void test_steps_over_more(void **state) {
    (void)state;
    struct harness h;
    static const char *const commands[] = {
        "hset k f v g w h x;hpexpireat k 1800000000000 fields 1 f;hpexpireat k 1900000000000 "
        "fields 1 g",
        "hset k f v g w;hpexpireat k 1800000000000 fields 1 f;hpersist k fields 1 f",
        "xadd k 1-1 f v;xadd k 1-2 f v;xadd k 2-0 g w;xgroup create k g 0;xgroup create k h $;"
        "xreadgroup group g c count 1 streams k >;xreadgroup group g d streams k >;"
        "xgroup createconsumer k h e;xgroup createconsumer k g f;xdel k 1-2",
        "xadd k 1-1 f v;xdel k 1-1;xgroup create k g 0",
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        make(&h, commands[i]);
        check_steps(made(&h), i);
        harness_fini(&h);
    }
    make_large(&h, "hset k f%d v%d", 1000);
    for (int i = 1; i < 400; i++)
        harness_run(&h, "hpexpireat k %d fields 2 f%d f%d", 2000000000 + i, i, i * 3);
    check_steps(made(&h), 4);
    harness_fini(&h);
    make_large(&h, "xadd k %d-1 f %d", 500);
    harness_run(&h, "xgroup create k g 0");
    for (int i = 0; i < 50; i++)
        harness_run(&h, "xreadgroup group g consumer%d count %d streams k >", i % 7, i % 5 + 1);
    check_steps(made(&h), 5);
    harness_fini(&h);
}

static void test_steps_over_long_elements(void **state) {
    (void)state;
    static const char *const commands[] = {"set k %",    "rpush k % a %", "sadd k a %",
                                           "hset k % %", "hset k a %",    "hset k % a",
                                           "zadd k 2 %", "xadd k 1-1 a %"};
    static const size_t lengths[] = {65536, 65537, 200000, 700001};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++)
            for (int plain = 0; plain < 2; plain++) {
                struct harness h;
                harness_init(&h, 1);
                h.walk = false;
                h.settings.limits.list_plain_min = 100000;
                set_long(&h, commands[i], lengths[j], plain != 0);
                if (commands[i][0] == 'z') harness_run(&h, "zadd k 1 b 3 c");
                if (commands[i][0] == 'r') harness_run(&h, "rpush k b");
                check_steps(made(&h), i);
                harness_fini(&h);
            }
}

static void test_steps_over_compressed_nodes(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    h.walk = false;
    h.settings.limits.list_compress_depth = 1;
    h.settings.limits.list_plain_min = 3000;
    for (int i = 0; i < 3000; i++) harness_run(&h, "rpush k item:%d", i);
    check_steps(made(&h), 1);
    set_long(&h, "rpush k %", 5000, false);
    for (int i = 0; i < 2000; i++) harness_run(&h, "rpush k item:%d", i);
    check_steps(made(&h), 2);
    // A compressed node goes out as it is, whatever `compress` says.
    const struct rdb_save how = {.version = 11};
    struct buf out = {0};
    rdb_save_value(&out, made(&h), &how);
    assert_true(out.len < 40000);
    buf_free(&out);
    harness_fini(&h);
}

// ---- long texts --------------------------------------------------------------------------------

static size_t read_length(const uint8_t **p) {
    size_t n = *(*p)++;
    if (n < 0x40) return n;
    if (n < 0x80) return (n & 0x3f) << 8 | *(*p)++;
    assert_int_equal(n, 0x80);
    n = 0;
    for (int i = 0; i < 4; i++) n = n << 8 | *(*p)++;
    return n;
}

/** Saves a string of n bytes; checks that it reads back, and returns how long it has become. */
static size_t save_text(size_t n, bool random, bool compress) {
    struct harness h;
    struct buf out = {0};
    char scratch[NUM_I64_TEXT_MAX];
    const struct rdb_save how = {.version = 11, .compress = compress};
    harness_init(&h, 1);
    h.walk = false;
    set_long(&h, "set k %", n, random);
    struct slice text = entry_string(made(&h), scratch);
    rdb_save_value(&out, made(&h), &how);
    const uint8_t *p = (const uint8_t *)out.p;
    size_t length = out.len;
    if (*p == 0xc3) {
        p++;
        size_t packed = read_length(&p), bytes = read_length(&p);
        assert_int_equal(bytes, n);
        assert_ptr_equal(p + packed, out.p + out.len);
        char *plain = mem_alloc(n);
        assert_int_equal(lzf_decompress(p, (unsigned)packed, plain, (unsigned)n), n);
        assert_memory_equal(plain, text.p, n);
        mem_free(plain);
    } else {
        assert_int_equal(read_length(&p), n);
        assert_ptr_equal(p + n, out.p + out.len);
        assert_memory_equal(p, text.p, n);
    }
    buf_free(&out);
    harness_fini(&h);
    return length;
}

static void test_long_texts(void **state) {
    (void)state;
    static const size_t lengths[] = {21, 63, 64, 1000, 16383, 16384, 65536, 65537, 131072, 1000003};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = lengths[i], head = n < 64 ? 1 : n < 16384 ? 2 : 5;
        assert_int_equal(save_text(n, false, false), n + head);
        assert_int_equal(save_text(n, true, true), n + head);
        if (n > 1000) assert_true(save_text(n, false, true) < n / 2);
    }
    size_t most = (size_t)16 << 20;
    assert_true(save_text(most, false, true) < most / 2);
    assert_int_equal(save_text(most + 1, false, true), most + 6);
}

/** A saving that is given up keeps nothing (the sanitizer looks). */
static void test_given_up(void **state) {
    (void)state;
    struct harness h;
    struct rdb_saving s;
    struct buf out = {0};
    const struct rdb_save how = {.version = 11, .compress = true};
    harness_init(&h, 1);
    set_long(&h, "set k %", 300000, false);
    rdb_saving_begin(&s, made(&h), &how);
    assert_true(rdb_saving_step(&s, &out, 1));
    assert_true(rdb_saving_step(&s, &out, 70000));
    rdb_saving_end(&s);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    harness_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_known_large),
        cmocka_unit_test(test_older),
        cmocka_unit_test(test_fields_that_expire),
        cmocka_unit_test(test_pending_of_streams),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_steps_over_more),
        cmocka_unit_test(test_steps_over_long_elements),
        cmocka_unit_test(test_steps_over_compressed_nodes),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
