/** Owns the presence records in a local log's directory. */

import type { DevicePresence, Presence } from '../presence.ts'
import type { Environment } from './environment.ts'

export class LocalPresence implements Presence {
  readonly #environment: Environment

  constructor(environment: Environment) {
    this.#environment = environment
  }

  async update(
    device: string,
    change: (known: DevicePresence | undefined) => Omit<DevicePresence, 'device'>,
  ): Promise<void> {
    const { presence, commit } = this.#environment
    await commit(
      presence.transaction(() => {
        presence.put(device, change(this.get(device)))
      }),
    )
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
