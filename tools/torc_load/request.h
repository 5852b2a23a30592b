// SPDX-License-Identifier: BSD-3-Clause
/*
 * Requests as ready-made bytes in which only keys and numbers (and sizes that vary) are written.
 *
 * A template is the RESP form of one command, built once before the run:
 *
 *     *3 $3 SET $16 key:000000000000 $32 <value>
 *                   holes[0].at--^ only the last digits change
 *
 * Templates are shared by all threads and never change; each worker writes copies of them into its
 * own send buffer. Invariant: keys have one width and numbers have one, so a template's length is
 * fixed unless the value size is a range.
 */
#ifndef TORC_TOOLS_TORC_LOAD_REQUEST_H
#define TORC_TOOLS_TORC_LOAD_REQUEST_H

#include "tools/torc_load/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How keys and values look; shared by all templates of a run. */
struct request_format {
    const char *key_prefix;
    uint64_t keys;
    uint32_t key_size;
    uint32_t digits;  /* digits that differ between keys; the ones before them are zeros */
    uint64_t numbers; /* __number__ is below this */
    uint32_t number_digits;
    uint64_t value_min;
    uint64_t value_max;
    char *value; /* value_max bytes of text */
};

/* Where the digits of a key or of a number are written. */
struct request_hole {
    uint32_t at;
    bool is_number;
};

struct request_template {
    char *bytes;
    size_t len;
    size_t max_len; /* with every varying value at its largest */
    struct request_hole *holes;
    uint32_t hole_count;
    size_t *value_at; /* where a value of varying size is inserted, header included */
    uint32_t value_count;
    bool counts_hits; /* nulls and values in its reply are misses and hits */
    char name[24];    /* first word, for the report */
};

/* Fills in both counts of digits and the value text. Returns NULL or what is wrong with the
 * format (static). */
const char *request_format_init(struct request_format *f, uint64_t seed);

/* Builds a template from command text: words, "quoted" or 'quoted', in which __key__, __data__ and
 * __number__ stand for a key, a value and the digits of a number. Returns NULL, or what is
 * wrong (static text). */
const char *request_compile(struct request_template *t, const struct request_format *f,
                            const char *text);

/* Frees what the template owns. */
void request_template_fini(struct request_template *t);

/* Writes one request with keys from `source` at `out` (at least max_len bytes); its length. */
size_t request_write(const struct request_template *t, const struct request_format *f,
                     struct key_source *source, char *out);

/* The same with this key in place of the source's next ones; the source still draws sizes and
 * numbers. */
size_t request_write_key(const struct request_template *t, const struct request_format *f,
                         struct key_source *source, uint64_t key, char *out);

#endif
