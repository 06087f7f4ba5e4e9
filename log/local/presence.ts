/** Owns the presence records in a local log's directory. */

import type { DevicePresence, Presence } from '../presence.ts'
import type { Environment } from './environment.ts'

export class LocalPresence implements Presence {
  readonly #environment: Environment

  constructor(environment: Environment) {
    this.#environment = environment
  }

  async put(presence: DevicePresence): Promise<void> {
    const { device, ...record } = presence
    await this.#environment.presence.put(device, record)
  }

  get(device: string): DevicePresence | undefined {
    const record = this.#environment.presence.get(device) as Omit<DevicePresence, 'device'> | undefined
    return record && { ...record, device }
  }

  *all(): Iterable<DevicePresence> {
    for (const { key, value } of this.#environment.presence.getRange()) {
      yield { ...(value as Omit<DevicePresence, 'device'>), device: key }
    }
  }
}
