/**
 * Owns what this broker does about the others that share its log: a device that connects at another one has left this one; a status that was
 * kept there is told to subscribers here; when one is gone, its devices are offline.
 *
 *   another keeps a presence ---> a newer connection of a client of ours? ended, within the time it takes to read of it
 *                            \--> another status than is retained here? retained, and told
 *   another is gone --> those of its devices that nobody has marked yet: offline, journaled, told
 *   the others took this process for gone --> its devices' connections end: they come back, and all know of it
 *
 * Always true: what others do from the instant on at which the retained statuses are read is not missed. Losing: a status that is replaced
 * before it is read of, and one that is published without RETAIN, do not come to subscribers here. On a log on one machine nothing comes.
 */

import { statusTopic } from '../identity/topics.ts'
import type { Journal } from '../log/journal.ts'
import type { Members } from '../log/members.ts'
import type { DevicePresence, Presence } from '../log/presence.ts'
import type { Logger } from '../platform/logger.ts'
import type { StatusBoard } from './admission/status-board.ts'
import type { TelemetryBroker } from './telemetry-broker.ts'

const EMPTY = Buffer.alloc(0)

export interface OtherBrokersDependencies {
  readonly members: Members
  readonly presence: Presence
  readonly statusBoard: StatusBoard
  readonly journal: Pick<Journal, 'note'>
  readonly broker: Pick<TelemetryBroker, 'lookWhoIsNewest' | 'endDevices' | 'send' | 'subscribers'>
  readonly logger: Logger
}

export class OtherBrokers {
  readonly #dependencies: OtherBrokersDependencies
  readonly #stopping = new AbortController()
  #following: Promise<unknown> | undefined
  #restored: Promise<void> | undefined

  constructor(dependencies: OtherBrokersDependencies) {
    this.#dependencies = dependencies
  }

  /** Reads the retained statuses, and hears of what others do from then on. */
  async start(): Promise<void> {
    const { members, presence, logger } = this.#dependencies
    const { signal } = this.#stopping
    // Asked for their first before anything is read.
    const following = Promise.all([
      this.#followPresence(presence.follow(signal)),
      this.#followGone(members.followGone(signal)),
    ])
    this.#following = following.catch((error: unknown) => {
      if (!signal.aborted) logger.error({ err: error }, 'the other brokers cannot be followed')
    })
    this.#restored = this.#restore()
    await this.#restored
  }

  async #restore(): Promise<void> {
    const { statusBoard, broker } = this.#dependencies
    for (const packet of await statusBoard.restore()) broker.subscribers.retained.keep(packet)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#following
  }

  async #followPresence(changes: AsyncIterable<DevicePresence>): Promise<void> {
    const { broker } = this.#dependencies
    for await (const { device, status } of changes) {
      await this.#restored
      broker.lookWhoIsNewest(device)
      await this.#show(device, status)
    }
  }

  async #followGone(gone: AsyncIterable<string>): Promise<void> {
    const { statusBoard, broker, journal, logger } = this.#dependencies
    for await (const member of gone) {
      await this.#restored
      if (statusBoard.isOurName(member)) {
        logger.error({ member }, 'the other brokers took this one for gone: its devices have to connect again')
        broker.endDevices()
        continue
      }
      let count = 0
      await statusBoard.gone(member, (device, status) => {
        count++
        journal.note(device, { kind: 'disconnected', code: 'broker-gone', text: 'the broker that had it is gone' })
        void this.#show(device, status)
      })
      logger.warn({ member, devices: count }, 'a broker is gone: its devices are offline')
    }
  }

  /** Has a device's status be the one that subscribers here know. */
  async #show(device: string, status: Uint8Array | undefined): Promise<void> {
    const { broker } = this.#dependencies
    const topic = statusTopic(device)
    const known = broker.subscribers.retained.payloadOf(topic) ?? EMPTY
    const payload = status === undefined ? EMPTY : Buffer.from(status)
    if (!payload.equals(known as Buffer)) await broker.send({ topic, payload, qos: 0, retain: true })
  }
}
