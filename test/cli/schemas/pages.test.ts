/** The pages of docs/streams/: as the schemas are, and right: their commands are run, their C is compiled, its bytes are stored. */

import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { pagesOf } from '../../../cli/schemas/pages/pages.ts'
import { payloadsOf } from '../../../cli/schemas/pages/payloads.ts'
import { mapMaker } from '../../../maps/maps.ts'
import { catalogueOf } from '../../../schemas/catalogue.ts'
import { FRAMING_LEVELS, NOT_TOLD } from '../../../schemas/content-type.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { readSchemaFiles } from '../../../schemas/schema-files.ts'
import { plainEnvironment, RunningPlatform } from '../../e2e/platform.ts'
import { probe, schemaFolder } from '../../schemas/schema-folder.ts'
import { scratchDirectory } from '../../scratch.ts'
import { requireProgram } from '../../servers/server.ts'
import { ROOT } from '../../tree.ts'
import { until } from '../../until.ts'
import { telltale } from '../telltale.ts'

const PAGES = join(ROOT, 'docs/streams')
const RECEIVED_AT = 1_764_000_000_000
const STRICT = ['-std=c99', '-pedantic', '-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Werror']

/** Names that C, C++ or the headers have, two fields of one flattened name but for case, all kinds, null first and last. */
const ODD = probe(
  { name: 'long', type: ['null', 'long'], default: null },
  { name: 'has_long', type: 'boolean' },
  { name: 'linux', type: 'int', unit: '%' },
  { name: 'stdout', type: 'float' },
  { name: 'r', type: ['double', 'null'], unit: '*/' },
  { name: 'site', type: ['string', 'null'], tag: true },
  { name: 'mode', type: ['null', { type: 'enum', name: 'mode', symbols: ['on', 'off'] }], default: null },
  {
    name: 'at',
    type: [
      'null',
      {
        type: 'record',
        name: 'place',
        fields: [
          { name: 'x', type: 'double', doc: 'Right | wrong.' },
          { name: 'deep', type: { type: 'record', name: 'deep', fields: [{ name: 'y', type: ['null', 'float'] }] } },
        ],
      },
    ],
    default: null,
  },
  { name: 'to', type: 'place' },
)

const logical = (logicalType: string, type: string | object, more: object = {}) => {
  return typeof type === 'string' ? { type, logicalType, ...more } : { ...type, logicalType, ...more }
}
const list = (items: string) => ({ type: 'array', items })
const fixed = (name: string, size: number) => ({ type: 'fixed', name, size })

/** All that Avro writes as another type, some of it null. */
const METER = {
  ...probe(
    { name: 'made', type: logical('date', 'int') },
    { name: 'at_ms', type: logical('time-millis', 'int') },
    { name: 'at_us', type: ['null', logical('time-micros', 'long')] },
    { name: 'set_ms', type: logical('local-timestamp-millis', 'long') },
    { name: 'set_us', type: logical('local-timestamp-micros', 'long') },
    { name: 'lost', type: ['null', logical('timestamp-millis', 'long')] },
    { name: 'found', type: ['null', logical('timestamp-micros', 'long')] },
    { name: 'id', type: ['null', logical('uuid', 'string')] },
    { name: 'serial', type: ['null', logical('uuid', fixed('serial', 16))] },
    { name: 'register', type: logical('decimal', 'bytes', { precision: 12, scale: 3 }), unit: 'kW.h' },
    { name: 'price', type: logical('decimal', fixed('price', 12), { precision: 9, scale: 4 }) },
    { name: 'tiny', type: ['null', logical('decimal', fixed('tiny', 1), { precision: 2, scale: 0 })] },
    { name: 'blob', type: ['null', 'bytes'] },
    { name: 'mac', type: ['null', fixed('mac', 6)] },
    { name: 'burst', type: ['null', list('float')], unit: 'm/s2' },
    { name: 'exact', type: ['null', list('double')] },
    { name: 'steps', type: ['null', list('int')] },
    { name: 'totals', type: ['null', list('long')] },
    {
      name: 'cells',
      type: ['null', { type: 'map', values: 'float', keys: ['long', 'b'] }],
      unit: 'V',
      doc: 'Of each cell.',
    },
    { name: 'hits', type: { type: 'map', values: 'int', keys: ['left'] } },
  ),
  name: 'meter',
}
const METER_PROTO = `syntax = "proto3"; package telltale;
  message Meter {
    int64 ts = 1; int32 made = 2; string at_ms = 3; optional int64 at_us = 4; string set_ms = 5; int64 set_us = 6; optional string lost = 7;
    optional int64 found = 8; optional string id = 9; optional bytes serial = 10; double register = 11 [(telltale.unit) = "kW.h"];
    double price = 12; optional double tiny = 13; optional bytes blob = 14; optional bytes mac = 15;
    repeated float burst = 16 [(telltale.unit) = "m/s2"]; repeated double exact = 17; repeated sint32 steps = 18; repeated fixed64 totals = 19;
    message Cells { optional float long = 1 [(telltale.unit) = "V"]; optional float b = 2 [(telltale.unit) = "V"]; } Cells cells = 20;
    message Hits { optional int32 left = 1; } Hits hits = 21;
  }`

/** Of every kind of schema, beside those that are shipped. */
function registryOfAll(t: TestContext): Registry {
  const files = readSchemaFiles(SHIPPED_SCHEMAS_DIR).files.map(({ stream, version, format, text }) => [
    `${stream}/${version}.${format}`,
    text,
  ])
  const proto = readFileSync(join(ROOT, 'docs/protobuf/environment.proto'), 'utf8')
  const pump = `syntax = "proto3"; package telltale; import "google/protobuf/timestamp.proto";
    message Pump {
      enum Mode { OFF = 0; ON = 1; }
      message Motor { optional double speed = 1; bool hot = 2; }
      google.protobuf.Timestamp ts = 1;
      optional Mode mode = 2; Motor motor = 3; sint64 turns = 20; fixed32 starts = 21; string site = 4 [(telltale.tag) = true];
    }`
  return Registry.load(
    schemaFolder(t, {
      ...Object.fromEntries(files),
      'environment/1.proto': proto,
      'lock.json': readFileSync(join(SHIPPED_SCHEMAS_DIR, 'lock.json'), 'utf8'),
      'meter/1.avsc': METER,
      'meter/1.proto': METER_PROTO,
      'probe/1.avsc': ODD,
      'pump/1.proto': pump,
    }),
  )
}

/** The parts of a page by their language; those without one are payloads in hexadecimal. */
function blocksOf(page: string): {
  readonly sh: string[]
  readonly c: string[]
  readonly json: string[]
  hex: string[]
} {
  const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
  const of = (language: string) => blocks.filter(([, each]) => each === language).map(([, , text = '']) => text)
  return { sh: of('sh'), c: of('c'), json: of('json'), hex: of('').map((text) => text.replaceAll('\n', '')) }
}

/** What the program of a page prints. */
function runC(cc: string, directory: string, name: string, source: string): Buffer {
  writeFileSync(join(directory, `${name}.c`), source)
  execFileSync(cc, [...STRICT, join(directory, `${name}.c`), '-o', join(directory, name)])
  return execFileSync(join(directory, name))
}

test('the pages are those of the shipped schemas: mend them by `node cli/telltale.js schemas docs schemas`', async (t) => {
  const pages = pagesOf(Registry.load(SHIPPED_SCHEMAS_DIR))
  assert.deepEqual(readdirSync(PAGES).sort(), [...pages.keys()].sort())
  const stale = [...pages].filter(([file, text]) => readFileSync(join(PAGES, file), 'utf8') !== text)
  const mend = 'mend them by `node cli/telltale.js schemas docs schemas`'
  assert.deepEqual(
    stale.map(([file]) => `docs/streams/${file}`),
    [],
    mend,
  )
  const { code, stdout } = await telltale(scratchDirectory(t), [
    'schemas',
    'docs',
    SHIPPED_SCHEMAS_DIR,
    '--out',
    PAGES,
    '--check',
  ])
  assert.deepEqual([code, stdout], [0, 'all pages are as the schemas\n'])
})

test('a page that is stale, missing, or of no stream any more is told, and mended; what is not ours stays', async (t) => {
  const folder = schemaFolder(t, { 'schemas/probe/1.avsc': probe({ name: 'x', type: 'int' }) })
  const [schemas, out] = [join(folder, 'schemas'), join(folder, 'pages')]
  const docs = (...args: string[]) => telltale(folder, ['schemas', 'docs', schemas, '--out', out, ...args])
  assert.equal((await docs()).code, 0)
  writeFileSync(join(out, 'probe.md'), 'old')
  writeFileSync(join(out, 'gone.md'), '<!-- By `telltale schemas docs`: x. -->')
  writeFileSync(join(out, 'own.md'), '# Mine')
  const { code, stdout } = await docs('--check')
  const said = `${out}/probe.md: is stale\n${out}/gone.md: is of no stream any more\nmend them by \`telltale schemas docs ${schemas} --out ${out}\`\n`
  assert.deepEqual([code, stdout], [1, said])
  assert.equal((await docs()).stdout, `${out}/probe.md\n${out}/gone.md: removed\n`)
  assert.deepEqual(readdirSync(out).sort(), ['README.md', 'own.md', 'probe.md', 'telltale.h'])
  assert.deepEqual([(await docs('--check')).code, (await docs()).stdout], [0, 'nothing is new\n'])
})

test('a page says the size of a fixed and where the point of a decimal is', (t) => {
  const page = pagesOf(registryOfAll(t)).get('meter.md') ?? ''
  for (const row of [
    '| `serial` | uuid, fixed(16) |',
    '| `id` | uuid |',
    '| `register` | decimal(12, 3), bytes |',
    '| `price` | decimal(9, 4), fixed(12) |',
    '| `mac` | fixed(6) |',
    '| `blob` | bytes |',
  ]) {
    assert(page.includes(row), row)
  }
})

test('a version that is not released is told, for its page is another when it is', async (t) => {
  const folder = schemaFolder(t, { 'schemas/probe/1.avsc': probe({ name: 'x', type: 'int' }) })
  const [schemas, out] = [join(folder, 'schemas'), join(folder, 'pages')]
  const run = (...args: string[]) => telltale(folder, ['schemas', ...args])
  assert.match(
    (await run('docs', schemas, '--out', out)).stderr,
    /^telltale: probe 1: not released yet, .*schemas lock/,
  )
  assert.match(readFileSync(join(out, 'probe.md'), 'utf8'), /^Confluent's wire format is taken, too, once/m)
  assert.equal((await run('lock', schemas)).code, 0)
  const { stdout, stderr } = await run('docs', schemas, '--out', out)
  assert.deepEqual([stdout, stderr], [`${out}/probe.md\n`, ''])
  assert.match(readFileSync(join(out, 'probe.md'), 'utf8'), /\| Confluent's wire format \|/)
})

test('in each framing the example is the same readings, alone and as a batch, and has the first bytes that are told', (t) => {
  const registry = registryOfAll(t)
  const decoder = new Decoder(registry)
  let framings = 0
  for (const stream of catalogueOf(registry)) {
    const definition = registry.newest(stream.stream) ?? assert.fail(stream.stream)
    const read = (topic: string, payload: Buffer) => {
      const framing = FRAMING_LEVELS.get(topic.split('/').at(-1) ?? '') ?? NOT_TOLD
      const readings = decoder.decode({ device: 'd', stream: stream.stream, receivedAt: RECEIVED_AT, payload, framing })
      assert(!(readings instanceof Rejection), `${topic}: ${(readings as Rejection).reason}`)
      return readings
    }
    let first: unknown
    for (const framing of stream.framings) {
      const { one, batch } = payloadsOf({ definition, registry, framing }) ?? assert.fail(framing.framing)
      const [reading, ...others] = read(framing.topic, one)
      first ??= reading
      assert.deepEqual(reading, first, `${stream.stream} ${framing.framing}`)
      assert.deepEqual(others, [])
      assert.deepEqual(read(framing.batchTopic, batch), [first, first])
      assert(one.toString('hex').startsWith(framing.firstBytes ?? ''))
      assert(batch.toString('hex').startsWith(framing.batchFirstBytes ?? ''))
      framings++
    }
    const values = (first as { readonly values: object }).values
    assert.deepEqual(
      Object.keys(values),
      stream.columns.map(({ name }) => name),
      'no column is without an example',
    )
  }
  assert.equal(framings, 6 + 5 + 3 * 5 + 4 + 5)
})

test('the C of each page is C99 without a warning, whatever columns are called, and prints the bytes of the page', (t) => {
  const cc = requireProgram(t, 'cc', 'apt install gcc')
  if (cc === undefined) return
  const directory = scratchDirectory(t)
  const pages = pagesOf(registryOfAll(t))
  writeFileSync(join(directory, 'telltale.h'), pages.get('telltale.h') ?? '')
  let programs = 0
  for (const [file, page] of pages) {
    const { c, hex } = blocksOf(page)
    const [program] = c
    if (program === undefined) continue
    assert.equal(runC(cc, directory, file.replace('.md', ''), program).toString('hex'), hex[0], file)
    programs++
  }
  assert.equal(programs, 7)
})

test('numbers of any size are as Avro has them: long, and decimal in bytes and in a fixed', (t) => {
  const cc = requireProgram(t, 'cc', 'apt install gcc')
  if (cc === undefined) return
  const directory = scratchDirectory(t)
  writeFileSync(join(directory, 'telltale.h'), readFileSync(join(PAGES, 'telltale.h')))
  const values = [
    0n,
    63n,
    64n,
    127n,
    128n,
    255n,
    256n,
    8_191n,
    32_767n,
    32_768n,
    2n ** 31n,
    2n ** 55n - 1n,
    2n ** 55n,
    2n ** 63n - 1n,
  ]
  const all = values.flatMap((value) => [value, -value - 1n])
  const literals = all.map((value) => (value === -(2n ** 63n) ? 'INT64_MIN' : `INT64_C(${value})`))
  const source = `#include <stdio.h>
    #include "telltale.h"
    int main(void)
    {
        static const int64_t values[] = {${literals.join(', ')}};
        uint8_t bytes[4096];
        struct tt_buffer b = {bytes, sizeof bytes, 0};
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            tt_long(&b, values[i]);
            tt_decimal(&b, values[i], 0);
            tt_decimal(&b, values[i], 12);
        }
        return fwrite(bytes, 1, b.used, stdout) == b.used ? 0 : 1;
    }`
  const twos = (value: bigint, bytes: number) =>
    BigInt.asUintN(8 * bytes, value)
      .toString(16)
      .padStart(2 * bytes, '0')
  const expected = all.map((value) => {
    let bytes = 1
    while (BigInt.asIntN(8 * bytes, value) !== value) bytes++
    return `${varint(value)}${varint(BigInt(bytes))}${twos(value, bytes)}${twos(value, 12)}`
  })
  assert.equal(runC(cc, directory, 'numbers', source).toString('hex'), expected.join(''))
})

/** Zigzag, then seven bits a byte, the lowest first: in hexadecimal. */
function varint(value: bigint): string {
  const bytes: number[] = []
  let rest = value < 0n ? -2n * value - 1n : 2n * value
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)]).toString('hex')
}

test('what does not fit is told by the C, and writes no byte beyond; a batch is what the page says', (t) => {
  const cc = requireProgram(t, 'cc', 'apt install gcc')
  if (cc === undefined) return
  const directory = scratchDirectory(t)
  const registry = registryOfAll(t)
  const pages = pagesOf(registry)
  writeFileSync(join(directory, 'telltale.h'), pages.get('telltale.h') ?? '')
  const [program = ''] = blocksOf(pages.get('vehicle.md') ?? '').c
  const batch =
    catalogueOf(registry)
      .find(({ stream }) => stream === 'vehicle')
      ?.versions.at(-1)?.batchFirstBytes ?? ''
  const body = `
    uint8_t small[20];
    memset(small, 0xaa, sizeof small);
    size_t wanted = encode_vehicle(&r, small, 12);
    if (wanted != used) return 2;
    for (size_t i = 12; i < sizeof small; i++) if (small[i] != 0xaa) return 3;
    struct tt_buffer b = {payload, sizeof payload, 0};
    tt_bytes(&b, "${batch.replace(/../g, '\\x$&')}", 10);
    tt_long(&b, 2);
    put_vehicle(&b, &r);
    r.fleet = NULL;
    r.has_fuel_state = false;
    r.ts = -1;
    r.ts += INT64_C(1763900000001);
    put_vehicle(&b, &r);
    tt_long(&b, 0);
    return b.used <= sizeof payload && fwrite(payload, 1, b.used, stdout) == b.used ? 0 : 1;`
  const source = program
    .replace(/\n {4}return fwrite[^\n]*/, body)
    .replace(/uint8_t payload\[\d+\]/, 'uint8_t payload[512]')
  const payload = runC(cc, directory, 'batch', source)
  const decoder = new Decoder(registry)
  const readings = decoder.decode({ device: 'd', stream: 'vehicle', receivedAt: RECEIVED_AT, payload })
  assert(!(readings instanceof Rejection), (readings as Rejection).reason)
  const [first, second] = readings
  assert.equal(second?.ts, 1_763_900_000_000)
  const { fleet: _fleet, fuel_state: _state, ...others } = first?.values ?? {}
  assert.deepEqual(second?.values, others)
})

test('a stream that maps make has a page of its columns and topics, and no payloads', (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': probe({ name: 'x', type: 'double' }) })
  const text = 'topic: tele/{device}/SENSOR\nstream: tasmota\nfields: { current: { path: I, unit: A } }'
  const files = { ...readSchemaFiles(folder), maps: [{ file: 'maps/tasmota.yaml', text }] }
  const page = pagesOf(Registry.of(files, undefined, undefined, mapMaker())).get('tasmota.md') ?? ''
  assert.match(page, /^Made by maps of what comes on `tele\/\{device\}\/SENSOR` \(tasmota\.yaml\)\.$/m)
  assert.match(page, /^\| `current` \| float \| A \| \|$/m)
  assert.doesNotMatch(page, /```/)
})

test('the commands of each page, as they stand there, have a real platform store what the page shows', async (t) => {
  if (requireProgram(t, 'mosquitto_pub', 'apt install mosquitto-clients') === undefined) return
  if (requireProgram(t, 'cc', 'apt install gcc') === undefined) return
  const platform = await RunningPlatform.start(t)
  const names = readdirSync(PAGES).filter((file) => file.endsWith('.md') && file !== 'README.md')
  for (const file of names) {
    const stream = file.replace('.md', '')
    const { sh, c, json } = blocksOf(readFileSync(join(PAGES, file), 'utf8'))
    const directory = join(scratchDirectory(t), stream)
    mkdirSync(directory)
    writeFileSync(join(directory, 'telltale.h'), readFileSync(join(PAGES, 'telltale.h')))
    writeFileSync(join(directory, `${stream}.c`), c[0] ?? assert.fail(file))
    const script = sh
      .join('\n')
      .replace('npx telltale', `"${process.execPath}" "${join(ROOT, 'cli/telltale.js')}"`)
      .replaceAll('-p 1883', `-p ${platform.mqttPort}`)
    const env = { ...plainEnvironment(), TELLTALE_DATA_DIR: platform.directory }
    await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { cwd: directory, env })
    const readings = await storedOf(platform, stream)
    const { ts, ...values } = JSON.parse(json[0] ?? '{}')
    assert.equal(readings[0]?.ts, ts > 1e15 ? ts / 1_000 : ts, 'that of the program, which has the time of the page')
    for (const reading of readings) assert.deepEqual(reading.values, flat(values), stream)
  }
  const { accepted, stored, deadLettered } = await platform.settled()
  assert.deepEqual([accepted, stored, deadLettered], [2 * names.length, 2 * names.length, 0])
})

/** The two readings of a stream, when they are stored, the oldest first. */
async function storedOf(platform: RunningPlatform, stream: string) {
  let readings: readonly Reading[] = []
  await until(async () => {
    readings = await platform.readings(`filter=devices/device-1/telemetry/${stream}&from=2025-11-01`)
    return readings.length === 2
  })
  return readings
}

function flat(values: Readonly<Record<string, unknown>>, above = ''): Record<string, unknown> {
  const entries = Object.entries(values).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null
      ? Object.entries(flat(value as Record<string, unknown>, `${above}${name}_`))
      : [[above + name, value] as const],
  )
  return Object.fromEntries(entries)
}
