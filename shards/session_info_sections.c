// SPDX-License-Identifier: BSD-3-Clause
//
// The sections of INFO: from gathered snapshots to lines of "field:value". Field names are Redis's;
// what torc does not have (forks, replicas, scripts) is said as Redis says it of a server that does
// not use it, and left out where that would claim a mechanism.
// Runs on the shard that was asked. Called by session_info.c through the table at the end.
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/commands/server.h"
#include "shards/cluster.h"
#include "shards/config.h"
#include "shards/lazyfree.h"
#include "shards/loading.h"
#include "shards/migrate.h"
#include "shards/session_info.h"
#include "shards/session_shared.h"
#include "shards/snapshots.h"
#include "shards/tls.h"

typedef unsigned long long ull;

static void put(struct buf *out, const char *name, uint64_t value) {
    buf_printf(out, "%s:%llu\r\n", name, (ull)value);
}

static void put_text(struct buf *out, const char *name, const char *text) {
    buf_printf(out, "%s:%s\r\n", name, text);
}

/** A size as Redis writes it for people: 969.73K. */
static void put_human(struct buf *out, const char *name, int64_t bytes) {
    static const char units[] = "BKMGTP";
    double size = (double)bytes;
    int unit = 0;
    while (size >= 1024 && unit < 5) {
        size /= 1024;
        unit++;
    }
    if (unit == 0)
        buf_printf(out, "%s_human:%lldB\r\n", name, (long long)bytes);
    else
        buf_printf(out, "%s_human:%.2f%c\r\n", name, size, units[unit]);
}

static void put_size(struct buf *out, const char *name, int64_t bytes) {
    put(out, name, (uint64_t)bytes);
    put_human(out, name, bytes);
}

// ---- server, clients ---------------------------------------------------------------------------

static void write_listener(const struct config *config, int number, int64_t port, struct buf *out) {
    buf_printf(out, "listener%d:name=tcp", number);
    for (int i = 0; i < config->bind_count; i++) buf_printf(out, ",bind=%s", config->bind[i]);
    buf_printf(out, ",port=%lld\r\n", (long long)port);
}

static void write_listeners(const struct config *config, uint32_t nshards, struct buf *out) {
    int listener = 0;
    if (config->port > 0) write_listener(config, listener++, config->port, out);
    for (uint32_t i = 0; config->shard_ports && i < nshards; i++)
        write_listener(config, listener++, cluster_port(config, i), out);
    if (config->unixsocket[0] != '\0')
        buf_printf(out, "listener%d:name=unix,bind=%s\r\n", listener, config->unixsocket);
}

static void write_server(const struct info *info, struct buf *out) {
    const struct shard *s = info->home;
    struct utsname host;
    char executable[4096];
    ssize_t n = readlink("/proc/self/exe", executable, sizeof executable - 1);
    executable[n > 0 ? n : 0] = '\0';
    uint64_t uptime_s = (uint64_t)(s->now_us - s->fleet->started_us) / 1000000;
    put_text(out, "redis_version", SERVER_REDIS_VERSION);
    put_text(out, "redis_git_sha1", "00000000");
    put(out, "redis_git_dirty", 0);
    put_text(out, "redis_build_id", "0");
    put_text(out, "torc_version", TORC_VERSION);
    put_text(out, "redis_mode", info->is_node ? "cluster" : "standalone");
    if (uname(&host) == 0)
        buf_printf(out, "os:%s %s %s\r\n", host.sysname, host.release, host.machine);
    put(out, "arch_bits", sizeof(void *) * 8);
    put_text(out, "monotonic_clock", "POSIX clock_gettime");
    put_text(out, "multiplexing_api", s->io->ops->name);
    put_text(out, "atomicvar_api", "c11-builtin");
#ifdef __clang__
    put_text(out, "gcc_version", "0.0.0");
#else
    buf_printf(out, "gcc_version:%d.%d.%d\r\n", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
    put(out, "process_id", (uint64_t)getpid());
    put_text(out, "process_supervised", "no");
    put_text(out, "run_id", s->fleet->run_id);
    put(out, "tcp_port",
        (uint64_t)(info->is_node ? cluster_port(s->config, s->id) : s->config->port));
    put(out, "server_time_usec", (uint64_t)s->now_us);
    put(out, "uptime_in_seconds", uptime_s);
    put(out, "uptime_in_days", uptime_s / 86400);
    put(out, "hz", (uint64_t)s->config->hz);
    put(out, "configured_hz", (uint64_t)s->config->hz);
    put(out, "lru_clock", (uint64_t)(s->now_ms / 1000) & 0xffffff);
    put_text(out, "executable", executable);
    put_text(out, "config_file", s->config->file);
    put(out, "io_threads_active", 0);
    write_listeners(s->config, s->fleet->nshards, out);
}

static void write_clients(const struct info *info, struct buf *out) {
    put(out, "connected_clients", info->total.connections);
    put(out, "cluster_connections", 0);
    put(out, "maxclients", (uint64_t)info->home->config->maxclients);
    put(out, "client_recent_max_input_buffer", info->total.input_max);
    put(out, "client_recent_max_output_buffer", info->total.output_max);
    put(out, "blocked_clients", info->total.blocked);
    put(out, "tracking_clients", info->total.tracking);
    put(out, "pubsub_clients", info->total.subscribed);
    put(out, "clients_in_timeout_table", info->total.timed);
    put(out, "total_blocking_keys", info->total.keyspace.waited_keys);
    put(out, "total_blocking_keys_on_nokey", info->total.keyspace.waited_on_missing);
}

// ---- memory ------------------------------------------------------------------------------------

static void put_config(struct buf *out, const struct info *info, const char *field,
                       const char *directive) {
    buf_printf(out, "%s:", field);
    config_value(info->home->config, slice_text(directive), out);
    buf_append_text(out, "\r\n");
}

static void write_memory(const struct info *info, struct buf *out) {
    int64_t used = mem_used(), peak = mem_peak(), resident = mem_resident();
    int64_t dataset = info->total.keyspace.memory, startup = info->total.startup_memory;
    if (peak < used) peak = used;
    if (dataset > used) dataset = used;
    put_size(out, "used_memory", used);
    put_size(out, "used_memory_rss", resident);
    put_size(out, "used_memory_peak", peak);
    buf_printf(out, "used_memory_peak_perc:%.2f%%\r\n",
               (double)used * 100 / (double)(peak + !peak));
    put(out, "used_memory_overhead", (uint64_t)(used - dataset));
    put(out, "used_memory_startup", (uint64_t)startup);
    put(out, "used_memory_dataset", (uint64_t)dataset);
    buf_printf(out, "used_memory_dataset_perc:%.2f%%\r\n",
               used > startup && dataset < used - startup
                   ? (double)dataset * 100 / (double)(used - startup)
               : dataset > 0 ? 100.0
                             : 0.0);
    put(out, "allocator_allocated", (uint64_t)used);
    put_size(out, "total_system_memory",
             (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE));
    put_size(out, "maxmemory", info->home->config->maxmemory);
    put_config(out, info, "maxmemory_policy", "maxmemory-policy");
    buf_printf(out, "mem_fragmentation_ratio:%.2f\r\n", (double)resident / (double)(used + !used));
    buf_printf(out, "mem_fragmentation_bytes:%lld\r\n", (long long)(resident - used));
    put(out, "mem_not_counted_for_evict", mem_leaving() > 0 ? (uint64_t)mem_leaving() : 0);
    put(out, "mem_replication_backlog", 0);
    put(out, "mem_clients_slaves", 0);
    put(out, "mem_clients_normal", info->total.client_memory);
    put(out, "mem_aof_buffer", 0);
    put_text(out, "mem_allocator", mem_allocator_name());
    put(out, "active_defrag_running", 0);
    put(out, "lazyfree_pending_objects", lazyfree_pending());
    put(out, "lazyfreed_objects", lazyfree_done());
}

/** What there is to say of a load while one is under way. */
static void write_loading(const struct loading_info *load, struct buf *out) {
    double part =
        load->total_bytes > 0 ? (double)load->loaded_bytes / (double)load->total_bytes : 0;
    put(out, "loading_start_time", (uint64_t)load->started_s);
    put(out, "loading_total_bytes", load->total_bytes);
    put(out, "loading_rdb_used_mem", load->used_memory);
    put(out, "loading_loaded_bytes", load->loaded_bytes);
    buf_printf(out, "loading_loaded_perc:%.2f\r\n", part * 100);
    put(out, "loading_eta_seconds", (uint64_t)load->eta_s);
}

/** Seconds; -1 where there is nothing to measure. */
static void put_signed(struct buf *out, const char *name, int64_t value) {
    buf_printf(out, "%s:%lld\r\n", name, (long long)value);
}

static void write_snapshots(const struct info *info, struct buf *out) {
    struct snapshots_report r;
    snapshots_report(info->home->fleet, &r);
    uint64_t dirty = info->total.keyspace.dirty;
    if (info->is_node || dirty < r.base_dirty) r.base_dirty = 0; // one shard's changes alone
    put(out, "current_cow_peak", 0);
    put(out, "current_cow_size", 0);
    put(out, "current_cow_size_age", 0);
    buf_printf(out, "current_fork_perc:%.2f\r\n",
               r.keys > 0 ? (double)r.written_keys * 100 / (double)r.keys : 0.0);
    put(out, "current_save_keys_processed", r.written_keys);
    put(out, "current_save_keys_total", r.keys);
    put(out, "rdb_changes_since_last_save", dirty - r.base_dirty);
    put(out, "rdb_bgsave_in_progress", r.running);
    put_signed(out, "rdb_last_save_time", r.last_save_s);
    put_text(out, "rdb_last_bgsave_status", r.last_ok ? "ok" : "err");
    put_signed(out, "rdb_last_bgsave_time_sec", r.last_seconds);
    put_signed(out, "rdb_current_bgsave_time_sec", r.current_seconds);
    put(out, "rdb_saves", r.started);
    put(out, "rdb_last_cow_size", 0);
    put(out, "rdb_pending_bytes", r.pending_bytes);
    put(out, "rdb_last_save_bytes", r.last_bytes);
}

static void write_persistence(const struct info *info, struct buf *out) {
    struct loading_info load;
    loading_info(info->home, &load);
    put(out, "loading", load.on);
    put(out, "async_loading", 0);
    write_snapshots(info, out);
    put(out, "rdb_last_load_keys_expired", load.keys_expired);
    put(out, "rdb_last_load_keys_loaded", load.keys_loaded);
    put(out, "aof_enabled", 0);
    put(out, "aof_rewrite_in_progress", 0);
    put(out, "aof_rewrite_scheduled", 0);
    put_text(out, "aof_last_rewrite_time_sec", "-1");
    put_text(out, "aof_current_rewrite_time_sec", "-1");
    put_text(out, "aof_last_bgrewrite_status", "ok");
    put(out, "aof_rewrites", 0);
    put(out, "aof_rewrites_consecutive_failures", 0);
    put_text(out, "aof_last_write_status", "ok");
    put(out, "aof_last_cow_size", 0);
    put(out, "module_fork_in_progress", 0);
    put(out, "module_fork_last_cow_size", 0);
    if (load.on) write_loading(&load, out);
}

// ---- stats -------------------------------------------------------------------------------------

static void put_kbps(struct buf *out, const char *name, const uint64_t ring[16]) {
    buf_printf(out, "%s:%.2f\r\n", name, (double)statistics_rate(ring) / 1024);
}

static void write_stats(const struct info *info, struct buf *out) {
    const struct info_snapshot *t = &info->total;
    put(out, "total_connections_received", t->stats.connections_received);
    put(out, "total_commands_processed", t->stats.commands);
    put(out, "instantaneous_ops_per_sec", statistics_rate(t->stats.ops_rate));
    put(out, "total_net_input_bytes", t->bytes_in);
    put(out, "total_net_output_bytes", t->bytes_out);
    put_kbps(out, "instantaneous_input_kbps", t->stats.in_rate);
    put_kbps(out, "instantaneous_output_kbps", t->stats.out_rate);
    put(out, "rejected_connections", t->stats.connections_rejected);
    put(out, "sync_full", 0);
    put(out, "sync_partial_ok", 0);
    put(out, "sync_partial_err", 0);
    put(out, "expired_keys", t->keyspace.expired);
    put(out, "expired_subkeys", t->keyspace.expired_fields);
    put(out, "evicted_keys", t->keyspace.evicted);
    put(out, "evicted_clients", 0);
    put(out, "total_eviction_exceeded_time", (uint64_t)t->exceeded_total_ns / 1000000);
    put(out, "current_eviction_exceeded_time", (uint64_t)t->exceeded_ns / 1000000);
    put(out, "keyspace_hits", t->keyspace.hits);
    put(out, "keyspace_misses", t->keyspace.misses);
    put(out, "pubsub_channels", t->channels);
    put(out, "pubsub_patterns", t->patterns);
    put(out, "pubsubshard_channels", t->shard_channels);
    put(out, "latest_fork_usec", 0);
    put(out, "total_forks", 0);
    put(out, "migrate_cached_sockets", migrate_pool_cached(info->home->fleet->migrations));
    put(out, "tracking_total_keys", info->tracked_keys);
    put(out, "tracking_total_items", t->keyspace.tracked_readers);
    put(out, "tracking_total_prefixes", info->prefixes);
    put(out, "unexpected_error_replies", 0);
    put(out, "total_error_replies", t->stats.error_replies);
    put(out, "total_reads_processed", t->stats.reads);
    put(out, "total_writes_processed", t->stats.writes);
    put(out, "io_threaded_reads_processed", 0);
    put(out, "io_threaded_writes_processed", 0);
    put(out, "client_output_buffer_limit_disconnections", t->stats.output_limit_closed);
    put(out, "acl_access_denied_auth", t->stats.denials[ACL_LOG_AUTH]);
    put(out, "auth_delayed", t->stats.auth_delayed); // torc's own
    put(out, "acl_access_denied_cmd", t->stats.denials[ACL_LOG_COMMAND]);
    put(out, "acl_access_denied_key", t->stats.denials[ACL_LOG_KEY]);
    put(out, "acl_access_denied_channel", t->stats.denials[ACL_LOG_CHANNEL]);
}

static void write_replication(const struct info *info, struct buf *out) {
    char id[41];
    session__replication_id(info->home->fleet, false, id);
    put_text(out, "role", "master");
    put(out, "connected_slaves", 0);
    put_text(out, "master_failover_state", "no-failover");
    put_text(out, "master_replid", id);
    put_text(out, "master_replid2", "0000000000000000000000000000000000000000");
    put(out, "master_repl_offset", 0);
    put_text(out, "second_repl_offset", "-1");
    put(out, "repl_backlog_active", 0);
    put_config(out, info, "repl_backlog_size", "repl-backlog-size");
    put(out, "repl_backlog_first_byte_offset", 0);
    put(out, "repl_backlog_histlen", 0);
}

static void put_time(struct buf *out, const char *name, struct timeval time) {
    buf_printf(out, "%s:%lld.%06lld\r\n", name, (long long)time.tv_sec, (long long)time.tv_usec);
}

static void write_cpu(const struct info *info, struct buf *out) {
    (void)info;
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    put_time(out, "used_cpu_sys", self.ru_stime);
    put_time(out, "used_cpu_user", self.ru_utime);
    put_time(out, "used_cpu_sys_children", children.ru_stime);
    put_time(out, "used_cpu_user_children", children.ru_utime);
}

static void write_modules(const struct info *info, struct buf *out) {
    (void)info;
    (void)out;
}

static void write_commandstats(const struct info *info, struct buf *out) {
    uint32_t commands = command_count();
    for (uint32_t i = 0; i < commands; i++) {
        const struct command_statistics *st = &info->total.stats.by_command[i];
        if (st->calls == 0 && st->rejected == 0 && st->failed == 0) continue;
        double each_us = st->sampled > 0 ? (double)st->sampled_ns / (double)st->sampled / 1000 : 0;
        buf_printf(out,
                   "cmdstat_%s:calls=%llu,usec=%.0f,usec_per_call=%.2f,rejected_calls=%llu,"
                   "failed_calls=%llu\r\n",
                   command_by_id(i)->full_name, (ull)st->calls, each_us * (double)st->calls,
                   each_us, (ull)st->rejected, (ull)st->failed);
    }
}

static void write_errorstats(const struct info *info, struct buf *out) {
    const struct statistics *st = &info->total.stats;
    for (uint32_t i = 0; i < st->error_codes; i++)
        buf_printf(out, "errorstat_%s:count=%llu\r\n", st->errors[i].code,
                   (ull)st->errors[i].count);
}

static void write_cluster(const struct info *info, struct buf *out) {
    put(out, "cluster_enabled", info->is_node);
}

static int compare_databases(const void *a, const void *b) {
    const struct database_summary *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static void write_keyspace(const struct info *info, struct buf *out) {
    const struct keyspace_summary *sum = &info->total.keyspace;
    if (sum->database_count == 0) return;
    qsort(sum->databases, sum->database_count, sizeof *sum->databases, compare_databases);
    for (uint32_t i = 0; i < sum->database_count; i++) {
        const struct database_summary *db = &sum->databases[i];
        buf_printf(out, "db%u:keys=%llu,expires=%llu,avg_ttl=%lld\r\n", db->index, (ull)db->keys,
                   (ull)db->expires, (long long)db->average_ttl_ms);
    }
}

static void write_shards(const struct info *info, struct buf *out) {
    const struct shard *s = info->home;
    put(out, "shards", s->fleet->nshards);
    put(out, "cross_shard_requests", info->total.stats.remote_requests);
    put(out, "cross_shard_messages", info->total.stats.messages_sent);
    put_text(out, "io_backend", s->io->ops->name);
    put_text(out, "io_fallback_reason", s->fleet->io_reason ? s->fleet->io_reason : "");
    if (s->fleet->tls) {
        struct tls_pool_counts tls = tls_front_counts(s->fleet->tls);
        put(out, "tls_connections", info->total.tls);
        put(out, "tls_connections_in_kernel", info->total.tls_in_kernel);
        put(out, "tls_handshakes", tls.done);
        put(out, "tls_handshakes_failed", tls.failed);
        put(out, "tls_handshakes_waiting", tls.waiting);
    }
    for (uint32_t i = 0; i < s->fleet->nshards; i++) {
        const struct info_snapshot *snap = &info->by_shard[i];
        const struct statistics *st = &snap->stats;
        if (!st->by_command) continue; // not asked
        buf_printf(out,
                   "shard%u:keys=%llu,connections=%llu,commands=%llu,remote_requests=%llu,visits=%"
                   "llu,awaited=%llu,"
                   "transactions=%llu,retried=%llu,held=%llu,messages=%llu,wakeups=%llu,"
                   "passes=%llu,sleeps=%llu\r\n",
                   i, (ull)snap->keyspace.keys, (ull)snap->connections, (ull)st->commands,
                   (ull)st->remote_requests, (ull)st->visits, (ull)st->visits_awaited,
                   (ull)st->transactions, (ull)st->transactions_retried, (ull)st->held_requests,
                   (ull)st->messages_sent, (ull)st->wakeups_sent, (ull)st->passes, (ull)st->sleeps);
    }
}

const struct info_section session__info_sections[] = {
    // title, in default, in all, function
    {"Server", true, true, write_server},
    {"Clients", true, true, write_clients},
    {"Memory", true, true, write_memory},
    {"Persistence", true, true, write_persistence},
    {"Stats", true, true, write_stats},
    {"Replication", true, true, write_replication},
    {"CPU", true, true, write_cpu},
    {"Modules", true, false, write_modules},
    {"Commandstats", false, true, write_commandstats},
    {"Errorstats", true, true, write_errorstats},
    {"Cluster", true, true, write_cluster},
    {"Keyspace", true, true, write_keyspace},
    {"Shards", false, true, write_shards},
    {NULL, false, false, NULL},
};
