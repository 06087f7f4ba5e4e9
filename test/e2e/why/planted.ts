/**
 * Owns causes that are planted in a running platform, by real MQTT clients, each with what `why` has to answer: what keeps the data of a
 * device from where somebody looks for it.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import type { Why } from '../../../gateway/devices/why.ts'
import { Identity } from '../../../identity/identity.ts'
import { systemClock } from '../../../platform/clock.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { RunningPlatform } from '../platform.ts'

const HOUR_MS = 3_600_000
/** So often a message comes of a device that sends. */
const INTERVAL_MS = 250
const MESSAGES = 6
/** So often of a stream that comes like a clock, however busy the machine is. */
const CLOCK_MS = 1_000
/** What one device may publish, of the platform that causes are planted in. */
export const MESSAGES_PER_SECOND = 100

export interface Planted {
  readonly name: string
  readonly cause: Why['cause']
  readonly code?: string
  /** Of the sentence, where it is made of what the broker has told. */
  readonly says?: RegExp
  /** Takes 20 s or more: the clock of a device is known after messages that are 5 s apart, and a stream may be late by a minute. */
  readonly isSlow?: boolean
  /** Of a device that never did anything. */
  readonly isOfNew?: boolean
  readonly plant: (site: Site, device: string) => Promise<void>
}

const reading = (ts: number, temperature = 20): string =>
  JSON.stringify({ ts, temperature, humidity: 40, pressure: 1_013, battery: 90, rssi: -60 })

const position = { latitude: 1, longitude: 1, elevation: 1, heading: 1, grade: 0 }
const vehicle = (ts: number): string => JSON.stringify({ ts, ...position, velocity: 9, fuel_consumption: 2 })

/** The clients of one platform. */
export class Site {
  readonly platform: RunningPlatform
  readonly identity: Identity
  readonly #clients = new Map<string, MqttClient[]>()
  readonly #timers = new Map<string, NodeJS.Timeout>()

  readonly #devices: string

  private constructor(platform: RunningPlatform, identity: Identity, devices: string) {
    this.platform = platform
    this.identity = identity
    this.#devices = devices
  }

  /** `config`: the platform's folder, if devices are to be declared. */
  static async of(platform: RunningPlatform, config = ''): Promise<Site> {
    const identity = new Identity({ directory: join(platform.directory, 'keys') }, { clock: systemClock })
    await identity.start()
    return new Site(platform, identity, join(config, 'devices'))
  }

  /** With a platform of its own, in which the causes below can be planted. */
  static async start(t: Pick<TestContext, 'after'>): Promise<Site> {
    const config = join(scratchDirectory(t as TestContext), 'config')
    mkdirSync(join(config, 'devices'), { recursive: true })
    const environment = {
      TELLTALE_DEVICE_MESSAGES_PER_SECOND: String(MESSAGES_PER_SECOND),
      TELLTALE_CONFIG_DIR: config,
    }
    const site = await Site.of(await RunningPlatform.start(t as TestContext, { environment }), config)
    t.after(() => site.stop())
    return site
  }

  /** Has a file say that the device is there; within two seconds it is in force. */
  declare(device: string, more = ''): void {
    writeFileSync(this.#fileOf(device), `device: ${device}\n${more}`)
  }

  #fileOf(device: string): string {
    return join(this.#devices, `${device}.yaml`)
  }

  async connect(device: string, more: IClientOptions = {}): Promise<MqttClient> {
    const password = await this.identity.signDevice(device, HOUR_MS)
    const options = { clientId: device, username: device, password, protocolVersion: 4, reconnectPeriod: 0 } as const
    const client = await connectAsync({ host: '127.0.0.1', port: this.platform.mqttPort, ...options, ...more })
    client.on('error', () => undefined)
    this.#clients.set(device, [...(this.#clients.get(device) ?? []), client])
    return client
  }

  /** Tries to connect, and is refused. */
  async refused(device: string, more: IClientOptions): Promise<void> {
    const client = await this.connect(device, more).catch(() => undefined)
    if (client !== undefined) throw new Error(`${device} was let in`)
  }

  /** Sends as a device that is well does, for so many messages, or until it is ended. */
  async send(client: MqttClient, device: string, messages: number, ageMs = 0): Promise<void> {
    const one = () => client.publishAsync(topicOf(device), reading(Date.now() - ageMs), { qos: 1 })
    for (let sent = 0; sent < messages; sent++) {
      await one()
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS))
    }
  }

  /** Goes on sending until the device is ended. */
  keepSending(client: MqttClient, device: string, ageMs = 0): void {
    const send = () =>
      client.publishAsync(topicOf(device), reading(Date.now() - ageMs), { qos: 1 }).catch(() => undefined)
    this.#timers.set(device, setInterval(send, INTERVAL_MS))
  }

  /** Nothing of it is left but what the platform knows. */
  async end(device: string): Promise<void> {
    clearInterval(this.#timers.get(device))
    this.#timers.delete(device)
    const clients = this.#clients.get(device) ?? []
    this.#clients.delete(device)
    rmSync(this.#fileOf(device), { force: true })
    await Promise.all(clients.map((client) => client.endAsync(true)))
  }

  async stop(): Promise<void> {
    for (const device of [...this.#clients.keys(), ...this.#timers.keys()]) await this.end(device)
    await this.identity.stop()
  }

  why(device: string): Promise<Why> {
    return this.platform.get<Why>(`/v1/devices/${device}/why`)
  }

  /** Waits until that is what is answered; what is answered instead is told when it never comes. */
  async answers(device: string, { cause, code }: Pick<Planted, 'cause' | 'code'>): Promise<Why> {
    let why: Why | undefined
    await until(
      async () => {
        why = await this.why(device).catch(() => undefined)
        return why?.cause === cause && (code === undefined || why.code === code)
      },
      () => `${device} is answered with ${cause} ${code ?? ''}, and not with ${JSON.stringify(why)}`,
    )
    return why as Why
  }
}

export const topicOf = (device: string, stream = 'environment'): string => `devices/${device}/telemetry/${stream}`

/** Sends these in place of readings, after some that were right. */
const sendsWrong =
  (payload: (device: string) => Buffer | string, stream = 'environment') =>
  async (site: Site, device: string): Promise<void> => {
    const client = await site.connect(device)
    await site.send(client, device, 1)
    for (let sent = 0; sent < 3; sent++) await client.publishAsync(topicOf(device, stream), payload(device), { qos: 1 })
  }

const refusedBy =
  (more: (site: Site, device: string) => Promise<IClientOptions> | IClientOptions) =>
  async (site: Site, device: string): Promise<void> =>
    site.refused(device, await more(site, device))

export const PLANTED: readonly Planted[] = [
  {
    name: 'declared, and never there',
    cause: 'never-connected',
    isOfNew: true,
    plant: async (site, device) => site.declare(device),
  },
  {
    name: 'a stream that it should send, and never did',
    cause: 'missing-stream',
    isOfNew: true,
    plant: async (site, device) => {
      site.declare(device, 'streams: [environment, vehicle]')
      site.keepSending(await site.connect(device), device)
    },
  },
  {
    name: 'a stream that it should send, and sends no more',
    cause: 'missing-stream',
    code: 'stream-stopped',
    plant: async (site, device) => {
      site.declare(device, `streams: [environment, vehicle]\ninterval: ${INTERVAL_MS}ms`)
      const client = await site.connect(device)
      await client.publishAsync(topicOf(device, 'vehicle'), vehicle(Date.now()), { qos: 1 })
      site.keepSending(client, device)
    },
  },
  {
    name: 'a stream that came like a clock, and comes no more',
    cause: 'missing-stream',
    code: 'stream-stopped',
    isSlow: true,
    isOfNew: true,
    plant: async (site, device) => {
      const client = await site.connect(device)
      for (let sent = 0; sent < 20; sent++) {
        await client.publishAsync(topicOf(device, 'vehicle'), vehicle(Date.now()), { qos: 1 })
        await new Promise((resolve) => setTimeout(resolve, CLOCK_MS))
      }
      site.keepSending(client, device)
    },
  },
  {
    name: 'a token that is none',
    cause: 'refused',
    code: 'bad-token',
    plant: refusedBy(() => ({ password: 'secret' })),
  },
  {
    name: "another device's token",
    cause: 'refused',
    code: 'bad-token',
    plant: refusedBy(async ({ identity }, device) => ({ password: await identity.signDevice(`${device}x`, HOUR_MS) })),
  },
  {
    name: 'a token that has expired',
    cause: 'refused',
    code: 'expired-token',
    plant: refusedBy(async ({ identity }, device) => ({ password: await identity.signDevice(device, -HOUR_MS) })),
  },
  {
    name: 'a token that was revoked',
    cause: 'refused',
    code: 'revoked-token',
    plant: async (site, device) => {
      const password = await site.identity.signDevice(device, HOUR_MS)
      const before = Math.floor(Date.now() / 1_000) * 1_000 + 1_000
      site.identity.revocations.add({ id: device, before }, Date.now())
      await until(async () => {
        const client = await site.connect(device, { password }).catch(() => undefined)
        await site.end(device)
        return client === undefined
      })
      // Those that are made from now on are good.
      await until(() => Date.now() > before)
    },
  },
  {
    name: 'a client id that is not the device id',
    cause: 'refused',
    code: 'wrong-client-id',
    plant: refusedBy((_site, device) => ({ clientId: `${device}.modem` })),
  },
  {
    name: 'a will on the topic of another',
    cause: 'refused',
    code: 'wrong-will',
    plant: refusedBy(() => ({
      will: { topic: 'devices/other/status', payload: Buffer.from('x'), qos: 0, retain: false },
    })),
  },
  {
    name: 'connected, and nothing else',
    cause: 'sends-nothing',
    plant: async (site, device) => void (await site.connect(device)),
  },
  {
    name: 'the topic of another device',
    cause: 'wrong-topic',
    code: 'publish-forbidden',
    says: /publishes on devices\/[\w-]+x\/telemetry\/environment, where it may not; such messages are dropped$/,
    plant: async (site, device) => {
      const client = await site.connect(device)
      await client.publishAsync(topicOf(`${device}x`), reading(Date.now()), { qos: 1 })
    },
  },
  {
    name: 'a topic that is none',
    cause: 'wrong-topic',
    code: 'publish-forbidden',
    says: /publishes on [\w-]+\/temperature, where nothing is taken; such messages are dropped$/,
    plant: async (site, device) => {
      const client = await site.connect(device)
      await client.publishAsync(`${device}/temperature`, '20.5', { qos: 1 })
    },
  },
  {
    name: 'a payload that is too large',
    cause: 'too-large',
    code: 'payload-too-large',
    says: /a message that is too big \(293 KiB, allowed are 256 KiB\): it was dropped, and is not kept$/,
    plant: async (site, device) => {
      const client = await site.connect(device)
      await client.publishAsync(topicOf(device), Buffer.alloc(300_000, 0x20), { qos: 1 })
    },
  },
  { name: 'nothing in its messages', cause: 'set-aside', code: 'empty', plant: sendsWrong(() => '') },
  { name: 'JSON that is none', cause: 'set-aside', code: 'malformed-json', plant: sendsWrong(() => '{"ts":') },
  {
    name: 'bytes that are nothing',
    cause: 'set-aside',
    code: 'unknown-framing',
    plant: sendsWrong(() => 'temperature=20'),
  },
  {
    name: 'a field of another type',
    cause: 'set-aside',
    code: 'invalid-reading',
    plant: sendsWrong(() => reading(Date.now()).replace('"temperature":20', '"temperature":"warm"')),
  },
  {
    name: 'a time of long ago',
    cause: 'set-aside',
    code: 'bad-timestamp',
    plant: sendsWrong(() => reading(Math.floor(Date.now() / 1_000))),
  },
  {
    name: 'a schema that nobody knows',
    cause: 'set-aside',
    code: 'unknown-schema',
    plant: sendsWrong(() => Buffer.from('c3010102030405060708aabb', 'hex')),
  },
  {
    name: 'a stream that nobody knows',
    cause: 'set-aside',
    code: 'unknown-schema',
    plant: sendsWrong(() => reading(Date.now()), 'nosuch'),
  },
  {
    name: 'Avro that is cut short',
    cause: 'set-aside',
    plant: sendsWrong(() => Buffer.from('c301', 'hex')),
  },
  {
    name: 'readings that have the same time',
    cause: 'repeats-times',
    plant: async (site, device) => {
      const client = await site.connect(device)
      const ts = Date.now()
      for (let sent = 0; sent < 4; sent++) await client.publishAsync(topicOf(device), reading(ts, sent), { qos: 1 })
      site.keepSending(client, device)
    },
  },
  {
    name: 'two devices with one id',
    cause: 'two-devices',
    plant: async (site, device) => {
      for (let times = 0; times < 5; times++) {
        const client = await site.connect(device)
        await site.send(client, device, 1)
      }
    },
  },
  {
    name: 'silent while it is connected',
    cause: 'silent',
    plant: async (site, device) => site.send(await site.connect(device), device, MESSAGES),
  },
  {
    name: 'its network lost',
    cause: 'offline',
    code: 'lost',
    plant: async (site, device) => {
      const client = await site.connect(device)
      await site.send(client, device, 2)
      client.stream.destroy()
      await until(() => !client.connected)
    },
  },
  {
    name: 'gone by itself',
    cause: 'offline',
    code: 'left',
    plant: async (site, device) => {
      const client = await site.connect(device)
      await site.send(client, device, MESSAGES)
      await client.endAsync()
    },
  },
  {
    name: 'more than it may send',
    cause: 'too-fast',
    says: /more than it may \(100 messages a second\), and is read from more slowly; nothing is lost$/,
    plant: async (site, device) => {
      const client = await site.connect(device)
      const now = Date.now()
      const all = Array.from({ length: 4 * MESSAGES_PER_SECOND }, (_, n) =>
        client.publishAsync(topicOf(device), reading(now + n), { qos: 1 }),
      )
      await Promise.all(all)
      site.keepSending(client, device)
    },
  },
  {
    name: 'a clock that is two hours behind',
    cause: 'clock-behind',
    isSlow: true,
    plant: async (site, device) => site.keepSending(await site.connect(device), device, 2 * HOUR_MS),
  },
  {
    name: 'a clock that is half an hour ahead',
    cause: 'clock-ahead',
    isSlow: true,
    plant: async (site, device) => site.keepSending(await site.connect(device), device, -HOUR_MS / 2),
  },
  {
    name: 'all well',
    cause: 'well',
    plant: async (site, device) => site.keepSending(await site.connect(device), device),
  },
]
