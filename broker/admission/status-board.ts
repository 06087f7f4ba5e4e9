/**
 * Owns the retained status of every device and whether it is connected, kept in the log's presence records, so that a
 * restart forgets neither, and a device that was connected when the process died is shown as its will says.
 *
 * Always true: a status is acknowledged only when it is durable. Bound: one record a device.
 */

import type { PublishPacket } from 'aedes'
import { statusTopic } from '../../identity/topics.ts'
import type { DevicePresence, Presence } from '../../log/presence.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'

const OFFLINE = Buffer.from('{"online":false}')

export class StatusBoard {
  readonly #presence: Presence
  readonly #clock: Clock
  readonly #logger: Logger

  constructor(presence: Presence, dependencies: { readonly clock: Clock; readonly logger: Logger }) {
    this.#presence = presence
    this.#clock = dependencies.clock
    this.#logger = dependencies.logger
  }

  /**
   * The retained status messages to begin with. Whoever was connected when the last process died is not: what its will
   * says, or `{"online":false}`, takes the place of its status. Nobody knows when it went: `since` stays as it was.
   */
  async restore(): Promise<PublishPacket[]> {
    const retained: PublishPacket[] = []
    const gone: Promise<number>[] = []
    for (const known of this.#presence.all()) {
      const status = known.online ? (known.will ?? (known.status && OFFLINE)) : known.status
      if (known.online) gone.push(this.#presence.update(known.device, () => offline(status, known.since)))
      if (status !== undefined) retained.push(retainedStatus(known.device, Buffer.from(status)))
    }
    await Promise.all(gone)
    return retained
  }

  connected(device: string, will: PublishPacket | undefined): void {
    const leaves = will?.retain && will.topic === statusTopic(device) ? Buffer.from(will.payload) : undefined
    const since = this.#clock.now()
    this.#keep(device, (known) => ({ ...pick(known?.status), online: true, since, ...(leaves && { will: leaves }) }))
  }

  disconnected(device: string): void {
    const since = this.#clock.now()
    this.#keep(device, (known) => offline(known?.status, since))
  }

  /** Keeps a retained status; an empty one takes it away (MQTT 3.1.1 section 3.3.1.3). */
  publish(
    device: string,
    packet: Pick<PublishPacket, 'retain' | 'payload'>,
    done: (error?: Error | null) => void,
  ): void {
    if (!packet.retain) {
      done()
      return
    }
    const payload = Buffer.from(packet.payload)
    const since = this.#clock.now()
    const change = (known: DevicePresence | undefined) => {
      const { status: _replaced, ...rest } = known ?? { online: false, since }
      return { ...rest, ...(payload.length > 0 && { status: payload }) }
    }
    this.#presence.update(device, change).then(
      () => done(),
      (error: Error) => done(error),
    )
  }

  /** What another knows of a device; resolves when it is durable, or could not be kept. Gives the message that says so. */
  async told(device: string, online: boolean, more: object): Promise<PublishPacket> {
    const now = this.#clock.now()
    const status = Buffer.from(JSON.stringify({ online, ...more }))
    const change = (known: DevicePresence | undefined) => ({
      online,
      since: known?.online === online ? known.since : now,
      status,
    })
    await this.#presence.update(device, change).catch((error: unknown) => {
      this.#logger.error({ error, device }, "a device's presence could not be kept")
    })
    return retainedStatus(device, status)
  }

  #keep(device: string, change: Parameters<Presence['update']>[1]): void {
    this.#presence.update(device, change).catch((error: unknown) => {
      this.#logger.error({ error, device }, "a device's presence could not be kept")
    })
  }
}

function offline(status: Uint8Array | undefined, since: number): Omit<DevicePresence, 'device'> {
  return { ...pick(status), online: false, since }
}

const pick = (status: Uint8Array | undefined) => status && { status }

function retainedStatus(device: string, payload: Buffer): PublishPacket {
  return { cmd: 'publish', topic: statusTopic(device), payload, qos: 0, retain: true, dup: false }
}
