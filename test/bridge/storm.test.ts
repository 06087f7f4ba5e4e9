/** The short form of the storm at a bridge. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findProgram, skipIfMissing } from '../servers/server.ts'
import { isCalm, storm } from './storm.ts'

test('Mosquitto killed, ours killed, by turns: of what Mosquitto acknowledged and had written nothing is lost', async (t) => {
  try {
    findProgram('mosquitto', 'apt install mosquitto')
  } catch (error) {
    return skipIfMissing(t, error)
  }
  const report = await storm({ messages: 4_000, devices: 10, kills: 2, say: (line) => t.diagnostic(line) })
  assert.equal(report.acknowledged, 4_000)
  assert(isCalm(report), JSON.stringify(report))
  return undefined
})
