/** Owns finished runs as the tests of the report need them: one in which all is well, one in which much is wrong, and names that mean harm. */

import { build } from 'hdr-histogram-js'
import type { FaultAccount } from '../../../../devices/simulator/faults/fault-account.ts'
import type { RunRecord } from '../../../../devices/simulator/kept/run-folder.ts'
import { histogramFile, readCurves } from '../../../../devices/simulator/report/histogram-file.ts'
import type { Second } from '../../../../devices/simulator/report/seconds.ts'
import type { Finding, Summary, Verification } from '../../../../devices/simulator/report/summary.ts'

export const SECONDS = 300
/** Of the histograms, a millisecond: they are in microseconds. */
export const PER_MS = 1000
const START = Date.parse('2026-11-30T12:00:00Z')
const RATE = 2000

export const HOSTILE = `</script><script>document.title="harm"</script><img src=x onerror=document.title="harm">'"&\u001b[31m\u202e\ud800\uffff]]>`

export const FAULTS: readonly FaultAccount[] = [
  {
    ...{ kind: 'link-loss', atMs: 60_000, forMs: 30_000, devices: 200, times: 200, asExpected: 200 },
    expected: 'What was measured meanwhile is sent when the link is back, and stored once.',
  },
  {
    ...{ kind: 'truncated', atMs: 120_000, forMs: 60_000, devices: 20, times: 118, asExpected: 118 },
    expected: 'Each is acknowledged and set aside as truncated-avro.',
  },
  {
    ...{ kind: 'mute', atMs: 240_000, forMs: Number.POSITIVE_INFINITY, devices: 5, times: 5 },
    expected: 'Nothing comes, and nothing is missed.',
  },
]

const percentiles = { count: 599_000, p50: 2.13, p90: 4.5, p99: 12.25, p999: 48.5, max: 130.5 }

export const VERIFICATION: Verification = {
  acknowledged: 599_000,
  expectedReadings: 598_882,
  stored: 598_880,
  superseded: 2,
  deadLettered: 118,
  ...{ lost: 0, duplicated: 0, altered: 0, late: 0 },
  storedUnacknowledged: 0,
  live: {
    expected: 598_882,
    came: 598_882,
    received: 598_882,
    again: 0,
    unpromised: 0,
    lost: 0,
    duplicated: 0,
    gaps: 0,
  },
  faults: [{ number: 1, messages: 118, asExpected: 118 }],
  asked: ['history', 'flux'],
  findings: [],
  ok: true,
}

export const GOOD: Summary = {
  scenario: 'two thousand trucks',
  url: 'mqtt://127.0.0.1:1883',
  seed: 7,
  startAt: new Date(START).toISOString(),
  devices: 2000,
  streams: ['vehicle', 'environment'],
  processes: 2,
  targetRate: RATE,
  elapsedMs: 300_420,
  due: 599_000,
  sent: 599_000,
  unsent: 0,
  readings: 599_000,
  toAcknowledge: 599_000,
  acknowledged: 599_000,
  unacknowledged: 0,
  resent: 412,
  messagesPerSecond: 1993.9,
  reconnects: 200,
  refusals: 0,
  commands: 0,
  errors: { 'truncated-avro': 118 },
  reasons: [],
  latencyMs: percentiles,
  connectMs: { ...percentiles, count: 2200 },
  liveMs: { ...percentiles, p50: 9.5, p90: 14.5, p99: 41.5 },
  slipMs: { ...percentiles, p50: 0.13, p90: 0.4, p99: 1.2, p999: 3, max: 8 },
  payloadHash: '3f9a0c1b7d2e4f56',
  faults: FAULTS,
  verification: VERIFICATION,
  thresholds: [
    { condition: 'lost>0', value: 0, held: true },
    { condition: 'p99>250ms', value: 12.25, held: true },
  ],
  cost: { cpuSeconds: 71.2, rssBytesMax: 310 * 2 ** 20 },
  interrupted: false,
  ok: true,
}

export const FINDINGS_MADE: readonly Finding[] = [
  {
    code: 'live-duplicated',
    stage: 'live',
    count: 1,
    sentence: 'One reading came twice to the app, and no gap was told between.',
    examples: ['truck-3 vehicle 2026-11-30T12:01:02.250Z'],
  },
  {
    code: 'lost',
    stage: 'ingest',
    count: 3,
    sentence: 'They were acknowledged and seen live, and the store has them neither by history nor by Flux.',
    examples: [
      'truck-7 vehicle 2026-11-30T12:00:07.500Z',
      'truck-7 vehicle 2026-11-30T12:00:08.500Z',
      `${HOSTILE} vehicle 2026-11-30T12:00:09.500Z`,
    ],
  },
]

export const BAD: Summary = {
  ...GOOD,
  scenario: `a bad day ${HOSTILE}`,
  streams: ['vehicle', HOSTILE],
  acknowledged: 598_990,
  unacknowledged: 10,
  refusals: 4,
  errors: { [HOSTILE]: 2 },
  reasons: [{ by: 'PUBACK', code: 0x87, count: 2, words: HOSTILE }],
  verification: {
    ...VERIFICATION,
    stored: 598_877,
    lost: 3,
    live: { ...VERIFICATION.live, duplicated: 1, gaps: 2 },
    findings: FINDINGS_MADE,
    ok: false,
  },
  thresholds: [
    { condition: 'lost>0', value: 3, held: false },
    { condition: 'live-p99>20ms', value: 41.5, held: false },
    { condition: 'slip-p99>1s', value: undefined, held: false },
  ],
  faults: FAULTS.map((fault, index) => ({ ...fault, ...(index === 1 && { asExpected: 117 }) })),
  ok: false,
}

/** In which a tenth of the fleet is away for half a minute. */
export const ROWS: readonly Second[] = Array.from({ length: SECONDS }, (_, second) => rowOf(second))

function rowOf(second: number): Second {
  const isAway = second >= 60 && second < 90
  const backlog = isAway ? (second - 59) * 200 : 0
  const sent = isAway ? RATE - 200 : second >= 90 && second < 92 ? RATE + 3000 : RATE
  const slow = second >= 90 && second < 100 ? 8 : 1
  return {
    ...{ second, due: RATE, sent, acknowledged: sent, connected: isAway ? 1800 : 2000, backlog },
    ...{ reconnects: second === 90 ? 200 : 0, refused: 0, errors: second >= 120 && second < 180 ? 2 : 0 },
    ...{ pubackP50: slow * (2 + noise(second)), pubackP99: slow * (10 + 4 * noise(second + 0.1)) },
    // Between, nobody listened.
    ...(second === 150
      ? { liveP50: undefined, liveP99: undefined }
      : { liveP50: slow * (9 + noise(second + 0.2)), liveP99: slow * (38 + 8 * noise(second + 0.3)) }),
    slipMax: 1 + noise(second + 0.4),
  }
}

export const HGRM: string = histogramFile(
  { puback: spread(2, 2.2), live: spread(9, 1.9), connect: spread(20, 1.4), slip: spread(0.2, 1.5) },
  PER_MS,
)
export const CURVES = readCurves(HGRM)

/** Values of which each tenth of the rest is `factor` times as long. */
export function spread(fromMs: number, factor: number) {
  const histogram = build({ highestTrackableValue: 60_000 * PER_MS, numberOfSignificantValueDigits: 3 })
  for (let index = 0; index < 20_000; index++) {
    const tenths = -Math.log10(1 - noise(index + fromMs))
    histogram.recordValue(Math.round(fromMs * PER_MS * factor ** tenths))
  }
  return histogram
}

export const RECORD: RunRecord = {
  scenario: {
    name: 'two thousand trucks',
    seed: 7,
    startAt: START,
    durationMs: SECONDS * 1000,
    messages: Number.POSITIVE_INFINITY,
    rampMs: 30_000,
    drainMs: 10_000,
    fleet: [
      {
        prefix: 'truck-',
        devices: 2000,
        mqtt: '5',
        keepaliveSeconds: 60,
        sends: [
          {
            ...{ stream: 'vehicle', everyMs: 1000, burst: 1, qos: 1, batch: 1, format: 'avro', versions: [1, 2] },
            ...{ signals: {}, topic: undefined },
          },
        ],
      },
    ],
    faults: [
      { kind: 'link-loss', atMs: 60_000, forMs: 30_000, devices: { share: 0.1 } },
      { kind: 'truncated', atMs: 120_000, forMs: 60_000, devices: { ids: 'truck-1*' }, share: 0.05 },
    ],
    failIf: ['lost>0', 'p99>250ms'],
  },
  url: 'mqtt://127.0.0.1:1883',
  gateway: 'http://127.0.0.1:8080',
  beganAt: START,
  endedAt: START + 300_420,
  processes: 2,
  booksBefore: undefined,
}

/** From 0 to 1, the same for the same number. */
function noise(number: number): number {
  const value = Math.sin(number * 12.9898) * 43_758.5453
  return value - Math.floor(value)
}
