import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import type { Summary } from '../../../../devices/simulator/report/summary.ts'
import { summaryText } from '../../../../devices/simulator/report/summary-text.ts'
import { LocalPart } from '../../../../devices/simulator/run/local-part.ts'
import { SubscriberWatch } from '../../../../devices/simulator/run/subscriber-watch.ts'
import { Simulator } from '../../../../devices/simulator/simulator.ts'
import { SubscriptionVerifier } from '../../../../devices/simulator/verify/run-verifier.ts'
import { verifyRun } from '../../../../devices/simulator/verify/verify.ts'
import { systemClock } from '../../../../platform/clock.ts'
import { silentLogger } from '../../../../platform/logger.ts'
import { faults, type OnPublish, startProxy } from '../../../planted/proxy.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { startMosquitto } from '../../../servers/mosquitto.ts'
import { freePort, requireServer } from '../../../servers/server.ts'
import { until } from '../../../until.ts'
import { registry, scenario } from '../fleet.ts'
import { schemasWith } from '../messages/sources.ts'
import { simulate } from '../simulate.ts'

const deps = { token: async () => '', clock: systemClock }
/** It keeps all that waits for a subscriber. */
const roomy = () => startMosquitto(['max_queued_messages 0', 'max_inflight_messages 0'])

const MIXED = `
name: mixed
messages: 400
fleet:
  - { prefix: a-, devices: 2, sends: [{ stream: environment, every: 0s, qos: 0 }] }
  - { prefix: b-, devices: 2, mqtt: 5, sends: [{ stream: environment, every: 0s, format: json, batch: 3 }] }
  - prefix: 'plant:c-'
    devices: 2
    sends: [{ stream: machine, every: 0s, format: sparkplug, signals: { load: { kind: walk, min: 0, max: 9, step: 1 } } }]
  - { prefix: d-, devices: 2, sends: [{ stream: power, every: 0s, qos: 2 }] }
faults:
  - { kind: hostile, at: 0s, for: 60s, devices: b-*, share: 20% }
  - { kind: duplicates, at: 0s, for: 60s, devices: 'd-*', share: 20% }
`

test('at another broker a subscriber is asked: all that was acknowledged came, whatever it is, and QoS 0 is told apart', async (t) => {
  const broker = await requireServer(t, roomy)
  if (!broker) return
  const directory = scratchDirectory(t)
  const file = join(directory, 'mixed.yaml')
  writeFileSync(file, MIXED)
  const out = join(directory, 'run')
  const args = ['--url', broker.url, '--scenario', file, '--verify', '--json', '--out', out]
  const { output, errors } = await simulate(args, { registry: () => schemasWith().registry })
  assert.equal(errors, '')
  const summary = JSON.parse(output) as Summary
  const { verification } = summary
  assert(verification !== undefined)
  assert.deepEqual(verification.findings, [])
  assert.deepEqual(verification.asked, ['subscription'])
  assert.equal(summary.acknowledged, 300)
  assert.deepEqual(verification.subscription, { came: 300, sentQos0: 100, cameQos0: 100, cameUnacknowledged: 0 })
  assert.equal(summary.ok, true)
  const text = summaryText(summary)
  assert.match(text, /^came +300 of 300 messages by subscription; no store was asked$/m)
  assert.match(text, /^QoS 0 +100 of 100 messages came; nobody had promised them$/m)
  assert.match(
    text,
    /^nothing lost at the broker: 300 acknowledged, and all came at a subscriber; no store was asked$/m,
  )
  assert.deepEqual(await verifyRun({ directory: out }, deps), verification)
})

const FAULTS: readonly (readonly [string, OnPublish, string])[] = [
  ['acknowledges a message and drops it', faults.drops(5), 'lost'],
  ['sends a message twice', faults.doubles(5), 'duplicated'],
  ['alters a message', faults.alters(5), 'altered'],
  ['holds a message back', faults.delays(5, 20), 'out-of-order'],
]

for (const [what, fault, code] of FAULTS) {
  test(`what stands before a broker and ${what} is found as ${code} at the broker`, async (t) => {
    const broker = await requireServer(t, roomy)
    if (!broker) return
    const proxy = await startProxy(broker.port, fault)
    t.after(() => proxy.stop())
    const args = ['--url', proxy.url, '--rate', '0', '--messages', '200', '--devices', '2', '--verify', '--json']
    const { output, status } = await simulate([...args, '--out', scratchDirectory(t)])
    const { verification } = JSON.parse(output) as Summary
    const found = verification?.findings.map((finding) => [finding.code, finding.stage])
    assert.deepEqual(found, [[code, 'broker']], JSON.stringify(verification))
    assert.equal(status, 1)
    assert(verification?.findings[0]?.examples[0]?.includes('devices/sim-'))
  })
}

/** A way to a broker on which nothing comes back while it is closed. */
async function startGate(t: TestContext, port: number) {
  const open = new Set<Socket>()
  let isClosed = false
  const server = createServer((client) => {
    const broker = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      open.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
      socket.on('data', (bytes) => {
        if (socket === client || !isClosed) other.write(bytes)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  return {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set isClosed(value: boolean) {
      isClosed = value
    },
  }
}

test('what a broker has acknowledged, and forgets when it is killed -9, is found as lost at the broker', async (t) => {
  const port = await freePort()
  const start = () => startMosquitto([`listener ${port} 127.0.0.1`, 'max_queued_messages 0'])
  const first = await requireServer(t, start)
  if (!first) return
  const url = `mqtt://127.0.0.1:${port}`
  const gate = await startGate(t, port)
  const directory = scratchDirectory(t)
  const schemas = new SimulatorSchemas(registry)
  const any = async () => 'any'
  const endless = scenario({ messages: Number.POSITIVE_INFINITY, rate: 50 })
  const [logger, credentials] = [silentLogger(), { good: any, expired: any, revoked: any }]
  const watch = { url: gate.url, tls: {}, isOurs: false, token: undefined, filters: ['devices/+/telemetry/#'] }
  const part = new LocalPart(
    { scenario: endless, url, tls: {}, part: { index: 0, of: 1 }, messagesFile: join(directory, 'messages-0.tsv') },
    { schemas, credentials, logger },
  )
  const simulator = new Simulator(
    { scenario: endless, url, gateway: undefined, folder: directory, everyMs: 10 },
    {
      parts: [part],
      watch: (log) => new SubscriberWatch(watch, { log, schemas }),
      verifier: new SubscriptionVerifier(directory, { ...deps, store: undefined, logger: silentLogger() }),
      cost: () => ({ cpuSeconds: 0, rssBytesMax: 0 }),
      say: () => {},
    },
  )
  const interruption = new AbortController()
  const running = simulator.run(interruption.signal)
  const acknowledged = () => simulator.snapshot.totals.counts.acknowledged
  const more = async (count: number) => {
    const before = acknowledged()
    await until(() => acknowledged() > before + count)
  }
  await more(20)
  gate.isClosed = true
  await more(100)
  process.kill(first.pid, 'SIGKILL')
  await until(() => simulator.snapshot.totals.counts.connected === 0)
  gate.isClosed = false
  await requireServer(t, start)
  await more(100)
  interruption.abort()
  const { verification, unacknowledged } = await running
  assert.equal(unacknowledged, 0)
  const [lost, ...others] = verification?.findings ?? []
  assert.deepEqual([lost?.code, lost?.stage, others], ['lost', 'broker', []], JSON.stringify(verification))
  assert((lost?.count ?? 0) >= 80, lost?.sentence)
  assert.match(lost?.sentence ?? '', /the broker had forgotten it once$/)
})
