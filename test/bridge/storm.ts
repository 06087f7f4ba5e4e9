/**
 * Owns the storm at a bridge: publishers at a real Mosquitto, a platform that is a bridge and ingest, and both of them killed with -9 again and again.
 *
 * What is looked for in the end is what Mosquitto took and answers for. A kill -9 takes from Mosquitto what it acknowledged since it wrote its store
 * last, whoever reads it then; so it is killed when nobody has published since it wrote (SIGUSR1 has it write), and everything it acknowledged
 * is in that file. Publishers send again what was not acknowledged. So nothing is lost means: of all that was acknowledged to a publisher there is
 * a message in the log, and the ledger balances.
 *
 * Always true: what is killed is our own child. Bound: `messages`.
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import { readEntries } from '../../log/entry.ts'
import { LocalLog } from '../../log/local/local-log.ts'
import type { Ledger } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { only } from '../log/only.ts'
import { type Mosquitto, startMosquitto } from '../servers/mosquitto.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'

/** Unacknowledged at Mosquitto by a publisher. */
const IN_FLIGHT_MAX = 200
const QUEUED_MAX = 1_000_000
const START_MS = Date.UTC(2026, 0, 1)

export interface StormOptions {
  readonly messages: number
  readonly devices: number
  /** Of each of the two. */
  readonly kills: number
  readonly say: (line: string) => void
}

export interface StormReport {
  readonly acknowledged: number
  /** Of those, in the log. */
  readonly inLog: number
  readonly lost: number
  /** Entries beyond one a message: they came again, unacknowledged when somebody was killed. */
  readonly again: number
  readonly platformKills: number
  readonly mosquittoKills: number
  readonly seconds: number
  readonly ledger: Ledger
}

export async function storm(options: StormOptions): Promise<StormReport> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-bridge-storm-'))
  const field = await Field.start(directory)
  try {
    return await rage(field, options)
  } finally {
    await field.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The two that are killed. */
class Field {
  readonly directory: string
  readonly platform: RunningPlatform
  readonly #port: number
  #mosquitto: Mosquitto | undefined

  constructor(directory: string, port: number, platform: RunningPlatform) {
    this.directory = directory
    this.#port = port
    this.platform = platform
  }

  static async start(directory: string): Promise<Field> {
    const port = await freePort()
    const environment = { TELLTALE_BRIDGE_URL: `mqtt://127.0.0.1:${port}` }
    const ports = { mqtt: await freePort(), gateway: await freePort() }
    const platform = new RunningPlatform(join(directory, 'data'), ports, {
      roles: 'bridge,ingest,gateway',
      environment,
    })
    const field = new Field(directory, port, platform)
    await field.startMosquitto()
    await platform.start()
    await field.connected()
    return field
  }

  async startMosquitto(): Promise<void> {
    const lines = [
      'persistence true',
      `persistence_location ${this.directory}/`,
      'autosave_interval 3600',
      'max_inflight_messages 1000',
      `max_queued_messages ${QUEUED_MAX}`,
    ]
    this.#mosquitto = await startMosquitto(lines, this.#port)
  }

  /** Mosquitto writes its store; resolves when it has. */
  async save(): Promise<void> {
    const file = join(this.directory, 'mosquitto.db')
    const writtenAt = () => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
    const inode = () => statSync(file, { throwIfNoEntry: false })?.ino ?? 0
    const [before, was] = [writtenAt(), inode()]
    process.kill(this.#mosquitto?.pid ?? assert.fail('Mosquitto does not run'), 'SIGUSR1')
    await until(() => writtenAt() !== before || inode() !== was)
  }

  /** With -9, and starts it again. */
  async killMosquitto(): Promise<void> {
    await this.#mosquitto?.stop()
    await this.startMosquitto()
  }

  async killPlatform(): Promise<void> {
    await this.platform.kill()
    await this.platform.start()
  }

  connected(): Promise<void> {
    return until(async () => (await fetch(`${this.platform.url}/readyz`)).ok)
  }

  get port(): number {
    return this.#port
  }

  async stop(): Promise<void> {
    await this.platform.kill()
    await this.#mosquitto?.stop()
  }
}

async function rage(field: Field, { messages, devices, kills, say }: StormOptions): Promise<StormReport> {
  const began = performance.now()
  const acknowledged = new Set<string>()
  const parts = 2 * kills
  for (let part = 0, sent = 0; part < parts; part++) {
    const count = Math.floor(((part + 1) * messages) / parts) - sent
    const numbers = Array.from({ length: count }, (_, index) => sent + index)
    sent += count
    const isOfPlatform = part % 2 === 0
    if (isOfPlatform) {
      const publishing = publishAll(field.port, numbers, devices, acknowledged)
      // In the middle of what comes.
      await until(() => acknowledged.size > sent - count / 2)
      await field.killPlatform()
      await publishing
    } else {
      // All of it waits there while ours is away, is in the file, and is on its way to us when Mosquitto is killed.
      await until(async () => (await field.platform.ledger()).accepted >= acknowledged.size)
      const before = (await field.platform.ledger()).accepted
      await field.platform.kill()
      await publishAll(field.port, numbers, devices, acknowledged)
      await field.save()
      await field.platform.start()
      await until(async () => (await field.platform.ledger()).accepted > before)
      await field.killMosquitto()
    }
    say(`${isOfPlatform ? 'ours' : 'Mosquitto'} killed: ${acknowledged.size} acknowledged to publishers`)
  }
  await field.connected()
  await until(async () => (await field.platform.ledger()).accepted >= acknowledged.size)
  let before = -1
  for (
    let ledger = await field.platform.settled();
    ledger.accepted !== before;
    ledger = await field.platform.settled()
  ) {
    before = ledger.accepted
    await pause(500)
  }
  const ledger = await field.platform.settled()
  const seconds = (performance.now() - began) / 1_000
  await field.platform.stop()
  const found = await inLog(join(field.directory, 'data', 'log'))
  const kept = [...acknowledged].filter((each) => found.has(each)).length
  return {
    acknowledged: acknowledged.size,
    inLog: kept,
    lost: acknowledged.size - kept,
    again: ledger.accepted - found.size,
    platformKills: kills,
    mosquittoKills: kills,
    seconds: Math.round(seconds * 10) / 10,
    ledger,
  }
}

/** Resolves when each is acknowledged by Mosquitto, which runs all the while. */
async function publishAll(
  port: number,
  numbers: readonly number[],
  devices: number,
  acknowledged: Set<string>,
): Promise<void> {
  const client: MqttClient = await connectAsync({ host: '127.0.0.1', port, reconnectPeriod: 0 })
  let next = 0
  const publisher = async () => {
    for (let number = numbers[next++]; number !== undefined; number = numbers[next++]) {
      const [device, ts] = [`storm-${number % devices}`, START_MS + number]
      const payload = JSON.stringify({ ts, temperature: 20, humidity: 40, pressure: 1013.2, battery: 90, rssi: -70 })
      await client.publishAsync(`devices/${device}/telemetry/environment`, payload, { qos: 1 })
      acknowledged.add(`${device} ${ts}`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT_MAX }, publisher))
  await client.endAsync()
}

/** `device time` of each message in the log. */
async function inLog(directory: string): Promise<Set<string>> {
  const options = { directory, writer: false, maxBytes: 2 ** 30, retentionMs: 3_600_000 }
  const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
  await log.start()
  const found = new Set<string>()
  const shard = only(log)
  for (let from = await shard.first(); ; ) {
    const batch = await shard.read(from)
    if (batch === undefined) break
    for (const { device, payload } of readEntries(batch)) found.add(`${device} ${JSON.parse(payload.toString()).ts}`)
    from = batch.next
  }
  await log.stop()
  return found
}

export const isCalm = ({ lost, ledger }: StormReport): boolean =>
  lost === 0 && ledger.balanced && ledger.pending === 0 && ledger.deadLettered === 0
