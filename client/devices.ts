/** Owns `/v1/devices` for apps: all devices that the token's filters select, page by page. */

import type { Http } from './http.ts'
import type { Names } from './options.ts'
import type { Value } from './readings.ts'

export interface Device {
  readonly device: string
  /**
   * In a word: `online` (all is well), `offline`, `silent`, `incomplete`, `refused`, `contested`, `dropped`, `dead-lettering`, `late`,
   * `clock`, `repeating`, `slowed`; more may come.
   */
  readonly state: string
  /** Why its data is missing, as `/v1/devices/{id}/why` has it; `well` if it is not. More may come. */
  readonly cause: string
  /** More than the cause says: of a refusal, of what is set aside. */
  readonly code?: string
  /** Why its data is missing, or that all is well, in words. */
  readonly sentence: string
  /** As its file in the platform's `config/devices` says. */
  readonly site?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly online: boolean
  /** When `online` last changed, milliseconds; absent if the broker never saw it connect. */
  readonly since?: number
  /** The newest sign of life known, milliseconds. */
  readonly lastSeen?: number
  /** By how much its clock is off, milliseconds, if that is much. */
  readonly clockOffsetMs?: number
  /** How long it is from one message to the next, milliseconds; absent until it is known. */
  readonly intervalMs?: number
  /** What it has sent, and what it should send. */
  readonly streams: readonly string[]
  /** The last reading of each stream. */
  readonly last: Readonly<Record<string, { readonly ts: number; readonly values: Readonly<Record<string, Value>> }>>
}

export interface DevicesOptions {
  /** Those of this site. */
  readonly site?: string | undefined
  /** Those that have all of these. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
}

export const DEVICES: Names<DevicesOptions> = { site: true, labels: true, signal: true }

interface Page {
  readonly devices: readonly Device[]
  readonly next?: string
}

export async function* readDevices(
  http: Http,
  filters: readonly string[],
  { site, labels = {}, signal }: DevicesOptions,
): AsyncGenerator<Device, undefined> {
  const label = Object.entries(labels).map(([name, value]) => `${name}:${value}`)
  let after: string | undefined
  do {
    const page: Page = await http.get<Page>('/v1/devices', { filter: filters, site, label, after }, signal)
    yield* page.devices
    after = page.next
  } while (after !== undefined)
  return undefined
}
