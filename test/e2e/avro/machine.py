import io
import json
import sys

from fastavro import parse_schema, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

with open(sys.argv[1]) as file:
    schema = json.load(file)
ts = int(sys.argv[2])


def write(schema, value):
    # The digits are its bytes in the order in which they are sent.
    mark = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(schema), value)
    print("c301" + mark + out.getvalue().hex())


zero = {"temperature": None, "line": "", "state": "stopped", "motor": None, "cycles": 0, "offset": 0, "alarm": False}
full = {
    "ts": ts,
    "temperature": 21.3,
    "line": "Süd-3",
    "state": "running",
    "motor": {"speed": 1450, "load": 0.75},
    "cycles": 2**53 - 2,
    "offset": -7,
    "alarm": True,
}
write(schema, full)
batch = {"type": "array", "items": schema}
write(batch, [{**zero, "ts": ts + 1}, {**zero, "ts": ts + 2, "temperature": 0.0, "offset": 2**31 - 1}])
