// SPDX-License-Identifier: BSD-3-Clause
//
// torc-rdb check: reads a file as a load does, makes every value and lets it go again, and goes on
// after what a load would stop at, as far as the file's form allows it. What is wrong is told with
// its place; in the end stand a summary and a verdict. Main thread. Invariant: STATUS_OK means that
// torc with its defaults loads the file; problems are counted beyond those that are shown.
#include "engine/base/alloc.h"
#include "tools/torc_rdb/commands.h"
#include "tools/torc_rdb/input.h"
#include "tools/torc_rdb/keyset.h"
#include "tools/torc_rdb/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define DUPLICATES_AMONG ((size_t)8 * 1000 * 1000)
#define TYPE_NUMBERS     256

/** Why something would not load, or is worth knowing. */
enum finding {
    FOUND_WRONG,     // values that are damaged: the file is refused
    FOUND_DUPLICATE, // keys that occur twice: refused
    FOUND_DATABASE,  // databases that there are not: refused
    FOUND_UNKNOWN,   // modules' values and the like: refused, or left out with `rdb-unknown skip`
    FOUND_IGNORED,   // what is not loaded, without harm to keys
    FINDINGS
};

struct check {
    const struct options *options;
    struct input in;
    struct keyset keys;
    uint64_t found[FINDINGS];
    uint64_t loaded, empty, expired, expiring, with_field_expiry, functions, dbs;
    uint64_t by_type[TYPE_NUMBERS], type_bytes[TYPE_NUMBERS];
    uint32_t last_db;
    char server[64], created[32];
};

/** Counts a finding and shows it, unless enough of its kind have been. */
static void find(struct check *c, enum finding what, uint64_t offset, const char *why) {
    const struct rdb_record *item = &c->in.reader.item;
    if (c->found[what]++ >= c->options->problems) return;
    progress_clear(&c->in.progress);
    printf("offset %" PRIu64 ": ", offset);
    if (item->is_record) {
        printf("db %u, key ", item->db);
        text_print_key(stdout, item->key, 100);
        printf(": ");
    }
    printf("%s\n", why);
}

static void find_duplicate(struct check *c) {
    const struct rdb_record *record = &c->in.reader.item;
    if (!c->options->all_duplicates && c->keys.count >= DUPLICATES_AMONG) return;
    if (!keyset_add(&c->keys, record->db, record->key))
        find(c, FOUND_DUPLICATE, record->raw_offset, "the key occurs a second time");
}

static void check_record(struct check *c) {
    const struct rdb_record *record = &c->in.reader.item;
    c->by_type[record->type]++;
    c->type_bytes[record->type] += record->raw.n;
    find_duplicate(c);
    struct entry *e;
    switch (input_entry(&c->in, &e)) {
    case RDB_LOADED:
        ASSERT_DEV(entry_is_valid(e));
        c->loaded++;
        c->expired += input_expired(&c->in);
        c->expiring += record->expire_ms != ENTRY_NO_EXPIRE;
        c->with_field_expiry +=
            entry_type(e) == ENTRY_HASH && value_part_expire_ms(entry_value(e)) >= 0;
        entry_free(e);
        break;
    case RDB_LOAD_EMPTY: c->empty++; break;
    case RDB_LOAD_MORE: // only of steps
    case RDB_LOAD_FAILED: find(c, FOUND_WRONG, c->in.in.error_at, c->in.in.error); break;
    case RDB_LOAD_UNKNOWN: find(c, FOUND_UNKNOWN, c->in.in.error_at, c->in.in.error); break;
    }
}

/** Which server wrote the file, and when. */
static void check_aux(struct check *c) {
    const struct rdb_record *aux = &c->in.reader.item;
    const char *server = slice_is(aux->key, "redis-ver")    ? "Redis"
                         : slice_is(aux->key, "valkey-ver") ? "Valkey"
                         : slice_is(aux->key, "torc-ver")   ? "torc"
                                                            : NULL;
    if (server != NULL)
        snprintf(c->server, sizeof(c->server), "%s %.*s", server,
                 (int)(aux->text.n < 40 ? aux->text.n : 40), aux->text.p);
    int64_t seconds;
    struct tm tm;
    if (slice_is(aux->key, "ctime") && num_parse_i64(aux->text, &seconds)) {
        time_t when = (time_t)seconds;
        if (gmtime_r(&when, &tm) != NULL)
            strftime(c->created, sizeof(c->created), "%Y-%m-%d %H:%M:%S UTC", &tm);
    }
}

static void check_module_aux(struct check *c) {
    char why[80];
    snprintf(why, sizeof(why), "data of the module '%.9s', which are not loaded",
             c->in.reader.item.key.p);
    find(c, FOUND_IGNORED, c->in.reader.item.raw_offset, why);
}

static void check_function(struct check *c) {
    c->functions++;
    find(c, FOUND_UNKNOWN, c->in.reader.item.raw_offset,
         "a library of functions, which torc does not have");
}

static void check_db(struct check *c) {
    uint32_t db = c->in.reader.item.db;
    if (db >= c->options->databases) {
        char why[96];
        snprintf(why, sizeof(why), "database %" PRIu32 ", and `databases` allows %" PRIu64, db,
                 c->options->databases);
        find(c, FOUND_DATABASE, c->in.reader.item.raw_offset, why);
    }
    if (c->dbs == 0 || db != c->last_db) c->dbs++;
    c->last_db = db;
}

static void check_item(struct check *c, enum rdb_item item) {
    const struct rdb_reader *r = &c->in.reader;
    switch (item) {
    case RDB_ITEM_RECORD: check_record(c); break;
    case RDB_ITEM_AUX: check_aux(c); break;
    case RDB_ITEM_DB: check_db(c); break;
    case RDB_ITEM_FUNCTION: check_function(c); break;
    case RDB_ITEM_MODULE_AUX: check_module_aux(c); break;
    case RDB_ITEM_UNKNOWN:
        if (r->item.is_record) {
            c->by_type[r->item.type]++;
            c->type_bytes[r->item.type] += r->item.raw.n;
        }
        find(c, FOUND_UNKNOWN, r->in.error_at, r->in.error);
        break;
    default: break;
    }
}

static void print_unshown(const struct check *c) {
    static const char *const names[] = {"damaged values", "duplicate keys",
                                        "databases that there are not", "things of unknown types",
                                        "things that are not loaded"};
    for (int i = 0; i < FINDINGS; i++) {
        if (c->found[i] > c->options->problems)
            printf("... and %" PRIu64 " more %s\n", c->found[i] - c->options->problems, names[i]);
    }
}

static void print_counts(const struct check *c) {
    const struct rdb_reader *r = &c->in.reader;
    printf("%s%s version %d", c->in.name, r->dialect == RDB_VALKEY ? ": Valkey RDB" : ": RDB",
           r->version);
    if (c->server[0] != '\0') printf(", written by %s", c->server);
    if (c->created[0] != '\0') printf(" on %s", c->created);
    printf(", %s\n", r->has_checksum ? "with a checksum" : "without a checksum");
    printf("%" PRIu64 " keys in %" PRIu64 " database%s, %" PRIu64
           " with an expiry, of which %" PRIu64 " expired\n",
           r->records, c->dbs, c->dbs == 1 ? "" : "s", c->expiring, c->expired);
    if (c->with_field_expiry > 0)
        printf("%" PRIu64 " hashes with fields that expire\n", c->with_field_expiry);
    if (c->empty > 0)
        printf("%" PRIu64 " empty collections, which a load leaves out, as Redis does\n", c->empty);
    if (c->functions > 0) printf("%" PRIu64 " function libraries\n", c->functions);
    for (unsigned type = 0; type < TYPE_NUMBERS; type++) {
        if (c->by_type[type] == 0) continue;
        printf("  %-36s %12" PRIu64 " keys %12s\n", rdb_type_name((uint8_t)type, r->dialect).text,
               c->by_type[type], text_bytes(c->type_bytes[type]).text);
    }
}

static void print_notes(const struct check *c) {
    uint64_t end = rdb_reader_offset(&c->in.reader);
    if (c->in.size > end)
        printf("note: %" PRIu64 " bytes follow the end of the data at offset %" PRIu64
               ", which nobody reads\n",
               c->in.size - end, end);
    if (!c->options->all_duplicates && c->keys.count >= DUPLICATES_AMONG)
        printf("note: keys that occur twice were looked for among the first %zu keys\n",
               DUPLICATES_AMONG);
}

/** The last line, and the exit status. */
static int verdict(const struct check *c) {
    uint64_t refused = c->found[FOUND_WRONG] + c->found[FOUND_DUPLICATE] + c->found[FOUND_DATABASE];
    uint64_t unknown = c->found[FOUND_UNKNOWN];
    if (refused > 0)
        printf("NOT OK: torc refuses this file\n");
    else if (unknown > 0)
        printf("NOT OK: torc refuses this file, unless 'rdb-unknown skip' lets it leave %" PRIu64
               " thing%s out\n",
               unknown, unknown == 1 ? "" : "s");
    else
        printf("OK: torc loads this file\n");
    return refused + unknown > 0 ? STATUS_FOUND : STATUS_OK;
}

int check_run(const struct options *o) {
    struct check c = {.options = o};
    if (!input_open(&c.in, o, true)) return STATUS_FILES;
    enum rdb_item item;
    do {
        item = input_next(&c.in);
        check_item(&c, item);
    } while (item != RDB_ITEM_END && item != RDB_ITEM_ERROR);
    progress_clear(&c.in.progress);
    int status = input_status(&c.in);
    print_unshown(&c);
    if (item == RDB_ITEM_END) {
        print_counts(&c);
        print_notes(&c);
        status = verdict(&c);
    } else if (status == STATUS_FOUND) {
        printf("NOT OK: torc refuses this file; %" PRIu64 " keys stand before the error\n",
               c.in.reader.records);
    }
    keyset_fini(&c.keys);
    input_close(&c.in);
    return status;
}
