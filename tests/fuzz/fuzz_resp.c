// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for net/resp_parser.c. The first byte of an input chooses: odd, the rest is a stream
// as it would arrive; even, the rest is a script from which a mostly valid stream is generated (so
// no corpus of files is needed) together with what it must be parsed into. Each stream is parsed
// whole and in random pieces, every call from a fresh block of exactly its size. Invariants: both
// ways give the same commands and the same error, every slice lies within the command's bytes,
// nothing is consumed that is not there. With FUZZ_STANDALONE: `fuzz_resp <runs> <seed>` or
// `fuzz_resp <file>...`.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/buf.h"
#include "engine/base/random.h"
#include "net/resp_parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
    const uint8_t *p;
    size_t n;
};

static unsigned take(struct script *s, unsigned bound) {
    if (s->n == 0) return 0;
    s->n--;
    return *s->p++ % bound;
}

static void note_command(struct buf *out, const struct slice *v, int argc) {
    buf_printf(out, "%d:", argc);
    for (int i = 0; i < argc; i++) {
        buf_printf(out, "%zu=", v[i].n);
        buf_append(out, v[i].p, v[i].n);
    }
    buf_append_char(out, '\n');
}

/** Appends an argument of up to some bytes that are no trouble within quotes either. */
static void add_argument(struct script *s, struct buf *arg) {
    static const unsigned lengths[] = {0,   1,   2,   3,    9,    10,    11,   99,
                                       100, 101, 999, 1000, 9999, 10000, 17000};
    unsigned n = lengths[take(s, 64) % (take(s, 4) == 0 ? 15 : 6)];
    unsigned first = take(s, 26);
    if (n == 0) return;
    char *p = buf_reserve(arg, n);
    for (unsigned i = 0; i < n; i++) p[i] = (char)('a' + (first + i) % 26);
    arg->len += n;
}

static void generate_array(struct script *s, struct buf *stream, struct buf *expected) {
    struct slice v[40];
    struct buf bytes = {0};
    size_t ends[40];
    int argc = 1 + (int)take(s, take(s, 4) == 0 ? 40 : 4);
    for (int i = 0; i < argc; i++) {
        add_argument(s, &bytes);
        if (take(s, 8) == 0) buf_append(&bytes, "\r\n\0$1*", 6);
        ends[i] = bytes.len;
    }
    buf_printf(stream, "*%d\r\n", argc);
    for (int i = 0; i < argc; i++) {
        size_t start = i == 0 ? 0 : ends[i - 1];
        v[i] = slice_of(bytes.p == NULL ? "" : bytes.p + start, ends[i] - start);
        buf_printf(stream, "$%zu\r\n", v[i].n);
        buf_append(stream, v[i].p, v[i].n);
        buf_append(stream, "\r\n", 2);
    }
    note_command(expected, v, argc);
    buf_free(&bytes);
}

/**
 * An inline command of quoted and bare words; the expectation is what stands between the quotes.
 */
static void generate_inline(struct script *s, struct buf *stream, struct buf *expected) {
    static const char *const wires[] = {"word", "'single \\' quote'", "\"\\x41\\n\\\"\"", "\"\"",
                                        "a\"b c\""};
    static const char *const words[] = {"word", "single ' quote", "A\n\"", "", "ab c"};
    struct slice v[8];
    int argc = 1 + (int)take(s, 8);
    for (int i = 0; i < argc; i++) {
        unsigned which = take(s, 5);
        v[i] = slice_text(words[which]);
        if (i > 0 || take(s, 4) == 0) buf_append_text(stream, take(s, 2) ? " " : "\t  ");
        buf_append_text(stream, wires[which]);
    }
    buf_append_text(stream, take(s, 2) ? "\r\n" : "\n");
    note_command(expected, v, argc);
}

static void generate(struct script *s, struct buf *stream, struct buf *expected) {
    static const char *const nothings[] = {"*0\r\n", "*-1\r\n", "\r\n", "\n", "   \r\n"};
    while (s->n > 0 && stream->len < 200000) {
        switch (take(s, 8)) {
        case 0:
            buf_append_text(stream, nothings[take(s, 5)]);
            buf_append_text(expected, "-\n");
            break;
        case 1: generate_inline(s, stream, expected); break;
        default: generate_array(s, stream, expected);
        }
    }
}

/** Writes down what the stream is parsed into, shown in random pieces, or whole when r is NULL. */
static void transcribe(const char *stream, size_t n, struct random *r,
                       const struct resp_limits *limits, struct buf *out) {
    struct resp_parser parser;
    struct resp_args args = {0};
    struct resp_result result;
    resp_parser_init(&parser);
    size_t start = 0, shown = r == NULL ? n : 0;
    size_t piece_max = r == NULL ? n : (size_t)1 << random_below(r, 15);
    if (piece_max < n / 128) piece_max = n / 128; // or a long stream would take for ever
    enum resp_status status = RESP_MORE;
    while (status != RESP_ERROR) {
        size_t there = shown - start;
        char *data = malloc(there > 0 ? there : 1);
        ASSERT(data != NULL);
        if (there > 0) memcpy(data, stream + start, there);
        size_t len_before = args.len;
        status = resp_parse(&parser, data, there, limits, &args, &result);
        ASSERT(args.len <= args.cap);
        if (status == RESP_COMMAND) {
            ASSERT(result.argc > 0);
            ASSERT(result.first == len_before && args.len == len_before + (size_t)result.argc);
            for (size_t i = result.first; i < args.len; i++) {
                const char *p = args.v[i].p, *end = p + args.v[i].n;
                ASSERT((p >= data && end <= data + result.consumed) ||
                       (p >= args.line && end <= args.line + args.line_cap));
            }
            note_command(out, args.v + result.first, result.argc);
            if (args.len > 100) args.len = 0;
        } else {
            ASSERT(args.len == len_before);
        }
        if (status == RESP_NOTHING) buf_append_text(out, "-\n");
        if (status == RESP_ERROR) buf_append_text(out, result.error);
        free(data);
        if (status == RESP_COMMAND || status == RESP_NOTHING) {
            ASSERT(result.consumed > 0 && result.consumed <= there);
            ASSERT(parser.position == 0 && parser.args_left == 0 && parser.offsets == NULL);
            start += result.consumed;
        } else if (status == RESP_MORE) {
            ASSERT(result.missing >= 1);
            ASSERT(parser.position <= there);
            // Room is made for what came only: an argument takes six bytes to say.
            ASSERT(parser.offset_cap <= there / 2 + 64);
            if (shown == n) break;
            size_t step = 1 + (size_t)random_below(r, piece_max);
            shown = n - shown < step ? n : shown + step;
        }
    }
    ASSERT(args.cap <= n / 2 + 1024);
    resp_parser_fini(&parser);
    resp_args_free(&args);
}

static void check(const char *stream, size_t n, uint64_t seed, const struct resp_limits *limits,
                  const struct buf *expected) {
    struct buf whole = {0}, pieces = {0};
    struct random r;
    random_init(&r, seed);
    transcribe(stream, n, NULL, limits, &whole);
    transcribe(stream, n, &r, limits, &pieces);
    ASSERT(whole.len == pieces.len);
    ASSERT(whole.len == 0 || memcmp(whole.p, pieces.p, whole.len) == 0);
    if (expected != NULL) {
        ASSERT(whole.len == expected->len);
        ASSERT(whole.len == 0 || memcmp(whole.p, expected->p, whole.len) == 0);
    }
    buf_free(&whole);
    buf_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct resp_limits limits[] = {
        {.bulk_max = 512LL << 20, .authenticated = true},
        {.bulk_max = 512LL << 20, .authenticated = false},
        {.bulk_max = 1000, .authenticated = true},
    };
    if (size == 0) return 0;
    uint64_t seed = size;
    for (size_t i = 0; i < size && i < 64; i++) seed = seed * 31 + data[i];
    const struct resp_limits *l = &limits[(data[0] >> 1) % 3];
    if (data[0] & 1) {
        check((const char *)data + 1, size - 1, seed, l, NULL);
        return 0;
    }
    struct script s = {data + 1, size - 1};
    struct buf stream = {0}, expected = {0};
    generate(&s, &stream, &expected);
    check(stream.p, stream.len, seed, &limits[0], &expected);
    // The same with a few bytes damaged: no expectation but that both ways agree.
    struct random r;
    random_init(&r, seed);
    for (int i = 0; i < 3 && stream.len > 0; i++) {
        stream.p[random_below(&r, stream.len)] = "\r\n*$'\" 19-\\x\0a"[random_below(&r, 14)];
    }
    check(stream.p, stream.len, seed, l, NULL);
    buf_free(&stream);
    buf_free(&expected);
    return 0;
}

#ifdef FUZZ_STANDALONE
static void replay(const char *path) {
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    ASSERT(file != NULL);
    LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof(bytes), file));
    fclose(file);
}

int main(int argc, char **argv) {
    if (argc != 3 || strspn(argv[1], "0123456789") != strlen(argv[1])) {
        for (int i = 1; i < argc; i++) replay(argv[i]);
        return 0;
    }
    uint64_t runs = strtoull(argv[1], NULL, 10), seed = strtoull(argv[2], NULL, 10);
    static uint8_t bytes[512];
    for (uint64_t i = 0; i < runs; i++) {
        struct random r;
        random_init(&r, seed + i); // so that a failure is repeated by `1 <seed + i>`
        if (i % 1000 == 0) printf("run %llu\n", (unsigned long long)(seed + i));
        size_t n = 1 + (size_t)random_below(&r, random_below(&r, 4) == 0 ? sizeof(bytes) : 64);
        for (size_t k = 0; k < n; k++) bytes[k] = (uint8_t)random_next(&r);
        // Raw streams of random bytes are all alike: make them of the alphabet of the protocol.
        if (bytes[0] & 1) {
            for (size_t k = 1; k < n; k++)
                bytes[k] = (uint8_t) "*$\r\n\r\n1230'\"\\ ab"[bytes[k] % 16];
        }
        LLVMFuzzerTestOneInput(bytes, n);
    }
    return 0;
}
#endif
