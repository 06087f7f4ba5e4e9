"""Avro by the library fastavro of PyPI, for test/fuzz/avro.ts: one JSON object a line in, one out.

{"schemas": [S, ...]}           the versions of a stream from now on, the newest last
{"make": N, "seed": S}          N messages of random values, by any version, records and arrays, as [hex], single-object encoding
{"read": [hex]}                 what each says by the newest version: [{"column": [kind, value]}], or null if it is none

fastavro reads what stands in the bytes; what that means by a logical type is said here, after the specification, by Python's own dates,
decimals and UUIDs. A map is read as an array of its pairs, whose bytes are the same: a dict would hide a key that stands twice.
"""

import datetime
import decimal
import io
import json
import random
import struct
import sys
import uuid

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from avro_values import BYTES_MAX, DIGITS_MAX, LIST_MAX, inner, kind_of, value_of


def header(schema):
    # By the specification it names its bytes in the order in which they are sent.
    number = int(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"), 16)
    return b"\xc3\x01" + number.to_bytes(8, "big")


def bare(schema, name, pairs):
    """Without logical types; with `pairs`, maps are arrays of them, which are named as the field was at first."""
    if isinstance(schema, list):
        return [bare(branch, name, pairs) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: value for key, value in schema.items() if key not in ("logicalType", "precision", "scale", "keys")}
    if schema["type"] == "record":
        return {**plain, "fields": [bare_field(field, pairs) for field in schema["fields"]]}
    if schema["type"] == "map" and pairs:
        fields = [{"name": "key", "type": "string"}, {"name": "value", "type": schema["values"]}]
        return {"type": "array", "items": {"type": "record", "name": "Pair_" + name.rstrip("r"), "fields": fields}}
    return plain


def bare_field(field, pairs):
    made = {**field, "type": bare(field["type"], field["name"], pairs)}
    if pairs and isinstance(field.get("default"), dict) and kind_of(inner(field["type"])) == "map":
        made["default"] = [{"key": key, "value": value} for key, value in field["default"].items()]
    return made


def parsed(schema, batch, pairs):
    # Each by itself: a name may mean something else in another version.
    made = bare(schema, "", pairs)
    return parse_schema({"type": "array", "items": made} if batch else made, named_schemas={})


class Written:
    def __init__(self, schema, newest, batch):
        self.header = header({"type": "array", "items": schema} if batch else schema)
        self.schema, self.newest, self.batch = schema, newest, batch
        self.bytes = parsed(schema, batch, False)
        self.writer, self.reader = parsed(schema, batch, True), parsed(newest, batch, True)


def write(out, schema, value, chance):
    """As fastavro does, but for arrays and maps: in several blocks, some of which say their size, and a key may stand twice."""
    if isinstance(schema, list):
        branch = next(index for index, branch in enumerate(schema) if (branch == "null") == (value is None))
        schemaless_writer(out, "int", branch)
        return write(out, schema[branch], value, chance) if value is not None else None
    kind = kind_of(schema)
    if isinstance(kind, dict):
        return write(out, kind, value, chance)
    if kind == "record":
        for field in schema["fields"]:
            write(out, field["type"], value[field["name"]], chance)
    elif kind in ("array", "map"):
        left = list(value)
        while left:
            count = chance.choice([1, len(left), chance.randint(1, len(left))])
            block, left = left[:count], left[count:]
            written = io.BytesIO()
            for item in block:
                if kind == "map":
                    schemaless_writer(written, "string", item[0])
                write(written, schema["items"] if kind == "array" else schema["values"], item[1] if kind == "map" else item, chance)
            has_size = chance.random() < 0.5
            schemaless_writer(out, "long", -count if has_size else count)
            if has_size:
                schemaless_writer(out, "long", len(written.getvalue()))
            out.write(written.getvalue())
        schemaless_writer(out, "long", 0)
    else:
        schemaless_writer(out, "bytes" if isinstance(value, bytes) and kind == "string" else bare(schema, "", False), value)


def with_dicts(schema, value):
    """Maps as fastavro takes them."""
    schema = inner(schema)
    kind = kind_of(schema)
    if kind == "record" and value is not None:
        return {field["name"]: with_dicts(field["type"], value[field["name"]]) for field in schema["fields"]}
    return dict(value) if kind == "map" and value is not None else value


def make(written, chance, now):
    by_hand = chance.random() < 0.5
    is_micros = next(field for field in written.schema["fields"] if field["name"] == "ts")["type"]["logicalType"].endswith("micros")

    def record():
        value = value_of(written.schema, chance, by_hand)
        value["ts"] = now * (1000 if is_micros else 1) + chance.randrange(-1000, 1000)
        return value

    count = chance.choice([0, 1, 1, 2, 2, 2, 3, 3]) if written.batch else 1
    while True:
        out = io.BytesIO()
        records = [record() for _ in range(count)]
        try:
            if by_hand:
                schema = {"type": "array", "items": written.schema} if written.batch else written.schema
                write(out, schema, records if written.batch else records[0], chance)
            else:
                plain = [with_dicts(written.schema, each) for each in records]
                schemaless_writer(out, written.bytes, plain if written.batch else plain[0])
            return written.header + out.getvalue()
        except (OverflowError, struct.error):
            # A double that is no float.
            count = min(count, 1)


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
        kind = kind_of(schema)
        if kind == "record":
            said(found, schema, by, column + "_", out)
        elif kind == "map":
            for pair in found:
                said_number = number_said(pair["value"], kind_of(schema["values"]), by and kind_of(by["values"]))
                out[column + "_" + pair["key"]] = said_number
        elif kind == "array":
            numbers = [number_said(each, kind_of(schema["items"]), by and kind_of(by["items"])) for each in found]
            out[column] = ["list", numbers] if len(numbers) <= LIST_MAX else ["unfit", f"{len(numbers)} numbers"]
        elif isinstance(schema, dict) and "logicalType" in schema and column != "ts":
            out[column] = logical_said(schema, found)
        elif kind in ("bytes", "fixed"):
            found = bytes_of(found)
            out[column] = ["string", found.hex()] if len(found) <= BYTES_MAX else ["unfit", f"{len(found)} bytes"]
        elif column == "ts":
            out[column] = ["double", double(found / (1000 if schema["logicalType"].endswith("micros") else 1))]
        elif kind in ("int", "long", "float", "double"):
            out[column] = number_said(found, kind, by and kind_of(by))
        else:
            out[column] = ["string" if column.endswith("tag") and found == "" else kind, found]


def double(number):
    return struct.pack(">d", number).hex()


def number_said(found, kind, written):
    if kind in ("int", "long"):
        return ["integer", str(found)]
    return ["float" if (written or kind) == "float" else "double", double(found)]


def bytes_of(found):
    """A default is text of one character for each."""
    return found.encode("latin-1") if isinstance(found, str) else found


EPOCH = datetime.datetime(1970, 1, 1)


def logical_said(schema, found):
    logical = schema["logicalType"]
    try:
        if logical == "decimal":
            return decimal_said(schema, bytes_of(found))
        if logical == "uuid":
            made = uuid.UUID(found) if schema["type"] == "string" else uuid.UUID(bytes=bytes_of(found))
            is_right = schema["type"] != "string" or found.lower() == str(made)
            return ["string", str(made)] if is_right else ["unfit", found]
        if logical == "date":
            return ["string", (EPOCH.date() + datetime.timedelta(days=found)).isoformat()]
        digits = "milliseconds" if logical.endswith("millis") else "microseconds"
        moment = EPOCH + datetime.timedelta(**{digits: found})
        if logical.startswith("time-"):
            is_right = moment.date() == EPOCH.date()
            return ["string", moment.time().isoformat(timespec=digits)] if is_right else ["unfit", str(found)]
        return ["string", moment.isoformat(timespec=digits) + ("Z" if logical.startswith("timestamp") else "")]
    except (OverflowError, ValueError):
        return ["unfit", str(found)]


def decimal_said(schema, found):
    if not 0 < len(found) <= BYTES_MAX:
        return ["unfit", f"{len(found)} bytes"]
    unscaled = int.from_bytes(found, "big", signed=True)
    exact = decimal.Decimal(unscaled).as_tuple()._replace(exponent=-schema.get("scale", 0))
    is_right = len(exact.digits) <= schema["precision"] and len(str(unscaled).strip("-0")) <= DIGITS_MAX
    return ["double", double(float(decimal.Decimal(exact)))] if is_right else ["unfit", str(unscaled)]


def unfit_keys(value, schema):
    """Those that the writer's schema does not declare, or that stand twice: also where the newest version has no such map."""
    schema = inner(schema)
    kind = kind_of(schema)
    if value is None:
        return []
    if kind == "record":
        return [key for field in schema["fields"] for key in unfit_keys(value[field["name"]], field["type"])]
    keys = [pair["key"] for pair in value] if kind == "map" else []
    return [key for key in keys if key not in schema["keys"] or keys.count(key) > 1]


def read(payload, known):
    written = known.get(payload[:10])
    if written is None:
        return None
    source = io.BytesIO(payload[10:])
    try:
        # What the newest version leaves out it would not look at.
        whole = schemaless_reader(source, written.writer)
        value = schemaless_reader(io.BytesIO(payload[10:]), written.writer, written.reader)
    except Exception:
        return None
    if source.read(1) != b"":
        return None
    answer = []
    for record, by_writer in zip(value, whole) if written.batch else [(value, whole)]:
        out = {}
        said(record, written.newest, written.schema, "", out)
        keys = unfit_keys(by_writer, written.schema)
        answer.append({**out, "": ["unfit", repr(keys)]} if keys else out)
    return answer


def main():
    known = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "schemas" in asked:
            schemas = asked["schemas"]
            all_written = [Written(schema, schemas[-1], batch) for schema in schemas for batch in (False, True)]
            known = {written.header: written for written in all_written}
            answer = [written.header.hex() for written in all_written]
        elif "make" in asked:
            chance = random.Random(asked["seed"])
            answer = [make(chance.choice(all_written), chance, asked["now"]).hex() for _ in range(asked["make"])]
        else:
            answer = [read(bytes.fromhex(text), known) for text in asked["read"]]
        print(json.dumps(answer), flush=True)


main()
