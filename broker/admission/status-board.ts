/**
 * Owns the retained status of every device and whether it is connected, kept in the log's presence records, so that a
 * restart forgets neither, and a device that was connected when the process died is shown as its will says.
 *
 *   connected here --ends-------------------------------------------> offline
 *                  --connects again, at another broker of the log---> theirs: nothing that the connection here does is kept any more
 *   connected at another broker --that one is gone------------------> offline, by whichever broker sees it first
 *
 * Always true: a status is acknowledged only when it is durable; a broker says that a device is offline only while the record names it
 * as the one that has the device, or its process is not there any more. Bound: one record a device; `MARKED_AT_ONCE_MAX` are written at once.
 */

import { setImmediate as turn } from 'node:timers/promises'
import type { PublishPacket } from 'aedes'
import { statusTopic } from '../../identity/topics.ts'
import type { Members } from '../../log/members.ts'
import type { DevicePresence, Presence } from '../../log/presence.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import { Disconnect } from '../reports/disconnects.ts'
import type { Session } from '../session/session.ts'

const OFFLINE = Buffer.from('{"online":false}')
/** Devices of one that is gone, which are marked at once; and that are looked at between two turns of others. */
const MARKED_AT_ONCE_MAX = 1_000

export interface StatusBoardDependencies {
  readonly members: Members
  readonly clock: Clock
  readonly logger: Logger
}

export class StatusBoard {
  readonly #presence: Presence
  readonly #members: Members
  readonly #clock: Clock
  readonly #logger: Logger
  /** The names that this process has had: it gets another one when the others took it for gone. */
  readonly #names = new Set<string>()

  constructor(presence: Presence, { members, clock, logger }: StatusBoardDependencies) {
    this.#presence = presence
    this.#members = members
    this.#clock = clock
    this.#logger = logger
  }

  /**
   * The retained status messages to begin with. Whoever was connected to a process that is gone is not connected: what its will
   * says, or `{"online":false}`, takes the place of its status. Nobody knows when it went: `since` stays as it was.
   */
  async restore(): Promise<PublishPacket[]> {
    const retained: PublishPacket[] = []
    const gone: string[] = []
    for (const known of this.#presence.all()) {
      const isGone = known.online && !this.#isThere(known.broker)
      const status = isGone ? left(known) : known.status
      if (isGone) gone.push(known.device)
      if (status !== undefined) retained.push(retainedStatus(known.device, Buffer.from(status)))
    }
    for (let from = 0; from < gone.length; from += MARKED_AT_ONCE_MAX) {
      const some = gone.slice(from, from + MARKED_AT_ONCE_MAX)
      await Promise.all(some.map((device) => this.#markGone(device, ({ since }) => since)))
    }
    return retained
  }

  /** A broker is gone. Calls back with each of its devices that it was up to this one to mark, and with the status that it has now. */
  async gone(broker: string, marked: (device: string, status: Uint8Array | undefined) => void): Promise<void> {
    const now = this.#clock.now()
    const isOfIt = (device: string) => {
      const known = this.#presence.get(device)
      return known?.broker === broker && known.online
    }
    let devices = this.#presence.devices('', MARKED_AT_ONCE_MAX)
    while (devices.length > 0) {
      const mark = async (device: string) => {
        const known = await this.#markGone(device, () => now)
        if (known !== undefined) marked(device, known.status)
      }
      await Promise.all(devices.filter(isOfIt).map(mark))
      await turn()
      devices = this.#presence.devices(devices.at(-1) ?? '', MARKED_AT_ONCE_MAX)
    }
  }

  /**
   * Resolves when it is kept; the session knows its epoch then. Rejects with a `Disconnect` if it could not be, of one that others must
   * know of; of any other that is only told.
   */
  async connected(session: Session, device: string): Promise<void> {
    const { will, epoch: waitsForEpoch } = session
    const leaves = will?.retain && will.topic === statusTopic(device) ? Buffer.from(will.payload) : undefined
    const since = this.#clock.now()
    const broker = this.#members.self
    this.#names.add(broker)
    const change = (known: DevicePresence | undefined) => {
      return { ...pick(known?.status), online: true, since, broker, ...(leaves && { will: leaves }) }
    }
    try {
      const epoch = await this.#presence.update(device, change)
      if (waitsForEpoch === undefined) session.epoch = epoch
    } catch (error) {
      this.#notKept(device, error)
      if (waitsForEpoch === undefined) throw new Disconnect('log-refused', 'that it has connected could not be kept')
    }
  }

  isOurName(member: string): boolean {
    return this.#names.has(member)
  }

  disconnected(device: string): void {
    const since = this.#clock.now()
    const change = (known: DevicePresence | undefined) => {
      return known?.online && this.#isOurs(known) ? offline(known, known.status, since) : undefined
    }
    this.#presence.update(device, change).catch((error: unknown) => this.#notKept(device, error))
  }

  /** Whether no other connection of its device has come since, as far as it is known; not before it is known which it is. */
  isNewest({ holder, epoch }: Session): boolean {
    if (epoch === undefined || epoch === 0 || holder.kind !== 'device') return epoch === 0
    return this.#isOurs(this.#presence.get(holder.device))
  }

  /** Keeps a retained status; an empty one takes it away (MQTT 3.1.1 section 3.3.1.3). Of a connection that is not the newest none is kept. */
  publish(
    session: Session,
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
    let isKept = true
    const change = (known: DevicePresence | undefined) => {
      isKept = session.epoch === 0 || this.#isOurs(known)
      if (!isKept) return undefined
      const { status: _replaced, ...rest } = known ?? { online: false, since }
      return { ...rest, ...(payload.length > 0 && { status: payload }) }
    }
    this.#presence.update(device, change).then(
      () => done(isKept ? null : takenOver()),
      (error: Error) => done(error),
    )
  }

  /**
   * What another knows of a device; resolves when it is durable, or could not be kept. Gives the message that says so, or nothing if another
   * broker has the device since, and knows better.
   */
  async told(device: string, online: boolean, more: object): Promise<PublishPacket | undefined> {
    const now = this.#clock.now()
    const status = Buffer.from(JSON.stringify({ online, ...more }))
    const broker = this.#members.self
    this.#names.add(broker)
    let isKept = true
    const change = (known: DevicePresence | undefined) => {
      isKept = online || this.#isOurs(known)
      if (!isKept) return undefined
      const since = known?.online === online ? known.since : now
      return { online, since, broker: online ? broker : (known?.broker ?? broker), status }
    }
    await this.#presence.update(device, change).catch((error: unknown) => this.#notKept(device, error))
    return isKept ? retainedStatus(device, status) : undefined
  }

  /** Resolves with the record as it is now if this changed it; `since`: when it went. */
  async #markGone(device: string, since: (known: DevicePresence) => number): Promise<DevicePresence | undefined> {
    let marked: DevicePresence | undefined
    const change = (known: DevicePresence | undefined) => {
      const isGone = known?.online && !this.#isThere(known.broker)
      marked = isGone ? { device, ...offline(known, left(known), since(known)) } : undefined
      return isGone ? offline(known, left(known), since(known)) : undefined
    }
    await this.#presence.update(device, change)
    return marked
  }

  #isThere(broker: string | undefined): boolean {
    return broker !== undefined && this.#members.isThere(broker)
  }

  /** A record that names nobody is of before brokers were named, or of a device that has not connected. */
  #isOurs(known: Pick<DevicePresence, 'broker'> | undefined): boolean {
    return known?.broker === undefined || this.#names.has(known.broker)
  }

  #notKept(device: string, error: unknown): void {
    this.#logger.error({ error, device }, "a device's presence could not be kept")
  }
}

/** Of a connection whose device has connected at another broker since. */
export const takenOver = () => new Disconnect('taken-over', 'its client id has connected again, at another broker')

type Kept = Omit<DevicePresence, 'device'>

function offline({ broker }: Pick<DevicePresence, 'broker'>, status: Uint8Array | undefined, since: number): Kept {
  return { ...pick(status), online: false, since, ...(broker !== undefined && { broker }) }
}

/** The status of one whose broker has gone. */
const left = ({ will, status }: DevicePresence): Uint8Array | undefined => will ?? (status && OFFLINE)

const pick = (status: Uint8Array | undefined) => status && { status }

function retainedStatus(device: string, payload: Buffer): PublishPacket {
  return { cmd: 'publish', topic: statusTopic(device), payload, qos: 0, retain: true, dup: false }
}
