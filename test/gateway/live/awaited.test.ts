/** What comes of messages whose schema was not there yet, on a real log: apps have each once, whatever ingest has made of it. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AwaitedSchemas } from '../../../gateway/live/awaited.ts'
import { readEntries } from '../../../log/entry.ts'
import { INGEST_READER } from '../../../log/log.ts'
import type { Offset } from '../../../log/position.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { Rejection } from '../../../schemas/reading.ts'
import { append, openLog } from '../../ingest/log-fixture.ts'
import { probe, probeRegistry } from '../../schemas/schema-folder.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'

const X = { name: 'x', type: 'double' }
const SECOND = probe(X, { name: 'y', type: ['null', 'int'], default: null })

/** Messages by a version that is not known yet have come, and the tail has passed them; `add` has it known. */
async function begun(t: TestContext, messages: number) {
  const both = probeRegistry(t, probe(X), SECOND)
  const log = await openLog(scratchDirectory(t))
  t.after(() => log.stop())
  const [shard] = log.shards
  assert(shard)
  let decoder = new Decoder(probeRegistry(t, probe(X)))
  const late: Offset[] = []
  let place = 0 as Offset
  const awaited = new AwaitedSchemas({
    log,
    decoder: { decode: (message) => decoder.decode(message) },
    logger: silentLogger(),
    late: (entries) => late.push(...entries.map(({ entry }) => entry.offset)),
  })
  t.after(() => awaited.stop())
  /** The tail reads all that there is. */
  const read = async () => {
    const batch = await shard.read(place)
    assert(batch)
    for (const entry of readEntries(batch)) {
      const outcome = decoder.decode(entry)
      if (outcome instanceof Rejection) awaited.note(0, entry, outcome)
    }
    place = batch.next
  }
  for (let index = 0; index < messages; index++) {
    await append(log, 'd', both.encode('probe', { ts: Date.now(), x: index, y: 1 }, 2), 'probe')
    await read()
  }
  const add = () => {
    decoder = new Decoder(both)
  }
  return { log, shard, late, add }
}

test('what ingest has stored by a schema that came in between goes to apps late, in its order', async (t) => {
  const { shard, late, add } = await begun(t, 3)
  add()
  await shard.advance(INGEST_READER, { next: 2 as Offset, stored: 2, readings: 2, deadLetters: [] })
  await until(() => late.length === 2)
  await shard.advance(INGEST_READER, { next: 3 as Offset, stored: 1, readings: 1, deadLetters: [] })
  await until(() => late.length === 3)
  assert.deepEqual(late, [0, 1, 2])
})

test('what ingest has set aside does not, held, put through again or purged: it comes again by itself', async (t) => {
  const { log, shard, late, add } = await begun(t, 4)
  const letterOf = async (offset: number) => {
    const batch = await shard.read(offset as Offset)
    const [entry] = batch === undefined ? [] : readEntries(batch)
    assert(entry)
    return { ...entry, code: 'unknown-schema', reason: 'a test' }
  }
  const deadLetters = [await letterOf(0), await letterOf(1), await letterOf(2)]
  await shard.advance(INGEST_READER, { next: 3 as Offset, stored: 0, readings: 0, deadLetters })
  await log.replay({ sequences: [1] })
  await log.purge({ sequences: [2] })
  add()
  await shard.advance(INGEST_READER, { next: 4 as Offset, stored: 1, readings: 1, deadLetters: [] })
  await until(() => late.length > 0)
  assert.deepEqual(late, [3])
})
