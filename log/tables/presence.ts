/**
 * Owns the presence records in a local log's directory.
 *
 * Bound: while the log is full no record grows by more than `PRESENCE_GROWTH_BYTES_MAX`: what is left of the disk would soon be
 * gone for statuses and wills, which are as large as a payload.
 */

import type { LogError } from '../log-error.ts'
import { nothingUntil } from '../members.ts'
import type { DevicePresence, Presence, PresenceChange } from '../presence.ts'
import type { Environment } from './environment.ts'

/** While the log is full, the record of a device's presence (status and will) may grow by so much. */
const PRESENCE_GROWTH_BYTES_MAX = 1 * 1024

export class LocalPresence implements Presence {
  readonly #environment: Environment
  /** Why the log is full; undefined while it is not. */
  readonly #full: () => LogError | undefined

  constructor(environment: Environment, full: () => LogError | undefined) {
    this.#environment = environment
    this.#full = full
  }

  async update(device: string, change: PresenceChange): Promise<number> {
    const { presence, durable } = this.#environment
    await durable(
      presence.transaction(() => {
        const known = this.get(device)
        const changed = change(known)
        if (changed === undefined) return
        const full = bytesOf(changed) - bytesOf(known) > PRESENCE_GROWTH_BYTES_MAX ? this.#full() : undefined
        if (full !== undefined) throw full
        presence.put(device, changed)
      }),
    )
    return 0
  }

  /** One process alone appends. */
  follow(signal: AbortSignal): AsyncIterable<DevicePresence> {
    return nothingUntil(signal)
  }

  get(device: string): DevicePresence | undefined {
    const record = this.#environment.presence.get(device) as Omit<DevicePresence, 'device'> | undefined
    return record && { ...record, device }
  }

  devices(after: string, limit: number): string[] {
    const { presence } = this.#environment
    return [...presence.getKeys({ start: after, exclusiveStart: true, limit })]
  }

  *all(): Iterable<DevicePresence> {
    for (const { key, value } of this.#environment.presence.getRange()) {
      yield { ...(value as Omit<DevicePresence, 'device'>), device: key }
    }
  }
}

function bytesOf(record: Omit<DevicePresence, 'device'> | undefined): number {
  return (record?.status?.length ?? 0) + (record?.will?.length ?? 0)
}
