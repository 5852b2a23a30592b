# SPDX-License-Identifier: BSD-3-Clause
"""Bit operations: every option, edge and error text."""
import random

import pytest

from lib.check import NOT_INTEGER, SYNTAX, arity, check
from lib.resp import Error

BIT_OFFSET = Error("ERR bit offset is not an integer or out of range")
BIT_VALUE = Error("ERR bit is not an integer or out of range")
BIT_01 = Error("ERR The bit argument must be 1 or 0.")
FIELD_TYPE = Error("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                   "supported "
                   "but i64 is.")


def test_setbit_getbit(both):
    check(both, ("GETBIT a 100", 0), ("SETBIT a 7 1", 0), ("GET a", b"\x01"), ("SETBIT a 7 0", 1),
          ("SETBIT a 100 1", 0), ("STRLEN a", 13), ("GETBIT a 100", 1), ("GETBIT a 99999", 0),
          ("SETBIT a -1 1", BIT_OFFSET), ("SETBIT a 4294967296 1", BIT_OFFSET),
          ("SETBIT a x 1", BIT_OFFSET),
          ("SETBIT a 1 2", BIT_VALUE), ("SETBIT a 1 x", BIT_VALUE), ("GETBIT a -1", BIT_OFFSET),
          ("GETBIT a x", BIT_OFFSET), ("SETBIT a 1", arity("setbit")), ("SET n 1", "OK"),
          ("GETBIT n 2", 1), ("SETBIT n 6 1", 0), ("GET n", b"3"), ("SETBIT zero 5 0", 0),
          ("STRLEN zero", 1))


@pytest.mark.parametrize("args, expected", [
    ("", 26), ("0 0", 4), ("1 1", 6), ("0 -1", 26), ("-2 -1", 7), ("5 1", 0), ("-1 -5", 0),
    ("0 100", 26),
    ("1 1 BYTE", 6), ("5 30 BIT", 17), ("0 -1 bit", 26), ("-8 -1 BIT", 4), ("0 0 BIT", 0),
    ("1 1 BIT", 1)])
def test_bitcount(c, args, expected):
    c("SET", "a", "foobar")
    assert c("BITCOUNT", "a", *args.split()) == expected


def test_bitcount_errors(c):
    check(c, ("BITCOUNT none", 0), ("BITCOUNT none 0 -1", 0), ("SET a x", "OK"),
          ("BITCOUNT a 0", SYNTAX),
          ("BITCOUNT a 0 1 hello", SYNTAX), ("BITCOUNT a 0 1 BIT x", SYNTAX),
          ("BITCOUNT a x 1", NOT_INTEGER),
          ("BITCOUNT none x y", 0), ("BITCOUNT none 0", 0), ("BITCOUNT", arity("bitcount")))


@pytest.mark.parametrize("value, args, expected", [
    (b"\xff\xf0\x00", "0", 12), (b"\x00\xff\xf0", "1", 8), (b"\x00\xff\xf0", "1 2", 16),
    (b"\x00\x00\x00", "1", -1), (b"\xff\xff\xff", "0", 24), (b"\xff\xff\xff", "0 0", 24),
    (b"\xff\xff\xff", "0 0 -1", -1), (b"\x00\xff\x00", "0 1", 16),
    (b"\x00\x01\x00", "1 7 15 BIT", 15),
    (b"\x00\xff\xf0", "1 2 -1 BYTE", 16), (b"\xff", "0 3 5 BIT", -1), (b"", "0", -1),
    (b"", "1", -1),
    (b"\xff\x00", "0 5 1", -1), (b"\xff\xf0\x00", "0 -2", 12)])
def test_bitpos(c, value, args, expected):
    c("SET", "a", value)
    assert c("BITPOS", "a", *args.split()) == expected


def test_bitpos_errors(c):
    check(c, ("BITPOS none 0", 0), ("BITPOS none 1", -1), ("BITPOS none 0 5 9", 0),
          ("SET a x", "OK"),
          ("BITPOS a 2", BIT_01), ("BITPOS a x", NOT_INTEGER), ("BITPOS a 0 x", NOT_INTEGER),
          ("BITPOS a 0 0 1 hello", SYNTAX), ("BITPOS a 0 0 1 BIT x", SYNTAX),
          ("BITPOS a", arity("bitpos")),
          ("BITPOS none 2", BIT_01))


def test_bitop(both):
    check(both, (["SET", "a", b"\xff\x0f\xaa"], "OK"), (["SET", "b", b"\x0f\xff"], "OK"),
          ("BITOP AND d a b", 3), ("GET d", b"\x0f\x0f\x00"), ("BITOP OR d a b", 3),
          ("GET d", b"\xff\xff\xaa"),
          ("BITOP XOR d a b", 3), ("GET d", b"\xf0\xf0\xaa"), ("BITOP NOT d a", 3),
          ("GET d", b"\x00\xf0\x55"),
          ("bitop and d a none", 3), ("GET d", b"\0\0\0"), ("BITOP OR d none", 0), ("EXISTS d", 0),
          ("BITOP NOT d a b", Error("ERR BITOP NOT must be called with a single source key.")),
          ("BITOP NAND d a", SYNTAX), ("BITOP AND d", arity("bitop")), ("BITOP NOT a a", 3),
          ("GET a", b"\x00\xf0\x55"))


def test_bitop_random(c):
    rng = random.Random(3)
    values = [rng.randbytes(rng.randrange(0, 300)) for _ in range(12)]
    for i, value in enumerate(values):
        c("SET", "v%d" % i, value)
    for _ in range(60):
        chosen = rng.sample(range(12), rng.randrange(1, 12))
        longest = max(len(values[i]) for i in chosen)
        numbers = [int.from_bytes(values[i].ljust(longest, b"\0"), "big") for i in chosen]
        for word, combine in (("AND", int.__and__), ("OR", int.__or__), ("XOR", int.__xor__)):
            expected = numbers[0]
            for number in numbers[1:]:
                expected = combine(expected, number)
            assert c("BITOP", word, "d", *["v%d" % i for i in chosen]) == longest
            assert (c("GET", "d") or b"") == expected.to_bytes(longest, "big")
        assert c("BITCOUNT", "d") == bin(expected).count("1")


def test_bitfield(both):
    check(both, ("BITFIELD a", []), ("EXISTS a", 0), ("BITFIELD a GET u8 0", [0]), ("EXISTS a", 0),
          ("BITFIELD a SET u8 0 255 GET u8 0", [0, 255]), ("BITFIELD a INCRBY u8 0 10", [9]),
          ("BITFIELD a OVERFLOW SAT INCRBY u8 0 300", [255]),
          ("BITFIELD a OVERFLOW FAIL INCRBY u8 0 1", [None]),
          ("BITFIELD a overflow wrap incrby u8 0 1", [0]), ("BITFIELD a SET i8 #1 -5 GET i8 8",
                                                            [0, -5]),
          ("BITFIELD a OVERFLOW SAT SET i4 0 100 GET i4 0", [0, 7]),
          ("DEL a", 1), ("BITFIELD a SET i64 0 -1 GET i64 0 GET u63 0",
                         [0, -1, 9223372036854775807]),
          ("BITFIELD a GET u64 0", FIELD_TYPE), ("BITFIELD a GET i65 0", FIELD_TYPE),
          ("BITFIELD a GET u0 0", FIELD_TYPE), ("BITFIELD a GET x8 0", FIELD_TYPE),
          ("BITFIELD a GET u8 -1", BIT_OFFSET), ("BITFIELD a GET u8 #x", BIT_OFFSET),
          ("BITFIELD a SET u8 0 x", NOT_INTEGER), ("BITFIELD a BOGUS u8 0", SYNTAX),
          ("BITFIELD a GET u8", SYNTAX),
          ("BITFIELD a OVERFLOW BOGUS", Error("ERR Invalid OVERFLOW type specified")),
          ("BITFIELD a SET u8 4294967296 1", BIT_OFFSET))


def test_bitfield_ro(c):
    check(c, (["SET", "a", b"\xff\x01"], "OK"), ("BITFIELD_RO a GET u8 0 GET i8 8", [255, 1]),
          ("BITFIELD_RO a SET u8 0 1", Error("ERR BITFIELD_RO only supports the GET subcommand")),
          ("BITFIELD_RO none GET u8 0", [0]), ("BITFIELD_RO a", []))


def test_bitfield_random(c):
    rng = random.Random(5)
    size = 64 * 8
    model = 0
    for _ in range(400):
        width = rng.randrange(1, 64)
        offset = rng.randrange(0, size - width)
        value = rng.randrange(0, 1 << width)
        shift = size - offset - width
        old = (model >> shift) & ((1 << width) - 1)
        assert c("BITFIELD", "m", "SET", "u%d" % width, offset, value) == [old]
        model = model & ~(((1 << width) - 1) << shift) | value << shift
    got = c("GET", "m")
    assert int.from_bytes(got.ljust(size // 8, b"\0"), "big") == model
