/** Owns `/v1/devices` for apps: all devices that the token's filters select, page by page. */

import type { Http } from './http.ts'
import type { Names } from './options.ts'
import type { Value } from './readings.ts'

export interface Device {
  readonly device: string
  readonly online: boolean
  /** When `online` last changed, milliseconds; absent if the broker never saw it connect. */
  readonly since?: number
  /** The newest sign of life known, milliseconds. */
  readonly lastSeen?: number
  /** By how much its clock is off, milliseconds, if that is much. */
  readonly clockOffsetMs?: number
  /** The last reading of each stream. */
  readonly last: Readonly<Record<string, { readonly ts: number; readonly values: Readonly<Record<string, Value>> }>>
}

export interface DevicesOptions {
  readonly signal?: AbortSignal | undefined
}

export const DEVICES: Names<DevicesOptions> = { signal: true }

interface Page {
  readonly devices: readonly Device[]
  readonly next?: string
}

export async function* readDevices(
  http: Http,
  filters: readonly string[],
  { signal }: DevicesOptions,
): AsyncGenerator<Device, undefined> {
  let after: string | undefined
  do {
    const page: Page = await http.get<Page>('/v1/devices', { filter: filters, after }, signal)
    yield* page.devices
    after = page.next
  } while (after !== undefined)
  return undefined
}
