import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { jsonFault } from '../../schemas/json-fault.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { QUOTE_CHARS_MAX } from '../../schemas/values.ts'
import { probe, probeRegistry } from './schema-folder.ts'

const TS = 1_763_900_000_123
const ENVIRONMENT = { ts: TS, temperature: 21.3, humidity: 45.5, pressure: 1013.25, battery: 88, rssi: -70 }
const shipped = Registry.load(SHIPPED_SCHEMAS_DIR)

const decode = (registry: Registry, stream: string, json: unknown): readonly Reading[] | Rejection => {
  const payload = Buffer.isBuffer(json) ? json : Buffer.from(typeof json === 'string' ? json : JSON.stringify(json))
  return new Decoder(registry).decode({ device: 'd', stream, receivedAt: TS, payload })
}

function values(outcome: readonly Reading[] | Rejection): object[] {
  if (outcome instanceof Rejection) assert.fail(`${outcome.code}: ${outcome.reason}`)
  return outcome.map((reading) => reading.values)
}

function rejected(outcome: readonly Reading[] | Rejection, code: string, reason: RegExp): void {
  assert.ok(outcome instanceof Rejection, `it was accepted: ${JSON.stringify(outcome)}`)
  assert.equal(outcome.code, code)
  assert.match(outcome.reason, reason)
}

test('an object becomes one reading, exactly as written, in the order of the schema', () => {
  const { ts, ...rest } = ENVIRONMENT
  const shuffled = Object.fromEntries(Object.entries(ENVIRONMENT).reverse())
  assert.deepEqual(decode(shipped, 'environment', shuffled), [{ device: 'd', stream: 'environment', ts, values: rest }])
  const [first] = values(decode(shipped, 'environment', shuffled))
  assert.deepEqual(Object.keys(first ?? {}), Object.keys(rest))
})

test('an array becomes its readings; an empty one and one too long do not', () => {
  assert.equal(values(decode(shipped, 'environment', [ENVIRONMENT, ENVIRONMENT])).length, 2)
  rejected(decode(shipped, 'environment', '[]'), 'invalid-reading', /array is empty/)
  const many = `[${'1,'.repeat(READINGS_PER_MESSAGE_MAX)}1]`
  rejected(decode(shipped, 'environment', many), 'too-many-readings', /10001 readings/)
  rejected(
    decode(shipped, 'environment', [ENVIRONMENT, 7]),
    'invalid-reading',
    /^reading 2 of 2: it is 7; an object is right/,
  )
  rejected(
    decode(shipped, 'environment', [ENVIRONMENT, { ...ENVIRONMENT, rssi: 0.5 }]),
    'invalid-reading',
    /^reading 2 of 2: rssi is 0\.5/,
  )
})

test('the time may be text as of another timestamp, exact to what the schema has', () => {
  const time = (stream: string, reading: object) => {
    const outcome = decode(shipped, stream, reading)
    return outcome instanceof Rejection ? outcome.reason : outcome[0]?.ts
  }
  const environment = (ts: string) => time('environment', { ...ENVIRONMENT, ts })
  assert.equal(environment('2025-11-23T12:00:00Z'), 1763899200000)
  assert.equal(environment('2025-11-23T12:00:00.12Z'), 1763899200120)
  const vibration = { sensor: 'a', axis: 'x', acceleration_rms: 1, acceleration_peak: 2, velocity_rms: 1 }
  assert.equal(time('vibration', { ...vibration, ts: '2025-11-23T12:00:00.123456Z' }), 1763899200123.456)
})

test('slips of the pen are named with what is right', () => {
  const but = (change: object) => decode(shipped, 'environment', { ...ENVIRONMENT, ...change })
  rejected(
    decode(shipped, 'environment', { ts: TS }),
    'invalid-reading',
    /^temperature is missing: environment 1 wants ts, temperature, humidity, pressure, battery, rssi$/,
  )
  rejected(decode(shipped, 'environment', '{}'), 'invalid-reading', /^ts is missing/)
  rejected(but({ temprature: 1 }), 'invalid-reading', /^"temprature" is no field: environment 1 wants ts/)
  rejected(
    but({ temperature: '21.3' }),
    'invalid-reading',
    /^temperature is "21\.3"; a number within float range is right/,
  )
  rejected(but({ temperature: null }), 'invalid-reading', /^temperature is null; a number/)
  rejected(but({ temperature: [1] }), 'invalid-reading', /^temperature is an array; a number/)
  rejected(but({ temperature: 3.5e38 }), 'invalid-reading', /^temperature is 3\.5e\+38; a number within float range/)
  rejected(but({ battery: 2 ** 31 }), 'invalid-reading', /^battery is 2147483648; an integer of 32 bits/)
  rejected(but({ battery: true }), 'invalid-reading', /^battery is true/)
  const right = 'whole milliseconds since 1970 are right, or a text such as "2026-11-30T10:36:09.250Z"'
  rejected(but({ ts: 'yesterday' }), 'invalid-reading', new RegExp(`^ts is "yesterday"; ${right}$`))
  for (const text of [
    '2025-11-23T12:00',
    '2025-11-23T12:00:00.000',
    '2025-11-23T13:00:00+01:00',
    '2025-11-23T12:00:00.0001Z',
  ])
    rejected(but({ ts: text }), 'invalid-reading', new RegExp(`^ts is "2025-11-23T1.*"; ${right}: 1763899200000$`))
  rejected(
    decode(shipped, 'vibration', { ts: '2025-11-23T12:00Z' }),
    'invalid-reading',
    /; whole microseconds since 1970 are right, or a text such as .*: 1763899200000000$/,
  )
  rejected(but({ ts: '2014-11-23T12:00:00Z' }), 'bad-timestamp', /outside 2015/)
  rejected(but({ ts: 1763900000 }), 'bad-timestamp', /it looks like seconds/)
  rejected(
    decode(shipped, 'environment', '{"ts":1763900000123,"temperature":1e999}'),
    'invalid-reading',
    /temperature is Infinity/,
  )
  const long = `{"${'x'.repeat(10_000)}":1}`
  const outcome = decode(shipped, 'environment', long)
  assert.ok(outcome instanceof Rejection && outcome.reason.length < 4 * QUOTE_CHARS_MAX)
})

test('keys that name parts of every object are unknown fields and change nothing', () => {
  const text = JSON.stringify(ENVIRONMENT).slice(0, -1)
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    rejected(
      decode(shipped, 'environment', `${text},"${key}":{"battery":1}}`),
      'invalid-reading',
      new RegExp(`^"${key}" is no field`),
    )
  }
  rejected(decode(shipped, 'environment', '{"__proto__":{"ts":1}}'), 'invalid-reading', /ts is missing/)
  assert.equal(Object.hasOwn(Object.prototype, 'battery'), false)
})

const rich = probe(
  { name: 'site', type: ['null', 'string'], tag: true, default: null },
  { name: 'l', type: 'long', default: 7 },
  { name: 'mode', type: { type: 'enum', name: 'mode', symbols: ['on', 'off'] }, default: 'off' },
  {
    name: 'n',
    type: [
      'null',
      {
        type: 'record',
        name: 'inner',
        fields: [
          { name: 'y', type: 'double' },
          { name: 'z', type: 'int', default: 3 },
        ],
      },
    ],
    default: null,
  },
  { name: 's', type: 'string', default: '' },
)

test('a missing field takes its default; null and the bare value both stand for a union', (t) => {
  const registry = probeRegistry(t, rich)
  const of = (reading: object) => decode(registry, 'probe', { ts: TS, ...reading })
  assert.deepEqual(values(of({})), [{ l: 7, mode: 'off', s: '' }])
  assert.deepEqual(values(of({ site: null, n: null })), [{ l: 7, mode: 'off', s: '' }])
  assert.deepEqual(values(of({ site: 'north', mode: 'on', s: 'x' })), [{ site: 'north', l: 7, mode: 'on', s: 'x' }])
  assert.deepEqual(values(of({ site: '' })), [{ l: 7, mode: 'off', s: '' }])
  rejected(of({ mode: 'auto' }), 'invalid-reading', /^mode is "auto"; one of on, off is right/)
  rejected(of({ l: 2 ** 53 }), 'invalid-reading', /^l is 9007199254740992; an integer from/)
  rejected(of({ site: 'a\nb' }), 'invalid-reading', /^site is .*control characters/)
  rejected(decode(registry, 'probe', `{"ts":${TS},"s":"\\ud800"}`), 'invalid-reading', /^s is .*well-formed Unicode/)
  assert.deepEqual(values(of({ l: -0 })), [{ l: 0, mode: 'off', s: '' }])
})

test('nested fields may stand nested or flat, not both', (t) => {
  const registry = probeRegistry(t, rich)
  const of = (reading: object) => decode(registry, 'probe', { ts: TS, ...reading })
  const expected = { l: 7, mode: 'off', n_y: 1.5, n_z: 3, s: '' }
  assert.deepEqual(values(of({ n: { y: 1.5 } })), [expected])
  assert.deepEqual(values(of({ n_y: 1.5 })), [expected])
  assert.deepEqual(values(of({ n: { y: 1.5 }, n_z: 4 })), [{ ...expected, n_z: 4 }])
  rejected(of({ n: { y: 1.5 }, n_y: 1.5 }), 'invalid-reading', /^n_y is given twice, nested and flat/)
  rejected(of({ n: null, n_y: 1.5 }), 'invalid-reading', /"n_y" is no field|n_y/)
  rejected(of({ n_z: 1 }), 'invalid-reading', /^n_y is missing/)
  rejected(of({ n: 5 }), 'invalid-reading', /^n is 5; an object is right/)
  rejected(of({ n: { y: 1, w: 2 } }), 'invalid-reading', /^"n_w" is no field/)
  rejected(of({ n: JSON.parse('{"y":1,"__proto__":{}}') }), 'invalid-reading', /^"n___proto__" is no field/)
})

test('text that is no JSON is malformed-json, with the position', () => {
  const cases: [json: string | Buffer, reason: RegExp][] = [
    ['{', /at position 1 the text ends where key or } is right/],
    ['{"ts":}', /at position 6 "}" stands where value is right/],
    ['{"ts":1,}', /at position 8 "}" stands where key is right/],
    ['{"ts" 1}', /at position 6 "1}" stands where : is right/],
    ['[1,2', /at position 4 the text ends where , or \] is right/],
    ['{"a":1} x', /at position 8 "x" stands where the end is right/],
    ["{'a':1}", /at position 1/],
    ['{"a":01}', /at position 6/],
    ['{"a":NaN}', /at position 5 "NaN}" stands where value/],
    ['{"a":"\n"}', /at position 5/],
    ['['.repeat(100_000), /at position 100000 the text ends/],
    [Buffer.from('7b22ff223a317d', 'hex'), /is not UTF-8/],
  ]
  for (const [json, reason] of cases) rejected(decode(shipped, 'environment', json), 'malformed-json', reason)
})

test('the position is looked for when the reason is read, and not before', (t) => {
  const search = t.mock.method(RegExp.prototype, 'exec')
  const outcome = decode(shipped, 'environment', '['.repeat(100_000))
  assert.equal(search.mock.callCount(), 0)
  rejected(outcome, 'malformed-json', /at position 100000/)
  assert.ok(search.mock.callCount() >= 100_000)
})

test('the position found is never beyond the fault that the parser of Node names', () => {
  const edit = fc.record({ at: fc.nat(), text: fc.string({ maxLength: 3 }) })
  fc.assert(
    fc.property(fc.json(), edit, (json, { at, text }) => {
      const place = at % (json.length + 1)
      const broken = json.slice(0, place) + text + json.slice(place + 1)
      try {
        JSON.parse(broken)
      } catch (error) {
        const found = Number(/at position (\d+)/.exec(jsonFault(broken))?.[1])
        const named = /at position (\d+)/.exec(String(error))?.[1]
        assert.ok(found <= broken.length)
        if (named !== undefined) assert.ok(found <= Number(named), `${broken}: ${found}, ${String(error)}`)
      }
    }),
    { numRuns: 2_000 },
  )
})
