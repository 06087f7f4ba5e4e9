/** What faults do to one device's messages, each at the edges of its time. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Made, MessageFaults } from '../../../../devices/simulator/faults/message-faults.ts'
import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import { sourceOf } from '../../../../devices/simulator/messages/source.ts'
import type { Fault } from '../../../../devices/simulator/scenario/fault.ts'
import type { Format } from '../../../../devices/simulator/scenario/scenario.ts'
import { seededRandom } from '../../../../devices/simulator/signals/random.ts'
import { Rejection } from '../../../../schemas/reading.ts'
import { registry, scenario } from '../fleet.ts'

const AT = 1_000
const FOR = 1_000
const STEP = 250
const BEGAN = Date.UTC(2026, 10, 30, 12)
const everybody = { share: 1 }
const period = { atMs: AT, forMs: FOR, devices: everybody }
const of = { ...period, share: 1 }

interface Sent extends Made {
  readonly offsetMs: number
  /** What the platform makes of it. */
  readonly read: { readonly ts: number; readonly values: Readonly<Record<string, unknown>> } | Rejection
}

/** A message every quarter of a second, from before the fault until after it. */
function sent(fault: Fault, { format = 'avro' as Format, qos = 1 as 0 | 1 } = {}): Sent[] {
  const [group] = scenario({ stream: 'power', format, qos }).fleet
  const [sending] = group?.sends ?? []
  if (group === undefined || sending === undefined) assert.fail()
  const source = sourceOf(
    { group, sending, device: 'sim-1', index: 0, seed: 7 },
    { schemas: new SimulatorSchemas(registry) },
  )
  const faults = new MessageFaults([{ number: 0, fault }], {
    source,
    device: 'sim-1',
    sending,
    random: seededRandom(7, 1),
  })
  return Array.from({ length: 12 }, (_, index) => {
    const offsetMs = index * STEP
    const made = faults.make(offsetMs, BEGAN + offsetMs)
    const read = source.read(made.topic, made.payload, BEGAN + offsetMs)
    if (read instanceof Rejection) return { ...made, offsetMs, read }
    return { ...made, offsetMs, read: read[0] ?? assert.fail() }
  })
}

const isWithin = ({ offsetMs }: Sent) => offsetMs >= AT && offsetMs < AT + FOR
const good = sent({ ...of, kind: 'stuck', atMs: Number.POSITIVE_INFINITY, column: undefined })
const codeOf = ({ read }: Sent) => (read instanceof Rejection ? read.code : undefined)
const valuesOf = ({ read }: Sent) => (read instanceof Rejection ? assert.fail(read.reason) : read.values)
const lateBy = ({ read, offsetMs }: Sent) =>
  read instanceof Rejection ? assert.fail(read.reason) : read.ts - BEGAN - offsetMs

/** Which are befallen is their fault's time, half-open; all others are as ever. */
function befallen(fault: Fault, options?: Parameters<typeof sent>[1]): readonly Sent[] {
  const all = sent(fault, options)
  assert.deepEqual(
    all.map(({ fault: by }) => by?.number),
    all.map((each) => (isWithin(each) ? 0 : undefined)),
  )
  if (options === undefined) {
    for (const [index, each] of all.entries())
      if (!isWithin(each)) assert.deepEqual(each.payload, good[index]?.payload, `at ${each.offsetMs}`)
  }
  return all.filter(isWithin)
}

test('a clock is off within its time, goes away from it, or jumps and stays', () => {
  assert.deepEqual(befallen({ ...period, kind: 'clock-offset', byMs: -5_000 }).map(lateBy), Array(4).fill(-5_000))
  const drift = sent({ ...period, kind: 'clock-drift', msPerHour: 3_600_000 })
  assert.deepEqual(drift.map(lateBy), [0, 0, 0, 0, 0, 250, 500, 750, 0, 0, 0, 0])
  assert.deepEqual(
    drift.map(({ fault }) => fault !== undefined),
    drift.map((each) => lateBy(each) > 0),
  )
  const jump = sent({ kind: 'clock-jump', atMs: AT, forMs: Number.POSITIVE_INFINITY, devices: everybody, byMs: 60_000 })
  assert.deepEqual(jump.map(lateBy), [0, 0, 0, 0, ...Array(8).fill(60_000)])
})

test('a reading has the time of the one before it, and values of its own', () => {
  const found = befallen({ ...of, kind: 'repeated-times' })
  // Each repeats the one before it, which has the time of the last good one already.
  assert.deepEqual(found.map(lateBy), [-250, -500, -750, -1_000])
  assert.equal(new Set(found.map((each) => JSON.stringify(valuesOf(each)))).size, found.length)
})

test('a sensor that is stuck says what it said first, alone or with all others; one that is not there does nothing', () => {
  const one = befallen({ ...period, kind: 'stuck', column: 'l1_voltage' }).map(valuesOf)
  assert.equal(new Set(one.map(({ l1_voltage }) => l1_voltage)).size, 1)
  assert(new Set(one.map(({ l2_voltage }) => l2_voltage)).size > 1)
  const all = befallen({ ...period, kind: 'stuck', column: undefined }).map(valuesOf)
  assert.equal(new Set(all.map((values) => JSON.stringify(values))).size, 1)
  assert(sent({ ...period, kind: 'stuck', column: 'speed' }).every(({ fault }) => fault === undefined))
})

test('a spike is one value that is so many times what it was', () => {
  for (const each of befallen({ ...of, kind: 'spikes', factor: 1.5 })) {
    const right = valuesOf(good.find(({ offsetMs }) => offsetMs === each.offsetMs) ?? assert.fail())
    const values = valuesOf(each)
    const changed = Object.keys(right).filter((name) => values[name] !== right[name])
    assert(changed.length <= 1, changed.join())
  }
})

test('a payload ends early, names a schema that nobody has, or means harm; none is what was measured', () => {
  for (const each of befallen({ ...of, kind: 'truncated' })) {
    const right = good.find(({ offsetMs }) => offsetMs === each.offsetMs)?.payload ?? assert.fail()
    assert(each.payload.length < right.length)
    assert.deepEqual(each.payload, right.subarray(0, each.payload.length))
    assert.notEqual(codeOf(each), undefined)
  }
  for (const format of ['avro', 'json', 'confluent'] as const) {
    const found = befallen({ ...of, kind: 'unknown-schema' }, { format })
    assert.deepEqual(found.map(codeOf), Array(4).fill('unknown-schema'), format)
  }
  const right = good.map(({ payload }) => payload.toString('hex'))
  for (const { payload } of befallen({ ...of, kind: 'hostile' })) assert(!right.includes(payload.toString('hex')))
})

test("a forbidden topic is another device's", () => {
  for (const { topic, isForbidden } of befallen({ ...of, kind: 'forbidden-topic' })) {
    assert.deepEqual([topic, isForbidden], ['devices/sim-1-other/telemetry/power', true])
  }
})

test('what cannot be done is not said to be: a repeat of QoS 0, an unknown schema where none is named', () => {
  const none = (all: readonly Sent[]) => all.every(({ fault }) => fault === undefined)
  assert(none(sent({ ...of, kind: 'duplicates' }, { qos: 0 })))
  assert.equal(befallen({ ...of, kind: 'duplicates' }).length, 4)
  assert(none(sent({ ...of, kind: 'unknown-schema' }, { format: 'cbor' })))
})
