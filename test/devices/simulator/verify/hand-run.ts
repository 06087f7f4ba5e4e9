/** Owns a small run that is made by hand against a real platform: messages by `mqtt`, and the run folder that tells of them. */

import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { MessageLog, type Outcome } from '../../../../devices/simulator/kept/message-log.ts'
import { hashOf, rowHash } from '../../../../devices/simulator/kept/row-hash.ts'
import type { RunRecord } from '../../../../devices/simulator/kept/run-folder.ts'
import { readBooks } from '../../../../devices/simulator/verify/books.ts'
import { GatewayApi } from '../../../../devices/simulator/verify/gateway-api.ts'
import { systemClock } from '../../../../platform/clock.ts'
import type { Reading } from '../../../../schemas/reading.ts'
import { LiveSocket } from '../../../e2e/live-socket.ts'
import type { RunningPlatform } from '../../../e2e/platform.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { until } from '../../../until.ts'

const STREAM = 'environment'
const topicOf = (device: string) => `devices/${device}/telemetry/${STREAM}`

export class HandRun {
  readonly directory: string
  readonly platform: RunningPlatform
  readonly beganAt = Date.now()
  readonly #log: MessageLog
  readonly #clients = new Map<string, MqttClient>()
  readonly #live: LiveSocket
  #number = 0
  #books: RunRecord['booksBefore']

  private constructor(platform: RunningPlatform, directory: string, live: LiveSocket) {
    this.platform = platform
    this.directory = directory
    this.#log = new MessageLog(join(directory, 'messages-0.tsv'))
    this.#live = live
  }

  static async start(t: TestContext, platform: RunningPlatform): Promise<HandRun> {
    const live = await LiveSocket.open(platform.url, await platform.appToken())
    live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/#' })
    await live.next('live')
    const run = new HandRun(platform, scratchDirectory(t), live)
    run.#books = { ...(await readBooks(run.gateway)) }
    t.after(() => run.close())
    return run
  }

  get gateway(): GatewayApi {
    return gatewayOf(this.platform)
  }

  /** Publishes JSON readings of a stream with QoS 1, and writes what is expected of them; `expected` if that is something else. */
  async publish(
    device: string,
    readings: readonly { readonly ts: number; readonly temperature: number }[],
    expected: {
      readonly payload?: Buffer
      readonly outcome?: Outcome
      readonly topic?: string
      readonly readings?: typeof readings
    } = {},
  ): Promise<void> {
    const whole = readings.map((reading) => ({ ...reading, humidity: 40, pressure: 1_013, battery: 90, rssi: -60 }))
    const sent = Buffer.from(JSON.stringify(whole))
    const payload = expected.payload ?? sent
    const number = this.#number++
    const outcome = expected.outcome ?? 'stored'
    const rows = (expected.readings ?? readings).map(({ ts, temperature }) => ({
      stream: STREAM,
      ts,
      hash: rowHash({ temperature, humidity: 40, pressure: 1_013, battery: 90, rssi: -60 }),
    }))
    const topic = expected.topic ?? topicOf(device)
    const client = await this.#client(device)
    const at = Date.now()
    this.#log.sent({
      number,
      at,
      dueAt: at,
      device,
      topic,
      qos: 1,
      payloadHash: hashOf(payload),
      fault: undefined,
      outcome,
      rows: outcome === 'stored' ? rows : [],
    })
    await client.publishAsync(topic, payload, { qos: 1 })
    this.#log.acknowledged(number, Date.now(), 0)
  }

  /** Ends it: all that came live until so many readings had come is written. */
  async end(live: number): Promise<void> {
    let came = 0
    await until(async () => {
      if (came >= live) return true
      const frame = await this.#live.next('readings')
      const readings = frame.readings as readonly (Reading & { readonly received: number })[]
      came += readings.length
      const lines = readings.map(({ device, stream, ts, values, received }) =>
        [Date.now(), device, stream, ts, rowHash(values), received].join('\t'),
      )
      if (lines.length > 0) appendFileSync(join(this.directory, 'live.tsv'), `${lines.join('\n')}\n`)
      return came >= live
    })
    this.#log.flush()
    const record: Omit<RunRecord, 'scenario'> = {
      url: '',
      gateway: this.platform.url,
      beganAt: this.beganAt,
      endedAt: Date.now(),
      processes: 1,
      booksBefore: this.#books,
    }
    writeFileSync(join(this.directory, 'run.json'), JSON.stringify(record))
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) await client.endAsync(true)
    this.#live.close()
  }

  async #client(device: string): Promise<MqttClient> {
    const known = this.#clients.get(device)
    if (known !== undefined) return known
    const password = await this.platform.deviceToken(device)
    const { mqttPort: port } = this.platform
    const client = await connectAsync({ port, clientId: device, username: device, password })
    this.#clients.set(device, client)
    return client
  }
}

const tokens = new WeakMap<RunningPlatform, Promise<string>>()

export const tokenOf = (platform: RunningPlatform) => async (): Promise<string> => {
  const known = tokens.get(platform)
  if (known !== undefined) return known
  const token = platform.telltale('token', 'app', '--filter', 'devices/+/telemetry/#', '--dead-letters')
  const trimmed = token.then((text) => text.trim())
  tokens.set(platform, trimmed)
  return trimmed
}

export function gatewayOf(platform: RunningPlatform): GatewayApi {
  const options = { url: platform.url, patienceMs: 60_000 }
  return new GatewayApi(options, { token: tokenOf(platform), clock: systemClock })
}
