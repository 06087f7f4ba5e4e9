import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { deviceNames } from '../../bench/accept.ts'
import { compileFleetLoad, FleetLoad } from '../../bench/fleet-load.ts'
import { FleetRuns } from '../../bench/fleet-runs.ts'
import { startMosquitto } from '../servers/mosquitto.ts'
import { freePort, requireProgram, requireServer } from '../servers/server.ts'

const DEVICES = deviceNames(20)
const PER_DEVICE = 10
const MESSAGES = DEVICES.length * PER_DEVICE
const RATE = 2_000
const NS_PER_S = 1_000_000_000n
const US_PER_S = 1_000_000

/** What is connected to a broker on `port`, and the messages for it; undefined, and the test skipped, without a compiler. */
async function prepare(t: TestContext, deadlineMs = 10_000) {
  if (requireProgram(t, 'cc', 'apt install gcc libc6-dev') === undefined) return undefined
  const directory = mkdtempSync(join(tmpdir(), 'telltale-fleet-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const program = await compileFleetLoad(directory)
  const credentials = DEVICES.map((device) => ({ device, token: '' }))
  const connect = async (port: number) => {
    const load = await FleetLoad.connect({ program, port, credentials, directory, deadlineMs })
    t.after(() => load.stop())
    return load
  }
  return { connect, runs: new FleetRuns(DEVICES, directory) }
}

test('every message is acknowledged, run after run on the same connections, and what it took is told', async (t) => {
  const mosquitto = await requireServer(t, startMosquitto)
  const prepared = await prepare(t)
  if (mosquitto === undefined || prepared === undefined) return
  const load = await prepared.connect(mosquitto.port)
  for (let run = 0; run < 2; run++) {
    const firstDueNs = process.hrtime.bigint() + NS_PER_S / 10n
    const result = await load.publish(prepared.runs.make(RATE, PER_DEVICE), firstDueNs)
    const { sent, acknowledged, p50Us, p90Us, p99Us, p999Us, maxUs, elapsedUs, cpuUs, lateP50Us, lateP99Us } = result
    assert.deepEqual([sent, acknowledged], [MESSAGES, MESSAGES])
    const rising = [0, p50Us, p90Us, p99Us, p999Us, maxUs]
    assert.deepEqual(
      rising,
      rising.toSorted((a, b) => a - b),
    )
    assert(lateP50Us <= lateP99Us && cpuUs > 0, JSON.stringify(result))
    assert(elapsedUs >= ((MESSAGES - 1) * US_PER_S) / RATE, 'the last one is not sent before it is due')
  }
})

test('a latency counts from when its message was due, however late it was sent', async (t) => {
  const mosquitto = await requireServer(t, startMosquitto)
  const prepared = await prepare(t)
  if (mosquitto === undefined || prepared === undefined) return
  const load = await prepared.connect(mosquitto.port)
  const firstDueNs = process.hrtime.bigint() - NS_PER_S
  const { p50Us, lateP50Us } = await load.publish(prepared.runs.make(RATE, PER_DEVICE), firstDueNs)
  const leastUs = US_PER_S - (MESSAGES * US_PER_S) / RATE
  assert(p50Us >= leastUs && lateP50Us >= leastUs, `${p50Us} and ${lateP50Us} us`)
})

test('a broker that ends before a run is over is an error that says so', async (t) => {
  const mosquitto = await requireServer(t, startMosquitto)
  const prepared = await prepare(t)
  if (mosquitto === undefined || prepared === undefined) return
  const load = await prepared.connect(mosquitto.port)
  const run = prepared.runs.make(RATE, PER_DEVICE)
  const publishing = load.publish(run, process.hrtime.bigint() + 3600n * NS_PER_S)
  await Promise.all([
    assert.rejects(publishing, /the connection of device \d+ ended: .*; 0 of its messages sent, 0 acknowledged/),
    mosquitto.stop(),
  ])
})

test('an acknowledgement that does not come is an error that says how many are missing', async (t) => {
  const prepared = await prepare(t, 1_000)
  if (prepared === undefined) return
  const broker = createServer((socket) => {
    socket.once('data', () => socket.write(Buffer.from([0x20, 2, 0, 0])))
    socket.on('error', () => {})
    t.after(() => socket.destroy())
  }).listen(0, '127.0.0.1')
  t.after(() => broker.close())
  await once(broker, 'listening')
  const load = await prepared.connect((broker.address() as AddressInfo).port)
  const publishing = load.publish(prepared.runs.make(RATE, PER_DEVICE), process.hrtime.bigint())
  await assert.rejects(publishing, /200 of 200 messages not acknowledged 1000 ms after the last was due/)
})

test('a broker that is not there, or refuses, is an error that says so', async (t) => {
  const prepared = await prepare(t)
  if (prepared === undefined) return
  await assert.rejects(prepared.connect(await freePort()), /device 1 could not connect: Connection refused/)
  const mosquitto = await requireServer(t, () => startMosquitto(['allow_anonymous false']))
  if (mosquitto === undefined) return
  await assert.rejects(prepared.connect(mosquitto.port), /device \d+ was refused: CONNACK with return code 5/)
})
