import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  MessageLog,
  type RunEvent,
  readEvents,
  type SentEvent,
} from '../../../../devices/simulator/kept/message-log.ts'
import { rowHash } from '../../../../devices/simulator/kept/row-hash.ts'
import { SimulatorError } from '../../../../devices/simulator/simulator-error.ts'
import { scratchDirectory } from '../../../scratch.ts'

const EVENTS: readonly RunEvent[] = [
  {
    kind: 'sent',
    number: 0,
    at: 1763900000000.125,
    dueAt: 1763900000000,
    device: 'sim-1',
    topic: 'devices/sim-1/telemetry/environment',
    qos: 1,
    payloadHash: '0123456789abcdef',
    fault: undefined,
    outcome: 'stored',
    rows: [
      { stream: 'environment', ts: 1763900000000, hash: '0123456789abcdef' },
      { stream: 'environment', ts: 1763900000000.001, hash: 'fedcba9876543210' },
      { stream: 'vibration', ts: 1763900000000, hash: 'fedcba9876543210', series: '01234567' },
    ],
  },
  { kind: 'resent', number: 0, at: 1763900000000.5 },
  { kind: 'acknowledged', number: 0, at: 1763900000001.5, code: 0x87 },
  { kind: 'told', at: 1763900000002, device: 'sim-1', code: 'malformed-avro', stream: 'environment' },
]

function write(path: string, events: readonly RunEvent[]): void {
  const log = new MessageLog(path)
  for (const event of events) {
    if (event.kind === 'sent') log.sent(event)
    else if (event.kind === 'resent') log.resent(event.number, event.at)
    else if (event.kind === 'acknowledged') log.acknowledged(event.number, event.at, event.code)
    else log.told(event)
  }
  log.close()
}

async function eventsIn(path: string): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of readEvents(path)) events.push(event)
  return events
}

test('events are read as they were written', async (t) => {
  const path = join(scratchDirectory(t), 'messages-0.tsv')
  write(path, EVENTS)
  assert.deepEqual(await eventsIn(path), EVENTS)
})

test('cut off anywhere, the lines before are read, and the one that was cut is not', async (t) => {
  const path = join(scratchDirectory(t), 'messages-0.tsv')
  write(path, EVENTS)
  const text = readFileSync(path)
  for (let bytes = text.length - 1; bytes >= 0; bytes--) {
    truncateSync(path, bytes)
    const whole = text.subarray(0, bytes).toString().split('\n').length - 1
    assert.deepEqual(await eventsIn(path), EVENTS.slice(0, whole), `${bytes} bytes`)
  }
})

test('what is no event is told with its file and line', async (t) => {
  const path = join(scratchDirectory(t), 'messages-0.tsv')
  write(path, EVENTS)
  appendFileSync(path, 'what\n')
  await assert.rejects(
    eventsIn(path),
    (error) => error instanceof SimulatorError && error.message.includes('messages-0.tsv:5'),
  )
  writeFileSync(path, '')
  assert.deepEqual(await eventsIn(path), [])
})

test('a topic with a tab in it is one field', async (t) => {
  const path = join(scratchDirectory(t), 'messages-0.tsv')
  write(path, [{ ...(EVENTS[0] as SentEvent), topic: 'a\tb\nc' }])
  const [event] = await eventsIn(path)
  assert.equal(event?.kind === 'sent' && event.topic, 'a b c')
})

test('a hash is of the columns and their values, in any order', () => {
  const values = fc.dictionary(fc.string(), fc.oneof(fc.double({ noNaN: true }), fc.string(), fc.boolean()))
  fc.assert(
    fc.property(values, values, (one, other) => {
      const reversed = Object.fromEntries(Object.entries(one).reverse())
      assert.equal(rowHash(one), rowHash(reversed))
      const same = JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort())
      assert.equal(rowHash(one) === rowHash(other), same)
    }),
  )
  assert.equal(rowHash({ a: 1 }), rowHash({ a: 1, b: null }))
})
