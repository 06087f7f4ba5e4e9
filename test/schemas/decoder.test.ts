import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CsvTable } from '../../gateway/csv.ts'
import { READING_TIME_MIN_MS, READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { framingOf } from '../../schemas/content-type.ts'
import { Decoder, FRAMINGS } from '../../schemas/decoder.ts'
import type { Contents, Framing, Message } from '../../schemas/framing.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { READING_AHEAD_MAX_MS, TAG_CHARS_MAX } from '../../schemas/values.ts'
import { probe, probeRegistry } from './schema-folder.ts'

const RECEIVED_AT = 1_763_900_000_500
const RECORD = { ts: 1_763_900_000_123, temperature: 21.3, humidity: 45.5, pressure: 1013.25, battery: 88, rssi: -70 }
const shipped = Registry.load(SHIPPED_SCHEMAS_DIR)

function decoder(registry: Registry, stream: string) {
  const all = new Decoder(registry)
  return (payload: Buffer) => all.decode({ device: 'truck-7', stream, receivedAt: RECEIVED_AT, payload })
}
const environment = decoder(shipped, 'environment')

function readings(outcome: readonly Reading[] | Rejection): readonly Reading[] {
  if (outcome instanceof Rejection) assert.fail(`${outcome.code}: ${outcome.reason}`)
  return outcome
}

function rejected(outcome: readonly Reading[] | Rejection, code: string, reason: RegExp): void {
  assert.ok(outcome instanceof Rejection, 'it was accepted')
  assert.equal(outcome.code, code)
  assert.match(outcome.reason, reason)
}

test('a payload written by hand, byte by byte, becomes the reading that was meant', () => {
  const payload = Buffer.from(
    [
      'c301', // single-object encoding
      'f967d0b55fb9bb1c', // CRC-64-AVRO of environment 1, little-endian
      'f69d908ad666', // 1763900000123: zigzag 3527800000246, seven bits at a time
      '6666aa41', // 21.3f
      '00003642', // 45.5f
      '0000000000aa8f40', // 1013.25
      'b001', // 88: zigzag 176
      '8b01', // -70: zigzag 139
    ].join(''),
    'hex',
  )
  assert.deepEqual(readings(environment(payload)), [
    {
      device: 'truck-7',
      stream: 'environment',
      ts: 1_763_900_000_123,
      values: { temperature: 21.3, humidity: 45.5, pressure: 1013.25, battery: 88, rssi: -70 },
    },
  ])
  assert.deepEqual(shipped.encode('environment', RECORD), payload)
})

test('minus zero is zero, by Avro as by JSON', () => {
  const zero = { ...RECORD, temperature: -0, pressure: -0 }
  for (const payload of [
    shipped.encode('environment', zero),
    Buffer.from(JSON.stringify(zero).replaceAll(':0,', ':-0,')),
  ]) {
    const [reading] = readings(environment(payload))
    assert.deepEqual([reading?.values.temperature, reading?.values.pressure], [0, 0])
  }
})

test('a batch becomes its readings in order', () => {
  const batch = [RECORD, { ...RECORD, ts: RECORD.ts + 1, temperature: -0.1 }]
  const decoded = readings(environment(shipped.encode('environment', batch)))
  assert.deepEqual(
    decoded.map(({ ts, values }) => [ts, values.temperature]),
    [
      [RECORD.ts, 21.3],
      [RECORD.ts + 1, -0.1],
    ],
  )
})

test('as many readings as a message may hold are decoded', () => {
  const registry = shipped
  const record = {
    ts: RECORD.ts * 1000,
    sensor: 'a',
    axis: 'x',
    acceleration_rms: 0,
    acceleration_peak: 0,
    velocity_rms: 0,
  }
  const batch = Array.from({ length: READINGS_PER_MESSAGE_MAX }, () => record)
  assert.equal(
    readings(decoder(registry, 'vibration')(registry.encode('vibration', batch))).length,
    READINGS_PER_MESSAGE_MAX,
  )
  const more = registry.encode('vibration', [...batch, record])
  rejected(decoder(registry, 'vibration')(more), 'too-many-readings', /10001 readings or more; at most 10000/)
})

test('JSON may have a byte order mark and white space before it, and a NUL behind it', () => {
  const json = JSON.stringify(RECORD)
  const plain = readings(environment(Buffer.from(json)))
  for (const [before, after] of [
    ['\ufeff', ''],
    [' \t\r\n', ''],
    ['\ufeff\n', '\n'],
    ['', '\0'],
    ['\ufeff ', '\n\0\0'],
  ]) {
    assert.deepEqual(readings(environment(Buffer.from(`${before}${json}${after}`))), plain)
    assert.deepEqual(readings(environment(Buffer.from(`${before}[${json}]${after}`))), plain)
  }
})

test('each wrong framing has its code and a reason', () => {
  const header = shipped.encode('environment', RECORD).subarray(0, 10)
  const cases: [what: string, payload: string | Buffer, code: string, reason: RegExp][] = [
    ['nothing', '', 'empty', /empty; Avro or JSON is expected/],
    [
      'text',
      'temperature=21.3',
      'unknown-framing',
      /starts with the bytes 74656d70; right is c301 .* or by MQTT 5 the content type application\/avro, json, msgpack, cbor or protobuf$/,
    ],
    ['white space and no JSON', '  x', 'unknown-framing', /bytes 202078/],
    ['a byte order mark and no JSON', '\ufeffx', 'unknown-framing', /bytes efbbbf78/],
    ['a name twice', '{"ts":1,"ts":2}', 'malformed-json', /the name "ts" twice/],
    ['a NUL within JSON', '{"ts":\0}', 'malformed-json', /position/],
    ['a single byte C3', Buffer.from('c3', 'hex'), 'unknown-framing', /bytes c3/],
    ['C3 02', Buffer.from('c302', 'hex'), 'unknown-framing', /bytes c302/],
    ['half a fingerprint', header.subarray(0, 6), 'malformed-avro', /ends inside the fingerprint, after 6 bytes of 10/],
    ['no body', header, 'malformed-avro', /ts is cut short/],
    [
      'an unknown fingerprint',
      Buffer.from('c3010102030405060708', 'hex'),
      'unknown-schema',
      /fingerprint 0807060504030201; versions of environment are 1 \(1cbbb95fb5d067f9\)/,
    ],
    ['half of the right fingerprint', Buffer.from('c301f967d0b500000000', 'hex'), 'unknown-schema', /00000000b5d067f9/],
    [
      'another stream',
      shipped.encode('vehicle', [], 1),
      'wrong-stream',
      /is of vehicle 1, sent to the topic of environment/,
    ],
    ['an empty batch', shipped.encode('environment', []), 'invalid-reading', /array is empty/],
  ]
  for (const [, payload, code, reason] of cases) rejected(environment(Buffer.from(payload)), code, reason)
})

test('a stream that is not registered is unknown-schema, in Avro and in JSON', () => {
  const weather = decoder(shipped, 'weather')
  rejected(
    weather(Buffer.from('{}')),
    'unknown-schema',
    /no stream is named "weather"; registered are environment, power/,
  )
  rejected(weather(shipped.encode('environment', RECORD)), 'unknown-schema', /no stream is named "weather"/)
})

test('times outside the limits are bad-timestamp, and the usual mistakes of unit are named', () => {
  const at = (ts: number) => environment(shipped.encode('environment', { ...RECORD, ts }))
  readings(at(READING_TIME_MIN_MS))
  readings(at(RECEIVED_AT + READING_AHEAD_MAX_MS))
  rejected(
    at(READING_TIME_MIN_MS - 1),
    'bad-timestamp',
    /^ts is 2014-12-31T23:59:59\.999Z \(1420070399999 milliseconds\), outside 2015-01-01T00:00:00\.000Z to 2025-11-24T12:13:20\.500Z$/,
  )
  rejected(at(RECEIVED_AT + READING_AHEAD_MAX_MS + 1), 'bad-timestamp', /^ts is 2025-11-24T12:13:20\.501Z/)
  rejected(at(0), 'bad-timestamp', /1970-01-01T00:00:00\.000Z/)
  rejected(at(Date.UTC(2100, 0, 1)), 'bad-timestamp', /2100-01-01T00:00:00\.000Z/)
  rejected(
    at(Math.trunc(RECORD.ts / 1000)),
    'bad-timestamp',
    /it looks like seconds, milliseconds since 1970 are right/,
  )
  rejected(at(RECORD.ts * 1000), 'bad-timestamp', /it looks like microseconds/)
  rejected(at(2 ** 53 - 2), 'bad-timestamp', /9007199254740990 ms/)
})

test('a clock without a battery is bad-timestamp, unless the setting has it', () => {
  const ts = Date.UTC(2000, 0, 1, 0, 5)
  const avro = shipped.encode('environment', { ...RECORD, ts })
  const json = Buffer.from(JSON.stringify({ ...RECORD, ts }))
  for (const payload of [avro, json]) rejected(environment(payload), 'bad-timestamp', /outside 2015-01-01/)
  const lenient = decoder(Registry.load(SHIPPED_SCHEMAS_DIR, Date.UTC(2000, 0, 1)), 'environment')
  for (const payload of [avro, json]) assert.equal(readings(lenient(payload))[0]?.ts, ts)
})

test('a time in microseconds keeps its three decimals', () => {
  const record = {
    ts: 1_763_900_000_123_457,
    sensor: 's',
    axis: 'z',
    acceleration_rms: 0.5,
    acceleration_peak: 1,
    velocity_rms: 1,
  }
  const [reading] = readings(decoder(shipped, 'vibration')(shipped.encode('vibration', record)))
  assert.deepEqual(reading, {
    device: 'truck-7',
    stream: 'vibration',
    ts: 1_763_900_000_123.457,
    values: { sensor: 's', axis: 'z', acceleration_rms: 0.5, acceleration_peak: 1, velocity_rms: 1 },
  })
})

test('nested records become columns joined by _', () => {
  const phase = (voltage: number) => ({
    voltage,
    current: 1.5,
    active_power: 340,
    reactive_power: 2,
    power_factor: 0.99,
  })
  const record = {
    ts: RECORD.ts,
    frequency: 50.01,
    l1: phase(230.1),
    l2: phase(229.9),
    l3: phase(231),
    energy_import: 12.75,
    energy_export: 0,
  }
  const [reading] = readings(decoder(shipped, 'power')(shipped.encode('power', record)))
  assert.deepEqual(Object.keys(reading?.values ?? {}), [
    'frequency',
    ...['l1', 'l2', 'l3'].flatMap((line) =>
      ['voltage', 'current', 'active_power', 'reactive_power', 'power_factor'].map((name) => `${line}_${name}`),
    ),
    'energy_import',
    'energy_export',
  ])
  assert.equal(reading?.values.l2_voltage, 229.9)
})

test('a number that is not finite rejects the reading, and names the column', (t) => {
  const inner = { type: 'record', name: 'inner', fields: [{ name: 'y', type: 'double' }] }
  const z = { name: 'z', type: ['null', 'float'] }
  const registry = probeRegistry(t, probe({ name: 'x', type: 'float' }, { name: 'n', type: ['null', inner] }, z))
  const at = (x: number, y: number, z = 1) =>
    decoder(registry, 'probe')(registry.encode('probe', { ts: RECORD.ts, x, n: { y }, z }))
  readings(at(1, 1))
  rejected(at(Number.NaN, 1), 'invalid-reading', /^x is NaN; a finite number is right$/)
  rejected(at(1, Number.NEGATIVE_INFINITY), 'invalid-reading', /^n_y is -Infinity; a finite number is right$/)
  rejected(at(1, 1, Number.NaN), 'invalid-reading', /^z is NaN; a finite number is right, or null$/)
})

test('nulls and empty tags are left out; a reading of nothing else is rejected', (t) => {
  const registry = probeRegistry(
    t,
    probe(
      { name: 'site', type: ['null', 'string'], tag: true },
      { name: 'x', type: ['null', 'float'] },
      { name: 's', type: ['null', 'string'] },
    ),
  )
  const of = (site: string | null, x: number | null, s: string | null) =>
    decoder(registry, 'probe')(registry.encode('probe', { ts: RECORD.ts, site, x, s }))
  assert.deepEqual(readings(of('', 1, null))[0]?.values, { x: 1 })
  assert.deepEqual(readings(of(null, null, ''))[0]?.values, { s: '' })
  assert.deepEqual(readings(of('a b,c=d"', 0.1, 'x\ny\\'))[0]?.values, { site: 'a b,c=d"', x: 0.1, s: 'x\ny\\' })
  rejected(of('north', null, null), 'invalid-reading', /every value is null; a reading needs at least one/)
})

test('a tag that no store could keep apart rejects the reading', (t) => {
  const registry = probeRegistry(t, probe({ name: 'site', type: 'string', tag: true }, { name: 'x', type: 'int' }))
  const of = (site: string) => decoder(registry, 'probe')(registry.encode('probe', { ts: RECORD.ts, site, x: 1 }))
  for (const site of ['a\nb', 'a\u0000', '\u007f', '\u0085', 'C:\\']) {
    rejected(
      of(site),
      'invalid-reading',
      /^site is ".*"; a tag must have no control characters and not end in a backslash$/,
    )
  }
  readings(of('C:\\x'))
  readings(of('x'.repeat(TAG_CHARS_MAX)))
  rejected(of('x'.repeat(TAG_CHARS_MAX + 1)), 'invalid-reading', /site has 257 characters; .* at most 256/)
})

test('one bad reading rejects its whole batch and is named', () => {
  const bad = [RECORD, { ...RECORD, humidity: Number.NaN }, RECORD]
  rejected(environment(shipped.encode('environment', bad)), 'invalid-reading', /^reading 2 of 3: humidity is NaN/)
  const late = [RECORD, RECORD, { ...RECORD, ts: 0 }]
  rejected(environment(shipped.encode('environment', late)), 'bad-timestamp', /^reading 3 of 3: ts is 1970/)
})

test('readings keep nothing of the payload', () => {
  const record = {
    ts: RECORD.ts * 1000,
    sensor: 'bearing',
    axis: 'x',
    acceleration_rms: 1,
    acceleration_peak: 1,
    velocity_rms: 1,
  }
  const payload = shipped.encode('vibration', record)
  const [reading] = readings(decoder(shipped, 'vibration')(payload))
  payload.fill(0)
  assert.equal(reading?.values.sensor, 'bearing')
})

test('a glance says of a message what its head says, in the words of a whole look', () => {
  const decoder = new Decoder(shipped)
  const good = shipped.encode('environment', RECORD)
  const heads = ['', 'zz', '{', '[]', 'c301', 'c3010000000000000000'].map((text) =>
    Buffer.from(text, /^c3/.test(text) ? 'hex' : 'utf8'),
  )
  for (const stream of ['environment', 'vehicle', 'nosuch']) {
    for (const payload of [...heads, good, good.subarray(0, -1)]) {
      const message = { device: 'truck-7', stream, receivedAt: RECEIVED_AT, payload }
      const glanced = decoder.glance(message)
      const decoded = decoder.decode(message)
      const isKnown = payload.length >= 10 && stream === 'environment' && payload[2] !== 0
      if (isKnown || (/^[[{]/.test(`${payload}`) && stream !== 'nosuch')) assert.equal(glanced, undefined)
      else {
        assert(glanced instanceof Rejection && decoded instanceof Rejection)
        assert.deepEqual([glanced.code, glanced.reason], [decoded.code, decoded.reason])
      }
    }
  }
})

test('a content type chooses the framing, whatever the payload begins with; one that is not known chooses none', () => {
  const decoder = new Decoder(shipped)
  const outcome = (payload: string | Buffer, contentType?: string) => {
    const framing = framingOf(contentType)
    const bytes = Buffer.from(payload)
    const message = { device: 'truck-7', stream: 'environment', receivedAt: RECEIVED_AT, payload: bytes, framing }
    decoder.show(message)
    const decoded = decoder.decode(message)
    const glanced = decoder.glance(message)
    if (glanced !== undefined) assert.equal(glanced.code, decoded instanceof Rejection && decoded.code)
    return decoded instanceof Rejection ? decoded.code : decoded.length
  }
  const avro = shipped.encode('environment', RECORD)
  const json = JSON.stringify(RECORD)
  /** Of Avro, of JSON, of neither. */
  const types: Record<string, readonly (string | number)[]> = {
    'application/json': ['malformed-json', 1, 'malformed-json'],
    'Application/JSON ; charset=utf-8': ['malformed-json', 1, 'malformed-json'],
    'application/avro': [1, 'malformed-avro', 'malformed-avro'],
    'avro/binary': [1, 'malformed-avro', 'malformed-avro'],
    'application/octet-stream': [1, 1, 'unknown-framing'],
    'application/json+x': [1, 1, 'unknown-framing'],
    '': [1, 1, 'unknown-framing'],
    constructor: [1, 1, 'unknown-framing'],
  }
  for (const [type, expected] of Object.entries(types)) {
    const outcomes = [avro, json, 'zzzz'].map((payload) => outcome(payload, type))
    assert.deepEqual(outcomes, expected, type)
    assert.equal(outcome('', type), 'empty')
  }
  for (const text of ['1', '"x"', 'null', 'true']) assert.equal(outcome(text, 'application/json'), 'invalid-reading')
  for (const bytes of ['c3', 'c301', '00'])
    assert.equal(outcome(Buffer.from(bytes, 'hex'), 'avro/binary'), 'malformed-avro')
  // As a later version may have written.
  const message = { device: 'truck-7', stream: 'environment', receivedAt: RECEIVED_AT, payload: avro, framing: 200 }
  assert.equal(readings(decoder.decode(message)).length, 1)
})

/** A temperature in text, such as `T21.3`. */
class TextFraming implements Framing {
  readonly key = 'text'
  readonly numbers = []
  readonly format = 'text'
  readonly name = 'a temperature in text'
  readonly start = 'T'

  publishing(): undefined {}

  claims({ payload }: Message): boolean {
    return payload[0] === 0x54
  }

  glance(): undefined {}

  decode({ device, stream, receivedAt, payload }: Message): readonly Reading[] {
    return [{ device, stream, ts: receivedAt, values: { temperature: Number(payload.toString('utf8', 1)) } }]
  }

  show({ payload }: Message): Contents {
    return { json: { framing: 'text' }, lines: [['contents', payload.toString('utf8')]] }
  }
}

test('an empty payload is told what its topic or its content type calls for', () => {
  const decoder = new Decoder(shipped)
  for (const [framing, format] of Object.entries({
    1: 'Avro',
    2: 'JSON',
    3: 'MessagePack',
    4: 'CBOR',
    5: 'Protobuf',
    6: 'Protobuf',
  })) {
    const message = {
      device: 'd',
      stream: 'environment',
      receivedAt: RECEIVED_AT,
      payload: Buffer.alloc(0),
      framing: Number(framing),
    }
    rejected(decoder.decode(message), 'empty', new RegExp(`^the payload is empty; ${format} is expected$`))
    assert.equal(decoder.glance(message)?.code, 'empty')
  }
})

test('a new framing is a class and a row: what decodes, shows and refuses asks the list', () => {
  const decoder = new Decoder(shipped, [...FRAMINGS, TextFraming])
  const message = (payload: string | Buffer): Message => {
    return { device: 'truck-7', stream: 'environment', receivedAt: RECEIVED_AT, payload: Buffer.from(payload) }
  }
  assert.deepEqual(readings(decoder.decode(message('T21.3')))[0]?.values, { temperature: 21.3 })
  assert.deepEqual(decoder.show(message('T21.3')), { json: { framing: 'text' }, lines: [['contents', 'T21.3']] })
  for (const payload of [JSON.stringify(RECORD), shipped.encode('environment', RECORD)]) {
    assert.equal(readings(decoder.decode(message(payload)))[0]?.ts, RECORD.ts)
  }
  rejected(decoder.decode(message('')), 'empty', /; Avro or JSON or text is expected$/)
  rejected(
    decoder.decode(message('?')),
    'unknown-framing',
    /bytes 3f; .* \{ or \[ \(JSON\), .*, T \(a temperature in text\), a topic with \/msgpack, .* behind it, or by MQTT 5/,
  )
  const [[, contents] = []] = decoder.show(message('?')).lines
  assert.match(contents ?? '', /^neither Avro single-object encoding nor JSON nor .* nor a temperature in text$/)
})

test('fields may be named as the members of an object are: what is null stays away, in Avro and in JSON', (t) => {
  const optional = (name: string, type: string) => ({ name, type: ['null', type], default: null })
  const registry = probeRegistry(
    t,
    probe(optional('constructor', 'string'), optional('toString', 'double'), optional('valueOf', 'float')),
    probe(
      optional('constructor', 'string'),
      optional('toString', 'double'),
      optional('valueOf', 'float'),
      optional('hasOwnProperty', 'int'),
    ),
  )
  const decode = decoder(registry, 'probe')
  const [stream] = registry.streams
  assert(stream)
  const nothing = { constructor: null, toString: null, valueOf: null, hasOwnProperty: null }
  for (const values of [{ valueOf: 21.3 }, { constructor: 'c' }, { toString: 1, hasOwnProperty: 2 }]) {
    const record = { ts: RECORD.ts, ...nothing, ...values }
    const payloads = [registry.encode('probe', record), Buffer.from(JSON.stringify({ ts: RECORD.ts, ...values }))]
    for (const payload of payloads) {
      const [reading] = readings(decode(payload))
      assert.deepEqual(reading?.values, values)
      const line = new CsvTable([stream]).row(reading ?? assert.fail())
      const given = new Map<string, unknown>(Object.entries(values))
      const cells: unknown[] = stream.columns.map(({ name }) => given.get(name) ?? '')
      assert.equal(line, `${[RECORD.ts, 'truck-7', 'probe', ...cells].join(',')}\r\n`)
    }
  }
})
