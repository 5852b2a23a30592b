// SPDX-License-Identifier: BSD-3-Clause
//
// The numbers of the RDB format: versions, opcodes, types of values, forms of lengths and strings.
// Constants only. Followed: the files themselves (tests/data/rdb) and what Redis and Valkey
// document of their formats. A file begins with REDIS and four digits of the version, or VALKEY and
// three; from version 80 on (VALKEY080) some numbers mean other things than to Redis.
#ifndef TORC_ENGINE_RDB_RDB_FORMAT_H
#define TORC_ENGINE_RDB_RDB_FORMAT_H

#define RDB_VERSION_OLDEST        1
#define RDB_VERSION_REDIS         12 // newest of Redis that is read; 7.4 and 8.0 write it
#define RDB_VERSION_VALKEY        80 // the first that begins with VALKEY; Valkey 9.0
#define RDB_VERSION_VALKEY_NEWEST 81 // newest of Valkey that is read
#define RDB_VERSION_DEFAULT       11 // what is written unless rdb-version says otherwise
#define RDB_VERSION_CHECKSUM      5  // from here on a checksum ends the file

enum rdb_dialect { RDB_REDIS, RDB_VALKEY };

enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1, // a count, then strings
    RDB_SET = 2,
    RDB_ZSET = 3, // scores as text
    RDB_HASH = 4,
    RDB_ZSET_2 = 5,        // scores as binary doubles
    RDB_MODULE_PRE_GA = 6, // never in a released server
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14, // of ziplists
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18, // of listpacks and plain nodes
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_HASH_METADATA_PRE_GA = 22,    // Redis 7.4-rc; in a VALKEY file: RDB_VALKEY_HASH_2
    RDB_HASH_LISTPACK_EX_PRE_GA = 23, // Redis 7.4-rc
    RDB_HASH_METADATA = 24,           // fields with expiry
    RDB_HASH_LISTPACK_EX = 25,        // ... as a listpack of field, value, expiry
    RDB_VALKEY_HASH_2 = 22,           // Valkey 9: field, value, expiry
};

enum rdb_opcode {
    RDB_OP_KEY_META = 243,           // Redis from version 13 on: what modules keep about a key
    RDB_OP_VALKEY_SLOT_IMPORT = 243, // Valkey: slots that were being moved here
    RDB_OP_SLOT_INFO = 244,
    RDB_OP_FUNCTION_2 = 245,
    RDB_OP_FUNCTION_PRE_GA = 246,
    RDB_OP_MODULE_AUX = 247,
    RDB_OP_IDLE = 248,
    RDB_OP_FREQ = 249,
    RDB_OP_AUX = 250,
    RDB_OP_RESIZEDB = 251,
    RDB_OP_EXPIRETIME_MS = 252,
    RDB_OP_EXPIRETIME = 253,
    RDB_OP_SELECTDB = 254,
    RDB_OP_EOF = 255,
};

/** First two bits of a length; RDB_LENGTH_SPECIAL: a string that is not its plain bytes. */
enum { RDB_LENGTH_6 = 0, RDB_LENGTH_14 = 1, RDB_LENGTH_LONG = 2, RDB_LENGTH_SPECIAL = 3 };
enum { RDB_LENGTH_32 = 0x80, RDB_LENGTH_64 = 0x81 };
enum { RDB_STRING_INT8 = 0, RDB_STRING_INT16 = 1, RDB_STRING_INT32 = 2, RDB_STRING_LZF = 3 };

/** What a module's value and auxiliary data consist of. */
enum {
    RDB_MODULE_EOF = 0,
    RDB_MODULE_SINT = 1,
    RDB_MODULE_UINT = 2,
    RDB_MODULE_FLOAT = 3,
    RDB_MODULE_DOUBLE = 4,
    RDB_MODULE_STRING = 5,
};

#endif
