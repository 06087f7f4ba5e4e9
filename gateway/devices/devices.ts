/**
 * Owns `GET /v1/devices`: the devices whose telemetry the request may read, by id: those whose connection the broker has
 * seen, those only known by their readings, those that were named where somebody was not let in, and those that are declared.
 *
 * Bound: `limit` devices an answer; `next` is the `after` of the next page.
 */

import type { Declaration } from '../../identity/declared-devices.ts'
import { isDeviceId } from '../../identity/topics.ts'
import type { Presence } from '../../log/presence.ts'
import type { Selection } from '../../schemas/history.ts'
import type { Access } from '../access.ts'
import type { Latest } from '../latest.ts'
import { readLimit, readSelections } from '../parameters.ts'
import { badParameter } from '../refusal.ts'
import type { Query } from '../request.ts'
import { type FactsDependencies, factsOf, platformFacts } from './facts.ts'
import { type DeviceState, stateOf } from './state.ts'
import { type Cause, CLOCK_OFFSET_MS_MIN, whyOf } from './why.ts'

/** Devices of one answer unless `limit` says otherwise, and at most. */
const DEVICES_LIMIT_DEFAULT = 1_000
export const DEVICES_LIMIT_MAX = 10_000

/** Of one request. */
const LABELS_MAX = 16
const LABEL = /^([^:]+):(.+)$/s

export interface DeviceListing {
  readonly device: string
  /** What its cause comes down to. */
  readonly state: DeviceState
  /** As `/v1/devices/{id}/why` says it, but for what only waits to be stored. */
  readonly cause: Cause
  /** As its file in `config/devices` says; absent where it says nothing. */
  readonly site?: string
  readonly labels?: Readonly<Record<string, string>>
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
  readonly #dependencies: FactsDependencies
  readonly #presence: Presence
  readonly #latest: Latest

  constructor(dependencies: FactsDependencies & { readonly latest: Latest }) {
    this.#dependencies = dependencies
    this.#presence = dependencies.presence
    this.#latest = dependencies.latest
  }

  async page(query: Query, access: Access): Promise<DevicesPage> {
    query.allow(['filter', 'site', 'label', 'limit', 'after'])
    const limit = readLimit(query, DEVICES_LIMIT_DEFAULT, DEVICES_LIMIT_MAX)
    const after = query.one('after') ?? ''
    if (after !== '' && !isDeviceId(after)) throw badParameter('after', after, 'the next of the page before')
    const selections = readSelections(query, access)
    const ids = this.#ids(selections, readPlace(query), after, limit + 1)
    const facts = { ...this.#dependencies, platform: this.#dependencies.platform ?? platformFacts(this.#dependencies) }
    const devices = await Promise.all(ids.slice(0, limit).map((id) => this.#listing(id, selections, facts)))
    const last = devices.at(-1)
    return { devices, ...(ids.length > limit && last && { next: last.device }) }
  }

  /** The first `count` selected devices after `after` of which `isWanted` holds. */
  #ids(selections: readonly Selection[], isWanted: IsWanted | undefined, after: string, count: number): string[] {
    const { declared, journal } = this.#dependencies
    const found = new Set<string>()
    const wants = (device: string) => device > after && (isWanted === undefined || isWanted(declared.get(device)))
    if (selections.every(({ device }) => device !== undefined)) {
      for (const { device = '' } of selections) {
        if (this.#latest.has(device) || this.#presence.get(device) || journal.of(device) || declared.has(device))
          found.add(device)
      }
    } else {
      for (const { device } of this.#presence.all()) {
        if (!wants(device)) continue
        found.add(device)
        if (found.size >= count) break // In order of id, so none of the others comes before these.
      }
      for (const device of this.#latest.devices()) found.add(device)
      for (const device of journal.named()) found.add(device)
      for (const device of declared.ids) found.add(device)
    }
    return [...found].filter(wants).sort(byCode).slice(0, count)
  }

  async #listing(device: string, selections: readonly Selection[], about: FactsDependencies): Promise<DeviceListing> {
    const facts = await factsOf(device, about)
    const cause = facts === undefined ? 'well' : whyOf(facts).cause
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
      state: stateOf(cause, presence?.online ?? false),
      cause,
      ...placeOf(facts?.declared),
      online: presence?.online ?? false,
      ...(presence && { since: presence.since }),
      ...(signs.length > 0 && { lastSeen: Math.max(...signs) }),
      ...(Math.abs(clockOffsetMs) > CLOCK_OFFSET_MS_MIN && { clockOffsetMs }),
      last: Object.fromEntries(readings.map(({ stream, ts, values }) => [stream, { ts, values }])),
    }
  }
}

/** What a file says of a device, as answers have it. */
export function placeOf(declared: Declaration | undefined): Pick<DeviceListing, 'site' | 'labels'> {
  const { site, labels = {} } = declared ?? {}
  return { ...(site !== undefined && { site }), ...(Object.keys(labels).length > 0 && { labels }) }
}

type IsWanted = (declared: Declaration | undefined) => boolean

/** By `site` and all of the `label`s; undefined if neither is given. */
function readPlace(query: Query): IsWanted | undefined {
  const site = query.one('site')
  const labels = query.all('label').map((label) => {
    const [, name = '', value = ''] = LABEL.exec(label) ?? []
    if (name === '') throw badParameter('label', label, 'a name and its value: fleet:north')
    return [name, value] as const
  })
  if (labels.length > LABELS_MAX) throw badParameter('label', `${labels.length} labels`, `at most ${LABELS_MAX}`)
  if (site === undefined && labels.length === 0) return undefined
  return (declared) => {
    if (declared === undefined || (site !== undefined && declared.site !== site)) return false
    return labels.every(([name, value]) => Object.hasOwn(declared.labels, name) && declared.labels[name] === value)
  }
}

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
