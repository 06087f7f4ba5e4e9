/**
 * Owns `GET /v1/devices`: the devices whose telemetry the request may read, by id: those whose connection the broker has
 * seen, and those only known by their readings.
 *
 * Bound: `limit` devices an answer; `next` is the `after` of the next page.
 */

import { isDeviceId } from '../identity/topics.ts'
import type { Presence } from '../log/presence.ts'
import type { Selection } from '../schemas/history.ts'
import type { Access } from './access.ts'
import type { Latest } from './latest.ts'
import { readLimit, readSelections } from './parameters.ts'
import { badParameter } from './refusal.ts'
import type { Query } from './request.ts'

/** Devices of one answer unless `limit` says otherwise, and at most. */
const DEVICES_LIMIT_DEFAULT = 1_000
export const DEVICES_LIMIT_MAX = 10_000

/** A clock that is off by less is not told. */
const CLOCK_OFFSET_MS_MIN = 60_000

export interface DeviceListing {
  readonly device: string
  readonly online: boolean
  /** When `online` last changed, milliseconds; absent if the broker never saw it connect. */
  readonly since?: number
  /** The newest sign of life known: a message, a connection, or else the time of its last reading. Milliseconds. */
  readonly lastSeen?: number
  /** Receipt less reading time, milliseconds, of a device whose clock is off by more than `CLOCK_OFFSET_MS_MIN`. */
  readonly clockOffsetMs?: number
  /** The last reading of each stream that the request may read. */
  readonly last: Readonly<Record<string, { readonly ts: number; readonly values: object }>>
}

export interface DevicesPage {
  readonly devices: readonly DeviceListing[]
  /** There are more: pass this as `after`. */
  readonly next?: string
}

export class Devices {
  readonly #presence: Presence
  readonly #latest: Latest

  constructor(dependencies: { readonly presence: Presence; readonly latest: Latest }) {
    this.#presence = dependencies.presence
    this.#latest = dependencies.latest
  }

  page(query: Query, access: Access): DevicesPage {
    query.allow(['filter', 'limit', 'after'])
    const limit = readLimit(query, DEVICES_LIMIT_DEFAULT, DEVICES_LIMIT_MAX)
    const after = query.one('after') ?? ''
    if (after !== '' && !isDeviceId(after)) throw badParameter('after', after, 'the next of the page before')
    const selections = readSelections(query, access)
    const ids = this.#ids(selections, after, limit + 1)
    const devices = ids.slice(0, limit).map((id) => this.#listing(id, selections))
    const last = devices.at(-1)
    return { devices, ...(ids.length > limit && last && { next: last.device }) }
  }

  /** The first `count` selected devices after `after`. */
  #ids(selections: readonly Selection[], after: string, count: number): string[] {
    const found = new Set<string>()
    if (selections.every(({ device }) => device !== undefined)) {
      for (const { device = '' } of selections) {
        if (this.#latest.has(device) || this.#presence.get(device)) found.add(device)
      }
    } else {
      for (const { device } of this.#presence.all()) {
        if (device <= after) continue
        found.add(device)
        if (found.size >= count) break // In order of id, so none of the others comes before these.
      }
      for (const device of this.#latest.devices()) found.add(device)
    }
    return [...found]
      .filter((device) => device > after)
      .sort(byCode)
      .slice(0, count)
  }

  #listing(device: string, selections: readonly Selection[]): DeviceListing {
    const presence = this.#presence.get(device)
    const own = selections.filter((selection) => selection.device === undefined || selection.device === device)
    const readings = this.#latest
      .lastOf(device)
      .filter((reading) => own.some(({ stream }) => stream === undefined || stream === reading.stream))
    const signs = [this.#latest.heardAt(device), presence?.since].filter((time) => time !== undefined)
    if (signs.length === 0) signs.push(...readings.map((reading) => reading.ts))
    const clockOffsetMs = this.#latest.clockOffsetMs(device) ?? 0
    return {
      device,
      online: presence?.online ?? false,
      ...(presence && { since: presence.since }),
      ...(signs.length > 0 && { lastSeen: Math.max(...signs) }),
      ...(Math.abs(clockOffsetMs) > CLOCK_OFFSET_MS_MIN && { clockOffsetMs }),
      last: Object.fromEntries(readings.map(({ stream, ts, values }) => [stream, { ts, values }])),
    }
  }
}

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
