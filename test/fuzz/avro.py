"""Avro by the library fastavro of PyPI, for test/fuzz/avro.ts: one JSON object a line in, one out.

{"schemas": [S, ...]}           the versions of a stream from now on, the newest last
{"make": N, "seed": S}          N messages of random values, by any version, records and arrays, as [hex], single-object encoding
{"read": [hex]}                 what each says by the newest version: [{"column": [kind, value]}], or null if it is none
"""

import io
import json
import math
import random
import struct
import sys

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

EDGES = {
    "int": [0, 1, -1, 2**31 - 1, -(2**31)],
    "long": [0, 1, -1, 2**32, -(2**32), 2**52, -(2**52), 2**53 - 2, 2**53 - 1, 2**53, -(2**52) - 1, 2**63 - 1, -(2**63)],
    "double": [0.0, -0.0, 1.5, -21.3, 1e308, 5e-324, math.inf, -math.inf, math.nan],
}
EDGES["float"] = EDGES["double"]
TEXTS = ["", "a", "ü€", "\U0001f600", "x" * 200, "line\nbreak", "\x00", "back\\"]


def header(schema):
    # By the specification it names its bytes in the order in which they are sent.
    number = int(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"), 16)
    return b"\xc3\x01" + number.to_bytes(8, "big")


def with_bare_time(schema):
    """A datetime is not what is compared."""
    fields = [{**field, "type": "long"} if field["name"] == "ts" else field for field in schema["fields"]]
    return {**schema, "fields": fields}


class Written:
    def __init__(self, schema, reader, batch):
        self.header = header({"type": "array", "items": schema} if batch else schema)
        self.record, self.batch = with_bare_time(schema), batch
        self.schema, self.reader = self.record, with_bare_time(reader)
        if batch:
            self.schema = {"type": "array", "items": self.schema}
            self.reader = {"type": "array", "items": self.reader}


def value_of(schema, chance):
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, dict):
        return value_of(kind, chance)
    if isinstance(schema, list):
        branch = chance.choice(schema)
        return None if branch == "null" else value_of(branch, chance)
    if kind == "record":
        return {field["name"]: value_of(field["type"], chance) for field in schema["fields"]}
    if kind == "enum":
        return chance.choice(schema["symbols"])
    if kind == "string":
        return chance.choice(TEXTS)
    if kind == "boolean":
        return chance.random() < 0.5
    if chance.random() < 0.3:
        # What no reading may have is rare, or there would be no readings.
        value = chance.choice(EDGES[kind][: None if chance.random() < 0.1 else 5])
    elif kind in ("float", "double"):
        value = round(chance.uniform(-1000, 1000), chance.randrange(4))
    else:
        value = chance.randrange(-(2**31), 2**31)
    return struct.unpack("f", struct.pack("f", value))[0] if kind == "float" and abs(value) < 3e38 else value


def make(written, chance, now):
    def record():
        value = value_of(written.record, chance)
        value["ts"] = now + chance.randrange(-1000, 1000)
        return value

    out = io.BytesIO()
    value = [record() for _ in range(chance.choice([0, 1, 1, 2, 2, 2, 3, 3]))] if written.batch else record()
    while True:
        try:
            schemaless_writer(out, written.schema, value)
            return written.header + out.getvalue()
        except (OverflowError, struct.error):
            # A double that is no float.
            out = io.BytesIO()
            value = [record()] if written.batch else record()


def inner(schema):
    if isinstance(schema, list):
        return inner(next(branch for branch in schema if branch != "null"))
    return schema


def said(value, reader, writer, above, out):
    """The kind of a float is the writer's: what is a float there is the shortest number that is the same one."""
    written = {field["name"]: inner(field["type"]) for field in writer["fields"]} if writer else {}
    for field in reader["fields"]:
        schema = inner(field["type"])
        names = [field["name"], *field.get("aliases", [])]
        by = next((written[name] for name in names if name in written), None)
        found = value[field["name"]]
        if found is None:
            continue
        column = above + field["name"]
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind == "record":
            said(found, schema, by, column + "_", out)
        elif kind in ("float", "double"):
            out[column] = ["float" if (by or kind) == "float" else "double", struct.pack(">d", found).hex()]
        elif kind in ("int", "long"):
            out[column] = ["integer", str(found)]
        else:
            out[column] = ["string" if column.endswith("tag") and found == "" else kind, found]


def read(payload, known):
    written = known.get(payload[:10])
    if written is None:
        return None
    source = io.BytesIO(payload[10:])
    # What the newest version leaves out it would not look at.
    schemaless_reader(source, written.schema)
    if source.read(1) != b"":
        return None
    value = schemaless_reader(io.BytesIO(payload[10:]), written.schema, written.reader)
    answer = []
    for record in value if written.batch else [value]:
        out = {}
        said(record, inner(written.reader["items"] if written.batch else written.reader), written.record, "", out)
        answer.append(out)
    return answer


def main():
    known = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "schemas" in asked:
            # Each by itself: a name may mean something else in another version.
            schemas = asked["schemas"]
            reader = schemas[-1]
            for schema in schemas:
                parse_schema(schema, named_schemas={})
            all_written = [Written(schema, reader, batch) for schema in schemas for batch in (False, True)]
            known = {written.header: written for written in all_written}
            answer = [written.header.hex() for written in all_written]
        elif "make" in asked:
            chance = random.Random(asked["seed"])
            answer = [make(chance.choice(all_written), chance, asked["now"]).hex() for _ in range(asked["make"])]
        else:
            answer = []
            for text in asked["read"]:
                try:
                    answer.append(read(bytes.fromhex(text), known))
                except Exception:
                    answer.append(None)
        print(json.dumps(answer), flush=True)


main()
