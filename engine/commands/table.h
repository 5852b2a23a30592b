// SPDX-License-Identifier: BSD-3-Clause
//
// Inside of the command table: row ids, ACL categories, the macros that rows are written with, and
// the name index. Shared by table.c, its row files (table_*.inc), table_index.c and introspect.c.
// To add a command: an id at its alphabetical place below, a row, and the index printed by
// `test_table --print-index`. Invariant: a row's id is its place, top-level rows first. Constant
// data.
#ifndef TORC_ENGINE_COMMANDS_TABLE_H
#define TORC_ENGINE_COMMANDS_TABLE_H

#include <stdint.h>
#include <string.h>

#include "engine/commands/command.h"

enum table__row {
    ROW_ACL,
    ROW_APPEND,
    ROW_ASKING,
    ROW_AUTH,
    ROW_BGSAVE,
    ROW_BITCOUNT,
    ROW_BITFIELD,
    ROW_BITFIELD_RO,
    ROW_BITOP,
    ROW_BITPOS,
    ROW_BLMOVE,
    ROW_BLMPOP,
    ROW_BLPOP,
    ROW_BRPOP,
    ROW_BRPOPLPUSH,
    ROW_BZMPOP,
    ROW_BZPOPMAX,
    ROW_BZPOPMIN,
    ROW_CLIENT,
    ROW_CLUSTER,
    ROW_COMMAND,
    ROW_CONFIG,
    ROW_COPY,
    ROW_DBSIZE,
    ROW_DEBUG,
    ROW_DECR,
    ROW_DECRBY,
    ROW_DEL,
    ROW_DISCARD,
    ROW_DUMP,
    ROW_ECHO,
    ROW_EXEC,
    ROW_EXISTS,
    ROW_EXPIRE,
    ROW_EXPIREAT,
    ROW_EXPIRETIME,
    ROW_FLUSHALL,
    ROW_FLUSHDB,
    ROW_GEOADD,
    ROW_GEODIST,
    ROW_GEOHASH,
    ROW_GEOPOS,
    ROW_GEORADIUS,
    ROW_GEORADIUS_RO,
    ROW_GEORADIUSBYMEMBER,
    ROW_GEORADIUSBYMEMBER_RO,
    ROW_GEOSEARCH,
    ROW_GEOSEARCHSTORE,
    ROW_GET,
    ROW_GETBIT,
    ROW_GETDEL,
    ROW_GETEX,
    ROW_GETRANGE,
    ROW_GETSET,
    ROW_HDEL,
    ROW_HELLO,
    ROW_HEXISTS,
    ROW_HEXPIRE,
    ROW_HEXPIREAT,
    ROW_HEXPIRETIME,
    ROW_HGET,
    ROW_HGETALL,
    ROW_HGETDEL,
    ROW_HGETEX,
    ROW_HINCRBY,
    ROW_HINCRBYFLOAT,
    ROW_HKEYS,
    ROW_HLEN,
    ROW_HMGET,
    ROW_HMSET,
    ROW_HPERSIST,
    ROW_HPEXPIRE,
    ROW_HPEXPIREAT,
    ROW_HPEXPIRETIME,
    ROW_HPTTL,
    ROW_HRANDFIELD,
    ROW_HSCAN,
    ROW_HSET,
    ROW_HSETEX,
    ROW_HSETNX,
    ROW_HSTRLEN,
    ROW_HTTL,
    ROW_HVALS,
    ROW_INCR,
    ROW_INCRBY,
    ROW_INCRBYFLOAT,
    ROW_INFO,
    ROW_KEYS,
    ROW_LASTSAVE,
    ROW_LCS,
    ROW_LINDEX,
    ROW_LINSERT,
    ROW_LLEN,
    ROW_LMOVE,
    ROW_LMPOP,
    ROW_LOLWUT,
    ROW_LPOP,
    ROW_LPOS,
    ROW_LPUSH,
    ROW_LPUSHX,
    ROW_LRANGE,
    ROW_LREM,
    ROW_LSET,
    ROW_LTRIM,
    ROW_MEMORY,
    ROW_MGET,
    ROW_MIGRATE,
    ROW_MONITOR,
    ROW_MOVE,
    ROW_MSET,
    ROW_MSETNX,
    ROW_MULTI,
    ROW_OBJECT,
    ROW_PERSIST,
    ROW_PEXPIRE,
    ROW_PEXPIREAT,
    ROW_PEXPIRETIME,
    ROW_PFADD,
    ROW_PFCOUNT,
    ROW_PFDEBUG,
    ROW_PFMERGE,
    ROW_PFSELFTEST,
    ROW_PING,
    ROW_PSETEX,
    ROW_PSUBSCRIBE,
    ROW_PTTL,
    ROW_PUBLISH,
    ROW_PUBSUB,
    ROW_PUNSUBSCRIBE,
    ROW_QUIT,
    ROW_RANDOMKEY,
    ROW_READONLY,
    ROW_READWRITE,
    ROW_RENAME,
    ROW_RENAMENX,
    ROW_RESET,
    ROW_RESTORE,
    ROW_RESTORE_ASKING,
    ROW_RPOP,
    ROW_RPOPLPUSH,
    ROW_RPUSH,
    ROW_RPUSHX,
    ROW_SADD,
    ROW_SAVE,
    ROW_SCAN,
    ROW_SCARD,
    ROW_SDIFF,
    ROW_SDIFFSTORE,
    ROW_SELECT,
    ROW_SET,
    ROW_SETBIT,
    ROW_SETEX,
    ROW_SETNX,
    ROW_SETRANGE,
    ROW_SHUTDOWN,
    ROW_SINTER,
    ROW_SINTERCARD,
    ROW_SINTERSTORE,
    ROW_SISMEMBER,
    ROW_SMEMBERS,
    ROW_SMISMEMBER,
    ROW_SMOVE,
    ROW_SORT,
    ROW_SORT_RO,
    ROW_SPOP,
    ROW_SPUBLISH,
    ROW_SRANDMEMBER,
    ROW_SREM,
    ROW_SSCAN,
    ROW_SSUBSCRIBE,
    ROW_STRLEN,
    ROW_SUBSCRIBE,
    ROW_SUBSTR,
    ROW_SUNION,
    ROW_SUNIONSTORE,
    ROW_SUNSUBSCRIBE,
    ROW_SWAPDB,
    ROW_TIME,
    ROW_TOUCH,
    ROW_TTL,
    ROW_TYPE,
    ROW_UNLINK,
    ROW_UNSUBSCRIBE,
    ROW_UNWATCH,
    ROW_WAIT,
    ROW_WATCH,
    ROW_XACK,
    ROW_XADD,
    ROW_XAUTOCLAIM,
    ROW_XCLAIM,
    ROW_XDEL,
    ROW_XGROUP,
    ROW_XINFO,
    ROW_XLEN,
    ROW_XPENDING,
    ROW_XRANGE,
    ROW_XREAD,
    ROW_XREADGROUP,
    ROW_XREVRANGE,
    ROW_XSETID,
    ROW_XTRIM,
    ROW_ZADD,
    ROW_ZCARD,
    ROW_ZCOUNT,
    ROW_ZDIFF,
    ROW_ZDIFFSTORE,
    ROW_ZINCRBY,
    ROW_ZINTER,
    ROW_ZINTERCARD,
    ROW_ZINTERSTORE,
    ROW_ZLEXCOUNT,
    ROW_ZMPOP,
    ROW_ZMSCORE,
    ROW_ZPOPMAX,
    ROW_ZPOPMIN,
    ROW_ZRANDMEMBER,
    ROW_ZRANGE,
    ROW_ZRANGEBYLEX,
    ROW_ZRANGEBYSCORE,
    ROW_ZRANGESTORE,
    ROW_ZRANK,
    ROW_ZREM,
    ROW_ZREMRANGEBYLEX,
    ROW_ZREMRANGEBYRANK,
    ROW_ZREMRANGEBYSCORE,
    ROW_ZREVRANGE,
    ROW_ZREVRANGEBYLEX,
    ROW_ZREVRANGEBYSCORE,
    ROW_ZREVRANK,
    ROW_ZSCAN,
    ROW_ZSCORE,
    ROW_ZUNION,
    ROW_ZUNIONSTORE,
    ROW_TOP_COUNT,
    // Subcommands, the ones of a container side by side.
    ROW_ACL_CAT = ROW_TOP_COUNT,
    ROW_ACL_DELUSER,
    ROW_ACL_DRYRUN,
    ROW_ACL_GENPASS,
    ROW_ACL_GETUSER,
    ROW_ACL_HELP,
    ROW_ACL_LIST,
    ROW_ACL_LOAD,
    ROW_ACL_LOG,
    ROW_ACL_SAVE,
    ROW_ACL_SETUSER,
    ROW_ACL_USERS,
    ROW_ACL_WHOAMI,
    ROW_CLIENT_CACHING,
    ROW_CLIENT_GETNAME,
    ROW_CLIENT_GETREDIR,
    ROW_CLIENT_HELP,
    ROW_CLIENT_ID,
    ROW_CLIENT_INFO,
    ROW_CLIENT_KILL,
    ROW_CLIENT_LIST,
    ROW_CLIENT_NO_EVICT,
    ROW_CLIENT_NO_TOUCH,
    ROW_CLIENT_PAUSE,
    ROW_CLIENT_REPLY,
    ROW_CLIENT_SETINFO,
    ROW_CLIENT_SETNAME,
    ROW_CLIENT_TRACKING,
    ROW_CLIENT_TRACKINGINFO,
    ROW_CLIENT_UNBLOCK,
    ROW_CLIENT_UNPAUSE,
    ROW_CLUSTER_COUNT_FAILURE_REPORTS,
    ROW_CLUSTER_COUNTKEYSINSLOT,
    ROW_CLUSTER_GETKEYSINSLOT,
    ROW_CLUSTER_HELP,
    ROW_CLUSTER_INFO,
    ROW_CLUSTER_KEYSLOT,
    ROW_CLUSTER_LINKS,
    ROW_CLUSTER_MYID,
    ROW_CLUSTER_MYSHARDID,
    ROW_CLUSTER_NODES,
    ROW_CLUSTER_REPLICAS,
    ROW_CLUSTER_SHARDS,
    ROW_CLUSTER_SLAVES,
    ROW_CLUSTER_SLOTS,
    ROW_COMMAND_COUNT,
    ROW_COMMAND_DOCS,
    ROW_COMMAND_GETKEYS,
    ROW_COMMAND_GETKEYSANDFLAGS,
    ROW_COMMAND_HELP,
    ROW_COMMAND_INFO,
    ROW_COMMAND_LIST,
    ROW_CONFIG_GET,
    ROW_CONFIG_HELP,
    ROW_CONFIG_RESETSTAT,
    ROW_CONFIG_REWRITE,
    ROW_CONFIG_SET,
    ROW_MEMORY_HELP,
    ROW_MEMORY_USAGE,
    ROW_OBJECT_ENCODING,
    ROW_OBJECT_FREQ,
    ROW_OBJECT_HELP,
    ROW_OBJECT_IDLETIME,
    ROW_OBJECT_REFCOUNT,
    ROW_PUBSUB_CHANNELS,
    ROW_PUBSUB_HELP,
    ROW_PUBSUB_NUMPAT,
    ROW_PUBSUB_NUMSUB,
    ROW_PUBSUB_SHARDCHANNELS,
    ROW_PUBSUB_SHARDNUMSUB,
    ROW_XGROUP_CREATE,
    ROW_XGROUP_CREATECONSUMER,
    ROW_XGROUP_DELCONSUMER,
    ROW_XGROUP_DESTROY,
    ROW_XGROUP_HELP,
    ROW_XGROUP_SETID,
    ROW_XINFO_CONSUMERS,
    ROW_XINFO_GROUPS,
    ROW_XINFO_HELP,
    ROW_XINFO_STREAM,
    ROW_COUNT
};

/** ACL categories: bits of struct command's acl; names in table__acl_names, same order. */
enum table__acl {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20,
};

/** A name for a bit; a list of them ends with a NULL name. */
struct table__bit_name {
    uint32_t bit;
    const char *name;
};
extern const struct table__bit_name table__flag_names[]; // of command_flag, hidden ones left out
extern const struct table__bit_name table__acl_names[];  // without '@'
extern const struct table__bit_name table__key_flag_names[]; // of key_flag

/** Categories that follow from flags, as Redis derives them. */
#define ACL_IMPLIED(flags_)                                                                        \
    (((flags_)&COMMAND_WRITE ? ACL_WRITE : 0) | ((flags_)&COMMAND_READONLY ? ACL_READ : 0) |       \
     ((flags_)&COMMAND_ADMIN ? ACL_ADMIN | ACL_DANGEROUS : 0) |                                    \
     ((flags_)&COMMAND_PUBSUB ? ACL_PUBSUB : 0) | ((flags_)&COMMAND_BLOCKING ? ACL_BLOCKING : 0) | \
     ((flags_)&COMMAND_FAST ? ACL_FAST : ACL_SLOW))

// A row: ROW or ROW_SUB with the fixed columns, followed by what applies of KEYS, TIPS, SUBCOMMANDS
// and DEPRECATED, and by DOC. acl_ names only the categories that do not follow from the flags.
#define ROW_COMMON(id_, run_, arity_, where_, flags_, acl_, ...)                         \
    .id = (id_), .run = (run_), .arity = (arity_), .where = (where_), .flags = (flags_), \
    .acl = (acl_) | ACL_IMPLIED(flags_), __VA_ARGS__
#define ROW(id_, name_, ...) \
    [ROW_##id_] = {.name = name_, .full_name = name_, ROW_COMMON(ROW_##id_, __VA_ARGS__)}
#define ROW_SUB(id_, parent_, name_, ...) \
    [ROW_##id_ - ROW_TOP_COUNT] = {       \
        .name = name_, .full_name = parent_ "|" name_, ROW_COMMON(ROW_##id_, __VA_ARGS__)}
/** Key specs (an array), then COMMAND INFO's legacy triple: first key, last key, step. */
#define KEYS(specs_, first_, last_, step_)                                         \
    .key_specs = (specs_), .key_spec_count = sizeof(specs_) / sizeof((specs_)[0]), \
    .first_key = (first_), .last_key = (last_), .key_step = (step_)
#define TIPS(...) \
    .tips = (const char *const[]) { __VA_ARGS__, NULL }
/** The ids of the container's first and last subcommand. */
#define SUBCOMMANDS(first_, last_) \
    .subcommands = &sub_rows[(first_)-ROW_TOP_COUNT], .subcommand_count = (last_) - (first_) + 1
#define DOC(group_, since_, complexity_, summary_) \
    .group = (group_), .since = (since_), .complexity = (complexity_), .summary = (summary_)
#define DEPRECATED(since_, instead_) .deprecated_since = (since_), .replaced_by = (instead_)

// The index: top-level names by hash, open addressing, row id + 1, 0 where empty.
#define TABLE_INDEX_BITS 10
#define TABLE_INDEX_SIZE (1 << TABLE_INDEX_BITS)
#define TABLE_NAME_MAX   32 // no name is longer: longer arguments are not looked up
extern const uint16_t table__index[TABLE_INDEX_SIZE];

/** Where a name's search begins in the index; the same for any case of letters. n > 0. */
static inline uint32_t table__hash(const char *p, size_t n) {
    uint64_t head = 0, tail = 0;
    if (n >= 8) {
        memcpy(&head, p, 8);
        memcpy(&tail, p + n - 8, 8);
    } else if (n >= 4) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        head = (uint64_t)high << 32 | low;
    } else {
        head = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 |
               (uint64_t)(uint8_t)p[n - 1] << 16;
    }
    const uint64_t fold =
        0x2020202020202020; // lower case for letters; other bytes only need to be stable
    head = (head | fold) ^ (tail | fold) * 0x9e3779b97f4a7c15 ^ n;
    return (uint32_t)((head * 0xd6e8feb86659fd93) >> (64 - TABLE_INDEX_BITS));
}

#endif
