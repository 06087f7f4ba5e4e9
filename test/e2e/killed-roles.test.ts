/** Roles as processes of their own, of which some are killed: the gateway, and a command, say which is gone, and of no other. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PartOfPlatform } from '../../gateway/devices/platform-facts.ts'
import type { Why } from '../../gateway/devices/why.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

const AWAY = { INFLUX_URL: 'http://127.0.0.1:9', INFLUX_TOKEN: 'x', INFLUX_ORG: 'x', INFLUX_BUCKET: 'x' }

test('a broker and an ingest that are killed are told, and not while they are only stopped or busy', async (t) => {
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const directory = scratchDirectory(t)
  const environment = { ...AWAY, TELLTALE_STORE: 'influx' }
  const processes = ['broker', 'ingest', 'gateway'].map((roles) => {
    return new RunningPlatform(directory, ports, { roles, environment })
  })
  t.after(() => Promise.all(processes.map((each) => each.kill())))
  for (const each of processes) await each.start()
  const [broker, ingest, gateway] = processes
  assert(broker && ingest && gateway)
  await gateway.simulate('--devices', '1', '--messages', '3', '--rate', '0')
  const why = () => gateway.get<Why>('/v1/devices/sim-1/why')
  const parts = async () => (await gateway.get<{ parts: PartOfPlatform[] }>('/v1/platform')).parts
  const states = async () => (await parts()).map(({ state }) => state)
  const first = { broker: broker.pid, ingest: ingest.pid }
  process.kill(first.broker, 'SIGSTOP')
  assert.deepEqual(await states(), ['running', 'running', 'running'])
  assert.notEqual((await why()).cause, 'broker-down')
  process.kill(first.broker, 'SIGCONT')

  await broker.kill()
  await until(async () => (await parts())[0]?.since !== undefined && (await states())[0] === 'stopped')
  const gone = await why()
  assert.equal(gone.cause, 'broker-down')
  assert.match(gone.sentence, new RegExp(`the platform's broker is gone since .*process ${first.broker} was killed`))
  assert.deepEqual((await states()).slice(1), ['running', 'running'])
  await broker.start()
  assert.notEqual((await why()).cause, 'broker-down')
  assert.deepEqual(await states(), ['running', 'running', 'running'])

  await ingest.kill()
  await until(async () => (await states())[1] === 'stopped')
  assert.equal((await parts())[1]?.reason, `process ${first.ingest} was killed, or crashed`)
  assert.equal(await broker.stop(), 0)
  await gateway.kill()
  const told = await gateway.telltale('why', 'sim-1').catch(({ stdout }) => stdout as string)
  assert.match(told, /the platform's broker is stopped since/)
})
