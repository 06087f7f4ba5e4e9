import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Summary, Verification } from '../../../../devices/simulator/report/summary.ts'
import { evaluate } from '../../../../devices/simulator/report/thresholds.ts'
import { MEASURE_NAMES, parseThreshold, requireMeasured } from '../../../../devices/simulator/scenario/threshold.ts'

const percentiles = (p99: number) => ({ count: 100, p50: 1, p90: 2, p99, p999: p99 + 1, max: p99 + 2 })

const SUMMARY: Summary = {
  scenario: 'test',
  url: 'mqtt://127.0.0.1:1883',
  seed: 1,
  startAt: '2026-01-01T00:00:00Z',
  devices: 10,
  streams: ['environment'],
  processes: 1,
  targetRate: 10,
  elapsedMs: 10_000,
  due: 1_000,
  sent: 990,
  unsent: 10,
  readings: 990,
  toAcknowledge: 990,
  acknowledged: 985,
  unacknowledged: 5,
  resent: 3,
  messagesPerSecond: 98.5,
  reconnects: 4,
  refusals: 2,
  commands: 0,
  errors: { 'malformed-avro': 3, 'unknown-schema': 4 },
  reasons: [],
  latencyMs: percentiles(250),
  connectMs: percentiles(20),
  slipMs: percentiles(0.4),
  payloadHash: '',
  faults: [],
  thresholds: [],
  cost: { cpuSeconds: 1, rssBytesMax: 1 },
  interrupted: false,
  ok: true,
}

const VERIFICATION: Verification = {
  acknowledged: 985,
  expectedReadings: 2_000,
  stored: 1_997,
  superseded: 0,
  deadLettered: 7,
  lost: 1,
  duplicated: 2,
  altered: 0,
  late: 4,
  storedUnacknowledged: 0,
  live: { expected: 1_000, came: 999, received: 999, again: 0, unpromised: 0, lost: 1, duplicated: 0, gaps: 0 },
  faults: [],
  asked: ['history'],
  findings: [],
  ok: false,
}

const held = (condition: string, summary: Summary = SUMMARY) => evaluate([parseThreshold(condition)], summary)[0]?.held
const value = (condition: string, summary: Summary = SUMMARY) =>
  evaluate([parseThreshold(condition)], summary)[0]?.value

test('a run fails where a condition is fulfilled, at the limit by its sign', () => {
  for (const [condition, isHeld] of [
    ['p99>250ms', true],
    ['p99>=250ms', false],
    ['p99 > 0.2s', false],
    ['max>252ms', true],
    ['p999>250ms', false],
    ['connect-p99>20ms', true],
    ['slip-p99>0.3ms', false],
    ['rate<100', false],
    ['rate<=98.5', false],
    ['rate<98.5', true],
    ['unacknowledged>5', true],
    ['unacknowledged>0.5%', false],
    ['unacknowledged>1%', true],
    ['unsent>=1%', false],
    ['resent>2', false],
    ['errors>6', false],
    ['errors>7', true],
    ['refusals>1', false],
    ['reconnects>3', false],
  ] as const) {
    assert.equal(held(condition), isHeld, condition)
  }
})

test('what a verification found is asked of it, as a count or as a share', () => {
  const summary = { ...SUMMARY, verification: VERIFICATION }
  for (const [condition, isHeld, found] of [
    ['lost>0', false, 1],
    ['lost>0.1%', false, 1 / 985],
    ['lost>0.2%', true, 1 / 985],
    ['duplicated>=2', false, 2],
    ['altered>0', true, 0],
    ['late>0.2%', true, 4 / 2_000],
    ['live-lost>0', false, 1],
    ['live-duplicated>0%', true, 0],
  ] as const) {
    assert.equal(held(condition, summary), isHeld, condition)
    assert.equal(value(condition, summary), found, condition)
  }
})

test('where nothing was measured every condition is missed, whatever its sign', () => {
  const { latencyMs: _, ...unmeasured } = SUMMARY
  for (const condition of ['p99>1s', 'p99<1s', 'live-p99>1h', 'lost>0', 'lost<5', 'live-lost>0', 'late>1%']) {
    assert.equal(held(condition, unmeasured), false, condition)
    assert.equal(value(condition, unmeasured), undefined, condition)
  }
  assert.equal(held('p99>1s', { ...SUMMARY, latencyMs: { ...percentiles(1), count: 0 } }), false)
  assert.equal(held('unacknowledged>1%', { ...SUMMARY, toAcknowledge: 0 }), false)
})

test('what needs a verification, or a live subscription, is known before the run', () => {
  const needing = (key: 'needsVerification' | 'needsLive') =>
    MEASURE_NAMES.filter((name) => parseThreshold(`${name}>${/p\d|max/.test(name) ? '1s' : '1'}`)[key])
  assert.deepEqual(needing('needsVerification'), [
    'lost',
    'duplicated',
    'altered',
    'late',
    'live-lost',
    'live-duplicated',
    'live-late',
  ])
  assert.deepEqual(needing('needsLive'), [
    'live-p50',
    'live-p90',
    'live-p99',
    'live-p999',
    'live-max',
    'live-lost',
    'live-duplicated',
    'live-late',
  ])
})

test('a condition that nobody looks at is a mistake before the run', () => {
  const require = (condition: string, verifies: boolean, subscribes: boolean) => () =>
    requireMeasured([parseThreshold('p99>1s'), parseThreshold(condition)], { verifies, subscribes })
  const code = 'bad-threshold'
  assert.throws(require('lost>0', false, true), { code, message: /^lost>0 asks .*: right is --verify besides$/ })
  assert.throws(require('live-p99>1s', true, false), { code, message: /^live-p99>1s asks what only an app sees/ })
  assert.throws(
    () => requireMeasured([parseThreshold('lost>0')], { verifies: false, subscribes: true, file: 's.yaml' }),
    { message: /^s\.yaml: fail-if: lost>0 asks .*: right is --verify besides, or --no-fail-if, which drops/ },
  )
  for (const condition of ['lost>0', 'live-lost>0', 'live-p99>1s']) require(condition, true, true)()
  require('live-p99>1s', false, true)()
  require('errors>0', false, false)()
})

test('a condition that cannot be read is refused with what would be right', () => {
  for (const [condition, words] of [
    ['', /is no condition: right is a name, one of >= <= > < and a limit, such as p99>250ms/],
    ['lost', /is no condition/],
    ['lost>', /is no condition/],
    ['lost=0', /is no condition/],
    ['lost>>0', /lost is a count: right is a number such as 0, or a share/],
    ['p98>1s', /asks for "p98", which is not measured; there are p50, p90/],
    ['constructor>1', /asks for "constructor", which is not measured/],
    ['p99>250', /p99 is a time: right is a duration with its unit, such as 250ms/],
    ['p99>5%', /p99 is a time/],
    ['rate<5%', /rate is a number: right is one such as 100/],
    ['lost>-1', /lost is a count/],
    ['lost>1e3', /lost is a count/],
  ] as const) {
    assert.throws(() => parseThreshold(condition), { code: 'bad-threshold', message: words }, condition)
  }
})
