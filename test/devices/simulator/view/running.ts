/** Owns a run under way, as the tests of the views need it. */

import type { Moment } from '../../../../devices/simulator/view/moment.ts'

export const RUNNING: Moment = {
  scenario: 'two thousand trucks',
  url: 'mqtt://127.0.0.1:1883',
  phase: 'publishing',
  devices: 2000,
  states: { online: 1840, connecting: 40, away: 110, muted: 10 },
  sent: 130_410,
  acknowledged: 130_390,
  backlog: 620,
  reconnects: 12,
  elapsedMs: 65_000,
  leftMs: 235_000,
  askedRate: 2000,
  rates: [0, 500, 1000, 1500, 2000, 2000, 1990],
  latencyMs: { p50: 2.1, p90: 4.5, p99: 12.3, max: 130.4 },
  liveMs: { p50: 9.5, p90: 14.5, p99: 41.5, max: 180.25 },
  slipMs: { p50: 0.12, p90: 0.4, p99: 1.2, max: 8 },
  faults: [
    { kind: 'link-loss', befalls: '100 devices', forMs: 30_000, leftMs: 12_000 },
    { kind: 'mute', befalls: '10 devices', forMs: Number.POSITIVE_INFINITY, leftMs: Number.POSITIVE_INFINITY },
  ],
  failures: [
    { reason: 'truncated-avro', count: 118 },
    { reason: 'refused: the token has expired', count: 10 },
  ],
}
