# SPDX-License-Identifier: BSD-3-Clause
"""RDB files made byte by byte, for what no server writes, or only at length."""
import struct


def length(number):
    """A length."""
    if number < 64:
        return bytes([number])
    if number < 16384:
        return bytes([0x40 | number >> 8, number & 255])
    if number < 1 << 32:
        return b"\x80" + struct.pack(">I", number)
    return b"\x81" + struct.pack(">Q", number)


def string(data):
    """A string, as its plain bytes."""
    data = data if isinstance(data, bytes) else str(data).encode()
    return length(len(data)) + data


def record(kind, key, value, expire_ms=None):
    """A key with a value that is serialized already."""
    before = b"" if expire_ms is None else b"\xfc" + struct.pack("<q", expire_ms)
    return before + bytes([kind]) + string(key) + value


def strings(key, items, kind=1):
    """A list, a set (2) or a hash (4, of fields and values in turn) in its plain form."""
    count = len(items) // 2 if kind == 4 else len(items)
    return record(kind, key, length(count) + b"".join(string(item) for item in items))


def text(key, value, expire_ms=None):
    """A string key."""
    return record(0, key, string(value), expire_ms)


def aux(name, value):
    """A field of the header."""
    return b"\xfa" + string(name) + string(value)


def select(db):
    """What follows is in that database."""
    return b"\xfe" + length(db)


def file(*parts, magic=b"REDIS0011"):
    """The whole file, without a checksum."""
    return magic + b"".join(parts) + b"\xff" + bytes(8)


MODULE = b"\x81" + struct.pack(">Q", 0xb5eb2dd7676cb701) + b"\x02\x07\x05\x03abc\x00"


def module(key):
    """A value of a module, "test1dstr" or so."""
    return record(7, key, MODULE)
