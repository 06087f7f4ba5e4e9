/**
 * Owns `GET /v1/devices`: the devices whose telemetry the request may read, by id: those whose connection the broker has
 * seen, those only known by their readings, those that were named where somebody was not let in, and those that are declared.
 *
 * Always true: the process gets its turn after each `DEVICES_PER_TURN` of them, for the broker may be on this thread.
 * Bound: `limit` devices an answer; `next` is the `after` of the next page.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Declaration, isAt } from '../../identity/declared-devices.ts'
import { isDeviceId } from '../../identity/topics.ts'
import type { Presence } from '../../log/presence.ts'
import type { Selection } from '../../schemas/history.ts'
import type { Access } from '../access.ts'
import type { Latest } from '../latest.ts'
import { readLimit, readSelections, readSwitch } from '../parameters.ts'
import { badParameter } from '../refusal.ts'
import type { Query } from '../request.ts'
import type { Cause } from './causes/cause.ts'
import { CLOCK_OFFSET_MS_MIN } from './causes/timing.ts'
import { type FactsDependencies, factsOf, later } from './facts.ts'
import { platformFacts } from './platform-facts.ts'
import { type DeviceState, stateOf } from './state.ts'
import { foundIn } from './why.ts'

/** Devices of one answer unless `limit` says otherwise, and at most. */
const DEVICES_LIMIT_DEFAULT = 1_000
export const DEVICES_LIMIT_MAX = 10_000
/** So many take two milliseconds, or ten the first time. */
const DEVICES_PER_TURN = 100
const IDS_PER_TURN = 2_000
/** Answers of 1.5 MB for 5,000 devices, that are kept for others who ask for the same. */
const SHARED_MS = 1_000
const SHARED_MAX = 8
const PARAMETERS = ['filter', 'site', 'label', 'limit', 'after', 'last']

/** Of one request. */
const LABELS_MAX = 16
const LABEL = /^([^:]+):(.+)$/s

export interface DeviceListing {
  readonly device: string
  /** What its cause comes down to. */
  readonly state: DeviceState
  /** As `/v1/devices/{id}/why` says it, but for what only waits to be stored. */
  readonly cause: Cause
  /** More than the cause says, as a code. */
  readonly code?: string | undefined
  readonly sentence: string
  /** As its file in `config/devices` says; absent where it says nothing. */
  readonly site?: string | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly online: boolean
  /** When `online` last changed, milliseconds; absent if the broker never saw it connect. */
  readonly since?: number | undefined
  /** The newest sign of life known: a message, a connection, or else the time of its last reading. Milliseconds. */
  readonly lastSeen?: number | undefined
  /** Receipt less reading time, milliseconds, of a device whose clock is off by more than `CLOCK_OFFSET_MS_MIN`. */
  readonly clockOffsetMs?: number | undefined
  /** Declared, or learned: how long it is from one message to the next. */
  readonly intervalMs?: number | undefined
  /** What it has sent and what it should send, of that which the request may read. */
  readonly streams: readonly string[]
  /** The last reading of each stream that the request may read; left out of an answer `last=false`. */
  readonly last?: Readonly<Record<string, { readonly ts: number; readonly values: object }>> | undefined
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
  /** Of those that were given in the last `SHARED_MS`, the newest last. */
  readonly #shared = new Map<string, { readonly at: number; readonly text: Promise<string> }>()

  constructor(dependencies: FactsDependencies & { readonly latest: Latest }) {
    this.#dependencies = dependencies
    this.#presence = dependencies.presence
    this.#latest = dependencies.latest
  }

  /** As JSON. Who asks for the same, without the readings, within `SHARED_MS` is given the same answer: pages ask again and again. */
  answer(query: Query, access: Access): Promise<string> {
    query.allow(PARAMETERS)
    if (query.one('last') !== 'false') return this.#text(query, access)
    const now = this.#dependencies.clock.now()
    const asked = ['limit', 'after', 'site'].map((name) => query.one(name) ?? '')
    const key = JSON.stringify([readSelections(query, access), asked, query.all('label')])
    const known = this.#shared.get(key)
    if (known !== undefined && Math.abs(now - known.at) < SHARED_MS) return known.text
    const shared = { at: now, text: this.#text(query, access) }
    this.#shared.delete(key)
    this.#shared.set(key, shared)
    for (const oldest of this.#shared.keys()) {
      if (this.#shared.size <= SHARED_MAX) break
      this.#shared.delete(oldest)
    }
    const forget = () => this.#shared.get(key) === shared && this.#shared.delete(key)
    shared.text.catch(forget)
    setTimeout(forget, SHARED_MS).unref()
    return shared.text
  }

  async page(query: Query, access: Access): Promise<DevicesPage> {
    const devices: DeviceListing[] = []
    const next = await this.#pass(query, access, (some) => devices.push(...some))
    return { devices, ...(next !== undefined && { next }) }
  }

  async #text(query: Query, access: Access): Promise<string> {
    const parts: string[] = []
    const next = await this.#pass(query, access, (some) => parts.push(JSON.stringify(some).slice(1, -1)))
    return `{"devices":[${parts.join(',')}]${next === undefined ? '' : `,"next":${JSON.stringify(next)}`}}\n`
  }

  /** Gives the devices of the page to `take`, so many at a time; resolves with the `next` of the page, if there are more. */
  async #pass(
    query: Query,
    access: Access,
    take: (devices: readonly DeviceListing[]) => void,
  ): Promise<string | undefined> {
    query.allow(PARAMETERS)
    const limit = readLimit(query, DEVICES_LIMIT_DEFAULT, DEVICES_LIMIT_MAX)
    const after = query.one('after') ?? ''
    if (after !== '' && !isDeviceId(after)) throw badParameter('after', after, 'the next of the page before')
    const withLast = readSwitch(query, 'last', true)
    const selections = readSelections(query, access)
    const ids = await this.#ids(selections, readPlace(query), after, limit + 1)
    const facts = { ...this.#dependencies, platform: this.#dependencies.platform ?? platformFacts(this.#dependencies) }
    const page = ids.slice(0, limit)
    for (let from = 0; from < page.length; from += DEVICES_PER_TURN) {
      if (from > 0) await nextTurn()
      const devices: DeviceListing[] = []
      for (const id of page.slice(from, from + DEVICES_PER_TURN)) {
        const listing = await this.#listing(id, selections, facts, withLast)
        if (listing !== undefined) devices.push(listing)
      }
      if (devices.length > 0) take(devices)
    }
    return ids.length > limit ? page.at(-1) : undefined
  }

  /** Of all that a token of all devices is listed. */
  async count(): Promise<{ known: number; online: number }> {
    const ids = await this.#ids([{}], undefined, '', Number.POSITIVE_INFINITY)
    let online = 0
    for (const [index, id] of ids.entries()) {
      if (index % DEVICES_PER_TURN === DEVICES_PER_TURN - 1) await nextTurn()
      if (this.#presence.get(id)?.online === true) online++
    }
    return { known: ids.length, online }
  }

  /** The first `count` selected devices after `after` of which `isWanted` holds. */
  async #ids(
    selections: readonly Selection[],
    isWanted: IsWanted | undefined,
    after: string,
    count: number,
  ): Promise<string[]> {
    const { declared, journal } = this.#dependencies
    const found = new Set<string>()
    const wants = (device: string) => device > after && (isWanted === undefined || isWanted(declared.get(device)))
    if (selections.every(({ device }) => device !== undefined)) {
      for (const { device = '' } of selections) {
        if (this.#latest.has(device) || this.#presence.get(device) || journal.of(device) || declared.has(device))
          found.add(device)
      }
    } else {
      // In order of id, so that none of the others comes before these.
      for (let devices = [after]; devices.length > 0 && found.size < count; await nextTurn()) {
        devices = this.#presence.devices(devices.at(-1) ?? '', IDS_PER_TURN)
        for (const device of devices) if (wants(device)) found.add(device)
      }
      for (const device of this.#latest.devices()) found.add(device)
      for (const device of journal.named()) found.add(device)
      for (const device of declared.ids) found.add(device)
    }
    return [...found].filter(wants).sort(byCode).slice(0, count)
  }

  /** Undefined of a device that was forgotten meanwhile. */
  async #listing(
    device: string,
    selections: readonly Selection[],
    about: FactsDependencies,
    withLast: boolean,
  ): Promise<DeviceListing | undefined> {
    const facts = await factsOf(device, about, { withHours: false })
    if (facts === undefined) return undefined
    const { cause, code, sentence } = foundIn(facts)
    const { online, since, intervalMs, clockOffsetMs = 0, declared, streams = [] } = facts
    const own = selections.filter((selection) => selection.device === undefined || selection.device === device)
    const mayRead = (name: string) => own.some(({ stream }) => stream === undefined || stream === name)
    let lastSeen = later(this.#latest.heardAt(device), since)
    const isAsked = withLast || lastSeen === undefined
    const readings = isAsked ? this.#latest.lastOf(device).filter(({ stream }) => mayRead(stream)) : []
    if (lastSeen === undefined && readings.length > 0) lastSeen = Math.max(...readings.map(({ ts }) => ts))
    const { site, labels } = placeOf(declared)
    // A literal with all names, in which some are undefined, is made in a tenth of the time that one with conditions takes.
    return {
      device,
      state: stateOf(cause, online),
      cause,
      code,
      sentence,
      site,
      labels,
      online,
      since,
      lastSeen,
      clockOffsetMs: Math.abs(clockOffsetMs) > CLOCK_OFFSET_MS_MIN ? clockOffsetMs : undefined,
      intervalMs: intervalMs && Math.round(intervalMs),
      streams: withExpected(streams, declared).filter(mayRead),
      last: withLast
        ? Object.fromEntries(readings.map(({ stream, ts, values }) => [stream, { ts, values }]))
        : undefined,
    }
  }
}

/** Sorted. */
function withExpected(streams: readonly string[], declared: Declaration | undefined): readonly string[] {
  const missing = declared?.streams.filter((stream) => !streams.includes(stream)) ?? []
  return missing.length === 0 ? streams : [...streams, ...missing].sort()
}

/** What a file says of a device, as answers have it. */
export function placeOf(declared: Declaration | undefined): Pick<DeviceListing, 'site' | 'labels'> {
  if (declared === undefined) return {}
  const { site, labels } = declared
  for (const _ in labels) return { site, labels }
  return { site }
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
  return (declared) =>
    isAt(declared, { ...(site !== undefined && { site }), labels: {} }) &&
    labels.every(([name, value]) => isAt(declared, { labels: { [name]: value } }))
}

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
