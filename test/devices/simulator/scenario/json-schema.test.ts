import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import { sourceOf } from '../../../../devices/simulator/messages/source.ts'
import { FAULT_KINDS } from '../../../../devices/simulator/scenario/fault-schema.ts'
import { scenarioJsonSchema } from '../../../../devices/simulator/scenario/json-schema.ts'
import { deviceName, devicesOf, type Scenario } from '../../../../devices/simulator/scenario/scenario.ts'
import { readScenario } from '../../../../devices/simulator/scenario/scenario-file.ts'
import { Rejection } from '../../../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../../schemas/registry.ts'

const SIMULATOR = new URL('../../../../devices/simulator/', import.meta.url).pathname
const SCHEMA_FILE = join(SIMULATOR, 'scenario/scenario.schema.json')
const SCENARIOS = join(SIMULATOR, 'scenarios')
const files = readdirSync(SCENARIOS)

if (process.env.UPDATE === '1') writeFileSync(SCHEMA_FILE, `${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`)
const validate = new Ajv({ allowUnionTypes: true }).compile(JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')))

test('the schema that editors have is made of what the reader checks by', () => {
  assert.deepEqual(
    JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')),
    JSON.parse(JSON.stringify(scenarioJsonSchema())),
    'UPDATE=1 writes it anew',
  )
})

test('each of its keys says what it is', () => {
  const silent: string[] = []
  const look = (schema: unknown, path: string) => {
    if (typeof schema !== 'object' || schema === null) return
    const { properties = {} } = schema as { properties?: Record<string, { description?: string; const?: unknown }> }
    for (const [key, value] of Object.entries(properties)) {
      const isPlain = ['kind', 'min', 'max', 'value', 'values', 'from'].includes(key)
      if (value.description === undefined && !isPlain) silent.push(`${path}.${key}`)
    }
    for (const [key, value] of Object.entries(schema)) look(value, `${path}.${key}`)
  }
  look(scenarioJsonSchema(), '')
  assert.deepEqual(silent, [])
})

test('shipped scenarios are read, name their schema in the first line, and are valid by it', () => {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  assert.deepEqual(files, ['flaky.yaml', 'fleet.yaml', 'hostile.yaml', 'mixed.yaml', 'site.yaml'])
  for (const file of files) {
    const text = readFileSync(join(SCENARIOS, file), 'utf8')
    assert.equal(text.split('\n')[0], '# yaml-language-server: $schema=../scenario/scenario.schema.json', file)
    assert(readScenario(join(SCENARIOS, file), registry).fleet.length > 0)
    assert(validate(parse(text)), `${file}: ${JSON.stringify(validate.errors)}`)
  }
})

test('the shipped fleet is what it is said to be, and each kind of fault is in one of the scenarios', () => {
  const scenarios = files.map((file) => readScenario(join(SCENARIOS, file)))
  const kindsOf = ({ faults }: Pick<Scenario, 'faults'>) => new Set(faults.map(({ kind }) => kind))
  const fleet = scenarios.find(({ name }) => name === 'two thousand trucks')
  assert(fleet !== undefined)
  assert.equal(devicesOf(fleet), 2_000)
  assert.equal(fleet.durationMs, 300_000)
  const sends = fleet.fleet.flatMap((group) => group.sends)
  assert.equal(sends.find(({ stream }) => stream === 'vehicle')?.versions?.length, 2)
  assert.equal(
    sends.reduce((rate, { everyMs }) => rate + 1_000 / everyMs, 0),
    1,
  )
  assert(kindsOf(fleet).size >= 8)
  assert.deepEqual([...new Set(scenarios.flatMap((each) => [...kindsOf(each)]))].sort(), [...FAULT_KINDS].sort())
})

test('all that the shipped scenarios send can be sent with the shipped schemas, and is taken', () => {
  const schemas = new SimulatorSchemas(Registry.load(SHIPPED_SCHEMAS_DIR))
  const at = Date.UTC(2026, 0, 31)
  for (const file of files) {
    const { fleet, seed } = readScenario(join(SCENARIOS, file), schemas.registry)
    for (const group of fleet) {
      for (const sending of group.sends) {
        for (const index of sending.versions?.keys() ?? [0]) {
          const source = sourceOf({ group, sending, device: deviceName(group, index), index, seed }, { schemas })
          const read = source.read(source.topic, source.write(source.measure(at)), at)
          assert(!(read instanceof Rejection), `${file}: ${read instanceof Rejection ? read.reason : ''}`)
          assert.equal(read.length, sending.batch)
        }
      }
    }
  }
})

test('mistakes are none of the schema', () => {
  const sends = [{ stream: 'vehicle' }]
  const wrong: Record<string, unknown> = {
    'no fleet': { seed: 1 },
    'an unknown key': { fleet: [{ sends }], seeds: 1 },
    'a negative seed': { fleet: [{ sends }], seed: -1 },
    'a duration without a unit': { fleet: [{ sends }], duration: 30 },
    'no stream': { fleet: [{ sends: [{}] }] },
    'an unknown format': { fleet: [{ sends: [{ stream: 'vehicle', format: 'xml' }] }] },
    'too many devices': { fleet: [{ sends, devices: 20_001 }] },
    'another version of MQTT': { fleet: [{ sends, mqtt: 4 }] },
    'an unknown kind of fault': { fleet: [{ sends }], faults: [{ kind: 'quake', at: '1s' }] },
    'a fault without its beginning': { fleet: [{ sends }], faults: [{ kind: 'mute' }] },
    'a key that the kind has not': { fleet: [{ sends }], faults: [{ kind: 'mute', at: '1s', share: '5%' }] },
    'a condition that is no text': { fleet: [{ sends }], 'fail-if': [3] },
  }
  assert(validate({ fleet: [{ sends }], faults: [{ kind: 'mute', at: '1s', devices: '5%' }], 'fail-if': ['lost>0'] }))
  for (const [name, scenario] of Object.entries(wrong)) assert(!validate(scenario), name)
})
