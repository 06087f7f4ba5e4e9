/** How soon the store has what was acknowledged is looked at each second, on a real platform; what was late while nothing was wrong is told. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Findings } from '../../../../devices/simulator/verify/findings.ts'
import { GatewayApi } from '../../../../devices/simulator/verify/gateway-api.ts'
import { Sent } from '../../../../devices/simulator/verify/sent.ts'
import { judgeProbes, STORE_FILE, StoreProbe } from '../../../../devices/simulator/verify/store-probe.ts'
import { RunningPlatform } from '../../../e2e/platform.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { freePort } from '../../../servers/server.ts'
import { gatewayOf, HandRun } from './hand-run.ts'

const DEVICE = 'truck-1'

test('one a second is asked for when it is old enough: it is there, or comes, or does not', async (t) => {
  const run = await HandRun.start(t, await RunningPlatform.start(t))
  const ts = run.beganAt - 60_000
  await run.publish(DEVICE, [{ ts, temperature: 1 }])
  await run.end(1)
  await run.platform.settled()
  const clock = { time: 0, now: () => clock.time }
  const directory = scratchDirectory(t)
  const probe = new StoreProbe({ directory, lateMs: 5_000 }, { gateway: gatewayOf(run.platform), clock })
  const add = (acknowledgedAt: number, of: number) =>
    probe.acknowledged({ device: DEVICE, stream: 'environment', ts: of, acknowledgedAt })
  add(0, ts)
  add(1, ts + 99)
  add(1_000, ts + 1)
  await probe.look()
  clock.time = 7_000
  await probe.look()
  await run.publish(DEVICE, [{ ts: ts + 1, temperature: 2 }])
  await run.platform.settled()
  clock.time = 9_000
  await probe.look()
  add(2_000, ts + 2)
  await probe.look()
  await probe.stop()
  const lines = readFileSync(join(directory, STORE_FILE), 'utf8').split('\n')
  const line = (acknowledged: string, of: number, late: string) =>
    `${acknowledged}\t${DEVICE}\tenvironment\t${of}\t${late}\t-`
  assert.deepEqual(lines, [line('0.000', ts, '0'), line('1000.000', ts + 1, '8000'), line('2000.000', ts + 2, '-'), ''])
})

test('what was late is told, but of a store that was away, and of a platform that acknowledged nothing', (t) => {
  const directory = scratchDirectory(t)
  const told = (lines: string, sent = new Sent()) => {
    writeFileSync(join(directory, STORE_FILE), lines)
    const findings = new Findings()
    judgeProbes(directory, { findings, sent, lateMs: 5_000 })
    return findings.all().map(({ code, stage, count }) => `${count} ${code} ${stage}`)
  }
  const line = (late: string, why = '-') => `1000.000\t${DEVICE}\tenvironment\t1\t${late}\t${why}\n`
  assert.deepEqual(told(line('0')), [])
  assert.deepEqual(told(line('8000') + line('-') + line('9000').trimEnd()), ['2 late store'])
  assert.deepEqual(told(line('8000', 'store-away') + line('-', 'no-answer')), [])
  const away = new Sent()
  away.outages.sent(2_000)
  away.outages.acknowledged(4_000)
  assert.deepEqual(told(line('8000'), away), [])
})

test('while nobody answers a reading is not late at the store: nobody could ask', async (t) => {
  const directory = scratchDirectory(t)
  const clock = { time: 0, now: () => clock.time }
  const url = `http://127.0.0.1:${await freePort()}`
  const gateway = new GatewayApi({ url, patienceMs: 0 }, { token: async () => '', clock })
  const probe = new StoreProbe({ directory, lateMs: 5_000 }, { gateway, clock })
  probe.acknowledged({ device: DEVICE, stream: 'environment', ts: 1, acknowledgedAt: 1_000 })
  clock.time = 7_000
  await probe.look()
  clock.time = 180_000
  await probe.look()
  await probe.stop()
  assert.match(readFileSync(join(directory, STORE_FILE), 'utf8'), /\t-\tno-answer\n$/)
  const findings = new Findings()
  judgeProbes(directory, { findings, sent: new Sent(), lateMs: 5_000 })
  assert.deepEqual(findings.all(), [])
})
