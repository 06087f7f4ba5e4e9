/** One value a topic, gathered: which messages become which reading, after a crash too. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gathering } from '../../ingest/gathering.ts'
import type { Source } from '../../ingest/source.ts'
import { type Batch, entryBytes, type NewEntry, readEntries, writeEntry } from '../../log/entry.ts'
import type { Offset } from '../../log/position.ts'
import { Maps, mapMaker } from '../../maps/maps.ts'
import { FOREIGN } from '../../schemas/content-type.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { foreignPayload } from '../../schemas/foreign.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'

const T0 = Date.UTC(2025, 10, 23, 12)
const MAP = `
- topic: s/{device}/{part}/{field}
  stream: s
  gather: 2s
  tags: { part: "{part}" }
- topic: text/{device}/{field}
  stream: s
  gather: 2s
  fields: { one: { path: one, type: string }, two: { path: two, type: string } }
`

const opened = () => {
  const schemas = new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR, foreign: { make: mapMaker() } })
  schemas.useMaps([{ file: 's.yaml', text: MAP }])
  return schemas
}
const maps = new Maps(opened())
/** Of another thread: it learns by itself. */
const worker = opened()

type Said = readonly [ms: number, topic: string, value: string]

function batchOf(said: readonly Said[], first: number): Batch {
  const entries = said.map(([ms, topic, value]): NewEntry => {
    const device = topic.split('/')[1] ?? ''
    const payload = foreignPayload(topic, Buffer.from(value))
    return { device, stream: 's', receivedAt: T0 + ms, flags: 0, framing: FOREIGN, payload }
  })
  const bytes = Buffer.alloc(entries.reduce((sum, entry) => sum + entryBytes(entry), 0))
  let at = 0
  for (const entry of entries) at = writeEntry(bytes, at, entry)
  const next = (first + entries.length) as Offset
  return { firstOffset: first as Offset, count: entries.length, bytes, next, missed: 0 }
}

/** What becomes of these messages, each a batch, from `start` on: readings by message, or the code of a rejection. */
async function gathered(said: readonly Said[], start = 0): Promise<(readonly Reading[] | string)[]> {
  const batches = said.map((one, index) => batchOf([one], index))
  const gathering = new Gathering({ maps, clock: { now: () => T0 } })
  const shard = {
    at: async (time: number) =>
      Math.max(
        0,
        said.findIndex(([ms]) => T0 + ms >= time),
      ) as Offset,
    read: async (from: Offset) => batches[from],
  }
  await gathering.prime(shard, start as Offset)
  const last = batchOf([[100_000, 'other', '']], said.length)
  const sources = async function* (): AsyncGenerator<Source> {
    for (const batch of [...batches.slice(start), last]) yield { shard: 0, batch, isAccounted: false }
  }
  const outcomes: (readonly Reading[] | string)[] = []
  let next = start
  for await (const { batch } of gathering.gather(sources())) {
    assert.equal(batch.firstOffset, next, 'none is missing, and all are in order')
    next = batch.next
    for (const entry of readEntries(batch)) {
      if (entry.offset === said.length) continue
      const decoded = worker.decode(entry)
      const plain = (readings: readonly Reading[]) => readings.map(({ part: _part, ...reading }) => reading)
      outcomes.push(decoded instanceof Rejection ? decoded.code : plain(decoded))
    }
  }
  return outcomes
}

const reading = (device: string, ms: number, values: Reading['values']) => [
  { device, stream: 's', ts: T0 + ms, values },
]

const SAID: readonly Said[] = [
  [0, 's/a/p/temperature', '21.5'],
  [500, 's/b/p/temperature', '3'],
  [900, 's/a/p/humidity', '40'],
  [1000, 's/a/q/humidity', '50'],
  [1100, 's/a/p/mode', '{'],
  [1900, 's/a/p/temperature', '22'],
  [2000, 's/a/p/temperature', '23'],
  [2100, 's/b/p/temperature', '4'],
]

const WHOLE = [
  reading('a', 0, { part: 'p', temperature: 22, humidity: 40 }),
  reading('b', 500.001, { part: 'p', temperature: 3 }),
  [],
  reading('a', 1000.003, { part: 'q', humidity: 50 }),
  'malformed-json',
  [],
  reading('a', 2000.006, { part: 'p', temperature: 23 }),
  reading('b', 2100.007, { part: 'p', temperature: 4 }),
]

test('messages of one series and window are one reading, which the first of them carries; what cannot be read stays alone', async () => {
  assert.deepEqual(await gathered(SAID), WHOLE)
})

test('from any checkpoint on the same comes out, whatever the window that it lies in', async () => {
  for (let start = 1; start <= SAID.length; start++) {
    assert.deepEqual(await gathered(SAID, start), WHOLE.slice(start), `from ${start}`)
  }
})

test('a clock that goes back closes a window, and loses nothing', async () => {
  const outcome = await gathered([
    [2000, 's/a/p/x', '1'],
    [1900, 's/a/p/y', '2'],
    [2100, 's/a/p/z', '3'],
  ])
  assert.deepEqual(outcome, [
    reading('a', 2000, { part: 'p', x: 1 }),
    reading('a', 1900.001, { part: 'p', y: 2 }),
    reading('a', 2100.002, { part: 'p', z: 3 }),
  ])
})

test('a reading is never larger than a message may be: what is too much for one window is another, and what is by itself is alone', async () => {
  const large = 'x'.repeat(100_000)
  // Each of its characters takes six in JSON.
  const huge = '\u0001'.repeat(30_000)
  const outcome = await gathered([
    [0, 'text/a/one', large],
    [1, 'text/a/two', 'y'],
    [2, 'text/a/two', large],
    [3, 'text/a/one', huge],
  ])
  assert.deepEqual(outcome, [
    reading('a', 0, { one: large, two: 'y' }),
    [],
    reading('a', 2.002, { two: large }),
    reading('a', 3.003, { one: huge }),
  ])
})

test('random messages, cut anywhere: each value is in one reading of its window, and a restart changes nothing', async () => {
  const random = (() => {
    let state = 7
    return (below: number) => {
      state = (state * 48_271) % 2_147_483_647
      return state % below
    }
  })()
  for (let round = 0; round < 30; round++) {
    let ms = 0
    const said = Array.from({ length: 40 }, (_, index): Said => {
      ms += random(400)
      return [ms, `s/${'abc'[random(3)]}/p/f${random(4)}`, String(index)]
    })
    const whole = await gathered(said)
    for (const [index, [at, topic, value]] of said.entries()) {
      const [, device, , field = ''] = topic.split('/')
      const window = Math.floor((T0 + at) / 2000)
      const later = said
        .slice(index + 1)
        .some(([ms, other]) => other === topic && Math.floor((T0 + ms) / 2000) === window)
      const of = whole
        .flatMap((outcome) => (typeof outcome === 'string' ? [] : outcome))
        .filter((each) => each.device === device && Math.floor(each.ts / 2000) === window)
      assert.equal(of.length, 1)
      if (!later) assert.equal(of[0]?.values[field], Number(value))
    }
    const start = random(41)
    assert.deepEqual(await gathered(said, start), whole.slice(start), `round ${round} from ${start}`)
  }
})
