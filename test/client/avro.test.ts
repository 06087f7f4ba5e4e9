/** The SDK's decoder of Avro against the platform's: whatever a device sends, an app gets the readings that JSON would bring. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { avro } from '../../client/avro/avro.ts'
import { shortestFloat } from '../../client/avro/shortest-float.ts'
import type { Frame } from '../../client/frames.ts'
import { listSchemas, showSchema } from '../../gateway/schemas.ts'
import { readingsAsJson } from '../../schemas/as-json.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { fingerprintOf, OTHER_SPELLINGS } from '../../schemas/fingerprint.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { shortestFloat as platformShortestFloat } from '../../schemas/shortest-float.ts'
import { probe, probeRegistry } from '../schemas/schema-folder.ts'

const RECEIVED = 1_763_864_000_123

interface Sent {
  readonly device?: string
  readonly stream: string
  readonly payload: Buffer
  readonly skip?: number
}

/** A frame as the gateway makes it. */
function frameOf(cursor: string, messages: readonly Sent[]): ArrayBuffer {
  const name = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)])
  const number = (value: number, bytes: number) => {
    const buffer = Buffer.alloc(bytes)
    if (bytes === 8) buffer.writeDoubleLE(value)
    else buffer.writeUIntLE(value, 0, bytes)
    return buffer
  }
  const parts = messages.map(({ device = 'truck-7', stream, payload, skip = 0 }) =>
    Buffer.concat([
      number(RECEIVED, 8),
      number(skip, 4),
      name(device),
      name(stream),
      number(payload.length, 4),
      payload,
    ]),
  )
  const frame = Buffer.concat([Buffer.of(1), name('s1'), number(cursor.length, 2), Buffer.from(cursor), ...parts])
  return frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.length) as ArrayBuffer
}

/** The SDK's decoder, where the gateway has these schemas; what it has asked for. */
function decoderOf(registry: Registry) {
  const asked: string[] = []
  const decoder = avro.decoder(async <T>(path: string) => {
    asked.push(path)
    const [, , , stream, version] = path.split('/')
    const answer = stream === undefined ? listSchemas(registry) : showSchema(registry, stream, version ?? '')
    return JSON.parse(JSON.stringify(answer)) as T
  })
  decoder.opened()
  const decode = async (messages: readonly Sent[]) => {
    const frame: Frame = await decoder.decode(frameOf('c1', messages))
    assert(frame.type === 'readings')
    return frame.readings
  }
  return { decoder, decode, asked }
}

/** What JSON would bring of the same. */
function expected(registry: Registry, { device = 'truck-7', stream, payload, skip = 0 }: Sent): object[] {
  const decoded = new Decoder(registry).decode({ device, stream, receivedAt: RECEIVED, payload, flags: 0 } as never)
  if (decoded instanceof Rejection) return []
  const readings = decoded.map((reading) => ({ ...reading, received: RECEIVED })).slice(skip)
  return JSON.parse(JSON.stringify(readings))
}

const shipped = Registry.load(SHIPPED_SCHEMAS_DIR)
const vehicle = {
  ts: RECEIVED,
  fleet: null,
  driver: { string: 'eva' },
  latitude: 48.1,
  longitude: 11.5,
  elevation: 519.3,
}
const rest = { velocity: 21.3, heading: -0, grade: 1e-7, fuel_consumption: 3.4028234e38 }
const phase = { voltage: 230.1, current: 1.1, active_power: -1, reactive_power: 0, power_factor: 0.99 }

test('readings of the shipped schemas, older versions and batches of them', async () => {
  const { decode, asked } = decoderOf(shipped)
  const environment = { ts: RECEIVED, temperature: 21.3, humidity: 40.5, pressure: 1013.25, battery: 87, rssi: -61 }
  const power = {
    ts: RECEIVED,
    circuit: null,
    frequency: 50,
    l1: phase,
    l2: phase,
    l3: phase,
    energy_import: 1,
    energy_export: 2,
  }
  const vibration = { ts: RECEIVED * 1_000 + 1, sensor: '', axis: 'y', acceleration_rms: 1, acceleration_peak: 2 }
  const messages = [
    { stream: 'environment', payload: shipped.encode('environment', environment) },
    {
      stream: 'environment',
      payload: shipped.encode('environment', [environment, { ...environment, battery: 1 }]),
      skip: 1,
    },
    { stream: 'power', payload: shipped.encode('power', power), device: 'm:1' },
    { stream: 'vehicle', payload: shipped.encode('vehicle', { ...vehicle, ...rest, driver: 'eva' }, 1) },
    {
      stream: 'vibration',
      payload: shipped.encode('vibration', [
        { ...vibration, velocity_rms: 1, dominant_frequency: null, temperature: 2 },
      ]),
    },
    { stream: 'environment', payload: Buffer.from(`\u{feff} ${JSON.stringify(environment)}\0`) },
    {
      stream: 'power',
      payload: Buffer.from(
        JSON.stringify({
          ...power,
          l1: undefined,
          ...Object.fromEntries(Object.entries(phase).map(([name, value]) => [`l1_${name}`, value])),
        }),
      ),
    },
  ]
  const readings = await decode(messages)
  assert.deepEqual(
    readings,
    messages.flatMap((message) => expected(shipped, message)),
  )
  assert.equal(readings.length, messages.length)
  const schemas = ['environment/1', 'power/1', 'vehicle/1', 'vehicle/2', 'vibration/1'].map(
    (name) => `/v1/schemas/${name}`,
  )
  assert.deepEqual(asked.sort(), ['/v1/schemas', ...schemas])
  await decode(messages)
  assert.equal(asked.length, 6, 'each is asked for once')
})

test('a connection that is new asks what there is, and not again for what it knows', async () => {
  const { decoder, decode, asked } = decoderOf(shipped)
  const message = { stream: 'vehicle', payload: shipped.encode('vehicle', { ...vehicle, ...rest, driver: 'eva' }, 1) }
  await decode([message])
  decoder.opened()
  await decode([message])
  assert.deepEqual(asked, ['/v1/schemas', '/v1/schemas/vehicle/1', '/v1/schemas/vehicle/2', '/v1/schemas'])
})

test('what libraries compute in their own way is known', async () => {
  const { decode } = decoderOf(shipped)
  const right = shipped.encode('environment', {
    ts: RECEIVED,
    temperature: 21.3,
    humidity: 40.5,
    pressure: 1,
    battery: 87,
    rssi: 1,
  })
  const schema = shipped.versions('environment')[0]?.schema
  for (const spelling of OTHER_SPELLINGS) {
    const payload = Buffer.from(right)
    payload.writeBigUInt64LE(fingerprintOf(schema, spelling), 2)
    const message = { stream: 'environment', payload }
    assert.equal((await decode([message])).length, 1, spelling)
  }
})

test('what is no reading is in no frame, and its neighbours are', async () => {
  const { decode } = decoderOf(shipped)
  const good = { ts: RECEIVED, temperature: 21.3, humidity: 40.5, pressure: 1, battery: 87, rssi: 1 }
  const payload = shipped.encode('environment', good)
  const bad = [
    Buffer.alloc(0),
    Buffer.from('{"ts":'),
    Buffer.from('hello'),
    payload.subarray(0, 9),
    payload.subarray(0, payload.length - 1),
    Buffer.concat([payload, Buffer.of(0)]),
    Buffer.concat([Buffer.from('c3010000000000000000', 'hex'), payload.subarray(10)]),
    shipped.encode('environment', { ...good, temperature: Number.NaN }),
    shipped.encode('environment', []),
  ]
  const messages = [payload, ...bad, payload].map((each) => ({ stream: 'environment', payload: each }))
  const unknown = { stream: 'nothing', payload }
  assert.equal((await decode([...messages, unknown])).length, 2)
})

test('a schema that cannot be had now is asked for again', async () => {
  let fail = true
  const decoder = avro.decoder(async <T>(path: string) => {
    if (fail) throw new Error('away')
    const [, , , stream, version] = path.split('/')
    return (stream === undefined ? listSchemas(shipped) : showSchema(shipped, stream, version ?? '')) as T
  })
  const payload = shipped.encode('environment', {
    ts: RECEIVED,
    temperature: 21.3,
    humidity: 4,
    pressure: 1,
    battery: 8,
    rssi: 1,
  })
  const data = frameOf('c', [{ stream: 'environment', payload }])
  await assert.rejects(async () => decoder.decode(data), { message: 'away' })
  fail = false
  const frame = await decoder.decode(data)
  assert(frame.type === 'readings' && frame.readings.length === 1)
})

test('text frames are what they are', async () => {
  const { decoder } = decoderOf(shipped)
  assert.deepEqual(decoder.decode('{"type":"live","subscription":"s1"}'), { type: 'live', subscription: 's1' })
})

test('a float32 is shown as the platform does', () => {
  const float = fc.float({ noNaN: true, noDefaultInfinity: true })
  fc.assert(
    fc.property(float, (x) => assert.equal(shortestFloat(x), platformShortestFloat(x))),
    { numRuns: 20_000 },
  )
})

/** A field of version 1 with what version 2 makes of it. */
interface Evolving {
  readonly before: object | undefined
  readonly after: object | undefined
}

const NAMES = ['a', 'b', 'constructor', 'toString', 'valueOf', 'f', 'g', 'h'] as const
const WIDER: Readonly<Record<string, readonly string[]>> = { int: ['int', 'long'], float: ['float', 'double'] }
const SYMBOLS = ['on', 'off', 'idle', 'constructor']

const scalar = fc.constantFrom('int', 'long', 'float', 'double', 'boolean', 'string')
const leafValue = (type: string): fc.Arbitrary<unknown> => {
  switch (type) {
    case 'int':
      return fc.integer()
    case 'long':
      return fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 2 })
    case 'float':
      return fc.float({ noNaN: true, noDefaultInfinity: true })
    case 'double':
      return fc.double({ noNaN: true, noDefaultInfinity: true })
    case 'boolean':
      return fc.boolean()
    default:
      return fc.string({ unit: 'grapheme', maxLength: 8 })
  }
}

/** A scalar, perhaps nullable, a tag, wider, renamed, dropped or new. */
const scalarField = (name: string): fc.Arbitrary<Evolving> =>
  fc
    .record({
      type: scalar,
      wider: fc.nat(1),
      isNullable: fc.boolean(),
      becomesNullable: fc.boolean(),
      nullFirst: fc.boolean(),
      isTag: fc.boolean(),
      fate: fc.constantFrom('kept', 'kept', 'renamed', 'dropped', 'new'),
    })
    .chain((given) =>
      leafValue(given.type).map((value) => {
        const { type, isNullable, nullFirst, fate } = given
        const tag = given.isTag && type === 'string' ? { tag: true } : {}
        const union = (inner: string) => (nullFirst ? ['null', inner] : [inner, 'null'])
        const later = WIDER[type]?.[given.wider] ?? type
        const before = { name, type: isNullable ? union(type) : type, ...tag }
        const canBeNull = isNullable || given.becomesNullable
        const kept = { name, type: canBeNull ? union(later) : later, ...tag }
        const fallback = { default: canBeNull && nullFirst ? null : value }
        if (fate === 'dropped') return { before, after: undefined }
        if (fate === 'new') return { before: undefined, after: { ...kept, ...fallback } }
        if (fate === 'renamed') return { before, after: { ...kept, name: `${name}2`, aliases: [name] } }
        return { before, after: kept }
      }),
    )

const enumField = (name: string): fc.Arbitrary<Evolving> =>
  fc
    .record({ symbols: fc.subarray(SYMBOLS, { minLength: 1 }), fate: fc.constantFrom('kept', 'more', 'fewer', 'new') })
    .map(({ symbols, fate }) => {
      const type = { type: 'enum', name: `mode_${name}`, symbols }
      const [first = 'on'] = symbols
      const before = { name, type }
      if (fate === 'new') return { before: undefined, after: { name, type, default: first } }
      if (fate === 'more') return { before, after: { name, type: { ...type, symbols: [...SYMBOLS].reverse() } } }
      if (fate === 'fewer') return { before, after: { name, type: { ...type, symbols: [first], default: first } } }
      return { before, after: before }
    })

const nestedField = (name: string): fc.Arbitrary<Evolving> =>
  fc
    .record({
      inner: fc.tuple(scalarField('p'), fc.oneof(scalarField('q'), enumField(`q`))),
      isNullable: fc.boolean(),
      fate: fc.constantFrom('kept', 'kept', 'dropped', 'renamed'),
    })
    .map(({ inner, isNullable, fate }) => {
      const record = (fields: (object | undefined)[]) => {
        const present = fields.filter((field) => field !== undefined)
        const type = {
          type: 'record',
          name: `inner_${name}`,
          fields: [...present, { name: 'z', type: 'int', default: 7 }],
        }
        return isNullable ? ['null', type] : type
      }
      const before = { name, type: record(inner.map((each) => each.before)) }
      const after = { name, type: record(inner.map((each) => each.after)) }
      if (fate === 'dropped') return { before, after: undefined }
      if (fate === 'renamed') return { before, after: { ...after, name: `${name}2`, aliases: [name] } }
      return { before, after }
    })

const LOGICAL: readonly (readonly [type: object, min: number, max: number])[] = [
  [{ type: 'int', logicalType: 'date' }, -719_200, 2_932_950],
  [{ type: 'int', logicalType: 'time-millis' }, -1, 86_400_100],
  [{ type: 'long', logicalType: 'time-micros' }, -1, 86_400_000_100],
  [{ type: 'long', logicalType: 'timestamp-millis' }, -62_135_596_800_100, 253_402_300_800_100],
  [{ type: 'long', logicalType: 'timestamp-micros' }, -(2 ** 52), 2 ** 53 - 2],
  [{ type: 'long', logicalType: 'local-timestamp-micros' }, -(2 ** 52), 2 ** 53 - 2],
]
const LISTS = ['int', 'long', 'float', 'double'].map((items) => ({ type: 'array', items }))
const MAPS = ['int', 'long', 'float', 'double'].map((values) => ({ type: 'map', values, keys: ['k', 'l', 'm'] }))
const UUID = { type: 'string', logicalType: 'uuid' }
const byteTypes = (name: string) => [
  { type: 'bytes' },
  { type: 'fixed', name: `fixed_${name}`, size: 6 },
  { type: 'fixed', name: `uuid_${name}`, size: 16, logicalType: 'uuid' },
  { type: 'bytes', logicalType: 'decimal', precision: 17, scale: 4 },
  { type: 'fixed', name: `decimal_${name}`, size: 9, logicalType: 'decimal', precision: 15, scale: 15 },
]
const latin1 = (bytes: unknown) => (bytes instanceof Uint8Array ? Buffer.from(bytes).toString('latin1') : bytes)

/** What is written as another type, perhaps nullable, renamed or new. */
const logicalField = (name: string): fc.Arbitrary<Evolving> =>
  fc
    .record({
      type: fc.constantFrom(...LOGICAL.map(([type]) => type), UUID, ...LISTS, ...MAPS, ...byteTypes(name)),
      isNullable: fc.boolean(),
      fate: fc.constantFrom('kept', 'renamed', 'new'),
    })
    .chain(({ type, isNullable, fate }) =>
      sampleOf(type as Type).map((value) => {
        const before = { name, type: isNullable ? [type, 'null'] : type }
        if (fate === 'kept') return { before, after: before }
        if (fate === 'new') return { before: undefined, after: { ...before, default: latin1(value) } }
        return { before, after: { ...before, name: `${name}2`, aliases: [name] } }
      }),
    )

function logicalSample(type: { readonly type: unknown; readonly size?: number; readonly logicalType?: unknown }) {
  const known = LOGICAL.find(([each]) => each === type)
  if (known !== undefined) return fc.integer({ min: known[1], max: known[2] })
  if (type === UUID)
    return fc.tuple(fc.uuid(), fc.boolean()).map(([text, isUpper]) => (isUpper ? text.toUpperCase() : text))
  const { size } = type
  const bytes = (length: number) => fc.uint8Array({ minLength: size ?? 0, maxLength: size ?? length })
  const drawn = type.logicalType === 'decimal' ? fc.oneof(bytes(9), small(size ?? 3)) : bytes(20)
  return drawn.map((each) => Buffer.from(each))
}

/** Of a few digits, whatever the size. */
const small = (size: number) =>
  fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 }).map((value) => {
    const bytes = Buffer.alloc(size, value < 0 ? 0xff : 0)
    bytes.writeInt16BE(value, size - 2)
    return new Uint8Array(bytes)
  })

const field = (name: string) =>
  fc.oneof(scalarField(name), scalarField(name), enumField(name), nestedField(name), logicalField(name))

type Type = string | readonly unknown[] | { readonly type: unknown; readonly [more: string]: unknown }

/** A value of a type, as avsc takes it. */
function sampleOf(type: Type): fc.Arbitrary<unknown> {
  if (Array.isArray(type)) {
    const inner = type.find((each) => each !== 'null') as Type
    return fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 3, arbitrary: sampleOf(inner) })
  }
  if (typeof type === 'string') return leafValue(type)
  const { type: kind, symbols, fields } = type as { type: Type; symbols?: string[]; fields?: Schema['fields'] }
  if (kind === 'enum') return fc.constantFrom(...(symbols ?? []))
  if (kind === 'record') return recordOf({ fields: fields ?? [] })
  if (kind === 'map') {
    const { values, keys } = type as never as { values: string; keys: string[] }
    return fc.dictionary(fc.constantFrom(...keys), leafValue(values))
  }
  if (kind === 'array') return fc.array(leafValue((type as never as { items: string }).items), { maxLength: 4 })
  return kind === 'fixed' || kind === 'bytes' || 'logicalType' in type ? logicalSample(type as never) : sampleOf(kind)
}

interface Schema {
  readonly fields: readonly { readonly name: string; readonly type: Type }[]
}

const recordOf = ({ fields }: Schema): fc.Arbitrary<object> =>
  fc
    .tuple(...fields.map(({ name, type }) => (name === 'ts' ? fc.constant(RECEIVED) : sampleOf(type))))
    .map((values) => Object.fromEntries(fields.map(({ name }, index) => [name, values[index]])))

/** Two versions of a schema, and records of both. */
const streams = fc
  .record({
    fields: fc.tuple(...NAMES.map((name) => fc.option(field(name), { nil: undefined, freq: 2 }))),
    order: fc.infiniteStream(fc.nat(10)),
  })
  .map(({ fields, order }) => {
    const present = fields.filter((each) => each !== undefined)
    const always = { name: 'always', type: 'int' }
    const before = [...present.map((each) => each.before).filter((each) => each !== undefined), always]
    const after = [...present.map((each) => each.after).filter((each) => each !== undefined), always]
    const shuffled = after.map((each) => [order.next().value, each] as const).sort(([a], [b]) => a - b)
    return [probe(...before), probe(...shuffled.map(([, each]) => each))] as [Schema & object, Schema & object]
  })
  .chain((versions) =>
    fc.record({
      versions: fc.constant(versions),
      records: fc.tuple(...versions.map((schema) => fc.array(recordOf(schema), { minLength: 1, maxLength: 3 }))),
      damage: fc.record({ at: fc.nat(200), by: fc.integer({ min: 1, max: 255 }), cut: fc.nat(3) }),
    }),
  )

test('whatever the schemas and however they have changed, and whatever the bytes', async (t) => {
  let taken = 0
  let compared = 0
  const property = fc.asyncProperty(streams, async ({ versions, records, damage }) => {
    let registry: Registry
    try {
      registry = probeRegistry(t, ...versions)
    } catch {
      return // The platform does not take such a change.
    }
    taken++
    const { decode } = decoderOf(registry)
    const payloads = records.flatMap((each, index) => [
      registry.encode('probe', each[0] ?? {}, index + 1),
      registry.encode('probe', each, index + 1),
    ])
    const damaged = payloads.map((payload) => {
      const copy = Buffer.from(payload.subarray(0, payload.length - damage.cut))
      const at = 10 + (damage.at % Math.max(1, copy.length - 10))
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ damage.by
      return copy
    })
    const byHand = [records[1]?.[0], records[1]].map((value) => Buffer.from(JSON.stringify(value)))
    const stream = registry.stream('probe') ?? assert.fail()
    const asText = payloads.map((payload) => expected(registry, { stream: 'probe', payload }))
    const again = asText.map((readings) => readingsAsJson(stream, readings as Reading[]))
    for (const payload of [...payloads, ...damaged, ...byHand, ...again]) {
      const message = { stream: 'probe', payload }
      const readings = await decode([message])
      const wanted = expected(registry, message)
      // What the platform sets aside it does not send on.
      if (wanted.length === 0) continue
      compared++
      assert.equal(JSON.stringify(readings.map(parts)), JSON.stringify(wanted.map(parts)))
    }
  })
  await fc.assert(property, { numRuns: 400 })
  t.diagnostic(`${taken} pairs of versions, ${compared} messages`)
  assert(taken > 100 && compared > 500, `${taken} pairs of versions, ${compared} messages`)
})

/** In one order. */
function parts(reading: object): unknown {
  const { device, stream, ts, received, values } = reading as Record<string, unknown>
  return { device, stream, ts, received, values }
}
