// SPDX-License-Identifier: BSD-3-Clause
//
// The side thread that writes a snapshot's file. Chunks come in by a lock-free stack, are given
// their places in the file in the order of their arrival, and are written with several writes in
// flight where io_uring works, else one by one. Each chunk brings its own checksum; the file's is
// combined from them. One thread for each file; others only add chunks and read the counters.
// Invariant: what has the final name is whole and on the disk; whatever fails, the temporary file
// is deleted and the old file stays.
#include "persistence/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/crc64.h"
#include "engine/base/log.h"
#include "persistence/rdb_writer.h"
#include "persistence/snapshot_names.h"

#define WRITES_IN_FLIGHT 8
#define WRITE_MAX        ((size_t)1 << 30)
#define SYNC_BYTES       (UINT64_C(8) * 1024 * 1024) // written back to the disk in such steps

/** A write under way. */
struct slot {
    struct snapshot_chunk *chunk; // NULL: free
    size_t done;                  // bytes of it that are written
    uint64_t offset;              // of the chunk in the file
};

struct snapshot_file {
    struct snapshot_file_options options;
    char *directory, *name;
    char temporary[SNAPSHOT_TEMPORARY_MAX];
    pthread_t thread;
    sem_t arrived;                          // something is in the inbox, or all is over
    _Atomic(struct snapshot_chunk *) inbox; // the latest first
    _Atomic size_t pending;                 // bytes
    _Atomic uint64_t written;               // bytes
    _Atomic int error;                      // negative errno
    _Atomic bool committed, aborted;
    // The thread's own.
    struct snapshot_chunk *first, *last; // what has come and has no place in the file yet
    int directory_fd, fd;
    bool made;    // there is a temporary file
    uint64_t end; // of what has its place in the file
    uint64_t crc; // of all before end
    struct io_uring ring;
    bool has_ring;
    struct slot slots[WRITES_IN_FLIGHT];
    unsigned in_flight;
    uint64_t sync_begun, sync_done; // bytes whose writing back has begun, and is over
    bool incremental;
};

// ---- other threads -----------------------------------------------------------------------------

void snapshot_file_add(struct snapshot_file *f, struct snapshot_chunk *chain) {
    // The inbox has the latest first: the chain is turned round, and stays one piece.
    struct snapshot_chunk *first = chain, *turned = NULL;
    size_t bytes = 0;
    while (chain != NULL) {
        struct snapshot_chunk *next = chain->next;
        bytes += chain->bytes.len;
        chain->next = turned;
        turned = chain;
        chain = next;
    }
    if (first == NULL) return;
    atomic_fetch_add_explicit(&f->pending, bytes, memory_order_relaxed);
    struct snapshot_chunk *head = atomic_load_explicit(&f->inbox, memory_order_relaxed);
    do {
        first->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&f->inbox, &head, turned, memory_order_release,
                                                    memory_order_relaxed));
    // One that follows another in an inbox that has not been emptied wakes nobody again.
    if (head == NULL) sem_post(&f->arrived);
}

void snapshot_file_commit(struct snapshot_file *f) {
    atomic_store(&f->committed, true);
    sem_post(&f->arrived);
}

void snapshot_file_abort(struct snapshot_file *f) {
    atomic_store(&f->aborted, true);
    sem_post(&f->arrived);
}

size_t snapshot_file_pending(const struct snapshot_file *f) {
    return atomic_load_explicit(&f->pending, memory_order_relaxed);
}

uint64_t snapshot_file_written(const struct snapshot_file *f) {
    return atomic_load_explicit(&f->written, memory_order_relaxed);
}

int snapshot_file_error(const struct snapshot_file *f) {
    return atomic_load_explicit(&f->error, memory_order_relaxed);
}

// ---- chunks ------------------------------------------------------------------------------------

static bool has_failed(const struct snapshot_file *f) { return snapshot_file_error(f) != 0; }

/** Notes the first thing that went wrong. */
static void fail(struct snapshot_file *f, int error) {
    ASSERT(error < 0);
    int none = 0;
    atomic_compare_exchange_strong(&f->error, &none, error);
}

static void chunk_free(struct snapshot_file *f, struct snapshot_chunk *chunk) {
    atomic_fetch_sub_explicit(&f->pending, chunk->bytes.len, memory_order_relaxed);
    chunk->next = NULL;
    snapshot_chunk_free(chunk);
}

/** Takes what has arrived, in the order of its arrival, behind what is waiting. */
static void take_inbox(struct snapshot_file *f) {
    struct snapshot_chunk *chunk = atomic_exchange_explicit(&f->inbox, NULL, memory_order_acquire);
    struct snapshot_chunk *oldest = NULL, *latest = chunk;
    while (chunk != NULL) {
        struct snapshot_chunk *older = chunk->next;
        chunk->next = oldest;
        oldest = chunk;
        chunk = older;
    }
    if (oldest == NULL) return;
    if (f->last != NULL)
        f->last->next = oldest;
    else
        f->first = oldest;
    f->last = latest;
}

/** Takes the oldest chunk off the list; NULL: there is none. Empty ones are passed over. */
static struct snapshot_chunk *next_chunk(struct snapshot_file *f) {
    struct snapshot_chunk *chunk;
    while ((chunk = f->first) != NULL) {
        f->first = chunk->next;
        if (f->first == NULL) f->last = NULL;
        if (chunk->bytes.len > 0) break;
        chunk_free(f, chunk);
    }
    return chunk;
}

static void drop_all(struct snapshot_file *f) {
    struct snapshot_chunk *chunk;
    take_inbox(f);
    while ((chunk = next_chunk(f)) != NULL) chunk_free(f, chunk);
}

/** Gives the chunk its place in the file. */
static uint64_t place(struct snapshot_file *f, const struct snapshot_chunk *chunk) {
    uint64_t offset = f->end;
    if (f->options.checksum) f->crc = crc64_combine(f->crc, chunk->crc, chunk->bytes.len);
    f->end += chunk->bytes.len;
    return offset;
}

// ---- writing -----------------------------------------------------------------------------------

static ssize_t write_some(struct snapshot_file *f, const char *p, size_t n, uint64_t offset) {
    ssize_t wrote = f->options.calls.write ? f->options.calls.write(f->fd, p, n, (off_t)offset)
                                           : pwrite(f->fd, p, n, (off_t)offset);
    return wrote < 0 ? -errno : wrote;
}

/** Writes all of it, one call after the other. */
static void write_all(struct snapshot_file *f, const char *p, size_t n, uint64_t offset) {
    while (n > 0 && !has_failed(f)) {
        ssize_t wrote = write_some(f, p, n, offset);
        if (wrote == -EINTR) continue;
        if (wrote <= 0) {
            fail(f, wrote == 0 ? -EIO : (int)wrote);
            return;
        }
        p += wrote;
        n -= (size_t)wrote;
        offset += (uint64_t)wrote;
    }
}

static void chunk_is_written(struct snapshot_file *f, struct snapshot_chunk *chunk) {
    if (!has_failed(f)) atomic_fetch_add(&f->written, chunk->bytes.len);
    chunk_free(f, chunk);
}

/** A ring of this thread's own; where it cannot be had, plain writes do. */
static void open_ring(struct snapshot_file *f) {
    if (f->options.calls.write != NULL) return;
    if (io_uring_queue_init(WRITES_IN_FLIGHT, &f->ring, 0) < 0) return;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&f->ring);
    f->has_ring = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_WRITE);
    if (probe != NULL) io_uring_free_probe(probe);
    if (!f->has_ring) io_uring_queue_exit(&f->ring);
}

static void prepare(struct snapshot_file *f, struct slot *slot) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&f->ring);
    ASSERT(sqe != NULL); // there are as many as slots, and all have been submitted before
    const struct buf *bytes = &slot->chunk->bytes;
    size_t left = bytes->len - slot->done;
    io_uring_prep_write(sqe, f->fd, bytes->p + slot->done,
                        (unsigned)(left < WRITE_MAX ? left : WRITE_MAX), slot->offset + slot->done);
    io_uring_sqe_set_data(sqe, slot);
}

/** Starts writes while there are chunks, and room. */
static void start_writes(struct snapshot_file *f) {
    for (int i = 0; i < WRITES_IN_FLIGHT && !has_failed(f); i++) {
        struct slot *slot = &f->slots[i];
        if (slot->chunk != NULL) continue;
        struct snapshot_chunk *chunk = next_chunk(f);
        if (chunk == NULL) break;
        *slot = (struct slot){.chunk = chunk, .offset = place(f, chunk)};
        prepare(f, slot);
        f->in_flight++;
    }
}

static void write_has_ended(struct snapshot_file *f, struct slot *slot, int result) {
    size_t left = slot->chunk->bytes.len - slot->done;
    bool again = result == -EINTR || result == -EAGAIN;
    if (result > 0) slot->done += (size_t)result;
    if (result == 0) fail(f, -EIO);
    if (result < 0 && !again) fail(f, result);
    if ((again || (result > 0 && (size_t)result < left)) && !has_failed(f)) {
        prepare(f, slot);
        return;
    }
    chunk_is_written(f, slot->chunk);
    slot->chunk = NULL;
    f->in_flight--;
}

/** Submits what has been prepared, and waits for a write to end. */
static void await_write(struct snapshot_file *f) {
    int submitted = io_uring_submit_and_wait(&f->ring, 1);
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
        // The ring itself is broken. Closing it ends what is in flight.
        fail(f, submitted);
        io_uring_queue_exit(&f->ring);
        f->has_ring = false;
        for (int i = 0; i < WRITES_IN_FLIGHT; i++)
            if (f->slots[i].chunk != NULL) chunk_free(f, f->slots[i].chunk);
        f->in_flight = 0;
        return;
    }
    struct io_uring_cqe *cqe;
    while (io_uring_peek_cqe(&f->ring, &cqe) == 0) {
        struct slot *slot = io_uring_cqe_get_data(cqe);
        int result = cqe->res;
        io_uring_cqe_seen(&f->ring, cqe);
        write_has_ended(f, slot, result);
    }
}

/** Without a ring: writes the next chunk. */
static void write_next(struct snapshot_file *f) {
    struct snapshot_chunk *chunk = next_chunk(f);
    if (chunk == NULL) return;
    write_all(f, chunk->bytes.p, chunk->bytes.len, place(f, chunk));
    chunk_is_written(f, chunk);
}

// ---- the disk ----------------------------------------------------------------------------------

/** Everything before this has been written. */
static uint64_t settled(const struct snapshot_file *f) {
    uint64_t least = f->end;
    for (int i = 0; i < WRITES_IN_FLIGHT; i++)
        if (f->slots[i].chunk != NULL && f->slots[i].offset < least) least = f->slots[i].offset;
    return least;
}

/**
 * Lets the disk begin with what has been written since the last time, and waits until what was
 * before that is there: so at most two steps of the file are dirty in memory.
 */
static void sync_some(struct snapshot_file *f) {
    uint64_t now = settled(f);
    if (!f->incremental || has_failed(f) || now - f->sync_begun < SYNC_BYTES) return;
    int result = sync_file_range(f->fd, (off_t)f->sync_begun, (off_t)(now - f->sync_begun),
                                 SYNC_FILE_RANGE_WRITE);
    if (result == 0 && f->sync_begun > f->sync_done)
        result = sync_file_range(f->fd, (off_t)f->sync_done, (off_t)(f->sync_begun - f->sync_done),
                                 SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                     SYNC_FILE_RANGE_WAIT_AFTER);
    if (result != 0) {
        // Where the file system does not know of it, the sync at the end does everything.
        f->incremental = false;
        if (errno == EIO || errno == ENOSPC || errno == EDQUOT) fail(f, -errno);
        return;
    }
    if (!f->options.keep_cached && f->sync_begun > f->sync_done)
        (void)posix_fadvise(f->fd, (off_t)f->sync_done, (off_t)(f->sync_begun - f->sync_done),
                            POSIX_FADV_DONTNEED);
    f->sync_done = f->sync_begun;
    f->sync_begun = now;
}

/** A fresh file of the temporary name, locked, so that no other process takes it for a leftover. */
static void open_file(struct snapshot_file *f) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    f->directory_fd = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->directory_fd < 0) {
        fail(f, -errno);
        return;
    }
    f->fd = openat(f->directory_fd, f->temporary, flags, 0666);
    if (f->fd < 0 && errno == EEXIST) {
        // Of a process that had our number, unless somebody is at it: in another container, say.
        int old = openat(f->directory_fd, f->temporary, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        bool in_use = old >= 0 && flock(old, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        if (old >= 0) close(old);
        if (in_use) {
            fail(f, -EBUSY);
            return;
        }
        (void)unlinkat(f->directory_fd, f->temporary, 0);
        f->fd = openat(f->directory_fd, f->temporary, flags, 0666);
    }
    f->made = f->fd >= 0;
    if (f->made)
        (void)flock(f->fd, LOCK_EX | LOCK_NB);
    else
        fail(f, -errno);
}

static void write_end(struct snapshot_file *f) {
    struct buf end = {0};
    rdb_write_end(&end);
    uint64_t crc = f->options.checksum ? crc64(f->crc, end.p, end.len) : 0;
    rdb_write_checksum(&end, crc);
    write_all(f, end.p, end.len, f->end);
    f->end += end.len;
    if (!has_failed(f)) atomic_fetch_add(&f->written, end.len);
    buf_free(&end);
}

static int sync_file(struct snapshot_file *f) {
    int result;
    do {
        result = f->options.calls.sync ? f->options.calls.sync(f->fd) : fsync(f->fd);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static int rename_file(struct snapshot_file *f) {
    int result = f->options.calls.rename
                     ? f->options.calls.rename(f->directory_fd, f->temporary, f->name)
                     : renameat(f->directory_fd, f->temporary, f->directory_fd, f->name);
    return result == 0 ? 0 : -errno;
}

/** Keeps the file under a dated name as well: a second name of the same file costs nothing. */
static void keep_dated(struct snapshot_file *f) {
    struct buf dated = {0};
    snapshot_dated_name(&dated, f->name, f->options.dated_s);
    (void)unlinkat(f->directory_fd, dated.p, 0); // of an hour that comes twice
    if (linkat(f->directory_fd, f->name, f->directory_fd, dated.p, 0) != 0)
        log_line(LOG_WARN, "The snapshot could not be kept as %s: %s", dated.p, strerror(errno));
    int removed = snapshot_prune_dated(f->directory_fd, f->name, f->options.dated_keep);
    if (removed < 0)
        log_line(LOG_WARN, "Dated snapshots could not be removed: %s", strerror(-removed));
    buf_free(&dated);
}

static int close_file(struct snapshot_file *f) {
    int result = f->fd >= 0 ? close(f->fd) : 0;
    f->fd = -1;
    return result == 0 ? 0 : -errno;
}

/** Brings the whole file to its name. */
static void finish_file(struct snapshot_file *f) {
    write_end(f);
    if (has_failed(f)) return;
    int error = sync_file(f);
    if (error == 0 && !f->options.keep_cached)
        (void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
    if (error == 0) error = close_file(f);
    if (error == 0) error = rename_file(f);
    if (error != 0) {
        fail(f, error);
        return;
    }
    f->made = false;
    if (f->options.dated_s > 0) keep_dated(f);
    // Some file systems have no such thing as syncing a directory.
    if (fsync(f->directory_fd) != 0 && errno != EINVAL) fail(f, -errno);
}

// ---- the thread --------------------------------------------------------------------------------

/** Writes what comes. True: all has come; false: nothing of it is wanted any more. */
static bool write_chunks(struct snapshot_file *f) {
    for (;;) {
        bool last = atomic_load(&f->committed); // before the inbox is looked at
        bool aborted = atomic_load(&f->aborted);
        take_inbox(f);
        if (has_failed(f) || aborted) drop_all(f);
        if (f->has_ring)
            start_writes(f);
        else
            write_next(f);
        if (f->in_flight > 0) {
            await_write(f);
        } else if (aborted || (last && f->first == NULL)) {
            return !aborted;
        } else if (f->first == NULL) {
            while (sem_wait(&f->arrived) != 0) {
            }
        }
        sync_some(f);
    }
}

static void leave_cpu(void) {
    // Made by a shard, the thread would share that shard's CPU, where the shard is pinned to it.
    cpu_set_t set;
    if (sched_getaffinity(getpid(), sizeof set, &set) == 0)
        (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *run(void *argument) {
    struct snapshot_file *f = argument;
    pthread_setname_np(pthread_self(), "torc-save");
    leave_cpu();
    open_file(f);
    open_ring(f);
    if (!write_chunks(f)) fail(f, -ECANCELED);
    if (!has_failed(f)) finish_file(f);
    if (f->has_ring) io_uring_queue_exit(&f->ring);
    (void)close_file(f);
    if (f->made) (void)unlinkat(f->directory_fd, f->temporary, 0);
    if (f->directory_fd >= 0) close(f->directory_fd);
    f->options.finished(f->options.context, snapshot_file_error(f));
    return NULL;
}

static char *copy_text(const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = mem_alloc(n);
    memcpy(copy, text, n);
    return copy;
}

static void release(struct snapshot_file *f) {
    drop_all(f);
    sem_destroy(&f->arrived);
    mem_free(f->directory);
    mem_free(f->name);
    mem_free(f);
}

struct snapshot_file *snapshot_file_start(const struct snapshot_file_options *options) {
    struct snapshot_file *f = mem_calloc(sizeof *f);
    f->options = *options;
    f->directory = copy_text(options->directory);
    f->name = copy_text(options->name);
    snapshot_temporary_name(f->temporary);
    f->incremental = options->incremental_sync;
    f->directory_fd = f->fd = -1;
    sem_init(&f->arrived, 0, 0);
    if (pthread_create(&f->thread, NULL, run, f) == 0) return f;
    release(f);
    return NULL;
}

void snapshot_file_free(struct snapshot_file *f) {
    ASSERT(atomic_load(&f->committed) || atomic_load(&f->aborted));
    pthread_join(f->thread, NULL);
    release(f);
}
