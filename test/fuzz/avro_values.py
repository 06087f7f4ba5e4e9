"""Random values for the schemas of test/fuzz/avro.ts, as Avro has them without logical types, a map as its pairs. Most are what a reading may
have; of what it may not there is a little of each kind, and of what is at the edges more.
"""

import math
import struct
import uuid

EDGES = {
    "int": [0, 1, -1, 2**31 - 1, -(2**31)],
    "long": [0, 1, -1, 2**32, -(2**32), 2**52, -(2**52), 2**53 - 2, 2**53 - 1, 2**53, -(2**52) - 1, 2**63 - 1, -(2**63)],
    "double": [0.0, -0.0, 1.5, -21.3, 1e308, 5e-324, math.inf, -math.inf, math.nan],
}
EDGES["float"] = EDGES["double"]
TEXTS = ["", "a", "ü€", "\U0001f600", "x" * 200, "line\nbreak", "\x00", "back\\"]
NO_TEXTS = [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\x80", b"a" * 60 + b"\xf4\x90\x80\x80"]
# Of what a logical type counts: the least and the most that a reading may have, others at the edges, and some beyond.
DAYS, DAY_MS = (-719162, 2932896), 86400 * 1000
MILLIS = (DAYS[0] * DAY_MS, (DAYS[1] + 1) * DAY_MS - 1)
# What a double holds: from 1827 to 2255.
MICROS = (-(2**52), 2**53 - 2)
BEYOND_MICROS = [2**53 - 1, -(2**52) - 1, MILLIS[1] * 1000, 2**63 - 1]
TIMES = {
    "date": (DAYS, [0, -1, 11016], [DAYS[0] - 1, DAYS[1] + 1, 2**31 - 1, -(2**31)]),
    "time-millis": ((0, DAY_MS - 1), [1, 999], [-1, DAY_MS, 2**31 - 1]),
    "time-micros": ((0, DAY_MS * 1000 - 1), [1, 999, 1000], [-1, DAY_MS * 1000, 2**53 - 2]),
    "timestamp-millis": (MILLIS, [0, -1, -1000], [MILLIS[0] - 1, MILLIS[1] + 1, 2**53 - 2, 2**63 - 1]),
    "timestamp-micros": (MICROS, [0, -1, -999, -1000, -1001], BEYOND_MICROS),
}
TIMES["local-timestamp-millis"] = TIMES["timestamp-millis"]
TIMES["local-timestamp-micros"] = TIMES["timestamp-micros"]
NO_UUIDS = ["", "g" * 36, "{123e4567-e89b-12d3-a456-426614174000}", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-426614174000\n"]
NO_KEYS = ["", "z", "__proto__", "constructor", "x" * 100, "ü", "A"]
LIST_MAX, BYTES_MAX, DIGITS_MAX = 4096, 1024, 15


def inner(schema):
    return next(branch for branch in schema if branch != "null") if isinstance(schema, list) else schema


def kind_of(schema):
    return schema["type"] if isinstance(schema, dict) else schema


def rare(chance, usual, seldom, share=0.01):
    """What no reading may have is rare, or there would be no readings."""
    return chance.choice(seldom if chance.random() < share else usual)


def value_of(schema, chance, by_hand):
    if isinstance(schema, list):
        branch = chance.choice(schema)
        return None if branch == "null" else value_of(branch, chance, by_hand)
    kind = kind_of(schema)
    if isinstance(kind, dict):
        return value_of(kind, chance, by_hand)
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    if logical in TIMES:
        (least, most), usual, beyond = TIMES[logical]
        value = rare(chance, [least, most, *usual, *([None] * 10)], beyond)
        return chance.randint(least, most) if value is None else value
    if logical == "decimal":
        return decimal_bytes(schema, chance)
    if logical == "uuid":
        made = uuid.UUID(int=chance.getrandbits(128))
        return made.bytes if kind == "fixed" else rare(chance, [str(made), str(made).upper()], NO_UUIDS)
    if kind == "record":
        return {field["name"]: value_of(field["type"], chance, by_hand) for field in schema["fields"]}
    if kind == "array":
        return numbers(schema["items"], chance)
    if kind == "map":
        return pairs_of(schema, chance, by_hand)
    if kind == "bytes":
        return chance.randbytes(rare(chance, [0, 1, 6, 20, 20, 20, BYTES_MAX], [BYTES_MAX + 1, 2000]))
    if kind == "fixed":
        return chance.randbytes(schema["size"])
    if kind == "enum":
        return chance.choice(schema["symbols"])
    if kind == "string":
        return rare(chance, TEXTS, NO_TEXTS if by_hand else TEXTS)
    if kind == "boolean":
        return chance.random() < 0.5
    return number(kind, chance, 0.3)


def number(kind, chance, edgy):
    if chance.random() < edgy:
        value = chance.choice(EDGES[kind][: None if chance.random() < 0.1 else 5])
    elif kind in ("float", "double"):
        value = round(chance.uniform(-1000, 1000), chance.randrange(4))
    else:
        value = chance.randrange(-(2**31), 2**31)
    return struct.unpack("f", struct.pack("f", value))[0] if kind == "float" and abs(value) < 3e38 else value


def numbers(items, chance):
    if chance.random() < 0.01:
        some = [number(kind_of(items), chance, 0) for _ in range(7)]
        return (some * LIST_MAX)[: chance.choice([LIST_MAX - 1, LIST_MAX, LIST_MAX + 1])]
    return [number(kind_of(items), chance, 0.1) for _ in range(chance.choice([0, 1, 2, 3, 5, 8]))]


def pairs_of(schema, chance, by_hand):
    """[(key, value)], in any order."""
    keys = chance.sample(schema["keys"], chance.randint(0, len(schema["keys"])))
    twice = keys * 3 if by_hand else []
    keys = rare(chance, [keys], [[*keys, key] for key in [*NO_KEYS, *twice]], 0.04)
    return [(key, number(kind_of(schema["values"]), chance, 0.1)) for key in keys]


def decimal_bytes(schema, chance):
    """Two's complement, at times in more bytes than it needs."""
    precision, size = schema["precision"], schema.get("size")
    digits = rare(chance, range(1, min(precision, DIGITS_MAX) + 1), [precision, precision + 1, DIGITS_MAX + 1, 40], 0.04)
    unscaled = chance.randrange(10**digits) * chance.choice([1, -1])
    if chance.random() < 0.2:
        unscaled *= 10 ** (precision - min(precision, digits))
    if size is not None:
        half = 2 ** (8 * size - 1)
        return (chance.choice([half - 1, -half]) if not -half <= unscaled < half else unscaled).to_bytes(size, "big", signed=True)
    needed = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
    length = rare(chance, [needed, needed, needed, needed + 1, needed + 9, BYTES_MAX], [0, BYTES_MAX + 1])
    return unscaled.to_bytes(length, "big", signed=True) if length > 0 else b""
