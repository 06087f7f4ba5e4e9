import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoder } from '../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { probe, probeRegistry } from './schema-folder.ts'

const TS = 1_763_900_000_123
const RECORD = { ts: TS, temperature: 21.3, humidity: 45.5, pressure: 1013.25, battery: 88, rssi: -70 }
const shipped = Registry.load(SHIPPED_SCHEMAS_DIR)
const [environment] = shipped.versions('environment')
const decoder = new Decoder(shipped)

const message = (payload: Buffer, stream = 'environment') => ({ device: 'd', stream, receivedAt: TS, payload })
/** What our single-object encoding has behind its fingerprint, behind an id. */
function byId(id: number, singleObject: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  return Buffer.concat([head, singleObject.subarray(10)])
}

function rejected(outcome: readonly Reading[] | Rejection | undefined, code: string, reason: RegExp): void {
  assert.ok(outcome instanceof Rejection, `it was accepted: ${JSON.stringify(outcome)}`)
  assert.equal(outcome.code, code)
  assert.match(outcome.reason, reason)
}

test('a reading and a batch by their ids are those that their fingerprints would name', () => {
  const { id = 0, batchId = 0 } = environment ?? {}
  for (const [given, name] of [
    [RECORD, id],
    [[RECORD, { ...RECORD, ts: TS - 1 }], batchId],
  ] as const) {
    const singleObject = shipped.encode('environment', given)
    const payload = byId(name, singleObject)
    assert.deepEqual(decoder.decode(message(payload)), decoder.decode(message(singleObject)))
    assert.equal(decoder.glance(message(payload)), undefined)
  }
})

test('an id that nobody gave, of another stream, or cut short, is told with those there are', (t) => {
  const body = shipped.encode('environment', RECORD)
  const { id = 0, batchId = 0 } = environment ?? {}
  const unknown = decoder.decode(message(byId(4_000_000_000, body)))
  rejected(
    unknown,
    'unknown-schema',
    new RegExp(`the id 4000000000; those of environment are 1 \\(${id}, an array of it ${batchId}\\)$`),
  )
  rejected(
    decoder.glance(message(byId(id, body), 'power')),
    'wrong-stream',
    /is of environment 1, sent to the topic of power/,
  )
  rejected(decoder.decode(message(byId(id, body), 'weather')), 'unknown-schema', /no stream is named "weather"/)
  rejected(decoder.decode(message(Buffer.alloc(4))), 'malformed-avro', /ends inside the id, after 4 bytes of 5/)
  rejected(decoder.decode(message(byId(id, body.subarray(0, -1)))), 'malformed-avro', /cut short/)
  rejected(decoder.decode(message(byId(batchId, body))), 'malformed-avro', /./)
  const unlocked = new Decoder(probeRegistry(t, probe({ name: 'x', type: 'int' })))
  rejected(unlocked.decode(message(byId(1, body), 'probe')), 'unknown-schema', /those of probe are 1 \(none yet\)$/)
})

test('what is shown of it', () => {
  const { id = 0 } = environment ?? {}
  const shown = decoder.show(message(byId(id, shipped.encode('environment', RECORD)))).lines
  assert.deepEqual(shown[0], ['contents', `Confluent's wire format, id ${id}, of environment 1`])
  assert.match(shown[2]?.[1] ?? '', /^temperature +21\.3$/)
  assert.match(decoder.show(message(byId(99_999, Buffer.alloc(10)))).lines[0]?.[1] ?? '', /of no released schema$/)
  assert.match(decoder.show(message(Buffer.alloc(1))).lines[0]?.[1] ?? '', /ends inside the id/)
})
