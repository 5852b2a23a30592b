// SPDX-License-Identifier: BSD-3-Clause
//
// HyperLogLog commands through the command table, against what Redis 7.2.6 answers and keeps: the
// bytes of the value and the estimate at several numbers of elements, errors, what counts as a
// change, values that are on their way out to a client. Hashes of Redis's bytes stand here in
// place of the bytes. One process, one thread.
#include "tests/unit/commands/harness.h"

#include "engine/encoding/hll.h"

#define NOT_ONE  "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"
#define ZEROS_10 "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
#define CORRUPT  "-INVALIDOBJ Corrupted HLL object detected\r\n"

static struct entry *entry_at(struct harness *h, const char *name) {
    struct keyspace *ks = h->shards[0];
    return db_find(&ks->dbs[0], key_of(ks, slice_text(name))).entry;
}

static struct slice bytes_at(struct harness *h, const char *name) {
    char scratch[NUM_I64_TEXT_MAX];
    struct entry *e = entry_at(h, name);
    assert_non_null(e);
    return entry_string(e, scratch);
}

static uint64_t fnv(struct slice text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (uint8_t)text.p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/** Adds "<name> <from>" and so on up to `to`, a PFADD each. */
static void add_numbered(struct harness *h, const char *key, const char *name, int from, int to) {
    for (int i = from; i < to; i++) {
        char text[40];
        int n = snprintf(text, sizeof text, "%s %d", name, i);
        struct slice words[] = {SLICE_LITERAL("PFADD"), slice_text(key), slice_of(text, (size_t)n)};
        harness_run_words(h, 3, words);
    }
}

static void expect_bytes(struct harness *h, const char *key, size_t n, uint64_t hash) {
    struct slice bytes = bytes_at(h, key);
    assert_true(hll_is_valid(bytes));
    assert_int_equal(bytes.n, n);
    assert_int_equal(fnv(bytes), hash);
}

static void test_bytes_and_estimates_of_redis(void **state) {
    struct harness *h = *state;
    static const struct {
        int elements;
        size_t bytes;
        uint64_t hash;
        const char *estimate;
    } redis[] = {
        {1, 21, UINT64_C(0xe38f5885342b0435), ":1\r\n"},
        {10, 48, UINT64_C(0x4c36694998b0d318), ":10\r\n"},
        {100, 287, UINT64_C(0x8548a09bd92a32e5), ":100\r\n"},
        {1000, 1910, UINT64_C(0x0a12f5f657ac8423), ":1003\r\n"},
        {2000, 12304, UINT64_C(0x17ca716be640e937), ":1988\r\n"},
        {5000, 12304, UINT64_C(0xa662aa8a0f4abb65), ":4980\r\n"},
        {100000, 12304, UINT64_C(0xbce48517f6c518c7), ":99652\r\n"},
    };
    int elements = 0;
    h->walk = false;
    for (size_t i = 0; i < sizeof redis / sizeof *redis; i++) {
        add_numbered(h, "k", "element", elements, redis[i].elements);
        elements = redis[i].elements;
        expect_bytes(h, "k", redis[i].bytes, redis[i].hash);
        EXPECT(h, redis[i].estimate, "PFCOUNT k");
    }
    add_numbered(h, "a", "a", 0, 300);
    add_numbered(h, "b", "b", 0, 400);
    h->walk = true;
    EXPECT(h, OK, "PFMERGE m a b");
    expect_bytes(h, "m", 1386, UINT64_C(0x115f3fa044a3feeb));
    EXPECT(h, ":696\r\n", "PFCOUNT m");
    EXPECT(h, ":696\r\n", "PFCOUNT a b none");
    EXPECT(h, OK, "PFMERGE m a k");
    assert_int_equal(bytes_at(h, "m").n, HLL_DENSE_BYTES);
    EXPECT(h, "+dense\r\n", "PFDEBUG ENCODING m");
    EXPECT(h, harness_run(h, "PFCOUNT a b k"), "PFCOUNT m");
}

/** Compares a value with bytes in full. */
#define EXPECT_BYTES(h, key, literal)                                \
    do {                                                             \
        struct slice bytes_ = bytes_at((h), (key));                  \
        assert_int_equal(bytes_.n, sizeof(literal) - 1);             \
        assert_memory_equal(bytes_.p, literal, sizeof(literal) - 1); \
    } while (0)

static void test_pfadd(void **state) {
    struct harness *h = *state;
    EXPECT_MODIFIED(h, 1, "PFADD k");
    EXPECT_BYTES(h, "k", "HYLL\1\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff");
    EXPECT_MODIFIED(h, 0, "PFADD k");
    EXPECT(h, ":0\r\n", "PFADD k");
    uint64_t dirty = h->shards[0]->stats.dirty;
    EXPECT(h, ":1\r\n", "PFADD s x y x");
    assert_int_equal(h->shards[0]->stats.dirty - dirty, 3); // the key and two registers
    EXPECT_BYTES(h, "s",
                 "HYLL\1\0\0\0\0\0\0\0\0\0\0\x80zS\x88"
                 "E\xa0\x84\x08");
    EXPECT(h, ":0\r\n", "PFADD s x");
    EXPECT(h, ":2\r\n", "PFCOUNT s");
    EXPECT_BYTES(h, "s",
                 "HYLL\1\0\0\0\2\0\0\0\0\0\0\0zS\x88"
                 "E\xa0\x84\x08");
    assert_string_equal(entry_encoding_name(entry_at(h, "s")), "raw");
    // Time to live stays, also when the value moves.
    EXPECT(h, ":1\r\n", "EXPIRE s 100");
    add_numbered(h, "s", "more", 0, 400);
    EXPECT(h, ":100\r\n", "TTL s");
    EXPECT(h, "+sparse\r\n", "PFDEBUG ENCODING s");
}

static void test_sparse_limit(void **state) {
    struct harness *h = *state;
    h->settings.limits.hll_sparse_max_bytes = 30;
    for (int i = 0; i < 40; i++) {
        add_numbered(h, "k", "e", i, i + 1);
        struct slice bytes = bytes_at(h, "k");
        bool dense = bytes.n == HLL_DENSE_BYTES;
        assert_true(dense || bytes.n <= 30);
        assert_true(dense || i < 10);
    }
    EXPECT(h, "+dense\r\n", "PFDEBUG ENCODING k");
    assert_int_equal(entry_memory(entry_at(h, "k")) / 16384, 0); // no room for more than it is
    h->settings.limits.hll_sparse_max_bytes = 0;
    EXPECT(h, ":1\r\n", "PFADD z a");
    EXPECT(h, "+dense\r\n", "PFDEBUG ENCODING z");
    EXPECT(h, ":1\r\n", "PFCOUNT z");
}

static void test_pfcount_keeps_the_estimate(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":0\r\n", "PFCOUNT none");
    EXPECT(h, ":0\r\n", "PFCOUNT none none2");
    EXPECT(h, ":1\r\n", "PFADD k a b c");
    h->view.frozen = true;
    EXPECT_MODIFIED(h, 0, "PFCOUNT k");
    assert_int_equal((uint8_t)bytes_at(h, "k").p[15], 0x80);
    h->view.frozen = false;
    EXPECT_MODIFIED(h, 0, "PFCOUNT k none");
    assert_int_equal((uint8_t)bytes_at(h, "k").p[15], 0x80);
    EXPECT_MODIFIED(h, 1, "PFCOUNT k");
    assert_string_equal(h->latest_effect.p, "PFCOUNT k");
    assert_int_equal(bytes_at(h, "k").p[15], 0);
    EXPECT_MODIFIED(h, 0, "PFCOUNT k");
    EXPECT(h, ":3\r\n", "PFCOUNT k");
    // What is kept is believed.
    harness_run(h, "SETRANGE k 8 c");
    EXPECT(h, ":99\r\n", "PFCOUNT k");
    EXPECT(h, ":0\r\n", "PFADD k a");
    EXPECT(h, ":99\r\n", "PFCOUNT k");
    EXPECT(h, ":1\r\n", "PFADD k d");
    EXPECT(h, ":4\r\n", "PFCOUNT k");
}

/** A client still receives the value: it gets the bytes as they were. */
static void test_values_on_their_way_out(void **state) {
    struct harness *h = *state;
    add_numbered(h, "k", "e", 0, 1000);
    for (int round = 0; round < 4; round++) {
        if (round == 2) harness_run(h, "PFDEBUG TODENSE k");
        struct blob *b = entry_string_blob(entry_at(h, "k"));
        assert_non_null(b);
        blob_hold(b);
        uint64_t hash = fnv(blob_text(b));
        if (round % 2)
            harness_run(h, "PFCOUNT k");
        else
            add_numbered(h, "k", "more", round * 1000, round * 1000 + 20);
        assert_int_equal(fnv(blob_text(b)), hash);
        assert_int_not_equal(fnv(bytes_at(h, "k")), hash);
        blob_drop(b);
    }
}

static void test_pfmerge(void **state) {
    struct harness *h = *state;
    EXPECT_MODIFIED(h, 1, "PFMERGE d");
    EXPECT_BYTES(h, "d", "HYLL\1\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff");
    EXPECT(h, ":1\r\n", "PFADD a 1 2 3");
    EXPECT(h, ":1\r\n", "PFADD b 3 4 5");
    EXPECT(h, OK, "PFMERGE d a b none");
    EXPECT(h, ":5\r\n", "PFCOUNT d");
    EXPECT(h, ":5\r\n", "PFCOUNT a b");
    EXPECT(h, ":3\r\n", "PFCOUNT a");
    EXPECT(h, OK, "PFMERGE a a");
    EXPECT(h, ":3\r\n", "PFCOUNT a");
    // Too many runs for the sparse form: dense on the way.
    h->walk = false;
    add_numbered(h, "x", "x", 0, 1200);
    add_numbered(h, "y", "y", 0, 1200);
    h->walk = true;
    EXPECT(h, "+sparse\r\n", "PFDEBUG ENCODING x");
    EXPECT(h, OK, "PFMERGE z x y");
    EXPECT(h, "+dense\r\n", "PFDEBUG ENCODING z");
    char estimate[32];
    snprintf(estimate, sizeof estimate, "%s", harness_run(h, "PFCOUNT x y"));
    EXPECT(h, estimate, "PFCOUNT z");
    EXPECT(h, OK, "PFMERGE a z");
    EXPECT(h, OK, "PFMERGE z a b");
    EXPECT(h, "+dense\r\n", "PFDEBUG ENCODING a");
}

static void test_keys_on_several_shards(void **state) {
    struct harness *h = *state;
    for (int i = 0; i < 8; i++) EXPECT(h, ":1\r\n", "PFADD key%d a%d b%d", i, i, i);
    EXPECT(h, ":16\r\n", "PFCOUNT key0 key1 key2 key3 key4 key5 key6 key7");
    EXPECT(h, OK, "PFMERGE d key0 key1 key2 key3 key4 key5 key6 key7");
    EXPECT(h, ":16\r\n", "PFCOUNT d");
}

static void test_errors(void **state) {
    struct harness *h = *state;
    const char *wrong_type =
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    EXPECT(h, ":1\r\n", "PFADD k a");
    static const char *const texts[] = {
        "5",
        "''",
        "HYLL",
        "HYLLxxxxxxxxxxxx",
        "\"HYLL\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff\"",
        "\"HYLL\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff\"",
        "\"hyll\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff\""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        EXPECT(h, OK, "SET s %s", texts[i]);
        EXPECT(h, NOT_ONE, "PFADD s a");
        EXPECT(h, NOT_ONE, "PFCOUNT s");
        EXPECT(h, NOT_ONE, "PFCOUNT k s");
        EXPECT(h, NOT_ONE, "PFMERGE s k");
        EXPECT(h, NOT_ONE, "PFMERGE k s");
        EXPECT(h, NOT_ONE, "PFDEBUG ENCODING s");
    }
    EXPECT(h, ":1\r\n", "SADD set a");
    EXPECT(h, wrong_type, "PFADD set a");
    EXPECT(h, wrong_type, "PFCOUNT set");
    EXPECT(h, wrong_type, "PFMERGE k set");
    EXPECT(h, wrong_type, "PFDEBUG GETREG set");
    EXPECT(h, "-ERR The specified key does not exist\r\n", "PFDEBUG GETREG none");
    EXPECT(h, "-ERR Unknown PFDEBUG subcommand 'what'\r\n", "PFDEBUG what k");
    // The last run is missing.
    EXPECT(h, OK,
           "SET c \"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\"");
    EXPECT(h, CORRUPT, "PFADD c a");
    EXPECT(h, CORRUPT, "PFCOUNT c");
    EXPECT(h, CORRUPT, "PFCOUNT k c");
    EXPECT(h, CORRUPT, "PFMERGE k c");
    EXPECT(h, CORRUPT, "PFMERGE new c");
    EXPECT(h, ":0\r\n", "EXISTS new");
    EXPECT(h, CORRUPT, "PFDEBUG GETREG c");
    EXPECT(h, CORRUPT, "PFDEBUG TODENSE c");
    EXPECT(h, "$7\r\nZ:16129\r\n", "PFDEBUG DECODE c");
    // It is there if it is of one register, since Redis takes the byte that is missing for a zero.
    EXPECT(h, OK,
           "SET c "
           "\"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xfe\\x40\"");
    EXPECT(h, ":0\r\n", "PFCOUNT c");
    EXPECT(h, "$11\r\nZ:16383 Z:1\r\n", "PFDEBUG DECODE c");
    EXPECT(h, ":1\r\n", "PFADD c a");
    EXPECT(h, ":1\r\n", "PFCOUNT c");
    EXPECT(h, "+sparse\r\n", "PFDEBUG ENCODING c");
    // Found to be corrupt only when it has to become dense.
    h->settings.limits.hll_sparse_max_bytes = 18;
    EXPECT(
        h, OK,
        "SET c "
        "\"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff\\x7f\\xff\"");
    EXPECT(h, CORRUPT, "PFADD c a");
    EXPECT(h, ":20\r\n", "STRLEN c");
    EXPECT(h, OK,
           "SET c \"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xf0\"");
    EXPECT(h, CORRUPT, "PFADD c a");
    EXPECT(h, ":18\r\n", "STRLEN c");
}

static void test_pfdebug(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":1\r\n", "PFADD s x y");
    EXPECT(h, "+sparse\r\n", "PFDEBUG encoding s");
    EXPECT(h, "$30\r\nZ:14932 v:3,1 Z:1441 v:2,1 z:9\r\n", "PFDEBUG decode s");
    EXPECT_MODIFIED(h, 0, "PFDEBUG todense s");
    EXPECT(h, ":0\r\n", "PFDEBUG todense s");
    EXPECT(h, "+dense\r\n", "PFDEBUG encoding s");
    EXPECT(h, "-ERR HLL encoding is not sparse\r\n", "PFDEBUG decode s");
    EXPECT(h, ":2\r\n", "PFCOUNT s");
    EXPECT(h, ":1\r\n", "PFADD t x y");
    const char *registers = harness_run(h, "PFDEBUG getreg t");
    assert_int_equal(strncmp(registers, "*16384\r\n:0\r\n", 12), 0);
    assert_non_null(strstr(registers, ":3\r\n"));
    EXPECT(h, "+dense\r\n", "PFDEBUG encoding t");
    EXPECT(h, OK, "PFSELFTEST");
}

static void test_corrupt_values_that_move(void **state) {
    struct harness *h = *state;
    // All registers but one, in two bytes: corrupt, which shows once it has to become dense.
    h->settings.limits.hll_sparse_max_bytes = 0;
    EXPECT(h, OK, "SET c \"HYLL\\x01" ZEROS_10 "\\x80\\x7f\\xfe\"");
    for (int i = 0; i < 20; i++) EXPECT(h, CORRUPT, "PFADD c %d", i);
    EXPECT(h, ":18\r\n", "STRLEN c");
    EXPECT_MODIFIED(h, 0, "PFADD c a");
    EXPECT(h, ":1\r\n", "DEL c");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_and_estimates_of_redis, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_pfadd, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_sparse_limit, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_pfcount_keeps_the_estimate, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_values_on_their_way_out, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_pfmerge, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_keys_on_several_shards, harness_setup_shards,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_errors, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_corrupt_values_that_move, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_pfdebug, harness_setup, harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
