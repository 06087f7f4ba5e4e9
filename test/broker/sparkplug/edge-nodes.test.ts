/** What is known of edge nodes is bounded, ends with their connection, and is counted right whatever comes. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Session } from '../../../broker/session/session.ts'
import { DEVICES_PER_NODE_MAX, EDGE_NODES_MAX, EdgeNodes } from '../../../broker/sparkplug/edge-nodes.ts'
import { readSparkplug, type SparkplugPayload } from '../../../maps/sparkplug/payload.ts'
import { type MetricSaid, TYPE, write } from '../../maps/sparkplug/edge.ts'

const session = () => ({}) as Session
const payload = (seq: number, metrics: readonly MetricSaid[] = []) =>
  readSparkplug(write({ seq, metrics })) as SparkplugPayload
const born = payload(0, [{ name: 'a', alias: 1, datatype: TYPE.Int32 }])

test('of more edge nodes than are known the one born longest ago is forgotten, and so is the device of one with too many', () => {
  const nodes = new EdgeNodes(0)
  const own = session()
  for (let index = 0; index <= EDGE_NODES_MAX; index++) nodes.bear(own, `g:${index}`, born, 0)
  assert.equal(nodes.count, EDGE_NODES_MAX)
  assert.equal(nodes.born(own, 'g:0'), undefined)
  const node = nodes.born(own, 'g:1') ?? assert.fail('g:1 is known')
  for (let index = 0; index <= DEVICES_PER_NODE_MAX; index++) nodes.bearDevice(node, `d${index}`, `g:1:d${index}`, born)
  assert.equal(node.devices.size, DEVICES_PER_NODE_MAX)
  assert.equal(node.devices.has('d0'), false)
  assert.equal(nodes.ended(own).length, EDGE_NODES_MAX + DEVICES_PER_NODE_MAX)
  assert.equal(nodes.born(own, 'g:1'), undefined)
})

test('births of more bytes than are kept push out older ones', () => {
  const nodes = new EdgeNodes(0)
  const own = session()
  const metrics = Array.from({ length: 9_000 }, (_, index) => ({
    name: `${'m'.repeat(200)}${index}`,
    datatype: TYPE.Int32,
  }))
  const large = payload(0, metrics)
  for (let index = 0; index < 50; index++) nodes.bear(own, `g:${index}`, large, 0)
  assert(nodes.count < 30, `${nodes.count} are known`)
  assert.notEqual(nodes.born(own, 'g:49'), undefined)
  assert.equal(nodes.born(own, 'g:0'), undefined)
})

test('who is born on another connection is not of the one before, whose end changes nothing', () => {
  const nodes = new EdgeNodes(0)
  const [before, now] = [session(), session()]
  const node = nodes.bear(before, 'g:n', born, 0)
  nodes.bearDevice(node, 'd', 'g:n:d', born)
  nodes.bear(now, 'g:n', born, 1)
  assert.equal(nodes.born(before, 'g:n'), undefined)
  assert.equal(node.devices.get('d')?.metrics, undefined, 'what it said of its metrics is over')
  assert.deepEqual(nodes.ended(before), [])
  assert.deepEqual(nodes.ended(now), ['g:n'])
  assert.deepEqual(nodes.ended(now), [])
})

test('numbers go from 0 to 255 and begin again; what is missing before one is counted', () => {
  const node = new EdgeNodes(0).bear(session(), 'g:n', payload(254), 0)
  const missing = [255, 0, 1, 1, 0, 3, undefined, 4, 1_000].map((seq) => node.missingBefore(seq))
  assert.deepEqual(missing, [0, 0, 0, 255, 254, 2, 0, 0, (1_000 - 5) % 256])
})

test('random births and deaths are counted as what is left', () => {
  const nodes = new EdgeNodes(0)
  const sessions = [session(), session(), session()]
  let seed = 7
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return (seed >>> 8) % below
  }
  for (let round = 0; round < 20_000; round++) {
    const own = sessions[random(3)] as Session
    const id = `g:${random(20)}`
    const node = nodes.born(own, id)
    const what = random(6)
    if (what === 0) nodes.ended(own)
    else if (node === undefined || what === 1) nodes.bear(own, id, born, 0)
    else if (what === 2) nodes.die(node)
    else if (what === 3) nodes.dieDevice(node, `d${random(5)}`)
    else nodes.bearDevice(node, `d${random(5)}`, `${id}:d`, born)
  }
  for (const own of sessions) nodes.ended(own)
  assert(nodes.count <= 20)
})
