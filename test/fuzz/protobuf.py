"""Protobuf by the library of PyPI, for test/fuzz/protobuf.ts: one JSON object a line in, one out.

{"message": M}                  the schema from now on: M is {"name", "fields": [[name, number, type, presence, oneof, M or enum]]}
{"make": N, "seed": S}          N messages of random values, as [hex]
{"read": [hex]}                 what each says: {"column": [kind, value]} by presence, or null if it is none
"""

import json
import math
import random
import struct
import sys
import warnings

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
EDGES = {
    "int32": [0, 1, -1, 2**31 - 1, -(2**31)],
    "uint32": [0, 1, 2**31, 2**32 - 1],
    "int64": [0, 1, -1, 2**32, -(2**32), 2**52, -(2**52), 2**53 - 2, 2**53 - 1, 2**53, -(2**52) - 1, 2**63 - 1, -(2**63)],
    "uint64": [0, 1, 2**32, 2**52, 2**53 - 2, 2**53 - 1, 2**53, 2**64 - 1],
    "double": [0.0, -0.0, 1.5, -21.3, 1e308, 5e-324, math.inf, -math.inf, math.nan],
}
BASE = {"sint32": "int32", "sfixed32": "int32", "fixed32": "uint32", "sint64": "int64", "sfixed64": "int64", "fixed64": "uint64", "float": "double"}
TEXTS = ["", "a", "ü€", "\U0001f600", "x" * 200, "line\nbreak", "\x00"]
number_of_schemas = 0


def describe(message, proto):
    proto.name = message["name"]
    oneofs = {}
    optional = []
    for name, number, kind, presence, oneof, inner in message["fields"]:
        field = proto.field.add(name=name, number=number, label=FIELD.LABEL_OPTIONAL)
        if kind == "message":
            nested = proto.nested_type.add()
            describe(inner, nested)
            field.type, field.type_name = FIELD.TYPE_MESSAGE, inner["name"]
        elif kind == "enum":
            nested = proto.enum_type.add(name=inner["name"])
            for symbol, value in inner["symbols"]:
                nested.value.add(name=symbol, number=value)
            field.type, field.type_name = FIELD.TYPE_ENUM, inner["name"]
        else:
            field.type = getattr(FIELD, "TYPE_" + kind.upper())
        if oneof is not None:
            if oneof not in oneofs:
                oneofs[oneof] = len(proto.oneof_decl)
                proto.oneof_decl.add(name=oneof)
            field.oneof_index = oneofs[oneof]
        elif presence and kind != "message":
            optional.append(field)
    for field in optional:
        field.proto3_optional = True
        field.oneof_index = len(proto.oneof_decl)
        proto.oneof_decl.add(name="_" + field.name)


def compile_schema(message):
    global number_of_schemas
    number_of_schemas += 1
    file = descriptor_pb2.FileDescriptorProto(name=f"probe{number_of_schemas}.proto", package="telltale", syntax="proto3")
    describe(message, file.message_type.add())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = pool.FindMessageTypeByName("telltale." + message["name"])
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(made)
    return message_factory.MessageFactory(pool).GetPrototype(made)


def value_of(kind, inner, chance):
    if kind == "string":
        return chance.choice(TEXTS)
    if kind == "bool":
        return chance.random() < 0.5
    if kind == "enum":
        values = [value for _, value in inner["symbols"]]
        return chance.choice(values + ([99, -5] if chance.random() < 0.1 else []))
    base = BASE.get(kind, kind)
    if chance.random() < 0.3:
        # What no reading may have is rare, or there would be no readings.
        value = chance.choice(EDGES[base][: None if chance.random() < 0.1 else 5])
    elif base == "double":
        value = round(chance.uniform(-1000, 1000), chance.randrange(4))
    else:
        signed = base.startswith("int")
        value = chance.randrange(-(2**31), 2**31) if signed else chance.randrange(2**32)
    return struct.unpack("f", struct.pack("f", value))[0] if kind == "float" and abs(value) < 3e38 else value


def fill(target, message, chance, now):
    for name, _, kind, presence, oneof, inner in message["fields"]:
        if name == "ts" and now is not None:
            target.ts = now + chance.randrange(-1000, 1000)
        elif chance.random() < 0.2 and (presence or oneof is not None):
            continue
        elif kind == "message":
            getattr(target, name).SetInParent()
            fill(getattr(target, name), inner, chance, None)
        else:
            setattr(target, name, value_of(kind, inner, chance))


def said(source, message, above, out):
    for name, _, kind, presence, oneof, inner in message["fields"]:
        if (presence or oneof is not None) and not source.HasField(name):
            continue
        value = getattr(source, name)
        column = above + name
        if kind == "message":
            said(value, inner, column + "_", out)
        elif kind == "enum":
            out[column] = ["enum", dict((number, symbol) for symbol, number in reversed(inner["symbols"])).get(value)]
        elif kind in ("float", "double"):
            out[column] = [kind, struct.pack(">d", value).hex()]
        elif kind in ("string", "bool"):
            out[column] = [kind, value]
        else:
            out[column] = ["integer", str(value)]


def main():
    # C++ stops at the end of a group that did not begin, and warns.
    warnings.simplefilter("error")
    schema = made = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "message" in asked:
            schema = asked["message"]
            made = compile_schema(schema)
            answer = []
        elif "make" in asked:
            chance = random.Random(asked["seed"])
            answer = []
            for _ in range(asked["make"]):
                message = made()
                fill(message, schema, chance, asked["now"])
                answer.append(message.SerializeToString().hex())
        else:
            answer = []
            for text in asked["read"]:
                try:
                    out = {}
                    said(made.FromString(bytes.fromhex(text)), schema, "", out)
                    answer.append(out)
                except Exception:
                    answer.append(None)
        print(json.dumps(answer), flush=True)


main()
