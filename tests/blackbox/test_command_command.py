# SPDX-License-Identifier: BSD-3-Clause
"""COMMAND and its subcommands."""
import pytest

from lib.check import SYNTAX, arity, check
from lib.resp import Error

FOUNDATION = """
    set get getset getdel getex setnx setex psetex mset msetnx mget append strlen getrange
    substr setrange incr decr incrby decrby incrbyfloat lcs setbit getbit bitcount bitpos bitop
    bitfield bitfield_ro del unlink exists touch type keys scan randomkey rename renamenx copy
    move dbsize flushdb flushall swapdb select expire pexpire expireat pexpireat expiretime
    pexpiretime ttl pttl persist object multi exec discard watch unwatch ping echo quit reset
    hello auth client command info config time lastsave shutdown debug memory wait lolwut""".split()


def test_all_commands_are_described(c):
    table = {entry[0].decode(): entry for entry in c("COMMAND")}
    assert set(FOUNDATION) <= set(table)
    assert c("COMMAND", "COUNT") == len(table)
    for entry in table.values():
        assert len(entry) == 10


@pytest.mark.parametrize("name, arity_number, first, last, step, flags", [
    ("get", 2, 1, 1, 1, {"readonly", "fast"}), ("set", -3, 1, 1, 1, {"write", "denyoom"}),
    ("mset", -3, 1, -1, 2, {"write", "denyoom"}), ("del", -2, 1, -1, 1, {"write"}),
    ("bitop", -4, 2, -1, 1, {"write", "denyoom"}), ("rename", 3, 1, 2, 1, {"write"}),
    ("ping", -1, 0, 0, 0, {"fast"}), ("object", -2, 0, 0, 0, set()),
    ("exec", 1, 0, 0, 0, {"noscript", "loading", "stale", "skip_slowlog"}),
    ("append", 3, 1, 1, 1, {"write", "denyoom", "fast"}), ("flushall", -1, 0, 0, 0, {"write"}),
    ("bitfield", -2, 1, 1, 1, {"write", "denyoom"}), ("copy", -3, 1, 2, 1, {"write", "denyoom"})])
def test_info(both, name, arity_number, first, last, step, flags):
    entry = both("COMMAND", "INFO", name.upper())[0]
    assert entry[0] == name.encode() and entry[1] == arity_number and tuple(entry[3:6]) == (first,
                                                                                            last,
                                                                                            step)
    assert set(entry[2]) == flags


def test_info_details(c3, c):
    get = c3("COMMAND", "INFO", "get")[0]
    assert get[6] == {"@read", "@string", "@fast"} and get[7] == set()
    (spec,) = get[8]
    assert spec[b"begin_search"][b"type"] == b"index"
    assert spec[b"begin_search"][b"spec"][b"index"] == 1
    assert spec[b"find_keys"][b"spec"] == {b"lastkey": 0, b"keystep": 1, b"limit": 0}
    reply = c("COMMAND", "INFO", "object", "nosuch", "object|encoding")
    assert reply[1] is None and reply[2][0] == b"object|encoding"
    assert b"object|freq" in [sub[0] for sub in reply[0][9]]
    assert c("COMMAND", "INFO", "get|x") == [None]


def test_docs(c3, c):
    docs = c3("COMMAND", "DOCS", "set", "nosuch", "object")
    assert set(docs) == {b"set", b"object"}
    entry = docs[b"set"]
    assert {b"summary", b"since", b"group", b"complexity"} <= set(entry)
    assert entry[b"group"] == b"string" and entry[b"since"] == b"1.0.0"
    assert b"subcommands" in docs[b"object"]
    flat = c("COMMAND", "DOCS", "get")
    assert flat[0] == b"get" and b"summary" in flat[1]
    assert len(c3("COMMAND", "DOCS")) == c3("COMMAND", "COUNT")


def test_list(c):
    every = c("COMMAND", "LIST")
    assert len([n for n in every if b"|" not in n]) == c("COMMAND", "COUNT")
    matched = c("COMMAND", "LIST", "FILTERBY", "PATTERN", "get*")
    assert {b"get", b"getdel", b"getex", b"getset", b"getbit", b"getrange"} <= set(matched)
    assert all(name.startswith(b"get") for name in matched)
    assert b"set" in c("COMMAND", "LIST", "FILTERBY", "ACLCAT", "string")
    assert b"get" not in c("COMMAND", "LIST", "FILTERBY", "ACLCAT", "write")
    check(c, ("COMMAND LIST FILTERBY MODULE none", []), ("COMMAND LIST FILTERBY ACLCAT nosuch", []),
          ("COMMAND LIST FILTERBY BOGUS x", SYNTAX), ("COMMAND LIST BOGUS", SYNTAX))


@pytest.mark.parametrize("command, keys", [
    ("GET a", "a"), ("MSET a 1 b 2", "a b"), ("DEL a b c", "a b c"), ("BITOP AND d a b", "d a b"),
    ("COPY a b DB 1", "a b"), ("OBJECT ENCODING k", "k"), ("RENAME a b", "a b"),
    ("LCS a b LEN", "a b"),
    ("SET k v EX 10", "k"), ("WATCH a b", "a b"), ("BITFIELD k GET u8 0", "k"),
    ("MEMORY USAGE k", "k")])
def test_getkeys(both, command, keys):
    assert both("COMMAND", "GETKEYS", *command.split()) == [key.encode() for key in keys.split()]


@pytest.mark.parametrize("command, expected", [
    ("GET a", {b"a": "RO access"}), ("SET a 1", {b"a": "OW update"}),
    ("SET a 1 GET", {b"a": "RW access update"}),
    ("DEL a", {b"a": "RM delete"}), ("COPY a b", {b"a": "RO access", b"b": "OW update"}),
    ("APPEND a x", {b"a": "RW insert"}), ("EXISTS a", {b"a": "RO"}),
    ("GETDEL a", {b"a": "RW access delete"}),
    ("BITFIELD a GET u8 0", {b"a": "RO access"}), ("BITFIELD a SET u8 0 1",
                                                   {b"a": "RW access update"})])
def test_getkeysandflags(both, command, expected):
    reply = both("COMMAND", "GETKEYSANDFLAGS", *command.split())
    assert {key: set(flags) for key, flags in reply} == {k: set(v.split()) for k,
                                                         v in expected.items()}


def test_getkeys_errors(c):
    check(c, ("COMMAND GETKEYS nosuch", Error("ERR Invalid command specified")),
          ("COMMAND GETKEYS PING", Error("ERR The command has no key arguments")),
          ("COMMAND GETKEYS GET", Error("ERR Invalid number of arguments specified for command")),
          ("COMMAND GETKEYS", arity("command|getkeys")), ("COMMAND COUNT x",
                                                          arity("command|count")),
          ("COMMAND NOSUCH", Error("ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP.")))
