// SPDX-License-Identifier: BSD-3-Clause
//
// Starting and stopping: listeners, fleet, shard threads, signals. Runs on the main thread.
// Invariant: what is opened here is closed here, in reverse order, also when starting fails
// half-way. Called by main().
#include "shards/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/random.h"
#include "engine/encoding/hashtable.h"
#include "net/listener.h"
#include "persistence/snapshot_names.h"
#include "shards/cluster.h"
#include "shards/cpus.h"
#include "shards/lazyfree.h"
#include "shards/loading.h"
#include "shards/loop.h"
#include "shards/migrate.h"
#include "shards/ports.h"
#include "shards/privileges.h"
#include "shards/session.h"
#include "shards/snapshots.h"
#include "shards/tls.h"

#define RESERVED_FDS 96 // beside clients: listeners, rings, eventfds, log

struct server {
    struct config *config;
    struct ports ports;
    struct fleet *fleet;
    struct loop *loops;
    uint32_t nshards, started;
    pthread_barrier_t ready;
    _Atomic bool abandoned;
    bool loads; // a file, at the start
};

/**
 * Makes room for maxclients descriptors, or lowers maxclients to what there is room for, as Redis
 * does.
 */
static void fit_descriptors(struct config *c) {
    struct rlimit limit;
    rlim_t want = (rlim_t)c->maxclients + RESERVED_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want) return;
    struct rlimit raised = {want, limit.rlim_max > want ? limit.rlim_max : want};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return;
    raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_cur >= want) return;
    int64_t fits = limit.rlim_cur > RESERVED_FDS ? (int64_t)limit.rlim_cur - RESERVED_FDS : 1;
    log_line(LOG_WARN,
             "The limit of %lld open files leaves room for %lld clients: maxclients is lowered",
             (long long)limit.rlim_cur, (long long)fits);
    c->maxclients = fits;
}

/** With shard-ports: opens one port more for each shard, on the same addresses. */
static bool open_shard_ports(struct server *sv) {
    const struct config *c = sv->config;
    char error[256];
    const char *addresses[CONFIG_BIND_MAX];
    if (!c->shard_ports) return true;
    if (c->port == 0 || cluster_port(c, sv->nshards - 1) > UINT16_MAX) {
        log_line(LOG_WARN, "shard-ports: there are no %u ports after port %lld", sv->nshards,
                 (long long)c->port);
        return false;
    }
    for (int i = 0; i < c->bind_count; i++) addresses[i] = c->bind[i];
    for (uint32_t i = 0; i < sv->nshards; i++) {
        sv->loops[i].own_port = (struct listener_set){.tag = ACCEPT_NODE, .patient = true};
        int failed = listener_open_tcp(&sv->loops[i].own_port, addresses, c->bind_count,
                                       (uint16_t)cluster_port(c, i), (int)c->tcp_backlog, error,
                                       sizeof error);
        if (failed == 0) continue;
        log_line(LOG_WARN, "The port of shard %u (shard-ports) can't be opened: %s", i, error);
        return false;
    }
    return true;
}

static bool rename_commands(const struct config *c) {
    struct buf error = {0};
    bool ok = config_rename_commands(c, &error);
    if (!ok) log_line(LOG_WARN, "%.*s", (int)error.len, error.p);
    buf_free(&error);
    return ok;
}

static bool write_pidfile(const struct config *c) {
    if (c->pidfile[0] == '\0') return true;
    FILE *f = fopen(c->pidfile, "w");
    if (!f) {
        log_line(LOG_WARN, "Can't write the pid file %s: %s", c->pidfile, strerror(errno));
        return false;
    }
    fprintf(f, "%d\n", (int)getpid());
    fclose(f);
    return true;
}

static bool give_up_privileges(const struct config *c) {
    struct buf error = {0};
    bool ok = privileges_give_up(c->run_as, c->core_dumps, &error);
    if (!ok) log_line(LOG_WARN, "%.*s", (int)error.len, error.p);
    buf_free(&error);
    return ok;
}

static void make_run_id(char out[41]) {
    unsigned char bytes[20];
    random_secret(bytes, sizeof bytes);
    for (int i = 0; i < 20; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/** Nothing is left to do before the end: wakes the main thread, which waits for a signal. */
static void on_shutdown(struct fleet *fleet) {
    (void)fleet;
    kill(getpid(), SIGTERM);
}

static void make_fleet(struct server *sv) {
    const struct config *c = sv->config;
    char run_id[41];
    uint64_t seeds[2], hashtable_seed;
    make_run_id(run_id);
    random_secret(seeds, sizeof seeds);
    random_secret(&hashtable_seed, sizeof hashtable_seed);
    hashtable_set_seed(hashtable_seed);
    sv->nshards = c->shards > 0 ? (uint32_t)c->shards : (uint32_t)cpus_default_shards("/");
    sv->fleet = fleet_new(sv->nshards, seeds[0], run_id, clock_wall_us());
    sv->fleet->clock_ns = clock_monotonic_ns;
    sv->fleet->on_shutdown = on_shutdown;
    sv->fleet->ports = &sv->ports;
    sv->fleet->snapshots = snapshots_new(sv->fleet);
    sv->loops = mem_calloc(sv->nshards * sizeof *sv->loops);
    int *cpus = mem_calloc(SHARD_MAX * sizeof *cpus);
    uint32_t allowed = (uint32_t)cpus_allowed(cpus, SHARD_MAX);
    if (allowed > SHARD_MAX) allowed = SHARD_MAX;
    // Shards that outnumber the CPUs would only be kept from moving to an idle one.
    bool pin = c->shard_pinning && sv->nshards <= allowed;
    for (uint32_t i = 0; i < sv->nshards; i++)
        sv->loops[i] = (struct loop){.fleet = sv->fleet,
                                     .id = i,
                                     .cpu = pin ? cpus[i] : -1,
                                     .config = sv->config,
                                     .random_seed = seeds[1] + i,
                                     .ready = &sv->ready,
                                     .abandoned = &sv->abandoned};
    mem_free(cpus);
}

static const char logo[] = "\n"
                           "   __                      torc " TORC_VERSION "\n"
                           "  / /____  __________      a Redis-compatible cache,\n"
                           " / __/ _ \\/ ___/ ___/      one shard for each core\n"
                           "/ /_/ (_) / /  / /__\n"
                           "\\__/\\___/_/   \\___/\n\n";

static void announce(const struct server *sv) {
    const struct config *c = sv->config;
    if (c->always_show_logo || (c->logfile[0] == '\0' && isatty(STDOUT_FILENO))) {
        fputs(logo, stdout);
        fflush(stdout);
    }
    const char *reason = sv->loops[0].io_reason;
    if (reason) log_line(LOG_NOTICE, "io_uring is not used: %s; epoll serves instead", reason);
    log_line(LOG_NOTICE, "torc %s, %u shard%s, io backend %s, pid %d", TORC_VERSION, sv->nshards,
             sv->nshards == 1 ? "" : "s", sv->loops[0].io_name, (int)getpid());
    if (c->shard_ports)
        log_line(LOG_NOTICE, "Each shard is a cluster node on a port of its own: %lld to %lld",
                 (long long)cluster_port(c, 0), (long long)cluster_port(c, sv->nshards - 1));
}

/** Who cannot log in may be a mistake in the configuration. */
static void log_disabled_users(const struct acl_users *users) {
    for (uint32_t i = 0; i < users->count; i++)
        if (!users->users[i]->on)
            log_line(LOG_NOTICE, "The user '%.*s' is off: nobody can log in as this user",
                     (int)users->users[i]->name_length, users->users[i]->name);
}

static void log_ready(const struct config *c) {
    if (c->port > 0)
        log_line(LOG_NOTICE, "Ready to accept connections tcp on port %lld", (long long)c->port);
    if (c->tls_port > 0)
        log_line(LOG_NOTICE, "Ready to accept connections tls on port %lld",
                 (long long)c->tls_port);
    if (c->admin_port > 0)
        log_line(LOG_NOTICE, "Ready to accept administrators on port %lld",
                 (long long)c->admin_port);
    if (c->unixsocket[0] != '\0')
        log_line(LOG_NOTICE, "Ready to accept connections on Unix socket %s", c->unixsocket);
}

/** The load of the start is over; on shard 0's thread. */
static void loading_ended(struct shard *home, void *context, enum loading_end end) {
    (void)context;
    if (end == LOADING_GOOD) {
        log_ready(home->config);
    } else if (end != LOADING_CANCELLED) {
        log_line(LOG_WARN, "The dataset could not be loaded: nothing is served in its place");
        on_shutdown(home->fleet);
    }
}

/** Begins to load the snapshot, if there is one. False: that is not possible; the log says why. */
static bool begin_loading(struct server *sv) {
    const struct config *c = sv->config;
    struct buf path = {0};
    buf_printf(&path, "%s/%s", c->dir, c->dbfilename);
    buf_append_char(&path, '\0');
    struct loading_options options = {.path = path.p,
                                      .hold = true,
                                      .skip_unknown = c->rdb_unknown == CONFIG_UNKNOWN_SKIP,
                                      .ignore_checksum = !c->rdbchecksum,
                                      .delay_us = c->key_load_delay,
                                      .ended = loading_ended};
    bool none = c->dbfilename[0] == '\0' || (access(path.p, F_OK) != 0 && errno == ENOENT);
    int error = none ? 0 : loading_start(sv->fleet, &options);
    sv->loads = !none;
    if (error < 0)
        log_line(LOG_WARN, "The dataset in %s can't be loaded: %s", path.p, strerror(-error));
    buf_free(&path);
    return error == 0;
}

/**
 * Starts the threads and waits until each has made its io. False: some could not; all are ending.
 */
static bool start_threads(struct server *sv) {
    pthread_barrier_init(&sv->ready, NULL, sv->nshards + 1);
    for (; sv->started < sv->nshards; sv->started++) {
        struct loop *loop = &sv->loops[sv->started];
        int error = pthread_create(&loop->thread, NULL, loop_main, loop);
        if (error) {
            log_line(LOG_WARN, "Can't start the thread of shard %u: %s", loop->id, strerror(error));
            exit(1); // the others wait for all; there is nothing yet that could be lost
        }
    }
    pthread_barrier_wait(&sv->ready);
    const char *backend = sv->config->io_backend == CONFIG_IO_URING   ? "io_uring"
                          : sv->config->io_backend == CONFIG_IO_EPOLL ? "epoll"
                                                                      : "auto";
    bool good = true;
    for (uint32_t i = 0; i < sv->nshards; i++) {
        if (sv->loops[i].error == 0) continue;
        // The shards mostly fail alike: the first one says why.
        if (good)
            log_line(LOG_WARN, "Shard %u can't start the io backend %s: %s", i, backend,
                     strerror(-sv->loops[i].error));
        good = false;
    }
    sv->fleet->io_reason = sv->loops[0].io_reason;
    if (good) announce(sv);
    // Before anybody is served: nobody is to see a part of the dataset.
    if (good) good = begin_loading(sv);
    atomic_store(&sv->abandoned, !good);
    pthread_barrier_wait(&sv->ready);
    return good;
}

/** Ctrl+C for a second time: at once, without the snapshot that is being made. */
static _Noreturn void end_at_once(void) {
    char name[SNAPSHOT_TEMPORARY_MAX];
    log_line(LOG_WARN, "Received SIGINT again: ending at once, without saving");
    snapshot_temporary_name(name);
    (void)unlink(name); // the working directory is `dir`
    _exit(1);
}

/** SIGHUP: the files may be new. */
static void reload_certificates(const struct server *sv) {
    struct fleet *fleet = sv->fleet;
    struct buf error = {0};
    pthread_mutex_lock(&fleet->admin_lock);
    const struct config *newest = fleet->config ? fleet->config : sv->config;
    bool ok = tls_front_reload(fleet->tls, newest, &error);
    pthread_mutex_unlock(&fleet->admin_lock);
    if (ok)
        log_line(LOG_NOTICE, "Received SIGHUP: the TLS certificates have been read again");
    else
        log_line(LOG_WARN, "Received SIGHUP: TLS stays as it was: %.*s", (int)error.len, error.p);
    buf_free(&error);
}

/** Returns when the server may end: a signal asks for it first, then the snapshots agree. */
static void wait_for_signal(const struct server *sv, const sigset_t *signals) {
    struct fleet *fleet = sv->fleet;
    int number;
    while (sigwait(signals, &number) == 0) {
        if (atomic_load(&fleet->leaving) || atomic_load(&fleet->unloaded)) return;
        if (number == SIGHUP) { // as in Redis, a closed terminal does not end a server
            if (fleet->tls) reload_certificates(sv);
            continue;
        }
        bool saving = (atomic_load(&fleet->gates) & GATE_LEAVING) != 0;
        if (saving && number == SIGINT) end_at_once();
        log_line(LOG_NOTICE, "Received %s, shutting down", number == SIGINT ? "SIGINT" : "SIGTERM");
        snapshots_signal(fleet, number);
    }
}

static void stop_threads(struct server *sv) {
    fleet_stop(sv->fleet);
    for (uint32_t i = 0; i < sv->nshards && !atomic_load(&sv->abandoned); i++)
        io_wake(sv->fleet->shards[i]->io, NULL);
    migrate_pool_stop(sv->fleet->migrations); // while the shards still hear what it has to tell
    if (sv->fleet->tls) tls_front_stop(sv->fleet->tls);
    pthread_barrier_wait(&sv->ready);
    for (uint32_t i = 0; i < sv->started; i++) pthread_join(sv->loops[i].thread, NULL);
    pthread_barrier_destroy(&sv->ready);
}

/** Logs a list "a, b, c" after a heading, over as many lines as it takes. */
static void log_list(enum log_level level, const char *heading, const struct buf *list) {
    const size_t line_max = 800;
    for (size_t at = 0; at < list->len;) {
        size_t n = list->len - at;
        if (n > line_max)
            for (n = line_max; n > 1 && list->p[at + n - 2] != ',';) n--;
        log_line(level, "%s: %.*s", heading, (int)n, list->p + at);
        at += n;
    }
}

/** Whether a list "a, b, c" has this word. */
static bool list_has(const struct buf *list, struct slice word) {
    for (size_t at = 0; at < list->len;) {
        const char *start = list->p + at, *comma = memchr(start, ',', list->len - at);
        size_t n = comma ? (size_t)(comma - start) : list->len - at;
        if (slice_equal(slice_of(start, n), word)) return true;
        at += n + 2;
    }
    return false;
}

/**
 * Names each directive that torc does not act on once: those that ask for something more loudly.
 */
static void log_notices(const struct config_notices *n) {
    struct buf harmless = {0};
    for (size_t at = 0; at < n->names.len;) {
        const char *start = n->names.p + at, *comma = memchr(start, ',', n->names.len - at);
        struct slice word = {start, comma ? (size_t)(comma - start) : n->names.len - at};
        if (!list_has(&n->unmet, word))
            buf_printf(&harmless, "%s%.*s", harmless.len ? ", " : "", (int)word.n, word.p);
        at += word.n + 2;
    }
    log_list(LOG_NOTICE, "Directives that torc does not act on", &harmless);
    log_list(LOG_WARN, "Directives that ask for what torc does not do", &n->unmet);
    buf_free(&harmless);
}

/** Temporary files that servers before this one could not finish. */
static void remove_leftovers(const struct config *c) {
    struct buf names = {0};
    if (snapshot_remove_leftovers(c->dir, &names) > 0)
        log_line(LOG_NOTICE, "Removed what snapshots that were broken off have left in %s: %.*s",
                 c->dir, (int)names.len, names.p);
    buf_free(&names);
}

/** With tls-port: reads the certificates and starts the threads that greet TLS clients. */
static bool start_tls(struct server *sv) {
    if (sv->config->tls_port == 0) return true;
    struct buf error = {0};
    sv->fleet->tls = tls_front_new(sv->fleet, sv->config, &error);
    if (!sv->fleet->tls)
        log_line(LOG_WARN, "TLS can't be configured: %.*s", (int)error.len, error.p);
    buf_free(&error);
    return sv->fleet->tls != NULL;
}

static int serve(struct server *sv, const sigset_t *signals) {
    make_fleet(sv);
    int status = 1;
    if (!open_shard_ports(sv) || !start_tls(sv)) {
        // the reason is in the log
    } else if (lazyfree_start() < 0) {
        log_line(LOG_WARN, "Can't start the freeing thread");
    } else {
        remove_leftovers(sv->config);
        bool good = start_threads(sv);
        if (good) {
            mem_publish(0);
            eviction_warn_if_over(sv->config->maxmemory);
            log_disabled_users(sv->config->users);
            if (!sv->loads) log_ready(sv->config);
            wait_for_signal(sv, signals);
            status = atomic_load(&sv->fleet->unloaded) ? 1 : 0;
        }
        stop_threads(sv);
        lazyfree_stop();
    }
    for (uint32_t i = 0; i < sv->nshards; i++) listener_close(&sv->loops[i].own_port);
    if (sv->fleet->tls) tls_front_free(sv->fleet->tls);
    snapshots_free(sv->fleet->snapshots);
    fleet_free(sv->fleet);
    mem_free(sv->loops);
    return status;
}

int server_run(struct config *config, const struct config_notices *notices) {
    struct server sv = {.config = config};
    if (config->daemonize && daemon(1, 0) != 0) {
        fprintf(stderr, "Can't become a daemon: %s\n", strerror(errno));
        return 1;
    }
    if (chdir(config->dir) != 0) {
        fprintf(stderr, "Can't change into dir %s: %s\n", config->dir, strerror(errno));
        return 1;
    }
    int failed = log_open(config->logfile, (enum log_level)config->loglevel);
    if (failed < 0) {
        fprintf(stderr, "Can't open the log file: %s\n", strerror(-failed));
        return 1;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals,
                    NULL); // inherited by all threads: only this one waits for them
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of the write
    log_notices(notices);
    session_bind();
    fit_descriptors(config);
    int status = 1;
    if (rename_commands(config) && ports_open(&sv.ports, config)) {
        if (write_pidfile(config) && give_up_privileges(config)) status = serve(&sv, &signals);
        ports_close(&sv.ports);
        if (config->unixsocket[0] != '\0') unlink(config->unixsocket);
        if (config->pidfile[0] != '\0') unlink(config->pidfile);
    }
    if (status == 0) log_line(LOG_NOTICE, "torc is ending. Bye");
    return status;
}
