/** Owns the proof that the same seed sends the same bytes: also on another machine, another day, and after a change of the simulator. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { CASES, type Case, makeSource, SHIPPED, START_AT } from './messages/sources.ts'

/** `UPDATE=1` writes it anew: then a recorded run is no longer repeated by its seed, which the CHANGELOG has to say. */
const FILE = new URL('golden.json', import.meta.url)
const MESSAGES = 1_000

/** Of what one device says on one connection. */
function digest({ stream, format, batch }: Case, seed: number, count = MESSAGES): string {
  const source = makeSource({ stream, format, batch, seed })
  const hash = createHash('sha256')
  for (const { topic, payload } of source.birth(START_AT)) hash.update(topic).update(payload)
  hash.update(source.topic)
  for (let number = 0; number < count; number++) {
    hash.update(source.write(source.measure(START_AT + number * 1_000)))
  }
  return hash.digest('hex')
}

const nameOf = ({ stream, format }: Case) => `${stream} ${format}`
const SINGLE = CASES.filter(({ batch }) => batch === 1)

test('seed 7 sends the bytes that it always has, of each shipped stream in each format', () => {
  const digests = Object.fromEntries(SINGLE.map((each) => [nameOf(each), digest(each, 7)]))
  if (process.env.UPDATE === '1') writeFileSync(FILE, `${JSON.stringify(digests, null, 2)}\n`)
  assert.deepEqual(digests, JSON.parse(readFileSync(FILE, 'utf8')))
})

test('the same seed sends the same bytes twice, another seed others', () => {
  for (const each of CASES) {
    assert.equal(digest(each, 8, 50), digest(each, 8, 50), nameOf(each))
    assert.notEqual(digest(each, 8, 50), digest(each, 9, 50), nameOf(each))
  }
})

test('what a device measures does not depend on the format', () => {
  for (const stream of SHIPPED) {
    const drawn = SINGLE.filter((each) => each.stream === stream).map(({ format }) => {
      const source = makeSource({ stream, format })
      return Array.from({ length: 20 }, (_, number) => source.measure(START_AT + number * 1_000))
    })
    for (const other of drawn) assert.deepEqual(other, drawn[0])
  }
})
