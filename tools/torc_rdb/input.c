// SPDX-License-Identifier: BSD-3-Clause
//
// Reading for torc-rdb: the reader over a file or standard input, with the progress bar beside it.
// Values are made with the limits of torc's defaults, and with all fields of hashes, also those
// whose time is over. Main thread. Invariant: a value is only taken for good if it ends exactly
// where its record does.
#include "tools/torc_rdb/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tools/torc_rdb/commands.h"
#include "tools/torc_rdb/text.h"

static ssize_t read_source(void *context, void *p, size_t n) {
    struct input *in = context;
    ssize_t got = rdb_source_fd(&in->fd, p, n);
    if (got > 0) progress_add(&in->progress, (uint64_t)got);
    if (got < 0) in->error = (int)got;
    return got;
}

bool input_open(struct input *in, const struct options *o, bool skip_unknown) {
    *in = (struct input){.name = o->input, .fd = STDIN_FILENO};
    in->load.limits = &value_default_limits;
    in->now_ms = clock_wall_us() / 1000;
    if (strcmp(o->input, "-") == 0)
        in->name = "standard input";
    else
        in->fd = open(o->input, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (in->fd < 0 || fstat(in->fd, &info) != 0) {
        fprintf(stderr, "torc-rdb: %s: %s\n", in->name, strerror(errno));
        if (in->fd > STDIN_FILENO) close(in->fd);
        return false;
    }
    if (S_ISREG(info.st_mode)) {
        in->size = (uint64_t)info.st_size;
        posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL); // a hint: whatever it answers
    }
    progress_begin(&in->progress, in->size, o->quiet);
    rdb_reader_init(&in->reader, read_source, in);
    in->reader.skip_unknown = skip_unknown;
    in->reader.ignore_checksum = o->ignore_checksum;
    return true;
}

void input_close(struct input *in) {
    progress_clear(&in->progress);
    rdb_reader_fini(&in->reader);
    rdb_load_fini(&in->load);
    if (in->fd > STDIN_FILENO) close(in->fd);
}

void input_complain(struct input *in, uint64_t offset, const char *why) {
    progress_clear(&in->progress);
    fflush(stdout);
    fprintf(stderr, "torc-rdb: %s: offset %llu: %s\n", in->name, (unsigned long long)offset, why);
}

void input_complain_key(struct input *in, uint64_t offset, const char *why) {
    progress_clear(&in->progress);
    fflush(stdout);
    fprintf(stderr, "torc-rdb: %s: offset %llu: db %u, key ", in->name, (unsigned long long)offset,
            in->reader.item.db);
    text_print_key(stderr, in->reader.item.key, 100);
    fprintf(stderr, ": %s\n", why);
}

enum rdb_item input_next(struct input *in) {
    enum rdb_item item = rdb_reader_next(&in->reader);
    if (item == RDB_ITEM_ERROR) input_complain(in, in->reader.in.error_at, in->reader.in.error);
    return item;
}

int input_status(const struct input *in) { return in->error != 0 ? STATUS_FILES : STATUS_FOUND; }

enum rdb_loaded input_entry(struct input *in, struct entry **out) {
    const struct rdb_record *record = &in->reader.item;
    *out = NULL;
    in->load.dialect = (uint8_t)in->reader.dialect;
    rdb_in_init(&in->in, record->value.p, record->value.n, record->offset);
    enum rdb_loaded loaded =
        rdb_load_entry(&in->load, &in->in, record->type, record->key, record->expire_ms, out);
    bool whole = loaded != RDB_LOADED && loaded != RDB_LOAD_EMPTY;
    if (whole || in->in.at == in->in.end) return loaded;
    if (*out != NULL) entry_free(*out);
    *out = NULL;
    rdb_in_fail(&in->in, "the value ends before its record does");
    return RDB_LOAD_FAILED;
}

bool input_expired(const struct input *in) {
    int64_t expire_ms = in->reader.item.expire_ms;
    return expire_ms != ENTRY_NO_EXPIRE && expire_ms < in->now_ms;
}
