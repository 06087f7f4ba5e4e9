import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { machineOf } from '../../../../devices/simulator/signals/machine.ts'
import { deviceRandom } from '../../../../devices/simulator/signals/random.ts'
import { METRES_PER_DEGREE, Route } from '../../../../devices/simulator/signals/route.ts'
import { makeSource, type Shipped, START_AT } from '../messages/sources.ts'

const HOUR_MS = 3_600_000
type Numbers = Record<string, number>

/** Flat, as columns. */
function measured(stream: Shipped, index: number, count: number, everyMs: number, seed = 7): Numbers[] {
  const source = makeSource({ stream, index, seed })
  return Array.from({ length: count }, (_, number) => {
    const [record = {}] = source.measure(START_AT + number * everyMs)
    const flat: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(record)) {
      if (typeof value !== 'object' || value === null) flat[name] = value
      else for (const [inner, each] of Object.entries(value)) flat[`${name}_${inner}`] = each
    }
    return flat as Numbers
  })
}

const BOUNDS: Readonly<Record<Shipped, Readonly<Record<string, readonly [number, number]>>>> = {
  environment: {
    temperature: [-25, 45],
    humidity: [12, 100],
    pressure: [870, 1050],
    battery: [5, 100],
    rssi: [-98, -40],
  },
  power: {
    frequency: [49.8, 50.2],
    l1_voltage: [200, 245],
    l2_current: [0, 63],
    l3_power_factor: [-1, 1],
    l1_active_power: [-63 * 245, 63 * 245],
    energy_import: [500, 1e6],
    energy_export: [0, 1e6],
  },
  vehicle: {
    latitude: [47, 50],
    longitude: [10, 13.5],
    elevation: [250, 700],
    velocity: [0, 25],
    heading: [0, 360],
    grade: [-12, 12],
    fuel_consumption: [0, 120],
    fuel_state: [5, 100],
    current_load: [0, 5_000],
  },
  vibration: {
    acceleration_rms: [0, 20],
    acceleration_peak: [0, 40],
    velocity_rms: [0, 45],
    dominant_frequency: [10, 400],
    temperature: [20, 110],
  },
}

test('what the models measure stays within bounds, whatever the seed and however far readings are apart', () => {
  const streams = Object.keys(BOUNDS) as Shipped[]
  const spans = fc.constantFrom(1, 1_000, 60_000, 600_000, 7 * HOUR_MS)
  fc.assert(
    fc.property(
      fc.constantFrom(...streams),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      spans,
      (stream, seed, everyMs) => {
        for (const record of measured(stream, seed % 1_000, 100, everyMs, seed)) {
          for (const [column, [least, most]] of Object.entries(BOUNDS[stream])) {
            const value = record[column]
            if (value === null) continue
            assert(value !== undefined && value >= least && value <= most, `${column} is ${value}`)
          }
        }
      },
    ),
    { numRuns: 100 },
  )
})

test('it is warmer by day than by night, and the air is drier when it is', () => {
  for (let index = 0; index < 10; index++) {
    const records = measured('environment', index, 24 * 14, HOUR_MS)
    const mean = (from: number, column: string) => {
      const of = records.filter((_, at) => (new Date(START_AT).getUTCHours() + at) % 24 === from)
      return of.reduce((sum, record) => sum + (record[column] ?? 0), 0) / of.length
    }
    assert(mean(14, 'temperature') > mean(2, 'temperature') + 4)
    assert(mean(14, 'humidity') < mean(2, 'humidity') - 5)
  }
})

test('a battery falls, and is changed when it is empty', () => {
  const records = measured('environment', 0, 24 * 60, HOUR_MS)
  const rises = records.filter(({ battery = 0 }, at) => at > 0 && battery > (records[at - 1]?.battery ?? 0))
  assert(rises.length >= 1 && rises.length <= 3, `${rises.length} times`)
  assert(rises.every(({ battery }) => battery === 100))
})

test('power is voltage times current times power factor, and the counters are its integral', () => {
  for (let index = 0; index < 8; index++) {
    const everyMs = 10_000
    const records = measured('power', index, 1_500, everyMs)
    const expected = { energy_import: 0, energy_export: 0 }
    let before: number | undefined
    for (const record of records) {
      let watts = 0
      for (const phase of ['l1', 'l2', 'l3']) {
        const [u = 0, i = 0, p = 0, q = 0, factor = 0] = [
          'voltage',
          'current',
          'active_power',
          'reactive_power',
          'power_factor',
        ].map((name) => record[`${phase}_${name}`])
        assert(Math.abs(p - u * i * factor) <= 0.051, `${p} is not ${u} V * ${i} A * ${factor}`)
        assert(Math.abs(Math.hypot(p, q) - u * i) <= 0.2)
        watts += p
      }
      const kwh = before === undefined ? 0 : (((before + watts) / 2) * everyMs) / 3.6e9
      before = watts
      expected.energy_import += Math.max(0, kwh)
      expected.energy_export += Math.max(0, -kwh)
      for (const name of ['energy_import', 'energy_export'] as const) {
        const counted = (record[name] ?? 0) - (records[0]?.[name] ?? 0)
        assert(Math.abs(counted - expected[name]) < 0.002, `${name} rose by ${counted}, and it is ${expected[name]}`)
      }
    }
  }
})

test('the voltage sags with the current, and some meters export while the sun shines', () => {
  let exporting = 0
  for (let index = 0; index < 20; index++) {
    const records = measured('power', index, 24 * 60, 60_000)
    const loaded = records.filter(({ l1_active_power = 0, l1_current = 0 }) => l1_active_power > 0 && l1_current > 6)
    const idle = records.filter(({ l1_active_power = 0, l1_current = 0 }) => l1_active_power > 0 && l1_current < 3)
    const mean = (of: Numbers[]) => of.reduce((sum, { l1_voltage = 0 }) => sum + l1_voltage, 0) / of.length
    if (loaded.length > 20 && idle.length > 20) assert(mean(loaded) < mean(idle) - 1)
    const exports = records.filter(({ l1_active_power = 0 }) => l1_active_power < 0)
    if (exports.length > 0) exporting++
    for (const { ts = 0 } of exports) assert(Math.abs(new Date(ts).getUTCHours() + 0.5 - 11.5) <= 6.5)
  }
  assert(exporting > 0 && exporting < 20)
})

/** Metres, as a GPS would have them. */
function distance(one: Numbers, other: Numbers): number {
  const { latitude: a = 0, longitude: b = 0 } = one
  const { latitude: c = 0, longitude: d = 0 } = other
  return METRES_PER_DEGREE * Math.hypot(c - a, (d - b) * Math.cos(((a + c) / 2) * (Math.PI / 180)))
}

test('a truck is where its speed and heading take it, once a second and once a minute', () => {
  for (const [everyMs, share] of [
    [1_000, 0.001],
    [60_000, 0.03],
  ] as const) {
    let driven = 0
    for (let index = 0; index < 8; index++) {
      const records = measured('vehicle', index, 3_000, everyMs)
      for (const [at, record] of records.entries()) {
        const before = records[at - 1]
        if (before === undefined) continue
        const metres = distance(before, record)
        const wanted = ((record.velocity ?? 0) * everyMs) / 1_000
        const turn = Math.abs((((record.heading ?? 0) - (before.heading ?? 0) + 540) % 360) - 180)
        // Positions are to a millionth of a degree, velocities to a hundredth; a bend is longer than the way across.
        const least = wanted * (1 - share) * Math.cos((turn * Math.PI) / 360)
        const slack = 0.2 + (0.005 * everyMs) / 1_000
        assert(metres >= least - slack && metres <= wanted + slack, `went ${metres} m, and ${wanted} are right`)
        driven += metres
        if (everyMs > 1_000) continue
        assert(Math.abs((record.velocity ?? 0) - (before.velocity ?? 0)) <= 2.5, 'as a truck speeds up and brakes')
        if (metres < 5) continue
        const north = (record.latitude ?? 0) - (before.latitude ?? 0)
        const east =
          ((record.longitude ?? 0) - (before.longitude ?? 0)) * Math.cos((record.latitude ?? 0) * (Math.PI / 180))
        const course = ((Math.atan2(east, north) * 180) / Math.PI + 360) % 360
        const off = (heading = 0) => Math.abs(((course - heading + 540) % 360) - 180)
        const bend = off(before.heading) + off(record.heading)
        assert(bend < turn + 4, `it went ${course}, and its heading was ${before.heading}, then ${record.heading}`)
      }
    }
    assert(driven > 8 * 3_000 * (everyMs / 1_000) * 8, 'they drive most of the time')
  }
})

test('a truck stops now and then, burns as it drives, and is filled up', () => {
  const records = measured('vehicle', 1, 20_000, 10_000)
  const standing = records.filter(({ velocity }) => velocity === 0).length
  assert(standing > 500 && standing < 10_000, `${standing} of ${records.length}`)
  const mean = (of: Numbers[]) => of.reduce((sum, { fuel_consumption = 0 }) => sum + fuel_consumption, 0) / of.length
  assert(
    mean(records.filter(({ velocity = 0 }) => velocity > 15)) >
      3 * mean(records.filter(({ velocity }) => velocity === 0)),
  )
  const fills = records.filter(({ fuel_state = 0 }, at) => at > 0 && fuel_state > (records[at - 1]?.fuel_state ?? 0))
  assert(fills.length >= 2)
  assert(fills.every(({ velocity = 0, fuel_state = 0 }) => velocity < 25 && fuel_state >= 89))
  const [first, last] = [records[0], records.at(-1)]
  assert.deepEqual([first?.fleet, first?.driver], [last?.fleet, last?.driver])
})

test('a route closes, in place and in height, whatever the seed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
      const route = new Route(deviceRandom(seed, 0, 'vehicle'))
      assert(route.length > 60_000 && route.length < 900_000, `${route.length} m`)
      const [start, end] = [route.place(0), route.place(route.length - 0.001)]
      assert(distance({ ...start }, { ...end }) < 1)
      assert(Math.abs(route.elevation(0) - route.elevation(route.length)) < 1e-6)
      for (let at = 0; at < 200; at++) {
        const metres = (at / 200) * route.length
        const slope = 100 * (route.elevation(metres + 1) - route.elevation(metres))
        assert(Math.abs(slope - route.grade(metres)) < 0.1, `${slope} is not ${route.grade(metres)}`)
      }
    }),
    { numRuns: 100 },
  )
})

test('a machine is quiet, and shakes now and then: then its peak, frequency and velocity are of the burst', () => {
  const records = [0, 1, 2, 3].flatMap((index) => measured('vibration', index, 5_000, 1_000))
  const bursts = records.filter(({ acceleration_rms = 0 }) => acceleration_rms > 2)
  assert(bursts.length > 50 && bursts.length < records.length / 4, `${bursts.length} of ${records.length}`)
  assert(bursts.every(({ dominant_frequency = 0 }) => dominant_frequency >= 79))
  const quiet = records.filter(({ acceleration_rms = 0 }) => acceleration_rms < 0.5)
  assert(quiet.every(({ dominant_frequency }) => dominant_frequency === null || (dominant_frequency ?? 99) < 51))
  assert(quiet.some(({ dominant_frequency }) => dominant_frequency === null))
  for (const { acceleration_rms = 0, acceleration_peak = 0 } of records)
    assert(acceleration_peak >= acceleration_rms * Math.SQRT2 - 0.01)
})

test('samples of a machine are a sine that dies away', () => {
  const columns = [{ name: 'acceleration', kind: 'float[]', tag: false }] as const
  const energy = [0, 0]
  for (let index = 0; index < 20; index++) {
    const machine = machineOf(columns, deviceRandom(7, index, 'vibration'))
    machine?.advance(START_AT)
    const samples = machine?.columns.get('acceleration')?.() as number[]
    assert.equal(samples.length, 64)
    for (const [at, sample] of samples.entries())
      energy[at < 32 ? 0 : 1] = (energy[at < 32 ? 0 : 1] ?? 0) + sample * sample
  }
  assert((energy[0] ?? 0) > 8 * (energy[1] ?? 0), `${energy}`)
})
