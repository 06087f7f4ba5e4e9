import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { REFUSAL_CHARS_MAX, REFUSAL_LINES_PER_SECOND_MAX, ThrottledLines } from '../../intake/throttled-lines.ts'
import type { Clock } from '../../platform/clock.ts'

test('a second has a limited number of lines, and the next one says how many were left out', () => {
  let now = 1_000
  const { lines, refusals } = record({ now: () => now })
  const say = (client: string) => refusals.say('connection refused', { client, reason: 'bad-token' })
  for (let number = 0; number < REFUSAL_LINES_PER_SECOND_MAX + 7; number++) say(`truck-${number}`)
  now = 2_000
  say('truck-8')
  say('truck-9')
  assert.equal(lines.length, REFUSAL_LINES_PER_SECOND_MAX + 2)
  const [first, last] = lines.slice(-2)
  assert.deepEqual([first?.client, first?.unsaid, last?.client, last?.unsaid], ['truck-8', 7, 'truck-9', undefined])
})

test('what the client made up is cut short', () => {
  const { lines, refusals } = record({ now: () => 0 })
  const long = 'x'.repeat(65_535)
  refusals.say(long, { client: long, reason: 'bad-token' })
  const cut = `${'x'.repeat(REFUSAL_CHARS_MAX)} ...`
  assert.deepEqual([lines[0]?.client, lines[0]?.msg], [cut, cut])
})

test('what the client made up does not steer the terminal of whoever reads it', () => {
  const { lines, refusals } = record({ now: () => 0 })
  refusals.say('\u001b[2J', { client: 'a\u009bb\u202ec', reason: 'bad-token' })
  assert.deepEqual([lines[0]?.client, lines[0]?.msg], ['a\\u009bb\\u202ec', '\\u001b[2J'])
})

interface Line {
  readonly client: string
  readonly msg: string
  readonly unsaid?: number
}

function record(clock: Clock): { readonly lines: readonly Line[]; readonly refusals: ThrottledLines } {
  const lines: Line[] = []
  const logger = pino({}, { write: (line) => lines.push(JSON.parse(line)) })
  return { lines, refusals: new ThrottledLines({ clock, logger }) }
}
