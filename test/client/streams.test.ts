/** The types of readings: made of the schemas, and found by the filter. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  type Client,
  connect,
  type Environment,
  type Reading,
  type Streams,
  type Subscription,
  type Value,
} from '../../client/client.ts'
import { mapMaker } from '../../maps/maps.ts'
import { catalogueOf } from '../../schemas/catalogue.ts'
import { declareStreams } from '../../schemas/declarations.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { telltale } from '../cli/telltale.ts'
import { startPlatform } from '../gateway/platform.ts'
import { probe, schemaFolder } from '../schemas/schema-folder.ts'
import { scratchDirectory } from '../scratch.ts'
import { ROOT } from '../tree.ts'

const COMMAND = ['--import', 'tsx', join(ROOT, 'client/command.ts')]

async function command(...args: string[]) {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const run = promisify(execFile)(process.execPath, [...COMMAND, ...args], { cwd: ROOT, env })
  return run
    .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }))
    .catch(({ code, stdout, stderr }) => ({ code, stdout, stderr }))
}

test('the types that the SDK has are those of the shipped schemas: `node cli/telltale.js schemas types schemas > client/streams.ts`', async (t) => {
  const { stdout } = await telltale(scratchDirectory(t), ['schemas', 'types', 'schemas'])
  assert.equal(stdout, readFileSync(join(ROOT, 'client/streams.ts'), 'utf8'))
})

test("the command prints a gateway's types, and says what is wrong", async (t) => {
  const platform = await startPlatform(t, 'node')
  const { stdout } = await command('types', platform.url, '--token', platform.token)
  assert.equal(stdout, readFileSync(join(ROOT, 'client/streams.ts'), 'utf8'))
  const { code, stderr } = await command('types', platform.url)
  assert.deepEqual([code, /token/.test(stderr), stderr.split('\n').length], [1, true, 2])
  assert.equal((await command('tpyes', platform.url)).code, 2)
  assert.equal((await command('types', 'schemas')).code, 2)
})

/** A version of the stream `fuel_tank`. */
const fuelTank = (...fields: object[]) => ({ ...probe(...fields), name: 'fuel_tank' })

const declarationsOf = (folder: string) => declareStreams(catalogueOf(Registry.load(folder)))
const linesOf = (text: string) => text.split('\n').filter((line) => line.startsWith('  '))

test('each type has its own, nested and null as readings have them; the columns are those of the platform', (t) => {
  const mode = { type: 'enum', name: 'mode', symbols: ['on', 'off'] }
  const point = {
    type: 'record',
    name: 'point',
    fields: [
      { name: 'x', type: 'double' },
      { name: 'label', type: ['string', 'null'] },
    ],
  }
  const schema = fuelTank(
    { name: 'mode', type: mode, doc: 'What it does, */ or\n  not.' },
    { name: 'was', type: ['null', 'mode'], default: null },
    { name: 'at', type: point },
    { name: 'goal', type: ['null', 'point'], default: null, unit: undefined },
    { name: 'count', type: { type: 'long' }, unit: '1' },
    { name: 'on', type: 'boolean' },
    { name: 'site', type: 'string', tag: true },
    { name: 'made', type: { type: 'int', logicalType: 'date' } },
    { name: 'mac', type: { type: 'fixed', name: 'mac', size: 6 } },
    { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 } },
  )
  const folder = schemaFolder(t, { 'fuel_tank/1.avsc': schema })
  const lines = linesOf(declarationsOf(folder))
  assert.deepEqual(lines, [
    '  /** What it does, * / or not. */',
    "  readonly mode: 'on' | 'off'",
    "  readonly was?: 'on' | 'off'",
    '  readonly at_x: number',
    '  readonly at_label?: string',
    '  readonly goal_x?: number',
    '  readonly goal_label?: string',
    '  readonly count: number',
    '  readonly on: boolean',
    '  /** A tag. */',
    '  readonly site?: string',
    '  /** The text of a date. */',
    '  readonly made: string',
    '  /** In hexadecimal. */',
    '  readonly mac: string',
    '  readonly price: number',
    '  readonly fuel_tank: FuelTank',
  ])
  const [stream] = Registry.load(folder).streams
  const named = lines.map((line) => /readonly (\w+)\??:/.exec(line)?.[1]).filter((name) => name !== undefined)
  assert.deepEqual(
    named.slice(0, -1),
    stream?.columns.map(({ name }) => name),
  )
  for (const { name } of Registry.load(SHIPPED_SCHEMAS_DIR).streams)
    assert.match(declared, new RegExp(`readonly ${name}: `))
})

test('what older versions have stored fits the types, too: columns that they lack, symbols that only they have', (t) => {
  const state = (...symbols: string[]) => ({ type: 'enum', name: 'state', symbols, default: 'idle' })
  const folder = schemaFolder(t, {
    'fuel_tank/1.avsc': fuelTank({ name: 'state', type: state('idle', 'busy') }),
    'fuel_tank/2.avsc': fuelTank(
      { name: 'state', type: state('idle', 'full') },
      { name: 'level', type: 'float', default: 0, unit: 'L' },
    ),
  })
  assert.deepEqual(linesOf(declarationsOf(folder)).slice(0, -1), [
    "  readonly state: 'idle' | 'full' | 'busy'",
    '  /** In L. Since version 2. */',
    '  readonly level?: number',
  ])
})

test('a stream that maps make has the columns that are known of it, none of them sure to come', (t) => {
  const map =
    'topic: tele/{device}/SENSOR\nstream: streams\nfields: { temperature: { path: T, unit: Cel }, on: { path: P, type: boolean } }'
  const folder = schemaFolder(t, { 'fuel_tank/1.avsc': fuelTank({ name: 'x', type: 'int' }) })
  const files = { ...readSchemaFiles(folder), maps: [{ file: 'config/maps/tasmota.yaml', text: map }] }
  const registry = Registry.of(files, undefined, undefined, mapMaker())
  const text = declareStreams(catalogueOf(registry))
  assert.match(text, /^\/\*\* streams, made by tasmota\.yaml \*\/\nexport interface Streams_ \{$/m)
  assert.deepEqual(linesOf(text).slice(1), [
    '  /** In Cel. */',
    '  readonly temperature?: number',
    '  readonly on?: boolean',
    '  readonly fuel_tank: FuelTank',
    '  readonly streams: Streams_',
  ])
})

test('an app that is written by the types is compiled by TypeScript, as strict as it can be', async (t) => {
  const folder = schemaFolder(t, {
    'fuel_tank/1.avsc': fuelTank(
      { name: 'level', type: 'float', unit: 'L' },
      { name: 'state', type: ['null', { type: 'enum', name: 'state', symbols: ['idle', 'busy'] }], default: null },
    ),
  })
  const directory = scratchDirectory(t)
  const { stdout } = await telltale(directory, ['schemas', 'types', folder])
  writeFileSync(join(directory, 'streams.ts'), stdout)
  writeFileSync(
    join(directory, 'app.ts'),
    `import { connect } from '${join(ROOT, 'client/client.ts')}'
     import type { FuelTank, Streams } from './streams.ts'
     const live = connect<Streams>('https://telltale.example', { token: 'x' })
     for await (const { values } of live.subscribe('devices/+/telemetry/fuel_tank', { start: 'latest' })) {
       const level: number = values.level
       const state: 'idle' | 'busy' | undefined = values.state
       const all: FuelTank = values
       console.log(level.toFixed(1), state, all)
       // @ts-expect-error: it may be absent
       console.log(values.state.length)
       // @ts-expect-error: there is no such column
       console.log(values.lefel)
     }
     // @ts-expect-error: there is no such column
     live.subscribe('devices/+/telemetry/fuel_tank', { fields: ['lefel'] })`,
  )
  const options =
    '--noEmit --strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --allowImportingTsExtensions'
  const target = '--target ES2022 --lib ES2022,DOM --module ESNext --moduleResolution Bundler --types node'
  const roots = ['--typeRoots', join(ROOT, 'node_modules/@types')]
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const args = [...`${options} ${target}`.split(' '), ...roots, join(directory, 'app.ts')]
  await promisify(execFile)(tsc, args, { cwd: directory }).catch(({ stdout }) => assert.fail(String(stdout)))
})

const declared = readFileSync(join(ROOT, 'client/streams.ts'), 'utf8')

/** Holds where it compiles: two types that are one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(..._: Same<A, B> extends true ? [] : [never]): void => undefined

test('a filter gives its readings their types', () => {
  const live: Client = connect('http://127.0.0.1:1')
  const device = 'truck-7' as string
  // Never called: that it compiles is the test.
  const typed = async () => {
    const one = live.subscribe('devices/+/telemetry/environment')
    same<typeof one, Subscription<Reading<'environment', Environment>>>()
    const built = live.subscribe(`devices/${device}/telemetry/environment`)
    same<typeof built, typeof one>()
    const two = live.subscribe(['devices/a/telemetry/environment', 'devices/a/telemetry/power'])
    for await (const reading of two) {
      if (reading.stream === 'power') same<typeof reading.values.circuit, string | undefined>()
      else same<typeof reading.values.temperature, number>()
    }
    const any = live.subscribe('devices/+/telemetry/#')
    for await (const reading of any) same<typeof reading.stream, keyof Streams>()
    const own = live.subscribe('devices/+/telemetry/tasmota')
    for await (const { values } of own) same<(typeof values)[string], Value>()
    const chosen = await live.latest('devices/+/telemetry/environment', { fields: ['temperature'] })
    same<NonNullable<(typeof chosen)[number]>['values']['temperature'], number>()
    same<NonNullable<(typeof chosen)[number]>['values']['rssi'], number | undefined>()
    // @ts-expect-error: no such column
    live.subscribe('devices/+/telemetry/environment', { fields: ['temprature'] })
    const text: string = 'devices/+/telemetry/environment'
    const untyped = live.subscribe(text)
    same<typeof untyped, Subscription<Reading>>()
    for await (const { values } of live.history('devices/a/telemetry/vibration'))
      same<typeof values.axis, 'x' | 'y' | 'z'>()
    interface Own {
      readonly tasmota: { readonly current?: number }
    }
    const mine = connect<Own>('http://127.0.0.1:1').subscribe('devices/+/telemetry/tasmota')
    for await (const { values } of mine) same<typeof values.current, number | undefined>()
  }
  assert.equal(typeof typed, 'function')
})
