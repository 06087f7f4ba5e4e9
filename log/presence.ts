/**
 * Owns what is known of each device's connection and its retained status: one small record a device, durable, written
 * by the broker on connect, disconnect and status, read by the gateway, and by the broker at its next start.
 */

export interface DevicePresence {
  readonly device: string
  readonly online: boolean
  /** When `online` last changed, milliseconds since 1970-01-01T00:00Z. */
  readonly since: number
  /** The retained payload of `devices/{device}/status`, as published. */
  readonly status?: Uint8Array
  /** What the device's will would leave on its status topic. */
  readonly will?: Uint8Array
}

export interface Presence {
  /**
   * Replaces the device's record by what `change` makes of it, in order with other updates; resolves when durable.
   * Rejects with a `LogError` `log-full` when the record grows and there is no room for that.
   */
  update(device: string, change: (known: DevicePresence | undefined) => Omit<DevicePresence, 'device'>): Promise<void>
  get(device: string): DevicePresence | undefined
  /** The first `limit` devices ever seen whose ids come after `after`, by id. */
  devices(after: string, limit: number): string[]
  /** All devices ever seen, by id. */
  all(): Iterable<DevicePresence>
}
