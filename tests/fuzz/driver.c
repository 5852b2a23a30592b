// SPDX-License-Identifier: BSD-3-Clause
//
// A main() for fuzz targets where libFuzzer is not at hand (gcc builds). It replays the files and
// folders it is given, then feeds -runs=N inputs made from them by seeded mutation: random bytes,
// copied and cut pieces, splices of two inputs, words that protocols are made of. Same seed, same
// inputs; the seed and the number of the run are printed before a crash takes the process down, and
// the input is left in crash-input (behind -artifact_prefix=). One thread. Invariant: the target
// sees each input in a block of exactly its size, so that a sanitizer sees a read past the end.
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX  65536
#define CORPUS_MAX 4096

struct input {
    uint8_t *bytes;
    size_t n;
};

// What a signal handler needs to know has to be global.
static struct input current;
static uint64_t seed = 1, run;
static const char *crash_prefix = "";

static const char *const words[] = {
    "\r\n",
    "*1\r\n",
    "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "$0\r\n\r\n",
    "*0\r\n",
    "PING\r\n",
    "SET",
    "GET",
    "MULTI",
    "EXEC",
    "\"",
    "'",
    "\\x",
    "$536870912\r\n",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551616",
    "inf",
    "nan",
    "{",
    "}",
    "*1048577\r\n",
    "REDIS0011",
};

static void on_crash(int number) {
    char text[4400], path[4200];
    int n = snprintf(text, sizeof(text),
                     "\nfuzz driver: signal %d at -seed=%" PRIu64 " run %" PRIu64
                     ", input left in %scrash-input\n",
                     number, seed, run, crash_prefix);
    if (n < 0 || (size_t)n >= sizeof(text)) n = 0;
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)n);
    snprintf(path, sizeof(path), "%scrash-input", crash_prefix);
    FILE *f = fopen(path, "wb");
    if (f != NULL) {
        fwrite(current.bytes, 1, current.n, f);
        fclose(f);
    }
    (void)ignored;
    signal(number, SIG_DFL);
    raise(number);
}

static void feed(const uint8_t *bytes, size_t n) {
    uint8_t *exact = malloc(n == 0 ? 1 : n);
    if (exact == NULL) abort();
    memcpy(exact, bytes, n);
    current = (struct input){exact, n};
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static size_t load(const char *path, struct input *corpus, size_t count) {
    struct stat info;
    if (stat(path, &info) != 0) {
        perror(path);
        exit(1);
    }
    if (S_ISDIR(info.st_mode)) {
        DIR *folder = opendir(path);
        if (folder == NULL) return count;
        for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
            char inner[4096];
            if (e->d_name[0] == '.') continue;
            snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
            count = load(inner, corpus, count);
        }
        closedir(folder);
        return count;
    }
    FILE *f = fopen(path, "rb");
    if (f == NULL || count == CORPUS_MAX) {
        if (f != NULL) fclose(f);
        return count;
    }
    uint8_t *bytes = malloc(INPUT_MAX);
    if (bytes == NULL) abort();
    size_t n = fread(bytes, 1, INPUT_MAX, f);
    fclose(f);
    corpus[count] = (struct input){bytes, n};
    return count + 1;
}

static size_t insert(uint8_t *bytes, size_t n, size_t at, const void *what, size_t length) {
    if (length > INPUT_MAX - n) return n;
    memmove(bytes + at + length, bytes + at, n - at);
    memcpy(bytes + at, what, length);
    return n + length;
}

static size_t mutate(struct random *r, uint8_t *bytes, size_t n, const struct input *other) {
    size_t at = (size_t)random_below(r, n + 1);
    size_t length = (size_t)random_below(r, n - at + 1);
    if (random_below(r, 2) == 0 && length > 16) length = 16;
    uint64_t value = random_next(r);
    uint8_t piece[256];
    switch (random_below(r, 8)) {
    case 0: // flip a bit
        if (at < n) bytes[at] ^= (uint8_t)(1u << (value & 7));
        return n;
    case 1: // another byte
        if (at < n) bytes[at] = (uint8_t)value;
        return n;
    case 2: // a few random bytes in between
        return insert(bytes, n, at, &value, (size_t)random_below(r, 8) + 1);
    case 3: // cut a piece out
        memmove(bytes + at, bytes + at + length, n - at - length);
        return n - length;
    case 4: // a piece twice
        if (length > sizeof(piece)) length = sizeof(piece);
        memcpy(piece, bytes + at, length);
        return insert(bytes, n, at, piece, length);
    case 5: { // a word
        const char *word = words[value % (sizeof(words) / sizeof(words[0]))];
        return insert(bytes, n, at, word, strlen(word));
    }
    case 6: // the end of another input
        if (other->n == 0) return n;
        length = (size_t)random_below(r, other->n + 1);
        if (length > INPUT_MAX - at) length = INPUT_MAX - at;
        memcpy(bytes + at, other->bytes + other->n - length, length);
        return at + length;
    default: // a digit counts one up
        if (at < n && bytes[at] >= '0' && bytes[at] <= '8') bytes[at]++;
        return n;
    }
}

static void run_random(uint64_t runs, const struct input *corpus, size_t count) {
    static uint8_t bytes[INPUT_MAX];
    static const struct input nothing;
    struct random r;
    random_init(&r, seed);
    for (run = 0; run < runs; run++) {
        size_t n = 0;
        const struct input *other = &nothing;
        if (count != 0 && random_below(&r, 8) != 0) {
            const struct input *base = &corpus[random_below(&r, count)];
            other = &corpus[random_below(&r, count)];
            n = base->n;
            memcpy(bytes, base->bytes, n);
        }
        uint64_t steps = 1 + random_below(&r, 16);
        for (uint64_t i = 0; i < steps; i++) n = mutate(&r, bytes, n, other);
        feed(bytes, n);
    }
}

int main(int argc, char **argv) {
    static struct input corpus[CORPUS_MAX];
    size_t count = 0;
    uint64_t runs = 0;
    signal(SIGABRT, on_crash);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0) {
            runs = strtoull(argv[i] + 6, NULL, 10);
        } else if (strncmp(argv[i], "-seed=", 6) == 0) {
            seed = strtoull(argv[i] + 6, NULL, 10);
        } else if (strncmp(argv[i], "-artifact_prefix=", 17) == 0) {
            crash_prefix = argv[i] + 17;
        } else {
            count = load(argv[i], corpus, count);
        }
    }
    for (size_t i = 0; i < count; i++) feed(corpus[i].bytes, corpus[i].n);
    run_random(runs, corpus, count);
    printf("%zu files and %" PRIu64 " runs of seed %" PRIu64 ": no finding\n", count, runs, seed);
    for (size_t i = 0; i < count; i++) free(corpus[i].bytes);
    return 0;
}
