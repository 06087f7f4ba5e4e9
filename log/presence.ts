/**
 * Owns what is known of each device's connection and its retained status: one small record a device, durable, written
 * by the broker on connect, disconnect and status, read by the gateway, and by the broker at its next start. Where several brokers share
 * the log they learn from it of the devices that others have.
 *
 * Always true: the updates of one device are in one order, for all processes that share the log, and those of a process in the order it asked.
 */

export interface DevicePresence {
  readonly device: string
  readonly online: boolean
  /** When `online` last changed, milliseconds since 1970-01-01T00:00Z. */
  readonly since: number
  /** The member of the log that has its connection, or had the last one (`members.ts`). */
  readonly broker?: string
  /** The retained payload of `devices/{device}/status`, as published. */
  readonly status?: Uint8Array
  /** What the device's will would leave on its status topic. */
  readonly will?: Uint8Array
}

export type PresenceChange = (known: DevicePresence | undefined) => Omit<DevicePresence, 'device'> | undefined

export interface Presence {
  /**
   * Replaces the device's record by what `change` makes of it, in order with other updates; leaves it as it is if that is undefined. It may be
   * called more than once, and the last time counts. Resolves when durable, with a number that rises with each update of the device, whichever
   * process made it: its epoch. It is 0 where one process alone appends.
   * Rejects with a `LogError` `log-full` when the record grows and there is no room for that.
   */
  update(device: string, change: PresenceChange): Promise<number>
  /** What other members make of records from now on, each as it is then, until `signal` aborts. When one comes, `get` knows of it. */
  follow(signal: AbortSignal): AsyncIterable<DevicePresence>
  get(device: string): DevicePresence | undefined
  /** The first `limit` devices ever seen whose ids come after `after`, by id. */
  devices(after: string, limit: number): string[]
  /** All devices ever seen, by id. */
  all(): Iterable<DevicePresence>
}
