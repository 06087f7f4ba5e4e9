/** What is proposed for what came without a map: it reads what it was made of. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Proposal, propose, type UnmappedTopic } from '../../maps/proposal.ts'
import { shippedMaps } from '../../maps/shipped-maps.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'

const NOW = Date.UTC(2025, 10, 23, 12)
const registry = Registry.load(SHIPPED_SCHEMAS_DIR)

const came = (topic: string, payload: string): UnmappedTopic => ({
  topic,
  sender: 'd',
  messages: 1,
  lastAt: NOW,
  payload: Buffer.from(payload).toString('base64'),
  isWhole: true,
})

const proposed = (...topics: readonly UnmappedTopic[]) => propose(topics, shippedMaps(), registry)
const text = ({ text }: Proposal) => text

test('a map of what was said: its numbers, its time, and which level is the device', () => {
  const { proposals, others } = proposed(
    came('meteo/roof-1/state', '{"when":"2025-11-23T12:00:00Z","air":{"t":21.5,"rh":"40"},"ok":true,"fw":"v1.8"}'),
    came('meteo/roof-2/state', '{"when":"2025-11-23T12:00:00Z","air":{"t":20}}'),
  )
  assert.deepEqual(proposals.map(text), [
    `topic: "meteo/{device}/state"
stream: meteo
time: "when"
fields:
  air_t: "air.t"
  air_rh: "air.rh"
  ok: { path: "ok", type: boolean }
`,
  ])
  assert.deepEqual([proposals[0]?.name, proposals[0]?.topics.length, others.length], ['meteo.yaml', 2, 0])
})

test('items of short lists are fields each, and of a longer one it is said where they are', () => {
  const { proposals } = proposed(
    came('solar/inv-1/state', JSON.stringify({ PV: [{ U: 1 }, { U: 2, on: true }], day: Array(24).fill(0), t: 3 })),
  )
  assert.deepEqual(proposals.map(text), [
    `topic: "solar/{device}/state"
stream: solar
fields:
  PV_0_U: "PV.0.U"
  PV_1_U: "PV.1.U"
  PV_1_on: { path: "PV.1.on", type: boolean }
  t: "t"
# left out: "day", a list of 24, whose first item is at "day.0"
`,
  ])
})

test('one value a topic, line protocol, and what cannot be guessed', () => {
  const { proposals, others } = proposed(
    came('boiler/cellar-1/flow', '21.5'),
    came('boiler/cellar-1/return', '18'),
    came('hosts/web-1/load', 'load,host=web-1 one=0.5 1763899200000000000'),
    came('boiler/cellar-1/name', 'the boiler'),
    came('picture', '\u0000\u0001'),
  )
  assert.deepEqual(proposals.map(text), [
    'topic: "boiler/{device}/{field}"\nstream: boiler\n# one reading of all values that come within two seconds\ngather: 2s\n',
    'topic: "hosts/{device}/load"\nstream: hosts_load\nformat: influx\n',
  ])
  assert.deepEqual(
    others.map(({ topic }) => topic),
    ['boiler/cellar-1/name', 'picture'],
  )
})

test('a shipped map goes before one that is made; names and streams that are taken are not taken twice', () => {
  const { proposals } = proposed(
    came('tele/plug-1/SENSOR', '{"Time":"2025-11-23T12:00:00","AM2301":{"Temperature":21.3}}'),
    came('environment/hut-1/state', '{"t":1}'),
    came('environment/hut-1/data', '{"t":1}'),
  )
  assert.deepEqual(
    proposals.map(({ name }) => name),
    ['tasmota.yaml', 'environment_mapped.yaml', 'environment_mapped-2.yaml'],
  )
  assert.match(proposals[1]?.text ?? '', /^stream: environment_mapped$/m)
})

test('hostile names are quoted or left out', () => {
  const { proposals, others } = proposed(
    came('a"b: [/x-1', '{"__proto__":1,"x\\ny: {":2,"":3,"a.b":4}'),
    came('x'.repeat(600), '1'),
  )
  assert.equal(proposals.length + others.length, 2)
})
