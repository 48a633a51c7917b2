"""Payloads of DUMP, made here: every form that a string can have in an RDB file, and broken ones.

Written from the format's description, so that neither server judges itself.
"""

import struct

POLYNOMIAL = 0x95AC9329AC4BC9B5  # Jones's, its bits in reverse
TABLE = []
for byte in range(256):
    rest = byte
    for _ in range(8):
        rest = rest >> 1 ^ (POLYNOMIAL if rest & 1 else 0)
    TABLE.append(rest)


def crc64(data):
    rest = 0
    for byte in data:
        rest = rest >> 8 ^ TABLE[(rest ^ byte) & 255]
    return rest


def footed(body, version=10):
    """A body with a footer that is right."""
    data = body + struct.pack("<H", version)
    return data + struct.pack("<Q", crc64(data))


def length(n, r=None):
    """A length in its shortest form, or with a random source in any that holds it."""
    forms = [struct.pack(">BI", 0x80, n), struct.pack(">BQ", 0x81, n)]
    if n < 1 << 14:
        forms.insert(0, struct.pack(">H", 0x4000 | n))
    if n < 64:
        forms.insert(0, bytes([n]))
    return r.choice(forms) if r else forms[0]


def literals(value):
    """LZF that says it all literally."""
    return b"".join(bytes([len(part) - 1]) + part for part in (value[i : i + 32] for i in range(0, len(value), 32)))


def body(r, value):
    """The value in some form."""
    pick = r.random()
    if pick < 0.3 and value:
        packed = literals(value)
        if len(value) > 40 and value == value[:1] * len(value):
            packed = b"\0" + value[:1]
            left = len(value) - 1
            while left >= 3:
                n = min(left, 264)
                packed += bytes([(n - 2) << 5, 0]) if n < 9 else bytes([7 << 5, n - 9, 0])
                left -= n
            packed += literals(value[:left])
        return b"\0\xc3" + length(len(packed), r) + length(len(value), r) + packed
    if pick < 0.5:
        return r.choice([struct.pack("<BBb", 0, 0xC0, r.randint(-128, 127)), struct.pack("<BBh", 0, 0xC1, r.randint(-(1 << 15), (1 << 15) - 1)), struct.pack("<BBi", 0, 0xC2, r.randint(-(1 << 31), (1 << 31) - 1))])
    return b"\0" + length(len(value), r) + value


BROKEN = [
    b"", b"\0", b"\0\xc3", b"\0\xc3\0\0", b"\0\xc3\1\0\0", b"\0\xc3\1\1\0x", b"\0\xc3\2\0\0x", b"\0\xc3\3\0\xff\xff\xff", b"\0\0", b"\0\1", b"\0\x0a", b"\0\x0b", b"\0\x80\0\0\0\1a", b"\0\x81" + b"\0" * 7 + b"\2ab",
    b"\0\x81" + b"\xff" * 8, b"\0\x81\x7f" + b"\xff" * 7, b"\0\x82", b"\0\xc4", b"\0\xff", b"\0\xc0", b"\0\xc1", b"\0\xc2", b"\0\xc2\1\2\3\4junk", b"\xff\1a", b"\x08\1a", b"\0\x40", b"\0\x40\1a",
    b"\0\xc3\2\x81\0\0\1" + b"\0" * 5 + b"\0a", b"\0\xc3\5\x14\0a\xe0\x0a\0", b"\0\xc3\5\xc0\0a\xe0\x0a\0", b"\0\xc3\5\x15\0a\xe0\x0a\0",
]  # fmt: skip


def broken(r, value):
    """A payload that is probably wrong; its type stays that of a string."""
    if r.random() < 0.4:
        return footed(r.choice(BROKEN), r.choice([10, 10, 9, 0]))
    fixed = r.random() < 0.7
    data = bytearray(body(r, value) if fixed else footed(body(r, value)))
    for _ in range(r.randint(1, 3)):
        at = r.randrange(1, len(data)) if len(data) > 1 else 1
        change = r.random()
        if change < 0.6 and len(data) > 1:
            data[at] = r.choice([r.getrandbits(8), 0, 255, 0x20, 0xE0, 0x81])
        elif change < 0.8:
            del data[at : at + r.randint(1, 5)]
        else:
            data[at:at] = bytes(r.getrandbits(8) for _ in range(r.randint(1, 4)))
    return footed(bytes(data)) if fixed else bytes(data)
