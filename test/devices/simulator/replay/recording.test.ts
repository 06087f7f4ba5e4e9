import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { fieldsOf } from '../../../../devices/simulator/replay/csv-row.ts'
import type { Recorded, RecordingOptions } from '../../../../devices/simulator/replay/recorded.ts'
import { readRecording } from '../../../../devices/simulator/replay/recording.ts'
import { CsvTable } from '../../../../gateway/csv.ts'
import type { Reading } from '../../../../schemas/reading.ts'
import { probe, probeRegistry } from '../../../schemas/schema-folder.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { registry } from '../fleet.ts'

async function read(
  t: TestContext,
  text: string | Buffer,
  options: Partial<RecordingOptions> = {},
  streams: { stream(name: string): ReturnType<typeof registry.stream> } = registry,
): Promise<Recorded[]> {
  const file = join(scratchDirectory(t), 'recording')
  writeFileSync(file, text)
  return allOf(readRecording({ file, ...options }, { streams }))
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const TS = 1_763_900_000_000
const line = (more: object = {}) =>
  JSON.stringify({ device: 'truck-1', stream: 'vehicle', ts: TS, values: { velocity: 1.5 }, ...more })
const READING = { kind: 'reading', device: 'truck-1', stream: 'vehicle', ts: TS, values: { velocity: 1.5 } }

test('NDJSON is readings and gaps, with their lines', async (t) => {
  const gap = '{"gap":{"reason":"retention","missed":12}}'
  const nulls = { received: TS + 5, values: { velocity: 1.5, fleet: null } }
  assert.deepEqual(await read(t, `\ufeff${line()}\n\r\n${gap}\n${line(nulls)}\r\n`), [
    { ...READING, line: 1 },
    { kind: 'gap', line: 3, reason: 'retention', missed: 12 },
    { ...READING, line: 4, received: TS + 5 },
  ])
  assert.deepEqual(await read(t, line({ ts: '2025-11-23T12:13:20.000001Z' })), [
    { ...READING, line: 1, ts: TS + 0.001 },
  ])
  assert.deepEqual(await read(t, ''), [])
})

test('a last line that was cut off is left out and told; any other that cannot be read ends it', async (t) => {
  assert.deepEqual(await read(t, `${line()}\n${line().slice(0, 30)}`), [
    { ...READING, line: 1 },
    { kind: 'cut', line: 2 },
  ])
  const header = 'ts,device,stream,velocity\r\n'
  assert.deepEqual(await read(t, `${header}${TS},truck-1,vehicle,1.5\r\n${TS},tru`), [
    { ...READING, line: 2 },
    { kind: 'cut', line: 3 },
  ])
  for (const [text, words] of [
    [`${line()}\n${line().slice(0, 30)}\n${line()}\n`, /:2: is not JSON/],
    ['{"device":3}\n', /:1: device is 3; a device id is right/],
    [`${line({ device: 'a/b' })}\n`, /device is "a\/b"/],
    [`${line({ stream: 'No' })}\n`, /stream is "No"/],
    [`${line({ ts: 'noon' })}\n`, /ts is "noon"; milliseconds since 1970 are right, or a time/],
    [`${line({ ts: null })}\n`, /ts is null/],
    [`${line({ values: [1] })}\n`, /values is \[1\]; an object is right/],
    [`${line({ values: { a: { b: 1 } } })}\n`, /a is \{"b":1\}; a number/],
    [Buffer.from(`${line()}\n\xff\n`, 'latin1'), /is not UTF-8/],
    [`{"a":"${'x'.repeat(5 * 2 ** 20)}"}\n`, /:1: is longer than 4194304 bytes/],
    ['device,stream,velocity\n', /:1: has no column ts; right are ts, device and stream/],
    [`ts,velocity\n${TS},3\n`, /has no column device; right .*, or to say which device it is/],
    [`${header}${TS},truck-1,vehicle\n`, /:2: has 3 fields, and the first line 4/],
    [`${header}${TS},truck-1,vehicle,fast\n`, /:2: velocity is "fast"; the column is of kind float/],
    [`${header}${TS},truck-1,cars,1\n`, /:2: there is no stream "cars"/],
    [`${header}noon,truck-1,vehicle,1\n`, /:2: ts is "noon"/],
    [`ts,device,stream,speed\n${TS},truck-1,vehicle,1\n`, /:2: speed is no column of vehicle/],
    [`${header}"${'x\n'.repeat(3 * 2 ** 20)}`, /:2: is longer than/],
  ] as const) {
    await assert.rejects(read(t, text), { code: 'bad-recording', message: words })
  }
  const directory = scratchDirectory(t)
  mkdirSync(join(directory, 'folder'))
  for (const name of ['none', 'folder']) {
    const all = allOf(readRecording({ file: join(directory, name) }, { streams: registry }))
    await assert.rejects(all, { code: 'bad-recording', message: /cannot be read: E/ })
  }
})

test('a CSV of others needs no device and no stream in each row, if somebody says which', async (t) => {
  const csv = `ts,velocity,received\n2025-11-23T12:13:20Z,1.5,${TS + 9}\n`
  assert.deepEqual(await read(t, csv, { device: 'truck-1', stream: 'vehicle' }), [
    { ...READING, line: 2, received: TS + 9 },
  ])
})

test('names that every object has are columns like others', async (t) => {
  const own = probeRegistry(
    t,
    probe({ name: 'constructor', type: 'double' }, { name: 'toString', type: ['null', 'int'], default: null }),
  )
  const values = { constructor: 1 }
  const json = JSON.stringify({ device: 'a', stream: 'probe', ts: TS, values })
  for (const text of [json, `ts,device,stream,constructor,toString\n${TS},a,probe,1,\n`]) {
    const [recorded] = await read(t, text, {}, own)
    assert(recorded?.kind === 'reading')
    assert.deepEqual(Object.entries(recorded.values), [['constructor', 1]])
  }
})

test('the CSV of the gateway is read as the readings that it was made of', async (t) => {
  const own = probeRegistry(
    t,
    probe(
      { name: 'text', type: ['null', 'string'], default: null },
      { name: 'count', type: ['null', 'long'], default: null },
      { name: 'level', type: ['null', 'double'], default: null },
      { name: 'on', type: ['null', 'boolean'], default: null },
      { name: 'burst', type: ['null', { type: 'array', items: 'double' }], default: null },
    ),
  )
  const stream = own.stream('probe')
  assert(stream !== undefined)
  // A text that begins with an apostrophe before a formula is the same as the formula made harmless, and an empty one is none.
  const text = fc
    .oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.constantFrom('=', '+', '-', '"', ',', '\r', '\n', ';', 'a', '@') }),
    )
    .filter((each) => each !== '' && !/(^|[;\r\n])'/.test(each))
  const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((each) => each + 0)
  const values = fc.record(
    {
      text,
      count: fc.maxSafeInteger(),
      level: number,
      on: fc.boolean(),
      burst: fc.array(number, { maxLength: 5 }),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  const reading = fc.record({ device: fc.stringMatching(/^[A-Za-z0-9._:-]{1,20}$/), ts: fc.nat(), values })
  const file = join(scratchDirectory(t), 'readings.csv')
  await fc.assert(
    fc.asyncProperty(fc.array(reading, { minLength: 1, maxLength: 30 }), async (given) => {
      const readings: Reading[] = given.map((each) => ({ ...each, stream: 'probe' }))
      const table = new CsvTable([stream])
      writeFileSync(file, [table.header(), ...readings.map((each) => table.row(each))].join(''))
      const recorded = await allOf(readRecording({ file }, { streams: own }))
      assert.deepEqual(
        recorded.map((each) => each.kind === 'reading' && { ...each.values }),
        readings.map((each) => each.values),
      )
      assert.deepEqual(
        recorded.map((each) => each.kind === 'reading' && [each.device, each.ts]),
        readings.map((each) => [each.device, each.ts]),
      )
    }),
  )
})

test('fields stand in quotes or not', () => {
  for (const [row, fields] of [
    ['', ['']],
    ['a,b', ['a', 'b']],
    ['a,', ['a', '']],
    [',a', ['', 'a']],
    ['"a,b",c', ['a,b', 'c']],
    ['"a""b"', ['a"b']],
    ['"",""', ['', '']],
    ['"a"b,c', ['ab', 'c']],
    ['"open', ['open']],
  ] as const) {
    assert.deepEqual(fieldsOf(row), fields, row)
  }
})
