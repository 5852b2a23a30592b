// SPDX-License-Identifier: BSD-3-Clause
//
// The name index of the command table: row ids (plus one) of top-level commands at the hash of
// their names, open addressing. Constant data, any thread. Invariant: equal to what `test_table
// --print-index` prints (a unit test compares): run that after adding a row. Caller:
// command_find().
#include "engine/commands/table.h"

const uint16_t table__index[TABLE_INDEX_SIZE] = {
    [4] = ROW_TIME + 1,          [11] = ROW_RESET + 1,      [12] = ROW_SETEX + 1,
    [13] = ROW_ASKING + 1,       [14] = ROW_SETRANGE + 1,   [19] = ROW_DEBUG + 1,
    [22] = ROW_STRLEN + 1,       [24] = ROW_PEXPIREAT + 1,  [45] = ROW_OBJECT + 1,
    [46] = ROW_SWAPDB + 1,       [49] = ROW_DEL + 1,        [58] = ROW_DBSIZE + 1,
    [59] = ROW_MGET + 1,         [65] = ROW_DECRBY + 1,     [72] = ROW_SCAN + 1,
    [82] = ROW_BITFIELD + 1,     [88] = ROW_CLUSTER + 1,    [92] = ROW_TTL + 1,
    [97] = ROW_EXEC + 1,         [111] = ROW_LOLWUT + 1,    [112] = ROW_CONFIG + 1,
    [119] = ROW_GETEX + 1,       [120] = ROW_GETRANGE + 1,  [121] = ROW_PSETEX + 1,
    [122] = ROW_PERSIST + 1,     [131] = ROW_MSET + 1,      [134] = ROW_DECR + 1,
    [139] = ROW_READONLY + 1,    [146] = ROW_INCR + 1,      [148] = ROW_FLUSHALL + 1,
    [154] = ROW_PEXPIRE + 1,     [159] = ROW_WATCH + 1,     [162] = ROW_EXISTS + 1,
    [177] = ROW_EXPIRETIME + 1,  [185] = ROW_APPEND + 1,    [203] = ROW_MULTI + 1,
    [209] = ROW_ECHO + 1,        [219] = ROW_EXPIREAT + 1,  [221] = ROW_UNLINK + 1,
    [223] = ROW_BITFIELD_RO + 1, [224] = ROW_SETNX + 1,     [236] = ROW_PING + 1,
    [237] = ROW_INCRBYFLOAT + 1, [242] = ROW_AUTH + 1,      [244] = ROW_GETSET + 1,
    [245] = ROW_BITPOS + 1,      [254] = ROW_LCS + 1,       [255] = ROW_SETBIT + 1,
    [266] = ROW_TOUCH + 1,       [273] = ROW_RANDOMKEY + 1, [292] = ROW_BITOP + 1,
    [296] = ROW_DISCARD + 1,     [298] = ROW_COMMAND + 1,   [303] = ROW_INCRBY + 1,
    [305] = ROW_TYPE + 1,        [311] = ROW_RENAMENX + 1,  [313] = ROW_INFO + 1,
    [314] = ROW_FLUSHDB + 1,     [315] = ROW_HELLO + 1,     [316] = ROW_PEXPIRETIME + 1,
    [334] = ROW_RENAME + 1,      [341] = ROW_LASTSAVE + 1,  [357] = ROW_GET + 1,
    [363] = ROW_GETBIT + 1,      [372] = ROW_WAIT + 1,      [376] = ROW_CLIENT + 1,
    [395] = ROW_SET + 1,         [396] = ROW_GETDEL + 1,    [398] = ROW_PTTL + 1,
    [427] = ROW_KEYS + 1,        [428] = ROW_MEMORY + 1,    [429] = ROW_QUIT + 1,
    [442] = ROW_SHUTDOWN + 1,    [452] = ROW_BITCOUNT + 1,  [453] = ROW_READWRITE + 1,
    [454] = ROW_EXPIRE + 1,      [459] = ROW_MSETNX + 1,    [462] = ROW_SELECT + 1,
    [479] = ROW_COPY + 1,        [485] = ROW_UNWATCH + 1,   [500] = ROW_SUBSTR + 1,
    [509] = ROW_MOVE + 1,
};
