/** What a terminal shows of a run, at any size. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { bar, cellsOf, drawn, sparkline } from '../../../../devices/simulator/view/cells.ts'
import { type Chosen, type FrameOptions, frameOf } from '../../../../devices/simulator/view/frame.ts'
import type { Moment } from '../../../../devices/simulator/view/moment.ts'
import { RUNNING } from './running.ts'

const CHOSEN: Chosen = { number: 17, id: 'truck-17', state: 'away', done: 'its link is cut' }
const frame = (options: Partial<FrameOptions> = {}, moment: Moment = RUNNING) =>
  frameOf(moment, { columns: 79, rows: 23, isColoured: false, chosen: CHOSEN, ...options })

test('80 x 24 shows all of it', () => {
  assert.deepEqual(frame(), [
    'two thousand trucks  publishing 1:05, 3:55 left  mqtt://127.0.0.1:1883',
    '',
    'devices    ███████████░  2,000: 1,840 online  40 connecting  110 away  10 muted',
    'rate       1,990/s  of 2,000/s asked  ▁▃▅▇███',
    'sent       130,410, 130,390 acknowledged, 620 waiting, 12 reconnects',
    'PUBACK     p50 2.10 ms    p90 4.50 ms    p99 12.3 ms    max 130.4 ms',
    'live       p50 9.50 ms    p90 14.5 ms    p99 41.5 ms    max 180.3 ms',
    'sent late  p50 0.12 ms    p90 0.40 ms    p99 1.20 ms    max 8.00 ms',
    '',
    'faults     link-loss            100 devices      ██████████░░░░░░░  0:12 left',
    '           mute                 10 devices       █████████████████  to the end',
    '',
    'failures       118  truncated-avro',
    '                10  refused: the token has expired',
    '',
    'device     17 truck-17 away, its link is cut',
    'k cut its link  m mute it  s its clock +1 min  ↑ ↓ or a number: another  q end',
  ])
})

test('of a lower terminal, what matters least is left out: empty lines, then faults, and the phase last', () => {
  assert.deepEqual(frame({ rows: 1 }), [frame()[0]])
  const low = frame({ rows: 11 })
  assert.equal(low.length, 11)
  assert(!low.includes('') && low.some((line) => line.startsWith('failures')))
  assert(!low.some((line) => line.startsWith('faults')))
})

/** Text that steers, is wide, or is nothing. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 120 }),
  fc.constantFrom('温度計', '👩‍👩‍👧', '\u001b[2J', 'a\nb', '\u202e'),
)

test('at any size, no line is too wide, none too many, and nothing steers the terminal', () => {
  const size = fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 50 }) })
  const seed = fc.sample(fc.integer(), 1)[0] ?? 0
  fc.assert(
    fc.property(size, text, fc.array(text, { maxLength: 20 }), ({ columns, rows }, name, reasons) => {
      const failures = reasons.map((reason) => ({ reason, count: 7 }))
      const faults = reasons.map(() => ({ kind: 'truncated' as const, befalls: name, forMs: 10, leftMs: 20 }))
      const moment = { ...RUNNING, scenario: name, problem: name, failures, faults }
      const chosen = { ...CHOSEN, id: name }
      const lines = frame({ columns, rows, chosen }, moment)
      assert(lines.length <= rows)
      for (const line of lines) {
        assert(cellsOf(line) <= columns, `${cellsOf(line)} cells of ${columns}: ${line}`)
        assert.doesNotMatch(line, /[\p{Cc}\u202e]/u)
      }
      const coloured = frame({ columns, rows, chosen, isColoured: true }, moment)
      assert.deepEqual(coloured.map(stripVTControlCharacters), lines)
    }),
    { seed, numRuns: 300 },
  )
})

test('where no key can be pressed, none is offered; why nothing is connected is said', () => {
  const lines = frame({ chosen: undefined }, { ...RUNNING, problem: 'cannot connect' })
  assert(!lines.some((line) => line.includes('q end')))
  assert.equal(lines[1], 'cannot connect')
})

test('bars and sparklines are as long as they are asked to be', () => {
  assert.deepEqual([bar(0, 4), bar(0.5, 4), bar(7, 4), bar(-1, 4)], ['░░░░', '██░░', '████', '░░░░'])
  assert.deepEqual([sparkline([0, 1, 8], 8, 2), sparkline([1], 0, 5), sparkline([3, 3], 3, 9)], ['▂█', '', '██'])
  const cut = (text: string, columns: number) => drawn([text, ['!', 'bad']], { columns, isColoured: false })
  assert.deepEqual([cut('abc', 4), cut('abc', 3), cut('温度', 4), cut('x', 1)], ['abc!', 'ab…', '温…', '…'])
})
