/** Mutated payloads of foreign topics, by maps of every kind: what they become are values that a store takes, or a reason; nothing throws. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../devices/simulator/signals/random.ts'
import { mapMaker } from '../../maps/maps.ts'
import { Rejection, type Value } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { mutate } from './mutation.ts'

const PAYLOADS = 20_000
/** So often columns are forgotten, for there is room for so many only. */
const FORGOTTEN_EVERY = 1_000
const REASON_CHARS_MAX = 2_000
const RECEIVED_AT = Date.UTC(2025, 10, 23, 12)
const MAPS = `
- topic: all/{device}
  stream: all_numbers
  time: t
- topic: fields/{device}
  stream: fields
  fields: { a: { path: a.b, factor: 0.1, offset: -3 }, n: { type: integer }, on: { type: boolean }, s: { type: string } }
  tags: { tag: s }
- topic: lines/{device}
  stream: lines
  format: influx
- topic: one/{device}/{field...}
  stream: one_value
- topic: up
  device: "{id}"
  stream: up
`
const MESSAGES: readonly (readonly [topic: string, payload: string])[] = [
  [
    'all/d',
    '{"t":"2025-11-23T11:00:00Z","a":1,"b":{"c":2.5,"__proto__":3,"constructor":{"x":9007199254740993}},"l":[1]}',
  ],
  ['all/d', '[{"t":1763895600,"a":1},{"t":1763895601000,"a":-0}]'],
  ['fields/d', '{"a":{"b":"21.3"},"n":7,"on":"ON","s":"text \\u00fc"}'],
  ['lines/d', 'cpu,host=a user=1.5,system=2i,s="a \\"b",x=t 1763895600000000000\ncpu u=1'],
  ['one/d/Dc/0/Voltage', '52.1'],
  ['one/d/__proto__/x', '{"value":1}'],
  ['up', '{"id":"a","x":1e308}'],
]

const isStorable = (value: Value) =>
  typeof value === 'number' ? Number.isFinite(value) && !Object.is(value, -0) : typeof value !== 'object'

test('mutated foreign payloads become values that a store takes, or a reason', (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed, 0)
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const make = () => mapMaker()([{ file: 'm.yaml', text: MAPS }], registry)
  const count = { taken: 0, refused: 0, left: 0 }
  let maps = make()
  for (let index = 0; index < PAYLOADS; index++) {
    if (index % FORGOTTEN_EVERY === 0) maps = make()
    const [topic, text] = MESSAGES[random.below(MESSAGES.length)] ?? assert.fail()
    const payload = mutate(random, Buffer.from(text))
    const words = `seed ${seed}: ${payload.toString('hex')} on ${topic}`
    const match = maps.for(topic) ?? assert.fail()
    const place = match.map.place(match.names, payload, false)
    if (place.kind !== 'taken') {
      count.left++
      continue
    }
    const outcome = maps.tried(place.device, { topic, receivedAt: RECEIVED_AT, payload, offset: index })
    if (outcome instanceof Rejection) {
      count.refused++
      assert(outcome.reason.length < REASON_CHARS_MAX, words)
      continue
    }
    count.taken++
    for (const { ts, values } of outcome ?? []) {
      assert(Number.isFinite(ts), words)
      for (const [name, value] of Object.entries(values)) assert(/^[A-Za-z]\w*$/.test(name) && isStorable(value), words)
    }
  }
  t.diagnostic(JSON.stringify(count))
  assert(count.taken > 0 && count.refused > 0)
})
