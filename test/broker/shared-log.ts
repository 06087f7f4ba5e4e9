/**
 * Owns a log that several brokers of this process share: one local log, which each sees as another member of it. It stands in for a log on
 * several machines in what such a one has more: who is there, what others keep of devices, and which entries are whose.
 */

import type { TestContext } from 'node:test'
import { type Batch, eachEntry, OWN } from '../../log/entry.ts'
import { LocalLog } from '../../log/local/local-log.ts'
import type { Log, Shard } from '../../log/log.ts'
import type { Members } from '../../log/members.ts'
import type { DevicePresence, Presence, PresenceChange } from '../../log/presence.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { scratchDirectory } from '../scratch.ts'
import { type Bench, type BenchOptions, startBroker } from './harness.ts'

export interface Appended {
  readonly by: string
  readonly device: string
  readonly epoch: number
}

class SharedLog {
  readonly local: LocalLog
  readonly members: Member[] = []
  readonly gone = new Set<string>()
  /** By offset. */
  readonly appended: Appended[] = []
  readonly epochs = new Map<string, number>()
  /** All that presences ever were. */
  readonly history: DevicePresence[] = []

  constructor(local: LocalLog) {
    this.local = local
  }
}

/** What a broker sees of the log. */
export class Member implements Members, Presence {
  readonly isShared = true
  readonly isHeard = true
  self: string
  readonly #log: SharedLog
  readonly #changes = new Set<Feed<DevicePresence>>()
  readonly #gone = new Set<Feed<string>>()
  #stalled: Promise<void> | undefined
  #goOn: () => void = () => undefined

  constructor(log: SharedLog, name: string) {
    this.#log = log
    this.self = name
    log.members.push(this)
  }

  /** What it keeps, and what it hears of others, waits until it goes on. */
  stall(): void {
    this.#stalled = new Promise((resolve) => {
      this.#goOn = resolve
    })
  }

  goOn(): void {
    this.#stalled = undefined
    this.#goOn()
  }

  /** The others take it for gone. */
  takeForGone(): void {
    const name = this.self
    this.#log.gone.add(name)
    this.self = `${name} again`
    for (const member of this.#log.members) for (const feed of member.#gone) feed.push(name)
  }

  isThere(member: string): boolean {
    return this.#log.members.some(({ self }) => self === member)
  }

  followGone(signal: AbortSignal): AsyncIterable<string> {
    return new Feed(this.#gone, signal, () => this.#stalled)
  }

  async update(device: string, change: PresenceChange): Promise<number> {
    const { local, epochs, members, history } = this.#log
    await this.#stalled
    let isChanged = false
    await local.presence.update(device, (known) => {
      const changed = change(known)
      isChanged = changed !== undefined
      return changed
    })
    if (!isChanged) return epochs.get(device) ?? 0
    const epoch = (epochs.get(device) ?? 0) + 1
    epochs.set(device, epoch)
    const known = local.presence.get(device)
    if (known !== undefined) history.push(known)
    for (const member of members) {
      if (member !== this && known) for (const feed of member.#changes) feed.push(known)
    }
    return epoch
  }

  follow(signal: AbortSignal): AsyncIterable<DevicePresence> {
    return new Feed(this.#changes, signal, () => this.#stalled)
  }

  get = (device: string) => this.#log.local.presence.get(device)
  devices = (after: string, limit: number) => this.#log.local.presence.devices(after, limit)
  all = () => this.#log.local.presence.all()

  /** The log as this member has it. */
  log(): Log {
    const { local, appended } = this.#log
    const noted = (device: string, epoch = 0, count = 1) => {
      for (let index = 0; index < count; index++) appended.push({ by: this.self, device, epoch })
    }
    const others: Partial<Log> = {
      presence: this,
      members: this,
      append: (entry, onDurable) => {
        noted(entry.device, entry.epoch)
        local.append(entry, onDurable)
      },
      appendRun: (run, onDurable) => {
        noted(run.device, run.epoch, run.spans.length / 2)
        local.appendRun(run, onDurable)
      },
      shards: local.shards.map((shard) => this.#shard(shard)),
    }
    return new Proxy<Log>(local, {
      get(target, name) {
        if (Object.hasOwn(others, name)) return Reflect.get(others, name)
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  #shard(shard: Shard): Shard {
    const flagged = (batch: Batch) => this.#flagged(batch)
    return {
      end: () => shard.end(),
      async *follow(from, signal) {
        for await (const batch of shard.follow(from, signal)) yield flagged(batch)
      },
    } as Partial<Shard> as Shard
  }

  #flagged(batch: Batch): Batch {
    const bytes = Buffer.from(batch.bytes)
    eachEntry(bytes, batch.firstOffset, (at, offset) => {
      if (this.#log.appended[offset]?.by === this.self) bytes[at + 4] = (bytes[at + 4] ?? 0) | OWN
    })
    return { ...batch, bytes }
  }
}

/** Hears from when it is made. */
class Feed<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = []
  readonly #signal: AbortSignal
  readonly #stalled: () => Promise<void> | undefined
  #wake: () => void = () => undefined

  constructor(feeds: Set<Feed<T>>, signal: AbortSignal, stalled: () => Promise<void> | undefined) {
    this.#signal = signal
    this.#stalled = stalled
    feeds.add(this)
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  push(each: T): void {
    this.#waiting.push(each)
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (!this.#signal.aborted) {
      await this.#stalled()
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }
}

export interface SharedBench extends Bench {
  readonly member: Member
}

/** Brokers that share a log, and what each of them appended. */
export async function startBrokers(t: TestContext, count: number, options: BenchOptions = {}) {
  const directory = options.directory ?? scratchDirectory(t)
  const dependencies = { clock: systemClock, logger: silentLogger(), metrics: createMetrics() }
  const limits = { maxBytes: 2 ** 30, retentionMs: 3_600_000 }
  const local = new LocalLog({ directory: `${directory}/log`, writer: true, ...limits }, dependencies)
  await local.start()
  const log = new SharedLog(local)
  const brokers: SharedBench[] = []
  const start = async (name: string): Promise<SharedBench> => {
    const member = new Member(log, name)
    const bench = await startBroker(t, { ...options, directory, log: local, through: () => member.log() })
    brokers.push({ ...bench, member })
    return { ...bench, member }
  }
  t.after(async () => {
    for (const { member } of brokers) member.goOn()
    for (const { stop } of brokers) await stop()
    await local.stop()
  })
  for (let index = 0; index < count; index++) await start(`broker-${index + 1}`)
  return { local, appended: log.appended, history: log.history, brokers, start }
}
