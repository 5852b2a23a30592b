# SPDX-License-Identifier: BSD-3-Clause
"""Serialized values: DUMP and RESTORE.

Payloads differ between servers where versions and structures do, so that DUMP is a law: what one
server says is restored on the other, in both directions where versions allow. RESTORE alone gets
payloads that are written here, in the forms of older servers, whole and damaged.
"""
from parts import Parts

POLYNOMIAL = 0x95ac9329ac4bc9b5


def crc64(data):
    """The sum at the end of a payload, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ POLYNOMIAL if crc & 1 else crc >> 1
    return crc


def sealed(value, version):
    """A payload of type and value."""
    body = value + version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


# Type and value as servers up to 7.0 write them.
BODIES = [
    b"\x00\x03abc", b"\x00\xc0\x07", b"\x00\xc2\xff\xff\xff\x7f", b"\x00\x00",
    b"\x00\xc3\x06\x15\x01aa\xe0\x0a\x00",
    b"\x01\x03\x01a\xc0\x05\x01b", b"\x02\x02\x01a\xc0\x05", b"\x02\x02\xc0\x01\xc0\x05",
    b"\x03\x02\x01a\x031.5\x01b\x042e10", b"\x04\x01\x01f\x01v",
    b"\x05\x01\x01m" + bytes(6) + b"\xf8\x3f",
    b"\x09\x07\x01\x01f\x01\x00v\xff",
    b"\x0b\x0a\x02\x00\x00\x00\x01\x00\x00\x00\x07\x00",
    b"\x0a\x11\x11\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\x01b\xff",
    b"\x0c\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf3\xff",
    b"\x0d\x11\x11\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01f\x03\x01v\xff",
    b"\x0e\x01\x11\x11\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\x01b\xff",
    b"\x10\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff",
    b"\x11\x0c\x0c\x00\x00\x00\x02\x00\x81m\x02\x05\x01\xff",
    b"\x12\x01\x02\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff",
]
VERSIONS = [1, 6, 9, 10, 10, 10, 81, 255, 11 * 256]
PAYLOADS = [sealed(body, version) for body in BODIES for version in VERSIONS]
PAYLOADS += [PAYLOADS[3][:-1], PAYLOADS[3] + b"x", b"", b"x", b"\xff" * 40,
             PAYLOADS[3][:3] + b"\x01" + PAYLOADS[3][4:],
             sealed(b"", 9), sealed(b"\x08\x00", 9), sealed(b"\xff", 9), sealed(b"\x00\x25abc", 9)]


class Dumps(Parts):
    """Commands on serialized values."""

    def restore_options(self, odd):
        """The options of a RESTORE, some of them wrong if `odd`."""
        options = []
        if self.random() < 0.6:
            options.append([self.option(b"REPLACE")])
        if self.random() < 0.2:
            options.append([self.option(b"ABSTTL")])
        if self.random() < 0.1:
            options.append([self.option(b"IDLETIME"), self.pick([b"0", b"5", b"100000"])])
        elif self.random() < 0.1:
            options.append([self.option(b"FREQ"), self.pick([b"0", b"5", b"255"])])
        if odd and self.random() < 0.15:
            options.append(self.pick([[b"BOGUS"], [b"IDLETIME"], [b"FREQ"], [b"FREQ", b"256"],
                                      [b"FREQ", b"-1"], [b"IDLETIME", b"-1"], [b"FREQ", b"x"],
                                      [b"IDLETIME", b"1.5"], [b"FREQ", b"1", b"IDLETIME", b"1"]]))
        return [word for option in self.shuffled(options) for word in option]

    def do_restore(self):
        ttl = b"0" if self.random() < 0.6 else self.ttl_argument("ms", self.random() < 0.3)
        key, payload, options = self.any_key(), self.pick(PAYLOADS), self.restore_options(True)
        if ttl == b"1" and not any(word.upper() == b"ABSTTL" for word in options):
            ttl = b"0"  # a millisecond from now: whether it is over already would be a race
        return [key, ttl, payload] + options, None

    def law_dump(self):
        ttl = b"0" if self.random() < 0.8 else b"%d000" % (100 + self.below(1000))
        return [self.any_key(), self.any_key(), ttl] + [
            word for word in self.restore_options(False) if word.upper() != b"ABSTTL"]


COMMANDS = [("restore", 8)]
LAWS = [("dump", 3)]
WHOLE = []
EDGES = []
