/** What a map makes of a message: exact, refused with words, or left out because it says so. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mapMaker } from '../../maps/maps.ts'
import type { ConfigError } from '../../platform/config-file.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'

const NOW = Date.UTC(2025, 10, 23, 12)
const registry = Registry.load(SHIPPED_SCHEMAS_DIR)

/** What becomes of a message: its readings, `left`, `unplaced` with why, or no map. */
function given(yaml: string, topic: string, payload: string | object | Buffer, isRetained = false) {
  const maps = mapMaker()([{ file: 'm.yaml', text: yaml }], registry)
  const match = maps.for(topic)
  if (match === undefined) return 'no map'
  const bytes = Buffer.isBuffer(payload)
    ? payload
    : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
  const place = match.map.place(match.names, bytes, isRetained)
  if (place.kind !== 'taken') return place.kind === 'left' ? 'left' : place.why
  const tried = maps.tried(place.device, { topic, receivedAt: NOW, payload: bytes, offset: 1_007 })
  return tried ?? assert.fail()
}

function readings(...args: Parameters<typeof given>): readonly Reading[] {
  const outcome = given(...args)
  if (outcome instanceof Rejection) assert.fail(`${outcome.code}: ${outcome.reason}`)
  assert(typeof outcome === 'object', `${outcome}`)
  return outcome
}

const values = (...args: Parameters<typeof given>) => readings(...args).map((reading) => reading.values)

function refused(code: string, reason: RegExp, ...args: Parameters<typeof given>): void {
  const outcome = given(...args)
  assert(outcome instanceof Rejection, JSON.stringify(outcome))
  assert.equal(outcome.code, code)
  assert.match(outcome.reason, reason)
}

function faulty(yaml: string, message: RegExp): void {
  assert.throws(
    () => mapMaker()([{ file: 'm.yaml', text: yaml }], registry),
    (error: ConfigError) => {
      assert.equal(error.code, 'bad-config')
      assert.match(error.message, message)
      return true
    },
  )
}

const TASMOTA = `
topic: tele/{device}/SENSOR
stream: tasmota
time: Time
fields: { temperature: AM2301.Temperature, current: { path: ENERGY.Current, unit: A } }
`

test("the contract's example reads what it names, at the payload's time", () => {
  const payload = {
    Time: '2025-11-23T11:59:30',
    AM2301: { Temperature: 21.3, Humidity: 40 },
    ENERGY: { Current: '0.25' },
  }
  assert.deepEqual(readings(TASMOTA, 'tele/plug-1/SENSOR', payload), [
    {
      device: 'plug-1',
      stream: 'tasmota',
      ts: Date.UTC(2025, 10, 23, 11, 59, 30),
      values: { temperature: 21.3, current: 0.25 },
    },
  ])
  assert.equal(given(TASMOTA, 'tele/plug-1/STATE', payload), 'no map')
  assert.equal(given(TASMOTA, 'tele/a/b/SENSOR', payload), 'no map')
})

test('a payload without anything that is named, or with something unfit, is refused with what it has', () => {
  refused(
    'invalid-reading',
    /nothing that the map takes, which is temperature from AM2301\.Temperature.*it has Time, BME280/,
    TASMOTA,
    'tele/d/SENSOR',
    { Time: '2025-11-23T11:59:30', BME280: {} },
  )
  refused('invalid-reading', /^temperature is "warm"; a number is right$/, TASMOTA, 'tele/d/SENSOR', {
    Time: '2025-11-23T11:59:30',
    AM2301: { Temperature: 'warm' },
  })
  refused(
    'bad-timestamp',
    /^its time is missing: nothing at Time; it has AM2301.Temperature$/,
    TASMOTA,
    'tele/d/SENSOR',
    { AM2301: { Temperature: 1 } },
  )
  refused('bad-timestamp', /^Time is 1970-01-01/, TASMOTA, 'tele/d/SENSOR', {
    Time: '1970-01-01T00:00:10',
    AM2301: { Temperature: 1 },
  })
  refused('malformed-json', /./, TASMOTA, 'tele/d/SENSOR', '{"Time":')
  refused('malformed-json', /./, TASMOTA, 'tele/d/SENSOR', 'Online')
  assert.deepEqual(values('topic: a/{device}\nstream: x\nfields: { on: { path: ., type: boolean } }', 'a/d', 'ON'), [
    { on: true },
  ])
})

test('without fields all numbers are taken, flattened, but for lists, the time, and what is ignored', () => {
  const map = 'topic: rtl/{device}\nstream: rtl\ntime: t\nignore: [deep.not, id]'
  const payload = { t: NOW / 1000, id: 7, 'a-b': 1, '2x': 2, device: 3, deep: { not: 4, yes: 5, list: [6] }, text: 'x' }
  assert.deepEqual(values(map, 'rtl/d', payload), [{ a_b: 1, v_2x: 2, device_: 3, deep_yes: 5 }])
  assert.deepEqual(readings(map, 'rtl/d', { t: NOW, text: 'x' }), [], 'there is no number')
  refused('invalid-reading', /^a-b and a_b would both be the column a_b/, map, 'rtl/d', { t: NOW, 'a-b': 1, a_b: 2 })
  const hostile = `{"t":${NOW},"__proto__":{"x":1},"constructor":2,"n":1e999}`
  refused('invalid-reading', /^n is Infinity/, map, 'rtl/d', hostile)
  assert.deepEqual(values(map, 'rtl/d', hostile.replace(',"n":1e999', '')), [{ v__proto___x: 1, constructor: 2 }])
})

test('without a time a message has that of its receipt, and two in one millisecond are two', () => {
  const [reading] = readings('topic: "{device}/x"\nstream: x', 'd/x', { a: 1 })
  assert.equal(reading?.ts, NOW + 0.007)
  const list = readings('topic: "{device}/x"\nstream: x', 'd/x', [{ a: 1 }, { a: 2 }])
  assert.deepEqual(
    list.map(({ ts }) => ts),
    [NOW + 0.007, NOW + 0.008],
  )
})

test('times are told by their form and size, and a local one by its zone', () => {
  const map = (time: string) => `topic: "{device}/x"\nstream: x\ntime: ${time}`
  const at = (time: string, t: unknown) => readings(map(time), 'd/x', { t, a: 1 })[0]?.ts
  const noon = NOW - 3_600_000
  for (const t of [
    noon / 1000,
    noon,
    noon * 1000,
    noon * 1e6,
    `${noon / 1000}`,
    '2025-11-23T11:00:00Z',
    '2025-11-23 11:00:00',
    '2025-11-23T12:00:00+01:00',
    '2025-11-23T11:00:00.000000000Z',
  ])
    assert.equal(at('t', t), noon, String(t))
  assert.equal(at('{ path: t, zone: Europe/Berlin }', '2025-11-23T12:00:00'), noon)
  assert.equal(at('{ path: t, zone: Europe/Berlin }', '2025-07-01T12:00:00'), Date.UTC(2025, 6, 1, 10))
  assert.equal(
    at('{ path: t, zone: Europe/Berlin }', '2025-10-26T02:30:00'),
    Date.UTC(2025, 9, 26, 0, 30),
    'twice: the first',
  )
  assert.equal(at('{ path: t, zone: Europe/Berlin }', '2025-10-26T03:30:00'), Date.UTC(2025, 9, 26, 2, 30))
  assert.equal(at('{ path: t, zone: America/New_York }', '2025-11-02T01:30:00'), Date.UTC(2025, 10, 2, 5, 30))
  assert.equal(at('{ path: t, zone: "-05:30" }', '2025-11-23T05:30:00'), noon)
  assert.equal(at('{ path: t, zone: Europe/Berlin }', '2025-11-23T11:00:00Z'), noon, 'its own zone counts')
})

test('a factor leaves no digits behind; types are what they are said to be', () => {
  const map = `
topic: "{device}"
stream: x
fields:
  t: { path: a, factor: 0.1, offset: -40 }
  n: { path: b, type: integer }
  on: { type: boolean }
  s: { path: c.0, type: string }
`
  assert.deepEqual(values(map, 'd', { a: 2153, b: '7', on: 'OFF', c: [true] }), [
    { t: 175.3, n: 7, on: false, s: 'true' },
  ])
  assert.deepEqual(values(map, 'd', { a: 600, b: null }), [{ t: 20 }])
  refused('invalid-reading', /^n is 7.5; a whole number/, map, 'd', { b: 7.5 })
  refused('invalid-reading', /^n is 9007199254740992; a whole number/, map, 'd', { b: 2 ** 53 })
  refused(
    'invalid-reading',
    /^on is "maybe"; true, on, yes, 1, online, open, false, off, no, 0, offline or closed is right/,
    map,
    'd',
    { on: 'maybe' },
  )
  refused('invalid-reading', /^s is an object; text/, map, 'd', { c: [{}] })
})

test('what is calculated keeps each digit that it has, and is a number', () => {
  const by = (rule: string) => `
topic: "{device}"
stream: x
fields: { a: { ${rule} } }
`
  const exact: [rule: string, a: number, result: number][] = [
    ['factor: 0.001', 123_456_789_012_345, 123_456_789_012.345],
    ['factor: 0.001', 1_763_900_000_123, 1_763_900_000.123],
    ['factor: 0.1, type: integer', 30, 3],
    ['factor: 10, type: integer', 0.7, 7],
    ['offset: 1, type: integer', 9_007_199_254_740_000, 9_007_199_254_740_001],
    ['offset: -1000', 1000.1, 0.1],
    ['factor: 1e-9', 1e-9, 1e-18],
    ['factor: 0', 5, 0],
    ['factor: -1', 0, 0],
    ['factor: 2', 1e300, 2e300],
  ]
  for (const [rule, a, result] of exact) assert.deepEqual(values(by(rule), 'd', { a }), [{ a: result }], rule)
  refused('invalid-reading', /^a is 1e\+308; a number that its factor leaves one/, by('factor: 1000'), 'd', {
    a: 1e308,
  })
  refused('invalid-reading', /^a is 4.99999999999; a whole number/, by('type: integer'), 'd', { a: 4.99999999999 })
  refused('invalid-reading', /^a is "1e999"; a number/, by('type: number'), 'd', { a: '1e999' })
  refused('invalid-reading', /^a is Infinity; a number/, by('type: number'), 'd', '{"a":1e999}')
  refused('invalid-reading', /^a is "NaN"; a number/, by('type: number'), 'd', { a: 'NaN' })
  refused('invalid-reading', /^a is "0x10"; a number/, by('type: number'), 'd', { a: '0x10' })
  refused('malformed-json', /the name "a" twice/, by('type: number'), 'd', '{"a":1,"a":2}')
  refused('unknown-framing', /no text in UTF-8/, by('type: number'), 'd', Buffer.from('7b2261223aff7d', 'hex'))
  for (const zero of ['{"a":-0}', '{"a":"-0.0"}']) assert.deepEqual(values(by('type: number'), 'd', zero), [{ a: 0 }])
})

test('a whole number that JSON has rounded names no device and is no text', () => {
  const map = `
topic: up
device: "meter-{serial}"
stream: x
fields: { a: , s: { path: serial, type: string } }
`
  assert.deepEqual(values(map, 'up', { serial: 9_007_199_254_740_991, a: 1 }), [{ a: 1, s: '9007199254740991' }])
  assert.match(String(given(map, 'up', '{"serial":9007199254740993,"a":1}')), /^the payload does not say which device/)
  const text = `
topic: "{device}"
stream: x
fields: { s: { type: string } }
`
  refused(
    'invalid-reading',
    /^s is 9007199254740992; text, or a number below 2\^53/,
    text,
    'd',
    '{"s":9007199254740993}',
  )
})

test('names that objects have by themselves are names like any other', () => {
  const all = 'topic: "{device}"\nstream: x\n'
  assert.deepEqual(values(all, 'd', '{"__proto__":{"a":1},"constructor":2,"toString":3,"hasOwnProperty":4}'), [
    { v__proto___a: 1, constructor: 2, toString: 3, hasOwnProperty: 4 },
  ])
  refused('invalid-reading', /it has nothing/, `${all}fields: { a: constructor.name, b: __proto__.c }\n`, 'd', { x: 1 })
  const one = 'topic: "{device}/{field...}"\nstream: x\nfields: { a: __proto__.x }\n'
  assert.deepEqual(values(one, 'd/__proto__/x', '5'), [{ a: 5 }])
  assert.equal(({} as { x?: unknown }).x, undefined)
})

test('columns that there is no room for take none; a name may be as long as 128 characters', () => {
  const all = 'topic: "{device}"\nstream: x\n'
  const columns = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, index]))
  assert.equal(Object.keys(values(all, 'd', columns(512))[0] ?? {}).length, 512)
  refused(
    'invalid-reading',
    /^it has 513 columns that x has not, as c0, .*, and there is room for 512: /,
    all,
    'd',
    columns(513),
  )
  assert.deepEqual(values(all, 'd', { ['k'.repeat(128)]: 1 }), [{ ['k'.repeat(128)]: 1 }])
  refused('invalid-reading', /^"k{63}.*too long for a column/, all, 'd', { ['k'.repeat(129)]: 1 })
  refused('invalid-reading', /too long for a column/, all, 'd', { ['k'.repeat(100_000)]: 1 })
})

test('of a line with a name that stands twice, or that is its own, nothing is taken', () => {
  const lines = 'topic: "{device}"\nstream: x\nformat: influx\n'
  assert.deepEqual(values(lines, 'd', 'm a=1,b=2i 1763900000000000000'), [{ a: 1, b: 2 }])
  refused('unknown-framing', /line 1: the field a stands in it twice/, lines, 'd', 'm a=1,a=2')
  refused('unknown-framing', /line 2: the tag t stands in it twice/, lines, 'd', 'm a=1\nm,t=1,t=2 a=1')
  refused('unknown-framing', /the field measurement has the name/, lines, 'd', 'm measurement=1')
  refused('invalid-reading', /a is Infinity; a number/, lines, 'd', 'm a=1e999')
  for (const wrong of ['m a=NaN', 'm a=Inf', 'm a=1e', 'm a=0x10', 'm a="x', 'm a=1 12.5', 'm', 'm a=1i2']) {
    assert(given(lines, 'd', wrong) instanceof Rejection, wrong)
  }
  const ns = readings(lines, 'd', 'm a=1 1763898000000000999').map(({ ts }) => ts)
  assert.deepEqual(ns, [1_763_898_000_000], 'a nanosecond before the next microsecond is none later')
})

test('one value a topic stands where its topic says', () => {
  const map = `
topic: N/{device}/battery/{instance}/{field...}
stream: victron
value: value
fields: { soc: Soc, voltage: { path: Dc.0.Voltage, unit: V } }
tags: { instance: "{instance}" }
`
  assert.deepEqual(values(map, 'N/c0/battery/258/Dc/0/Voltage', { value: 52.1 }), [{ instance: '258', voltage: 52.1 }])
  assert.deepEqual(values(map, 'N/c0/battery/258/Soc', { value: 98, max: 100 }), [{ instance: '258', soc: 98 }])
  assert.equal(given(map, 'N/c0/battery/258/Mgmt/Connection', { value: 'VE.Bus' }), 'left', 'no use for it')
  refused('invalid-reading', /^there is no value in it; it has v$/, map, 'N/c0/battery/258/Soc', { v: 1 })
  const open = 'topic: shellies/{device}/sensor/{field}\nstream: shelly\nnone: [unavailable]'
  assert.deepEqual(values(open, 'shellies/ht-1/sensor/temperature', '22.5'), [{ temperature: 22.5 }])
  assert.deepEqual(values(open, 'shellies/ht-1/sensor/temperature', 'unavailable'), [])
})

test('a device is named by topic and payload, and no two names are one', () => {
  const map = 'topic: rtl_433/+/events\ndevice: "{model}-{id}"\nstream: rtl'
  assert.equal(readings(map, 'rtl_433/host/events', { model: 'Nexus-TH', id: 12, t: 1 })[0]?.device, 'Nexus-TH-12')
  assert.match(String(given(map, 'rtl_433/host/events', { model: 'x' })), /does not say which device/)
  const z2m = 'topic: zigbee2mqtt/{device...}\nstream: z'
  const device = (name: string) => readings(z2m, `zigbee2mqtt/${name}`, { t: 1 })[0]?.device
  assert.equal(device('0x00158d'), '0x00158d')
  const spoken = ['living room', 'living_room', 'living/room', 'living+room'].map(device)
  assert.equal(new Set(spoken).size, 4)
  assert.match(String(spoken[0]), /^living_room-[0-9a-f]{8}$/)
  assert.equal(device('x'.repeat(200))?.length, 64)
})

/** What is gathered is converted when it comes, and read by the map as that is then: at once, or when it is replayed. */
function regathered(yaml: string, gathered: Reading['values']) {
  const maps = mapMaker()([{ file: 'm.yaml', text: yaml }], registry)
  const payload = Buffer.from(JSON.stringify({ micros: NOW * 1000, values: gathered }))
  const outcome = maps.for('r/d/x')?.map.gathered(payload, 'd', NOW)
  return outcome instanceof Rejection ? outcome.reason : outcome?.map(({ values }) => values)
}

test('what was gathered under another type is converted as the payload would be, or refused', () => {
  const map = (door: string) => `topic: r/{device}/{field}\nstream: r\ngather: 1s\nfields: { door: ${door} }`
  assert.deepEqual(regathered(map('{ type: boolean }'), { door: 'OFF' }), [{ door: false }])
  assert.match(String(regathered(map('{ type: boolean }'), { door: 'ajar' })), /^door is "ajar"; true, on/)
  assert.deepEqual(regathered(map('{ type: integer }'), { door: '12' }), [{ door: 12 }])
  assert.match(
    String(regathered(map('{ type: integer }'), { door: '12.7' })),
    /^door is "12.7"; a whole number is right/,
  )
  assert.match(String(regathered(map('{ type: integer }'), { door: 12.7 })), /^door is 12.7; a whole number is right/)
  assert.deepEqual(regathered(map('{ factor: 0.1 }'), { door: '215' }), [{ door: 21.5 }])
  assert.deepEqual(regathered(map('{ factor: 0.1 }'), { door: 21.5 }), [{ door: 21.5 }], 'its factor is in it')
  assert.deepEqual(regathered(map('{ type: boolean }'), { door: false }), [{ door: false }])
  // The payload may have said ON, or 1.50: nobody knows.
  assert.match(
    String(regathered(map('{ type: string }'), { door: true })),
    /^door was gathered as true, and is of type string now/,
  )
  assert.match(
    String(regathered(map('{ type: boolean }'), { door: 1 })),
    /^door was gathered as 1, and is of type boolean now/,
  )
  assert.match(
    String(regathered(map('{ path: x }'), { window: 1 })),
    /^window was gathered, and is no column of the map any more/,
  )
  assert.deepEqual(regathered(`${map('{ type: boolean }')}\nnone: [OFF]`, { door: 'OFF' }), [])
  assert.deepEqual(
    regathered('topic: r/{device}/{field}\nstream: environment\ngather: 1s\nfields: { temperature: }', {
      temperature: '1.5',
    }),
    'humidity is missing: environment 1 wants ts, temperature, humidity, pressure, battery, rssi',
  )
})

test('retained and empty messages, and topics that are ignored', () => {
  const map = 'topic: "{device}/x"\nstream: x'
  assert.equal(given(map, 'd/x', ''), 'left')
  assert.deepEqual(given(`${map}\nempty: take`, 'd/x', ''), [])
  assert.deepEqual(values(map, 'd/x', { a: 1 }, true), [{ a: 1 }])
  assert.equal(given(`${map}\nretained: leave`, 'd/x', { a: 1 }, true), 'left')
  const both = '- { topic: z/bridge/#, ignore: all }\n- { topic: "z/{device}", stream: z }'
  assert.equal(given(both, 'z/bridge/state', { a: 1 }), 'left')
  assert.equal(given(both, 'z/bridge', { a: 1 }), 'left')
  assert.deepEqual(values(both, 'z/lamp', { a: 1 }), [{ a: 1 }])
})

test('line protocol, a reading a line', () => {
  const map = 'topic: telegraf/{device}/cpu\nstream: telegraf_cpu\nformat: influx\ntags: { cpu: tags.cpu }'
  const text = `# a comment\ncpu,cpu=cpu0,host=a\\ b usage_user=1.5,usage_system=2i,on=true,s="x, \\"y\\"\nz" 1763899200000123000\ncpu,cpu=cpu1 usage_user=3 1763899200000124000\n`
  assert.deepEqual(
    readings(map, 'telegraf/a/cpu', text).map(({ ts, values }) => ({ ts, values })),
    [
      { ts: NOW + 0.123, values: { cpu: 'cpu0', usage_user: 1.5, usage_system: 2 } },
      { ts: NOW + 0.124, values: { cpu: 'cpu1', usage_user: 3 } },
    ],
  )
  refused('unknown-framing', /line 2: its time is "x"/, map, 'telegraf/a/cpu', 'cpu a=1\ncpu a=1 x')
  refused('unknown-framing', /line 1: field a is 1e, which is no value/, map, 'telegraf/a/cpu', 'cpu a=1e')
  refused('bad-timestamp', /^reading 2 of 2: its time is 1970/, map, 'telegraf/a/cpu', 'cpu a=1\ncpu a=1 1')
})

test('a stream of schemas/ has its own columns, and its own time', () => {
  const map =
    'topic: w/{device}\nstream: environment\ntime: t\nfields: { temperature: a, humidity: b, pressure: c, battery: d, rssi: e }'
  assert.deepEqual(readings(map, 'w/d', { t: NOW, a: '1.5', b: 2, c: 3, d: 4, e: -5 }), [
    {
      device: 'd',
      stream: 'environment',
      ts: NOW,
      values: { temperature: 1.5, humidity: 2, pressure: 3, battery: 4, rssi: -5 },
    },
  ])
  refused('invalid-reading', /^humidity is missing/, map, 'w/d', { t: NOW, a: 1 })
  refused('invalid-reading', /^battery is 4.5; a whole number/, map, 'w/d', { t: NOW, a: 1, b: 2, c: 3, d: 4.5, e: -5 })
  faulty(`${map.slice(0, -1)}, wind: f }`, /^m\.yaml:4: wind is no column of environment 1, which has temperature/)
})

test('what is wrong with a file is told with its line and what is right', () => {
  faulty(
    'topic: a/{device}\nstream: x\nfileds: {}',
    /^m\.yaml:3: "fileds" is nothing that a map has; there are topic, /,
  )
  faulty('topic: {device}/a\nstream: x', /^m\.yaml:1: is not YAML: .*must stand in quotes/)
  faulty('topic: a/b\nstream: x', /^m\.yaml:1: nothing says which device/)
  faulty('stream: x', /^m\.yaml:1: it has no topic/)
  faulty('topic: a/{device}', /^m\.yaml:1: it has no stream/)
  faulty('topic: a/{device}\nstream: X', /^m\.yaml:2: "X" cannot be a stream/)
  faulty('topic: devices/{device}\nstream: x', /^m\.yaml:1: .*the platform's own/)
  faulty('topic: $SYS/{device}\nstream: x', /the broker's own/)
  faulty(
    'topic: a/{Device}\nstream: x',
    /^m\.yaml:1: .*\{Device\} is no name: right are a-z, 0-9 and _, and a letter first, as in \{device\}$/,
  )
  faulty(
    'topic: a/{device}\nstream: x\n---\nstream: y',
    /^m\.yaml:3: a second document begins here, and a file has one: right is a list/,
  )
  faulty('topic: a/{device}\nstream: x\nstream: y', /^m\.yaml:3: the key stream is there twice$/)
  faulty(
    'topic: a/{device}\nstream: x\nfields: { a: { unit: % } }',
    /^m\.yaml:3: is not YAML: .*; % must stand in quotes: "%"$/,
  )
  faulty('topic: a/{device}/#/b\nstream: x', /# must be its last level/)
  faulty('topic: a/{device}-{id}\nstream: x', /one a level/)
  faulty('topic: a/{device}\nstream: x\ngather: 2s', /^m\.yaml:3: gather is for topics with \{field\}/)
  faulty(
    'topic: a/{device}/{field}\nstream: x\ngather: 5m',
    /^m\.yaml:3: gather is "5m"; right is a duration from 100ms to 60s/,
  )
  faulty('topic: a/{device}\nstream: x\nfields:\n  time: t', /^m\.yaml:4: every point has a time already/)
  faulty('topic: a/{device}\nstream: x\nfields:\n  a: t\n  A: t', /^m\.yaml:5: A and a are one column/)
  faulty('topic: a/{device}\nstream: x\nfields:\n  a: { type: string, unit: Cel }', /^m\.yaml:4: unit is for numbers/)
  const unit = (code: string) => `topic: a/{device}\nstream: x\nfields:\n  a: { unit: ${code} }`
  faulty(unit('kWh'), /^m\.yaml:4: the unit "kWh" is no UCUM code; "kW\.h" is$/)
  faulty(unit('°C'), /^m\.yaml:4: the unit "°C" is no UCUM code; "Cel" is$/)
  faulty(unit('Å'), /^m\.yaml:4: the unit "Å" is no UCUM code, such as Cel, "%" or m\/s$/)
  faulty(
    'topic: a/{device}\nstream: x\ntime: { path: t, zone: Mars/Olympus }',
    /^m\.yaml:3: "Mars\/Olympus" is no zone/,
  )
  faulty('topic: a/{device}\nstream: x\nfields: { a: { type: string } }\n---\nb: 1', /a second document/)
  faulty('- { topic: a/{device}, stream: x }\n- topic: b/{device}\n  stream: x', /^m\.yaml:1: /)
  faulty(
    '- topic: a/{device}\n  stream: x\n  fields: { a: { type: string } }\n- topic: b/{device}\n  stream: x\n  fields: { a: }',
    /^m\.yaml:6: a, a float, is another column of x than a, a string, at m\.yaml:3$/,
  )
  faulty('&a [*a]', /./)
})
