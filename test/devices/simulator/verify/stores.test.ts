/** A run is verified on each store, by the store's own query language beside history; what is done to the store behind the platform's back is told. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { queryOf } from '../../../../devices/simulator/verify/named-store.ts'
import { verifyRun } from '../../../../devices/simulator/verify/verify.ts'
import { systemClock } from '../../../../platform/clock.ts'
import { RunningPlatform } from '../../../e2e/platform.ts'
import { startInfluxdb1 } from '../../../servers/influxdb1.ts'
import { startInfluxdb2 } from '../../../servers/influxdb2.ts'
import { requireServer } from '../../../servers/server.ts'
import { startVictoriaMetrics } from '../../../servers/victoriametrics.ts'
import { HandRun, tokenOf } from './hand-run.ts'

const MESSAGES = 10
const TIME_STEP_MS = 1_000

interface Store {
  readonly url: string
  readonly token: string
  readonly org: string
  readonly bucket: string
}

async function runOn(t: TestContext, store: RunningPlatformStore): Promise<HandRun> {
  const run = await HandRun.start(t, await RunningPlatform.start(t, { store }))
  for (let index = 0; index < MESSAGES; index++) {
    await run.publish('truck-1', [{ ts: timeOf(run, index), temperature: index + 0.5 }])
  }
  await run.end(MESSAGES)
  return run
}

type RunningPlatformStore = NonNullable<NonNullable<Parameters<typeof RunningPlatform.start>[1]>['store']>
const timeOf = (run: HandRun, index: number) => run.beganAt - 60_000 + index * TIME_STEP_MS

async function verify(run: HandRun, store: Store) {
  const deps = { token: tokenOf(run.platform), clock: systemClock, store: await queryOf(store) }
  return verifyRun({ directory: run.directory, patienceMs: 60_000, lateMs: 60_000 }, deps)
}

const told = ({ findings }: Awaited<ReturnType<typeof verify>>) =>
  findings.map(({ code, stage, count }) => `${count} ${code} ${stage}`)

async function overwrite(store: Store, path: string, run: HandRun, index: number): Promise<void> {
  const line = `environment,device=truck-1 temperature=77 ${timeOf(run, index)}000000`
  const headers = { authorization: `Token ${store.token}` }
  const answer = await fetch(`${store.url}${path}`, { method: 'POST', headers, body: line })
  assert.equal(answer.status, 204, await answer.text())
}

test('InfluxDB 2.7 by Flux', async (t) => {
  const store = await requireServer<Awaited<ReturnType<typeof startInfluxdb2>>>(t, () => startInfluxdb2())
  if (store === undefined) return
  const run = await runOn(t, store.store)
  const found = await verify(run, store)
  assert.deepEqual(told(found), [])
  assert.deepEqual([found.stored, found.asked], [MESSAGES, ['history', 'flux', 'dead letters', 'live', 'books']])
  await overwrite(store, `/api/v2/write?org=${store.org}&bucket=${store.bucket}`, run, 3)
  assert.deepEqual(told(await verify(run, store)), ['1 altered ingest'])
  const [start, stop] = [timeOf(run, 3), timeOf(run, 4) - 1].map((time) => new Date(time).toISOString())
  const answer = await fetch(`${store.url}/api/v2/delete?org=${store.org}&bucket=${store.bucket}`, {
    method: 'POST',
    headers: { authorization: `Token ${store.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ start, stop }),
  })
  assert.equal(answer.status, 204)
  assert.deepEqual(told(await verify(run, store)), ['1 lost store'])
})

test('InfluxDB 1.6 by InfluxQL', async (t) => {
  const store = await requireServer<Awaited<ReturnType<typeof startInfluxdb1>>>(t, () => startInfluxdb1())
  if (store === undefined) return
  const run = await runOn(t, store.store)
  const found = await verify(run, store)
  assert.deepEqual(told(found), [])
  assert.deepEqual([found.stored, found.asked], [MESSAGES, ['history', 'influxql', 'dead letters', 'live', 'books']])
  await overwrite(store, `/write?db=${store.bucket}`, run, 3)
  assert.deepEqual(told(await verify(run, store)), ['1 altered ingest'])
  const q = `DELETE FROM environment WHERE time = ${timeOf(run, 3)}ms`
  const answer = await fetch(`${store.url}/query?${new URLSearchParams({ db: store.bucket, q })}`, { method: 'POST' })
  assert.equal(answer.status, 200, await answer.text())
  assert.deepEqual(told(await verify(run, store)), ['1 lost store'])
})

test('VictoriaMetrics by its export, for the platform has no history of it', async (t) => {
  const victoria = await requireServer<Awaited<ReturnType<typeof startVictoriaMetrics>>>(t, () =>
    startVictoriaMetrics(),
  )
  if (victoria === undefined) return
  const run = await runOn(t, victoria.store)
  const store = { url: victoria.url, token: '', org: '', bucket: '' }
  const found = await verify(run, store)
  assert.deepEqual(told(found), [])
  assert.deepEqual([found.stored, found.asked], [MESSAGES, ['export', 'dead letters', 'live', 'books']])
})
