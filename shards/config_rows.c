// SPDX-License-Identifier: BSD-3-Clause
//
// The directives that torc acts on: one row each, with its field in struct config, its range, its
// default and a line for the documentation. Adding a setting is adding a field and a row.
// Constants, any thread. Invariant: every row's fallback is accepted by the row. Read through
// config__row_at and config__row_find; the rows of Redis's other directives follow in
// config_inert.c.
#include <stddef.h>
#include <string.h>

#include "shards/config_rows.h"
#include "shards/config_save.h"

static const char *const io_backend_words[] = {"auto", "io_uring", "epoll", NULL};
static const char *const pipeline_order_words[] = {"strict", "relaxed", NULL};
static const char *const loglevel_words[] = {"debug",   "verbose", "notice",
                                             "warning", "nothing", NULL};
static const char *const enable_words[] = {"no", "yes", "local", NULL};
static const char *const pubsub_default_words[] = {"allchannels", "resetchannels", NULL};
static const char *const unknown_words[] = {"refuse", "skip", NULL};
static const char *const policy_words[] = {"volatile-lru",   "volatile-lfu", "volatile-random",
                                           "volatile-ttl",   "allkeys-lru",  "allkeys-lfu",
                                           "allkeys-random", "noeviction",   NULL};

static const char *const rdb_version_words[] = {"auto", "9", "10", "11", "12", NULL};

static const char *const tls_auth_words[] = {"no", "yes", "optional", NULL}; // enum tls_auth

static const char *const endpoint_words[] = {"ip", "hostname", "unknown-endpoint", NULL};

#define HOST_MAX 256 // with the zero byte, as in Redis

static bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/** At most HOST_MAX - 1 letters, digits, and what else is allowed. */
static bool check_host(struct slice text, const char *others, const char *length_error,
                       const char *text_error, struct buf *error) {
    const char *wrong = text.n >= HOST_MAX ? length_error : NULL;
    for (size_t i = 0; i < text.n && wrong == NULL; i++)
        if (!is_letter_or_digit(text.p[i]) && strchr(others, text.p[i]) == NULL) wrong = text_error;
    if (wrong != NULL) buf_append_text(error, wrong);
    return wrong == NULL;
}

static bool check_announced_hostname(const struct slice *words, size_t count, struct buf *error) {
    (void)count;
    return check_host(words[0], "-.", "Hostnames must be less than 256 characters",
                      "Hostnames may only contain alphanumeric characters, hyphens or dots", error);
}

static bool check_announced_ip(const struct slice *words, size_t count, struct buf *error) {
    (void)count;
    return check_host(words[0], "-.:%_", "addresses must be less than 256 characters",
                      "this is neither an address nor a host name", error);
}

#define RANGE(from, to) .lower = (from), .upper = (to)
#define ACTED(kind_, name_, fallback_, flags_, field, note_, ...)                           \
    {                                                                                       \
        .name = (name_), .kind = CONFIG__##kind_, .flags = (flags_),                        \
        .offset = offsetof(struct config, field), .fallback = (fallback_), .note = (note_), \
        ##__VA_ARGS__                                                                       \
    }

static const struct config__row rows[] = {
    ACTED(BIND, "bind", "* -::*", CONFIG__MULTI, bind,
          "addresses to listen on, up to 16; a leading - lets an address be missing"),
    ACTED(NUMBER, "port", "6379", 0, port, "TCP port; 0: no TCP", RANGE(0, 65535)),
    ACTED(BOOL, "protected-mode", "yes", 0, protected_mode,
          "without a password, only clients of this host are served"),
    ACTED(NUMBER, "admin-port", "0", CONFIG__IMMUTABLE | CONFIG__OWN, admin_port,
          "port of administrators; all other ports then refuse administrative commands; 0: none",
          RANGE(0, 65535)),
    ACTED(STRING, "admin-bind", "127.0.0.1 -::1", CONFIG__IMMUTABLE | CONFIG__OWN, admin_bind,
          "addresses of the admin port, with blanks between"),
    ACTED(NUMBER, "tcp-backlog", "511", CONFIG__IMMUTABLE, tcp_backlog,
          "length of the queue of connections not yet accepted", RANGE(0, INT32_MAX)),
    ACTED(STRING, "unixsocket", "", CONFIG__IMMUTABLE | CONFIG__ABSENT, unixsocket,
          "path of a Unix socket; empty: none"),
    ACTED(OCTAL, "unixsocketperm", "0", CONFIG__IMMUTABLE, unixsocketperm,
          "mode of the Unix socket, octal; 0: left as it is made", RANGE(0, 0777)),
    ACTED(NUMBER, "timeout", "0", 0, timeout_s,
          "seconds after which an idle client is closed; 0: never", RANGE(0, INT32_MAX)),
    ACTED(NUMBER, "tcp-keepalive", "300", 0, tcp_keepalive_s,
          "seconds between TCP keepalive probes; 0: none", RANGE(0, INT32_MAX)),
    ACTED(NUMBER, "maxclients", "10000", 0, maxclients, "clients at a time", RANGE(1, UINT32_MAX)),
    ACTED(NUMBER, "shards", "0", CONFIG__IMMUTABLE | CONFIG__OWN, shards,
          "shards, each a thread with its part of the keys; 0: as many CPUs as affinity and cgroup "
          "allow",
          RANGE(0, CONFIG_SHARDS_MAX)),
    ACTED(BOOL, "shard-pinning", "yes", CONFIG__IMMUTABLE | CONFIG__OWN, shard_pinning,
          "each shard stays on a CPU of its own"),
    ACTED(BOOL, "shard-ports", "no", CONFIG__IMMUTABLE | CONFIG__OWN, shard_ports,
          "each shard listens on a port of its own, the first on port + 1, and is a Redis Cluster "
          "node there"),
    ACTED(ENUM, "io-backend", "auto", CONFIG__IMMUTABLE | CONFIG__OWN, io_backend,
          "how sockets are driven; auto: io_uring where the kernel lets it, else epoll",
          .words = io_backend_words),
    ACTED(ENUM, "pipeline-order", "strict", CONFIG__IMMUTABLE | CONFIG__OWN, pipeline_order,
          "strict: the writes of one connection become visible in their order, also on different "
          "shards; relaxed: only per shard",
          .words = pipeline_order_words),
    ACTED(STRING, "cluster-announce-ip", "", CONFIG__ABSENT, announce_ip,
          "address that shard ports announce; empty: the one by which the client came",
          .check = check_announced_ip),
    ACTED(NUMBER, "cluster-announce-port", "0", 0, announce_port,
          "stands for port in what shard ports announce: shard i is at this + 1 + i; 0: port",
          RANGE(0, 65535)),
    ACTED(STRING, "cluster-announce-hostname", "", CONFIG__ABSENT, announce_hostname,
          "host name that shard ports announce", .check = check_announced_hostname),
    ACTED(ENUM, "cluster-preferred-endpoint-type", "ip", 0, endpoint_type,
          "what shard ports send clients to: the address, the host name, or whatever host the "
          "client used",
          .words = endpoint_words),
    ACTED(NUMBER, "tls-port", "0", 0, tls_port,
          "TCP port for TLS clients, on the addresses of bind; 0: none", RANGE(0, 65535)),
    ACTED(STRING, "tls-cert-file", "", CONFIG__ABSENT, tls.cert_file,
          "the server's certificate and those between it and the authority, PEM"),
    ACTED(STRING, "tls-key-file", "", CONFIG__ABSENT, tls.key_file, "its private key, PEM"),
    ACTED(STRING, "tls-key-file-pass", "", CONFIG__ABSENT | CONFIG__SENSITIVE, tls.key_file_pass,
          "password of the key file"),
    ACTED(STRING, "tls-ca-cert-file", "", CONFIG__ABSENT, tls.ca_cert_file,
          "authorities that clients' certificates may come from, PEM"),
    ACTED(STRING, "tls-ca-cert-dir", "", CONFIG__ABSENT, tls.ca_cert_dir,
          "the same as a directory of files under hashed names (openssl rehash)"),
    ACTED(ENUM, "tls-auth-clients", "yes", 0, tls.auth_clients,
          "whether a client needs a certificate; optional: one that has it must have a good one",
          .words = tls_auth_words),
    ACTED(STRING, "tls-protocols", "", CONFIG__ABSENT, tls.protocols,
          "of TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3 those that are spoken, with blanks between; "
          "empty: the last two"),
    ACTED(STRING, "tls-ciphers", "", CONFIG__ABSENT, tls.ciphers,
          "ciphers up to TLS 1.2, in OpenSSL's notation; empty: OpenSSL's choice"),
    ACTED(STRING, "tls-ciphersuites", "", CONFIG__ABSENT, tls.ciphersuites, "the same for TLS 1.3"),
    ACTED(BOOL, "tls-prefer-server-ciphers", "no", 0, tls.prefer_server_ciphers,
          "the server's order of ciphers counts, not the client's"),
    ACTED(STRING, "tls-dh-params-file", "", CONFIG__ABSENT, tls.dh_params_file,
          "parameters for DHE ciphers, PEM; empty: no such ciphers"),
    ACTED(BOOL, "tls-session-caching", "yes", 0, tls.session_caching,
          "keep sessions of clients that come back without a ticket"),
    ACTED(NUMBER, "tls-session-cache-size", "20480", 0, tls.session_cache_size,
          "most sessions that are kept; 0: no limit", RANGE(0, INT32_MAX)),
    ACTED(NUMBER, "tls-session-cache-timeout", "300", 0, tls.session_cache_timeout_s,
          "seconds after which a session cannot be resumed", RANGE(0, INT32_MAX)),
    ACTED(BOOL, "tls-offload", "yes", CONFIG__OWN, tls.offload,
          "the kernel encrypts and decrypts, where it can (module tls, AES-GCM or ChaCha20)"),
    ACTED(NUMBER, "tls-handshake-threads", "0", CONFIG__IMMUTABLE | CONFIG__OWN,
          tls_handshake_threads, "threads that greet TLS clients; 0: one for every four shards",
          RANGE(0, 64)),
    ACTED(NUMBER, "databases", "16", CONFIG__IMMUTABLE, databases, "databases that SELECT knows",
          RANGE(1, INT32_MAX)),
    ACTED(BYTES, "requirepass", "", CONFIG__SENSITIVE | CONFIG__ABSENT, requirepass,
          "password of the default user; empty: none"),
    ACTED(NUMBER, "auth-timeout", "60", CONFIG__OWN, auth_timeout_s,
          "seconds within which a client has to log in, if it has to; 0: no limit",
          RANGE(0, INT32_MAX)),
    ACTED(STRING, "aclfile", "", CONFIG__IMMUTABLE, aclfile,
          "file of users, for ACL LOAD and ACL SAVE; empty: users are `user` lines here"),
    ACTED(NUMBER, "acllog-max-len", "128", 0, acllog_max_len, "entries that ACL LOG keeps",
          RANGE(0, INT64_MAX)),
    ACTED(ENUM, "acl-pubsub-default", "resetchannels", 0, acl_pubsub_default,
          "which channels a new user may use: all, or none", .words = pubsub_default_words),
    ACTED(MEMORY, "proto-max-bulk-len", "536870912", 0, proto_max_bulk_len,
          "longest argument of a command", RANGE(1 << 20, INT64_MAX)),
    ACTED(MEMORY, "client-query-buffer-limit", "1073741824", 0, client_query_buffer_limit,
          "most bytes of one unfinished command", RANGE(1 << 20, INT64_MAX)),
    ACTED(OUTPUT_LIMIT, "client-output-buffer-limit",
          "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", CONFIG__MULTI,
          output_limit,
          "unsent replies that close a client, per class: at once above the first size, or after "
          "that many seconds above the second"),
    ACTED(BOOL, "daemonize", "no", CONFIG__IMMUTABLE, daemonize, "run in the background"),
    ACTED(STRING, "run-as", "", CONFIG__IMMUTABLE | CONFIG__OWN, run_as,
          "user that the server becomes when it was started by root, once its sockets are open; "
          "empty: it stays who it is"),
    ACTED(BOOL, "core-dumps", "no", CONFIG__IMMUTABLE | CONFIG__OWN, core_dumps,
          "whether core files may be written: they hold all data and passwords"),
    ACTED(STRING, "pidfile", "", CONFIG__IMMUTABLE | CONFIG__ABSENT, pidfile,
          "file for the process id"),
    ACTED(STRING, "logfile", "", CONFIG__IMMUTABLE, logfile,
          "file to log to; empty: standard output"),
    ACTED(ENUM, "loglevel", "notice", 0, loglevel, "how much is logged", .words = loglevel_words),
    ACTED(DIR, "dir", ".", CONFIG__PROTECTED, dir, "working directory; snapshots are written here"),
    ACTED(STRING, "dbfilename", "dump.rdb", CONFIG__PROTECTED, dbfilename,
          "file of the snapshot, in dir; it is loaded at the start",
          .check = config__check_base_name),
    ACTED(ENUM, "rdb-unknown", "refuse", CONFIG__OWN, rdb_unknown,
          "what becomes of a file that holds functions, values of modules or of types that torc "
          "does not know; skip: the rest is loaded, and the log says what was left out",
          .words = unknown_words),
    ACTED(WORDS, "save", "3600 1 300 100 60 10000", CONFIG__MULTI | CONFIG__ADDS, save,
          "seconds and changes: a snapshot is made when there are that many changes and the last "
          "one is older; several pairs, or lines; empty: none are made, neither at the end",
          .check = config__check_save),
    ACTED(BOOL, "stop-writes-on-bgsave-error", "yes", 0, stop_writes_on_bgsave_error,
          "with save points: after a snapshot has failed, writes are refused until one succeeds"),
    ACTED(BOOL, "rdbcompression", "yes", 0, rdbcompression,
          "compress strings in snapshots, DUMP and MIGRATE"),
    ACTED(BOOL, "rdbchecksum", "yes", CONFIG__IMMUTABLE, rdbchecksum,
          "snapshots end with a checksum"),
    ACTED(BOOL, "rdb-save-incremental-fsync", "yes", 0, rdb_save_incremental_fsync,
          "bring a snapshot to the disk step by step while it is written"),
    ACTED(ENUM, "rdb-version", "auto", CONFIG__OWN, rdb_version,
          "version of the RDB format in snapshots, DUMP and MIGRATE: 9 (Redis 5), 10 (7.0), 11 "
          "(7.2), 12 (7.4); auto: 11, but 12 when fields of hashes expire, which none before can "
          "express",
          .words = rdb_version_words),
    ACTED(WORDS, "snapshot-cron", "", CONFIG__MULTI | CONFIG__OWN, snapshot_cron,
          "snapshots by the clock, in cron's syntax (minute hour day month weekday, or @daily and "
          "its like), local time; empty: none",
          .check = config__check_cron),
    ACTED(NUMBER, "snapshot-keep", "0", CONFIG__OWN, snapshot_keep,
          "keep so many of the snapshots by the clock beside dbfilename, under dated names "
          "(dump-YYYYMMDD-HHMMSS.rdb); older ones are removed. 0: no dated names",
          RANGE(0, INT32_MAX)),
    ACTED(WORDS, "shutdown-on-sigint", "default", CONFIG__MULTI, shutdown_on_sigint,
          "how SIGINT ends the server: default (as SHUTDOWN without words), save, nosave, now, "
          "force",
          .check = config__check_shutdown),
    ACTED(WORDS, "shutdown-on-sigterm", "default", CONFIG__MULTI, shutdown_on_sigterm,
          "the same for SIGTERM", .check = config__check_shutdown),
    ACTED(BOOL, "always-show-logo", "no", CONFIG__IMMUTABLE, always_show_logo,
          "show the logo at the start also when the log is not a terminal"),
    ACTED(NUMBER, "hz", "10", CONFIG__HZ, hz,
          "shown in INFO; background work keeps its own rhythm; values outside 1 to 500 become the "
          "nearest of them",
          RANGE(0, INT32_MAX)),
    ACTED(
        MEMORY, "maxmemory", "0", 0, maxmemory,
        "most memory of all shards together; 0: no limit. What happens then is maxmemory-policy's "
        "part",
        RANGE(0, INT64_MAX)),
    ACTED(ENUM, "maxmemory-policy", "noeviction", 0, maxmemory_policy,
          "what makes room in full memory: nothing, so that writes fail, or keys that are removed: "
          "any, or those with an expiry; the least recently (LRU) or least frequently (LFU) used, "
          "random ones, or the first to expire",
          .words = policy_words),
    ACTED(NUMBER, "maxmemory-samples", "5", 0, maxmemory_samples,
          "keys to look at, at least, for each that is evicted; more than 64 count as 64",
          RANGE(1, INT32_MAX)),
    ACTED(NUMBER, "maxmemory-eviction-tenacity", "10", 0, maxmemory_eviction_tenacity,
          "how many keys one pass of a shard evicts at most: 16 at 0, 50 more with each step up to "
          "10 (500), then 15 % more with each; 100: until there is room",
          RANGE(0, 100)),
    ACTED(NUMBER, "lfu-log-factor", "10", 0, lfu_log_factor, "how slowly access counts grow",
          RANGE(0, INT32_MAX)),
    ACTED(NUMBER, "lfu-decay-time", "1", 0, lfu_decay_time,
          "minutes after which an access count shrinks by one; 0: never", RANGE(0, INT32_MAX)),
    ACTED(NUMBER, "hash-max-listpack-entries", "512", 0, limits.hash_max_listpack_entries,
          "most fields of a hash that is held as a listpack", .alias = "hash-max-ziplist-entries",
          RANGE(0, INT64_MAX)),
    ACTED(MEMORY, "hash-max-listpack-value", "64", 0, limits.hash_max_listpack_value,
          "longest field or value of such a hash, bytes", .alias = "hash-max-ziplist-value",
          RANGE(0, INT64_MAX)),
    ACTED(NUMBER, "list-max-listpack-size", "-2", 0, limits.list_max_listpack_size,
          "most items of a list's node; negative: its most bytes, from -1 (4 KiB) to -5 (64 KiB)",
          .alias = "list-max-ziplist-size", RANGE(INT32_MIN, INT32_MAX)),
    ACTED(NUMBER, "list-compress-depth", "0", 0, limits.list_compress_depth,
          "nodes at both ends of a list that are not compressed; 0: none is", RANGE(0, INT32_MAX)),
    ACTED(NUMBER, "set-max-intset-entries", "512", 0, limits.set_max_intset_entries,
          "most members of a set of integers that is held as an intset", RANGE(0, INT64_MAX)),
    ACTED(NUMBER, "set-max-listpack-entries", "128", 0, limits.set_max_listpack_entries,
          "most members of a set that is held as a listpack", RANGE(0, INT64_MAX)),
    ACTED(NUMBER, "set-max-listpack-value", "64", 0, limits.set_max_listpack_value,
          "longest member of such a set, bytes", RANGE(0, INT64_MAX)),
    ACTED(NUMBER, "zset-max-listpack-entries", "128", 0, limits.zset_max_listpack_entries,
          "most members of a sorted set that is held as a listpack",
          .alias = "zset-max-ziplist-entries", RANGE(0, INT64_MAX)),
    ACTED(MEMORY, "zset-max-listpack-value", "64", 0, limits.zset_max_listpack_value,
          "longest member of such a sorted set, bytes", .alias = "zset-max-ziplist-value",
          RANGE(0, INT64_MAX)),
    ACTED(MEMORY, "hll-sparse-max-bytes", "3000", 0, limits.hll_sparse_max_bytes,
          "longest HyperLogLog in the sparse form", RANGE(0, INT64_MAX)),
    ACTED(MEMORY, "stream-node-max-bytes", "4096", 0, limits.stream_node_max_bytes,
          "most bytes of a stream's node; 0: no limit", RANGE(0, INT64_MAX)),
    ACTED(NUMBER, "stream-node-max-entries", "100", 0, limits.stream_node_max_entries,
          "most entries of a stream's node; 0: no limit", RANGE(0, INT64_MAX)),
    ACTED(
        EVENTS, "notify-keyspace-events", "", 0, notify_keyspace_events,
        "which events are published: K by key, E by event, of the classes g $ l s h z x e t d n m; "
        "A: all but n and m; empty: none"),
    ACTED(
        NUMBER, "tracking-table-max-keys", "1000000", 0, tracking_table_max_keys,
        "keys, of all shards together, that are remembered as read by clients that cache; what is "
        "too much is forgotten, and those clients are told as if it had changed; 0: no limit",
        RANGE(0, INT64_MAX)),
    ACTED(NUMBER, "key-load-delay", "0", CONFIG__HIDDEN, key_load_delay,
          "for tests: microseconds to wait for each key that is loaded; negative: for one "
          "microsecond, at one key in so many",
          RANGE(INT32_MIN, INT32_MAX)),
    ACTED(ENUM, "enable-debug-command", "no", CONFIG__IMMUTABLE, enable_debug_command,
          "who may use DEBUG; local: clients of this host", .words = enable_words),
    ACTED(ENUM, "enable-protected-configs", "no", CONFIG__IMMUTABLE, enable_protected_configs,
          "who may CONFIG SET dir; local: clients of this host", .words = enable_words),
};

const struct config__row *config__row_at(size_t i) {
    const size_t count = sizeof(rows) / sizeof(rows[0]);
    return i < count ? &rows[i] : config__inert_row_at(i - count);
}

const struct config__row *config__row_find(struct slice name) {
    const struct config__row *row;
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        if (slice_is(name, row->name) || (row->alias != NULL && slice_is(name, row->alias)))
            return row;
    }
    return NULL;
}
