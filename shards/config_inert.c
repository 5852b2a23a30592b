// SPDX-License-Identifier: BSD-3-Clause
//
// The directives that Redis knows and torc does not act on. Each is checked as far as a slip of the
// pen shows, and its value is what describes torc; where torc has nothing that the directive could
// speak of, it is Redis's default. Constants and pure functions, any thread. A directive moves from
// here to config_rows.c when torc learns to act on it. Read through config__row_at only.
#include <math.h>
#include <stddef.h>

#include "engine/base/num.h"
#include "shards/config_rows.h"

static const char *const enable_words[] = {"no", "yes", "local", NULL};
static const char *const oom_words[] = {"no", "yes", "relative", "absolute", NULL};
static const char *const supervised_words[] = {"upstart", "systemd", "auto", "no", NULL};
static const char *const facility_words[] = {"user",   "local0", "local1", "local2", "local3",
                                             "local4", "local5", "local6", "local7", NULL};
static const char *const sanitize_words[] = {"no", "yes", "clients", NULL};
static const char *const fsync_words[] = {"everysec", "always", "no", NULL};
static const char *const diskless_load_words[] = {"disabled", "on-empty-db", "swapdb", NULL};
static const char *const propagation_words[] = {"ignore", "panic", "panic-on-replicas", NULL};

static bool fail(struct buf *error, const char *reason) {
    buf_append_text(error, reason);
    return false;
}

static bool is_empty_value(const struct slice *words, size_t count) {
    return count == 0 || (count == 1 && words[0].n == 0);
}

static bool check_oom_values(const struct slice *words, size_t count, struct buf *error) {
    if (count != 3) return fail(error, "wrong number of arguments");
    for (size_t i = 0; i < count; i++) {
        int64_t value;
        if (!num_parse_i64(words[i], &value) || value < -2000 || value > 2000) {
            return fail(error,
                        "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
        }
    }
    return true;
}

static bool check_percentiles(const struct slice *words, size_t count, struct buf *error) {
    if (is_empty_value(words, count)) return true;
    for (size_t i = 0; i < count; i++) {
        double value;
        if (!num_parse_double(words[i], &value) || isnan(value)) {
            return fail(error, "Invalid latency-tracking-info-percentiles parameters");
        }
        if (value > 100.0 || value < 0.0) {
            return fail(
                error,
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
        }
    }
    return true;
}

static bool check_replicaof(const struct slice *words, size_t count, struct buf *error) {
    if (count != 2) return fail(error, "wrong number of arguments");
    if (slice_is(words[0], "no") && slice_is(words[1], "one")) return true;
    int64_t port;
    if (!num_parse_i64(words[1], &port) || port < 0 || port > 65535) {
        return fail(error, "Invalid master port");
    }
    return true;
}

static bool check_append_name(const struct slice *words, size_t count, struct buf *error) {
    ASSERT(count == 1);
    if (words[0].n > 0 && memchr(words[0].p, '/', words[0].n) == NULL) return true;
    return fail(error, words[0].n == 0 ? "the name can't be empty" : "the name can't be a path");
}

#define NO_FILES           "torc writes no append-only file"
#define NO_REPLICATION     "torc does not replicate"
#define NO_CLUSTER         "torc is no node of a Redis Cluster; see shard-ports"
#define NO_TLS             "torc makes no TLS connections itself"
#define NO_DEFRAGMENTATION "torc does not defragment"
#define NO_OOM_SCORE       "the OOM score stays as it is"
#define NO_CPU_LISTS       "see shards and shard-pinning"
#define TEST_AID           "a test aid of Redis"

#define RANGE(from, to) .lower = (from), .upper = (to)
#define INERT(kind_, name_, value_, flags_, note_, ...)                              \
    {                                                                                \
        .name = (name_), .kind = CONFIG__##kind_, .flags = CONFIG__INERT | (flags_), \
        .fallback = (value_), .note = (note_), ##__VA_ARGS__                         \
    }

static const struct config__row rows[] = {
    INERT(MEMORY, "maxmemory-clients", "0", CONFIG__PERCENT,
          "clients are limited one by one by client-output-buffer-limit", RANGE(-100, INT64_MAX)),
    INERT(NUMBER, "active-expire-effort", "1", 0,
          "expired keys are removed in a rhythm of torc's own", RANGE(1, 10)),
    INERT(BOOL, "dynamic-hz", "no", 0, "hz does not follow the number of clients"),
    INERT(BOOL, "activerehashing", "yes", 0, "tables always grow and shrink in small steps"),
    INERT(BOOL, "lazyfree-lazy-eviction", "yes", 0,
          "large values are always freed in the background"),
    INERT(BOOL, "lazyfree-lazy-expire", "yes", 0,
          "large values are always freed in the background"),
    INERT(BOOL, "lazyfree-lazy-server-del", "yes", 0,
          "large values are always freed in the background"),
    INERT(BOOL, "lazyfree-lazy-user-del", "yes", 0,
          "large values are always freed in the background"),
    INERT(BOOL, "lazyfree-lazy-user-flush", "no", 0,
          "FLUSHALL and FLUSHDB always free in the background"),
    INERT(BOOL, "activedefrag", "no", 0, NO_DEFRAGMENTATION),
    INERT(MEMORY, "active-defrag-ignore-bytes", "104857600", 0, NO_DEFRAGMENTATION,
          RANGE(1, INT64_MAX)),
    INERT(NUMBER, "active-defrag-threshold-lower", "10", 0, NO_DEFRAGMENTATION, RANGE(0, 1000)),
    INERT(NUMBER, "active-defrag-threshold-upper", "100", 0, NO_DEFRAGMENTATION, RANGE(0, 1000)),
    INERT(NUMBER, "active-defrag-cycle-min", "1", 0, NO_DEFRAGMENTATION, RANGE(1, 99)),
    INERT(NUMBER, "active-defrag-cycle-max", "25", 0, NO_DEFRAGMENTATION, RANGE(1, 99)),
    INERT(NUMBER, "active-defrag-max-scan-fields", "1000", 0, NO_DEFRAGMENTATION,
          RANGE(1, INT64_MAX)),
    INERT(BOOL, "jemalloc-bg-thread", "no", 0, "torc does not use jemalloc"),
    INERT(BOOL, "disable-thp", "no", CONFIG__IMMUTABLE,
          "transparent huge pages are left as the system has them"),
    INERT(ENUM, "oom-score-adj", "no", 0, NO_OOM_SCORE, .words = oom_words),
    INERT(WORDS, "oom-score-adj-values", "0 200 800", CONFIG__MULTI, NO_OOM_SCORE,
          .check = check_oom_values),
    INERT(NUMBER, "io-threads", "1", CONFIG__IMMUTABLE,
          "every shard serves its own connections; see shards", RANGE(1, 128)),
    INERT(BOOL, "io-threads-do-reads", "no", CONFIG__IMMUTABLE,
          "every shard serves its own connections; see shards"),
    INERT(STRING, "server_cpulist", "", CONFIG__IMMUTABLE, NO_CPU_LISTS),
    INERT(STRING, "bio_cpulist", "", CONFIG__IMMUTABLE, NO_CPU_LISTS),
    INERT(STRING, "aof_rewrite_cpulist", "", CONFIG__IMMUTABLE, NO_CPU_LISTS),
    INERT(STRING, "bgsave_cpulist", "", CONFIG__IMMUTABLE, NO_CPU_LISTS),
    INERT(ENUM, "supervised", "no", CONFIG__IMMUTABLE, "torc does not report to a supervisor",
          .words = supervised_words),
    INERT(BOOL, "set-proc-title", "no", CONFIG__IMMUTABLE,
          "the process title stays the command line"),
    INERT(STRING, "proc-title-template", "{title} {listen-addr} {server-mode}", 0,
          "the process title stays the command line"),
    INERT(BOOL, "syslog-enabled", "no", CONFIG__IMMUTABLE, "torc logs to its logfile"),
    INERT(STRING, "syslog-ident", "redis", CONFIG__IMMUTABLE, "torc logs to its logfile"),
    INERT(ENUM, "syslog-facility", "local0", CONFIG__IMMUTABLE, "torc logs to its logfile",
          .words = facility_words),
    INERT(BOOL, "crash-log-enabled", "no", 0, "a crash is left to the system"),
    INERT(BOOL, "crash-memcheck-enabled", "no", 0, "a crash is left to the system"),
    INERT(NUMBER, "shutdown-timeout", "10", 0, NO_REPLICATION, RANGE(0, INT32_MAX)),
    INERT(STRING, "locale-collate", "", 0, "nothing in torc compares by locale"),
    INERT(STRING, "ignore-warnings", "", 0, "torc has no such warnings"),
    INERT(STRING, "bind-source-addr", "", 0, "torc opens no connections"),
    INERT(NUMBER, "socket-mark-id", "0", CONFIG__IMMUTABLE, "sockets are not marked",
          RANGE(0, UINT32_MAX)),
    INERT(ENUM, "sanitize-dump-payload", "no", 0, "payloads of RESTORE are always checked",
          .words = sanitize_words),
    INERT(BOOL, "appendonly", "no", 0, NO_FILES),
    INERT(STRING, "appendfilename", "appendonly.aof", CONFIG__IMMUTABLE, NO_FILES,
          .check = check_append_name),
    INERT(STRING, "appenddirname", "appendonlydir", CONFIG__IMMUTABLE, NO_FILES,
          .check = check_append_name),
    INERT(ENUM, "appendfsync", "everysec", 0, NO_FILES, .words = fsync_words),
    INERT(BOOL, "no-appendfsync-on-rewrite", "no", 0, NO_FILES),
    INERT(BOOL, "aof-load-truncated", "yes", 0, NO_FILES),
    INERT(BOOL, "aof-use-rdb-preamble", "yes", 0, NO_FILES),
    INERT(BOOL, "aof-timestamp-enabled", "no", 0, NO_FILES),
    INERT(BOOL, "aof-rewrite-incremental-fsync", "yes", 0, NO_FILES),
    INERT(NUMBER, "auto-aof-rewrite-percentage", "100", 0, NO_FILES, RANGE(0, INT32_MAX)),
    INERT(MEMORY, "auto-aof-rewrite-min-size", "67108864", 0, NO_FILES, RANGE(0, INT64_MAX)),
    INERT(WORDS, "replicaof", "", CONFIG__IMMUTABLE | CONFIG__MULTI, NO_REPLICATION,
          .alias = "slaveof", .check = check_replicaof,
          .stop = "torc does not replicate: it would answer from an empty keyspace in place of the "
                  "master"),
    INERT(STRING, "masteruser", "", CONFIG__SENSITIVE, NO_REPLICATION),
    INERT(STRING, "masterauth", "", CONFIG__SENSITIVE, NO_REPLICATION),
    INERT(BOOL, "replica-serve-stale-data", "yes", 0, NO_REPLICATION,
          .alias = "slave-serve-stale-data"),
    INERT(BOOL, "replica-read-only", "yes", 0, NO_REPLICATION, .alias = "slave-read-only"),
    INERT(BOOL, "replica-ignore-maxmemory", "yes", 0, NO_REPLICATION,
          .alias = "slave-ignore-maxmemory"),
    INERT(BOOL, "replica-lazy-flush", "no", 0, NO_REPLICATION, .alias = "slave-lazy-flush"),
    INERT(NUMBER, "replica-priority", "100", 0, NO_REPLICATION, .alias = "slave-priority",
          RANGE(0, INT32_MAX)),
    INERT(STRING, "replica-announce-ip", "", 0, NO_REPLICATION, .alias = "slave-announce-ip"),
    INERT(NUMBER, "replica-announce-port", "0", 0, NO_REPLICATION, .alias = "slave-announce-port",
          RANGE(0, 65535)),
    INERT(BOOL, "replica-announced", "yes", 0, NO_REPLICATION),
    INERT(BOOL, "replica-ignore-disk-write-errors", "no", 0, NO_REPLICATION),
    INERT(BOOL, "rdb-del-sync-files", "no", 0, NO_REPLICATION),
    INERT(BOOL, "repl-diskless-sync", "yes", 0, NO_REPLICATION),
    INERT(NUMBER, "repl-diskless-sync-delay", "5", 0, NO_REPLICATION, RANGE(0, INT32_MAX)),
    INERT(NUMBER, "repl-diskless-sync-max-replicas", "0", 0, NO_REPLICATION, RANGE(0, INT32_MAX)),
    INERT(ENUM, "repl-diskless-load", "disabled", 0, NO_REPLICATION, .words = diskless_load_words),
    INERT(NUMBER, "repl-ping-replica-period", "10", 0, NO_REPLICATION,
          .alias = "repl-ping-slave-period", RANGE(1, INT32_MAX)),
    INERT(NUMBER, "repl-timeout", "60", 0, NO_REPLICATION, RANGE(1, INT32_MAX)),
    INERT(BOOL, "repl-disable-tcp-nodelay", "no", 0, NO_REPLICATION),
    INERT(MEMORY, "repl-backlog-size", "1048576", 0, NO_REPLICATION, RANGE(1, INT64_MAX)),
    INERT(NUMBER, "repl-backlog-ttl", "3600", 0, NO_REPLICATION, RANGE(0, INT64_MAX)),
    INERT(NUMBER, "min-replicas-to-write", "0", 0, NO_REPLICATION, .alias = "min-slaves-to-write",
          RANGE(0, INT32_MAX)),
    INERT(NUMBER, "min-replicas-max-lag", "10", 0, NO_REPLICATION, .alias = "min-slaves-max-lag",
          RANGE(0, INT32_MAX)),
    INERT(ENUM, "propagation-error-behavior", "ignore", 0, NO_REPLICATION,
          .words = propagation_words),
    INERT(BOOL, "cluster-enabled", "no", CONFIG__IMMUTABLE, NO_CLUSTER),
    INERT(STRING, "cluster-config-file", "nodes.conf", CONFIG__IMMUTABLE, NO_CLUSTER),
    INERT(NUMBER, "cluster-node-timeout", "15000", 0, NO_CLUSTER, RANGE(0, INT64_MAX)),
    INERT(NUMBER, "cluster-port", "0", CONFIG__IMMUTABLE, NO_CLUSTER, RANGE(0, 65535)),
    INERT(NUMBER, "cluster-replica-validity-factor", "10", 0, NO_CLUSTER,
          .alias = "cluster-slave-validity-factor", RANGE(0, INT32_MAX)),
    INERT(NUMBER, "cluster-migration-barrier", "1", 0, NO_CLUSTER, RANGE(0, INT32_MAX)),
    INERT(BOOL, "cluster-allow-replica-migration", "yes", 0, NO_CLUSTER),
    INERT(BOOL, "cluster-require-full-coverage", "yes", 0, NO_CLUSTER),
    INERT(BOOL, "cluster-replica-no-failover", "no", 0, NO_CLUSTER,
          .alias = "cluster-slave-no-failover"),
    INERT(BOOL, "cluster-allow-reads-when-down", "no", 0, NO_CLUSTER),
    INERT(BOOL, "cluster-allow-pubsubshard-when-down", "yes", 0, NO_CLUSTER),
    INERT(MEMORY, "cluster-link-sendbuf-limit", "0", 0, NO_CLUSTER, RANGE(0, INT64_MAX)),
    INERT(STRING, "cluster-announce-human-nodename", "", 0, NO_CLUSTER),
    INERT(NUMBER, "cluster-announce-tls-port", "0", 0, NO_CLUSTER, RANGE(0, 65535)),
    INERT(NUMBER, "cluster-announce-bus-port", "0", 0, NO_CLUSTER, RANGE(0, 65535)),
    INERT(ENUM, "enable-module-command", "no", CONFIG__IMMUTABLE, "torc does not load modules",
          .words = enable_words),
    INERT(STRING, "tls-client-cert-file", "", 0, NO_TLS),
    INERT(STRING, "tls-client-key-file", "", 0, NO_TLS),
    INERT(STRING, "tls-client-key-file-pass", "", CONFIG__SENSITIVE, NO_TLS),
    INERT(BOOL, "tls-replication", "no", 0, NO_TLS),
    INERT(BOOL, "tls-cluster", "no", 0, NO_TLS),
    INERT(NUMBER, "busy-reply-threshold", "5000", 0, "torc runs no scripts",
          .alias = "lua-time-limit", RANGE(0, INT64_MAX)),
    INERT(NUMBER, "slowlog-log-slower-than", "-1", 0, "torc keeps no slow log",
          RANGE(-1, INT64_MAX)),
    INERT(NUMBER, "slowlog-max-len", "128", 0, "torc keeps no slow log", RANGE(0, INT64_MAX)),
    INERT(NUMBER, "latency-monitor-threshold", "0", 0, "torc has no latency monitor",
          RANGE(0, INT64_MAX)),
    INERT(BOOL, "latency-tracking", "no", 0, "torc keeps no latency histograms per command"),
    INERT(WORDS, "latency-tracking-info-percentiles", "50 99 99.9", CONFIG__MULTI,
          "torc keeps no latency histograms per command", .check = check_percentiles),
    INERT(BOOL, "use-exit-on-panic", "no", CONFIG__HIDDEN, TEST_AID),
    INERT(BOOL, "aof-disable-auto-gc", "no", CONFIG__HIDDEN, TEST_AID),
    INERT(NUMBER, "rdb-key-save-delay", "0", CONFIG__HIDDEN, TEST_AID, RANGE(INT32_MIN, INT32_MAX)),
    INERT(NUMBER, "watchdog-period", "0", CONFIG__HIDDEN, TEST_AID, RANGE(0, INT32_MAX)),
    INERT(NUMBER, "cluster-ping-interval", "0", CONFIG__HIDDEN, TEST_AID, RANGE(0, INT64_MAX)),
    INERT(NUMBER, "loading-process-events-interval-bytes", "2097152", CONFIG__HIDDEN, TEST_AID,
          RANGE(1024, INT32_MAX)),
};

const struct config__row *config__inert_row_at(size_t i) {
    return i < sizeof(rows) / sizeof(rows[0]) ? &rows[i] : NULL;
}
