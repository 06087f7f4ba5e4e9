/** What faults do to one device's connection is counted as one state. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultCounts } from '../../../../devices/simulator/faults/fault-counts.ts'
import { Connection } from '../../../../devices/simulator/fleet/connection.ts'
import { LinkFaults } from '../../../../devices/simulator/fleet/link-faults.ts'
import { Tally } from '../../../../devices/simulator/fleet/tally.ts'
import { seededRandom } from '../../../../devices/simulator/signals/random.ts'
import { silentLogger } from '../../../../platform/logger.ts'
import { until } from '../../../until.ts'

test('a device that is away twice over, and mute, is away once; then it is mute, and then itself', async () => {
  const [tally, random, nothing] = [new Tally(), seededRandom(1, 0), () => {}]
  const options = {
    url: 'mqtt://127.0.0.1:1',
    tls: {},
    id: 'sim-1',
    token: '',
    mqtt: '5',
    keepaliveSeconds: 0,
  } as const
  const connection = new Connection(
    { ...options, keepsSession: false },
    { tally, random, logger: silentLogger() },
    {
      ...{ online: nothing, offline: nothing, refused: nothing, refusedInDisguise: nothing },
      ...{ admittedInDisguise: nothing, told: nothing, resent: nothing },
    },
  )
  const period = { atMs: 0, forMs: Number.POSITIVE_INFINITY, devices: { share: 1 } }
  const faults = (['link-loss', 'mute', 'link-loss'] as const).map((kind, number) => ({
    number,
    fault: { kind, ...period },
  }))
  const { counts } = tally
  const links = new LinkFaults(faults, {
    ...{ id: 'sim-1', connection, counts, random, badTokens: { expired: undefined, revoked: undefined } },
    faultCounts: new FaultCounts(faults.length),
    twin: () => assert.fail('no fault is of two'),
  })
  links.start(0)
  await until(() => counts.away === 1)
  const states: number[][] = []
  for (const number of [2, 0, 1]) {
    states.push([counts.away, counts.muted])
    links.relieve(number)
  }
  assert.deepEqual(
    [...states, [counts.away, counts.muted]],
    [
      [1, 0],
      [1, 0],
      [0, 1],
      [0, 0],
    ],
  )
  links.stop()
})
