import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoded } from '../../../log/tables/decoded.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { scratchDirectory } from '../../scratch.ts'

test('a record is decoded once while it is the same, and what is given is what it says now', async (t) => {
  const environment = await openEnvironment(scratchDirectory(t))
  t.after(() => environment.root.close())
  const { journal } = environment
  const decoded = new Decoded<{ events: number[] }>(journal)
  t.after(() => decoded.stop())
  assert.equal(decoded.get('a'), undefined)
  await journal.put('a', { events: [1] })
  const first = decoded.get('a')
  assert.deepEqual(first, { events: [1] })
  await journal.put('b', { events: [2] })
  assert.equal(decoded.get('a'), first)
  // As long as before.
  await journal.put('a', { events: [3] })
  assert.deepEqual(decoded.get('a'), { events: [3] })
  await journal.put('a', { events: Array.from({ length: 1_000 }, (_, index) => index) })
  assert.equal(decoded.get('a')?.events.length, 1_000)
  await journal.remove('a')
  assert.equal(decoded.get('a'), undefined)
  assert.deepEqual(decoded.get('b'), { events: [2] })
})
