// SPDX-License-Identifier: BSD-3-Clause
//
// What the pieces that every command passes through cost: hashing, numbers, replies, patterns,
// memory, parsing. Inputs vary within a loop where a constant would let branch prediction flatter
// the result. One thread, no clock: main.cc measures. See bench_base.h for the calls.
#include "bench/micro/bench_base.h"

#include <string.h>

#include "engine/acl/acl_user.h"
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/glob.h"
#include "engine/base/hash.h"
#include "engine/base/num.h"
#include "engine/base/random.h"
#include "engine/base/reply.h"
#include "net/resp_parser.h"

#define BYTES_MAX  4096
#define VARIANTS   64 // inputs that a loop goes round, a power of two
#define BATCH      50
#define OUT_KEEP   (64 * 1024)
#define BULK_MAX   (512 * 1024 * 1024)
#define DIGITS_MAX 19

static char bytes[BYTES_MAX + VARIANTS];

static void fill_bytes(void) {
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (char)('a' + i % 23);
}

uint64_t bench_hash_bytes(uint64_t operations, size_t n) {
    ASSERT(n <= BYTES_MAX);
    fill_bytes();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) sum += hash_bytes(bytes + i % VARIANTS, n, 7);
    return sum;
}

uint64_t bench_hash_slot(uint64_t operations, size_t n) {
    ASSERT(n <= BYTES_MAX);
    fill_bytes();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) sum += hash_slot(slice_of(bytes + i % VARIANTS, n));
    return sum;
}

static void fill_numbers(int64_t numbers[VARIANTS], unsigned digits) {
    ASSERT(digits >= 1 && digits <= DIGITS_MAX);
    uint64_t low = 1;
    for (unsigned i = 1; i < digits; i++) low *= 10;
    uint64_t high = digits == DIGITS_MAX ? INT64_MAX : low * 10 - 1;
    struct random r;
    random_init(&r, digits);
    for (int i = 0; i < VARIANTS; i++) {
        numbers[i] = (int64_t)(low + random_below(&r, high - low + 1));
    }
}

uint64_t bench_num_format_i64(uint64_t operations, unsigned digits) {
    int64_t numbers[VARIANTS];
    fill_numbers(numbers, digits);
    char out[NUM_I64_TEXT_MAX];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        sum += num_format_i64(out, numbers[i % VARIANTS]);
        sum += (unsigned char)out[0];
    }
    return sum;
}

uint64_t bench_num_parse_i64(uint64_t operations, unsigned digits) {
    int64_t numbers[VARIANTS], value;
    char texts[VARIANTS][NUM_I64_TEXT_MAX];
    fill_numbers(numbers, digits);
    for (int i = 0; i < VARIANTS; i++) num_format_i64(texts[i], numbers[i]);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        bool taken = num_parse_i64(slice_of(texts[i % VARIANTS], digits), &value);
        ASSERT(taken);
        sum += (uint64_t)value;
    }
    return sum;
}

uint64_t bench_num_format_double(uint64_t operations) {
    int64_t numbers[VARIANTS];
    fill_numbers(numbers, 9);
    char out[NUM_DOUBLE_TEXT_MAX];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        sum += num_format_double(out, (double)numbers[i % VARIANTS] / 1000);
    }
    return sum;
}

uint64_t bench_reply_bulk(uint64_t operations, size_t n) {
    ASSERT(n <= BYTES_MAX);
    fill_bytes();
    struct buf out = {0};
    struct reply r;
    reply_init(&r, &out, 2);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        reply_bulk(&r, bytes, n);
        if (out.len < OUT_KEEP) continue;
        sum += out.len;
        out.len = 0;
    }
    sum += out.len;
    buf_free(&out);
    return sum;
}

uint64_t bench_reply_int(uint64_t operations) {
    struct buf out = {0};
    struct reply r;
    reply_init(&r, &out, 2);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        reply_int(&r, (int64_t)(i % 1000));
        if (out.len < OUT_KEEP) continue;
        sum += out.len;
        out.len = 0;
    }
    sum += out.len;
    buf_free(&out);
    return sum;
}

uint64_t bench_glob(uint64_t operations) {
    struct slice pattern = SLICE_LITERAL("user:*:session:[0-9]*");
    struct slice text = SLICE_LITERAL("user:1234567:profile:session:42");
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) sum += glob_match(pattern, text, false) ? 1 : 0;
    return sum;
}

uint64_t bench_alloc(uint64_t operations, size_t n) {
    void *blocks[VARIANTS] = {NULL};
    for (uint64_t i = 0; i < operations; i++) {
        mem_free(blocks[i % VARIANTS]);
        blocks[i % VARIANTS] = mem_alloc(n);
    }
    uint64_t sum = 0;
    for (int i = 0; i < VARIANTS; i++) {
        sum += (uintptr_t)blocks[i];
        mem_free(blocks[i]);
    }
    return sum;
}

uint64_t bench_parse_get(uint64_t operations) {
    static const char command[] = "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n";
    const size_t length = sizeof(command) - 1;
    char batch[BATCH * sizeof(command)];
    for (size_t i = 0; i < BATCH; i++) memcpy(batch + i * length, command, length);
    struct resp_limits limits = {.bulk_max = BULK_MAX, .authenticated = true};
    struct resp_parser parser;
    struct resp_args args = {0};
    struct resp_result result;
    resp_parser_init(&parser);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        size_t at = i % BATCH * length;
        if (at == 0) args.len = 0;
        enum resp_status status =
            resp_parse(&parser, batch + at, BATCH * length - at, &limits, &args, &result);
        ASSERT(status == RESP_COMMAND && result.consumed == length);
        sum += (uint64_t)result.argc;
    }
    resp_args_free(&args);
    resp_parser_fini(&parser);
    return sum;
}

uint64_t bench_acl_check(uint64_t operations) {
    static const struct slice rules[] = {SLICE_LITERAL("on"), SLICE_LITERAL("nopass"),
                                         SLICE_LITERAL("+@read"), SLICE_LITERAL("~other:*"),
                                         SLICE_LITERAL("~key:*")};
    const struct slice argv[] = {SLICE_LITERAL("GET"), SLICE_LITERAL("key:000000000042")};
    const struct command *get = command_find(argv[0]);
    struct acl_user *user = acl_user_new(SLICE_LITERAL("bench"), 1, false);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        enum acl_error error = acl_user_apply(user, rules[i], false);
        ASSERT(error == ACL_OK);
    }
    uint64_t allowed = 0;
    for (uint64_t i = 0; i < operations; i++) {
        int arg;
        allowed += acl_user_check(user, get, 2, argv, &arg) == ACL_ALLOWED;
    }
    ASSERT(allowed == operations);
    acl_user_release(user);
    return allowed;
}
