/** The account of a run as a person reads it in a terminal. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foundText } from '../../../../devices/simulator/report/numbers.ts'
import type { Finding, Summary } from '../../../../devices/simulator/report/summary.ts'
import { summaryText } from '../../../../devices/simulator/report/summary-text.ts'
import { BAD, GOOD, VERIFICATION } from './finished-run.ts'

const lastLine = (summary: Summary) => summaryText(summary).split('\n').at(-1) ?? ''

/** As summaries of runs that nobody verified. */
function unverified(changes: Partial<Summary> = {}): Summary {
  const { verification: _, ...rest } = GOOD
  return { ...rest, ...changes }
}

const LATE_ONES: Finding = { code: 'late', stage: 'store', count: 3, sentence: '3 readings came late', examples: [] }

test('each thing that was measured has its line, and a run in which all is well ends with what became of its messages', () => {
  const text = summaryText(GOOD)
  for (const row of [
    /^devices +2,000 on vehicle, environment, seed 7, 2 processes$/m,
    /^sent +599,000 messages, 599,000 readings in 300\.42 s$/m,
    /^acknowledged +599,000 messages, 412 sent again$/m,
    /^rate +1,994 messages\/s of 2,000 asked for$/m,
    /^CONNACK after +p50 2\.13 ms/m,
    /^PUBACK after +p50 2\.13 ms, p90 4\.50 ms, p99 12\.3 ms, p99\.9 48\.5 ms, max 130\.5 ms$/m,
    /^live after +p50 9\.50 ms/m,
    /^sent late by +p50 0\.13 ms/m,
    /^reconnects +200$/m,
    /^errors +truncated-avro 118$/m,
    /^link-loss +at 60 s for 30 s, 200 devices, 200 times, 200 of 200 as expected: What .* once\.$/m,
    /^mute +at 240 s for the rest, 5 devices, 5 times: Nothing comes, and nothing is missed\.$/m,
    /^stored +598,880 of 598,882 readings by history, flux$/m,
    /^superseded +2 readings by a later/m,
    /^set aside +118 messages as intended$/m,
    /^live +598,882 of 598,882 readings$/m,
    /^--fail-if lost>0 +not so \(0\)$/m,
    /^--fail-if p99>250ms +not so \(12\.3 ms\)$/m,
    /^cost +71\.2 s of CPU, 310 MiB of memory, of the simulator$/m,
  ]) {
    assert.match(text, row)
  }
  assert.equal(
    lastLine(GOOD),
    'nothing lost: 599,000 acknowledged, all stored, but for 2 superseded by a later reading of the same time and 118 set aside as intended',
  )
})

test('what is wrong is said with where, and examples; the worst is in the last line', () => {
  const text = summaryText(BAD)
  assert.match(text, /^acknowledged +598,990 messages, 10 NOT acknowledged/m)
  assert.match(
    text,
    /^\nLOST 3 at ingest: They were acknowledged .*\n {4}truck-7 vehicle .*07\.500Z\n {4}truck-7 .*08/m,
  )
  assert.match(text, /^LIVE DUPLICATED 1 at live: /m)
  assert(text.indexOf('LOST 3 at ingest') < text.indexOf('LIVE DUPLICATED 1'))
  assert.match(text, /^live +598,882 of 598,882 readings, 1 TWICE, 2 gaps told$/m)
  assert.match(text, /^PUBACK +0x87 2: </m)
  assert.match(text, /^--fail-if slip-p99>1s +NOT MEASURED, which fails the run$/m)
  assert.match(
    lastLine(BAD),
    /^LOST 3 at ingest \(and 1 other finding\): .* nor by Flux; 10 messages NOT acknowledged; NOT AS EXPECTED: truncated, 1 of 118 times \(expected: .*\); FAIL-IF lost>0: IT IS SO \(3\); /,
  )
})

test('what nobody promised, and what was not measured of all, is told with its unit', () => {
  const text = summaryText({
    ...GOOD,
    toAcknowledge: 598_000,
    acknowledged: 598_000,
    liveMs: { ...(GOOD.liveMs ?? assert.fail()), count: 590_000 },
    slipMs: { ...(GOOD.slipMs ?? assert.fail()), count: 12 },
    verification: {
      ...VERIFICATION,
      storedUnacknowledged: 176,
      live: { ...VERIFICATION.live, came: 598_880, received: 599_060, again: 4, unpromised: 176 },
    },
  })
  assert.match(text, /^sent +599,000 messages, 599,000 readings in 300\.42 s, 1,000 messages with QoS 0$/m)
  assert.match(text, /^live after .*, of 590,000 readings$/m)
  assert.match(text, /^sent late by .*, of 12 messages$/m)
  assert.match(text, /^not promised +176 messages of QoS 0, or not acknowledged: stored all the same$/m)
  assert.match(text, /^live +598,880 of 598,882 readings, 4 again, .*, 176 more that nobody had promised$/m)
})

test('a replay has no seed and no rate that was asked for', () => {
  const text = summaryText({ ...GOOD, targetRate: 0, replay: { file: 'site.ndjson', speed: 5, times: 'shifted' } })
  assert.match(text, /^devices +2,000 on vehicle, environment, replayed 5 times as fast, 2 processes$/m)
  assert.match(text, /^rate +1,994 messages\/s$/m)
})

test('no name, reason or example steers the terminal, or adds a line', () => {
  const text = summaryText(BAD)
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e]/u)
  const words = 'a\nverdict: nothing lost'
  assert.equal(
    summaryText({ ...BAD, reasons: [{ by: 'PUBACK', code: 0x87, count: 2, words }] }).split('\n').length,
    text.split('\n').length,
  )
})

const VERDICTS: readonly (readonly [string, Summary, RegExp])[] = [
  [
    'nobody asked the store',
    unverified(),
    /^all 599,000 messages acknowledged; nothing was verified \(--verify does\)$/,
  ],
  [
    'QoS 0',
    unverified({ toAcknowledge: 0, acknowledged: 0 }),
    /^599,000 messages sent; QoS 0 is not acknowledged, and nothing was verified$/,
  ],
  ['refused', unverified({ ok: false, refused: 'sim-1 was refused' }), /^ENDED: sim-1 was refused$/],
  ['interrupted', unverified({ ok: false, interrupted: true }), /^INTERRUPTED after 300\.4 s$/],
  [
    'late, and all there',
    { ...GOOD, verification: { ...VERIFICATION, findings: [LATE_ONES] } },
    /^nothing lost: .*; LATE 3 at store: 3 readings came late$/,
  ],
  ['interrupted and verified', { ...GOOD, interrupted: true }, /^ended early, after 300\.4 s; nothing lost: /],
  ['not verified', { ...GOOD, ok: false, verification: { ...VERIFICATION, ok: false } }, /^NOT VERIFIED$/],
  ['for no reason that is known', unverified({ ok: false }), /^FAILED$/],
]

test('what a condition found is in the unit that it was asked in', () => {
  const found: readonly (readonly [string, number | undefined])[] = [
    ['p99>250ms', 12.25],
    ['live-max>2s', 2500],
    ['lost>0.1%', 0.001234],
    ['rate<100', 99.5],
    ['lost>0', undefined],
  ]
  const texts = found.map(([condition, value]) => foundText(condition, value))
  assert.deepEqual(texts, ['12.3 ms', '2500.0 ms', '0.123 %', '100', 'none measured'])
})

for (const [what, summary, expected] of VERDICTS) {
  test(`the verdict of a run: ${what}`, () => assert.match(lastLine(summary), expected))
}

test('a row for what the old tests hold: a refusal by its packet, and why it ended', () => {
  const refused = unverified({
    reasons: [{ by: 'PUBREC', code: 0x87, count: 30, words: '' }],
    refused: 'sim-1 was refused',
    ok: false,
  })
  assert.match(summaryText(refused), /^PUBREC +0x87 30$/m)
  assert.match(summaryText(refused), /^ended +sim-1 was refused/m)
})
