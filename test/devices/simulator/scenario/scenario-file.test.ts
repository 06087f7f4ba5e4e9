import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Fault } from '../../../../devices/simulator/scenario/fault.ts'
import type { Scenario } from '../../../../devices/simulator/scenario/scenario.ts'
import {
  parseScenario,
  readScenario,
  SCENARIO_BYTES_MAX,
  ScenarioError,
} from '../../../../devices/simulator/scenario/scenario-file.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../../schemas/registry.ts'
import { telltale } from '../../../cli/telltale.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { siteSchemas } from '../messages/sources.ts'

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const ENDLESS = Number.POSITIVE_INFINITY
const SENDS = 'sends: [{ stream: environment }]'

const parse = (text: string | Buffer): Scenario => parseScenario('s.yaml', Buffer.from(text as string), registry)

function mistakesOf(text: string | Buffer): readonly string[] {
  try {
    parse(text)
  } catch (error) {
    assert(error instanceof ScenarioError, String(error))
    return error.mistakes
  }
  return []
}

const faultOf = (text: string): Fault | undefined => parse(`fleet: [{ ${SENDS} }]\nfaults: [${text}]`).faults[0]

test('a file says what is asked of a run', () => {
  const scenario = parse(
    `
name: two thousand trucks
seed: 7
start: 2026-01-31T12:00Z
duration: 5m
messages: 1000000
ramp: 30s
drain: 0
fleet:
  - prefix: truck-
    devices: 2000
    mqtt: 5
    keepalive: 2m
    sends:
      - { stream: vehicle, every: 1s, versions: [1, 2] }
      - { stream: environment, rate: 0.1, format: json, qos: 0, batch: 5, burst: 3 }
  - prefix: meter-
    devices: 1
    mqtt: 3.1.1
    sends:
      - stream: power
        every: 0
        signals:
          frequency: { kind: walk, min: 49.9, max: 50.1, step: 0.01, decimals: 2 }
          energy_import: { kind: counter, step: 0.5 }
          l1_voltage: { kind: daily, min: 225, max: 235 }
          l1_current: { kind: constant, value: 3 }
          circuit: { kind: one-of, values: [a, b], change: 5% }
faults:
  - { kind: link-loss, at: 60s, for: 30s, devices: 10% }
  - { kind: truncated, at: 90s, for: 30s, devices: truck-1*, share: 5% }
fail-if: [lost>0, p99>500ms]
`,
  )
  assert.deepEqual(scenario, {
    name: 'two thousand trucks',
    seed: 7,
    startAt: Date.UTC(2026, 0, 31, 12),
    durationMs: 300_000,
    messages: 1_000_000,
    rampMs: 30_000,
    drainMs: 0,
    fleet: [
      {
        prefix: 'truck-',
        devices: 2_000,
        mqtt: '5',
        keepaliveSeconds: 120,
        sends: [
          { ...SENDING, stream: 'vehicle', versions: [1, 2] },
          { ...SENDING, stream: 'environment', everyMs: 10_000, format: 'json', qos: 0, batch: 5, burst: 3 },
        ],
      },
      {
        prefix: 'meter-',
        devices: 1,
        mqtt: '3.1.1',
        keepaliveSeconds: 60,
        sends: [
          {
            ...SENDING,
            stream: 'power',
            everyMs: 0,
            signals: {
              frequency: { kind: 'walk', min: 49.9, max: 50.1, step: 0.01, decimals: 2 },
              energy_import: { kind: 'counter', from: 0, step: 0.5 },
              l1_voltage: { kind: 'daily', min: 225, max: 235, peak: '14:00', noise: 0 },
              l1_current: { kind: 'constant', value: 3 },
              circuit: { kind: 'one-of', values: ['a', 'b'], change: 0.05 },
            },
          },
        ],
      },
    ],
    faults: [
      { kind: 'link-loss', atMs: 60_000, forMs: 30_000, devices: { share: 0.1 } },
      { kind: 'truncated', atMs: 90_000, forMs: 30_000, devices: { ids: 'truck-1*' }, share: 0.05 },
    ],
    failIf: ['lost>0', 'p99>500ms'],
  })
})

const SENDING = {
  everyMs: 1_000,
  burst: 1,
  qos: 1,
  batch: 1,
  format: 'avro',
  versions: undefined,
  signals: {},
  topic: undefined,
}

test('where it says nothing there are defaults', () => {
  assert.deepEqual(parse('fleet: [{ sends: [{ stream: environment }] }]'), {
    name: 's',
    seed: 1,
    startAt: undefined,
    durationMs: ENDLESS,
    messages: ENDLESS,
    rampMs: 0,
    drainMs: 10_000,
    fleet: [
      {
        prefix: 'sim-',
        devices: 10,
        mqtt: '3.1.1',
        keepaliveSeconds: 60,
        sends: [{ ...SENDING, stream: 'environment' }],
      },
    ],
    faults: [],
    failIf: [],
  })
})

test('each kind of fault is written with what it has', () => {
  const all = { atMs: 0, forMs: ENDLESS, devices: { share: 1 } }
  for (const [text, fault] of [
    ['{ kind: link-loss, at: 0 }', { kind: 'link-loss', ...all }],
    ['{ kind: reconnect-storm, at: 0s }', { kind: 'reconnect-storm', ...all, jitterMs: 0 }],
    ['{ kind: reconnect-storm, at: 0s, jitter: 5s }', { kind: 'reconnect-storm', ...all, jitterMs: 5_000 }],
    ['{ kind: duplicates, at: 0 }', { kind: 'duplicates', ...all, share: 0.1 }],
    ['{ kind: reordering, at: 0, share: 0.5 }', { kind: 'reordering', ...all, share: 0.5 }],
    ['{ kind: clock-offset, at: 0, by: -5m }', { kind: 'clock-offset', ...all, byMs: -300_000 }],
    ['{ kind: clock-offset, at: 0, by: +5m }', { kind: 'clock-offset', ...all, byMs: 300_000 }],
    ['{ kind: clock-drift, at: 0, per-hour: 2s }', { kind: 'clock-drift', ...all, msPerHour: 2_000 }],
    ['{ kind: clock-jump, at: 0, by: 1h }', { kind: 'clock-jump', ...all, byMs: 3_600_000 }],
    ['{ kind: repeated-times, at: 0 }', { kind: 'repeated-times', ...all, share: 0.1 }],
    ['{ kind: stuck, at: 0 }', { kind: 'stuck', ...all, column: undefined }],
    ['{ kind: stuck, at: 0, column: humidity }', { kind: 'stuck', ...all, column: 'humidity' }],
    ['{ kind: spikes, at: 0 }', { kind: 'spikes', ...all, share: 0.1, factor: 10 }],
    ['{ kind: spikes, at: 0, factor: -3 }', { kind: 'spikes', ...all, share: 0.1, factor: -3 }],
    ['{ kind: truncated, at: 0 }', { kind: 'truncated', ...all, share: 0.1 }],
    ['{ kind: hostile, at: 0 }', { kind: 'hostile', ...all, share: 0.1 }],
    ['{ kind: unknown-schema, at: 0 }', { kind: 'unknown-schema', ...all, share: 0.1 }],
    ['{ kind: forbidden-topic, at: 0 }', { kind: 'forbidden-topic', ...all, share: 0.1 }],
    ['{ kind: expired-token, at: 0 }', { kind: 'expired-token', ...all }],
    ['{ kind: revoked-token, at: 0 }', { kind: 'revoked-token', ...all }],
    ['{ kind: wrong-client-id, at: 0 }', { kind: 'wrong-client-id', ...all }],
    ['{ kind: same-id, at: 0 }', { kind: 'same-id', ...all }],
    ['{ kind: mute, at: 0 }', { kind: 'mute', ...all }],
    ['{ kind: never-acknowledges, at: 0 }', { kind: 'never-acknowledges', ...all }],
  ] as const) {
    assert.deepEqual(faultOf(text), fault, text)
  }
})

test('whom a fault befalls is a share, a count or ids', () => {
  for (const [written, devices] of [
    ['10%', { share: 0.1 }],
    ['100 %', { share: 1 }],
    ['0.25', { share: 0.25 }],
    ['1', { count: 1 }],
    ['10', { count: 10 }],
    ['sim-1', { ids: 'sim-1' }],
    ['sim-*', { ids: 'sim-*' }],
    ["'*-10'", { ids: '*-10' }],
  ] as const) {
    assert.deepEqual(faultOf(`{ kind: mute, at: 0, devices: ${written} }`)?.devices, devices, written)
  }
})

test('all mistakes of a file are told at once, in its order, each with line, column and what is allowed', () => {
  const text = `seeds: 3
duration: 5 minutes
fleet:
  - prefix: truck/
    mqtt: 4
    keepalive: 1.5s
    sends:
      - { stream: vehicel, evry: 1s }
      - { stream: vehicle, versions: [1, 3], signals: { speed: { kind: constant, value: 1 } } }
      - { stream: environment, every: 1s, rate: 2, format: protobuf }
      - { stream: environment, qos: 3, topic: a/b }
      - { stream: environment, format: map }
  - {}
  -
faults:
  - { kind: link-los, at: 60s }
  - { at: 60s }
  - { kind: truncated, devices: 0, share: 5 }
  - { kind: clock-jump, at: 1s, for: 30s, by: 3 }
fail-if: [lost>0, p99>500, 3]
`
  const found = mistakesOf(text).map((mistake) => mistake.replace(/(there are|allowed (is|are)) .*/, '...'))
  assert.deepEqual(found, [
    's.yaml:1:1: "seeds" is no key, and nearest is seed; ...',
    's.yaml:2:11: duration: is "5 minutes"; ...',
    's.yaml:4:13: fleet[0].prefix: is "truck/"; ...',
    's.yaml:5:11: fleet[0].mqtt: is 4; ...',
    's.yaml:6:16: fleet[0].keepalive: is 1500ms; ...',
    's.yaml:8:19: fleet[0].sends[0].stream: "vehicel" is no stream, and nearest is vehicle; ...',
    's.yaml:8:28: fleet[0].sends[0]: "evry" is no key, and nearest is every; ...',
    's.yaml:9:42: fleet[0].sends[1].versions[1]: vehicle has no version 3; ...',
    's.yaml:9:57: fleet[0].sends[1].signals: "speed" is no column of vehicle; ...',
    's.yaml:10:43: fleet[0].sends[2]: rate says the same as every; ...',
    's.yaml:10:60: fleet[0].sends[2].format: is protobuf, and version 1 of environment has no .proto',
    's.yaml:11:37: fleet[0].sends[3].qos: is 3; ...',
    's.yaml:11:40: fleet[0].sends[3]: topic has no effect; ...',
    's.yaml:12:9: fleet[0].sends[4]: has the format map and no topic; ...',
    's.yaml:13:5: fleet[1].sends: is missing; ...',
    's.yaml:14:4: fleet[2]: is empty; ...',
    's.yaml:16:13: faults[0].kind: is "link-los", which is no kind of fault, and nearest is link-loss; ...',
    's.yaml:17:5: faults[1].kind: is missing; ...',
    's.yaml:18:5: faults[2].at: is missing; ...',
    's.yaml:18:33: faults[2].devices: is 0; ...',
    's.yaml:18:43: faults[2].share: is 5; ...',
    's.yaml:19:33: faults[3]: "for" is no key; ...',
    's.yaml:19:47: faults[3].by: is 3; ...',
    's.yaml:20:19: fail-if[1]: "p99>500": p99 is a time: right is a duration with its unit, such as 250ms or 2s',
    's.yaml:20:28: fail-if[2]: is 3; ...',
  ])
})

test('what is allowed is told in words', () => {
  for (const [text, words] of [
    ['seed: -1', 'allowed is a whole number from 0 to 4294967295'],
    ['seed: 1.5', 'allowed is a whole number from 0 to 4294967295'],
    ['seed: .inf', 'allowed is a whole number from 0 to 4294967295'],
    ['start: soon', 'allowed is a time such as 2026-01-31T12:00:00Z; without a zone it is UTC'],
    ['duration: 30', 'allowed is a duration such as 500ms, 30s, 5m, from 1ms to 24d'],
    ['duration: 0s', 'allowed is a duration such as 500ms, 30s, 5m, from 1ms to 24d'],
    ['duration: 25d', 'allowed is a duration such as 500ms, 30s, 5m, from 1ms to 24d'],
    ['ramp: -1s', 'allowed is a duration such as 500ms, 30s, 5m, from 0ms to 24d'],
    ['name: 3', 'allowed is text of 1 to 200 characters, in quotes where it is a number'],
    ['faults: 3', 'allowed is a list of at most 200 faults'],
    ['fail-if: lost>0', 'allowed is a list of at most 50 conditions'],
    [
      'fail-if: [nonsense]',
      'is no condition: right is a name, one of >= <= > < and a limit, such as p99>250ms or lost>0',
    ],
  ] as const) {
    const [mistake, ...others] = mistakesOf(`fleet: [{ ${SENDS} }]\n${text}`)
    assert(mistake?.endsWith(words), `${text}: ${mistake}`)
    assert.deepEqual(others, [], text)
  }
  assert.match(mistakesOf('seed: 1')[0] ?? '', /fleet: is missing; allowed is a list of 1 to 100 groups of devices$/)
  assert.match(mistakesOf('fleet: []')[0] ?? '', /fleet: is a list of 0; allowed is a list of 1 to 100/)
})

test('what does not go together is told', () => {
  const groups = (...groups: string[]) => `fleet: [${groups.map((each) => `{ ${each}, ${SENDS} }`).join(', ')}]\n`
  for (const [text, words] of [
    [groups('prefix: a-', 'prefix: a-'), /fleet\[1\]\.prefix: makes a second a-1 beside that of fleet\[0\]/],
    [groups('prefix: a, devices: 12', 'prefix: a1, devices: 3'), /makes a second a11 beside that of fleet\[0\]/],
    [groups('prefix: a, devices: 12000', 'devices: 8001'), /fleet: has 20001 devices; allowed are at most 20000/],
    [groups(`prefix: ${'p'.repeat(63)}`), /makes the device id "p+/],
    [`${groups('devices: 1')}duration: 10s\nramp: 10s`, /ramp: takes 10s, and the run lasts 10s/],
    [
      `${groups('devices: 1')}duration: 1m\nfaults: [{ kind: mute, at: 90s }]`,
      /faults\[0\]\.at: begins 90s after the start, and the run lasts 1m/,
    ],
    [
      `${groups('devices: 1')}duration: 1m\nfaults: [{ kind: mute, at: 1m }]`,
      /begins 1m after the start, and the run lasts 1m/,
    ],
    [`${groups('devices: 3')}faults: [{ kind: mute, at: 0, devices: 4 }]`, /devices: is 4, and the fleet has 3/],
    [
      `${groups('devices: 3')}faults: [{ kind: mute, at: 0, devices: truck* }]`,
      /devices: "truck\*" is no device's id; there are sim-1 to sim-3/,
    ],
    [
      `${groups('devices: 3')}faults: [{ kind: stuck, at: 0, column: humidty }]`,
      /column: "humidty" is no column of environment, and nearest is humidity; there are temperature/,
    ],
    [
      'fleet: [{ sends: [{ stream: power, signals: { frequency: { kind: walk, min: 3, max: 1, step: 1 } } }] }]',
      /signals\.frequency\.min: is 3, and max is 1/,
    ],
  ] as const) {
    const [mistake, ...others] = mistakesOf(text)
    assert.match(mistake ?? '', words, text)
    assert.deepEqual(others, [], text)
  }
})

test('whom a fault befalls, and when, is looked at beside other mistakes of its own and of the fleet', () => {
  const mistakes = mistakesOf(`
duration: 30s
fleet:
  - { prefix: truck-, devices: 3, sends: [{ stream: environment, every: soon }] }
faults:
  - { kind: link-loss, at: 50s, devices: lorry-*, colour: red }
  - { kind: nothing, at: 1s, devices: 4 }
`)
  const told = mistakes.map((mistake) => mistake.replace(/^s\.yaml:\d+:\d+: /, ''))
  for (const words of [
    /every/,
    /begins 50s after/,
    /"lorry-\*" is no device's id/,
    /colour/,
    /nothing/,
    /is 4, and the fleet has 3/,
  ])
    assert(
      told.some((mistake) => words.test(mistake)),
      `${words} is not among ${told.join('; ')}`,
    )
})

test('a fault may begin at any time before the end', () => {
  const text = `fleet: [{ ${SENDS} }]\nduration: 1m\nfaults: [{ kind: mute, at: 59s }]`
  assert.deepEqual(mistakesOf(text), [])
})

test('streams are asked for only where they are known', () => {
  const text = Buffer.from('fleet: [{ sends: [{ stream: none, versions: [9] }] }]')
  assert.equal(parseScenario('s.yaml', text).fleet[0]?.sends[0]?.stream, 'none')
})

test('streams that maps make, and what a device of Sparkplug says, have no schema to be checked by', () => {
  const told = (prefix: string, ...sends: readonly string[]) => {
    try {
      const text = `fleet: [{ prefix: '${prefix}', sends: [${sends.map((each) => `{ ${each} }`).join(', ')}] }]`
      parseScenario('s.yaml', Buffer.from(text), siteSchemas.registry)
      return []
    } catch (error) {
      assert(error instanceof ScenarioError)
      return error.mistakes
    }
  }
  const signals = 'signals: { anything: { kind: constant, value: 1 } }'
  const topic = "topic: 'tele/{device}/SENSOR'"
  const sparkplug = `stream: press, format: sparkplug, ${signals}`
  assert.deepEqual(told('sim-', `stream: tasmota, format: map, ${topic}, ${signals}`), [])
  assert.deepEqual(told('plant:node-', sparkplug), [])
  assert.deepEqual(
    told('plant:node-', "stream: power, format: sparkplug, topic: 'spBv1.0/plant/DDATA/{node}/press'"),
    [],
  )
  for (const [mistakes, words] of [
    [told('sim-', `stream: nothing, format: map, ${topic}`), /sends\[0\]\.stream: "nothing" is no stream; there are/],
    [
      told('sim-', `stream: tasmota, ${signals}`),
      /format: is avro, and tasmota has no schema: maps make it; allowed are map/,
    ],
    [
      told('sim-', 'stream: environment, format: map, topic: a/b'),
      /topic: is "a\/b"; allowed is one with \{device\} in it/,
    ],
    [told('sim-', `stream: environment, format: map, ${topic}, ${signals}`), /"anything" is no column of environment/],
    [told('node-', sparkplug), /prefix: is "node-"; allowed for Sparkplug is \{group\}:\{node\}, such as plant:node-/],
    [
      told('plant:node-', sparkplug, 'stream: power, format: sparkplug'),
      /sends\[1\]\.format: is sparkplug a second time/,
    ],
    [told('plant:node-', `${sparkplug}, topic: a`), /topic: is "a"; allowed is one with \{node\} in it/],
  ] as const) {
    const [mistake, ...others] = mistakes
    assert.match(mistake ?? '', words)
    assert.deepEqual(others, [])
  }
})

test('the command tells each mistake in a line of its own, and ends as with any wrong usage', async (t) => {
  const directory = scratchDirectory(t)
  const file = join(directory, 'wrong.yaml')
  writeFileSync(file, 'seed: -1\nfleet: [{ sends: [{ stream: vehicel }] }]\n')
  const { code, stderr, stdout } = await telltale(directory, ['simulate', '--scenario', file])
  assert.equal(code, 2)
  assert.equal(stdout, '')
  const [first, second, ...rest] = stderr.split('\n')
  assert.equal(first, `error: ${file}:1:7: seed: is -1; allowed is a whole number from 0 to 4294967295`)
  assert(second?.startsWith(`${file}:2:29: fleet[0].sends[0].stream: "vehicel" is no stream, and nearest is vehicle`))
  assert.deepEqual(rest, [''])
})

test('what YAML can do to a reader it does not do to this one', () => {
  const bomb = `a: &a [x]\n${'bcdefgh'
    .split('')
    .map((name, index) => `${name}: &${name} [${'*'.concat('abcdefg'[index] ?? '', ', ').repeat(9)}]\n`)
    .join('')}`
  for (const [text, words] of [
    ['', /^s.yaml:1:1: is empty; a scenario has at least a fleet$/],
    ['# nothing\n', /is empty/],
    ['- 1\n', /^s.yaml:1:1: is a list of 1; allowed is a map with name/],
    ['fleet', /is "fleet"; allowed is a map/],
    ['seed: 1\nseed: 2\n', /^s.yaml:2:1: the key seed is there twice$/],
    ['seed: 1\n---\nseed: 2\n', /^s.yaml:2:1: a second document begins here/],
    ['seed: [1\n', /^s.yaml:2:1: is not YAML: /],
    [bomb, /^s.yaml:2:8: is an alias, and none is read here/],
    ['seed: &a 1\nramp: *a\n', /^s.yaml:2:7: is an alias/],
    ['faults: [{ devices: * }]', /; text that begins with \* must stand in quotes$/],
    ['['.repeat(100_000), /^s.yaml:1:1: is nested deeper than 50 levels$/],
    [`${'{ a: '.repeat(60)}1${' }'.repeat(60)}`, /is nested deeper than 50 levels$/],
    ['__proto__: { seed: 3 }', /"__proto__" is no key/],
    ['constructor: 3', /"constructor" is no key/],
    ['? [a]\n: 3', /"\[ a \]" is no key/],
    ['a: !!js/function x', /is not YAML: Unresolved tag/],
  ] as const) {
    const told = mistakesOf(text)
    assert(
      told.some((mistake) => words.test(mistake)),
      `${text.slice(0, 50)}: ${told.join('\n')}`,
    )
  }
  for (const column of ['__proto__', 'constructor', 'toString']) {
    const sends = `{ stream: power, signals: { ${column}: { kind: constant, value: 1 } } }`
    assert.match(mistakesOf(`fleet: [{ sends: [${sends}] }]`)[0] ?? '', /is no column of power/)
  }
})

test('of very many mistakes fifty are told, and how many more there are', () => {
  const kinds = Array.from({ length: 120 }, () => '- { kind: mute }\n').join('')
  assert.throws(
    () => parse(`fleet: [{ ${SENDS} }]\nfaults:\n${kinds}`),
    (error) => {
      assert(error instanceof ScenarioError)
      assert.equal(error.code, 'bad-scenario')
      assert.equal(error.mistakes.length, 120)
      assert.equal(error.message.split('\n').length, 51)
      return error.message.endsWith('and 70 more')
    },
  )
})

test('a file that is none, is too large, or is not text, is refused with a sentence', (t) => {
  const directory = scratchDirectory(t)
  const refused = (name: string, words: RegExp) =>
    assert.throws(() => readScenario(join(directory, name), registry), { code: 'bad-scenario', message: words })
  refused('none.yaml', /none\.yaml: cannot be read: ENOENT/)
  mkdirSync(join(directory, 'folder.yaml'))
  refused('folder.yaml', /folder\.yaml: cannot be read: EISDIR/)
  writeFileSync(join(directory, 'large.yaml'), `# ${'x'.repeat(SCENARIO_BYTES_MAX)}`)
  refused('large.yaml', /large\.yaml: is larger than 1 MiB/)
  writeFileSync(join(directory, 'latin1.yaml'), Buffer.from('seed: 1\n# Größe\n', 'latin1'))
  refused('latin1.yaml', /latin1\.yaml:2: is not UTF-8/)
  assert.throws(() => readScenario('/dev/zero', registry), { message: /larger than 1 MiB/ })
  writeFileSync(join(directory, 'marked.yaml'), `\ufefffleet: [{ ${SENDS} }]\r\nseed: 3\r\n`)
  assert.equal(readScenario(join(directory, 'marked.yaml'), registry).seed, 3)
})
