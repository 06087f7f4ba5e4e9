/** Messages that were to be set aside are told apart from the dead letters that are held: by number, by bytes, and whatever is wrong with either. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Outcome } from '../../../../devices/simulator/kept/message-log.ts'
import { hashOf } from '../../../../devices/simulator/kept/row-hash.ts'
import { Findings } from '../../../../devices/simulator/verify/findings.ts'
import { type Letter, matchLetters } from '../../../../devices/simulator/verify/letters.ts'
import { Sent } from '../../../../devices/simulator/verify/sent.ts'

const AT = 1_763_864_000_000

interface Message {
  readonly device: string
  readonly payload: string
  readonly outcome: Outcome
  readonly isAcknowledged: boolean
  readonly times: number
}

interface Held extends Letter {
  readonly payload: string
}

const MESSAGES = fc.array(
  fc.record({
    device: fc.constantFrom('sim-1', 'sim-2'),
    payload: fc.constantFrom('a', 'b', 'c'),
    outcome: fc.constantFrom<Outcome>('stored', 'dead:malformed-json', 'dead:unknown-schema'),
    isAcknowledged: fc.boolean(),
    times: fc.constantFrom(1, 1, 2),
  }),
  { minLength: 1, maxLength: 30 },
)

/** One payload has one outcome. */
const consistent = (messages: readonly Message[]): Message[] =>
  messages.map((message) => ({ ...message, payload: `${message.outcome} ${message.payload}` }))

const topicOf = (device: string) => `devices/${device}/telemetry/environment`

function sentOf(messages: readonly Message[]): Sent {
  const sent = new Sent()
  for (const [number, { device, payload, outcome, isAcknowledged, times }] of messages.entries()) {
    const topic = `${topicOf(device)}/msgpack`
    const payloadHash = hashOf(payload)
    sent.add({ number, at: AT, dueAt: AT, device, topic, qos: 1, payloadHash, fault: undefined, outcome, rows: [] })
    for (let time = 1; time < times; time++) sent.resend(number)
    if (isAcknowledged) sent.acknowledge({ number, at: AT, code: 0 })
  }
  return sent
}

const codeOf = (outcome: Outcome) => (outcome.startsWith('dead:') ? outcome.slice(5) : undefined)

/** What a right platform holds, if what was not acknowledged came, too, and what was sent again came again. */
function heldOf(messages: readonly Message[]): Held[] {
  const held: Held[] = []
  for (const { device, payload, outcome, times } of messages) {
    const code = codeOf(outcome)
    if (code === undefined) continue
    for (let time = 0; time < times; time++) held.push(letter(held.length + 1, { device, payload, code }))
  }
  return held
}

const letter = (id: number, what: Pick<Held, 'device' | 'payload' | 'code'>): Held => ({
  ...what,
  id: String(id),
  topic: topicOf(what.device),
  message: 'it ends early',
  at: AT,
})

async function told(messages: readonly Message[], held: readonly Held[]) {
  const findings = new Findings()
  const payloadOf = async (id: string) => {
    const found = held.find((each) => each.id === id)
    return found && Buffer.from(found.payload)
  }
  async function* letters() {
    yield* held
  }
  const matched = await matchLetters(letters(), sentOf(messages), { findings, payloadOf })
  return { codes: findings.all().map(({ code, count }) => `${count} ${code}`), ...matched }
}

test('all that were to be set aside are held: nothing is told', async () => {
  await fc.assert(
    fc.asyncProperty(MESSAGES, fc.array(fc.boolean()), async (drawn, came) => {
      const messages = consistent(drawn)
      const mustBe = messages.flatMap((message) =>
        message.isAcknowledged && codeOf(message.outcome) !== undefined ? [message] : [],
      )
      const all = heldOf(messages)
      // What was not acknowledged may not have come.
      const least = heldOf(mustBe.map((message) => ({ ...message, times: 1 })))
      for (const held of [all, least, came[0] ? all : least]) {
        const { codes, unheld } = await told(messages, held)
        assert.deepEqual([codes, unheld], [[], []])
      }
    }),
  )
})

const BAD: Message = { device: 'sim-1', payload: 'bad', outcome: 'dead:malformed-json', isAcknowledged: true, times: 1 }
const GOOD: Message = { ...BAD, payload: 'good', outcome: 'stored' }

test('one that is missing is unheld, and only that', async () => {
  const messages = [GOOD, BAD, { ...BAD, payload: 'other' }]
  const { codes, unheld, asIntended } = await told(messages, heldOf([BAD]))
  assert.deepEqual([codes, unheld, [...asIntended]], [[], [2], [1]])
})

test('one with another code, a good one, one too often, one of other bytes, one that is forbidden: each is told as what it is', async () => {
  const one = { device: 'sim-1', payload: 'bad', code: 'malformed-json' }
  const cases: readonly (readonly [Message[], Held[], string])[] = [
    [[BAD], [letter(1, { ...one, code: 'malformed-avro' })], '1 wrong-code'],
    [[GOOD], [letter(1, { ...one, payload: 'good' })], '1 set-aside'],
    [[BAD], [letter(1, one), letter(2, one)], '1 duplicated'],
    [[BAD], [letter(1, one), letter(2, { ...one, payload: 'never sent' })], '1 invented'],
    [[{ ...BAD, outcome: 'dropped' }], [letter(1, one)], '1 accepted-though-forbidden'],
    [[BAD], [letter(1, one), letter(2, { ...one, device: 'stranger' })], ''],
  ]
  for (const [messages, held, expected] of cases) {
    const { codes, unheld } = await told(messages, held)
    assert.deepEqual([codes.join(), unheld], [expected, []])
  }
})
