import sys

from machine_pb2 import Machine, MachineBatch

ts = int(sys.argv[1])
full = Machine(ts=ts, temperature=21.3, line="Süd-3", state=Machine.STATE_RUNNING, cycles=2**53 - 2, offset=-7, alarm=True)
full.motor.speed = 1450
full.motor.load = 0.75
print(full.SerializeToString().hex())
print(MachineBatch(readings=[Machine(ts=ts + 1), Machine(ts=ts + 2, temperature=0, offset=2**31 - 1)]).SerializeToString().hex())
