// SPDX-License-Identifier: BSD-3-Clause
//
// Bit commands through the command table, against the replies that Redis 7.2 gives, and against
// plain bit-by-bit models on random strings: counting and searching over every kind of range,
// operations over strings of different lengths, fields of every width and overflow rule. One
// process, one thread.
#include "tests/unit/commands/harness.h"

#include "engine/base/random.h"

#define BAD_OFFSET "-ERR bit offset is not an integer or out of range\r\n"
#define BAD_BIT    "-ERR bit is not an integer or out of range\r\n"
#define BAD_TYPE                                                                                 \
    "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but " \
    "i64 "                                                                                       \
    "is.\r\n"

static struct entry *entry_at(struct harness *h, const char *name) {
    struct keyspace *ks = h->shards[0];
    return db_find(&ks->dbs[0], key_of(ks, slice_text(name))).entry;
}

static void expect_encoding(struct harness *h, const char *name, const char *encoding) {
    struct entry *e = entry_at(h, name);
    assert_non_null(e);
    assert_string_equal(entry_encoding_name(e), encoding);
}

static void set_bytes(struct harness *h, const char *key, const uint8_t *bytes, size_t n) {
    struct slice words[3] = {SLICE_LITERAL("SET"), slice_text(key), slice_of(bytes, n)};
    assert_string_equal(harness_run_words(h, 3, words), OK);
}

/** The reply ":n" of a line. */
__attribute__((format(printf, 2, 3))) static int64_t run_int(struct harness *h, const char *format,
                                                             ...) {
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    const char *reply = harness_run(h, "%s", line);
    assert_int_equal(reply[0], ':');
    return strtoll(reply + 1, NULL, 10);
}

static bool bit_at(const uint8_t *bytes, uint64_t at) { return bytes[at / 8] >> (7 - at % 8) & 1; }

static void test_setbit(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":0\r\n", "SETBIT k 7 1");
    EXPECT(h, "$1\r\n\x01\r\n", "GET k");
    expect_encoding(h, "k", "raw");
    EXPECT(h, ":1\r\n", "SETBIT k 7 0");
    EXPECT_MODIFIED(h, 0, "SETBIT k 7 0");
    EXPECT_MODIFIED(h, 1, "SETBIT k 7 1");
    EXPECT_MODIFIED(h, 1, "SETBIT k 8 0"); // one byte longer
    EXPECT(h, ":2\r\n", "STRLEN k");
    EXPECT_MODIFIED(h, 1, "SETBIT new 0 0");
    EXPECT(h, ":1\r\n", "STRLEN new");
    EXPECT(h, OK, "SET n 5 EX 10");
    EXPECT_MODIFIED(h, 0, "SETBIT n 2 1"); // '5' has that bit: made writable, not modified
    expect_encoding(h, "n", "raw");
    EXPECT(h, "$1\r\n5\r\n", "GET n");
    assert_int_equal(entry_expire_ms(entry_at(h, "n")), h->now_ms + 10000);
    EXPECT(h, BAD_OFFSET, "SETBIT k -1 1");
    EXPECT(h, BAD_OFFSET, "SETBIT k x 1");
    EXPECT(h, BAD_OFFSET, "SETBIT k #1 1");
    EXPECT(h, BAD_OFFSET, "SETBIT k 4294967296 x");
    EXPECT(h, BAD_BIT, "SETBIT k 0 2");
    EXPECT(h, BAD_BIT, "SETBIT k 0 -1");
    EXPECT(h, BAD_BIT, "SETBIT k 0 x");
}

static void test_getbit(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":0\r\n", "GETBIT k 4294967295");
    EXPECT(h, BAD_OFFSET, "GETBIT k 4294967296");
    EXPECT(h, BAD_OFFSET, "GETBIT k -1");
    EXPECT(h, OK, "SET k \"\\x80\\x01\"");
    EXPECT(h, ":1\r\n", "GETBIT k 0");
    EXPECT(h, ":0\r\n", "GETBIT k 1");
    EXPECT(h, ":1\r\n", "GETBIT k 15");
    EXPECT(h, ":0\r\n", "GETBIT k 16");
    EXPECT(h, OK, "SET k 1");
    EXPECT(h, ":1\r\n", "GETBIT k 7");
    expect_encoding(h, "k", "int");
}

static void test_setbit_far(void **state) {
    struct harness *h = *state;
    static const uint64_t bytes[] = {0,    1,    43,   44,    45,    1022,
                                     1023, 1024, 1025, 65535, 65536, 300000};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        assert_int_equal(run_int(h, "SETBIT k %llu 1", (unsigned long long)bytes[i] * 8 + 3), 0);
        assert_int_equal(run_int(h, "STRLEN k"), bytes[i] + 1);
        assert_int_equal(run_int(h, "BITCOUNT k"), i + 1);
    }
}

static void test_bitcount(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":0\r\n", "BITCOUNT missing a b"); // absent comes before the arguments
    EXPECT(h, OK, "SET k foobar");
    EXPECT(h, ":26\r\n", "BITCOUNT k");
    EXPECT(h, ":4\r\n", "BITCOUNT k 0 0");
    EXPECT(h, ":6\r\n", "BITCOUNT k 1 1 BYTE");
    EXPECT(h, ":17\r\n", "BITCOUNT k 5 30 BIT");
    EXPECT(h, ":0\r\n", "BITCOUNT k 6 100");
    EXPECT(h, ":26\r\n", "BITCOUNT k -9223372036854775808 9223372036854775807 bit");
    EXPECT(h, ":0\r\n", "BITCOUNT k -1 -2 FOO"); // empty comes before the unit
    EXPECT(h, SYNTAX, "BITCOUNT k 0 1 FOO");
    EXPECT(h, SYNTAX, "BITCOUNT k 0");
    EXPECT(h, SYNTAX, "BITCOUNT k 0 1 BIT x");
    EXPECT(h, NOT_INTEGER, "BITCOUNT k a 1");
    EXPECT(h, NOT_INTEGER, "BITCOUNT k 0 b FOO");
    EXPECT(h, OK, "SET k 12");
    EXPECT(h, ":6\r\n", "BITCOUNT k");
    EXPECT(h, OK, "SET k \"\"");
    EXPECT(h, ":0\r\n", "BITCOUNT k 0 -1");
}

static void test_bitpos(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":0\r\n", "BITPOS missing 0 x");
    EXPECT(h, ":-1\r\n", "BITPOS missing 1");
    EXPECT(h, OK, "SET k \"\\xff\\xf0\\x00\"");
    EXPECT(h, ":12\r\n", "BITPOS k 0");
    EXPECT(h, ":8\r\n", "BITPOS k 1 1");
    EXPECT(h, ":-1\r\n", "BITPOS k 1 2");
    EXPECT(h, ":7\r\n", "BITPOS k 1 7 15 BIT");
    EXPECT(h, ":-1\r\n", "BITPOS k 0 4 11 BIT");
    EXPECT(h, ":0\r\n", "BITPOS k 1 -100 -1");
    EXPECT(h, OK, "SET k \"\\xff\\xff\\xff\"");
    EXPECT(h, ":24\r\n", "BITPOS k 0");
    EXPECT(h, ":24\r\n", "BITPOS k 0 1");
    EXPECT(h, ":-1\r\n", "BITPOS k 0 0 -1");
    EXPECT(h, ":-1\r\n", "BITPOS k 0 3");
    EXPECT(h, OK, "SET k \"\"");
    EXPECT(h, ":-1\r\n", "BITPOS k 0");
    EXPECT(h, "-ERR The bit argument must be 1 or 0.\r\n", "BITPOS k 2");
    EXPECT(h, NOT_INTEGER, "BITPOS k x");
    EXPECT(h, NOT_INTEGER, "BITPOS k 0 x 1 FOO");
    EXPECT(h, SYNTAX, "BITPOS k 0 0 x FOO");
    EXPECT(h, NOT_INTEGER, "BITPOS k 0 0 x BIT");
    EXPECT(h, SYNTAX, "BITPOS k 0 0 1 BIT x");
}

/** Long runs of equal bytes with a few others, so that searches cross words. */
static void fill(struct random *random, uint8_t *bytes, size_t n) {
    uint64_t kind = random_below(random, 3);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = kind == 0 ? 0 : kind == 1 ? 0xff : (uint8_t)random_next(random);
    }
    for (uint64_t i = random_below(random, 3); n > 0 && i > 0; i--) {
        bytes[random_below(random, n)] = (uint8_t)random_next(random);
    }
}

static int64_t clipped(int64_t at, int64_t total) {
    if (at < 0) at += total;
    return at < 0 ? 0 : at;
}

static void test_ranges_random(void **state) {
    struct harness *h = *state;
    struct random random;
    random_init(&random, 11);
    uint8_t bytes[200];
    for (int round = 0; round < 4000; round++) {
        size_t n = random_below(&random, round % 4 ? 40 : sizeof(bytes));
        bool unit_is_bit = random_below(&random, 2);
        int64_t total = (int64_t)n * (unit_is_bit ? 8 : 1);
        int64_t start = (int64_t)random_below(&random, (uint64_t)total * 2 + 5) - total - 2;
        int64_t end = (int64_t)random_below(&random, (uint64_t)total * 2 + 5) - total - 2;
        const char *unit = unit_is_bit ? "BIT" : "BYTE";
        fill(&random, bytes, n);
        set_bytes(h, "k", bytes, n);

        int64_t first = clipped(start, total), last = clipped(end, total),
                scale = unit_is_bit ? 1 : 8;
        if (last >= total) last = total - 1;
        int64_t count = 0, set = -1, clear = -1;
        for (int64_t at = first * scale; at < (last + 1) * scale; at++) {
            bool bit = bit_at(bytes, (uint64_t)at);
            count += bit;
            if (bit && set < 0) set = at;
            if (!bit && clear < 0) clear = at;
        }
        long long s = start, e = end;
        // Both from the end and the wrong way round: empty for BITCOUNT before anything is clipped.
        bool crossed = start < 0 && end < 0 && start > end;
        assert_int_equal(run_int(h, "BITCOUNT k %lld %lld %s", s, e, unit), crossed ? 0 : count);
        assert_int_equal(run_int(h, "BITPOS k 1 %lld %lld %s", s, e, unit), set);
        assert_int_equal(run_int(h, "BITPOS k 0 %lld %lld %s", s, e, unit), clear);
    }
}

static void test_bitop(void **state) {
    struct harness *h = *state;
    EXPECT(h, OK, "MSET a abc b abcdef n 12");
    EXPECT(h, ":6\r\n", "BITOP AND d a b");
    EXPECT(h, "$6\r\nabc\0\0\0\r\n", "GET d");
    assert_memory_equal(h->reply.p, "$6\r\nabc\0\0\0\r\n", 12);
    EXPECT(h, ":6\r\n", "BITOP or d a b missing");
    EXPECT(h, "$6\r\nabcdef\r\n", "GET d");
    EXPECT(h, ":3\r\n", "BITOP XOR a a a"); // the destination is a source
    harness_run(h, "GET a");
    assert_memory_equal(h->reply.p, "$3\r\n\0\0\0\r\n", 9);
    EXPECT(h, ":2\r\n", "BITOP NOT d n");
    EXPECT(h, "$2\r\n\xce\xcd\r\n", "GET d");
    EXPECT(h, OK, "SET d x EX 10");
    EXPECT_MODIFIED(h, 1, "BITOP OR d n");
    EXPECT(h, "$2\r\n12\r\n", "GET d");
    EXPECT_MODIFIED(h, 1, "BITOP OR d missing");
    EXPECT(h, NIL, "GET d");
    EXPECT_MODIFIED(h, 0, "BITOP OR d missing");
    EXPECT(h, ":0\r\n", "BITOP AND d missing");
    EXPECT(h, "-ERR BITOP NOT must be called with a single source key.\r\n", "BITOP NOT d a b");
    EXPECT(h, SYNTAX, "BITOP FOO d a");
    EXPECT(h, "-ERR wrong number of arguments for 'bitop' command\r\n", "BITOP AND d");
}

static void test_bitop_encoding(void **state) {
    struct harness *h = *state;
    EXPECT(h, OK, "SET n 12 EX 10");
    EXPECT(h, ":2\r\n", "BITOP OR d n");
    expect_encoding(h, "d", "raw");
    EXPECT(h, OK, "SET d x EX 10");
    EXPECT(h, ":2\r\n", "BITOP OR d n");
    assert_int_equal(entry_expire_ms(entry_at(h, "d")), ENTRY_NO_EXPIRE);
}

static void test_bitop_random(void **state) {
    struct harness *h = *state;
    static const char *const names[] = {"AND", "OR", "XOR", "NOT"};
    static const size_t sizes[] = {0, 1, 7, 8, 9, 31, 32, 33, 100, 1024, 1025, 70000};
    static uint8_t source[3][70000], expected[70000];
    struct random random;
    random_init(&random, 13);
    for (int round = 0; round < 300; round++) {
        size_t op = random_below(&random, 4), sources = op == 3 ? 1 : 1 + random_below(&random, 3);
        size_t n[3] = {0}, longest = 0;
        for (size_t i = 0; i < sources; i++) {
            n[i] = sizes[random_below(&random, round % 10 ? 9 : 12)];
            if (n[i] > longest) longest = n[i];
            memset(source[i], 0, sizeof(source[i]));
            for (size_t j = 0; j < n[i]; j++) source[i][j] = (uint8_t)random_next(&random);
            set_bytes(h, (const char *[]){"a", "b", "c"}[i], source[i], n[i]);
        }
        for (size_t j = 0; j < longest; j++) {
            uint8_t byte = op == 3 ? (uint8_t)~source[0][j] : source[0][j];
            for (size_t i = 1; i < sources; i++) {
                if (op == 0) byte &= source[i][j];
                if (op == 1) byte |= source[i][j];
                if (op == 2) byte ^= source[i][j];
            }
            expected[j] = byte;
        }
        static const char *const keys[] = {"a", "a b", "a b c"};
        assert_int_equal(run_int(h, "BITOP %s d %s", names[op], keys[sources - 1]), longest);
        if (longest == 0) continue;
        char header[16];
        int width = snprintf(header, sizeof(header), "$%zu\r\n", longest);
        harness_run(h, "GET d");
        assert_int_equal(h->reply.len, (size_t)width + longest + 2);
        assert_memory_equal(h->reply.p + width, expected, longest);
    }
}

static void test_bitfield(void **state) {
    struct harness *h = *state;
    EXPECT(h, "*0\r\n", "BITFIELD k");
    EXPECT(h, "*1\r\n:0\r\n", "BITFIELD k GET u8 0");
    EXPECT(h, NIL, "GET k");
    EXPECT(h, "*2\r\n:1\r\n:0\r\n", "BITFIELD k INCRBY i5 100 1 GET u4 0");
    EXPECT(h, ":14\r\n", "STRLEN k");
    EXPECT(h, "*2\r\n:0\r\n:-1\r\n", "BITFIELD m SET i8 #1 255 GET i8 #1");
    EXPECT(h, "*1\r\n:-256\r\n", "BITFIELD m GET i16 8");
    EXPECT(h, "*4\r\n:1\r\n:1\r\n:2\r\n:2\r\n",
           "BITFIELD c incrby u2 100 1 OVERFLOW SAT incrby u2 102 1 OVERFLOW WRAP incrby u2 100 1 "
           "overflow sat incrby u2 102 1");
    EXPECT(h, "*1\r\n$-1\r\n", "BITFIELD c OVERFLOW FAIL incrby u2 100 2");
    EXPECT(h, OK, "SET n 12");
    EXPECT(h, "*1\r\n:49\r\n", "BITFIELD n GET u8 0");
    expect_encoding(h, "n", "int");
    EXPECT(h, "*2\r\n:49\r\n:12594\r\n", "BITFIELD_RO n GET u8 0 GET u16 0");
    h->proto = 3;
    EXPECT(h, "*1\r\n_\r\n", "BITFIELD c OVERFLOW FAIL incrby u2 100 2");
}

static void test_bitfield_errors(void **state) {
    struct harness *h = *state;
    static const char *const types[] = {"u64", "i65", "u0", "i0", "x8", "u", "\"\"", "8", "u08"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        EXPECT(h, BAD_TYPE, "BITFIELD k GET %s x", types[i]);
    }
    EXPECT(h, BAD_OFFSET, "BITFIELD k GET u8 -1");
    EXPECT(h, BAD_OFFSET, "BITFIELD k GET u8 #");
    EXPECT(h, BAD_OFFSET, "BITFIELD k GET u8 \"\"");
    EXPECT(h, BAD_OFFSET, "BITFIELD k GET u8 4294967296");
    EXPECT(h, BAD_OFFSET, "BITFIELD k SET u8 #536870912 x");
    EXPECT(h, "*1\r\n:0\r\n", "BITFIELD k GET u8 #2305843009213693952"); // wraps to 0
    EXPECT(h, NOT_INTEGER, "BITFIELD k SET u8 0 x");
    EXPECT(h, SYNTAX, "BITFIELD k GET u8");
    EXPECT(h, SYNTAX, "BITFIELD k SET u8 0");
    EXPECT(h, SYNTAX, "BITFIELD k FOO u8 0");
    EXPECT(h, SYNTAX, "BITFIELD k OVERFLOW");
    EXPECT(h, SYNTAX, "BITFIELD k SET u8 0 1 FOO");
    EXPECT(h, "-ERR Invalid OVERFLOW type specified\r\n", "BITFIELD k OVERFLOW FOO");
    EXPECT(h, "-ERR BITFIELD_RO only supports the GET subcommand\r\n", "BITFIELD_RO k SET u8 0 1");
    EXPECT(h, NIL, "GET k");
}

static void test_bitfield_saturation(void **state) {
    struct harness *h = *state;
    EXPECT(h, "*2\r\n:0\r\n:127\r\n", "BITFIELD k OVERFLOW SAT SET i8 0 128 GET i8 0");
    EXPECT(h, "*2\r\n:127\r\n:-128\r\n", "BITFIELD k OVERFLOW SAT SET i8 0 -129 GET i8 0");
    EXPECT(h, "*2\r\n:-128\r\n:-128\r\n",
           "BITFIELD k OVERFLOW SAT SET i8 0 -9223372036854775680 GET i8 0");
    EXPECT(h, "*2\r\n:-128\r\n:127\r\n",
           "BITFIELD k OVERFLOW SAT SET i8 0 -9223372036854775681 GET i8 0");
    EXPECT(h, "*2\r\n:0\r\n:255\r\n", "BITFIELD k OVERFLOW SAT SET u8 8 -1 GET u8 8");
    EXPECT(h, "*1\r\n:0\r\n", "BITFIELD k OVERFLOW SAT INCRBY u8 8 -256");
    EXPECT(h, "*2\r\n:9223372036854775807\r\n:9223372036854775807\r\n",
           "BITFIELD w OVERFLOW SAT INCRBY i64 0 9223372036854775807 INCRBY i64 0 1");
    EXPECT(h, "*1\r\n:-9223372036854775808\r\n", "BITFIELD w INCRBY i64 0 1");
    EXPECT(h, "*1\r\n:-9223372036854775808\r\n",
           "BITFIELD w OVERFLOW SAT INCRBY i64 0 -9223372036854775808");
    EXPECT(h, "*2\r\n:9223372036854775807\r\n:0\r\n",
           "BITFIELD u INCRBY u63 1 9223372036854775807 INCRBY u63 1 1");
}

static void test_bitfield_modified(void **state) {
    struct harness *h = *state;
    EXPECT_MODIFIED(h, 0, "BITFIELD k OVERFLOW FAIL SET u8 0 256");
    EXPECT(h, "$1\r\n\0\r\n", "GET k"); // made all the same, as Redis does
    expect_encoding(h, "k", "raw");
    EXPECT_MODIFIED(h, 0, "BITFIELD k SET u8 0 0");
    EXPECT_MODIFIED(h, 1, "BITFIELD k SET u8 0 1 SET u8 0 2");
    EXPECT_MODIFIED(h, 1, "BITFIELD k SET u8 8 0");
    EXPECT_MODIFIED(h, 0, "BITFIELD k INCRBY u8 0 0");
    EXPECT_MODIFIED(h, 0, "BITFIELD k GET u8 0");
    uint64_t dirty = h->shards[0]->stats.dirty;
    harness_run(h, "BITFIELD k SET u8 0 7 SET u8 0 8 SET u8 0 8");
    assert_int_equal(h->shards[0]->stats.dirty - dirty, 2);
}

static void write_bits(uint8_t *bytes, uint64_t offset, unsigned bits, uint64_t value) {
    for (unsigned i = 0; i < bits; i++) {
        uint64_t at = offset + i;
        uint8_t mask = (uint8_t)(0x80 >> at % 8);
        bool bit = value >> (bits - 1 - i) & 1;
        bytes[at / 8] = (uint8_t)(bit ? bytes[at / 8] | mask : bytes[at / 8] & ~mask);
    }
}

static int64_t read_bits(const uint8_t *bytes, uint64_t offset, unsigned bits, bool is_signed) {
    uint64_t value = is_signed && bit_at(bytes, offset) ? UINT64_MAX : 0;
    for (unsigned i = 0; i < bits; i++) value = value << 1 | bit_at(bytes, offset + i);
    return (int64_t)value;
}

static void test_bitfield_random(void **state) {
    struct harness *h = *state;
    uint8_t model[64] = {0};
    struct random random;
    random_init(&random, 17);
    set_bytes(h, "k", model, sizeof(model));
    for (int round = 0; round < 20000; round++) {
        bool is_signed = random_below(&random, 2);
        unsigned bits = 1 + (unsigned)random_below(&random, is_signed ? 64 : 63);
        uint64_t offset = random_below(&random, sizeof(model) * 8 - 64);
        int64_t operand = (int64_t)random_next(&random) >> random_below(&random, 64);
        bool is_set = random_below(&random, 2);
        int64_t old = read_bits(model, offset, bits, is_signed);
        uint64_t raw = is_set ? (uint64_t)operand : (uint64_t)old + (uint64_t)operand;
        write_bits(model, offset, bits, raw);
        int64_t now = read_bits(model, offset, bits, is_signed);
        char expected[64];
        snprintf(expected, sizeof(expected), "*2\r\n:%lld\r\n:%lld\r\n",
                 (long long)(is_set ? old : now), (long long)now);
        char field[32];
        snprintf(field, sizeof(field), "%c%u %llu", is_signed ? 'i' : 'u', bits,
                 (unsigned long long)offset);
        EXPECT(h, expected, "BITFIELD k %s %s %lld GET %s", is_set ? "SET" : "INCRBY", field,
               (long long)operand, field);
    }
    harness_run(h, "GET k");
    assert_memory_equal(h->reply.p + 5, model, sizeof(model));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_setbit),
        TEST(test_getbit),
        TEST(test_setbit_far),
        TEST(test_bitcount),
        TEST(test_bitpos),
        TEST(test_ranges_random),
        TEST(test_bitop),
        TEST(test_bitop_encoding),
        cmocka_unit_test_setup_teardown(test_bitop_random, harness_setup_shards, harness_teardown),
        TEST(test_bitfield),
        TEST(test_bitfield_errors),
        TEST(test_bitfield_saturation),
        TEST(test_bitfield_modified),
        TEST(test_bitfield_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
